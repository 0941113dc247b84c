"""The contract's tables of every shop beside its files: all that was said is there, nothing twice, nothing private."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.world import files, recount
from tests.world.conftest import AWAY, Home, World

SHOPS = list(recount.SHOPS)
FILED = [
    ("thelook", "orders", "fct_orders"),
    ("thelook", "order_items", "fct_order_items"),
    ("thelook", "events", "fct_events"),
    ("retailrocket", "events", "fct_events"),
    ("online_retail", "invoice_lines", "fct_order_items"),
    ("olist", "orders", "fct_orders"),
    ("olist", "order_items", "fct_order_items"),
    ("olist", "order_reviews", "fct_reviews"),
    ("anime", "titles", "dim_product"),
]
"""Raw tables, and the contract table in which each of their rows is one row."""
WAITING = {
    ("thelook", "order_items"): "stg_thelook__order_items_few_waiting",
    ("olist", "order_items"): "stg_olist__order_items_few_waiting",
}
"""The tests that count what waits."""


def differing(expected: Counter[Any], found: Counter[Any]) -> str:
    """What is in one of two multisets alone, in words; empty where they are equal."""
    sides = (("missing from the table", expected - found), ("only in the table", found - expected))
    said = []
    for title, left in sides:
        if left:
            said.append(f"{left.total()} rows {title}, such as:")
            said += [f"  {row}" for row in sorted(left, key=repr)[:5]]
    return "\n".join(said)


def held(home: Home, shop: str, table: str, columns: str) -> Counter[Any]:
    return Counter(home.query(f"select {columns} from contract.{table} where shop = %s", shop))


# Nothing is lost, nothing is there twice


@pytest.mark.parametrize("shop", SHOPS)
def test_raw_tables_and_rejects_hold_every_line_of_the_files(home: Home, shop: str) -> None:
    expected = home.facts(shop).raw
    assert set(expected) == {name for name, table in home.shops[shop].tables.items() if table.stream is None}
    rejected = dict(home.query(f"select table_name, count(*) from raw_{shop}.rejects group by 1"))
    found = {
        name: home.query(f"select count(*) from raw_{shop}.{name}")[0][0] + rejected.get(name, 0) for name in expected
    }
    assert found == dict(expected)


@pytest.mark.parametrize(("shop", "raw", "table"), FILED)
def test_every_raw_row_is_filed_or_waits_or_is_an_older_version(home: Home, shop: str, raw: str, table: str) -> None:
    facts = home.facts(shop)
    (count,), (rejected,), (filed,) = (
        home.query(query)[0]
        for query in (
            f"select count(*) from raw_{shop}.{raw}",
            f"select count(*) from raw_{shop}.rejects where table_name = '{raw}'",
            f"select count(*) from contract.{table} where shop = '{shop}'",
        )
    )
    waiting = 0
    if (shop, raw) in WAITING:
        waiting = home.query(f"select count(*) from test_failures.{WAITING[shop, raw]}")[0][0]
    assert waiting == facts.waiting[raw] == ((shop, raw) in WAITING)
    assert count + rejected == filed + waiting + facts.superseded[raw] + rejected
    assert filed > 0


@pytest.mark.parametrize("shop", SHOPS)
def test_orders_are_those_of_the_files(home: Home, shop: str) -> None:
    facts = home.facts(shop)
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for line in facts.lines:
        amounts[line.order_id] += line.amount
    orders = Counter((number, *order, amounts[number]) for number, order in facts.orders.items())
    columns = "order_id, customer_id, status, ordered_at, order_date, is_cancellation, amount"
    wrong = differing(orders, held(home, shop, "fct_orders", columns))
    assert not wrong, wrong
    lines = Counter(
        (
            *(line.order_id, line.product_id, line.customer_id, line.at, line.day, line.quantity, line.price),
            *(line.amount, facts.currency, line.country, line.is_cancelled, line.is_sale),
        )
        for line in facts.lines
    )
    columns = (
        "order_id, product_id, customer_id, ordered_at, order_date, quantity, unit_price,"
        " amount, currency, country, is_cancellation, is_sale"
    )
    wrong = differing(lines, held(home, shop, "fct_order_items", columns))
    assert not wrong, wrong


@pytest.mark.parametrize("shop", SHOPS)
def test_events_and_interactions_are_those_of_the_files(home: Home, shop: str) -> None:
    facts = home.facts(shop)
    events = Counter((event.actor_id, event.kind, event.product_id, event.at, event.day) for event in facts.events)
    wrong = differing(
        events, held(home, shop, "fct_events", "actor_id, event_type, product_id, occurred_at, event_date")
    )
    assert not wrong, wrong
    sessions = home.query("select count(distinct session_id) from contract.fct_events where shop = %s", shop)
    assert sessions == [(len({event.session for event in facts.events}),)]
    expected = Counter((*each, quantity) for each, quantity in recount.interactions(facts).items())
    columns = "actor_id, product_id, kind, occurred_at, quantity"
    wrong = differing(expected, held(home, shop, "fct_interactions", columns))
    assert not wrong, wrong


def test_reviews_are_those_of_the_files(home: Home) -> None:
    for shop in SHOPS:
        expected = Counter(tuple(review) for review in home.facts(shop).reviews)
        columns = "review_date, score, text is not null, customer_id"
        wrong = differing(expected, held(home, shop, "fct_reviews", columns))
        assert not wrong, wrong
        assert bool(expected) == ("reviews" in home.shops[shop].provides)


@pytest.mark.parametrize("shop", SHOPS)
def test_dimensions_hold_what_is_stated_and_infer_what_is_named(home: Home, shop: str) -> None:
    facts = home.facts(shop)
    for table, key, expected in (
        ("dim_customer", "customer_id", recount.customers(facts)),
        ("dim_product", "product_id", recount.products(facts)),
        ("dim_category", "category_id", recount.categories(facts)),
    ):
        wrong = differing(Counter(expected.items()), held(home, shop, table, f"{key}, is_inferred"))
        assert not wrong, f"{table}: {wrong}"
    query = "select product_id, category_id from contract.dim_product where shop = %s and not is_inferred"
    stated = Counter((product, fields.category_id) for product, fields in facts.products.items())
    wrong = differing(stated, Counter(home.query(query, shop)))
    assert not wrong, wrong


def test_categories_that_the_tree_lacks_are_inferred(home: Home) -> None:
    """So that the test above is not one of nothing."""
    assert sum(recount.categories(home.facts("retailrocket")).values()) >= 3
    assert sum(recount.products(home.facts("retailrocket")).values()) >= 1


@pytest.mark.parametrize("shop", SHOPS)
def test_product_history_is_by_the_time_of_the_source(home: Home, shop: str) -> None:
    query = (
        "select product_id, valid_from, valid_to, title, category_id, price"
        " from contract.dim_product_history where shop = %s"
    )
    expected = Counter((*key, *row) for key, row in recount.spans(home.facts(shop).history).items())
    wrong = differing(expected, Counter(home.query(query, shop)))
    assert not wrong, wrong


def test_the_calendar_is_whole(home: Home) -> None:
    ((first, last, count),) = home.query("select min(date), max(date), count(*) from contract.dim_date")
    assert (first, last) == (date(1990, 1, 1), date(2049, 12, 31))
    assert count == (last - first).days + 1


# The clock


@pytest.mark.parametrize("shop", SHOPS)
def test_the_clock_stands_on_the_last_simulated_day(home: Home, world: World, shop: str) -> None:
    facts = home.facts(shop)
    ((as_of, first, last, count),) = home.query(
        "select as_of, first_day, last_day, facts from contract.shop_clock where shop = %s", shop
    )
    assert count == len(facts.days)
    if not facts.days:
        assert (as_of, first, last) == (None, None, None)
        return
    assert (first, last) == (min(facts.days), max(facts.days))
    assert as_of == last
    # A small shop has days without a sale; Online Retail closes on Saturdays and around the turn of the year.
    quiet = timedelta(days=12) if shop == "online_retail" else timedelta(days=3)
    assert world.last_day - quiet <= as_of <= world.last_day
    if shop in ("thelook", "retailrocket"):
        assert as_of == world.last_day


def test_the_recount_is_held_against_a_world_that_grew(home: Home, world: World) -> None:
    """So that the tests above are not about a world in which nothing came late or changed."""
    assert home.facts("olist").superseded["orders"] > 0
    for shop, pattern, column in (
        ("retailrocket", "events", "timestamp"),
        ("online_retail", "Online Retail", "InvoiceDate"),
        ("olist", "olist_orders_dataset", "order_purchase_timestamp"),
    ):
        _, *later = files.files_of(home.source(shop), f"{pattern}*")
        assert len(later) == 1 and files.day_of_growth(later[0]) == str(world.last_day), f"{shop}: {later}"
        assert [row for row in files.csv_records(home.source(shop), later[0].name) if row[column]]
    for table in ("orders", "order_items", "inventory_items"):
        ((old,),) = home.query(
            "select count(*) from ledger.days join ledger.extracts using (extract_id, shop, table_name)"
            " where shop = 'thelook' and table_name = %s and committed_at > %s and day < %s",
            table,
            world.between,
            world.last_day - AWAY - timedelta(days=1),
        )
        assert old > 0, f"the second load found no change in an old day of thelook.{table}"


# Personal data, ids


def private(home: Home) -> dict[str, set[str]]:
    """Shop -> the values of its files that are a person's: names, addresses, numbers of computers, places."""
    users = files.parquet_records(home.source("thelook") / "users")
    events = files.parquet_records(home.source("thelook") / "events")
    found: dict[str, set[str]] = {shop: set() for shop in SHOPS}
    for row in users:
        found["thelook"] |= {row[name] for name in ("first_name", "last_name", "email", "street_address", "city")}
        found["thelook"] |= {row["postal_code"], f"{row['first_name']} {row['last_name']}"}
    for row in events:
        found["thelook"] |= {row[name] for name in ("ip_address", "city", "postal_code")}
    for pattern, columns in (
        ("olist_customers_dataset*", ("customer_zip_code_prefix", "customer_city")),
        ("olist_sellers_dataset*", ("seller_zip_code_prefix", "seller_city")),
        ("olist_geolocation_dataset*", ("geolocation_zip_code_prefix", "geolocation_city")),
    ):
        for row in files.csv_records(home.source("olist"), pattern):
            found["olist"] |= {row[name] for name in columns}
    return {shop: {value for value in values if value} for shop, values in found.items()}


