"""Metrics and top lists against slow plain versions of themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assets.recommender.metrics import CUTOFFS, Targets, metrics
from assets.recommender.topk import ItemIndex


def plainly(chosen: list[int], scores: list[float], right: set[int], k: int) -> dict[str, float]:
    """One query by the definition: ties count against the model."""
    pairs = [(score, product) for score, product in zip(scores, chosen, strict=True) if product >= 0]
    full = len(pairs) == len(chosen)
    end = min((score for score, _ in pairs), default=0.0)
    listed = [(score, product in right and not (full and score == end)) for score, product in pairs]
    listed.sort(key=lambda pair: (-pair[0], pair[1]))
    hits = [is_right for _, is_right in listed[:k]]
    gain = sum(1 / math.log2(place + 2) for place, is_right in enumerate(hits) if is_right)
    best = sum(1 / math.log2(place + 2) for place in range(min(k, len(right))))
    return {
        f"hit@{k}": float(any(hits)),
        f"recall@{k}": sum(hits) / len(right),
        f"ndcg@{k}": gain / best,
        f"mrr@{k}": 1 / (hits.index(True) + 1) if any(hits) else 0.0,
    }


def test_metrics_are_those_of_the_definition() -> None:
    random = np.random.default_rng(1)
    queries, depth, products = 400, 30, 60
    chosen = np.array([random.permutation(products)[:depth] for _ in range(queries)], np.int32)
    scores = -np.sort(-random.integers(0, 25, (queries, depth)), axis=1).astype(np.float32)
    for query in range(0, queries, 3):
        chosen[query, random.integers(0, depth) :] = -1
    targets = [random.choice(products, random.integers(1, 30), replace=False) for _ in range(queries)]
    starts = np.concatenate([[0], np.cumsum([len(each) for each in targets])])
    got = metrics(chosen, scores, Targets(starts, np.concatenate(targets).astype(np.int32)))
    for query in range(queries):
        for k in CUTOFFS:
            wanted = plainly(chosen[query].tolist(), scores[query].tolist(), set(targets[query].tolist()), k)
            for name, value in wanted.items():
                assert got[name][query] == pytest.approx(value), (query, name)


def test_a_model_that_scores_all_alike_finds_nothing() -> None:
    chosen = np.arange(30, dtype=np.int32)[None]
    got = metrics(chosen, np.ones((1, 30), np.float32), Targets(np.array([0, 2]), np.array([0, 1], np.int32)))
    assert {name: value[0] for name, value in got.items()} == dict.fromkeys(got, 0.0)


def test_a_nan_and_a_query_without_targets_are_refused() -> None:
    one = Targets(np.array([0, 1]), np.array([0], np.int32))
    with pytest.raises(ValueError, match="NaN"):
        metrics(np.zeros((1, 3), np.int32), np.full((1, 3), np.nan, np.float32), one)
    with pytest.raises(ValueError, match="without a target"):
        metrics(np.zeros((1, 3), np.int32), np.zeros((1, 3), np.float32), Targets(np.array([0, 0]), one.product[:0]))


def brute(users, items, top, seen, allowed):  # type: ignore[no-untyped-def]
    scores = users @ items.T
    scores[:, ~allowed] = -np.inf
    for row in range(len(users)):
        scores[row, seen[1][seen[0][row] : seen[0][row + 1]]] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    values = np.take_along_axis(scores, order, 1)
    return np.where(values > -np.inf, order, -1), values


@pytest.mark.parametrize(
    ("users", "items", "factors", "top"),
    [(2500, 5000, 4, 20), (7, 3, 2, 10), (1, 1, 1, 1), (40, 4100, 1, 50), (3, 0, 2, 5), (0, 5, 2, 5)],
)
def test_top_lists_are_those_of_scoring_all_pairs(users: int, items: int, factors: int, top: int) -> None:
    random = np.random.default_rng(users)
    # Small whole numbers: their products are exact in float32 and tie often.
    left = random.integers(-3, 4, (users, factors)).astype(np.float32)
    right = random.integers(-3, 4, (items, factors)).astype(np.float32)
    sizes = random.integers(0, min(items, 30) + 1, users)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    drawn = [random.choice(items, size, replace=False) for size in sizes]
    seen = np.concatenate([np.zeros(0), *drawn]).astype(np.int32)
    allowed = random.random(items) < 0.9
    chosen, scores = ItemIndex(right, allowed).top(left, top, seen=(starts, seen))
    wanted, values = brute(left, right, top, (starts, seen), allowed)
    width = wanted.shape[1]
    assert (chosen[:, :width] == wanted).all() and (chosen[:, width:] == -1).all()
    assert (scores[:, :width] == values).all() and (scores[:, width:] == -np.inf).all()


def test_top_lists_of_real_numbers_hold_the_best_whatever_the_lengths() -> None:
    random = np.random.default_rng(3)
    left = random.normal(size=(1500, 16)).astype(np.float32) * random.lognormal(0, 3, (1500, 1)).astype(np.float32)
    right = random.normal(size=(9000, 16)).astype(np.float32) * random.lognormal(0, 1, (9000, 1)).astype(np.float32)
    chosen, scores = ItemIndex(right).top(left, 20)
    best = -np.sort(-(left @ right.T), axis=1)[:, :20]
    assert scores == pytest.approx(best, rel=1e-4, abs=1e-4)
    assert all(len(set(row)) == 20 for row in chosen.tolist())


def test_factors_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        ItemIndex(np.ones((2, 1), np.float32)).top(np.array([[np.nan]], np.float32), 1)
    with pytest.raises(ValueError, match="not finite"):
        ItemIndex(np.array([[np.inf]], np.float32))
