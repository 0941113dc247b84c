"""The ledger: which source objects are in which raw tables, since when, and which days of a shop changed.

Its tables stand in the schema `ledger` beside the raw tables that they speak of and change in the same transactions, so
that no crash can part them. `ledger.builds` is written by dbt: up to which change it has built each model for a shop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import psycopg

DDL = """
create schema if not exists ledger;
create table if not exists ledger.extracts (
    extract_id bigint generated always as identity primary key,
    shop text not null,
    table_name text not null,
    uri text not null,
    sha256 text not null,
    format text not null,
    lake_name text not null,
    rows bigint not null,
    rejected bigint not null,
    bytes bigint not null,
    cursor_low text,
    cursor_high text,
    seconds double precision not null,
    committed_at timestamptz not null default now(),
    removed_at timestamptz
);
comment on table ledger.extracts is
    'One row is one object, or one slice of a table, whose rows were put into a raw table; rows: how many of them are '
    'still there. removed_at: none is any more, or what was read later says all that it said.';
create unique index if not exists extracts_active
    on ledger.extracts (shop, table_name, sha256) where removed_at is null;
create table if not exists ledger.objects (
    shop text not null,
    table_name text not null,
    uri text not null,
    fingerprint text not null,
    sha256 text not null,
    bytes bigint not null,
    seen_at timestamptz not null default now(),
    primary key (shop, table_name, uri)
);
comment on table ledger.objects is
    'One row is one URI of a source and the content that it had when it was last taken in.';
create table if not exists ledger.days (
    shop text not null,
    table_name text not null,
    day date,
    extract_id bigint not null,
    rows bigint not null,
    rejected bigint not null,
    digest text not null,
    cursor_low text,
    cursor_high text
);
comment on table ledger.days is
    'One row is one day of a raw table that is read by slices: what it holds, and the extract that brought it; '
    'no day: the rows whose cursor is no date.';
create unique index if not exists days_key
    on ledger.days (shop, table_name, coalesce(day, '-infinity'::date));
create index if not exists days_extract on ledger.days (extract_id);
create table if not exists ledger.cursors (
    shop text not null,
    table_name text not null,
    high timestamptz not null,
    compared_to timestamptz,
    compared_at timestamptz,
    timezone text not null,
    primary key (shop, table_name)
);
comment on table ledger.cursors is
    'One row says up to which instant a table that is read by slices was read, when all of it was last compared, and '
    'how far a comparison that is under way has come. timezone: by whose clock its days were cut.';
create table if not exists ledger.shards (
    shop text not null,
    table_name text not null,
    created_at timestamptz not null,
    shard text not null,
    sequence text,
    has_ended boolean not null,
    read_to timestamptz not null,
    begun_at timestamptz not null,
    primary key (shop, table_name, shard)
);
comment on table ledger.shards is
    'One row says how far a shard of the stream that fills a table was read: the number of its last record, and up to '
    'which instant nothing is missing. created_at: of the stream, which tells it from a later one of its name.';
create table if not exists ledger.gaps (
    gap_id bigint generated always as identity primary key,
    shop text not null,
    table_name text not null,
    shard text not null,
    since timestamptz,
    until timestamptz not null,
    problem text not null,
    accepted_at timestamptz not null default now()
);
comment on table ledger.gaps is
    'One row is one time in which a stream lost records before they were read, and somebody decided to go on without.';
create table if not exists ledger.changes (
    change_id bigint generated always as identity primary key,
    shop text not null,
    table_name text not null,
    day date,
    extract_id bigint not null
);
comment on table ledger.changes is
    'One row is one day of a shop whose rows an extract of a raw table changed; no day: any of them; -infinity: none.';
create index if not exists changes_shop on ledger.changes (shop, change_id);
create table if not exists ledger.builds (
    shop text not null,
    model text not null,
    change_id bigint not null,
    code text not null,
    built_at timestamptz not null default now(),
    primary key (shop, model)
);
comment on table ledger.builds is
    'One row says up to which change dbt has built a model for a shop, and with which code.';
create table if not exists ledger.tests (
    shop text primary key,
    change_id bigint not null,
    code text not null,
    tested_at timestamptz not null default now()
);
comment on table ledger.tests is
    'One row says at which change the dbt tests were last run over what is built for a shop, and what tests.';
create table if not exists ledger.made (
    made_id bigint generated always as identity primary key,
    shop text not null,
    model text not null,
    everything boolean not null,
    days date[] not null,
    keys text[] not null
);
comment on table ledger.made is
    'One row says which rows of a shop dbt made again in a model, and no test has read since: all, or those of the '
    'days or of the keys.';
create table if not exists ledger.vanished (
    shop text not null,
    model text not null,
    key_column text not null,
    key text not null,
    change_id bigint not null
);
comment on table ledger.vanished is
    'One row is one product or customer of which changed days of a model no longer tell, until all that is made from '
    'them was made again.';
create table if not exists ledger.failing (
    test text not null,
    shop text not null,
    primary key (test, shop)
);
comment on table ledger.failing is
    'One row is one dbt test that reads all rows of a shop again in the next run, as it found some that fail.';