def text_columns(home: Home) -> Iterable[tuple[str, str]]:
    """Table and column of each text behind staging that is no id: an id may look like a postal code."""
    return home.query(
        "select table_schema || '.' || table_name, column_name from information_schema.columns"
        " where table_schema in ('contract', 'marts') and data_type = 'text' and column_name not like '%%\\_id'"
        " and column_name <> 'shop' and table_name <> 'dim_date'",
    )


def test_no_personal_data_is_behind_staging(home: Home) -> None:
    values = private(home)
    assert len(values["thelook"]) > 1000 and len(values["olist"]) > 100
    addresses = {value for value in values["thelook"] if "@" in value or value.count(".") == 3}
    assert len(addresses) > 500
    leaks = []
    for table, column in text_columns(home):
        for shop, value in home.query(f"select distinct shop, {column} from {table} where {column} is not null"):
            if value in values[shop] or any(address in value for address in addresses):
                leaks.append(f"{table}.{column} of {shop}: {value}")
    assert not leaks, leaks[:10]


def test_ids_are_text(home: Home) -> None:
    found = home.query(
        "select table_schema, table_name, column_name, data_type from information_schema.columns"
        " where table_schema in ('contract', 'marts') and column_name like '%%\\_id'"
    )
    assert len(found) > 20
    assert [row for row in found if row[3] != "text"] == []
