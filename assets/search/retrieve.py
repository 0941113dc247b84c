"""What a search finds: the words of a query and its meaning, fused, with conditions on the products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from assets.search.untrusted import visible
from assets.search.where import filter_of
from resources.embedder import Embedder
from resources.vectors.bm25 import Bm25
from resources.vectors.collection import BM25, DENSE
from resources.vectors.reader import Reader

LONGEST = 1000
"""Characters of a query; what a customer types is shorter, and a text as query is cut by the embedder anyway."""

SCALE = {DENSE: 1.0, BM25: 20.0}
"""A score by words of twenty counts as much as the cosine of one text with itself: so high is the score of a product
that has two or three rare words of a query."""
REMEMBERED = 1000
"""So many queries keep their vector: many customers look for the same."""


class SearchError(ValueError):
    """A search cannot be answered as it was asked; the message says why."""


@dataclass(frozen=True)
class Hit:
    """A product that was found.

    Attributes:
        score: comparable within one answer alone.
    """

    product_id: str
    score: float
    payload: Mapping[str, Any]


class Searcher:
    """Searches one version of a collection, with the embedder that made it."""

    def __init__(self, reader: Reader, embedder: Embedder, candidates: int) -> None:
        """
        Args:
            embedder: of the same identity as the one that the reader's manifest names.
            candidates: so many hits of each kind are fused.
        """
        if embedder.identity != reader.manifest.embedder:
            raise SearchError(
                f"{reader.manifest.name} was embedded by {reader.manifest.embedder}, not by {embedder.identity}"
            )
        self.reader, self.embedder = reader, embedder
        self.candidates = candidates
        self._vector = lru_cache(maxsize=REMEMBERED)(self._embedded)
        self._words = Bm25(reader.manifest.language, reader.manifest.average_length)

    def search(
        self,
        text: str,
        where: Mapping[str, Any] | None = None,
        top: int = 10,
        weights: Mapping[str, float] | None = None,
    ) -> list[Hit]:
        """The products that fit a text best, best first.

        The scores of both kinds of search are added up with their weights, which finds more than the fusion of ranks
        (Bruch, Gai, Ingber: An Analysis of Fusion Functions for Hybrid Retrieval, 2023), and did on our shops.

        Args:
            where: conditions as `assets.search.where.filter_of` takes them.
            weights: what a hit of each vector counts; without them, as the collection says.

        Raises:
            SearchError: the text is empty or too long.
            WhereError: a condition cannot be used.
        """
        from qdrant_client import models

        text = cleaned(text)
        weights = self.reader.manifest.weights if weights is None else weights
        given = filter_of(where or {}, self.reader.manifest.fields)
        legs: list[tuple[Any, str, float]] = []
        if weights[DENSE] > 0:
            legs.append((self._vector(text), DENSE, weights[DENSE]))
        if weights[BM25] > 0:
            indices, values = self._words.query(text)
            if len(indices):  # stop words alone say nothing
                legs.append((models.SparseVector(indices=list(indices), values=list(values)), BM25, weights[BM25]))
        if not legs:
            return []
        depth = max(self.candidates, top)
        if len(legs) == 1:
            query, using, _ = legs[0]
            found = self.reader.query_points(query=query, using=using, query_filter=given, limit=top)
        else:
            parts: list[Any] = [
                models.MultExpression(mult=[weight / SCALE[using], f"$score[{place}]"])
                for place, (_, using, weight) in enumerate(legs)
            ]
            found = self.reader.query_points(
                query=models.FormulaQuery(formula=models.SumExpression(sum=parts)),
                prefetch=[
                    models.Prefetch(query=query, using=using, limit=depth, filter=given) for query, using, _ in legs
                ],
                limit=top,
            )
        return [
            Hit(str((point.payload or {})["product_id"]), float(point.score), point.payload or {})
            for point in found.points
        ]

    def _embedded(self, text: str) -> list[float]:
        return list(self.embedder.embed([text])[0].tolist())


def cleaned(text: str) -> str:
    """A query without characters that nobody sees.

    Raises:
        SearchError: nothing is left of it, or it is too long.
    """
    kept = visible(text)
    if not kept:
        raise SearchError("the query is empty; write what is looked for")
    if len(kept) > LONGEST:
        raise SearchError(f"the query has {len(kept):,} characters, and may have {LONGEST:,}; shorten it")
    return kept
