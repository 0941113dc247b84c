"""Tables as frames: types, zones, missing values, parts of a table, what is known of a shop, and errors that help."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from assets.marts import frames
from assets.marts.frames import About, FrameError, about, catalog, frame, open_warehouse, query
from resources.embedded_postgres import release
from resources.settings import PROJECT_ROOT, load_settings
from resources.warehouse import Warehouse
from tests.shared_home import server_is_gone

SHOP, OTHER = "online_retail", "elsewhere"
BIG = Decimal("12345678901234.5678")
TABLES = """
create schema contract;
create schema marts;
create schema raw_online_retail;
create table raw_online_retail.secrets (email text);
create table contract.shop_clock (shop text, as_of date, timezone text, currency text, first_day date, facts bigint);
insert into contract.shop_clock values
    ('online_retail', '2011-12-09', 'Europe/London', 'GBP', '2010-12-01', 4),
    ('elsewhere', null, 'Asia/Tokyo', 'JPY', null, 0);
create table contract.fct_order_items (
    shop text, order_id text, line_no bigint, quantity bigint, price numeric(18, 4), is_sale boolean, is_odd boolean,
    ordered_at timestamptz, order_date date, "strange "" name" text
);
insert into contract.fct_order_items values
    ('online_retail', 'a', 1, 5, 12345678901234.5678, true, null, '2011-03-26 23:30:00.25+00', '2011-03-26', ''),
    ('online_retail', 'b', 1, null, 0.1, false, true, '2011-03-27 12:00:00+00', '2011-03-27', null),
    ('online_retail', 'c', 2, -3, null, true, false, null, '2011-03-28', e'two\\nlines, "quotes", \\\\N'),
    ('online_retail', 'd', 1, 7, 1.5, true, true, '2011-07-01 12:00:00+00', '2011-07-01', 'ç'),
    ('elsewhere', 'z', 1, 9, 100, true, true, '2011-07-01 20:00:00+00', '2011-07-02', 'x');
create table contract.dim_product (shop text, product_id text, title text);
insert into contract.dim_product values ('online_retail', 'p', 'A');
create table contract.dim_date (date date, year integer);
insert into contract.dim_date values ('2011-01-01', 2011);
create table marts.mart_customer_value (
    shop text, customer_id text, first_order_at timestamptz, monetary numeric(18, 4)
);
create table marts.mart_spans (shop text, first_day date, last_day date);
"""


@pytest.fixture(scope="module")
def shelf() -> Iterator[Warehouse]:
    """A warehouse of its own with a few tables of contract and marts, which no other test changes."""
    home = Path(tempfile.mkdtemp(prefix="cgf-"))
    home.chmod(0o755)
    made = Warehouse(load_settings(home=home, environment="test"))
    try:
        with made.connect() as connection:
            connection.execute(TABLES)
        yield made
    finally:
        release(home)
        server_is_gone(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def items(shelf: Warehouse) -> pd.DataFrame:
    return frame("fct_order_items", SHOP, warehouse=shelf).sort_values("order_id", ignore_index=True)


# Types


def string() -> pd.StringDtype:
    """pandas' own type for text, with NaN for what is missing."""
    return pd.StringDtype("pyarrow", na_value=float("nan"))


def test_each_type_becomes_the_one_that_is_promised(items: pd.DataFrame) -> None:
    text = string()
    assert items.dtypes.to_dict() == {
        "shop": text,
        "order_id": text,
        "line_no": "int64",
        "quantity": "Int64",
        "price": "float64",
        "is_sale": "bool",
        "is_odd": "boolean",
        "ordered_at": pd.DatetimeTZDtype("ns", "Europe/London"),
        "order_date": "datetime64[ns]",
        'strange " name': text,
    }


def test_a_table_without_rows_has_the_same_types(shelf: Warehouse) -> None:
    empty = frame("mart_customer_value", SHOP, warehouse=shelf)
    assert empty.empty
    assert str(empty["first_order_at"].dtype) == "datetime64[ns, Europe/London]"
    assert empty["monetary"].dtype == "float64" and empty["customer_id"].dtype == string()


