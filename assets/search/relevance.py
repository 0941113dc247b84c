"""How well a product fits a question, on a scale that holds for all questions and shops: what is found by a search is
only the best that there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assets.search.retrieve import LONGEST, Searcher
from resources.vectors.collection import BM25, DENSE

WORDS = 40.0
"""A score by words of so much counts as a cosine of one. Half and twice of it part questions that a catalogue answers
from others less well (`benchmarks/answers.py`)."""


@dataclass(frozen=True)
class Relevant:
    """A product that was found.

    Attributes:
        score: of the search, which chose the products.
        relevance: the cosine of meaning, and the score by words over `WORDS`.
    """

    product_id: str
    score: float
    relevance: float
    payload: Mapping[str, Any]


def find(searcher: Searcher, query: str, top: int) -> list[Relevant]:
    """The products that a search finds, the most relevant first.

    Args:
        query: what is beyond the length that a search takes is cut off.

    Raises:
        SearchError: the query is empty.
    """
    query = query[:LONGEST]
    hits = searcher.search(query, top=top)
    if not hits:
        return []
    among = {"product_id": [hit.product_id for hit in hits]}
    parts = {
        vector: {
            hit.product_id: hit.score
            for hit in searcher.search(query, among, len(hits), {DENSE: 0.0, BM25: 0.0, vector: 1.0})
        }
        for vector in (DENSE, BM25)
    }
    found = [
        Relevant(
            hit.product_id,
            hit.score,
            parts[DENSE].get(hit.product_id, 0.0) + parts[BM25].get(hit.product_id, 0.0) / WORDS,
            hit.payload,
        )
        for hit in hits
    ]
    return sorted(found, key=lambda one: -one.relevance)
