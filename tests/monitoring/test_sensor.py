"""The sensor `drift`: when it asks for a retraining, when it waits, and that each skip says why."""

from __future__ import annotations

import json
from datetime import timedelta

import dagster as dg
import pytest

from assets.monitoring.drift import State, Window, write
from orchestration.drift import COOL_DOWN, MAX_REQUESTS, Memory, build_drift_sensor, decide, evaluate_drift
from orchestration.jobs import RETRAIN
from resources.dagster_resources import TrackingResource, WarehouseResource
from resources.shops import ObjectSource, Shop, Table
from tests.monitoring.conftest import FIRST, Shops

DAY = timedelta(days=1)


def shop(name: str, provides: str = "events") -> Shop:
    return Shop(
        name=name,
        title=name,
        timezone="UTC",
        currency="GBP",
        language="en",
        live=False,
        provides=[provides],  # type: ignore[list-item]
        source=ObjectSource(kind="objects"),
        tables={"lines": Table(objects=["*"])},
    )


class Ticks:
    """Ticks of the sensor over two shops with interactions and one without; the cursor is carried on."""

    def __init__(self, shops: Shops) -> None:
        self.shops, self.cursor, self.errors = shops, None, []
        self.known = {"first": shop("first"), "second": shop("second"), "titles": shop("titles", "products")}
        self.sensor = build_drift_sensor(self.known, dg.DefaultSensorStatus.STOPPED)

    def record(self, name: str, day: int, severity: float, version: int, is_enough: bool = True) -> None:
        window = Window(
            *(name, f"recommender-{name}", version, FIRST + day * DAY, None, severity >= 1, is_enough, severity),
            reason="made up",
            fingerprint=f"{day} {severity}",
        )
        with self.shops.warehouse.connect() as connection:
            write(connection, window)

    def tick(self, home: str | None = None) -> dg.SensorResult:
        place = home or str(self.shops.settings.home)
        context = dg.build_sensor_context(
            cursor=self.cursor,
            resources={
                "warehouse": WarehouseResource(home=str(self.shops.settings.home)),
                "tracking": TrackingResource(home=place),
            },
        )
        result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        assert result.run_requests or (result.skip_reason and result.skip_reason.skip_message)
        return result

    def skipped(self) -> str:
        result = self.tick()
        assert not result.run_requests and result.skip_reason
        return str(result.skip_reason.skip_message)


@pytest.fixture
def ticks(shops: Shops) -> Ticks:
    for name in ("first", "second"):
        shops.drop(name)
        with shops.tracking.client() as client:
            if shops.tracking.versions(f"recommender-{name}"):
                client.delete_registered_model(f"recommender-{name}")
    return Ticks(shops)


def test_without_a_champion_there_is_nothing_to_ask(ticks: Ticks) -> None:
    assert ticks.skipped() == "first: no champion yet; second: no champion yet"


def test_two_drifted_windows_ask_for_that_shop_alone_and_once(ticks: Ticks, shops: Shops) -> None:
    version = shops.champion("first").version
    shops.champion("second")
    assert f"first, version {version}: no window with enough data yet" in ticks.skipped()
    ticks.record("first", 0, 2.0, version)
    assert "one window is not two" in ticks.skipped()
    ticks.record("first", 3, 2.0, version)
    requests = ticks.tick().run_requests or []
    assert [(request.partition_key, request.job_name) for request in requests] == [("first", None)]
    assert requests[0].tags["shop"] == "first" and requests[0].tags["cause"] == "drift"
    assert requests[0].run_key == f"drift:first:recommender-first:{version}:{FIRST + 3 * DAY}"
    assert ticks.sensor.job_name == RETRAIN
    assert "7 of the shop's days to wait" in ticks.skipped()
    # A cursor that is lost asks again under the same key, of which Dagster makes one run.
    ticks.cursor = None
    assert (ticks.tick().run_requests or [])[0].run_key == requests[0].run_key


def test_the_cool_down_is_of_the_shops_days_and_then_there_is_an_alert(ticks: Ticks, shops: Shops) -> None:
    version = shops.champion("first").version
    ticks.record("first", 0, 2.0, version)
    keys = []
    for day in (3, 5, 9, 10, 12, 17, 23, 24, 30):
        ticks.record("first", day, 2.0, version)
        result = ticks.tick()
        keys += [(day, request.run_key) for request in result.run_requests or []]
        if result.asset_events:
            break
    assert [asked for asked, _ in keys] == [3, 10, 17] and len({key for _, key in keys}) == MAX_REQUESTS
    assert day == 24 and (result.asset_events or [])[0].partition == "first"
    assert "waiting for somebody" in ticks.skipped()


def test_a_new_champion_begins_anew(ticks: Ticks, shops: Shops) -> None:
    version = shops.champion("first").version
    for day in (0, 3):
        ticks.record("first", day, 2.0, version)
    assert ticks.tick().run_requests
    later = shops.champion("first").version
    assert f"first, version {later}: no window" in ticks.skipped()
    state = json.loads(ticks.cursor or "{}")["state"]["first"]
    assert state == {"version": later, "requests": 0, "last": None, "alerted": False}
    for day in (12, 15):
        ticks.record("first", day, 2.0, later)
    assert ticks.tick().run_requests


def test_a_cursor_of_another_version_is_left_aside(ticks: Ticks, shops: Shops) -> None:
    version = shops.champion("first").version
    for day in (0, 3):
        ticks.record("first", day, 2.0, version)
    memory = {"version": version, "requests": MAX_REQUESTS, "last": str(FIRST + 3 * DAY), "alerted": True}
    ticks.cursor = json.dumps({"version": 0, "state": {"first": memory}})
    assert ticks.tick().run_requests
    ticks.cursor = json.dumps({"version": 1, "state": {"first": memory}})
    assert "to wait" in ticks.skipped()


def test_a_registry_that_is_away_is_said_and_nothing_is_forgotten(
    ticks: Ticks, shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = shops.champion("first").version
    for day in (0, 3):
        ticks.record("first", day, 2.0, version)
    ticks.tick()
    before = json.loads(ticks.cursor or "{}")
    with monkeypatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        assert "first: its champion cannot be asked for" in ticks.skipped()
    assert json.loads(ticks.cursor or "{}") == before
    assert "to wait" in ticks.skipped()


def test_a_shop_without_interactions_is_none_of_its_business(shops: Shops) -> None:
    context = dg.build_sensor_context()
    result = evaluate_drift(
        context,
        WarehouseResource(home="/nowhere"),
        TrackingResource(home="/nowhere"),
        {"titles": shop("titles", "products")},
    )
    assert result.skip_reason and result.skip_reason.skip_message == "no shop has orders or events"


def test_what_ended_is_forgotten_so_that_drift_may_fire_again() -> None:
    asked = Memory(4, requests=MAX_REQUESTS, last=str(FIRST), alerted=True)
    quiet = decide(State(None, None, FIRST + DAY), asked)
    assert quiet.window is None and quiet.memory == Memory(4)
    again = decide(State(FIRST + 9 * DAY, FIRST + 6 * DAY, FIRST + 9 * DAY), quiet.memory)
    assert again.window == FIRST + 9 * DAY and "request 1 of 3" in again.reason
    wait = decide(State(FIRST, FIRST, FIRST + COOL_DOWN - DAY), Memory(4, 1, str(FIRST)))
    assert wait.window is None and "1 of the shop's days to wait" in wait.reason
