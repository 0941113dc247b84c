"""What is made and tested again after a change: only what the change concerns, and all that it may have made wrong."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from assets.extracts.raw import ensure_raw
from assets.marts import readiness
from assets.marts.project import data_tests
from resources.embedded_postgres import release
from resources.settings import load_settings
from resources.shops import Shop, load_shops
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.dbt_runs import PROJECT, Dbt, everything, five_shops, query, versions

NAMES = ("retailrocket", "online_retail")
FIRST, SECOND, THIRD = "2015-06-01", "2015-06-02", "2015-06-03"
BY_KEY = ("contract.dim_product", "marts.mart_product_funnel")


class World:
    """A warehouse with a shop of events and a shop of sales, whose raw rows and changes are written by hand."""

    def __init__(self, warehouse: Warehouse, dbt: Dbt, connection: psycopg.Connection, shops: dict[str, Shop]) -> None:
        self.warehouse, self.dbt, self.connection, self.shops = warehouse, dbt, connection, shops

    def events(self, day: str, *items: tuple[int, int]) -> None:
        """Views of items by visitors, an hour apart."""
        with self.connection.transaction():
            for hour, (visitor, item) in enumerate(items):
                self.connection.execute(
                    "insert into raw_retailrocket.events (timestamp, visitorid, event, itemid, _extract_id)"
                    " values (%s::timestamptz, %s, 'view', %s, 1)",
                    [f"{day} {8 + hour}:00Z", visitor, item],
                )
            self.changed("retailrocket", "events", day)

    def forget(self, day: str, item: int) -> None:
        with self.connection.transaction():
            self.connection.execute(
                "delete from raw_retailrocket.events where itemid = %s and (timestamp at time zone 'UTC')::date = %s",
                [item, day],
            )
            self.changed("retailrocket", "events", day)

    def sale(self, day: str, order: str, item: str, price: str) -> None:
        with self.connection.transaction():
            self.connection.execute(
                "insert into raw_online_retail.invoice_lines (invoice_no, stock_code, description, quantity,"
                " invoice_date, unit_price, customer_id, country, _extract_id)"
                " values (%s, %s, 'A THING', 2, %s, %s, '1', 'France', 1)",
                [order, item, f"{day} 09:00", price],
            )
            self.changed("online_retail", "invoice_lines", day)

    def changed(self, shop: str, table: str, day: str | None) -> None:
        self.connection.execute(
            "insert into ledger.changes (shop, table_name, day, extract_id) values (%s, %s, %s, 1)", [shop, table, day]
        )

    def begin_tests(self) -> int:
        manifest = self.dbt.manifest
        models, tests = readiness.tracked_models(manifest), data_tests(manifest)
        return readiness.begin_tests(self.connection, self.shops, models, tests)

    def test_changes(self, *tests_of: str) -> dict[str, int]:
        """Run the tests, or those of some models, as the assets do; the failing ones with their counts."""
        made = self.begin_tests()
        self.dbt.tests = "changed"
        try:
            failing = self.dbt.test(*(["--select", *tests_of] if tests_of else []))
        finally:
            self.dbt.tests = "all"
        for shop in self.shops.values():
            readiness.mark_tested(self.connection, shop, made)
        return failing

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return query(self.connection, sql, *values)

    def ids(self, table: str) -> set[str]:
        """Of the first items; further ones, of which no event tells, keep the inferred ones few."""
        ids = self.ask(f"select product_id from {table} where shop = 'retailrocket' and product_id::integer < 5")
        return {name for (name,) in ids}

    def rows_of(self, item: str) -> dict[str, set[tuple[Any, ...]]]:
        """The physical identity of an item's rows in the tables that are made by key."""
        where = f"shop = 'retailrocket' and product_id = '{item}'"
        return {table: versions(self.connection, table, where) for table in BY_KEY}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = Path(tempfile.mkdtemp(prefix="cg_changes_"))
    home.chmod(0o711)
    try:
        warehouse = Warehouse(load_settings(home=home, environment="test"))
        shops = {name: shop for name, shop in load_shops(ALL_SHOPS).items() if name in NAMES}
        ensure_raw(warehouse, shops)
        with warehouse.connect(autocommit=True) as connection:
            dbt = Dbt(PROJECT, tmp_path_factory.mktemp("dbt"), connection.info.host, connection.info.dbname)
            dbt.shops = {name: values for name, values in five_shops().items() if name in NAMES}
            world = World(warehouse, dbt, connection, shops)
            connection.execute(
                "insert into raw_retailrocket.item_properties (timestamp, itemid, property, value, _extract_id)"
                " select %s::timestamptz, item, 'categoryid', '5', 1 from generate_series(1, 30) as item"
                " where item not in (3, 4, 6)",
                [f"{FIRST} 00:00Z"],
            )
            connection.execute("insert into raw_retailrocket.category_tree (categoryid, _extract_id) values ('5', 1)")
            world.changed("retailrocket", "item_properties", None)
            world.events(FIRST, (7, 1), (7, 2), (8, 1))
            world.events(SECOND, (7, 3), (9, 1))
            world.sale("2015-06-01", "100", "A", "2.00")
            world.sale("2015-06-02", "101", "B", "3.00")
            dbt.run()
            assert world.test_changes() == {}
            yield world
    finally:
        release(home)
        time.sleep(1.5)
        shutil.rmtree(home, ignore_errors=True)


