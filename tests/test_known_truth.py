"""The real UCI Online Retail file, taken the whole way by the command, gives the figures that are known of it.

Whole as CSV; in its thirteen monthly parts in any order, one twice under another name and one overwritten by a
corrected one; and as UCI's workbook. Needs the real data.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real_data

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


class Home:
    """A home of its own, driven by the command alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> str:
        command = [str(Path(sys.executable).parent / "cartograph"), "--home", str(self.folder), *arguments]
        result = subprocess.run(command, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def ask(self, query: str) -> dict[str, Any]:
        rows = json.loads(self.run("sql", query, "--format", "json"))
        assert len(rows) == 1
        return rows[0]

    def tells_the_truth(self) -> None:
        assert {query: self.ask(query) for query in TRUTH} == TRUTH


@pytest.fixture
def home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="cg") as folder:
        yield Home(Path(folder) / "home")


@pytest.fixture
def rows(real_data_folder: Path) -> list[list[str]]:
    """The header and the lines of the real file."""
    with gzip.open(
        real_data_folder / "online_retail" / "OnlineRetail.csv.gz", "rt", encoding="utf-8", newline=""
    ) as file:
        return list(csv.reader(file))


def test_whole_file(home: Home, real_data_folder: Path) -> None:
    home.run("upload", "online_retail", str(real_data_folder / "online_retail" / "OnlineRetail.csv.gz"))
    home.run("materialize", "--shop", "online_retail")
    home.tells_the_truth()
    again = home.run("materialize", "--shop", "online_retail")
    assert "Nothing was new" in again and "made contract" not in again


def test_monthly_parts_in_any_order_one_twice_one_corrected(home: Home, rows: list[list[str]], tmp_path: Path) -> None:
    header, *lines = rows
    months: dict[str, list[list[str]]] = {}
    for line in lines:
        months.setdefault(line[4][:7], []).append(line)
    assert len(months) == 13

    def write(name: str, part: list[list[str]]) -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *part])
        return path

    order = list(months)
    random.Random(11).shuffle(order)
    wrong = order[4]
    half = [[*line[:3], str(int(line[3]) * 2), *line[4:]] for line in months[wrong][: len(months[wrong]) // 2]]
    for month in order[:7]:
        write(f"{month}.csv", half if month == wrong else months[month])
    home.run("upload", "online_retail", *(str(tmp_path / f"{month}.csv") for month in order[:7]))
    home.run("materialize", "--shop", "online_retail")
    for month in [wrong, *order[7:]]:
        write(f"{month}.csv", months[month])
    copy = write("a copy of a month.csv", months[order[0]])
    home.run("upload", "online_retail", str(copy), *(str(tmp_path / f"{month}.csv") for month in [wrong, *order[7:]]))
    said = home.run("materialize", "--shop", "online_retail")
    assert "skipped a copy of a month.csv: the same bytes as" in said
    home.tells_the_truth()


def test_workbook_of_uci(home: Home, rows: list[list[str]], tmp_path: Path) -> None:
    import xlsxwriter

    path = tmp_path / "Online Retail.xlsx"
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "default_date_format": "m/d/yy h:mm"})
    sheet = book.add_worksheet("Online Retail")
    for place, line in enumerate(rows):
        for column, text in enumerate(line):
            if place and column in (3, 5):
                sheet.write_number(place, column, float(text))
            elif place and column == 4:
                sheet.write_datetime(place, column, datetime.fromisoformat(text))
            elif place and column in (0, 1, 6) and text.isdigit():
                sheet.write_number(place, column, int(text))
            elif text:
                sheet.write_string(place, column, text)
    book.close()
    home.run("upload", "online_retail", str(path))
    home.run("materialize", "--shop", "online_retail")
    home.tells_the_truth()
