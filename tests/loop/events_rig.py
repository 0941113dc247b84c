"""Events as the API stores them, and what became of them in the raw tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from assets.extracts.ledger import ensure_ledger
from resources.events import EVENTS_LOCK, ensure_events
from resources.shops import API_EVENTS
from resources.warehouse import Warehouse
from serving.api.event_writer import _INSERT, EventRow

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def event(shop: str, name: str, **values: Any) -> EventRow:
    """One good event; those of growing names come one after the other."""
    fields: dict[str, Any] = {
        "event_type": "view",
        "customer_id": None,
        "visitor_id": "v",
        "session_id": None,
        "product_id": "p",
        "occurred_at": NOON,
    }
    return EventRow(shop, name, **(fields | values))


def many(shop: str, first: int, count: int) -> list[EventRow]:
    """Events of four days."""
    return [
        event(shop, f"e{number:06d}", visitor_id=f"v{number % 7}", occurred_at=NOON + timedelta(hours=number % 96))
        for number in range(first, first + count)
    ]


@contextmanager
def writing(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    """A transaction of the API, which is committed at the end."""
    with warehouse.connect() as connection:
        ensure_events(connection)
        connection.commit()
        connection.execute("select pg_advisory_xact_lock(%s)", [EVENTS_LOCK])
        yield connection


def store(warehouse: Warehouse, *events: EventRow) -> None:
    with writing(warehouse) as connection:
        connection.execute(_INSERT, [list(column) for column in zip(*events, strict=True)])


def rows(warehouse: Warehouse, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with warehouse.connect() as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[arg-type]


def raw_ids(warehouse: Warehouse, shop: str) -> list[str]:
    """The events of a shop in the table of all shops."""
    return [
        name for (name,) in rows(warehouse, "select record_id from raw_api.events where shop = %s order by 1", shop)
    ]


def clear(warehouse: Warehouse, *shops: str) -> None:
    """Take all away that the events of shops have left."""
    with warehouse.connect() as connection:
        ensure_ledger(connection)
        connection.execute("drop schema if exists serving cascade")
        for shop in shops:
            connection.execute(f"drop schema if exists raw_{shop} cascade")  # type: ignore[arg-type]
            for table in ("extracts", "shards", "gaps", "changes"):
                connection.execute(
                    f"delete from ledger.{table} where shop = %s and table_name = %s",  # type: ignore[arg-type]
                    [shop, API_EVENTS],
                )
