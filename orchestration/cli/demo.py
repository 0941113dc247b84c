"""`cartograph demo`: a simulated shop, loaded, modelled and tested, and what came of it on one screen."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from rich.bar import Bar
from rich.markup import escape
from rich.table import Table as RichTable

from orchestration.cli.session import SIMULATED, claim_home, console, shown
from resources.settings import PROJECT_ROOT, get_settings
from resources.warehouse import Warehouse

SHOP = "online_retail"
_STYLE: dict[str, Any] = {"title_justify": "left", "box": None, "header_style": "bold", "padding": (0, 2, 0, 0)}


def run_demo(lines: int, seed: int) -> int:
    """Simulate, materialize, show."""
    os.environ.setdefault("CARTOGRAPH_HOME", str(PROJECT_ROOT / ".cartograph" / "demo"))
    from orchestration.cli.materialize import materialize, print_summary
    from simulator.online_retail import write_xlsx

    settings = get_settings()
    claim_home(settings, SIMULATED)
    out = console()
    began = time.monotonic()
    file = settings.inbox / SHOP / "Online Retail.xlsx"
    file.parent.mkdir(parents=True, exist_ok=True)
    written = write_xlsx(file, seed=seed, lines=lines)
    out.print("[bold]Simulate[/bold]")
    out.print(f"  {written:,} invoice lines over thirteen months: {shown(file)}", soft_wrap=True)
    outcome = materialize()
    print_summary(outcome, time.monotonic() - began)
    if outcome.is_sound:
        _show(settings.home == PROJECT_ROOT / ".cartograph" / "demo")
    return 0 if outcome.is_sound else 1


def _show(is_default_home: bool) -> None:
    """A look at the marts: the months, the best products, and where to go next."""
    out = console()
    with Warehouse(get_settings()).connect() as connection:
        months = connection.execute(
            # Net: a huge order that is cancelled the same day would swamp the chart.
            "select to_char(order_date, 'YYYY-MM'), sum(orders), sum(net_sales), max(currency)"
            " from marts.mart_daily_sales where shop = %s group by 1 order by 1",
            [SHOP],
        ).fetchall()
        products = connection.execute(
            "select title, orders, units, sales from marts.mart_product_sales"
            " where shop = %s and is_merchandise order by orders desc, units desc, title limit 5",
            [SHOP],
        ).fetchall()
    top = float(max((sales for _, _, sales, _ in months), default=0)) or 1.0
    table = RichTable(title=f"Net sales of {SHOP} by month", **_STYLE)
    for name, justify in (("month", "left"), ("orders", "right"), ("net sales", "right"), ("", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for month, orders, sales, currency in months:
        bar = Bar(top, 0, max(float(sales), 0.0), width=32, color="cyan")
        table.add_row(month, f"{orders:,}", f"{sales:,.0f} {currency}", bar)
    out.print()
    out.print(table)
    out.print()
    best = RichTable(title="Products in most orders", **_STYLE)
    for name, justify in (("product", "left"), ("orders", "right"), ("units", "right"), ("sales", "right")):
        best.add_column(name, justify=justify)  # type: ignore[arg-type]
    for title, orders, units, sales in products:
        best.add_row(escape(title or ""), f"{orders:,}", f"{units:,}", f"{sales:,.0f}")
    out.print(best)
    out.print()
    home = get_settings().home
    command = f"{_typed(Path(sys.executable).parent / 'cartograph')}"
    there = f"{command} --home {_typed(home)}"
    opening = "make up" if is_default_home else f"{there} up"
    out.print(f"Look around: `{opening}` opens the Dagster UI, the docs site and MLflow.", soft_wrap=True)
    out.print(f'Ask: {there} sql "select * from mart_country_sales order by sales desc limit 5"', soft_wrap=True)
    out.print(f"Your own file: {command} upload {SHOP} FILE, then {command} materialize", soft_wrap=True)


def _typed(path: Path) -> str:
    """A path as it is typed in a shell here."""
    return shlex.quote(shown(path))
