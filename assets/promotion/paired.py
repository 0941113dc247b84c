"""Paired comparisons of two models on the same queries: the bootstrap of a mean difference, and McNemar's test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 20_150_918
"""The same queries give the same interval, and so the same decision, whenever it is asked for."""

_CELLS = 4_000_000
"""Indices that are drawn at a time: 32 MB of them, and as much of what they name."""
_FEW_DISCORDANT = 25
_CLASSES = 4096


@dataclass(frozen=True)
class Interval:
    """A mean difference per query with its interval, the queries that it stands on, and its level."""

    mean: float
    low: float
    high: float
    queries: int
    confidence: float = CONFIDENCE


@dataclass(frozen=True)
class McNemar:
    """McNemar's test: the queries that only one of the two got right, and the two-sided p-value."""

    only_first: int
    only_second: int
    p_value: float
    is_exact: bool


def bootstrap_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = SEED,
) -> Interval:
    """The mean of `first - second` over queries, with the percentile interval of a paired bootstrap.

    Whole queries are drawn with replacement, each with the figures of both models: their difference is resampled, so
    that what makes a query hard for both does not widen the interval. The interval is of the percentile kind (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13); for paired figures of ranking and translation see
    Sakai, Evaluating Evaluation Metrics Based on the Bootstrap, SIGIR 2006, and Koehn, Statistical Significance Tests
    for Machine Translation Evaluation, EMNLP 2004. A query must be a unit that was drawn on its own: a session or a
    customer, not one of the lines of either. Below some thirty queries the interval is too narrow.

    Metrics of ranking take few values (a hit, 1/rank), and so do their differences. Where there are at most 4,096
    distinct ones, a resample is drawn as the counts of each, multinomial, which has the same distribution as drawing
    the queries one by one and costs no more for 200,000 queries than for 2,000.

    Args:
        first, second: per-query figures of shape [queries], in the same order.
        resamples: how many samples are drawn.
        confidence: the share of intervals that hold the truth, of many made like this.
        seed: of the random numbers.

    Returns:
        The mean difference and its interval, in the unit of the figures.

    Raises:
        ValueError: the arrays differ in shape, are empty, or hold what is no finite number.
    """
    a, b = _paired(first, second)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: it must lie between 0 and 1")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}: at least one must be drawn")
    difference = a - b
    n = len(difference)
    generator = np.random.default_rng(seed)
    values, counts = np.unique(difference, return_counts=True)
    means = np.empty(resamples)
    if len(values) <= _CLASSES:
        step = max(1, _CELLS // len(values))
        for start in range(0, resamples, step):
            size = min(step, resamples - start)
            means[start : start + size] = generator.multinomial(n, counts / n, size) @ values / n
    else:
        step = max(1, _CELLS // n)
        for start in range(0, resamples, step):
            size = min(step, resamples - start)
            means[start : start + size] = difference[generator.integers(0, n, (size, n))].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(difference.mean()), float(low), float(high), n, confidence)


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike) -> McNemar:
    """McNemar's test of whether two classifiers are right equally often, on the same queries.

    Only the discordant queries, which one of the two got right, tell anything. Below 25 of them the p-value is that of
    the exact binomial test with probability 1/2; from there on that of chi-squared with one degree of freedom and
    Edwards's continuity correction (McNemar, Psychometrika 12, 1947; Edwards, Psychometrika 13, 1948; for classifiers
    Dietterich, Neural Computation 10, 1998).

    Args:
        first, second: whether each query was answered rightly, of shape [queries], in the same order.

    Raises:
        ValueError: the arrays differ in shape, are empty, or hold something other than right and wrong.
    """
    a, b = _paired(first, second)
    if not (np.isin(a, (0.0, 1.0)).all() and np.isin(b, (0.0, 1.0)).all()):
        raise ValueError("McNemar's test takes right (1) and wrong (0) alone; for other figures use the bootstrap")
    only_first, only_second = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    discordant = only_first + only_second
    if discordant < _FEW_DISCORDANT:
        few = min(only_first, only_second)
        tail = sum(math.comb(discordant, k) for k in range(few + 1)) / 2**discordant
        return McNemar(only_first, only_second, min(1.0, 2 * tail), True)
    statistic = max(0, abs(only_first - only_second) - 1) ** 2 / discordant
    # The upper tail of chi-squared with one degree of freedom is that of the normal distribution, on both sides.
    return McNemar(only_first, only_second, math.erfc(math.sqrt(statistic / 2)), False)


def _paired(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired figures have shapes {a.shape} and {b.shape}: both must be [queries]")
    if not len(a):
        raise ValueError("there are no queries to compare on")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a figure is no finite number: a query without one cannot be compared")
    return a, b
