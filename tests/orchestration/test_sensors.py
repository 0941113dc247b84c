"""The sensors and the schedule: what makes them request a run, what they wait for, and that each skip says why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.extracts import ledger
from assets.marts import readiness
from assets.marts.assets import SHOP_READY
from assets.marts.project import code_hash, read_manifest
from orchestration.definitions import build_defs
from orchestration.environments import SWITCHES
from orchestration.jobs import build_jobs
from orchestration.schedules import build_schedules
from orchestration.sensors import build_sensors, evaluate_build, ready_version
from resources.dagster_resources import ObjectsResource, WarehouseResource
from resources.settings import Environment, Settings, load_settings
from resources.shops import ObjectSource, Shop, Table, load_shops
from resources.warehouse import Warehouse
from tests.rig import Rig, rows

MODELS: readiness.Models = {"fct_one": None, "mart_two": None}
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def shop(name: str, location: str | None = None) -> Shop:
    return Shop(
        name=name,
        title=name,
        timezone="UTC",
        currency="GBP",
        language="en",
        live=False,
        provides=["orders"],
        source=ObjectSource(kind="objects", location=location),
        tables={"lines": Table(objects=["*"]), "more": Table(objects=["more*"])},
    )


def sensor_of(
    name: str, settings: Settings, shops: dict[str, Shop], models: readiness.Models = MODELS
) -> dg.SensorDefinition:
    return next(item for item in build_sensors(settings, shops, models, [], build_jobs()) if item.name == name)


def skip_of(result: dg.SensorResult) -> str:
    assert not result.run_requests
    assert result.skip_reason is not None
    assert result.skip_reason.skip_message
    return str(result.skip_reason.skip_message)


# The inbox


class Inbox:
    """Ticks of the inbox sensor over two shops; the cursor is carried on."""

    def __init__(self, home: Path, shops: dict[str, Shop] | None = None) -> None:
        self.settings = load_settings(home=home, environment="test")
        self.shops = shops or {name: shop(name) for name in ("first", "second")}
        self.sensor = sensor_of("inbox", self.settings, self.shops)
        self.cursor: str | None = None
        self.run_keys: list[str] = []

    def put(self, name: str, text: str, shop_name: str = "first") -> Path:
        path = self.settings.inbox / shop_name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def tick(self) -> dg.SensorResult:
        context = dg.build_sensor_context(
            cursor=self.cursor, resources={"objects": ObjectsResource(home=str(self.settings.home))}
        )
        result = self.sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        self.run_keys += [str(request.run_key) for request in result.run_requests or []]
        return result

    def asked(self) -> list[str]:
        return [request.tags["shop"] for request in self.tick().run_requests or []]


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path)


def test_an_empty_inbox_is_no_reason_for_a_run(inbox: Inbox) -> None:
    for _ in range(3):
        assert skip_of(inbox.tick()) == "first: no objects; second: no objects"


def test_new_objects_are_requested_once_they_are_the_same_on_two_ticks(inbox: Inbox) -> None:
    inbox.put("a.csv", "1")
    assert "first: 1 objects changed, waiting" in skip_of(inbox.tick())
    requests = inbox.tick().run_requests or []
    assert [request.asset_selection for request in requests] == [
        [dg.AssetKey(["raw", "first", "lines"]), dg.AssetKey(["raw", "first", "more"])]
    ]
    assert requests[0].tags == {"shop": "first", "cause": "inbox"}
    for _ in range(3):
        assert skip_of(inbox.tick()) == "first: 1 objects, nothing new; second: no objects"


def test_a_file_that_is_still_growing_is_waited_for(inbox: Inbox) -> None:
    for length in range(1, 6):
        inbox.put("a.csv", "x" * length)
        assert inbox.asked() == []
    assert inbox.asked() == ["first"]


def test_a_changed_file_is_requested_again_in_another_run(inbox: Inbox) -> None:
    inbox.put("a.csv", "1")
    assert [inbox.asked(), inbox.asked()] == [[], ["first"]]
    inbox.put("a.csv", "22")
    assert [inbox.asked(), inbox.asked(), inbox.asked()] == [[], ["first"], []]
    assert len(set(inbox.run_keys)) == 2


def test_only_the_shop_that_changed_is_requested(inbox: Inbox) -> None:
    inbox.put("a.csv", "1")
    inbox.put("b.csv", "1", "second")
    assert [inbox.asked(), inbox.asked()] == [[], ["first", "second"]]
    inbox.put("c.csv", "1", "second")
    assert [inbox.asked(), inbox.asked(), inbox.asked()] == [[], ["second"], []]


def test_the_same_state_gives_the_same_run_key_so_that_a_lost_cursor_repeats_nothing(inbox: Inbox) -> None:
    inbox.put("a.csv", "1")
    inbox.asked(), inbox.asked()
    inbox.cursor = None
    inbox.asked(), inbox.asked()
    assert len(inbox.run_keys) == 2 and len(set(inbox.run_keys)) == 1


def test_a_cursor_of_another_version_starts_anew(inbox: Inbox) -> None:
    inbox.put("a.csv", "1")
    inbox.asked(), inbox.asked()
    held = json.loads(str(inbox.cursor))
    inbox.cursor = json.dumps({**held, "version": 0})
    assert [inbox.asked(), inbox.asked()] == [[], ["first"]]


def test_what_is_taken_away_is_no_deletion_and_what_is_put_back_is_looked_at(inbox: Inbox) -> None:
    file = inbox.put("a.csv", "1")
    inbox.asked(), inbox.asked()
    file.unlink()
    assert [inbox.asked(), inbox.asked()] == [[], []]
    inbox.put("a.csv", "1")
    assert [inbox.asked(), inbox.asked()] == [[], ["first"]]


def test_unfinished_uploads_are_not_seen(inbox: Inbox) -> None:
    inbox.put("a.csv.part", "1")
    inbox.put(".hidden", "1")
    assert "first: no objects" in skip_of(inbox.tick())


def test_a_source_that_is_away_does_not_hide_the_others(tmp_path: Path) -> None:
    shops = {"away": shop("away", "nosuchscheme://bucket/prefix"), "first": shop("first")}
    inbox = Inbox(tmp_path, shops)
    inbox.put("a.csv", "1")
    assert "away: its source cannot be listed" in skip_of(inbox.tick())
    assert inbox.asked() == ["first"]


# The build sensor, on a real warehouse


@pytest.fixture
def built(rig: Rig, warehouse: Warehouse) -> Iterator[Built]:
    made = Built(rig, warehouse)
    made.clear()
    yield made
    made.clear()


class Built:
    """A rig's shop whose models are said to be built and tested, as dbt says it in the ledger."""

    def __init__(self, rig: Rig, warehouse: Warehouse) -> None:
        self.rig, self.warehouse = rig, warehouse
        self.shops = {rig.shop.name: rig.shop}
        self.resource = WarehouseResource(home=str(warehouse.settings.home))
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor: str | None = None
        self.run_keys: list[str] = []

    def load(self, name: str, start: int) -> None:
        self.rig.load(name, rows(20, start))

    def build(self, models: Iterable[str] = MODELS) -> None:
        with self.warehouse.connect() as connection:
            for model in models:
                connection.execute(
                    "insert into ledger.builds (shop, model, change_id, code)"
                    " select %(shop)s, %(model)s, coalesce(max(change_id), 0), %(code)s"
                    " from ledger.changes where shop = %(shop)s"
                    " on conflict (shop, model) do update set change_id = excluded.change_id, code = excluded.code",
                    {"shop": self.rig.shop.name, "model": model, "code": code_hash(self.rig.shop)},
                )

    def test(self) -> None:
        with self.warehouse.connect() as connection:
            readiness.mark_tested(connection, self.rig.shop, made_id=0)

    def version(self) -> str:
        with self.warehouse.connect() as connection:
            return readiness.data_version(connection, self.rig.shop)

    def tick(self, now: datetime) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = evaluate_build(context, self.resource, self.shops, MODELS, now)
        self.cursor = result.cursor
        self.run_keys += [str(request.run_key) for request in result.run_requests or []]
        return result

    def clear(self) -> None:
        with self.warehouse.connect() as connection:
            ledger.ensure_ledger(connection)
            for table in ("builds", "tests"):
                connection.execute(f"delete from ledger.{table} where shop = %s", [self.rig.shop.name])  # type: ignore[arg-type]


