"""Ranking metrics of one search's answers against graded judgements: recall, reciprocal rank and nDCG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

FITS = 2
"""The grade from which a product answers a search. A near one (1) counts in nDCG alone."""


def recall(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """The share of all products that answer (grade 2 or more) which the first k hold.

    Args:
        ranked: product ids, best first, none twice; there may be fewer than k.
        grades: product id -> 1 near, 2 fits, 3 exact; what is not in it is wrong.

    Raises:
        ValueError: a product is listed twice, k is below 1, or no product answers.
    """
    top, answers = _top(ranked, k), _answers(grades)
    return sum(product in answers for product in top) / len(answers)


def reciprocal_rank(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """One over the rank, from 1, of the first of the first k that answers (grade 2 or more), else 0.

    Its mean over searches is MRR@k. Arguments and errors are those of `recall`.
    """
    top, answers = _top(ranked, k), _answers(grades)
    return next((1 / rank for rank, product in enumerate(top, 1) if product in answers), 0.0)


def ndcg(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """The gains of the first k over those of the best list of k: gain 2 ** grade - 1, discount log2(1 + rank).

    Arguments and errors are those of `recall`; here a product of any grade will do (Järvelin and Kekäläinen, Cumulated
    Gain-Based Evaluation of IR Techniques, 2002; the gain is that of Burges and others, 2005).
    """
    top = _top(ranked, k)
    best = _gain(sorted(grades.values(), reverse=True)[:k])
    if best == 0:
        raise ValueError("no product of the search has a grade above 0, so it has no nDCG: leave it out")
    return _gain([grades.get(product, 0) for product in top]) / best


def _gain(grades: Sequence[int]) -> float:
    return math.fsum((2**grade - 1) / math.log2(1 + rank) for rank, grade in enumerate(grades, 1))


def _top(ranked: Sequence[str], k: int) -> Sequence[str]:
    if k < 1:
        raise ValueError(f"the cut-off is {k}: it must be at least 1")
    seen: set[str] = set()
    for product in ranked:
        if product in seen:
            raise ValueError(f"the product {product!r} is listed twice: an answer must name each product once")
        seen.add(product)
    return ranked[:k]


def _answers(grades: Mapping[str, int]) -> set[str]:
    found = {product for product, grade in grades.items() if grade >= FITS}
    if not found:
        raise ValueError(f"no product answers the search (grade {FITS} or more): leave it out")
    return found