def test_after_the_tests_nothing_is_left_to_test(world: World) -> None:
    assert world.ask("select * from ledger.made") == []
    assert not any(readiness.untested(world.connection, shop) for shop in world.shops.values())


def test_products_of_changed_days_alone_are_made_again(world: World) -> None:
    others = world.rows_of("2")
    assert world.ids("marts.mart_product_funnel") == {"1", "2", "3"}
    world.events(THIRD, (7, 1), (9, 4))
    # Nothing else tells of item 3, neither a property nor another day: it has to go from what sums up all days.
    world.forget(SECOND, 3)
    world.dbt.run()

    assert world.ids("marts.mart_product_funnel") == world.ids("contract.dim_product") == {"1", "2", "4"}
    assert world.rows_of("2") == others
    assert world.ask(
        "select views, actors, last_at from marts.mart_product_funnel as f"
        " where product_id = '1' and last_at = '2015-06-03 08:00Z'"
    )[0][:2] == (4, 3)
    made = world.ask(
        "select everything, array(select unnest(keys) order by 1) from ledger.made where model = %s", BY_KEY[1][6:]
    )
    assert made == [(False, ["1", "3", "4"])]
    world.begin_tests()
    idle = set(readiness.idle_tests(world.connection, world.dbt.manifest))
    assert {"fct_orders_key", "mart_daily_sales_key", "stg_olist__order_items_few_waiting"} <= idle
    busy = {"fct_events_key", "fct_events_product_exists", "mart_product_funnel_is_events", "dim_date_is_whole"}
    assert not idle & (busy | {"retailrocket_categories_reach_the_top"})
    assert world.test_changes() == {}
    assert world.ask("select * from ledger.vanished") == []


def test_steps_and_a_full_refresh_agree(world: World) -> None:
    # Of the shop of sales products are made by what all its lines say: their price.
    world.sale("2015-06-03", "102", "A", "2.50")
    world.dbt.run()
    assert world.ask(
        "select price::float from contract.dim_product where shop = 'online_retail' order by product_id"
    ) == [
        (2.5,),
        (3,),
    ]
    assert world.ask("select product_id, units from marts.mart_product_sales order by 1") == [("A", 4), ("B", 2)]
    steps = everything(world.connection)
    world.dbt.run("--full-refresh")
    assert everything(world.connection) == steps
    assert world.test_changes("mart_product_sales", "dim_product") == {}


