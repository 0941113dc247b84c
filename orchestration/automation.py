"""The automation conditions that assets may have, by name; none of Dagster's is used bare."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from assets.marts.assets import SHOP_READY

TRY_AGAIN = "*/15 * * * *"
"""When partitions whose run failed are requested again."""
DOMAINS = ("recommender", "monitoring", "search", "summaries")
"""The groups of assets that are made again when what they stand on has another data version."""


def on_new_version() -> dg.AutomationCondition[Any]:
    """Requests a partition when the data version of something that it stands on changed: the condition of the domains.

    Trigger: a new data version upstream, or the partition was never made. `eager()` alone asks again whenever something
    upstream is made again, also where nothing in it changed, for on partitions it does not look at versions.
    Guard: no blocking check of what is upstream failed for the partition, nothing upstream is missing or at work, and
    the partition itself is not. Blocking checks hold back only what is in the same run without it.
    Reset: a request is not repeated until there is another version, unless its run failed: then at the next quarter of
    an hour, for a registry or a server that is away comes back, and a shop without new days has no other version.
    Of contract and marts `shop_ready` alone counts: the tables that a domain names are its lineage, hold all shops, and
    are made again for each of them.
    """
    changed = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
    eager = dg.AutomationCondition.eager().replace("any_deps_updated", changed.with_label("any_deps_updated"))
    again = (
        dg.AutomationCondition.execution_failed()
        & dg.AutomationCondition.cron_tick_passed(TRY_AGAIN)
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
    ).with_label("failed, try again")
    lineage = dg.AssetSelection.groups("contract", "marts") - dg.AssetSelection.assets(SHOP_READY)
    return ((eager | again) & dg.AutomationCondition.all_deps_blocking_checks_passed()).ignore(lineage)


def apply_automation(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The assets, those of the domains with their condition."""

    def with_condition(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.group_name not in DOMAINS:
            return spec
        return spec.replace_attributes(automation_condition=on_new_version())

    return [item.map_asset_specs(with_condition) for item in assets]


def automation_sensor(status: dg.DefaultSensorStatus) -> dg.AutomationConditionSensorDefinition:
    """What evaluates the conditions. Declared, for Dagster would make one of its own that nobody switches on."""
    return dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.groups(*DOMAINS),
        default_status=status,
        minimum_interval_seconds=15,
        description="Requests what the domains make of a shop when the shop, or what it stands on, has a new version.",
    )