"""


class Counts(Protocol):
    """What was counted while the rows of an extract went by."""

    rows: int
    rejected: int
    low: datetime | None
    high: datetime | None


@dataclass(frozen=True)
class Extract:
    """One active extract of a table."""

    extract_id: int
    uri: str
    sha256: str
    lake_name: str
    rows: int
    rejected: int
    bytes: int
    cursor_low: str | None
    cursor_high: str | None
    committed_at: datetime
    contents: tuple[str, ...] = ()
    """What it holds of each day, where it is of a table that is read by slices."""


@dataclass(frozen=True)
class Day:
    """What one day of a table holds."""

    rows: int
    rejected: int
    digest: str
    """Of its rows as a multiset, and of its rejected ones."""
    cursor_low: str | None = None
    cursor_high: str | None = None


@dataclass(frozen=True)
class Cursor:
    """How far a table is read that is read by slices."""

    high: datetime
    compared_to: datetime | None
    """How far a comparison of all of it has come; None where none is under way."""
    compared_at: datetime | None
    """When all of it was last compared; None before the first load was complete."""
    timezone: str
    """By whose clock its days were cut."""


def ensure_ledger(connection: psycopg.Connection) -> None:
    """Make the ledger's tables where they are missing, in the caller's transaction."""
    exists = connection.execute("select to_regclass('ledger.gaps') is not null").fetchone()
    if exists is None or not exists[0]:
        with connection.transaction():
            # Two processes that make a schema at once would fail on each other.
            connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph ledger', 0))")
            connection.execute(DDL)


def active_extracts(connection: psycopg.Connection, shop: str, table: str) -> list[Extract]:
    """The extracts whose rows are in a raw table, oldest first."""
    rows = connection.execute(
        "select extract_id, uri, sha256, lake_name, rows, rejected, bytes, cursor_low, cursor_high, committed_at,"
        " array(select concat_ws(' ', coalesce(day::text, 'undated'), digest) from ledger.days"
        " where days.extract_id = extracts.extract_id)"
        " from ledger.extracts where shop = %s and table_name = %s and removed_at is null order by extract_id",
        [shop, table],
    )
    return [replace(Extract(*row[:-1]), contents=tuple(row[-1])) for row in rows]


def begin_extract(
    connection: psycopg.Connection, shop: str, table: str, uri: str, sha256: str, format: str, lake_name: str
) -> int:
    """Write down an extract of which rows, bytes and seconds are not known yet; returns its id."""
    row = connection.execute(
        "insert into ledger.extracts (shop, table_name, uri, sha256, format, lake_name, rows, rejected, bytes, seconds)"
        " values (%s, %s, %s, %s, %s, %s, 0, 0, 0, 0) returning extract_id",
        [shop, table, uri, sha256, format, lake_name],
    ).fetchone()
    assert row is not None
    return int(row[0])


def end_extract(connection: psycopg.Connection, extract_id: int, counted: Counts, size: int, seconds: float) -> None:
    """Write down what an extract brought.

    Args:
        size: bytes, as the source counts them.
    """
    connection.execute(
        "update ledger.extracts set rows = %s, rejected = %s, bytes = %s, cursor_low = %s, cursor_high = %s,"
        " seconds = %s where extract_id = %s",
        [
            *(counted.rows, counted.rejected, size),
            *(None if value is None else str(value) for value in (counted.low, counted.high)),
            *(seconds, extract_id),
        ],
    )


def lake_files(connection: psycopg.Connection, shop: str, table: str) -> list[tuple[str, list[date | None] | None]]:
    """The lake files that make up a raw table: their names, and the days (`_day`) of each that count; None: all rows.

    Later slices replace days of earlier ones, whose files keep them.
    """
    rows = connection.execute(
        "select lake_name, case when format = 'slice' then array(select day from ledger.days"
        " where days.extract_id = extracts.extract_id order by day) end"
        " from ledger.extracts where shop = %s and table_name = %s and removed_at is null order by extract_id",
        [shop, table],
    )
    return rows.fetchall()


def formats(connection: psycopg.Connection, shop: str, table: str) -> set[str]:
    """The formats of a table's active extracts."""
    rows = connection.execute(
        "select distinct format from ledger.extracts where shop = %s and table_name = %s and removed_at is null",
        [shop, table],
    )
    return {name for (name,) in rows}


def cursor_of(connection: psycopg.Connection, shop: str, table: str) -> Cursor | None:
    """How far a table is read; None where it never was."""
    row = connection.execute(
        "select high, compared_to, compared_at, timezone from ledger.cursors where shop = %s and table_name = %s",
        [shop, table],
    ).fetchone()
    return None if row is None else Cursor(*row)


def move_cursor(connection: psycopg.Connection, shop: str, table: str, cursor: Cursor) -> None:
    """Write down how far a table is read; never less far than before."""
    connection.execute(
        "insert into ledger.cursors as old (shop, table_name, high, compared_to, compared_at, timezone)"
        " values (%s, %s, %s, %s, %s, %s) on conflict (shop, table_name) do update set"
        " high = greatest(old.high, excluded.high), compared_to = excluded.compared_to,"
        " compared_at = excluded.compared_at",
        [shop, table, cursor.high, cursor.compared_to, cursor.compared_at, cursor.timezone],
    )


