"""The freshness table clause by clause: what is stale, when it is asked for again, when somebody is called."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from orchestration.definitions import build_defs
from orchestration.freshness import (
    DAILY,
    RULES_VERSION,
    TABLE,
    Decision,
    Memory,
    Rule,
    apply_freshness,
    decide,
    request_or_wait,
    rule_for,
)
from orchestration.sensors import evaluate_freshness
from resources.settings import load_settings
from resources.shops import ObjectSource, Shop, Table

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULE = Rule(warn_after=25 * HOUR, fail_after=26 * HOUR, cool_down=2 * HOUR, max_requests=3)
RAW = dg.AssetKey(["raw", "lively", "lines"])
OTHER = dg.AssetKey(["raw", "lively", "items"])
MART = dg.AssetKey(["marts", "mart_daily_sales"])
QUIET = dg.AssetKey(["raw", "quiet", "lines"])
VIEW = dg.AssetKey(["staging", "stg_lively__orders"])
READY = dg.AssetKey(["contract", "shop_ready"])


def shop(name: str, live: bool) -> Shop:
    return Shop(
        name=name,
        title=name,
        timezone="UTC",
        currency="GBP",
        language="en",
        live=live,
        provides=["orders"],
        source=ObjectSource(kind="objects"),
        tables={"lines": Table(objects=["*"]), "items": Table(objects=["*"])},
    )


SHOPS = {"lively": shop("lively", live=True), "quiet": shop("quiet", live=False)}
NONE_LIVE = {"quiet": SHOPS["quiet"]}


# decide, clause by clause


def test_an_asset_within_its_age_is_left_alone() -> None:
    decision = decide(RULE, Memory(), NOW - 3 * HOUR, NOW)
    assert decision == Decision(False, False, "fresh: 3.0 h old, 26.0 h allowed", Memory())


def test_the_allowed_age_itself_is_still_fresh_and_a_second_more_is_not() -> None:
    assert not decide(RULE, Memory(), NOW - 26 * HOUR, NOW).request
    assert decide(RULE, Memory(), NOW - 26 * HOUR - timedelta(seconds=1), NOW).request


def test_it_is_requested_on_the_edge() -> None:
    decision = decide(RULE, Memory(), NOW - 30 * HOUR, NOW)
    assert decision.request and not decision.alert
    assert decision.reason == "30.0 h old, 26.0 h allowed; request 1 of 3"
    assert decision.memory == Memory(requests=1, last_request=NOW.timestamp(), alerted=False)


def test_an_asset_that_was_never_built_is_stale() -> None:
    decision = decide(RULE, Memory(), None, NOW)
    assert decision.request
    assert decision.reason == "never built; request 1 of 3"


def test_it_is_not_requested_again_while_it_cools_down() -> None:
    before = decide(RULE, Memory(), None, NOW).memory
    decision = decide(RULE, before, None, NOW + 2 * HOUR - timedelta(seconds=1))
    assert (decision.request, decision.alert, decision.memory) == (False, False, before)
    assert decision.reason == "never built; requested 2.0 h ago, cooling down"


def test_it_is_requested_again_after_the_cool_down() -> None:
    before = decide(RULE, Memory(), None, NOW).memory
    decision = decide(RULE, before, None, NOW + 2 * HOUR)
    assert decision.request
    assert decision.memory == Memory(requests=2, last_request=(NOW + 2 * HOUR).timestamp())


def test_at_most_so_many_requests_then_one_alert_then_silence() -> None:
    memory, seen = Memory(), []
    for hours in range(0, 40, 2):
        decision = decide(RULE, memory, None, NOW + hours * HOUR)
        memory = decision.memory
        seen.append("request" if decision.request else "alert" if decision.alert else "wait")
    assert seen == ["request"] * 3 + ["alert"] + ["wait"] * 16
    assert decision.reason == "never built; alerted, waiting for somebody"


def test_the_alert_comes_only_after_the_last_request_had_its_time() -> None:
    memory = Memory(requests=3, last_request=NOW.timestamp())
    assert not decide(RULE, memory, None, NOW + HOUR).alert
    decision = decide(RULE, memory, None, NOW + 2 * HOUR)
    assert decision.alert
    assert decision.reason == "never built, and 3 requests did not help: somebody must look"


@pytest.mark.parametrize(
    "memory", [Memory(1, NOW.timestamp()), Memory(3, NOW.timestamp()), Memory(3, NOW.timestamp(), True)]
)
def test_a_recovery_forgets_everything(memory: Memory) -> None:
    later = NOW + 5 * HOUR
    recovered = decide(RULE, memory, later - HOUR, later)
    assert recovered.memory == Memory() and not recovered.request
    again = decide(RULE, recovered.memory, later - HOUR, later + 26 * HOUR)
    assert again.request and again.memory.requests == 1


def test_request_or_wait_begins_each_reason_with_the_state() -> None:
    memory = Memory()
    for hours in range(12):
        decision = request_or_wait(RULE, memory, "in ruins", NOW + hours * HOUR)
        assert decision.reason.startswith("in ruins")
        memory = decision.memory


def test_memory_survives_json() -> None:
    memory = Memory(2, NOW.timestamp(), True)
    assert Memory(**json.loads(json.dumps(memory.as_json()))) == memory


# The table


def test_raw_tables_of_live_shops_have_a_rule_and_those_of_others_none() -> None:
    assert rule_for(RAW, SHOPS) == TABLE["raw"] == DAILY
    assert rule_for(QUIET, SHOPS) is None


def test_marts_and_contract_have_a_rule_while_any_shop_is_live() -> None:
    assert rule_for(MART, SHOPS) == TABLE["marts"]
    assert rule_for(dg.AssetKey(["contract", "fct_orders"]), SHOPS) == TABLE["contract"]
    assert rule_for(MART, NONE_LIVE) is None


@pytest.mark.parametrize("key", [VIEW, READY, dg.AssetKey(["contract", "dim_date"])])
def test_what_stores_nothing_or_is_judged_elsewhere_has_no_rule(key: dg.AssetKey) -> None:
    assert rule_for(key, SHOPS) is None


def test_the_rules_leave_a_late_night_its_grace() -> None:
    for rule in TABLE.values():
        assert timedelta(hours=24) < rule.warn_after < rule.fail_after
        assert rule.cool_down * rule.max_requests < timedelta(hours=24)


def test_policies_are_put_on_the_assets_that_have_a_rule() -> None:
    everything = dg.AssetsDefinition(specs=[dg.AssetSpec(key) for key in (RAW, QUIET, MART, VIEW, READY)])
    specs = {spec.key: spec for item in apply_freshness([everything], SHOPS) for spec in item.specs}
    wanted = dg.FreshnessPolicy.time_window(fail_window=DAILY.fail_after, warn_window=DAILY.warn_after)
    assert {key for key, spec in specs.items() if spec.freshness_policy == wanted} == {RAW, MART}
    assert all(specs[key].freshness_policy is None for key in (QUIET, VIEW, READY))


def test_no_asset_of_online_retail_has_a_policy_for_it_ends_in_2011(tmp_path: Any) -> None:
    defs = build_defs(load_settings(home=tmp_path, environment="production"))
    assert [spec.key for spec in defs.resolve_all_asset_specs() if spec.freshness_policy is not None] == []


# The sensor, on an instance with real events


class Ticks:
    """Ticks of the sensor at chosen instants; the cursor is carried on, as the daemon does it."""

    def __init__(self, keys: list[dg.AssetKey], shops: dict[str, Shop] = SHOPS) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.keys, self.shops, self.cursor = keys, shops, None
        self.run_keys: list[str] = []

    def make(self, key: dg.AssetKey) -> datetime:
        """A real materialization; returns its instant, which Dagster takes from the clock."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization(key))
        event = self.instance.get_latest_materialization_event(key)
        assert event is not None
        return datetime.fromtimestamp(event.timestamp, UTC)

    def __call__(self, now: datetime) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = evaluate_freshness(context, self.shops, self.keys, now)
        self.cursor = result.cursor
        self.run_keys += [str(request.run_key) for request in result.run_requests or []]
        assert bool(result.run_requests) != bool(result.skip_reason), "a tick either requests or says why not"
        return result


