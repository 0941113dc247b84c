"""The demo's screens with all five shops: what was simulated, and what the marts of each say.

That `cartograph demo` makes a home by itself is seen in `tests/orchestration/test_materialize.py`, with one shop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.cli import demo, session
from resources.settings import get_settings
from resources.shops import load_shops
from tests.conftest import ALL_SHOPS
from tests.world.conftest import Home

SIZE = 0.05


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A screen that is wide enough for every line, for commands in this process."""
    monkeypatch.setenv("CARTOGRAPH_SHOPS_FILE", str(ALL_SHOPS))
    monkeypatch.setenv("COLUMNS", "200")
    get_settings.cache_clear()
    session.console.cache_clear()
    yield monkeypatch
    get_settings.cache_clear()
    session.console.cache_clear()


def test_every_shop_is_simulated_and_said(
    screen: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    screen.setenv("CARTOGRAPH_HOME", str(tmp_path))
    get_settings.cache_clear()
    shops = load_shops(ALL_SHOPS)
    demo._simulate(get_settings(), shops, SIZE, seed=7)
    said = capsys.readouterr().out
    for name, shop in shops.items():
        found = re.search(
            rf"^  {name} +{re.escape(shop.title)} +([\d,]+) rows in (\d+) files?(, up to 20\S+)?$", said, re.M
        )
        assert found, f"{name}: {said}"
        assert int(found[1].replace(",", "")) > 0
        assert int(found[2]) == sum(path.is_file() for path in (tmp_path / "inbox" / name).rglob("*"))
        assert bool(found[3]) == (name != "anime"), "titles have no days"


def test_every_shop_is_shown_with_what_it_provides(
    screen: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Home
) -> None:
    screen.setenv("CARTOGRAPH_HOME", str(home.path))
    get_settings.cache_clear()
    demo._show(home.shops, False)
    said = capsys.readouterr().out
    for name in home.shops:
        (as_of,) = home.query("select max(as_of)::text from contract.shop_clock where shop = %s", name)[0]
        (products,) = home.query("select count(*) from contract.dim_product where shop = %s", name)[0]
        orders, sales, currency = home.query(
            "select sum(orders), sum(gross_sales), max(currency) from marts.mart_daily_sales where shop = %s", name
        )[0]
        (events,) = home.query(
            "select sum(views + carts + purchases) from marts.mart_daily_funnel where shop = %s", name
        )[0]
        reviews, score = home.query(
            "select sum(reviews), sum(average_score * reviews) / sum(reviews)"
            " from marts.mart_daily_reviews where shop = %s",
            name,
        )[0]
        shown = [as_of or "no dates", f"{products:,}"]
        shown += [f"{orders:,}", f"{sales:,.0f} {currency}"] if orders else []
        shown += [f"{events:,}"] if events else []
        shown += [f"{reviews:,} ({score:.1f})"] if reviews else []
        assert re.search(rf"^{name} +{' +'.join(map(re.escape, shown))} *$", said, re.M), f"{name}, {shown}: {said}"
        for what, many in (("orders", orders), ("views", events)):
            assert bool(re.search(rf"^{name} +{what} +[▁▂▃▄▅▆▇█ ]+ +[\d,]+ *$", said, re.M)) == bool(many)
        findings = re.search(rf"^  {name}: (.+)\.$", said, re.M)
        parts = [("is", orders), ("of 100 views", events), ("of the reviews give one star or two", reviews)]
        assert bool(findings) == any(many for _, many in parts)
        assert [words in (findings[1] if findings else "") for words, _ in parts] == [bool(many) for _, many in parts]
