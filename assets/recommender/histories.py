"""What is known of those who are asked about: each one's products with weights and their order, as sparse rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from assets.recommender.config import RecommenderConfig
from assets.recommender.interactions import Bools, Floats, Interactions, Ints, Longs

if TYPE_CHECKING:
    import pyarrow as pa
    import scipy.sparse as sp


@dataclass(frozen=True)
class Histories:
    """Rows of distinct products: row r has the entries from `starts[r]` to `starts[r + 1]`. A row may be empty."""

    product_ids: pa.StringArray
    """[products] what `product` points into"""
    starts: Longs
    """[rows + 1]"""
    product: Ints
    """[entries] place in `product_ids`; ascending within a row"""
    weight: Floats
    """[entries] above zero: the sum of what the interactions with it count"""
    position: Ints
    """[entries] how many later instants the row has: 0 for what was touched last. Products of one instant share it, so
    that the order of a basket's lines means nothing"""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> Longs:
        """[rows] distinct products of each."""
        return np.diff(self.starts)

    @property
    def row(self) -> Ints:
        """[entries] the row of each entry."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)

    def matrix(self, values: Floats) -> sp.csr_matrix:
        """Rows x products with these values of the entries."""
        import scipy.sparse as sp

        return sp.csr_matrix((values, self.product, self.starts), shape=(len(self), len(self.product_ids)))

    def part(self, low: int, high: int) -> Histories:
        """The rows from `low` to before `high`."""
        first, last = self.starts[low], self.starts[high]
        return replace(
            self,
            starts=self.starts[low : high + 1] - first,
            product=self.product[first:last],
            weight=self.weight[first:last],
            position=self.position[first:last],
        )

    def choose(self, rows: Longs) -> Histories:
        """These rows, in this order."""
        sizes = self.sizes[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        entries = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], sizes)
        return replace(
            self,
            starts=starts,
            product=self.product[entries],
            weight=self.weight[entries],
            position=self.position[entries],
        )

    def within(self, product_ids: pa.StringArray) -> Histories:
        """The same with the places of a catalogue; products that it lacks are left out."""
        if self.product_ids is product_ids or self.product_ids.equals(product_ids):
            return self
        places = places_in(self.product_ids, product_ids)[self.product]
        known = places >= 0
        starts = np.concatenate([[0], np.cumsum(known)])[self.starts].astype(np.int64)
        made = Histories(product_ids, starts, places[known], self.weight[known], self.position[known])
        # The places of another catalogue may be in another order.
        order = np.lexsort((made.product, made.row))
        return replace(made, product=made.product[order], weight=made.weight[order], position=made.position[order])


def histories_of(interactions: Interactions, config: RecommenderConfig, at: datetime) -> Histories:
    """One row for each actor, in the order of `interactions.actor_ids`: what it did before `at`.

    Raises:
        InteractionsError: an interaction is not before `at`.
    """
    products = len(interactions.product_ids)
    weights = interactions.decayed(config.weights.model_dump(), config.half_life_days, at)
    pair = interactions.actor.astype(np.int64) * products + interactions.product
    order = np.argsort(pair, kind="stable")  # rows of a pair stay in the order of time
    first = np.ones(len(order), bool)
    first[1:] = pair[order][1:] != pair[order][:-1]
    heads = np.flatnonzero(first)
    ends = np.append(heads[1:], len(order)) - 1
    pairs = order[heads]
    weight = np.add.reduceat(weights[order], heads) if len(heads) else np.zeros(0, np.float32)
    actor = interactions.actor[pairs]
    last = interactions.occurred_at[order[ends]] if len(heads) else np.zeros(0, np.int64)
    return Histories(
        product_ids=interactions.product_ids,
        starts=starts_of(actor, len(interactions.actor_ids)),
        product=interactions.product[pairs],
        weight=weight,
        position=_positions(actor, last),
    )


def session_of(
    history: Sequence[str | tuple[str, float]], product_ids: pa.StringArray, known: Mapping[str, int]
) -> Histories:
    """One row: a session's products, the oldest first; a plain id counts as one interaction of weight 1.

    Products that the catalogue lacks, and weights that are no finite number above zero, are left out.

    Args:
        known: the place of each product of the catalogue, to look up few among many.
    """
    pairs = [(entry, 1.0) if isinstance(entry, str) else entry for entry in history]
    places = np.array([known.get(name, -1) for name, _ in pairs], np.int32)
    weights = np.array([weight for _, weight in pairs], np.float32)
    entries = np.flatnonzero((places >= 0) & np.isfinite(weights) & (weights > 0))
    product, inverse = np.unique(places[entries], return_inverse=True)
    weight = np.bincount(inverse, weights[entries], minlength=len(product)).astype(np.float32)
    last = np.zeros(len(product), np.int64)
    np.maximum.at(last, inverse, entries)
    position = _positions(np.zeros(len(product), np.int32), last)
    return Histories(product_ids, np.array([0, len(product)], np.int64), product.astype(np.int32), weight, position)


def places_in(names: pa.StringArray, catalogue: pa.StringArray) -> Ints:
    """[names] the place of each in a catalogue; -1 where it lacks it."""
    import pyarrow.compute as pc

    return pc.index_in(names, value_set=catalogue).fill_null(-1).to_numpy().astype(np.int32, copy=False)


def starts_of(row: Ints, rows: int) -> Longs:
    """[rows + 1] where each row begins, of entries sorted by row."""
    return np.searchsorted(row, np.arange(rows + 1)).astype(np.int64)


def _positions(row: Ints, last: Longs) -> Ints:
    """[entries] how many distinct instants of the entry's row are later than its own."""
    position = np.zeros(len(row), np.int32)
    if not len(row):
        return position
    order = np.lexsort((-last, row))
    rows, instants = row[order], last[order]
    begins = np.ones(len(order), bool)
    begins[1:] = rows[1:] != rows[:-1]
    changes = begins.copy()
    changes[1:] |= instants[1:] != instants[:-1]
    rank = np.cumsum(changes)
    position[order] = rank - rank[begins][np.cumsum(begins) - 1]
    return position


def has_entries(histories: Histories) -> Bools:
    """[rows] whether anything is known."""
    return histories.sizes > 0
