"""The asset `monitoring/drift` over a real warehouse and registry, and the report that it leaves, in a browser."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.monitoring.assets import DRIFT, build_monitoring_assets, monitored
from assets.monitoring.drift import Window
from assets.monitoring.report import page
from resources.dagster_resources import LakeResource, TrackingResource, WarehouseResource
from tests.monitoring.conftest import FIRST, Shops
from tests.monitoring.test_sensor import shop

BROWSER = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
DAY = timedelta(days=1)


class Graph:
    """Materializations of one shop's partition in one instance."""

    def __init__(self, shops: Shops, name: str) -> None:
        self.shops, self.name, self.instance = shops, name, dg.DagsterInstance.ephemeral()
        self.assets = build_monitoring_assets({name: shop(name)})

    def make(self) -> dict[str, Any]:
        home = str(self.shops.settings.home)
        result = dg.materialize(
            self.assets,
            partition_key=self.name,
            instance=self.instance,
            resources={
                "warehouse": WarehouseResource(home=home),
                "tracking": TrackingResource(home=home),
                "lake": LakeResource(location=self.shops.settings.lake_location),
            },
        )
        assert result.success
        event = result.asset_materializations_for_node("monitoring__drift")[0]
        made = {name: value.value for name, value in event.metadata.items()}
        return {**made, "data version": (event.tags or {})["dagster/data_version"], "order": list(event.metadata)}


def rows(shops: Shops, name: str) -> list[Any]:
    with shops.warehouse.connect() as connection:
        return connection.execute(
            "select as_of, model_version, is_drifted, is_enough, made_at from monitoring.drift_windows where shop = %s",
            [name],
        ).fetchall()


def test_only_shops_with_orders_or_events_have_a_partition() -> None:
    assert monitored({"a": shop("a"), "b": shop("b", "products"), "c": shop("c", "orders")}) == ["a", "c"]
    assert build_monitoring_assets({"b": shop("b", "products")}) == []
    spec = next(iter(build_monitoring_assets({"a": shop("a")})[0].specs))
    assert (spec.key, spec.group_name, bool(spec.owners), bool(spec.description)) == (DRIFT, "monitoring", True, True)
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {
        "contract/shop_ready",
        "recommender/recommendations",
    }


def test_without_a_champion_it_says_so_and_succeeds(shops: Shops) -> None:
    shops.open("orphan", days=77)
    made = Graph(shops, "orphan").make()
    assert made["verdict"] == "no champion yet: there is nothing to compare with"
    assert made["order"][0] == "shop" and rows(shops, "orphan") == []


def test_it_tells_what_it_found_and_writes_it_once(shops: Shops) -> None:
    shops.open("made", days=77)
    version = shops.champion("made").version
    graph = Graph(shops, "made")
    made = graph.make()
    assert made["order"][:4] == ["shop", "as of", "model version", "verdict"]
    assert (made["shop"], made["as of"], made["model version"]) == ("made", str(FIRST + 76 * DAY), version)
    assert made["verdict"].startswith("no drift in ") and made["written"] and made["fired"] == "no"
    assert "| kind of interaction | input | 3,360 | 420 |" in made["features"] and "base64" in made["plot"]
    report = Path(made["report"])
    assert report.is_file() and report.is_relative_to(shops.settings.home)
    written, at = rows(shops, "made"), report.stat().st_mtime_ns
    again = graph.make()
    assert again["data version"] == made["data version"] and not again["written"]
    assert rows(shops, "made") == written and report.stat().st_mtime_ns == at
    # One more day is another window.
    shops.add("made", 77, 1)
    later = graph.make()
    assert later["data version"] != made["data version"] and later["written"] and len(rows(shops, "made")) == 2


def test_drift_is_seen_and_fires_with_the_second_window(shops: Shops) -> None:
    shops.open("shifted", days=70)
    shops.champion("shifted")
    shops.add("shifted", 70, 7, buys=0.5)
    graph = Graph(shops, "shifted")
    made = graph.make()
    assert made["verdict"].startswith("drifted: kind of interaction") and made["fired"] == "no"
    shops.add("shifted", 77, 3, buys=0.5)
    assert graph.make()["fired"] == str(FIRST + 79 * DAY)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (.ci/run installs it)")
def test_the_report_opens_in_a_browser_without_errors(shops: Shops, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    shops.open("shown", days=70)
    shops.champion("shown")
    shops.add("shown", 70, 7, buys=0.5)
    report = Path(Graph(shops, "shown").make()["report"])
    empty = tmp_path / "empty.html"
    empty.write_text(page(Window("a<b", "m", 1, FIRST, None, False, False, 0.0, "not enough data: <none>"), None))
    with playwright.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page()
        problems: list[str] = []
        opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else problems.append(request.url),
        )
        opened.goto(report.as_uri())
        assert opened.title() == f"Drift of shown, as of {FIRST + 76 * DAY}"
        assert opened.evaluate("document.images[0].naturalWidth") > 500
        assert opened.locator("tr.drifted").first.inner_text().startswith("kind of interaction")
        assert opened.locator("tbody tr").count() >= 10
        # Titles of products are text, whatever they hold.
        assert opened.locator("td b").count() == 0
        opened.screenshot(path=str(tmp_path / "report.png"), full_page=True)
        opened.goto(empty.as_uri())
        assert "Not enough data: <none>" in opened.inner_text("body")
        browser.close()
    assert problems == []
