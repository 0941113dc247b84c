"""The ledger: which source objects are in which raw tables, since when, and which days of a shop changed.

Its tables stand in the schema `ledger` beside the raw tables that they speak of and change in the same transactions, so
that no crash can part them. `ledger.builds` is written by dbt: up to which change it has built each model for a shop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

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
    'One row is one object whose rows were put into a raw table. removed_at: new bytes under its URI replaced them.';
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
create table if not exists ledger.changes (
    change_id bigint generated always as identity primary key,
    shop text not null,
    table_name text not null,
    day date,
    extract_id bigint not null
);
comment on table ledger.changes is
    'One row is one day of a shop whose rows in a raw table an extract added or removed; no day: any of them.';
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
    'One row says at which change the dbt tests were last run over what is built for a shop.';
"""


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


def ensure_ledger(connection: psycopg.Connection) -> None:
    """Make the ledger's tables where they are missing, in the caller's transaction."""
    exists = connection.execute("select to_regclass('ledger.tests') is not null").fetchone()
    if exists is None or not exists[0]:
        with connection.transaction():
            # Two processes that make a schema at once would fail on each other.
            connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph ledger', 0))")
            connection.execute(DDL)


def active_extracts(connection: psycopg.Connection, shop: str, table: str) -> list[Extract]:
    """The extracts whose rows are in a raw table, oldest first."""
    rows = connection.execute(
        "select extract_id, uri, sha256, lake_name, rows, rejected, bytes, cursor_low, cursor_high, committed_at"
        " from ledger.extracts where shop = %s and table_name = %s and removed_at is null order by extract_id",
        [shop, table],
    )
    return [Extract(*row) for row in rows]


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


def record_changes(
    connection: psycopg.Connection, shop: str, table: str, extract_id: int, days: Iterable[date | None]
) -> None:
    """Say which of the shop's days changed; None among them where no day can be named.

    Change ids of a shop must become visible in their order, or a reader that has seen the larger of two would never see
    the smaller: so the shop's lock is taken before the ids are, and held to the commit.
    """
    connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph changes ' || %s, 0))", [shop])
    values = sorted(days, key=lambda day: day or date.min)
    connection.execute(
        "insert into ledger.changes (shop, table_name, day, extract_id)"
        " select %s, %s, day, %s from unnest(%s::date[]) as day",
        [shop, table, extract_id, values],
    )


def data_version(extracts: Iterable[Extract]) -> str:
    """A hash of what a raw table holds: equal where the same contents are loaded, however that was done."""
    return hashlib.sha256("\n".join(sorted(item.sha256 for item in extracts)).encode()).hexdigest()[:16]


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