def test_nothing_is_to_build_where_all_is_built_and_tested(built: Built) -> None:
    built.load("a.csv", 0)
    built.build()
    built.test()
    assert skip_of(built.tick(NOW)) == "contract and marts hold all changes and are tested"


def test_a_change_is_requested_once_and_then_cools_down(built: Built) -> None:
    built.load("a.csv", 0)
    requests = built.tick(NOW).run_requests or []
    assert [request.tags for request in requests] == [{"cause": "build"}]
    assert "cooling down" in skip_of(built.tick(NOW + timedelta(seconds=5)))
    assert built.version() in skip_of(built.tick(NOW + timedelta(minutes=29)))


def test_what_is_built_and_not_tested_is_requested(built: Built) -> None:
    built.load("a.csv", 0)
    built.build()
    assert built.tick(NOW).run_requests
    built.test()
    assert skip_of(built.tick(NOW))


def test_one_model_that_is_behind_is_enough(built: Built) -> None:
    built.load("a.csv", 0)
    built.build(list(MODELS)[:1])
    assert built.tick(NOW).run_requests


def test_other_code_is_a_reason(built: Built) -> None:
    built.load("a.csv", 0)
    built.build()
    built.test()
    with built.warehouse.connect() as connection:
        connection.execute("update ledger.builds set code = 'older' where model = %s", [next(iter(MODELS))])
    assert built.tick(NOW).run_requests


