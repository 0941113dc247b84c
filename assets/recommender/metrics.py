"""Ranking metrics of lists against the products that were touched, one value a query, over the full catalogue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assets.recommender.interactions import Bools, Floats, Ints, Longs

CUTOFFS = (5, 10, 20)
DEPTH = 50
"""Lists are compared to this length, beyond the last cut-off, so that what ties with a list's end can be seen."""

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Targets:
    """The products that are right for each query: query q has the entries from `starts[q]` to `starts[q + 1]`."""

    starts: Longs
    """[queries + 1]"""
    product: Ints
    """[entries] distinct within a query"""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> Longs:
        return np.diff(self.starts)

    @property
    def row(self) -> Ints:
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)


def hits_of(chosen: Ints, targets: Targets) -> Bools:
    """[queries, depth] which of the products listed are right; -1 never is."""
    width = int(max(chosen.max(initial=0), targets.product.max(initial=0))) + 1
    wanted = np.sort(targets.row.astype(np.int64) * width + targets.product)
    asked = np.arange(len(chosen), dtype=np.int64)[:, None] * width + chosen
    if not len(wanted):
        return np.zeros(chosen.shape, bool)
    found = np.minimum(np.searchsorted(wanted, asked), len(wanted) - 1)
    return (wanted[found] == asked) & (chosen >= 0)


def metrics(chosen: Ints, scores: Floats, targets: Targets, cutoffs: tuple[int, ...] = CUTOFFS) -> dict[str, Doubles]:
    """Hit, recall, NDCG and MRR at each cut-off, such as `ndcg@10`: one value a query.

    Recall is the share of all targets that the first k hold; NDCG has gains of 1 and is held against the best list of
    length k; MRR is one over the rank of the first target among the first k, else 0. Ties count against the model:
    among equal scores the wrong products come first, and what has the score of the end of a full list, beyond which
    more may tie, counts as not found.

    Args:
        chosen: [queries, depth] products, best first; -1 where there are fewer, at the end. Depth should be above the
            last cut-off.
        scores: [queries, depth] descending; what stands where `chosen` is -1 does not matter.
        targets: at least one for each query.
    """
    if not len(chosen) == len(scores) == len(targets) or chosen.shape != scores.shape:
        raise ValueError(f"lists {chosen.shape}, scores {scores.shape}, {len(targets)} queries: they must match.")
    if len(targets) and targets.sizes.min() == 0:
        raise ValueError("a query without a target cannot be judged: leave it out.")
    there = chosen >= 0
    order_by = np.where(there, scores, -np.inf)
    if np.isnan(order_by).any():
        raise ValueError("a score is NaN: the list has no order.")
    hits = hits_of(chosen, targets)
    depth = chosen.shape[1]
    if depth:
        is_full = there[:, -1:]
        hits = hits & ~(is_full & (order_by == order_by[:, -1:]))
        # Stable, so by score first and right after wrong within a score.
        order = np.lexsort((hits, -order_by), axis=1)
        hits = np.take_along_axis(hits, order, axis=1)
    sizes = targets.sizes
    discounts = 1 / np.log2(np.arange(2, max(depth, *cutoffs) + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])
    made: dict[str, Doubles] = {}
    for k in cutoffs:
        top = hits[:, :k]
        found: Bools = np.asarray(top.any(axis=1))
        made[f"hit@{k}"] = found.astype(np.float64)
        recall: Doubles = top.sum(axis=1) / np.maximum(sizes, 1)
        made[f"recall@{k}"] = recall
        ndcg: Doubles = top @ discounts[: top.shape[1]] / np.maximum(ideal[np.minimum(sizes, k)], discounts[-1])
        made[f"ndcg@{k}"] = ndcg
        first = top.argmax(axis=1) if top.shape[1] else np.zeros(len(top), int)
        made[f"mrr@{k}"] = np.where(found, 1 / (first + 1), 0.0)
    return made
