"""The freshness table: how old an asset may become, and what happens when it is older.

A `FreshnessPolicy` shows an asset's state in the UI. What is requested because of it is decided here, by `decide`: a
level such as "stale" would ask for a run on every tick, so a run is requested on the edge, again after a cool-down
while the asset stays stale, at most `max_requests` times, and then there is an alert instead. An asset that was never
built is stale too, which `FreshnessPolicy` calls unknown. Ages are held against the wall clock, so only live shops
have rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import dagster as dg

from resources.shops import Shop

RULES_VERSION = 1


@dataclass(frozen=True)
class Rule:
    """How old an asset may become, and how its making is requested when it is older."""

    warn_after: timedelta
    fail_after: timedelta
    cool_down: timedelta
    max_requests: int


# A daily asset is made each 24 hours; two hours of grace keep a late night from being an alarm.
DAILY = Rule(timedelta(hours=25), timedelta(hours=26), cool_down=timedelta(hours=2), max_requests=3)

TABLE: dict[str, Rule] = {"raw": DAILY, "contract": DAILY, "marts": DAILY}
"""Group of assets -> its rule. Groups that are not named have none: staging holds views, which store nothing."""


def rule_for(key: dg.AssetKey, shops: dict[str, Shop]) -> Rule | None:
    """The rule of an asset. Raw tables follow their shop; contract and marts hold all shops, so any live one counts."""
    group = key.path[0]
    if group == "raw":
        # Of no shop are the events of the API: nobody owes them.
        return TABLE["raw"] if key.path[1] in shops and shops[key.path[1]].live else None
    # Partitioned by shop, and `FreshnessPolicy` is blind to partitions: `is_recent` judges it shop by shop.
    if key.path[-1] in ("shop_ready", "dim_date"):
        return None
    return TABLE.get(group) if any(shop.live for shop in shops.values()) else None


def apply_freshness(assets: Iterable[dg.AssetsDefinition], shops: dict[str, Shop]) -> list[dg.AssetsDefinition]:
    """The assets with the policies of the table."""

    def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
        rule = rule_for(spec.key, shops)
        if rule is None:
            return spec
        policy = dg.FreshnessPolicy.time_window(fail_window=rule.fail_after, warn_window=rule.warn_after)
        return spec.replace_attributes(freshness_policy=policy)

    return [item.map_asset_specs(with_policy) for item in assets]


@dataclass(frozen=True)
class Memory:
    """What is remembered of one asset between ticks."""

    requests: int = 0
    """Requests since it became stale."""
    last_request: float | None = None
    """Seconds since the epoch."""
    alerted: bool = False

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Decision:
    """What to do about one asset now."""

    request: bool
    alert: bool
    reason: str
    memory: Memory


def decide(rule: Rule, memory: Memory, built: datetime | None, now: datetime) -> Decision:
    """Whether to request an asset, to alert, or to wait.

    Args:
        built: when it was last made, None if never.
    """
    age = None if built is None else now - built
    if age is not None and age <= rule.fail_after:
        return Decision(False, False, f"fresh: {_hours(age)} old, {_hours(rule.fail_after)} allowed", Memory())
    state = "never built" if age is None else f"{_hours(age)} old, {_hours(rule.fail_after)} allowed"
    return request_or_wait(rule, memory, state, now)


def request_or_wait(rule: Rule, memory: Memory, state: str, now: datetime) -> Decision:
    """What to do about something that is in a bad state: request, cool down, alert once, wait for a person.

    Args:
        state: the state in words; it begins each reason.
    """
    if memory.last_request is not None:
        waited = timedelta(seconds=now.timestamp() - memory.last_request)
        if waited < rule.cool_down:
            return Decision(False, False, f"{state}; requested {_hours(waited)} ago, cooling down", memory)
    if memory.requests < rule.max_requests:
        after = Memory(requests=memory.requests + 1, last_request=now.timestamp())
        return Decision(True, False, f"{state}; request {after.requests} of {rule.max_requests}", after)
    if not memory.alerted:
        alerted = replace(memory, alerted=True)
        return Decision(
            False, True, f"{state}, and {memory.requests} requests did not help: somebody must look", alerted
        )
    return Decision(False, False, f"{state}; alerted, waiting for somebody", memory)


def _hours(span: timedelta) -> str:
    return f"{span.total_seconds() / 3600:.1f} h"
