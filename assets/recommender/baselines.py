"""The models that the recommender is held against; each is fitted on the same past and asked for the same lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import numpy as np

from assets.recommender.config import RecommenderConfig
from assets.recommender.histories import Histories, histories_of
from assets.recommender.interactions import Bools, Floats, Interactions, Ints, microseconds
from assets.recommender.sources import Flat, Folding, fit_als, fit_cosine, fit_ease, flat_of, lists_of, popularity
from assets.recommender.topk import ItemIndex

if TYPE_CHECKING:
    import pyarrow as pa
    import scipy.sparse as sp

_BLOCK = 1024


class Model(Protocol):
    """What can be evaluated: lists for histories."""

    @property
    def product_ids(self) -> pa.StringArray:
        """The catalogue that its lists point into."""

    def top(self, histories: Histories, top: int, repeats: bool) -> tuple[Ints, Floats]:
        """Places in `product_ids` [rows, top], -1 where there are fewer, and scores [rows, top], descending.

        Args:
            histories: of any catalogue.
            repeats: whether a history's own products may be listed.
        """


@dataclass(frozen=True)
class _Base(ABC):
    product_ids: pa.StringArray
    is_listed: Bools

    def top(self, histories: Histories, top: int, repeats: bool) -> tuple[Ints, Floats]:
        known = histories.within(self.product_ids)
        chosen = np.full((len(known), top), -1, np.int32)
        scores = np.full((len(known), top), -np.inf, np.float32)
        width = min(top, len(self.product_ids))
        for low in range(0, len(known), _BLOCK):
            part = known.part(low, min(low + _BLOCK, len(known)))
            found, values = self._lists(part, width, repeats)
            chosen[low : low + _BLOCK, :width], scores[low : low + _BLOCK, :width] = found, values
        return chosen, scores

    @abstractmethod
    def _lists(self, histories: Histories, top: int, repeats: bool) -> tuple[Ints, Floats]:
        """Products and scores of so many actors at once, best first: both of shape (actors, top)."""


@dataclass(frozen=True)
class Popular(_Base):
    """The same for everybody: products by their weight."""

    counts: Floats

    @classmethod
    def fit(
        cls, past: Interactions, config: RecommenderConfig, trained_to: datetime, days: int | None = None
    ) -> Popular:
        """
        Args:
            days: of so many last days; None: of all.
        """
        since = None if days is None else microseconds(trained_to - timedelta(days=days))
        return cls(past.product_ids, past.is_listed, popularity(past, _of_kind(past, config), since))

    def _lists(self, histories: Histories, top: int, repeats: bool) -> tuple[Ints, Floats]:
        order = np.lexsort((np.arange(len(self.counts)), -self.counts))
        order = order[self.is_listed[order] & (self.counts[order] > 0)]
        longest = 0 if repeats else int(histories.sizes.max(initial=0))
        first = order[: top + longest]
        rows = np.arange(len(histories), dtype=np.int32)
        flat = Flat(
            np.repeat(rows, len(first)),
            np.tile(first, len(rows)).astype(np.int32),
            np.tile(self.counts[first], len(rows)),
        )
        return lists_of(_without(flat, histories, self.is_listed, repeats), len(histories), top)


@dataclass(frozen=True)
class OwnThenPopular(_Base):
    """A history's own products by their decayed weight, then what is popular of the last days.

    Where a history's own may not be listed, the popular alone remain.
    """

    popular: Popular

    @classmethod
    def fit(cls, past: Interactions, config: RecommenderConfig, trained_to: datetime) -> OwnThenPopular:
        recent = Popular.fit(past, config, trained_to, config.popularity_days)
        return cls(past.product_ids, past.is_listed, recent)

    def _lists(self, histories: Histories, top: int, repeats: bool) -> tuple[Ints, Floats]:
        chosen, counts = self.popular.top(histories, top, repeats=False)
        if not repeats:
            return chosen, counts
        there = chosen >= 0
        row = np.nonzero(there)[0].astype(np.int32)
        # All lines of a basket weigh the same, so what is popular decides between them; it counts less than 1, whereas
        # weights relative to a row's largest, in steps, are 1 and more.
        share = self.popular.counts / (1 + self.popular.counts.max(initial=0))
        largest = np.zeros(len(histories), np.float32)
        np.maximum.at(largest, histories.row, histories.weight)
        own = 1 + np.round(histories.weight / largest[histories.row] * 1e4) + share[histories.product]
        flat = Flat(
            np.concatenate([histories.row, row]),
            np.concatenate([histories.product, chosen[there]]),
            np.concatenate([own, share[chosen[there]]]).astype(np.float32),
        )
        return lists_of(_without(flat, histories, self.is_listed, True), len(histories), top)


@dataclass(frozen=True)
class ItemKnn(_Base):
    """The neighbours of a history's products by cosine, each counted by the product's weight."""

    neighbours: sp.csr_matrix

    @classmethod
    def fit(cls, past: Interactions, config: RecommenderConfig, trained_to: datetime) -> ItemKnn:
        histories = histories_of(past, config, trained_to)
        return cls(past.product_ids, past.is_listed, fit_cosine(histories.matrix(histories.weight), config.neighbours))

    def _lists(self, histories: Histories, top: int, repeats: bool) -> tuple[Ints, Floats]:
        flat = flat_of((histories.matrix(histories.weight) @ self.neighbours).tocsr())
        return lists_of(_without(flat, histories, self.is_listed, repeats), len(histories), top)


@dataclass(frozen=True)
class Ease(_Base):
    """A linear model of products by products, for small catalogues (`sources.fit_ease`)."""

    linear: Floats
    """[products, products] with zeros on the diagonal"""

    @classmethod
    def fit(cls, past: Interactions, config: RecommenderConfig, trained_to: datetime) -> Ease:
        """
        Raises:
            ValueError: the catalogue is too large.
        """
        histories = histories_of(past, config, trained_to)
        return cls(past.product_ids, past.is_listed, fit_ease(histories.matrix(np.sqrt(histories.weight))))

    def _lists(self, histories: Histories, top: int, repeats: bool) -> tuple[Ints, Floats]:
        scores = histories.matrix(np.sqrt(histories.weight)) @ self.linear
        scores[:, ~self.is_listed] = -np.inf
        if not repeats:
            scores[histories.row, histories.product] = -np.inf
        best = np.argpartition(-scores, top - 1, axis=1)[:, :top]
        row = np.repeat(np.arange(len(histories), dtype=np.int32), best.shape[1])
        flat = Flat(row, best.ravel().astype(np.int32), np.take_along_axis(scores, best, 1).ravel())
        keep = np.isfinite(flat.score) & (histories.sizes > 0)[row]
        return lists_of(Flat(flat.row[keep], flat.product[keep], flat.score[keep]), len(histories), top)


@dataclass(frozen=True)
class Als(_Base):
    """Factors alone: histories folded in, all products scored."""

    folding: Folding
    index: ItemIndex

    @classmethod
    def fit(cls, past: Interactions, config: RecommenderConfig, trained_to: datetime) -> Als:
        histories = histories_of(past, config, trained_to)
        factors = fit_als(histories.matrix(histories.weight), config.als, config.seed)
        return cls(past.product_ids, past.is_listed, Folding(factors, config.als), ItemIndex(factors, past.is_listed))

    def _lists(self, histories: Histories, top: int, repeats: bool) -> tuple[Ints, Floats]:
        seen = None if repeats else (histories.starts, histories.product)
        chosen, scores = self.index.top(self.folding.fold(histories), top, seen=seen)
        nobody = histories.sizes == 0
        chosen[nobody], scores[nobody] = -1, -np.inf
        return chosen, scores


def _of_kind(past: Interactions, config: RecommenderConfig) -> Floats:
    """[n] what each row counts by its kind alone."""
    return np.array([config.weights.view, config.weights.cart, config.weights.purchase], np.float32)[past.kind]


def _without(flat: Flat, histories: Histories, is_listed: Bools, repeats: bool) -> Flat:
    """What may be listed."""
    keep = is_listed[flat.product]
    if not repeats:
        products = len(is_listed)
        own = histories.row.astype(np.int64) * products + histories.product
        keep &= ~np.isin(flat.row.astype(np.int64) * products + flat.product, own)
    return Flat(flat.row[keep], flat.product[keep], flat.score[keep])
