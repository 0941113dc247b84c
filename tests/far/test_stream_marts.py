"""A shop's files and its stream, overlapping in either order, through dbt: the contract has each line once."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from assets.extracts.extract import extract_table
from assets.extracts.raw import ensure_raw
from assets.extracts.stream import extract_stream
from resources.embedded_postgres import release
from resources.lake import Lake
from resources.objects import ObjectStore
from resources.settings import load_settings
from resources.shops import load_shops
from resources.streams import FolderStream
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.dbt_runs import PROJECT, Dbt, five_shops, query

SHOP = "online_retail"
HEADER = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
Line = tuple[str, str, int, str]
"""Invoice, code, quantity and day."""


class World:
    """The shop in a warehouse of its own, with an inbox and a stream."""

    def __init__(self, warehouse: Warehouse, home: Path, dbt: Dbt, connection: psycopg.Connection) -> None:
        self.warehouse, self.dbt, self.connection = warehouse, dbt, connection
        self.shop = load_shops(ALL_SHOPS)[SHOP]
        self.inbox, self.lake = home / "inbox", Lake(str(home / "lake"))
        self.inbox.mkdir()
        self.stream = FolderStream(home / "streams" / "lines")
        self.files: dict[str, list[Line]] = {}
        self.sent: list[tuple[str | None, Line]] = []

    def file(self, name: str, *lines: Line) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([HEADER, *(list(row(line).values()) for line in lines)])
        (self.inbox / name).write_text(text.getvalue())
        self.files[name] = list(lines)
        extract = extract_table(
            self.warehouse, self.lake, ObjectStore(str(self.inbox)), self.shop, "invoice_lines", say=lambda _: None
        )
        assert not extract.failed

    def send(self, *lines: tuple[str | None, Line]) -> None:
        records = [row(line) | ({"record_id": name} if name else {}) for name, line in lines]
        self.stream.put([("", json.dumps(record).encode()) for record in records])
        self.sent += lines
        extract_stream(self.warehouse, self.lake, self.stream, self.shop, "invoice_lines_stream", say=lambda _: None)

    def expected(self) -> Counter[Line]:
        """What the contract must hold, counted one line after the other."""
        found = Counter(line for lines in self.files.values() for line in lines)
        held = Counter((line[0], line[1]) for line in found.elements())
        names: set[str] = set()
        seen: Counter[tuple[str, str]] = Counter()
        for name, line in self.sent:
            if name in names:
                continue
            names |= {name} if name else set()
            seen[line[0], line[1]] += 1
            if seen[line[0], line[1]] > held[line[0], line[1]]:
                found[line] += 1
        return found

    def check(self) -> None:
        """Make what changed, and hold it against what must be there."""
        self.dbt.run("--select", "stg_online_retail__lines", "stg_online_retail__order_items", "fct_order_items")
        rows = query(
            self.connection,
            "select order_id, product_id, quantity::int, order_date::text from contract.fct_order_items",
        )
        assert Counter(rows) == self.expected()


def row(line: Line) -> dict[str, Any]:
    invoice, code, quantity, day = line
    values = [invoice, code, "A THING", quantity, f"{day} 09:00:00", "1.25", "17850", "France"]
    return dict(zip(HEADER, values, strict=True))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = Path(tempfile.mkdtemp(prefix="cg-sm-"))
    home.chmod(0o711)
    try:
        warehouse = Warehouse(load_settings(home=home, environment="test"))
        ensure_raw(warehouse, {SHOP: load_shops(ALL_SHOPS)[SHOP]})
        with warehouse.connect(autocommit=True) as connection:
            dbt = Dbt(PROJECT, tmp_path_factory.mktemp("dbt"), connection.info.host, connection.info.dbname)
            dbt.shops = {SHOP: five_shops()[SHOP]}
            yield World(warehouse, tmp_path_factory.mktemp("sources"), dbt, connection)
    finally:
        release(home)
        time.sleep(1.5)
        shutil.rmtree(home, ignore_errors=True)


def test_the_stream_first_then_a_file_and_the_other_way_round(world: World) -> None:
    a, b, c = ("1", "A", 5, "2011-03-01"), ("1", "B", 1, "2011-03-01"), ("2", "A", 2, "2011-03-02")
    late = ("2", "B", 3, "2011-03-02")
    world.send(("r1", a), ("r2", a), ("r3", b), ("r4", c), ("r5", ("2", "B", 3, "2011-03-09")), (None, a))
    world.check()
    # A line that was sent twice, and one of which the file says another day than the stream did.
    world.send(("r2", a), ("r4", c))
    world.file("march.csv", a, b, c, late)
    world.check()
    assert world.expected() == Counter([a, a, a, b, c, late])
    # Of what files hold already, nothing of the stream counts; of what they do not hold, all.
    d, e = ("3", "A", 1, "2011-03-03"), ("3", "B", 1, "2011-03-03")
    world.file("later.csv", d, d)
    world.check()
    world.send(("r6", d), ("r7", d), ("r8", d), ("r9", e))
    world.check()
    assert world.expected()[d] == 3
    # Corrected: one line less, for which the stream's comes back, and another that the stream had on another day.
    world.file("march.csv", a, b, late)
    world.check()
    assert world.expected()[c] == 1
    world.file("march.csv", a, b, c)
    world.check()
    assert world.expected()[("2", "B", 3, "2011-03-09")] == 1
    step = query(world.connection, "select t::text from contract.fct_order_items as t order by 1")
    world.dbt.run("--select", "fct_order_items", "--full-refresh")
    assert query(world.connection, "select t::text from contract.fct_order_items as t order by 1") == step


def test_a_changed_day_reads_no_more_than_its_own_lines_through_windows(world: World) -> None:
    days = [f"2011-05-{day:02d}" for day in range(1, 29)]
    world.file("may.csv", *(("9" + day, "A", number, day) for day in days for number in range(20)))
    world.send(*((None, ("8" + day, "A", number, day)) for day in days for number in range(20)))
    world.dbt.run("--select", "stg_online_retail__lines", "stg_online_retail__order_items")
    plan = query(
        world.connection,
        "explain (analyze, format json) select * from staging.stg_online_retail__order_items"
        " where order_date = any(array(select unnest(days) from (values ('{2011-05-10}'::date[])) as pending (days)))",
    )[0][0][0]["Plan"]
    assert plan["Actual Rows"] == 40
    sorted_ = [node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan) if node["Node Type"] in BUSY]
    assert sorted_ and max(sorted_) <= 250, "more than the lines of a day were sorted or numbered"


BUSY = ("WindowAgg", "Sort", "Incremental Sort", "Aggregate", "Group")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)