def test_a_build_that_fails_is_asked_for_again_three_times_and_then_somebody_is_called_once(built: Built) -> None:
    built.load("a.csv", 0)
    asked, said = [], []
    for minutes in range(0, 300, 10):
        result = built.tick(NOW + timedelta(minutes=minutes))
        if result.run_requests:
            asked.append(minutes)
        else:
            said.append(skip_of(result))
    assert asked == [0, 30, 60]
    assert len(set(built.run_keys)) == 3
    assert sum("3 requests did not help: somebody must look" in reason for reason in said) == 1
    assert said[-1].endswith("alerted, waiting for somebody")


def test_another_change_is_another_matter(built: Built) -> None:
    built.load("a.csv", 0)
    for minutes in (0, 30, 60, 90):
        built.tick(NOW + timedelta(minutes=minutes))
    assert "waiting for somebody" in skip_of(built.tick(NOW + timedelta(minutes=120)))
    built.load("b.csv", 100)
    assert built.tick(NOW + timedelta(minutes=121)).run_requests, "a new file is asked for at once"


def test_a_success_forgets_the_failures(built: Built) -> None:
    built.load("a.csv", 0)
    assert built.tick(NOW).run_requests
    built.build()
    built.test()
    built.tick(NOW)
    assert json.loads(str(built.cursor))["state"] == {}


def test_the_build_sensor_itself_reads_the_ledger(built: Built) -> None:
    built.load("a.csv", 0)
    sensor = sensor_of("build", built.warehouse.settings, built.shops)
    assert sensor.job_name == "build"
    result = sensor(dg.build_sensor_context(instance=built.instance, resources={"warehouse": built.resource}))
    assert isinstance(result, dg.SensorResult)
    assert result.run_requests


# The readiness sensor


def readiness_tick(built: Built) -> dg.SensorResult:
    sensor = sensor_of("readiness", built.warehouse.settings, built.shops)
    result = sensor(dg.build_sensor_context(instance=built.instance, resources={"warehouse": built.resource}))
    assert isinstance(result, dg.SensorResult)
    return result


