"""The two assets over a small contract: facts and summaries of the last days, made again for a reason only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.summaries.assets import DAILY_FACTS, DAILY_SUMMARY, build_summaries_assets, shops_with_days
from resources.dagster_resources import LLMResource, WarehouseResource
from resources.models import MODELS_FILE
from tests.standins.llm import KEY, KEY_VARIABLE, llm_server, models_yaml, out_of_order
from tests.summaries.made import MONDAY, SHOPS, Books, three_weeks


class Graph:
    """The assets over a shop's books."""

    def __init__(self, shop: Books, folder: Path, models_file: Path = MODELS_FILE) -> None:
        home = str(shop.warehouse.settings.home)
        self.shop, self.instance = shop, dg.DagsterInstance.ephemeral()
        self.resources = {
            "warehouse": WarehouseResource(home=home),
            "llm": LLMResource(home=home, models_file=str(models_file)),
        }
        self.assets = build_summaries_assets(SHOPS)

    def make(self, *keys: dg.AssetKey) -> dict[str, Any]:
        """Materialize; the metadata of the last of the keys, its data version as `version`, its check as `passed`."""
        done = dg.materialize(
            self.assets,
            selection=dg.AssetSelection.assets(*keys) | dg.AssetSelection.checks_for_assets(*keys),
            partition_key=self.shop.shop.name,
            resources=self.resources,
            instance=self.instance,
        )
        [event] = done.asset_materializations_for_node("__".join(keys[-1].path))
        return (
            {name: value.value for name, value in event.metadata.items()}
            | {"version": (event.tags or {})["dagster/data_version"]}
            | {"passed": all(check.passed for check in done.get_asset_check_evaluations())}
        )


@pytest.fixture
def graph(shop: Books, tmp_path: Path) -> Graph:
    three_weeks(shop)
    return Graph(shop, tmp_path)


@pytest.fixture
def late(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    """Assets whose model does not answer."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with llm_server() as server:
        server.answer = lambda body: out_of_order()
        file = models_yaml(tmp_path, server.url, timeout_seconds=60, deadline_seconds=90, retries=0)
        yield Graph(graph.shop, tmp_path, file)


def test_the_last_days_have_facts_and_summaries(graph: Graph) -> None:
    facts = graph.make(DAILY_FACTS)
    assert (facts["days"], facts["new"], facts["changed"]) == (14, 14, 0)
    assert facts["dagster/partition_row_count"] > 14 * 30
    assert facts["main metric"].startswith("![plot](data:image/png;base64,")
    summary = graph.make(DAILY_SUMMARY)
    assert summary["shop"] == "thelook"
    assert summary["as of"] == str(MONDAY + timedelta(days=20))
    assert summary["written in this run"] == summary["dagster/partition_row_count"] == 14
    assert summary["grounded"] == 1.0
    assert "there was 1 order from 1 customer, with revenue of $20.00" in summary["last day"]
    assert "without a language model" in summary["last day"]
    assert "| `revenue_vs_day_before` | 63.6% | down |" in summary["its facts"]
    assert "| thelook |" in summary["all shops"]
    assert summary["passed"]
    assert "anna@example.com" not in str(facts) + str(summary), "nobody is named"


def test_what_did_not_change_is_not_made_again(graph: Graph) -> None:
    facts, summary = graph.make(DAILY_FACTS), graph.make(DAILY_SUMMARY)
    again = graph.make(DAILY_FACTS)
    assert (again["new"], again["changed"], again["version"]) == (0, 0, facts["version"])
    once_more = graph.make(DAILY_SUMMARY)
    assert (once_more["written in this run"], once_more["version"]) == (0, summary["version"])


def test_a_change_goes_through_both(graph: Graph) -> None:
    facts, summary = graph.make(DAILY_FACTS), graph.make(DAILY_SUMMARY)
    last = MONDAY + timedelta(days=20)
    graph.shop.sell(last, ("m", 30, "10.00"))
    graph.shop.close(last)
    changed = graph.make(DAILY_FACTS)
    assert (changed["changed"], changed["version"] == facts["version"]) == (1, False)
    written = graph.make(DAILY_SUMMARY)
    assert written["written in this run"] == 1
    assert written["version"] != summary["version"]
    assert "$320.00" in written["last day"]


def test_facts_without_a_summary_of_them_are_found(graph: Graph) -> None:
    graph.make(DAILY_FACTS)
    graph.make(DAILY_SUMMARY)
    graph.shop.sell(MONDAY + timedelta(days=19), ("m", 30, "10.00"))
    graph.shop.close(MONDAY + timedelta(days=20))
    done = dg.materialize(
        graph.assets,
        selection=dg.AssetSelection.assets(DAILY_FACTS) | dg.AssetSelection.checks_for_assets(DAILY_SUMMARY),
        partition_key="thelook",
        resources=graph.resources,
        instance=graph.instance,
    )
    [check] = done.get_asset_check_evaluations()
    assert not check.passed
    days = [MONDAY + timedelta(days=19), MONDAY + timedelta(days=20)]
    assert check.metadata["days without one"].value == ", ".join(map(str, days))


def test_where_no_model_answers_the_summaries_are_there_and_it_is_said(late: Graph) -> None:
    late.make(DAILY_FACTS)
    made = late.make(DAILY_SUMMARY)
    assert (made["days without an answer"], made["grounded"], made["passed"]) == (14, 0.0, True)
    assert "without a language model" in made["last day"]


def test_of_a_shop_without_a_closed_day_that_is_said(graph: Graph) -> None:
    graph.shop.close(None)
    for key in (DAILY_FACTS, DAILY_SUMMARY):
        made = graph.make(key)
        assert (made["reason"], made["dagster/partition_row_count"]) == ("the shop has no closed day yet", 0)
        assert made["version"] == "no day"


def test_of_a_shop_whose_first_day_goes_on_that_is_said(graph: Graph) -> None:
    with graph.shop.warehouse.connect() as connection:
        connection.execute("update contract.shop_clock set first_day = as_of + 1")
    assert graph.make(DAILY_FACTS)["days"] == 0
    assert graph.make(DAILY_SUMMARY)["reason"] == "the shop has no closed day yet"


def test_a_shop_that_has_visits_and_no_orders_yet_is_told_by_its_visits(shop: Books, tmp_path: Path) -> None:
    shop.visit(MONDAY, 40, 100, 3, 1)
    shop.close(MONDAY)
    graph = Graph(shop, tmp_path)
    graph.make(DAILY_FACTS)
    made = graph.make(DAILY_SUMMARY)
    assert made["last day"].startswith("On Monday, March 2, 2026 there were 40 sessions with 100 views.")
    assert "no earlier day" in made["last day"]


def test_shops_without_anything_dated_are_no_partitions() -> None:
    assert shops_with_days(SHOPS) == ["thelook", "retailrocket", "online_retail", "olist"]
    assert build_summaries_assets({"anime": SHOPS["anime"]}) == []
