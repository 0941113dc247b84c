"""API events through dbt: in the contract once, linked within the day, whatever the shop provides; the clock stays."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from assets.extracts.extract import extract_table
from assets.extracts.raw import ensure_raw
from assets.extracts.stream import extract_events
from assets.marts import readiness
from resources.embedded_postgres import release
from resources.lake import Lake
from resources.objects import ObjectStore
from resources.settings import load_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse
from serving.api.event_writer import EventRow
from tests.conftest import ALL_SHOPS
from tests.dbt_runs import PROJECT, Dbt, everything, five_shops, query, versions
from tests.far.test_stream_marts import BUSY, nodes
from tests.loop.events_rig import event, store

CLICKS, SALES, ALONE = "retailrocket", "online_retail", "anime"
"""A shop whose extract brings events, one whose extract brings orders, and one that has products alone."""
DAY = datetime(2015, 6, 2, 12, 0, tzinfo=UTC)
"""In Online Retail's zone and RetailRocket's the same day."""
CSV = {
    CLICKS: "timestamp,visitorid,event,itemid,transactionid\n"
    + "".join(f"{1433160000000 + n * 60000},{n},view,{n % 3},\n" for n in range(5)),
    SALES: "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    "1,P1,THING,2,2011-03-01 09:00:00,1.25,17850,France\n",
}
TABLES = {CLICKS: "events", SALES: "invoice_lines"}


class World:
    """Three shops in a warehouse of their own."""

    def __init__(self, warehouse: Warehouse, home: Path, dbt: Dbt, connection: psycopg.Connection) -> None:
        self.warehouse, self.dbt, self.connection = warehouse, dbt, connection
        self.is_built = False
        self.shops = {name: load_shops(ALL_SHOPS)[name] for name in (CLICKS, SALES, ALONE)}
        self.lake = Lake(str(home / "lake"))
        for name, text in CSV.items():
            folder = home / name
            folder.mkdir()
            (folder / f"{TABLES[name]}.csv").write_text(text)
            store_ = ObjectStore(str(folder))
            report = extract_table(warehouse, self.lake, store_, self.shops[name], TABLES[name], say=lambda _: None)
            assert not report.failed and report.totals["rows"]

    def bring(self, *events: EventRow, build: bool = True) -> None:
        """Store events, extract them and build what stands on them."""
        store(self.warehouse, *events)
        for name in {item.shop for item in events}:
            extract_events(self.warehouse, self.lake, self.shops[name], say=lambda _: None)
        if build:
            self.build()

    def build(self, *more: str) -> None:
        staging = (
            ("stg_api__events", "stg_retailrocket__item_categories") if self.is_built and not more else ("tag:staging",)
        )
        self.dbt.run("--select", *staging, "tag:contract", "mart_daily_funnel", *more)
        self.is_built = True

    def failing(self) -> dict[str, int]:
        """The tests of what was built that fail; here most products and customers are named by events alone."""
        few = ("dim_product_few_inferred", "dim_customer_few_inferred")
        where = ("--select", "tag:contract", "mart_daily_funnel", "--indirect-selection", "cautious")
        return self.dbt.test(*where, "--exclude", *few)

    def events(self, shop: str, columns: str = "event_id, actor_id, customer_id, event_date::text") -> Any:
        return query(
            self.connection,
            f"select {columns} from contract.fct_events where shop = %s and origin = 'api' order by event_id",
            shop,
        )

    def interactions(self, shop: str) -> Any:
        found = "select actor_id, product_id, kind, quantity::int from contract.fct_interactions"
        return query(self.connection, f"{found} where shop = %s and origin = 'api' order by 1, 2, 3", shop)

    def clock(self, shop: str) -> Any:
        return query(self.connection, "select as_of, last_day, facts from contract.shop_clock where shop = %s", shop)[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = Path(tempfile.mkdtemp(prefix="cg-lo-"))
    home.chmod(0o711)
    try:
        warehouse = Warehouse(load_settings(home=home, environment="test"))
        shops = {name: load_shops(ALL_SHOPS)[name] for name in (CLICKS, SALES, ALONE)}
        ensure_raw(warehouse, shops)
        with warehouse.connect(autocommit=True) as connection:
            dbt = Dbt(PROJECT, tmp_path_factory.mktemp("dbt"), connection.info.host, connection.info.dbname)
            dbt.shops = {name: five_shops()[name] for name in shops}
            made = World(warehouse, tmp_path_factory.mktemp("sources"), dbt, connection)
            # As a home from before the events came: built, and then the table of all shops is not there yet.
            made.build()
            connection.execute("drop schema raw_api cascade")
            ensure_raw(warehouse, shops)
            yield made
    finally:
        release(home)
        time.sleep(1.5)
        shutil.rmtree(home, ignore_errors=True)


def test_events_reach_the_contract_once_whatever_the_shop_provides(world: World) -> None:
    clocks = {shop: world.clock(shop) for shop in (CLICKS, SALES)}
    assert world.clock(ALONE) == (None, None, 0)
    version = readiness.data_version(world.connection, world.shops[SALES])
    for shop in (CLICKS, SALES, ALONE):
        world.bring(
            event(shop, "1", visitor_id="v", product_id="P1", occurred_at=DAY),
            event(shop, "2", visitor_id="v", product_id="P1", occurred_at=DAY),
            event(shop, "3", visitor_id=None, customer_id="k", event_type="purchase", occurred_at=DAY),
            build=False,
        )
    world.build()
    for shop in (CLICKS, SALES, ALONE):
        day = "2015-06-02"
        assert world.events(shop) == [
            ("api:1", "v", None, day), ("api:2", "v", None, day), ("api:3", "k", "k", day),
        ]  # fmt: skip
        # Where there are orders, they tell the purchases.
        bought = [] if shop == SALES else [("k", "p", "purchase", 1)]
        assert world.interactions(shop) == [*bought, ("v", "P1", "view", 2)]
    assert readiness.data_version(world.connection, world.shops[SALES]) != version
    # The extracts say what day it is, where there are any.
    assert [clocks[shop][0] for shop in (CLICKS, SALES)] == [world.clock(shop)[0] for shop in (CLICKS, SALES)]
    assert world.clock(SALES) == (date(2011, 3, 1), date(2015, 6, 2), 4)
    assert world.clock(ALONE) == (date(2015, 6, 2), date(2015, 6, 2), 3)
    # What lies behind the clock is in the daily marts, under its day.
    funnel = "select event_date::text, views, purchases from marts.mart_daily_funnel where shop = %s"
    assert query(world.connection, funnel, SALES) == [("2015-06-02", 2, 1)]
    # Built again with nothing new, nothing is written; made anew, it is the same.
    before = versions(world.connection, "contract.fct_events"), versions(world.connection, "contract.fct_interactions")
    world.build()
    assert before == (
        versions(world.connection, "contract.fct_events"),
        versions(world.connection, "contract.fct_interactions"),
    )
    assert world.failing() == {}


def test_late_and_linking_events_make_their_own_days_again_and_no_other(world: World) -> None:
    world.build()
    other = versions(world.connection, "contract.fct_events", f"shop <> '{SALES}'")
    still = versions(world.connection, "contract.fct_events", f"shop = '{SALES}' and event_date = '2015-06-02'")
    late = DAY - timedelta(days=3)
    world.bring(
        event(SALES, "10", visitor_id="v", occurred_at=late), event(SALES, "11", visitor_id="w", occurred_at=late)
    )
    assert versions(world.connection, "contract.fct_events", f"shop <> '{SALES}'") == other
    assert versions(world.connection, "contract.fct_events", f"shop = '{SALES}' and event_date = '2015-06-02'") == still
    assert world.events(SALES)[1:3] == [("api:10", "v", None, "2015-05-30"), ("api:11", "w", None, "2015-05-30")]
    # The visitor shows a customer on that day: all of the day is the customer's, and the other day stays a visitor's.
    world.bring(event(SALES, "12", visitor_id="v", customer_id="k", occurred_at=late + timedelta(hours=1)))
    day = "2015-05-30"
    assert [row for row in world.events(SALES) if row[3] == day] == [
        ("api:10", "k", "k", day), ("api:11", "w", None, day), ("api:12", "k", "k", day),
    ]  # fmt: skip
    assert ("api:1", "v", None, "2015-06-02") in world.events(SALES)
    sessions = dict(world.events(SALES, "event_id, session_id"))
    assert (sessions["api:10"], sessions["api:12"]) == ("api:k-20150530-1", "api:k-20150530-2")
    step = everything(world.connection)
    world.build("--full-refresh")
    assert everything(world.connection) == step
    assert world.failing() == {}


def test_a_changed_day_reads_no_more_than_its_own_events_through_windows(world: World) -> None:
    for shop in (CLICKS, SALES):
        world.bring(
            *(
                event(shop, f"d{day}-{number}", visitor_id=f"v{number % 5}", occurred_at=DAY + timedelta(days=day))
                for day in range(1, 29)
                for number in range(20)
            ),
            build=False,
        )
    assert world.dbt("compile", "--select", "fct_events").success
    sql = (world.dbt.work / "target/compiled/cartograph/models/contract/fct_events.sql").read_text()
    with world.connection.transaction():
        world.connection.execute(
            "create temporary table pending on commit drop as"
            " select *, false as everything from (values ('online_retail', '{2015-06-10}'::date[])) as p (shop, days)"
        )
        [(explained,)] = query(world.connection, "explain (analyze, verbose, format json) " + sql)
    plan = explained[0]["Plan"]
    assert plan["Actual Rows"] == 20
    busy = [node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan) if node["Node Type"] in BUSY]
    assert busy and max(busy) <= 25, "more than the events of a day were sorted or numbered"
    read = {node["Schema"] for node in nodes(plan) if "Relation Name" in node and node["Actual Loops"]}
    assert {schema for schema in read if schema.startswith("raw_")} == {"raw_online_retail"}
