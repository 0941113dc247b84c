"""Metrics of one search against values worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from assets.search.metrics import ndcg, recall, reciprocal_rank

GRADES = {"exact": 3, "fits": 2, "also": 2, "near": 1}


def test_recall_counts_what_answers_and_not_what_is_near() -> None:
    ranked = ["near", "exact", "wrong", "also", "fits"]
    assert [recall(ranked, GRADES, k) for k in (1, 2, 3, 4, 5)] == [0, 1 / 3, 1 / 3, 2 / 3, 1]


def test_the_reciprocal_rank_is_that_of_the_first_answer_within_the_cut_off() -> None:
    ranked = ["wrong", "near", "fits", "exact"]
    assert reciprocal_rank(ranked, GRADES, 10) == 1 / 3
    assert reciprocal_rank(ranked, GRADES, 3) == 1 / 3
    assert reciprocal_rank(ranked, GRADES, 2) == 0


def test_ndcg_has_graded_gains_and_is_held_against_the_best_list() -> None:
    # Gains 7, 3, 3, 1; the best list of three is 7, 3, 3.
    ideal = 7 + 3 / math.log2(3) + 3 / 2
    assert ndcg(["near", "wrong", "exact"], GRADES, 3) == pytest.approx((1 + 7 / 2) / ideal, abs=1e-12)
    assert ndcg(["exact", "also", "fits"], GRADES, 3) == pytest.approx(1, abs=1e-12)
    # (3 + 7 / 1.5849625) / (7 + 3 / 1.5849625) = 7.416508 / 8.892789
    assert ndcg(["fits", "exact", "near"], GRADES, 2) == pytest.approx(0.833991, abs=1e-6)


def test_the_best_list_is_no_longer_than_there_are_products_with_a_grade() -> None:
    assert ndcg(["only"], {"only": 1}, 10) == 1
    assert ndcg(["wrong", "only"], {"only": 3}, 10) == pytest.approx(1 / math.log2(3))


def test_fewer_answers_than_the_cut_off_and_none_at_all() -> None:
    assert recall(["exact"], GRADES, 10) == 1 / 3
    assert [metric([], GRADES, 10) for metric in (recall, reciprocal_rank, ndcg)] == [0, 0, 0]


@pytest.mark.parametrize("metric", [recall, reciprocal_rank, ndcg])
def test_what_cannot_be_judged_is_refused(metric: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="'a' is listed twice"):
        metric(["a", "b", "a"], {"a": 3}, 1)
    with pytest.raises(ValueError, match="cut-off is 0"):
        metric(["a"], {"a": 3}, 0)
    with pytest.raises(ValueError, match="no product"):
        metric(["a"], {}, 10)


def test_a_search_to_which_products_are_only_near_has_ndcg_alone() -> None:
    assert ndcg(["a"], {"a": 1}, 10) == 1
    for metric in (recall, reciprocal_rank):
        with pytest.raises(ValueError, match=r"no product answers the search \(grade 2 or more\)"):
            metric(["a"], {"a": 1}, 10)