def jobs_of(result: dg.SensorResult) -> list[str | None]:
    return [request.job_name for request in result.run_requests or []]


def test_the_whole_life_of_a_stale_asset() -> None:
    tick = Ticks([RAW])
    made = tick.make(RAW)
    assert tick(made + HOUR).skip_reason.skip_message == "all fresh"
    result = tick(made + 27 * HOUR)
    assert jobs_of(result) == ["extract"]
    assert result.run_requests[0].asset_selection == [RAW]
    assert result.run_requests[0].tags["cause"] == "freshness"
    assert "cooling down" in tick(made + 28 * HOUR).skip_reason.skip_message
    assert jobs_of(tick(made + 29 * HOUR)) == ["extract"]
    assert jobs_of(tick(made + 31 * HOUR)) == ["extract"]
    alert = tick(made + 33 * HOUR)
    assert not alert.run_requests and len(alert.asset_events) == 1
    observation = alert.asset_events[0]
    assert isinstance(observation, dg.AssetObservation)
    assert observation.asset_key == RAW
    assert "3 requests did not help" in str(observation.metadata["alert"].value)
    silent = tick(made + 50 * HOUR)
    assert not silent.run_requests and not silent.asset_events
    assert "waiting for somebody" in silent.skip_reason.skip_message
    assert len(set(tick.run_keys)) == 3, "each request is a run of its own"