def declare_ready(built: Built, version: str) -> None:
    built.instance.report_runless_asset_event(
        dg.AssetMaterialization(SHOP_READY, partition=built.rig.shop.name, tags={"dagster/data_version": version})
    )


def test_a_shop_without_data_is_not_declared_ready(built: Built) -> None:
    built.build()
    built.test()
    assert skip_of(readiness_tick(built)) == "testshop: no data"


def test_a_shop_that_is_behind_or_untested_is_waited_for(built: Built) -> None:
    built.load("a.csv", 0)
    assert skip_of(readiness_tick(built)) == "testshop: 2 models to build"
    built.build()
    assert skip_of(readiness_tick(built)) == "testshop: tests to run"


def test_a_new_version_is_declared_ready_once(built: Built) -> None:
    built.load("a.csv", 0)
    built.build()
    built.test()
    requests = readiness_tick(built).run_requests or []
    version = built.version()
    assert [(request.run_key, request.partition_key) for request in requests] == [
        (f"ready:testshop:{version}", "testshop")
    ]
    assert [request.run_key for request in readiness_tick(built).run_requests or []] == [f"ready:testshop:{version}"]
    declare_ready(built, version)
    assert ready_version(built.instance, "testshop") == version
    assert skip_of(readiness_tick(built)) == f"testshop: nothing changed since version {version}"


def test_another_file_makes_another_version(built: Built) -> None:
    built.load("a.csv", 0)
    built.build()
    built.test()
    before = built.version()
    declare_ready(built, before)
    built.load("b.csv", 100)
    assert skip_of(readiness_tick(built)) == "testshop: 2 models to build"
    built.build()
    built.test()
    assert built.version() != before
    assert len(readiness_tick(built).run_requests or []) == 1


# The schedule


def test_the_daily_schedule_asks_for_each_shop_in_a_run_of_its_own(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, environment="production")
    shops = {name: shop(name) for name in ("first", "second")}
    (schedule,) = build_schedules(settings, shops)
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 3, 2, 5, 0, tzinfo=UTC))
    requests: Any = list(schedule(context))  # type: ignore[arg-type]
    assert [request.run_key for request in requests] == ["daily:first:2026-03-02", "daily:second:2026-03-02"]
    assert [[key.path for key in request.asset_selection] for request in requests] == [
        [["raw", name, "lines"], ["raw", name, "more"]] for name in ("first", "second")
    ]
    assert schedule.cron_schedule == "0 5 * * *"
    assert schedule.execution_timezone == "UTC"


# Environments


def test_every_environment_stands_in_the_table() -> None:
    assert set(SWITCHES) == set(Environment)


@pytest.mark.parametrize("environment", list(Environment))
def test_each_automation_has_the_status_that_the_table_gives_it(environment: Environment, tmp_path: Path) -> None:
    repository = build_defs(load_settings(home=tmp_path, environment=environment)).get_repository_def()
    on = SWITCHES[environment]
    wanted = {
        "inbox": on.inbox,
        "streams": on.streams,
        "build": on.build,
        "readiness": on.readiness,
        "freshness": on.freshness,
        "automation": on.automation,
        "drift": on.drift,
    }
    assert {
        sensor.name: sensor.default_status == dg.DefaultSensorStatus.RUNNING for sensor in repository.sensor_defs
    } == wanted
    assert {
        schedule.name: schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        for schedule in repository.schedule_defs
    } == {"daily_extract": on.daily_extract}


def test_nothing_starts_by_itself_under_test() -> None:
    assert not any(vars(SWITCHES[Environment.TEST]).values())


def test_the_models_that_are_watched_are_those_of_the_project() -> None:
    models = readiness.tracked_models(read_manifest(load_shops(load_settings().shops_file)))
    assert {"fct_orders", "fct_order_items", "mart_daily_sales"} <= set(models)