def test_missing_values_and_empty_texts_are_told_apart(items: pd.DataFrame) -> None:
    strange = items['strange " name']
    assert strange.isna().tolist() == [False, True, False, False]
    assert strange[0] == "" and strange[2] == 'two\nlines, "quotes", \\N' and strange[3] == "ç"
    assert items["quantity"].isna().tolist() == [False, True, False, False] and items["quantity"].sum() == 9
    assert items["is_odd"].isna().tolist() == [True, False, False, False]
    assert items["price"].isna().tolist() == [False, False, True, False]
    assert items["ordered_at"].isna().tolist() == [False, False, True, False]


def test_instants_are_in_the_zone_of_the_shop_and_keep_their_fraction(items: pd.DataFrame) -> None:
    assert [str(instant) for instant in items["ordered_at"].dropna()] == [
        "2011-03-26 23:30:00.250000+00:00",
        "2011-03-27 13:00:00+01:00",  # the clock was put forward that morning
        "2011-07-01 13:00:00+01:00",
    ]


def test_rows_of_all_shops_are_in_utc(shelf: Warehouse) -> None:
    everything = frame("fct_order_items", columns=["shop", "ordered_at"], warehouse=shelf)
    assert set(everything["shop"]) == {SHOP, OTHER} and len(everything) == 5
    assert str(everything["ordered_at"].dt.tz) == "UTC"
    there = frame("fct_order_items", OTHER, ["ordered_at"], warehouse=shelf)
    assert str(there["ordered_at"][0]) == "2011-07-02 05:00:00+09:00"


def test_amounts_are_floats_unless_asked_for_exactly(items: pd.DataFrame, shelf: Warehouse) -> None:
    assert items["price"][0] == pytest.approx(float(BIG))
    exact = frame("fct_order_items", SHOP, ["order_id", "price"], exact=True, warehouse=shelf).set_index("order_id")[
        "price"
    ]
    assert exact["a"] == BIG and exact["b"] == Decimal("0.1") and exact["c"] is None


def test_a_column_in_which_all_is_missing_keeps_its_rows(shelf: Warehouse) -> None:
    answer = query("select null::text as a union all select '' union all select null", warehouse=shelf)
    assert sorted(answer["a"].isna()) == [False, True, True]


