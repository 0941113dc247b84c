"""The table `predictions.recommendations`: what each actor is recommended, swapped whole for a shop, and looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

DDL = """
create schema if not exists predictions;
create table if not exists predictions.recommendations (
    shop text not null,
    actor_id text not null,
    product_ids text[] not null,        -- best first
    scores real[] not null,             -- of the same length; comparable within one row alone
    model_version integer not null,
    made_at timestamptz not null,
    primary key (shop, actor_id)
);
create table if not exists predictions.generations (
    shop text primary key,
    model text not null,
    model_version integer not null,
    as_of date not null,                -- the shop's day up to whose end histories were read
    actors bigint not null,             -- rows of this shop in predictions.recommendations
    fallback_product_ids text[] not null,   -- for whom the table has no row: what is popular
    fallback_scores real[] not null,
    made_at timestamptz not null
);
"""

LOOKUP = """
select
    coalesce(found.product_ids, generation.fallback_product_ids),
    coalesce(found.scores, generation.fallback_scores),
    generation.model_version,
    generation.as_of,
    generation.made_at,
    found.actor_id is null
from predictions.generations as generation
left join predictions.recommendations as found
    on found.shop = generation.shop and found.actor_id = %(actor_id)s
where generation.shop = %(shop)s
"""
"""One statement, so that the answer is of one generation; the values are named `shop` and `actor_id`, of which the
second may be null. No row: nothing was published for this shop yet."""

_BATCH = 50_000


@dataclass(frozen=True)
class Recommended:
    """What one actor is recommended, best first."""

    product_ids: list[str]
    scores: list[float]
    model_version: int
    as_of: date
    made_at: datetime
    is_fallback: bool
    """True where nothing is known of the actor: these are the shop's popular products."""


def ensure_predictions(connection: psycopg.Connection) -> None:
    """Make the schema and its tables where they are absent; the caller commits."""
    # `if not exists` alone fails where two sessions make the same thing at once.
    connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph ddl predictions', 0))")
    connection.execute(DDL)


def publish(
    connection: psycopg.Connection,
    shop: str,
    *,
    model: str,
    model_version: int,
    as_of: date,
    actor_ids: pa.StringArray,
    product_ids: pa.StringArray,
    chosen: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    fallback: Sequence[tuple[str, float]],
) -> None:
    """Put these recommendations in place of all that the shop has, in ONE transaction; readers see the old or the new.

    Args:
        connection: not in autocommit mode and without a transaction going on; committed here.
        actor_ids: [n], each once.
        product_ids: the catalogue that `chosen` points into.
        chosen: [n, top] places in `product_ids`, best first; -1 where there are fewer, at the end.
        scores: [n, top].
        fallback: product ids and scores for everybody else, best first.

    Raises:
        ValueError: the arrays do not fit together.
    """
    import pgpq
    import pyarrow as pa

    if not len(actor_ids) == len(chosen) == len(scores) or chosen.shape != scores.shape:
        raise ValueError(
            f"{len(actor_ids)} actors, products of shape {chosen.shape}, scores of shape {scores.shape}: "
            "give one row of both for each actor."
        )
    schema = pa.schema(
        [
            ("shop", pa.string()),
            ("actor_id", pa.string()),
            ("product_ids", pa.list_(pa.string())),
            ("scores", pa.list_(pa.float32())),
            ("model_version", pa.int32()),
            ("made_at", pa.timestamp("us", "UTC")),
        ]
    )
    with connection.transaction():
        # Two publications of one shop come one after the other; readers are not held up.
        connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph predictions ' || %s, 0))", [shop])
        (made_at,) = _one(connection, "select clock_timestamp()")
        connection.execute("delete from predictions.recommendations where shop = %s", [shop])
        encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)
        statement = (
            "copy predictions.recommendations (shop, actor_id, product_ids, scores, model_version, made_at)"
            " from stdin (format binary)"
        )
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for low in range(0, len(actor_ids), _BATCH):
                part = chosen[low : low + _BATCH]
                there = part >= 0
                ends = pa.array(np.concatenate([[0], np.cumsum(there.sum(1))]).astype(np.int32))
                names = product_ids.take(pa.array(part[there]))
                values = pa.array(scores[low : low + _BATCH][there])
                size = len(part)
                columns = [
                    pa.array([shop] * size, pa.string()),
                    actor_ids.slice(low, size),
                    pa.ListArray.from_arrays(ends, names),
                    pa.ListArray.from_arrays(ends, values),
                    pa.array(np.full(size, model_version, np.int32)),
                    pa.array([made_at] * size, pa.timestamp("us", "UTC")),
                ]
                copy.write(encoder.write_batch(pa.record_batch(columns, schema=schema)))
            copy.write(encoder.finish())
        connection.execute(
            "insert into predictions.generations values (%s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (shop) do update set (model, model_version, as_of, actors, fallback_product_ids,"
            " fallback_scores, made_at) = (excluded.model, excluded.model_version, excluded.as_of, excluded.actors,"
            " excluded.fallback_product_ids, excluded.fallback_scores, excluded.made_at)",
            [
                shop,
                model,
                model_version,
                as_of,
                len(actor_ids),
                [product for product, _ in fallback],
                [float(score) for _, score in fallback],
                made_at,
            ],
        )


def lookup(connection: psycopg.Connection, shop: str, actor_id: str | None) -> Recommended | None:
    """What an actor is recommended; the popular products where the table has no row of it, or the actor is None.

    Returns None where nothing was published for this shop yet.
    """
    row = connection.execute(LOOKUP, {"shop": shop, "actor_id": actor_id}).fetchone()
    return None if row is None else Recommended(*row)


def _one(connection: psycopg.Connection, statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement).fetchone()
    assert row is not None, statement
    return row
