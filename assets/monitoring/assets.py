"""The Dagster layer of monitoring: `monitoring/drift`, one partition a shop with interactions."""

from typing import Any

import dagster as dg

from assets import markdown
from assets.monitoring.drift import clock, ensure_monitoring, look, past_windows, state_of, write
from assets.monitoring.report import figure, page, png, table
from assets.monitoring.statistics import Rules
from resources.dagster_resources import LakeResource, TrackingResource, WarehouseResource
from resources.filesystem import whole_file
from resources.shops import Shop
from resources.tracking import model_name

OWNER = "team:ml"
DRIFT = dg.AssetKey(["monitoring", "drift"])
NO_CHAMPION = "no champion"
_DOMAIN = "recommender"


def monitored(shops: dict[str, Shop]) -> list[str]:
    """The shops whose customers leave something to look at."""
    return [name for name, shop in shops.items() if shop.has_interactions]


def build_monitoring_assets(shops: dict[str, Shop]) -> list[dg.AssetsDefinition]:
    """`monitoring/drift`; nothing where no shop has orders or events."""
    names = monitored(shops)
    if not names:
        return []

    @dg.asset(
        key=DRIFT,
        partitions_def=dg.StaticPartitionsDefinition(names),
        deps=[
            dg.AssetDep(dg.AssetKey(["contract", "shop_ready"]), partition_mapping=dg.IdentityPartitionMapping()),
            dg.AssetKey([_DOMAIN, "recommendations"]),
        ],
        group_name="monitoring",
        owners=[OWNER],
        kinds={"postgres", "python"},
        description=(
            "One partition is one shop: its last closed days, and what is recommended at present, against the days "
            "that the champion of its recommender was trained on and what it recommended first. Written to "
            "monitoring.drift and monitoring.drift_windows; the sensor `drift` and promotion read it there. A window "
            "of the same day, champion and rows is not written again."
        ),
    )
    def drift(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        tracking: TrackingResource,
        lake: LakeResource,
    ) -> dg.MaterializeResult:
        shop, rules, client = context.partition_key, Rules(), warehouse.client()
        champion = tracking.client().champion(model_name(_DOMAIN, shop))
        with client.connect() as connection:
            ensure_monitoring(connection)
            as_of = clock(connection, shop)[0]
        if champion is None or as_of is None:
            verdict = "no champion yet: there is nothing to compare with" if as_of else "the shop has no closed day yet"
            return dg.MaterializeResult(
                metadata={"shop": shop, "as of": str(as_of), "model version": "none", "verdict": verdict},
                data_version=dg.DataVersion(NO_CHAMPION),
            )
        window = look(client, shop, champion, as_of, rules)
        with client.connect() as connection:
            is_new = write(connection, window)
            state = state_of(past_windows(connection, shop, champion.name, champion.version), rules)
        metadata: dict[str, Any] = {
            "shop": shop,
            "as of": str(as_of),
            "model version": champion.version,
            "verdict": window.reason,
            "fired": str(state.fired) if state.fired else "no",
            "written": is_new,
        }
        picture = png(figure(window)) if window.findings else None
        if picture is not None:
            metadata["features"] = dg.MetadataValue.md(table(window))
            metadata["plot"] = dg.MetadataValue.md(markdown.picture(picture))
        name = f"monitoring/{shop}/drift-{as_of}-v{champion.version}.html"
        store = lake.client(context.log.info)
        if is_new:
            with whole_file(store.location, name, context.log.info) as stream:
                stream.write(page(window, picture).encode())
        metadata["report"] = dg.MetadataValue.path(store.path(name))
        return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(window.fingerprint))

    return [drift]
