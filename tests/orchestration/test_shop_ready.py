"""`contract/shop_ready` end to end over two shops: one shop's bad day is its own, and nothing runs in vain."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from assets.marts import project, readiness
from assets.marts.assets import SHOP_READY
from orchestration.automation import on_new_version
from orchestration.definitions import build_defs
from orchestration.sensors import ready_version
from resources.embedded_postgres import release
from resources.settings import PROJECT_ROOT, get_settings
from resources.shops import Shop, load_shops
from resources.warehouse import Warehouse
from tests.rig import row, rows, sheet

GOOD, BAD = "online_retail", "corner_shop"


class World:
    """A home with two shops of the same make; the second has staging models of its own in a copy of the dbt project."""

    def __init__(self, folder: Path) -> None:
        self.home, self.dbt = folder / "home", folder / "dbt_project"
        self._two_shops(folder)
        os.environ |= {
            "CARTOGRAPH_HOME": str(self.home),
            "CARTOGRAPH_DBT_PROJECT": str(self.dbt),
            "CARTOGRAPH_SHOPS_FILE": str(folder / "shops.yaml"),
            "CARTOGRAPH_ENV": "test",
        }
        self.reload()
        self.warehouse = Warehouse(self.settings)

    def _two_shops(self, folder: Path) -> None:
        entry = yaml.safe_load((PROJECT_ROOT / "config" / "shops.yaml").read_text())["shops"][GOOD]
        second = {**entry, "title": "Corner shop", "timezone": "Europe/Lisbon", "currency": "EUR"}
        (folder / "shops.yaml").write_text(yaml.safe_dump({"shops": {GOOD: entry, BAD: second}}, sort_keys=False))
        shutil.copytree(
            PROJECT_ROOT / "dbt_project", self.dbt, ignore=shutil.ignore_patterns("target", "logs", "_unit_tests.yml")
        )
        staging = self.dbt / "models" / "staging"
        (staging / BAD).mkdir()
        for file in (staging / GOOD).iterdir():
            text = file.read_text().replace(GOOD, BAD)
            (staging / BAD / file.name.replace(GOOD, BAD)).write_text(text)

    def reload(self) -> None:
        """What a new process sees: settings, shops, code."""
        get_settings.cache_clear()
        project._code_hash.cache_clear()
        self.settings = get_settings()
        self.shops: dict[str, Shop] = load_shops(self.settings.shops_file)
        self.defs = build_defs(self.settings)

    def put(self, shop: str, name: str, lines: list[str]) -> None:
        path = self.settings.inbox / shop / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sheet(lines))

    def run(
        self, instance: dg.DagsterInstance, keys: list[dg.AssetKey], partition: str | None = None, sound: bool = True
    ) -> dg.ExecuteInProcessResult:
        job = self.defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            instance=instance, asset_selection=keys, partition_key=partition, raise_on_error=False
        )
        assert result.success == sound
        return result

    def extract(self, instance: dg.DagsterInstance, shop: str) -> dg.ExecuteInProcessResult:
        return self.run(instance, [dg.AssetKey(["raw", shop, "invoice_lines"])])

    def build(self, instance: dg.DagsterInstance, sound: bool = True) -> dg.ExecuteInProcessResult:
        graph = self.defs.resolve_asset_graph()
        keys = [
            key
            for key in graph.executable_asset_keys
            if key.path[0] in ("staging", "contract", "marts") and key != SHOP_READY
        ]
        return self.run(instance, keys, sound=sound)

    def ready(self, instance: dg.DagsterInstance, shop: str, sound: bool = True) -> dg.ExecuteInProcessResult:
        return self.run(instance, [SHOP_READY], shop, sound)

    def version(self, shop: str) -> str:
        with self.warehouse.connect() as connection:
            return readiness.data_version(connection, self.shops[shop])

    def writers_of(self, shop: str) -> Any:
        """The transactions that wrote a shop's orders of the first days."""
        query = "select array_agg(distinct xmin::text) from contract.fct_orders where shop = %s and order_date < %s"
        with self.warehouse.connect() as connection:
            return connection.execute(query, [shop, "2010-12-05"]).fetchone()

    def failures(self, shop: str) -> dict[str, int]:
        tests = project.data_tests(project.read_manifest(self.shops), severity="error")
        with self.warehouse.connect() as connection:
            return readiness.stored_failures(connection, self.shops[shop], tests)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    before, place = dict(os.environ), Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="cgw-"))
    folder.chmod(0o755)
    try:
        made = World(folder)
        instance = dg.DagsterInstance.ephemeral()
        made.put(GOOD, "lines.csv", rows(40))
        # An invoice over midnight: its lines lie on two days, so the order's key stands twice.
        midnight = [
            row(500, InvoiceDate="2010-12-07 23:59:00"),
            row(500, InvoiceDate="2010-12-08 00:01:00", StockCode="1X"),
        ]
        made.put(BAD, "lines.csv", [*rows(40), *midnight])
        for shop in (GOOD, BAD):
            made.extract(instance, shop)
        made.build(instance)
        yield made
    finally:
        # dagster-dbt goes into the project's folder and does not always come back.
        os.chdir(place)
        release(folder / "home")
        os.environ.clear()
        os.environ.update(before)
        get_settings.cache_clear()
        project._code_hash.cache_clear()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


