"""API events in the graph: what the sensor requests, what one partition makes, and what the command does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.extracts.assets import API_EVENTS_ASSET, StreamConfig, build_extract_assets
from assets.extracts.stream import extract_events
from orchestration.cli.forget import run_forget
from orchestration.cli.materialize import _shops_with_events, select
from orchestration.freshness import rule_for
from orchestration.sensors import evaluate_streams
from resources.dagster_resources import LakeResource, StreamsResource, WarehouseResource, build_resources
from resources.lake import Lake
from resources.shops import API_EVENTS, Shop, ShopsError, load_shops
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.loop.events_rig import clear, event, raw_ids, store

ONE, TWO = "retailrocket", "anime"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Graph:
    """Two shops without a stream of their own, and ticks of the sensor, whose cursor is carried on."""

    def __init__(self, warehouse: Warehouse, home: Path) -> None:
        self.warehouse, self.home = warehouse, home
        self.shops: dict[str, Shop] = {name: load_shops(ALL_SHOPS)[name] for name in (ONE, TWO)}
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor: str | None = None
        self.now = NOW

    def tick(self, after: timedelta = timedelta(0)) -> str | list[dg.RunRequest]:
        """The requests, or why there are none."""
        self.now += after
        result = evaluate_streams(
            dg.build_sensor_context(instance=self.instance, cursor=self.cursor),
            WarehouseResource(home=str(self.warehouse.settings.home)),
            StreamsResource(home=str(self.home)),
            self.shops,
            self.now,
        )
        self.cursor = result.cursor
        if result.run_requests:
            return list(result.run_requests)
        assert result.skip_reason is not None
        return str(result.skip_reason.skip_message)

    def extract(self, shop: str) -> None:
        extract_events(self.warehouse, Lake(str(self.home / "lake")), self.shops[shop], say=lambda _: None)

    def materialize(self, shop: str) -> dg.ExecuteInProcessResult:
        """One partition of the asset."""
        assets = build_extract_assets(self.shops)
        return dg.materialize(
            [item for item in assets if API_EVENTS_ASSET in item.keys],
            instance=self.instance,
            partition_key=shop,
            resources={
                "warehouse": WarehouseResource(home=str(self.warehouse.settings.home)),
                "lake": LakeResource(location=str(self.home / "lake")),
            },
            run_config=dg.RunConfig({API_EVENTS_ASSET.to_python_identifier(): StreamConfig()}),
        )


@pytest.fixture
def graph(warehouse: Warehouse, tmp_path: Path) -> Iterator[Graph]:
    clear(warehouse, ONE, TWO)
    yield Graph(warehouse, tmp_path)
    clear(warehouse, ONE, TWO)


def test_the_sensor_requests_the_partition_of_a_shop_with_news_once(graph: Graph) -> None:
    assert graph.tick() == "no shop has a stream, and the API took in nothing new"
    store(graph.warehouse, event(TWO, "a"), event(TWO, "b"))
    [request] = graph.tick()
    assert isinstance(request, dg.RunRequest) and request.partition_key == TWO
    assert request.asset_selection == [API_EVENTS_ASSET]
    assert request.tags == {"shop": TWO, "cause": "stream", "stream": "serving.events"}
    assert request.run_config == {"ops": {"raw__api__events": {"config": {"linger_seconds": 30.0}}}}
    assert "cooling down" in graph.tick(timedelta(seconds=5))
    store(graph.warehouse, event(TWO, "c"))
    assert "cooling down" in graph.tick(timedelta(seconds=5)), "more of what is waiting is no other state"
    graph.extract(TWO)
    assert graph.tick() == "no shop has a stream, and the API took in nothing new"
    store(graph.warehouse, event(TWO, "d"), event(ONE, "d"))
    again = graph.tick()
    assert [item.partition_key for item in again if isinstance(item, dg.RunRequest)] == [ONE, TWO]
    assert len({request.run_key, *(item.run_key for item in again if isinstance(item, dg.RunRequest))}) == 3


def test_a_table_made_anew_is_a_reason_and_a_run_at_work_is_none(graph: Graph) -> None:
    store(graph.warehouse, event(ONE, "a"), event(ONE, "b"))
    graph.extract(ONE)
    with graph.warehouse.connect() as connection:
        connection.execute("drop table serving.events")
    store(graph.warehouse, event(ONE, "c"))
    [request] = graph.tick()
    assert isinstance(request, dg.RunRequest) and request.partition_key == ONE
    graph.instance.add_run(dg.DagsterRun(job_name="extract", tags=request.tags, status=dg.DagsterRunStatus.STARTED))
    assert graph.tick(timedelta(hours=1)) == f"{ONE}.{API_EVENTS}: being read"


def test_a_partition_is_made_with_its_checks_and_an_old_version_where_nothing_came(graph: Graph) -> None:
    store(graph.warehouse, event(ONE, "a"), event(TWO, "a"))
    made = graph.materialize(ONE)
    assert made.success and raw_ids(graph.warehouse, ONE) == ["a"] and raw_ids(graph.warehouse, TWO) == []
    assert {(check.check_name, check.partition, check.passed) for check in made.get_asset_check_evaluations()} == {
        ("no_gaps", ONE, True),
        ("every_row_readable", ONE, True),
    }
    again = graph.materialize(ONE)
    versions = {
        run.asset_materializations_for_node("raw__api__events")[0].tags["dagster/data_version"] for run in (made, again)
    }
    assert len(versions) == 1 and raw_ids(graph.warehouse, ONE) == ["a"]
    store(graph.warehouse, event(ONE, "b"))
    later = graph.materialize(ONE).asset_materializations_for_node("raw__api__events")[0]
    assert later.tags["dagster/data_version"] not in versions and later.metadata["rows added"].value == 1


def test_the_command_extracts_the_shops_with_news_alone(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.cli.materialize.get_settings", lambda: graph.warehouse.settings)
    assert _shops_with_events(graph.shops, None) == []
    store(graph.warehouse, event(ONE, "a"), event(TWO, "a"))
    assert _shops_with_events(graph.shops, None) == [ONE, TWO]
    assert _shops_with_events(graph.shops, TWO) == [TWO]
    graph.extract(TWO)
    assert _shops_with_events(graph.shops, None) == [ONE]
    resources = build_resources(graph.warehouse.settings)
    assets = dg.Definitions(assets=build_extract_assets(graph.shops), resources=resources).resolve_asset_graph()
    chosen = {key.to_user_string() for key in select("group:raw", assets, ONE)}
    assert "raw/api/events" in chosen and f"raw/{TWO}/titles" not in chosen
    assert not any(key.path[0] == "serving" for key in select(None, assets, None)), "nobody but the API makes it"


def test_a_forgotten_table_is_read_anew_from_what_the_api_holds(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.cli.forget.get_settings", lambda: graph.warehouse.settings)
    monkeypatch.setattr("orchestration.cli.forget.shop_named", graph.shops.__getitem__)
    store(graph.warehouse, event(ONE, "a"), event(ONE, "b"), event(TWO, "a"))
    graph.extract(ONE)
    graph.extract(TWO)
    assert run_forget(ONE, API_EVENTS, yes=True) == 0
    assert (raw_ids(graph.warehouse, ONE), raw_ids(graph.warehouse, TWO)) == ([], ["a"])
    assert isinstance(graph.tick(), list)
    graph.extract(ONE)
    assert (raw_ids(graph.warehouse, ONE), raw_ids(graph.warehouse, TWO)) == (["a", "b"], ["a"])


def test_the_asset_of_all_shops_has_no_rule_of_freshness(graph: Graph) -> None:
    assert rule_for(API_EVENTS_ASSET, graph.shops) is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("anime:", "api:", "this name stands for what comes through the API"),
        ("titles:", "api_events:", "every shop has the table 'api_events' of itself"),
    ],
)
def test_names_that_are_of_all_shops_are_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = ALL_SHOPS.read_text(encoding="utf-8")
    begin = text.index("  anime:")
    entry = "shops:\n" + text[begin:].replace(old, new, 1)
    file = tmp_path / "shops.yaml"
    file.write_text(entry, encoding="utf-8")
    with pytest.raises(ShopsError, match=said):
        load_shops(file)
