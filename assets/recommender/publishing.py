"""What a shop's champion recommends to everybody, published; and whether what is published can be recommended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.recommender.config import RecommenderConfig
from assets.recommender.features import Snapshot
from assets.recommender.interactions import Interactions
from assets.recommender.model import Recommender
from assets.recommender.predictions import ensure_predictions, publish
from resources.tracking import ModelVersion, Tracking

if TYPE_CHECKING:
    import psycopg

POPULAR = "popularity"
"""The model of a shop that has no champion; its version is 0."""
_SHOWN = 10

_FAULTS = """
with listed as (
    select product_id, count(*) as times
    from predictions.recommendations
    cross join unnest(product_ids) as listed (product_id)
    where shop = %(shop)s
    group by product_id
)
select
    (
        select coalesce(sum(listed.times), 0)::bigint
        from listed
        inner join contract.dim_product as products
            on products.shop = %(shop)s and products.product_id = listed.product_id
        where not products.is_merchandise or products.is_inferred
    ) as not_listed,
    (
        select count(*)
        from predictions.recommendations
        where shop = %(shop)s
            and cardinality(product_ids)
                > (select count(distinct own.product_id) from unnest(product_ids) as own (product_id))
    ) as twice
"""


@dataclass(frozen=True)
class Published:
    """What was published for a shop."""

    model: str
    version: int
    actors: int
    products: int
    """Different products in all lists."""
    popular: list[dict[str, Any]]
    """The first of what everybody else is recommended."""


def publish_champion(
    connection: psycopg.Connection,
    tracking: Tracking,
    champion: ModelVersion,
    snapshot: Snapshot,
    interactions: Interactions,
    config: RecommenderConfig,
) -> Published:
    """Publish the champion's lists for all actors, by all that each did up to the end of the snapshot.

    Args:
        interactions: those of `snapshot`.

    Raises:
        TrackingError: the registry is away or refuses.
        ModelError: the model cannot be loaded.
    """
    import pyarrow as pa

    model = Recommender.load(tracking.download(champion))
    model = model.without(interactions.product_ids.filter(pa.array(~interactions.is_listed)))
    actor_ids, chosen, scores = model.recommend_all(interactions, config.top_n, snapshot.until)
    fallback = model.fallback(config.top_n)
    _publish(
        connection, snapshot, champion.name, champion.version, actor_ids, model.product_ids, chosen, scores, fallback
    )
    products = len(np.unique(chosen[chosen >= 0]))
    return Published(champion.name, champion.version, len(actor_ids), products, _shown(fallback))


def publish_popular(
    connection: psycopg.Connection, snapshot: Snapshot, interactions: Interactions, config: RecommenderConfig
) -> Published:
    """Publish, for everybody, what was popular in the last days: for a shop that has no champion."""
    from assets.recommender.baselines import Popular

    popular = Popular.fit(interactions, config, snapshot.until, config.popularity_days)
    order = np.lexsort((np.arange(len(popular.counts)), -popular.counts))
    order = order[popular.is_listed[order] & (popular.counts[order] > 0)][: config.top_n]
    fallback = [(popular.product_ids[int(place)].as_py(), float(popular.counts[place])) for place in order]
    nobody, none = interactions.actor_ids.slice(0, 0), np.zeros((0, config.top_n))
    _publish(
        connection,
        snapshot,
        POPULAR,
        0,
        nobody,
        interactions.product_ids,
        none.astype(np.int32),
        none.astype(np.float32),
        fallback,
    )
    return Published(POPULAR, 0, 0, 0, _shown(fallback))


def faults(connection: psycopg.Connection, shop: str) -> dict[str, int]:
    """How many entries of a shop's lists are no merchandise or no longer stated, and how many stand twice in a list."""
    ensure_predictions(connection)
    connection.commit()  # an API that starts would wait for its lock
    row = connection.execute(_FAULTS, {"shop": shop}).fetchone()
    assert row is not None
    return {"not listed": row[0], "twice to one actor": row[1]}


def _publish(
    connection: psycopg.Connection,
    snapshot: Snapshot,
    model: str,
    version: int,
    actor_ids: Any,
    product_ids: Any,
    chosen: Any,
    scores: Any,
    fallback: Sequence[tuple[str, float]],
) -> None:
    ensure_predictions(connection)
    connection.commit()
    publish(
        connection,
        snapshot.shop,
        model=model,
        model_version=version,
        as_of=snapshot.as_of,
        actor_ids=actor_ids,
        product_ids=product_ids,
        chosen=chosen,
        scores=scores,
        fallback=fallback,
    )


def _shown(fallback: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    return [
        {"rank": rank, "product": product, "score": f"{score:.3g}"}
        for rank, (product, score) in enumerate(fallback[:_SHOWN], start=1)
    ]