PLAIN_GUARD = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


def downstream_requests(
    world: World,
    instance: dg.DagsterInstance,
    cursor: Any = None,
    condition: dg.AutomationCondition[Any] | None = None,
) -> tuple[list[str | None], Any]:
    """The partitions that the automation of a domain's first asset requests, by default under our condition."""

    @dg.asset(
        deps=[SHOP_READY],
        partitions_def=dg.StaticPartitionsDefinition(list(world.shops)),
        automation_condition=condition or on_new_version(),
    )
    def domain() -> None: ...

    result = dg.evaluate_automation_conditions(
        defs=dg.Definitions.merge(world.defs, dg.Definitions(assets=[domain])),
        instance=instance,
        asset_selection=dg.AssetSelection.assets(domain),
        cursor=cursor,
    )
    wanted = [shop for shop in world.shops if shop in result.get_requested_partitions(domain.key)]
    return wanted, result.cursor


def evaluation(result: dg.ExecuteInProcessResult, name: str = "no_stored_failures") -> dg.AssetCheckEvaluation:
    return next(item for item in result.get_asset_check_evaluations() if item.check_name == name)


# One shop's bad day


def test_stored_failures_belong_to_one_shop(world: World) -> None:
    assert world.failures(GOOD) == {}
    assert "fct_orders_key" in world.failures(BAD)


@pytest.mark.parametrize("condition", [on_new_version(), PLAIN_GUARD], ids=["on_new_version", "eager and guard"])
@pytest.mark.parametrize("order", [(BAD, GOOD), (GOOD, BAD)], ids=["bad first", "good first"])
def test_one_shops_bad_day_does_not_stop_the_other(
    world: World, instance: dg.DagsterInstance, order: tuple[str, str], condition: dg.AutomationCondition[Any]
) -> None:
    _, cursor = downstream_requests(world, instance, condition=condition)
    for shop in order:
        result = world.ready(instance, shop, sound=shop == GOOD)
        assert evaluation(result).passed == (shop == GOOD)
        assert evaluation(result).partition == shop
        assert evaluation(result).severity == dg.AssetCheckSeverity.ERROR
    # The pass of one has not cleared the failure of the other, nor the other way round.
    requested, cursor = downstream_requests(world, instance, cursor, condition)
    assert requested == [GOOD]


def test_the_failure_stands_after_the_other_shop_passed_again(world: World, instance: dg.DagsterInstance) -> None:
    _, cursor = downstream_requests(world, instance)
    world.ready(instance, BAD, sound=False)
    for _ in range(2):
        world.ready(instance, GOOD)
    assert downstream_requests(world, instance, cursor)[0] == [GOOD]
    storage = instance.event_log_storage
    key = dg.AssetCheckKey(SHOP_READY, "no_stored_failures")
    latest = {}
    for record in storage.get_asset_check_execution_history(key, limit=20):
        latest.setdefault(record.partition, record.status.value)
    assert latest == {BAD: "FAILED", GOOD: "SUCCEEDED"}


def test_without_its_guard_a_domain_would_run_on_the_failed_shop(world: World, instance: dg.DagsterInstance) -> None:
    """So that the tests above prove the guard and not something else that holds the shop back."""
    _, cursor = downstream_requests(world, instance, condition=dg.AutomationCondition.eager())
    world.ready(instance, BAD, sound=False)
    assert downstream_requests(world, instance, cursor, dg.AutomationCondition.eager())[0] == [BAD]


def test_the_failure_says_where_to_look(world: World, instance: dg.DagsterInstance) -> None:
    metadata = evaluation(world.ready(instance, BAD, sound=False)).metadata
    assert metadata["shop"].value == BAD
    assert metadata["failing tests"].value == len(world.failures(BAD))
    assert f"select * from test_failures.fct_orders_key where shop = '{BAD}'" in str(metadata["failures"].value)


def test_a_shop_that_is_not_live_is_recent_whatever_its_age(world: World, instance: dg.DagsterInstance) -> None:
    check = evaluation(world.ready(instance, GOOD), "is_recent")
    assert check.passed
    assert check.metadata["live"].value is False


