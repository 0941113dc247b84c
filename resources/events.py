"""Events that the API took in: the table `serving.events`, and how the graph reads it as a stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from resources.far import SourceError
from resources.streams import READ_RECORDS, Batch, Description, Record, Shard
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import psycopg

EVENTS = "serving.events"
"""The name of the stream; it has one shard for each shop, of the shop's name."""
EVENTS_LOCK = 0x6361_7274_6576_7473
"""The advisory lock that writers take (`pg_advisory_xact_lock`) before they insert and hold to the commit: numbers
become visible in their order, so that a reader that has seen the larger of two has seen the smaller."""
EVENT_TYPES = ("view", "cart", "purchase")

DDL = """
create schema if not exists serving;
create table serving.events (
    shop text not null,
    event_id text not null,
    event_type text not null check (event_type in ('view', 'cart', 'purchase')),
    customer_id text,
    visitor_id text,
    session_id text,
    product_id text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null default clock_timestamp(),
    number bigint generated always as identity,
    primary key (shop, event_id),
    constraint events_name_an_actor check (coalesce(customer_id, visitor_id) is not null)
);
comment on table serving.events is
    'One row is one event that the API took in. number: the order of commit, within which the extracts read on.';
create unique index events_by_number on serving.events (shop, number);
create table if not exists serving.streams (
    name text primary key,
    created_at timestamptz not null
);
comment on table serving.streams is
    'One row is one table of this schema that is read as a stream. created_at: tells it from an earlier one.';
insert into serving.streams (name, created_at) values ('serving.events', clock_timestamp())
    on conflict (name) do update set created_at = excluded.created_at;
"""


def ensure_events(connection: psycopg.Connection) -> None:
    """Make the table of events where it is missing, in the caller's transaction."""
    if _is_there(connection):
        return
    with connection.transaction():
        # Two processes that make a table at once would fail on each other; the second finds it made.
        connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph serving', 0))")
        if not _is_there(connection):
            connection.execute(DDL)


def _is_there(connection: psycopg.Connection) -> bool:
    row = connection.execute("select to_regclass('serving.events') is not null").fetchone()
    return row is not None and bool(row[0])


def shops_with_news(connection: psycopg.Connection, shops: Sequence[str], table: str) -> dict[str, str]:
    """The shops of which the table holds events that were not read, each with the reason; in one query.

    The reason is the same as long as nothing is read, whatever comes behind it.

    Args:
        table: the raw table whose positions the ledger holds.
    """
    if not _is_there(connection):
        return {}
    rows = connection.execute(
        "select wanted.shop, made.created_at is distinct from at.created_at and at.created_at is not null, next.number"
        " from unnest(%(shops)s::text[]) with ordinality as wanted (shop, place)"
        " cross join (select created_at from serving.streams where name = %(name)s) as made"
        " left join ledger.shards as at on at.shop = wanted.shop and at.table_name = %(table)s"
        " left join lateral (select number from serving.events where shop = wanted.shop"
        " and number > coalesce(at.sequence::bigint, 0) order by number limit 1) as next on true"
        " order by wanted.place",
        {"shops": list(shops), "name": EVENTS, "table": table},
    )
    return {
        shop: "the table was made anew" if is_other else f"{shop}: {number}"
        for shop, is_other, number in rows
        if is_other or number is not None
    }


class EventsStream:
    """The events of one shop, a shard of the table: the third kind of stream, beside folders and Kinesis.

    Numbers grow with gaps, for all shops count together and what is refused takes a number too. Nothing is removed.
    """

    name = EVENTS

    def __init__(self, warehouse: Warehouse, shop: str) -> None:
        self.warehouse, self.shop = warehouse, shop
        self.uri = EVENTS

    def describe(self) -> Description | None:
        with self.warehouse.connect() as connection:
            if not _is_there(connection):
                return None
            row = connection.execute(
                "select created_at, clock_timestamp() from serving.streams where name = %s", [EVENTS]
            ).fetchone()
        if row is None:
            raise SourceError(
                f"serving.streams does not say when {EVENTS} was made",
                "put its row back as it was; ledger.shards has the instant",
            )
        return Description(row[0], None, row[1])

    def shards(self) -> list[Shard]:
        # Where its numbers begin tells nothing of a loss: they have gaps.
        return [Shard(self.shop)]

    def read(self, shard: str, after: str | None, limit: int = READ_RECORDS) -> Batch:
        with self.warehouse.connect() as connection:
            rows = connection.execute(
                "select number, received_at, event_id, event_type, customer_id, visitor_id, session_id, product_id,"
                " occurred_at from serving.events where shop = %s and number > %s order by number limit %s",
                [shard, int(after or 0), limit],
            ).fetchall()
            clock = connection.execute("select clock_timestamp()").fetchone()
        assert clock is not None
        now = clock[0]
        keys = ("record_id", "event_type", "customer_id", "visitor_id", "session_id", "product_id")
        records = [
            Record(
                str(number),
                received_at,
                json.dumps(
                    dict(zip(keys, values, strict=True)) | {"occurred_at": occurred_at.isoformat()}, ensure_ascii=False
                ).encode(),
            )
            for number, received_at, *values, occurred_at in rows
        ]
        # A read that is full may have left some; the next one tells.
        is_full = len(records) == limit
        behind = max(now - records[-1].arrived_at, timedelta(milliseconds=1)) if is_full else timedelta(0)
        return Batch(records, behind, False, now)

    def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        raise SourceError(f"{EVENTS} takes no records", "send events to the API: POST /events")
