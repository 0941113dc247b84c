"""Evaluation by time: who is asked about, what is known of them at the cut, and what they touched after it.

Queries come from a window `[trained_to, as_of]`. An actor that did something before the window is *warm*: its context
is all of that, and its targets are the products it touches in the window. An actor that did nothing before is a
*newcomer*: its context is the first product that it touches in the window, and its targets are the others. Newcomers
are judged apart because shops differ: nine in ten of RetailRocket's visitors have one interaction, and a figure over
warm actors alone says nothing of most of its traffic. Nothing of a context comes after a target. The lines of a first
basket have one instant: then one of them, the first by product id, stands for what the newcomer put in first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from assets.recommender.config import RecommenderConfig
from assets.recommender.histories import Histories, histories_of, places_in, starts_of
from assets.recommender.interactions import Bools, Interactions, Longs
from assets.recommender.metrics import Targets

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Queries:
    """Contexts and targets; the targets point into `histories.product_ids`, in which targets may stand that no context
    has."""

    histories: Histories
    targets: Targets
    is_newcomer: Bools
    """[queries]"""

    def __len__(self) -> int:
        return len(self.targets)

    def choose(self, rows: Longs) -> Queries:
        """These queries, in this order."""
        sizes = self.targets.sizes[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        entries = np.arange(starts[-1]) + np.repeat(self.targets.starts[rows] - starts[:-1], sizes)
        return Queries(
            self.histories.choose(rows), Targets(starts, self.targets.product[entries]), self.is_newcomer[rows]
        )

    def within(self, product_ids: pa.StringArray) -> Queries:
        """The same with the places of a catalogue. A target that it lacks stays, at a place beyond its end: who cannot
        recommend it has missed it."""
        places = places_in(self.histories.product_ids, product_ids)
        beyond = len(product_ids) + np.arange(len(places), dtype=np.int32)
        product = np.where(places >= 0, places, beyond)[self.targets.product]
        return Queries(self.histories.within(product_ids), Targets(self.targets.starts, product), self.is_newcomer)

    def new_only(self) -> Queries:
        """The same with the targets alone that are not in the context; queries that then have none are left out."""
        products = len(self.histories.product_ids)
        known = self.histories.row.astype(np.int64) * products + self.histories.product  # ascending
        wanted = self.targets.row.astype(np.int64) * products + self.targets.product
        is_new = ~np.isin(wanted, known)
        starts = np.concatenate([[0], np.cumsum(is_new)])[self.targets.starts].astype(np.int64)
        new = Queries(self.histories, Targets(starts, self.targets.product[is_new]), self.is_newcomer)
        return new.choose(np.flatnonzero(new.targets.sizes > 0))


def split(
    interactions: Interactions, config: RecommenderConfig, trained_to: datetime, until: datetime | None = None
) -> tuple[Interactions, Queries]:
    """What may be trained on, and the queries of the window from `trained_to` to before `until`.

    Only products that may be recommended are targets. Warm queries come first, each kind in the order of its actor ids.

    Args:
        until: None: to the last interaction.

    Raises:
        InteractionsError: an instant has no timezone.
    """
    if until is not None:
        interactions = interactions.until(until)
    past, window = interactions.until(trained_to), interactions.since(trained_to)
    product_ids = interactions.product_ids
    count = len(product_ids)
    # The window's own places are of its own actors and products.
    product = places_in(window.product_ids, product_ids)[window.product]
    known = places_in(window.actor_ids, past.actor_ids)
    actors = len(window.actor_ids)
    begins = starts_of(window.actor, actors)[:-1]
    is_new = known < 0

    contexts = histories_of(past, config, trained_to).within(product_ids)
    warm = contexts.choose(known[~is_new].astype(np.int64))
    of_kind = np.array([config.weights.view, config.weights.cart, config.weights.purchase], np.float32)
    firsts = begins[is_new]
    newcomers = len(firsts)
    histories = Histories(
        product_ids=product_ids,
        starts=np.concatenate([warm.starts, warm.starts[-1] + 1 + np.arange(newcomers)]).astype(np.int64),
        product=np.concatenate([warm.product, product[firsts]]).astype(np.int32),
        weight=np.concatenate([warm.weight, of_kind[window.kind[firsts]]]).astype(np.float32),
        position=np.concatenate([warm.position, np.zeros(newcomers, np.int32)]).astype(np.int32),
    )
    # The query of each actor of the window: the warm first.
    query = np.empty(actors, np.int64)
    query[~is_new] = np.arange(actors - newcomers)
    query[is_new] = np.arange(actors - newcomers, actors)

    wanted = np.unique(query[window.actor] * count + product)
    row, target = wanted // max(count, 1), wanted % max(count, 1)
    first_product = np.full(actors, -1, np.int64)
    first_product[query[is_new]] = product[firsts]
    may_be = interactions.is_listed[target] & (target != first_product[row])
    row, target = row[may_be], target[may_be]
    is_newcomer = np.arange(actors) >= actors - newcomers
    queries = Queries(histories, Targets(starts_of(row, actors), target.astype(np.int32)), is_newcomer)
    return past, queries.choose(np.flatnonzero(queries.targets.sizes > 0))