def test_lines_within_a_text_do_not_part_a_row(shelf: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_BLOCK", 256)
    answer = query("select n, n || e'\\none\\n\\ntwo' as text from generate_series(1, 500) as n", warehouse=shelf)
    assert answer["n"].tolist() == list(range(1, 501))
    assert answer["text"].tolist() == [f"{n}\none\n\ntwo" for n in range(1, 501)]


# Parts of a table


def test_columns_come_in_the_order_in_which_they_are_asked_for(shelf: Warehouse) -> None:
    chosen = frame("contract.fct_order_items", SHOP, ["quantity", "order_id", 'strange " name'], warehouse=shelf)
    assert list(chosen) == ["quantity", "order_id", 'strange " name'] and len(chosen) == 4


@pytest.mark.parametrize(
    ("since", "until", "orders"),
    [
        (None, None, "abcd"),
        ("2011-03-27", None, "bcd"),
        (date(2011, 3, 27), date(2011, 3, 28), "bc"),
        (None, "2011-03-26", "a"),
        ("2012-01-01", None, ""),
    ],
)
def test_days_bound_the_rows_on_both_sides(
    shelf: Warehouse, since: str | date | None, until: str | date | None, orders: str
) -> None:
    part = frame("fct_order_items", SHOP, since=since, until=until, warehouse=shelf)
    assert "".join(sorted(part["order_id"])) == orders


def test_a_sample_is_the_same_each_time_and_of_the_shop(shelf: Warehouse) -> None:
    draws = [
        tuple(frame("fct_order_items", SHOP, ["order_id"], sample=2, warehouse=shelf)["order_id"]) for _ in range(2)
    ]
    assert draws[0] == draws[1] and len(set(draws[0])) == 2 and "z" not in draws[0]
    assert len(frame("fct_order_items", SHOP, sample=99, warehouse=shelf)) == 4


def test_a_table_of_no_shop_is_read_without_one(shelf: Warehouse) -> None:
    assert frame("dim_date", warehouse=shelf)["date"].tolist() == [pd.Timestamp("2011-01-01")]


# Queries


def test_a_query_takes_values_and_finds_contract_and_marts(shelf: Warehouse) -> None:
    answer = query(
        "with x as (select * from fct_order_items) select count(*) as n, max(ordered_at) as last from x"
        " where shop = %(shop)s and quantity > %(least)s -- with a comment",
        {"least": 4},
        shop=SHOP,
        warehouse=shelf,
    )
    assert answer["n"].tolist() == [2] and str(answer["last"][0]) == "2011-07-01 13:00:00+01:00"
    assert query("select '100%' as share;", warehouse=shelf)["share"].tolist() == ["100%"]
    assert query("select %s::int as n", [3], warehouse=shelf)["n"].tolist() == [3]
    assert query("select %(name)s as name", {"name": "'; drop table contract.dim_date; --"}, warehouse=shelf).size == 1


@pytest.mark.parametrize(
    "statement",
    [
        "delete from contract.fct_order_items",
        "with gone as (delete from contract.fct_order_items returning 1) select * from gone",
        "select 1; delete from contract.fct_order_items",
        "select 1 as a) to stdout; commit; delete from contract.fct_order_items; copy (select 2 as b",
        "create table contract.more (a int)",
    ],
)
def test_nothing_can_be_written(shelf: Warehouse, statement: str) -> None:
    with pytest.raises(FrameError):
        query(statement, warehouse=shelf)
    assert len(frame("fct_order_items", warehouse=shelf)) == 5


def test_what_the_server_says_and_the_query_are_in_the_message(shelf: Warehouse) -> None:
    with pytest.raises(FrameError, match=r'column "quantty" does not exist[\s\S]*select quantty from fct_order_items'):
        query("select quantty from fct_order_items", warehouse=shelf)
    with pytest.raises(FrameError, match="two columns named shop; rename one"):
        query("select shop, shop from shop_clock", warehouse=shelf)
    with pytest.raises(FrameError, match="division by zero"):
        query("select 1 / (quantity - quantity) as n from fct_order_items", warehouse=shelf)


def test_no_connection_is_left_open(shelf: Warehouse) -> None:
    frame("dim_date", warehouse=shelf)
    with pytest.raises(FrameError):
        frame("dim_dat", warehouse=shelf)
    mine = "select count(*) as n from pg_stat_activity where application_name = 'cartograph frames'"
    assert query(mine, warehouse=shelf)["n"].tolist() == [1]  # the one that asks


# Errors


def test_unknown_names_are_answered_with_near_ones(shelf: Warehouse) -> None:
    with pytest.raises(FrameError, match="have no table 'fct_order_item'; did you mean 'fct_order_items'"):
        frame("fct_order_item", warehouse=shelf)
    with pytest.raises(
        FrameError, match=r"have no table 'raw_online_retail\.secrets'; there are: dim_date, dim_product"
    ):
        frame("raw_online_retail.secrets", warehouse=shelf)
    with pytest.raises(
        FrameError, match=r"contract\.fct_order_items has no column 'quantty'; did you mean 'quantity'\?"
    ):
        frame("fct_order_items", columns=["quantty"], warehouse=shelf)
    with pytest.raises(FrameError, match="holds no shop 'online-retail'; did you mean 'online_retail'"):
        frame("fct_order_items", "online-retail", warehouse=shelf)
    with pytest.raises(FrameError, match="holds no shop 'qqq'; there are: elsewhere, online_retail"):
        about("qqq", shelf)


@pytest.mark.parametrize(
    ("table", "asked", "says"),
    [
        ("dim_date", {"shop": SHOP}, "contract.dim_date is of no shop: ask for it without one"),
        ("dim_product", {"since": "2011-01-01"}, "contract.dim_product has none"),
        ("mart_spans", {"until": "2011-01-01"}, "the columns first_day, last_day"),
        ("fct_order_items", {"since": "01/02/2011"}, "'01/02/2011' is not a day"),
        ("fct_order_items", {"sample": 0}, "a sample of 0 rows"),
        ("fct_order_items", {"columns": []}, "name at least one"),
        ("fct_order_items", {"columns": ["shop", "shop"]}, "each once"),
    ],
)
def test_what_cannot_be_asked_is_explained(shelf: Warehouse, table: str, asked: dict[str, object], says: str) -> None:
    with pytest.raises(FrameError, match=says):
        frame(table, **asked, warehouse=shelf)  # type: ignore[arg-type]


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FrameError, match=r"holds no warehouse\. Make one with `make demo`"):
        open_warehouse(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_relative_home_is_one_of_the_project(
    shelf: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FrameError, match=str(PROJECT_ROOT / ".cartograph" / "no-such-home")):
        open_warehouse(".cartograph/no-such-home")
    assert open_warehouse(shelf.settings.home).settings.home == shelf.settings.home


def test_an_empty_warehouse_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shelf: Warehouse) -> None:
    def dagster(*_: object, **more: object) -> psycopg.Connection:
        return Warehouse.connect(shelf, "dagster")  # a database that holds no contract

    empty = Warehouse(shelf.settings)
    monkeypatch.setattr(empty, "connect", dagster)
    with pytest.raises(FrameError, match="no table of contract or marts yet: run `cartograph materialize`"):
        frame("fct_orders", warehouse=empty)


