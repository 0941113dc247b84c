"""The recommender's features: a snapshot of a shop's interactions up to the end of its last closed day, in the lake."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from assets.recommender.interactions import (
    FORMAT,
    Interactions,
    InteractionsError,
    load_interactions,
    read_interactions,
    save_interactions,
)
from resources.lake import Lake
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

DDL = """
create schema if not exists features;
create table if not exists features.interactions (
    shop text primary key,
    version text not null,              -- a hash of the rows and of `until`
    as_of date not null,                -- the shop's last closed day
    until timestamptz not null,         -- the end of that day: nothing at or after it is in the file
    lake_name text not null,
    rows bigint not null,
    actors bigint not null,
    products bigint not null,
    made_at timestamptz not null default clock_timestamp()
);
comment on table features.interactions is
    'One row is the snapshot of one shop''s interactions that its recommender learns from; the rows lie in the lake.';
"""


@dataclass(frozen=True)
class Snapshot:
    """One shop's interactions up to the end of a day, and where they lie."""

    shop: str
    version: str
    as_of: date
    until: datetime
    lake_name: str
    rows: int
    actors: int
    products: int


def ensure_features(connection: psycopg.Connection) -> None:
    """Make the schema and its table where they are absent; the caller commits."""
    # `if not exists` alone fails where two sessions make the same thing at once.
    connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph ddl features', 0))")
    connection.execute(DDL)


def take(warehouse: Warehouse, lake: Lake, shop: str) -> tuple[Snapshot, Interactions] | None:
    """Read a shop's interactions from the contract and keep them, if they are not those that are kept already.

    Returns:
        None where the shop has no closed day yet: its contract holds no dated row.

    Raises:
        FrameError: the contract cannot be read.
        SourceError: a far lake does not take the file.
    """
    with warehouse.connect() as connection:
        ensure_features(connection)
        clock = closed(connection, shop)
        held = latest(connection, shop)
    if clock is None:
        return None
    as_of, until = clock
    interactions = read_interactions(warehouse, shop, until)
    version = fingerprint(interactions, until)
    if held is not None and held.version == version:
        return held, interactions
    made = Snapshot(
        shop=shop,
        version=version,
        as_of=as_of,
        until=until,
        lake_name=f"features/interactions/{shop}/{as_of}-{version}.parquet",
        rows=len(interactions),
        actors=len(interactions.actor_ids),
        products=len(interactions.product_ids),
    )
    save_interactions(interactions, lake, made.lake_name)
    with warehouse.connect() as connection:
        connection.execute(
            "insert into features.interactions (shop, version, as_of, until, lake_name, rows, actors, products)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict (shop) do update set"
            " (version, as_of, until, lake_name, rows, actors, products, made_at) = (excluded.version, excluded.as_of,"
            " excluded.until, excluded.lake_name, excluded.rows, excluded.actors, excluded.products,"
            " clock_timestamp())",
            [shop, version, as_of, until, made.lake_name, made.rows, made.actors, made.products],
        )
    return made, interactions


def latest(connection: psycopg.Connection, shop: str) -> Snapshot | None:
    """The snapshot that a shop has; None before the first."""
    ensure_features(connection)
    row = connection.execute(
        "select shop, version, as_of, until, lake_name, rows, actors, products from features.interactions"
        " where shop = %s",
        [shop],
    ).fetchone()
    return None if row is None else Snapshot(*row)


def read(warehouse: Warehouse, lake: Lake, shop: str) -> tuple[Snapshot, Interactions]:
    """The snapshot that a shop has, and its rows.

    Raises:
        InteractionsError: there is none yet.
        SourceError: its file cannot be read.
    """
    with warehouse.connect() as connection:
        held = latest(connection, shop)
    if held is None:
        raise InteractionsError(
            f"{shop} has no snapshot of interactions yet: materialize recommender/interactions first."
        )
    return held, load_interactions(lake, held.lake_name)


def closed(connection: psycopg.Connection, shop: str) -> tuple[date, datetime] | None:
    """The last closed day of a shop, and the instant at which it ended; None before its first."""
    row = connection.execute("select as_of, timezone from contract.shop_clock where shop = %s", [shop]).fetchone()
    if row is None or row[0] is None:
        return None
    as_of, zone = row
    return as_of, datetime.combine(as_of + timedelta(days=1), time(), ZoneInfo(zone))


def fingerprint(interactions: Interactions, until: datetime) -> str:
    """A hash of the rows and of the instant up to which they go; equal for equal rows."""
    digest = hashlib.blake2b(f"{FORMAT} {until.astimezone(ZoneInfo('UTC')).isoformat()}".encode(), digest_size=8)
    for values in (interactions.actor_ids, interactions.product_ids):
        for part in _bytes_of(values):
            digest.update(part)
    for name in ("is_listed", "actor", "product", "kind", "occurred_at", "quantity"):
        digest.update(np.ascontiguousarray(getattr(interactions, name)).data)
    return digest.hexdigest()


def _bytes_of(values: pa.StringArray) -> tuple[Any, ...]:
    """The ends of the texts, and the texts one behind the other."""
    import pyarrow as pa

    whole = pa.concat_arrays([values])  # without an offset into something larger
    if not len(whole):
        return (b"",)
    _, ends, texts = whole.buffers()
    offsets = np.frombuffer(ends, np.int32, len(whole) + 1)
    return offsets, memoryview(texts)[: offsets[-1]] if texts is not None else b""
