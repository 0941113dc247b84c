"""What a person sees: the Dagster UI and the docs site of five shops, in a real browser, with pictures of them.

The pictures go to the folder CARTOGRAPH_SCREENSHOTS, where one is named, else to pytest's temporary folder.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ALL_SHOPS
from tests.orchestration.command import COMMAND, clean_environment
from tests.shared_home import server_is_gone
from tests.world.conftest import Home, World, home, world

__all__ = ["home", "world"]

playwright = pytest.importorskip("playwright.sync_api")
BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (.ci/run installs it)")

_START_SECONDS = 240


@pytest.fixture(scope="module")
def addresses(world: World) -> Iterator[dict[str, str]]:
    """`cartograph up` on a copy of the world of five shops: the addresses that it prints, by name."""
    folder = Path(tempfile.mkdtemp(prefix="cgp-"))
    folder.chmod(0o755)
    home, log = world.copy_to(folder / "home"), folder / "up.log"
    environment = clean_environment(CARTOGRAPH_ENV="test", COLUMNS="120", CARTOGRAPH_SHOPS_FILE=str(ALL_SHOPS))
    with log.open("w") as output:
        up = subprocess.Popen(
            [COMMAND, "--home", str(home), "up", "--port", "43100"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while "All are up" not in log.read_text():
            assert up.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield dict(re.findall(r"^ +(Dagster|MLflow|dbt docs|API) +(http://\S+)$", log.read_text(), re.MULTILINE))
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=60)
        server_is_gone(home)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as player:
        engine = player.chromium.launch(
            executable_path=BROWSER,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
            ],
        )
        yield engine
        engine.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("CARTOGRAPH_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _look(browser: object, url: str, wanted: list[str], picture: Path, width: int = 1600, height: int = 1000) -> str:
    """Open a page, wait until all wanted texts are on it, take a picture, and return the page's text."""
    page = browser.new_page(viewport={"width": width, "height": height})  # type: ignore[attr-defined]
    try:
        page.goto(url, wait_until="domcontentloaded", timeout=60_000)
        for text in wanted:
            page.get_by_text(text).locator("visible=true").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1500)  # the graph fades in
        page.screenshot(path=str(picture))
        return str(page.inner_text("body"))
    finally:
        page.close()