# What is known of a shop


def test_about_a_shop(shelf: Warehouse) -> None:
    told = about(SHOP, shelf)
    assert (told.title, told.currency, told.timezone) == ("UCI Online Retail", "GBP", "Europe/London")
    assert (told.first_day, told.as_of) == (date(2010, 12, 1), date(2011, 12, 9))
    assert told.rows == {
        "dim_product": 1,
        "fct_order_items": 4,
        "shop_clock": 1,
        "mart_customer_value": 0,
        "mart_spans": 0,
    }
    assert told.lacks("orders", "products") is None
    assert told.lacks("events") == "UCI Online Retail provides no events."
    assert told.lacks("orders", "events", "reviews") == "UCI Online Retail provides no events and no reviews."


def test_a_shop_that_the_shops_file_does_not_name_is_refused(shelf: Warehouse) -> None:
    with pytest.raises(FrameError, match=r"holds 'elsewhere', and .*shops\.yaml does not name it"):
        about(OTHER, shelf)


def test_what_is_provided_but_not_loaded_is_said() -> None:
    told = About("x", "Xenia", "UTC", "EUR", "en", ("orders", "product_text"), None, None, {"dim_product": 0})
    assert told.lacks("orders") == "Xenia provides orders, but none is loaded yet."
    assert told.lacks("product_text", "orders") == "Xenia provides product text and orders, but none is loaded yet."
    assert told.lacks("product_text", "events") == "Xenia provides no events."


def test_the_catalog_tells_types_and_meanings(shelf: Warehouse) -> None:
    told = catalog(shelf).set_index(["table", "column"])
    assert told.loc[("fct_order_items", "ordered_at"), "type"] == "timestamptz"
    assert told.loc[("fct_order_items", "ordered_at"), "meaning"].startswith("Instant of the order")
    assert told.loc[("dim_product", ""), "meaning"].startswith("One row is a product of a shop")
    assert told.loc[("mart_spans", "last_day"), "meaning"] == ""
    assert "raw_online_retail" not in set(told["schema"])
    assert not told["meaning"].str.contains(r"\{\{|doc\(", regex=True).any()