def days_between(
    connection: psycopg.Connection, shop: str, table: str, first: date | None, behind: date | None
) -> dict[date | None, Day]:
    """What the ledger holds of the days from `first` (None: from the earliest) to before `behind`; with None for both
    ends only what has no day."""
    rows = connection.execute(
        "select day, rows, rejected, digest, cursor_low, cursor_high from ledger.days"
        " where shop = %(shop)s and table_name = %(table)s and case when %(behind)s::date is null then day is null"
        " else day >= coalesce(%(first)s::date, '-infinity') and day < %(behind)s::date end",
        {"shop": shop, "table": table, "first": first, "behind": behind},
    )
    return {day: Day(*rest) for day, *rest in rows}


def replace_days(
    connection: psycopg.Connection,
    shop: str,
    table: str,
    extract_id: int,
    days: dict[date | None, Day | None],
) -> None:
    """Write down what days hold now (None: nothing), and what is left of the extracts that brought them before."""
    keys = sorted(days, key=lambda day: day or date.min)
    left = connection.execute(
        "delete from ledger.days where shop = %s and table_name = %s and (day = any(%s) or (day is null and %s))"
        " returning extract_id",
        [shop, table, [day for day in keys if day is not None], None in days],
    ).fetchall()
    held = [(day, days[day]) for day in keys]
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ledger.days (shop, table_name, day, extract_id, rows, rejected, digest, cursor_low,"
            " cursor_high) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (shop, table, day, extract_id, at.rows, at.rejected, at.digest, at.cursor_low, at.cursor_high)
                for day, at in held
                if at is not None
            ],
        )
    connection.execute(
        "update ledger.extracts set rows = coalesce(held.rows, 0), rejected = coalesce(held.rejected, 0),"
        " cursor_low = held.low, cursor_high = held.high, removed_at = case when held.days = 0 then now() end"
        " from (select wanted.id, count(days.extract_id) as days, sum(days.rows) as rows,"
        " sum(days.rejected) as rejected, min(days.cursor_low) as low, max(days.cursor_high) as high"
        " from unnest(%s::bigint[]) as wanted (id) left join ledger.days on days.extract_id = wanted.id"
        " group by wanted.id) as held where extracts.extract_id = held.id",
        [sorted({key for (key,) in left} | {extract_id})],
    )


def known_objects(connection: psycopg.Connection, shop: str, table: str) -> dict[str, tuple[str, str]]:
    """URI -> (fingerprint, SHA-256) of what was last taken in under it."""
    rows = connection.execute(
        "select uri, fingerprint, sha256 from ledger.objects where shop = %s and table_name = %s", [shop, table]
    )
    return {uri: (fingerprint, sha256) for uri, fingerprint, sha256 in rows}


def remember_object(
    connection: psycopg.Connection, shop: str, table: str, uri: str, fingerprint: str, sha256: str, size: int
) -> None:
    connection.execute(
        "insert into ledger.objects (shop, table_name, uri, fingerprint, sha256, bytes) values (%s, %s, %s, %s, %s, %s)"
        " on conflict (shop, table_name, uri) do update set fingerprint = excluded.fingerprint,"
        " sha256 = excluded.sha256, bytes = excluded.bytes, seen_at = now()",
        [shop, table, uri, fingerprint, sha256, size],
    )


def lock_changes(connection: psycopg.Connection, shop: str) -> None:
    """Hold the shop's lock on changes to the end of the transaction.

    Change ids of a shop must become visible in their order, or a reader that has seen the larger of two would never see
    the smaller. And days that are found in another table must be found after what that table's extract committed, or
    before it takes this lock: in both cases one of the two changes names them.
    """
    connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph changes ' || %s, 0))", [shop])


def record_changes(
    connection: psycopg.Connection, shop: str, table: str, extract_id: int, days: Iterable[date | None]
) -> None:
    """Say which of the shop's days changed; None among them where no day can be named."""
    lock_changes(connection, shop)
    values = sorted(days, key=lambda day: day or date.min)
    connection.execute(
        "insert into ledger.changes (shop, table_name, day, extract_id)"
        " select %s, %s, day, %s from unnest(%s::date[]) as day",
        [shop, table, extract_id, values],
    )


def data_version(extracts: Iterable[Extract]) -> str:
    """A hash of what a raw table holds: equal where the same contents are loaded, however that was done."""
    contents = sorted(content for item in extracts for content in item.contents or (item.sha256,))
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()[:16]


def totals(extracts: list[Extract]) -> dict[str, Any]:
    """Rows, rejected rows, bytes and cursor of a table, summed over its active extracts."""
    lows = [item.cursor_low for item in extracts if item.cursor_low]
    highs = [item.cursor_high for item in extracts if item.cursor_high]
    return {
        "rows": sum(item.rows for item in extracts),
        "rejected": sum(item.rejected for item in extracts),
        "bytes": sum(item.bytes for item in extracts),
        "cursor_low": min(lows, default=None),
        "cursor_high": max(highs, default=None),
    }
