"""The blend of the sources: candidates with a score of each source, and the weights that rank them best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assets.recommender.interactions import Floats, Ints, Longs
from assets.recommender.metrics import Targets, hits_of

SOURCES = ("own", "als", "covisits", "similar", "popular", "rising")
"""What a candidate is scored by; `rising` is what is popular of late, in the last quarter of the days of `popular`."""
SEGMENTS = ("one", "several")
"""Histories of one product and of more are blended with weights of their own."""
TUNED_AT = 10
STEPS = ((0.0, 1 / 4, 4.0), (1 / 2, 2.0), (1 / 2, 2.0), (3 / 4, 4 / 3), (3 / 4, 4 / 3))
"""The rounds of the search: by what the weight of each source is multiplied in turn."""


@dataclass(frozen=True)
class Candidates:
    """The products that are ranked for each history, with the score of each source."""

    row: Ints
    """[candidates] ascending"""
    product: Ints
    """[candidates] ascending within a row"""
    values: Floats
    """[candidates, sources] from 0 to 1, the best of a row having 1"""


@dataclass(frozen=True)
class Blend:
    """The weights of the sources, in the order of `SOURCES`, for each segment, with repeats allowed and without."""

    weights: Mapping[tuple[str, bool], Floats]

    @classmethod
    def default(cls) -> Blend:
        """What is used where too few queries tell of a segment: as good as any guess, and no source is left out."""
        own = {True: 1.0, False: 0.0}
        return cls(
            {
                (segment, repeats): np.array([own[repeats], 0.5, 0.25, 0.25, 0.25, 0.25], np.float32)
                for segment in SEGMENTS
                for repeats in (True, False)
            }
        )

    def of(self, sizes: Longs, repeats: bool) -> Floats:
        """[rows, sources] the weights for histories of so many products; of none, what is popular alone."""
        table = np.zeros((3, len(SOURCES)), np.float32)
        table[0, SOURCES.index("popular")] = 1
        for place, segment in enumerate(SEGMENTS, 1):
            table[place] = self.weights[segment, repeats]
        return table[np.minimum(sizes, 2)]


def within_rows(values: Floats, row: Ints) -> Floats:
    """Scores [candidates, sources] divided by the largest of the same row and source; those below zero become 0."""
    if not len(values):
        return values
    values = np.maximum(values, 0)
    begins = np.flatnonzero(np.diff(row, prepend=-1))
    largest = np.maximum.reduceat(values, begins, axis=0)
    largest[largest == 0] = 1
    return values / np.repeat(largest, np.diff(np.append(begins, len(row))), axis=0)


def tune(candidates: Candidates, targets: Targets, start: Floats) -> Floats:
    """The weights [sources] with the highest mean NDCG@10, found by changing one after the other.

    Each round multiplies each weight in turn by each of the round's steps and keeps what is better; the same input
    gives the same weights.

    Args:
        candidates: rows are the queries; places of the same catalogue as the targets'.
        start: the weights to begin from.
    """
    queries = len(targets)
    begins = np.searchsorted(candidates.row, np.arange(queries))
    rank = np.arange(len(candidates.row)) - begins[candidates.row]
    width = int(rank.max(initial=0)) + 1
    products = np.full((queries, width), -1, np.int32)
    products[candidates.row, rank] = candidates.product
    hits = hits_of(products, targets)
    values = np.full((len(SOURCES), queries, width), -np.inf, np.float32)
    values[:, candidates.row, rank] = candidates.values.T
    missing = products < 0
    values[:, missing] = 0
    top = min(TUNED_AT, width)
    discounts = 1 / np.log2(np.arange(2, TUNED_AT + 2))
    ideal = np.cumsum(discounts)[np.minimum(targets.sizes, TUNED_AT) - 1]

    def quality(weights: Floats) -> float:
        scores = np.tensordot(weights, values, 1)
        scores[missing] = -1
        best = np.argpartition(scores, width - top, axis=1)[:, width - top :]
        order = np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable")
        right = np.take_along_axis(hits, np.take_along_axis(best, order, 1), 1)
        return float((right @ discounts[:top] / ideal).mean())

    weights = start.astype(np.float32)
    reached = quality(weights)
    for steps in STEPS:
        for source in range(len(SOURCES)):
            for step in steps:
                tried = weights.copy()
                tried[source] *= np.float32(step)
                got = quality(tried) if tried.any() else 0.0
                if got > reached:
                    weights, reached = tried, got
    return weights / weights.sum()