def test_graph_shows_all_layers(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    text = _look(
        browser,
        f"{addresses['Dagster']}/asset-groups",
        ["raw", "staging", "contract", "marts"],
        pictures / "groups.png",
    )
    assert "Failed" not in text


def test_lineage_goes_from_a_mart_to_its_raw_table(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    url = f"{addresses['Dagster']}/assets/marts/mart_daily_sales?view=lineage&lineageScope=upstream&lineageDepth=5"
    wanted = ["invoice_lines", "stg_olist__orders", "fct_order_items", "mart_daily_sales"]
    text = _look(browser, url, wanted, pictures / "graph.png", width=1700, height=1250)
    assert "Failed" not in text


def test_asset_page_shows_rows_and_description(
    addresses: dict[str, str], browser: object, pictures: Path, home: Home
) -> None:
    # Of the raw tables the one that the world's last load had news for, and so a sample.
    url = f"{addresses['Dagster']}/assets/raw/olist/order_reviews?view=overview"
    text = _look(browser, url, ["order_reviews", "Row count", "sample"], pictures / "asset.png", height=1400)
    [(rows,)] = home.query("select count(*) from raw_olist.order_reviews")
    assert re.search(rf"Row count\s+{rows:,}\b", text) and rows > 1000


def test_asset_checks_are_green(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    url = f"{addresses['Dagster']}/assets/contract/fct_order_items?view=checks"
    _look(browser, url, ["fct_order_items_key", "Succeeded"], pictures / "checks.png")


def test_every_shop_is_a_partition_that_is_ready(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    url = f"{addresses['Dagster']}/assets/contract/shop_ready?view=partitions"
    shops = ["thelook", "retailrocket", "online_retail", "olist", "anime"]
    text = _look(browser, url, [*shops, "Materialized (5)"], pictures / "shops.png", height=600)
    assert "Failed (0)" in text and "Missing (0)" in text


def test_docs_site_describes_a_table(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    url = f"{addresses['dbt docs']}/#!/model/model.cartograph.fct_order_items"
    _look(browser, url, ["One row is one line of an order", "line_no"], pictures / "docs.png")


def test_lineage_goes_from_a_ready_shop_to_drift(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    url = f"{addresses['Dagster']}/assets/contract/shop_ready?view=lineage&lineageScope=downstream&lineageDepth=6"
    wanted = ["shop_ready", "interactions", "champion", "recommendations", "drift"]
    text = _look(browser, url, wanted, pictures / "models.png", width=1900, height=700)
    assert "Failed" not in text


def test_all_sensors_are_listed(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    wanted = ["automation", "build", "drift", "freshness", "inbox", "readiness", "streams", "daily_extract"]
    _look(browser, f"{addresses['Dagster']}/automation", wanted, pictures / "sensors.png", height=900)


def test_a_partition_of_the_champion_shows_the_decision(
    addresses: dict[str, str], browser: object, pictures: Path
) -> None:
    url = f"{addresses['Dagster']}/assets/recommender/champion?view=partitions&partition=retailrocket"
    _look(browser, url, ["retailrocket", "decision", "reason", "queries", "MLflow run"], pictures / "champion.png")


@pytest.mark.parametrize(
    ("asset", "texts"),
    [
        ("embeddings", ["anime", "embedder", "texts a second", "map"]),
        ("collection", ["anime", "recall of the index", "anime_products_0", "weights"]),
        ("evaluation", ["anime", "queries", "choice", "reached", "figures"]),
    ],
)
def test_a_partition_of_search_shows_what_was_made(
    asset: str, texts: list[str], addresses: dict[str, str], browser: object, pictures: Path
) -> None:
    url = f"{addresses['Dagster']}/assets/search/{asset}?view=partitions&partition=anime"
    _look(browser, url, texts, pictures / f"{asset}.png")


@pytest.mark.parametrize(
    ("asset", "texts"),
    [
        ("daily_facts", ["thelook", "days", "outside the usual range", "main metric"]),
        ("daily_summary", ["thelook", "last day", "its facts", "grounded", "prompt version", "all shops"]),
    ],
)
def test_a_partition_of_summaries_shows_the_last_day(
    asset: str, texts: list[str], addresses: dict[str, str], browser: object, pictures: Path
) -> None:
    url = f"{addresses['Dagster']}/assets/summaries/{asset}?view=partitions&partition=thelook"
    _look(browser, url, texts, pictures / f"{asset}.png", height=1600)


def test_an_answer_is_streamed_into_the_pages_of_the_api(
    addresses: dict[str, str], browser: object, pictures: Path
) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 1500})  # type: ignore[attr-defined]
    try:
        page.goto(f"{addresses['API']}/docs#/search/chat_chat_post", timeout=60_000)
        page.get_by_role("button", name="Try it out").click(timeout=60_000)
        page.get_by_role("button", name="Execute").click()
        # The first answer of a process waits for the library of language models.
        shown = page.locator(".live-responses-table pre", has_text="event: done").first
        shown.wait_for(timeout=120_000)
        shown.scroll_into_view_if_needed()
        text = shown.inner_text()
        page.screenshot(path=str(pictures / "chat.png"))
    finally:
        page.close()
    assert text.index("event: sources") < text.index("event: token") < text.index("event: done")


def test_mlflow_shows_the_runs_and_the_versions(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    _look(browser, addresses["MLflow"], ["Experiments"], pictures / "mlflow.png")
    page = f"{addresses['MLflow']}/#/models/recommender-retailrocket"
    text = _look(browser, page, ["recommender-retailrocket", "Version 1", "trained_to"], pictures / "versions.png")
    # Whichever it is: the decision depends on the day up to which the shop was simulated.
    assert "champion" in text or "challenger" in text
    _look(browser, f"{addresses['MLflow']}/#/experiments/1/runs", ["recommender/model"], pictures / "runs.png")
