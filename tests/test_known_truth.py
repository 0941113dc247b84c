"""The real UCI Online Retail file, taken in by the command in each form that it has, gives the figures known of it.

Whole as CSV; in its thirteen monthly parts in any order, one twice under another name and one overwritten by a
corrected one; and as UCI's workbook. All three give the same raw rows, and the first two are taken the whole way: equal
raw rows give equal marts. Needs the real data.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from resources.embedded_postgres import release
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.orchestration.command import SPINE, cartograph
from tests.shared_home import server_is_gone

pytestmark = pytest.mark.real_data

SHOP = "online_retail"
LINES = "select count(*) as lines, sum(amount)::text as net from fct_order_items"
ORDERS = "select count(*) as orders from fct_orders"
CUSTOMERS = "select count(*) as customers from dim_customer"
KNOWN_SALES = (
    "select count(*) as lines, count(distinct order_id) as invoices, count(distinct customer_id) as customers,"
    " count(distinct product_id) as products, sum(amount)::text as amount from fct_order_items"
    " where is_sale and customer_id is not null"
)
TRUTH = {
    LINES: {"lines": 541_909, "net": "9747747.9340"},
    ORDERS: {"orders": 25_900},
    CUSTOMERS: {"customers": 4_372},
    KNOWN_SALES: {
        "lines": 397_884,
        "invoices": 18_532,
        "customers": 4_338,
        "products": 3_665,
        "amount": "8911407.9040",
    },
    "select sum(net_sales)::text as net, sum(lines) as lines from mart_daily_sales": {
        "net": "9747747.9340",
        "lines": 541_909,
    },
    "select as_of::text from shop_clock": {"as_of": "2011-12-09"},
}

RAW = """
select count(*), count(distinct invoice_no), count(distinct customer_id), sum(quantity * unit_price)::numeric(18, 3),
       sum(hashtextextended(concat_ws('|', invoice_no, stock_code, coalesce(description, '-'), quantity, invoice_date,
                                      unit_price, coalesce(customer_id, '-'), country), 0)::numeric)
from raw_online_retail.invoice_lines"""
"""The last figure is equal for equal multisets of rows, whatever their order."""


class Home:
    """A home of its own, driven by the command alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str | Path) -> str:
        result = cartograph(self.folder, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def ask(self, query: str) -> dict[str, Any]:
        rows = json.loads(self.run("sql", query, "--format", "json"))
        assert len(rows) == 1
        return dict(rows[0])

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query on what `cartograph sql` does not show: raw tables and the ledger."""
        with Warehouse(load_settings(home=self.folder, environment="test")).connect() as connection:
            return connection.execute(statement).fetchall()

    def tells_the_truth(self) -> None:
        assert {query: self.ask(query) for query in TRUTH} == TRUTH

    def accounts(self) -> tuple[Any, ...]:
        """What the ledger says of the raw rows: of how many objects they are, how many, and how many were rejected."""
        told = "select count(*), sum(rows)::int, sum(rejected)::int from ledger.extracts where removed_at is null"
        return self.query(told)[0]


@contextmanager
def home_of_its_own() -> Iterator[Home]:
    folder = Path(tempfile.mkdtemp(prefix="cgk-"))
    folder.chmod(0o755)
    try:
        yield Home(folder / "home")
    finally:
        release(folder / "home")
        server_is_gone(folder / "home")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def new_home() -> Iterator[Callable[[], Home]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(home_of_its_own())


@pytest.fixture(scope="module")
def source(real_data_folder: Path) -> Path:
    return real_data_folder / "online_retail" / "OnlineRetail.csv.gz"


@pytest.fixture(scope="module")
def lines(source: Path) -> list[list[str]]:
    """The header and the lines of the real file."""
    with gzip.open(source, "rt", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def whole(new_home: Callable[[], Home], source: Path) -> Home:
    """The home into which the whole file came as it is, taken the whole way."""
    home = new_home()
    home.run("upload", SHOP, source)
    home.run("materialize", "--shop", SHOP)
    return home


@pytest.fixture(scope="module")
def raw(whole: Home) -> list[tuple[Any, ...]]:
    """What the raw rows of the whole file come to."""
    return whole.query(RAW)


def test_whole_file(whole: Home, raw: list[tuple[Any, ...]]) -> None:
    assert raw[0][:3] == (541_909, 25_900, 4_372) and str(raw[0][3]).startswith("9747747.934")
    assert whole.accounts() == (1, 541_909, 0)
    whole.tells_the_truth()
    again = whole.run("materialize", "--shop", SHOP)
    assert "Nothing was new" in again and "made contract" not in again


def test_monthly_parts_in_any_order_one_twice_one_corrected(
    new_home: Callable[[], Home], lines: list[list[str]], raw: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    home = new_home()
    months: dict[str, list[list[str]]] = {}
    for line in lines[1:]:
        months.setdefault(line[4][:7], []).append(line)
    assert len(months) == 13

    def write(name: str, part: list[list[str]]) -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([lines[0], *part])
        return path

    order = list(months)
    random.Random(11).shuffle(order)
    wrong = order[4]
    half = [[*line[:3], str(int(line[3]) * 2), *line[4:]] for line in months[wrong][: len(months[wrong]) // 2]]
    first = [write(f"{month}.csv", half if month == wrong else months[month]) for month in order[:7]]
    home.run("upload", SHOP, *first)
    home.run("materialize", "group:raw", "--shop", SHOP)
    loaded = sum(len(months[month]) for month in order[:7] if month != wrong) + len(half)
    assert home.accounts() == (7, loaded, 0)
    later = [write(f"{month}.csv", months[month]) for month in [wrong, *order[7:]]]
    home.run("upload", SHOP, write("a copy of a month.csv", months[order[0]]), *later)
    said = home.run("materialize", SPINE, "--shop", SHOP)
    assert said.count("skipped a copy of a month.csv: the same bytes as") == said.count("skipped ") == 1
    replaced = "select rows from ledger.extracts where removed_at is not null"
    assert home.query(replaced) == [(len(half),)], "the wrong month went, and nothing else"
    assert home.accounts() == (13, 541_909, 0)
    assert home.query(RAW) == raw
    home.tells_the_truth()


def test_workbook_of_uci(
    new_home: Callable[[], Home], lines: list[list[str]], raw: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    home = new_home()
    path = tmp_path / "Online Retail.xlsx"
    write_workbook(path, lines)
    home.run("upload", SHOP, path)
    home.run("materialize", "group:raw", "--shop", SHOP)
    assert home.query("select format from ledger.extracts") == [("xlsx",)]
    assert home.accounts() == (1, 541_909, 0)
    assert home.query(RAW) == raw


def write_workbook(path: Path, lines: list[list[str]]) -> None:
    """UCI's sheet: numbers as numbers, dates as dates, codes that look like numbers as numbers."""
    import xlsxwriter

    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        tab = book.add_worksheet("Online Retail")
        instant = book.add_format({"num_format": "m/d/yyyy h:mm"})
        tab.write_row(0, 0, lines[0])
        for row, line in enumerate(lines[1:], start=1):
            for column, value in enumerate(line):
                if column == 4:
                    tab.write_datetime(row, column, datetime.fromisoformat(value), instant)
                elif column in (3, 5) or (column != 2 and value.isdigit() and not value.startswith("0")):
                    tab.write_number(row, column, float(value))
                elif value:
                    tab.write_string(row, column, value)