def test_a_recovery_begins_the_count_anew() -> None:
    tick = Ticks([RAW])
    start = datetime.now(UTC)
    assert jobs_of(tick(start)) == ["extract"], "never built"
    made = tick.make(RAW)
    assert tick(made + HOUR).skip_reason.skip_message == "all fresh"
    assert json.loads(str(tick.cursor))["state"] == {}
    result = tick(made + 27 * HOUR)
    assert jobs_of(result) == ["extract"]
    assert json.loads(str(tick.cursor))["state"]["raw/lively/lines"]["requests"] == 1
    assert len(set(tick.run_keys)) == 2


def test_run_keys_depend_on_the_edge_alone() -> None:
    first, second = Ticks([RAW, OTHER]), Ticks([RAW, OTHER])
    for hours in (0, 3, 6):
        first(NOW + hours * HOUR)
        second(NOW + hours * HOUR)
    assert first.run_keys == second.run_keys
    assert len(set(first.run_keys)) == 3
    assert all(key.startswith(f"freshness:{RULES_VERSION}:") for key in first.run_keys)


def test_run_keys_of_different_assets_differ() -> None:
    keys = list(
        itertools.chain.from_iterable(
            ((tick := Ticks([key])), tick(NOW), tick.run_keys)[2] for key in (RAW, OTHER, MART)
        )
    )
    assert len(set(keys)) == 3


def test_only_the_stale_of_several_assets_is_requested() -> None:
    tick = Ticks([RAW, OTHER])
    made = tick.make(OTHER)
    result = tick(made + HOUR)
    assert [request.asset_selection for request in result.run_requests or []] == [[RAW]]


def test_raw_tables_are_extracted_and_all_else_is_built() -> None:
    result = Ticks([RAW, MART])(NOW)
    assert jobs_of(result) == ["extract", "build"]
    assert (result.run_requests or [])[1].asset_selection is None, "the ledger says which models have anything to do"


def test_a_cursor_of_another_version_starts_anew() -> None:
    tick = Ticks([RAW])
    tick(NOW)
    held = json.loads(str(tick.cursor))
    tick.cursor = json.dumps({**held, "version": RULES_VERSION + 1})
    assert jobs_of(tick(NOW + timedelta(minutes=1))) == ["extract"], "it is not cooling down under the new rules"
    assert json.loads(str(tick.cursor))["version"] == RULES_VERSION


def test_a_shop_that_is_not_live_is_never_stale() -> None:
    tick = Ticks([QUIET, VIEW, READY], NONE_LIVE)
    for years in range(0, 20, 5):
        result = tick(NOW + timedelta(days=365 * years))
        assert result.skip_reason.skip_message == "no shop is live, so no asset has a freshness rule"
        assert not result.asset_events


def test_two_assets_alert_each_for_itself_and_once() -> None:
    tick = Ticks([RAW, OTHER])
    alerts = [tick(NOW + hours * HOUR).asset_events for hours in range(0, 30, 2)]
    assert [len(events) for events in alerts if events] == [2]
