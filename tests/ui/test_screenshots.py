"""What a person sees: the Dagster UI and the docs site of the demo, in a real browser, with pictures of them.

The pictures go to the folder CARTOGRAPH_SCREENSHOTS, where one is named, else to pytest's temporary folder.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ALL_SHOPS

playwright = pytest.importorskip("playwright.sync_api")
BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (.ci/run installs it)")

_START_SECONDS = 240


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`cartograph demo`, then `cartograph up`: the addresses that it prints, by name."""
    home = tmp_path_factory.mktemp("ui") / "home"
    command = [str(Path(sys.executable).parent / "cartograph"), "--home", str(home)]
    environment = {**os.environ, "CARTOGRAPH_ENV": "test", "COLUMNS": "120", "CARTOGRAPH_SHOPS_FILE": str(ALL_SHOPS)}
    subprocess.run([*command, "demo", "--size", "0.2"], check=True, env=environment, capture_output=True)
    log = home / "up.log"
    with log.open("w") as output:
        up = subprocess.Popen(
            [*command, "up", "--port", "43100"], stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while "All are up" not in log.read_text():
            assert up.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield dict(re.findall(r"^ +(Dagster|MLflow|dbt docs) +(http://\S+)$", log.read_text(), re.MULTILINE))
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=60)


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


def test_asset_page_shows_rows_and_description(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    url = f"{addresses['Dagster']}/assets/raw/online_retail/invoice_lines?view=overview"
    text = _look(browser, url, ["invoice_lines", "Row count", "sample"], pictures / "asset.png", height=1400)
    assert re.search(r"Row count\s+1,\d\d\d\b", text), "a fifth of the demo's 6,000 lines"


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


def test_mlflow_answers(addresses: dict[str, str], browser: object, pictures: Path) -> None:
    _look(browser, addresses["MLflow"], ["Experiments"], pictures / "mlflow.png")
