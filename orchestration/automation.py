"""The automation conditions that assets may have, by name; none of Dagster's is used bare."""

from typing import Any

import dagster as dg


def on_new_version() -> dg.AutomationCondition[Any]:
    """Requests a partition when the data version of something that it stands on changed: the condition of the domains.

    Trigger: a new data version upstream, or the partition was never made. `eager()` alone asks again whenever something
    upstream is made again, also where nothing in it changed, for on partitions it does not look at versions.
    Guard: no blocking check of what is upstream failed for the partition, nothing upstream is missing or at work, and
    the partition itself is not. Blocking checks hold back only what is in the same run without it.
    Reset: a request is not repeated until there is another version.
    """
    changed = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
    eager = dg.AutomationCondition.eager().replace("any_deps_updated", changed.with_label("any_deps_updated"))
    return eager & dg.AutomationCondition.all_deps_blocking_checks_passed()
