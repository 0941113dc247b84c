"""Exact top lists of many users by inner products with many items: blocks of products, left as soon as is safe.

Items are taken in the order of their length. A user is done when its own length times that of the next item, which no
inner product further on exceeds (Cauchy-Schwarz), is below its N-th score so far; compare LEMP (Teflioudi, Gemulla,
Mykytiuk, SIGMOD 2015). What is found is what scoring all pairs would find, ties included.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from assets.recommender.interactions import Bools, Floats, Ints, Longs

USER_BLOCK, ITEM_BLOCK = 1024, 2048
_NONE = np.iinfo(np.int64).min
# Float32 sums of 1024 products are wrong by less than this share of the lengths' product.
_SLACK = 1e-4
_NOT_FINITE = "factors that are not finite have no order: the model that gave them is broken."


class ItemIndex:
    """Items made ready to be asked for: one for a model, however often it is asked."""

    def __init__(self, items: Floats, allowed: Bools | None = None) -> None:
        """
        Args:
            items: [m, f], finite.
            allowed: [m] which items anybody may get; None: all.
        """
        if not np.isfinite(items).all():
            raise ValueError(_NOT_FINITE)
        places = np.arange(len(items)) if allowed is None else np.flatnonzero(allowed)
        lengths = np.sqrt(np.einsum("ij,ij->i", items[places], items[places], dtype=np.float64))
        order = np.argsort(-lengths, kind="stable")
        self.total = len(items)
        self.names = places[order].astype(np.int64)
        self.lengths = lengths[order]
        self.items = np.ascontiguousarray(items[self.names], np.float32)
        # Where each item stands here; what nobody may get, behind the end.
        self.place = np.full(len(items), len(order), np.int32)
        self.place[self.names] = np.arange(len(order), dtype=np.int32)

    def top(
        self, users: Floats, top: int, *, seen: tuple[Longs, Ints] | None = None, threads: int | None = None
    ) -> tuple[Ints, Floats]:
        """For each user the items with the largest inner products; among equal ones those that stand first.

        Scores are float32; memory is that of the answer and some tens of megabytes a thread.

        Args:
            users: [n, f], finite.
            seen: starts [n + 1] and items of each user that it must not get.
            threads: None: one a processor.

        Returns:
            items [n, top], -1 where there are fewer, and scores [n, top], -inf there.
        """
        if not np.isfinite(users).all():
            raise ValueError(_NOT_FINITE)
        count, width = len(users), min(top, len(self.items))
        chosen = np.full((count, top), -1, np.int32)
        scores = np.full((count, top), -np.inf, np.float32)
        if not (count and width):
            return chosen, scores
        asking = np.ascontiguousarray(users, np.float32)
        without = None if seen is None else (seen[0], self.place[seen[1]])

        def one(low: int) -> None:
            high = min(low + USER_BLOCK, count)
            keys = self._block(asking[low:high], width, low, without)
            keys.sort(axis=1)
            found, values = _items_of(keys[:, ::-1], self.total), _scores_of(keys[:, ::-1])
            is_real = values > -np.inf
            chosen[low:high, :width] = np.where(is_real, found, -1)
            scores[low:high, :width] = np.where(is_real, values, -np.inf)

        if count <= USER_BLOCK:
            # One session is answered sooner than threads are started.
            one(0)
            return chosen, scores
        from threadpoolctl import threadpool_limits

        # One thread for each processor, and none of BLAS beside them: most steps are no matrix products.
        with threadpool_limits(1), ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
            list(pool.map(one, range(0, count, USER_BLOCK)))
        return chosen, scores

    def _block(self, users: Floats, top: int, low: int, seen: tuple[Longs, Ints] | None) -> Longs:
        """The keys [users, top] of the best items of users from `low` on, in no order."""
        high = low + len(users)
        # In float64, and a little longer than it is, so that rounding leaves nobody out.
        reach = np.sqrt(np.einsum("ij,ij->i", users, users, dtype=np.float64)) * (1 + _SLACK)
        best = np.full((high - low, top), _NONE, np.int64)
        worst = np.full(high - low, -np.inf, np.float32)
        rows_seen = items_seen = np.zeros(0, np.int64)
        if seen is not None:
            starts, places = seen
            first, last = starts[low], starts[high]
            rows = np.repeat(np.arange(high - low), np.diff(starts[low : high + 1]))
            by_place = np.argsort(places[first:last], kind="stable")
            rows_seen, items_seen = rows[by_place], places[first:last][by_place].astype(np.int64)
        active = np.arange(high - low)
        for begin in range(0, len(self.items), ITEM_BLOCK):
            active = active[reach[active] * self.lengths[begin] >= worst[active]]
            if not len(active):
                break
            end = min(begin + ITEM_BLOCK, len(self.items))
            products = users[active] @ self.items[begin:end].T
            if len(items_seen):
                a, b = np.searchsorted(items_seen, [begin, end])
                if b > a:
                    place = np.full(high - low, -1)
                    place[active] = np.arange(len(active))
                    at = place[rows_seen[a:b]]
                    products[at[at >= 0], items_seen[a:b][at >= 0] - begin] = -np.inf
            better = np.flatnonzero(products.max(axis=1) >= worst[active])
            if len(better):
                rows = active[better]
                best[rows] = self._merged(best[rows], products[better], worst[rows], self.names[begin:end])
                worst[rows] = _scores_of(best[rows].min(axis=1))
        return best

    def _merged(self, best: Longs, products: Floats, worst: Floats, names: Longs) -> Longs:
        """The best of what was found before and of a block."""
        top = best.shape[1]
        row, column = np.nonzero(products >= worst[:, None])
        new = np.bincount(row, minlength=len(best))
        padded = np.full((len(best), top + int(new.max())), _NONE, np.int64)
        padded[:, :top] = best
        begins = np.cumsum(new) - new
        padded[row, top + np.arange(len(row)) - begins[row]] = _keys(products[row, column], names[column], self.total)
        return np.partition(padded, padded.shape[1] - top, axis=1)[:, -top:]


def _keys(scores: Floats, items: Longs, total: int) -> Longs:
    """Numbers that order by score, then by the item that stands first."""
    # The bits of a float order as integers do, once those of negative ones are turned round; -0 is made 0 first.
    bits = (scores + np.float32(0)).view(np.int32).astype(np.int64)
    ordered = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return ordered * (1 << 32) + (total - 1 - items)


def _scores_of(keys: Longs) -> Floats:
    ordered = keys >> 32
    bits = np.where(ordered < 0, -ordered | 0x80000000, ordered).astype(np.uint32)
    found: Floats = np.where(keys == _NONE, np.float32(-np.inf), bits.view(np.float32))
    return found


def _items_of(keys: Longs, total: int) -> Longs:
    return total - 1 - (keys & 0xFFFFFFFF)