def test_a_failure_is_kept_until_its_rows_are_sound(world: World) -> None:
    wrong = "update contract.fct_events set event_type = %s where event_date = %s"
    world.connection.execute(wrong, ["odd", FIRST])
    world.events(THIRD, (7, 1))
    world.dbt.run("--select", "fct_events")
    # Nothing made this day again, so no test reads it, until all is read.
    assert world.test_changes("fct_events_event_type_known") == {}
    assert world.dbt.test("--select", "fct_events_event_type_known") == {"fct_events_event_type_known": 1}
    # From then on all rows of that shop are read, whatever changes.
    for visitor in (7, 8):
        world.events(THIRD, (visitor, 2))
        world.dbt.run("--select", "fct_events")
        assert world.test_changes("fct_events_event_type_known") == {"fct_events_event_type_known": 1}
    assert world.ask("select test, shop from ledger.failing") == [("fct_events_event_type_known", "retailrocket")]
    world.connection.execute(wrong, ["view", FIRST])
    assert world.test_changes("fct_events_event_type_known") == {}


def test_a_key_that_a_change_doubles_is_found_on_the_day_that_had_it(world: World) -> None:
    taken = "update contract.fct_events set event_id = {} where event_date = '2015-06-01' and actor_id = '8'"
    [(own,)] = world.ask("select event_id from contract.fct_events where event_date = %s and actor_id = '8'", FIRST)
    world.events(THIRD, (5, 2))
    world.dbt.run("--select", "fct_events")
    world.connection.execute(taken.format("(select event_id from contract.fct_events where actor_id = '5' limit 1)"))
    assert world.test_changes("fct_events_key") == {"fct_events_key": 1}
    world.connection.execute(taken.format(f"'{own}'"))
    assert world.test_changes("fct_events_key") == {}


def test_a_row_that_a_change_takes_away_is_missed_wherever_it_is_named(world: World) -> None:
    world.events(THIRD, (5, 1))
    world.dbt.run()
    world.connection.execute("create table public.kept as select * from contract.dim_product where product_id = '1'")
    world.connection.execute("delete from contract.dim_product where product_id = '1'")
    tables = ("fct_events", "fct_interactions", "mart_product_funnel", "dim_product_history")
    tests = [f"{table}_product_exists" for table in tables]
    assert world.test_changes(*tests).keys() == set(tests)
    (counted,) = world.ask("select count(*) from contract.fct_events where product_id = '1'")
    assert world.ask("select n_rows from test_failures.fct_events_product_exists") == [counted]
    world.connection.execute("insert into contract.dim_product select * from public.kept")
    assert world.test_changes(*tests) == {}


def test_sums_are_held_against_the_facts_of_changed_products(world: World) -> None:
    test, more = "mart_product_funnel_is_events", "update marts.mart_product_funnel set views = views + %s"
    world.events("2015-06-04", (5, 1), (5, 6))
    world.dbt.run()
    world.connection.execute(more + " where product_id in ('1', '2')", [1])
    # A product that the days tell of, and the mart neither holds nor says that it was made.
    world.connection.execute("delete from marts.mart_product_funnel where product_id = '6'")
    world.connection.execute("update ledger.made set keys = '{1}' where model = 'mart_product_funnel'")
    assert world.test_changes(test) == {test: 2}
    assert set(world.ask(f"select product_id from test_failures.{test}")) == {("1",), ("6",)}
    # Now it reads all, so it finds the one of which the change did not tell.
    world.connection.execute(more + " where product_id = '1'", [-1])
    assert world.test_changes(test) == {test: 2}
    assert set(world.ask(f"select product_id from test_failures.{test}")) == {("2",), ("6",)}


def test_new_tests_read_all(world: World) -> None:
    test = "fct_events_event_type_known"
    assert world.test_changes(test) == {}
    world.connection.execute("update contract.fct_events set event_type = 'odd' where event_date = %s", [FIRST])
    assert world.test_changes(test) == {}
    world.connection.execute("update ledger.tests set code = 'of other tests' where shop = 'retailrocket'")
    assert readiness.untested(world.connection, world.shops["retailrocket"])
    assert not readiness.untested(world.connection, world.shops["online_retail"])
    assert world.test_changes(test) == {test: 1}