def test_the_metadata_begins_with_the_shop_and_holds_its_clock(world: World, instance: dg.DagsterInstance) -> None:
    (event,) = world.ready(instance, GOOD).get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    assert next(iter(metadata)) == "shop"
    assert metadata["as of"].value == "2010-12-28"
    assert metadata["dagster/partition_row_count"].value == 40


# The data version


def test_the_data_version_is_the_same_where_nothing_changed(world: World, instance: dg.DagsterInstance) -> None:
    before = {shop: world.version(shop) for shop in world.shops}
    world.ready(instance, GOOD)
    assert ready_version(instance, GOOD) == before[GOOD]
    world.extract(instance, GOOD)
    world.ready(instance, GOOD)
    assert ready_version(instance, GOOD) == before[GOOD]
    assert {shop: world.version(shop) for shop in world.shops} == before
    assert before[GOOD] != before[BAD]


def test_an_extract_that_found_nothing_returns_its_old_data_version(world: World, instance: dg.DagsterInstance) -> None:
    versions = set()
    for _ in range(2):
        (event,) = world.extract(instance, GOOD).get_asset_materialization_events()
        materialization = event.step_materialization_data.materialization
        versions.add((materialization.tags or {})["dagster/data_version"])
        assert materialization.metadata["rows added"].value == 0
    assert len(versions) == 1


def test_nothing_downstream_is_requested_where_nothing_changed(world: World, instance: dg.DagsterInstance) -> None:
    """Extract again, find nothing: the build has nothing to do, the version is the old one, no domain runs."""
    _, cursor = downstream_requests(world, instance)
    world.ready(instance, GOOD)
    requested, cursor = downstream_requests(world, instance, cursor)
    assert requested == [GOOD]
    instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey("domain"), partition=GOOD))
    world.extract(instance, GOOD)
    assert world.build(instance).get_asset_materialization_events() == []
    requested, cursor = downstream_requests(world, instance, cursor)
    assert requested == []
    # Declared ready again all the same, it has its old data version.
    world.ready(instance, GOOD)
    requested, cursor = downstream_requests(world, instance, cursor)
    assert requested == []


def test_a_shop_is_not_ready_while_its_changes_are_not_built(world: World, instance: dg.DagsterInstance) -> None:
    before = {shop: world.version(shop) for shop in world.shops}
    world.put(GOOD, "more.csv", rows(5, start=900))
    world.extract(instance, GOOD)
    assert world.version(GOOD) != before[GOOD], "an extract changes the version"
    assert world.version(BAD) == before[BAD], "of that shop only"
    result = world.ready(instance, GOOD, sound=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "models do not hold all committed changes of online_retail yet" in str(
        failure.step_failure_data.user_failure_data.description  # type: ignore[union-attr]
    )
    assert result.get_asset_materialization_events() == []


def test_a_change_of_one_shops_code_makes_that_shop_again_and_no_other(
    world: World, instance: dg.DagsterInstance
) -> None:
    """The bad shop's staging learns to tell the two days apart: it recovers, and the good one is not touched."""
    world.put(GOOD, "more.csv", rows(5, start=900))
    world.extract(instance, GOOD)
    before = {shop: world.version(shop) for shop in world.shops}
    orders = world.dbt / "models" / "staging" / BAD / f"stg_{BAD}__orders.sql"
    items = orders.with_name(f"stg_{BAD}__order_items.sql")
    unique_id = "case when invoice_no = '536865' then invoice_no || '-' || order_date else invoice_no end as order_id"
    assert "invoice_no as order_id" in items.read_text()
    items.write_text(items.read_text().replace("invoice_no as order_id", unique_id))
    world.reload()
    assert world.version(BAD) != before[BAD], "a change of its code changes the version"
    assert world.version(GOOD) == before[GOOD], "of that shop only"
    before_build = world.writers_of(GOOD)
    world.build(instance)
    assert world.writers_of(GOOD) == before_build, "the other shop's unchanged days were not written again"
    assert world.failures(BAD) == {}
    _, cursor = downstream_requests(world, instance)
    for shop in (GOOD, BAD):
        world.ready(instance, shop)
        assert ready_version(instance, shop) == world.version(shop)
    assert downstream_requests(world, instance, cursor)[0] == [GOOD, BAD]


def test_tests_that_never_began_are_not_taken_as_passed(
    world: World, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dbt may end before its first test, and what lies there then are the results of the models."""
    world.put(GOOD, "late.csv", rows(2, start=950))
    world.extract(instance, GOOD)
    monkeypatch.setattr(readiness, "idle_tests", lambda *_: ["nonsense:selector"])
    world.build(instance, sound=False)
    with world.warehouse.connect() as connection:
        assert readiness.untested(connection, world.shops[GOOD])
    assert not evaluation(world.ready(instance, GOOD, sound=False)).passed
