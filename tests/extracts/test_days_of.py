"""The days of a change are those under which the contract files the rows, also where another table tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from assets.extracts.declared import DeclarationError, declared_tables
from resources.warehouse import Warehouse
from tests.rig import NAME, TableRig

ORDERS = {"cursor": "at", "restate_days": 60, "columns": {"id": "bigint", "user_id": "bigint", "at": "timestamptz"}}
USERS = {"key": ["id"], "columns": {"id": "bigint", "name": "text"}}
BY_USER = {"days_of": [{"table": "orders", "by": {"user_id": "id"}}]}
NO_DAY = "-infinity"


@pytest.fixture
def make(warehouse: Warehouse, tmp_path: Path) -> Iterator[Callable[..., TableRig]]:
    made: list[TableRig] = []

    def rig(timezone: str = "UTC", kind: str = "bigquery", **tables: dict[str, Any]) -> TableRig:
        made.append(TableRig(warehouse, tmp_path, tables, timezone, kind))
        made[-1].clear()
        return made[-1]

    yield rig
    for item in made:
        item.clear()


def orders(*rows: tuple[int, int | None, str | None]) -> pa.Table:
    """Orders by number, user and time; days are of May 2024."""
    return pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.int64()),
            "user_id": pa.array([row[1] for row in rows], pa.int64()),
            "at": pa.array([row[2] and at(row[2]) for row in rows], pa.timestamp("us", tz="UTC")),
        }
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2024-05-{text}").replace(tzinfo=UTC)


def users(**names: str | None) -> pa.Table:
    """Users by number (`u7`) and name."""
    ids = [int(key[1:]) for key in names]
    return pa.table({"id": pa.array(ids, pa.int64()), "name": pa.array(list(names.values()), pa.string())})


def may(*days: int) -> list[str]:
    return [f"2024-05-{day:02d}" for day in days]


SOME = ((1, 7, "01T12:00"), (2, 7, "03T12:00"), (3, 8, "05T12:00"), (4, 9, "05T13:00"), (5, None, "20T12:00"))


@pytest.mark.parametrize("links_first", [False, True])
def test_days_through_a_link_in_both_orders_of_loading(make: Callable[..., TableRig], links_first: bool) -> None:
    rig = make(orders=ORDERS, users=USERS | {"meta": BY_USER})
    rig.put("orders", orders(*SOME))
    rig.put("users", users(u7="a", u8="b", u6="c"))
    for table in ("users", "orders") if links_first else ("orders", "users"):
        rig.load(table)
    assert rig.days("orders") == may(1, 3, 5, 20)
    # Loaded first, the users had no order yet; the orders' own days were said by the orders.
    assert rig.days("users") == ([NO_DAY] if links_first else may(1, 3, 5))


def test_only_rows_that_came_changed_or_went_count(make: Callable[..., TableRig]) -> None:
    rig = make(orders=ORDERS, users=USERS | {"meta": BY_USER})
    rig.put("orders", orders(*SOME))
    rig.put("users", users(u6="f", u7="a", u8="b"))
    rig.load("orders")
    rig.load("users")
    for after, days in (
        (users(u6="f", u7="A", u8="b"), may(1, 3)),  # changed
        (users(u6="f", u7="A"), may(5)),  # went
        (users(u6="f", u7="A", u9="d"), may(5)),  # came
        (users(u6="F", u7="A", u9="d"), [NO_DAY]),  # has no order
    ):
        change = rig.last_change()
        rig.put("users", after)
        report = rig.load("users")
        assert rig.days("users", change) == days and report.days_linked == len([day for day in days if day != NO_DAY])
    change = rig.last_change()
    assert rig.load("users").is_unchanged and rig.last_change() == change


def test_a_sliced_table_names_its_own_days_and_those_of_its_links(make: Callable[..., TableRig]) -> None:
    items = {"columns": {"id": "bigint", "user_id": "bigint", "at": "timestamptz"}}
    link = {"days_of": [{"table": "orders", "by": {"id": "user_id"}}]}
    for own_day in (True, False):
        rig = make(orders=ORDERS, items=ORDERS | items | {"meta": link | {"own_day": own_day}})
        rig.put("orders", orders(*SOME))
        rig.load("orders")
        rig.put("items", orders((1, 2, "09T12:00"), (2, 3, "09T13:00"), (3, 77, "10T12:00")))
        rig.load("items")
        assert rig.days("items") == may(3, 5, *((9, 10) if own_day else ()))
        # Of the day that is replaced, one row moved to another order; the other stayed.
        change = rig.last_change()
        rig.put("items", orders((1, 2, "09T12:00"), (2, 1, "09T13:00"), (3, 77, "10T12:00")))
        rig.load("items")
        assert rig.days("items", change) == may(1, 5, *((9,) if own_day else ()))
        change = rig.last_change()
        rig.put("items", orders((1, 2, "09T12:00"), (2, 1, "09T13:00"), (3, 78, "10T12:00"), (4, None, "10T13:00")))
        rig.load("items")
        assert rig.days("items", change) == (may(10) if own_day else [NO_DAY])
        for folder in ("orders", "items"):
            (rig.inbox / folder / "part.parquet").unlink()


def test_a_link_to_the_table_itself(make: Callable[..., TableRig]) -> None:
    """Sessions over midnight: a late event changes the days of all events of its session."""
    link = {"days_of": [{"table": "events", "by": {"user_id": "user_id"}}]}
    rig = make(events=ORDERS | {"meta": link})
    rig.put("events", orders((1, 7, "01T23:50"), (2, 7, "02T00:10"), (3, 8, "02T12:00"), (4, 9, "05T12:00")))
    rig.load("events")
    change = rig.last_change()
    rig.put(
        "events",
        orders((1, 7, "01T23:50"), (2, 7, "02T00:10"), (3, 8, "02T12:00"), (4, 9, "05T12:00"), (5, 7, "03T00:05")),
    )
    report = rig.load("events")
    assert rig.days("events", change) == may(1, 2, 3) and (report.days_changed, report.days_linked) == (1, 2)
    change = rig.last_change()
    rig.put("events", orders((1, 7, "01T23:50"), (3, 8, "02T12:00"), (4, 9, "05T12:00"), (5, 7, "03T00:05")))
    rig.load("events")
    assert rig.days("events", change) == may(1, 2, 3)
    # The rows that went are found by their own link too, where their own day does not count by itself.
    rig.declare({"events": ORDERS | {"meta": link | {"own_day": False}}}, "UTC")
    change = rig.last_change()
    rig.put("events", orders((1, 7, "01T23:50"), (3, 8, "02T12:00"), (5, 7, "03T00:05")))
    rig.load("events")
    assert rig.days("events", change) == may(5)


def test_the_linked_day_is_the_shops_and_a_linked_row_without_one_is_any(make: Callable[..., TableRig]) -> None:
    rig = make("America/New_York", orders=ORDERS, users=USERS | {"meta": BY_USER})
    rig.put("orders", orders((1, 7, "02T03:59"), (2, 8, "02T04:00"), (3, 9, None)))
    rig.load("orders")
    for name, days in (("u7", may(1)), ("u8", may(2)), ("u9", [None])):
        change = rig.last_change()
        rig.put("users", users(**{name: "x"}), f"{name}.parquet")
        rig.load("users")
        assert rig.days("users", change) == days


def test_several_columns_and_several_links(make: Callable[..., TableRig]) -> None:
    meta = {
        "days_of": [
            {"table": "orders", "by": {"user_id": "user_id", "id": "id"}},
            {"table": "visits", "by": {"id": "id"}},
        ]
    }
    pairs = {"key": ["id", "user_id"], "columns": {"id": "bigint", "user_id": "bigint"}, "meta": meta}
    rig = make(orders=ORDERS, visits=ORDERS, pairs=pairs)
    rig.put("orders", orders(*SOME))
    rig.put("visits", orders((1, 1, "28T00:00")))
    rig.load("orders")
    rig.load("visits")
    rig.put("pairs", pa.table({"id": [1, 2, 4], "user_id": [7, 8, 9]}))
    rig.load("pairs")
    assert rig.days("pairs") == may(1, 5, 28)


def test_tables_without_links(make: Callable[..., TableRig]) -> None:
    rig = make(orders=ORDERS | {"meta": {"own_day": False}}, users=USERS, quiet=USERS | {"meta": {"own_day": False}})
    rig.put("orders", orders(*SOME))
    rig.put("users", users(u1="x"))
    rig.put("quiet", users(u1="x"))
    for table in ("orders", "users", "quiet"):
        rig.load(table)
    assert (rig.days("orders"), rig.days("users"), rig.days("quiet")) == ([NO_DAY], [None], [NO_DAY])


def test_object_tables_have_links_too(make: Callable[..., TableRig]) -> None:
    rig = make(
        kind="objects",
        orders={"objects": ["orders*"], "cursor": "at", "columns": ORDERS["columns"]},
        lines={"objects": ["lines*", "more*"], "columns": USERS["columns"], "meta": BY_USER},
    )
    rig.put(
        ".",
        b"id,user_id,at\n1,7,2024-05-01T12:00:00Z\n2,8,2024-05-05T12:00:00Z\n3,9,2024-05-06T12:00:00Z\n",
        "orders.csv",
    )
    rig.put(".", b"id,name\n7,a\n8,b\n", "lines.csv")
    rig.load("orders")
    rig.load("lines")
    assert (rig.days("orders"), rig.days("lines")) == (may(1, 5, 6), may(1, 5))
    for text, days in (
        (b"id,name\n7,a\n8,B\n", may(5)),
        (b"id,name\n8,B\n9,c\n", may(1, 6)),
        (b"id,name\n", may(5, 6)),
    ):
        change = rig.last_change()
        rig.put(".", text, "lines.csv")
        rig.load("lines")
        assert rig.days("lines", change) == days
    # Rows go that another file replaces without bringing any.
    rig.put(".", b"id,name\n8,B\n", "lines.csv")
    rig.put(".", b"id,name\n7,A\n", "more.csv")
    rig.load("lines")
    change = rig.last_change()
    rig.put(".", b"id,name\n7,A\n", "lines.csv")
    assert rig.load("lines").loaded[0].removed == 1 and rig.days("lines", change) == may(5)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        (
            {"days_of": [{"table": "order", "by": {"user_id": "id"}}]},
            "no table 'order' is declared; did you mean 'orders'?",
        ),
        (
            {"days_of": [{"table": "orders", "by": {"user": "id"}}]},
            "table orders has no column 'user'; did you mean 'user_id'?",
        ),
        (
            {"days_of": [{"table": "orders", "by": {"user_id": "no"}}]},
            "table users has no column 'no'; it has id, name",
        ),
        (
            {"days_of": [{"table": "orders", "by": {"user_id": "name"}}]},
            "orders.user_id is bigint and users.name is text",
        ),
        ({"days_of": [{"table": "orders"}]}, "write a list of"),
        ({"days_of": {"table": "orders"}}, "write a list of"),
        ({"days_of": [{"table": "orders", "by": {}}]}, "names no column of orders"),
        ({"own_day": "no"}, "own_day is 'no'; write true or false"),
    ],
)
def test_a_wrong_declaration_is_named(make: Callable[..., TableRig], meta: dict[str, Any], words: str) -> None:
    rig = make(orders=ORDERS, users=USERS | {"meta": meta})
    with pytest.raises(DeclarationError) as error:
        declared_tables(NAME, rig.dbt)
    assert str(error.value).startswith(f"{rig.dbt}/models/staging/{NAME}/_sources.yml: users: ") and words in str(
        error.value
    )


def test_a_link_to_a_table_without_days_is_named(make: Callable[..., TableRig]) -> None:
    rig = make(orders=USERS | {"columns": ORDERS["columns"]}, users=USERS | {"meta": BY_USER})
    with pytest.raises(DeclarationError, match=r"_sources.yml: users: days_of: table 'orders' has no `cursor`"):
        rig.run("users")
