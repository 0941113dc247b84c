"""The evaluation of search on rankings whose worth is known beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from assets.markdown import picture, table
from assets.search.evaluate import FEWEST, GRID, METRICS, Evaluation, evaluate, ratio
from assets.search.judged import Query
from assets.search.metrics import ndcg

SAME = {"dense": 1.0, "bm25": 1.0}
PRODUCTS = [f"p{number}" for number in range(60)]
QUERIES = [
    Query(f"query {number}", {f"p{number % 60}": 3, f"p{(number + 1) % 60}": 2}, ("words", "plain")[number % 2])
    for number in range(100)
]


class Shop:
    """A search that puts the exact product at a place which hangs on the weights, and remembers what it was asked."""

    def __init__(self, places: Mapping[str, int], other: int = 9) -> None:
        self.places, self.other = places, other
        self.asked: list[tuple[str, str, int]] = []

    def __call__(self, text: str, weights: Mapping[str, float], k: int) -> Sequence[str]:
        self.asked.append((text, ratio(weights), k))
        wanted = f"p{int(text.split()[1]) % 60}"
        others = [product for product in PRODUCTS if product != wanted]
        place = self.places.get(ratio(weights), self.other)
        return [*others[:place], wanted, *others[place:]][:k]


def of(evaluation: Evaluation, kind: str, system: str) -> dict[str, float]:
    (found,) = [each for each in evaluation.reached if each.kind == kind and each.system.startswith(system)]
    return dict(found.means)


def test_the_best_weights_are_chosen_and_reported_on_other_queries() -> None:
    shop = Shop({"2:1": 0, "1:1": 2, "0:1": 5})
    evaluation = evaluate(shop, QUERIES, SAME)
    assert evaluation.is_chosen and evaluation.weights == {"dense": 2, "bm25": 1}
    assert "2:1 has the best nDCG@10" in evaluation.said
    chosen_on = {text for text, _, k in shop.asked if k == 10}
    reported_on = {text for text, _, k in shop.asked if k == 50}
    assert chosen_on and reported_on and not chosen_on & reported_on
    assert chosen_on | reported_on == {query.text for query in QUERIES}
    best = max(evaluation.tried, key=lambda each: each.ndcg)
    assert best.weights == evaluation.weights and [ratio(each.weights) for each in evaluation.tried] == [
        f"{dense}:{bm25}" for dense, bm25 in GRID
    ]


def test_each_query_is_asked_once_with_each_weights() -> None:
    shop = Shop({"1:1": 0})
    evaluate(shop, QUERIES, SAME)
    assert max(Counter(shop.asked).values()) == 1
    assert len({(text, weights) for text, weights, _ in shop.asked}) == len(shop.asked)
    # The chosen weights are 1:1, so that three ways are told apart on the half to report on.
    half = {text for text, _, k in shop.asked if k == 50}
    assert len(shop.asked) == 7 * (100 - len(half)) + 3 * len(half)


def test_means_are_those_of_the_metrics_for_each_kind_and_over_all() -> None:
    shop = Shop({"2:1": 0, "1:1": 2, "0:1": 20, "1:0": 9})
    evaluation = evaluate(shop, QUERIES, SAME)
    half = {text for text, _, k in shop.asked if k == 50}
    for kind in ("all", "words", "plain"):
        own = [query for query in QUERIES if query.text in half and kind in ("all", query.kind)]
        for system, weights in (
            ("BM25 alone", (0, 1)),
            ("dense alone", (1, 0)),
            ("hybrid 1:1", (1, 1)),
            ("2:1", (2, 1)),
        ):
            means = of(evaluation, kind, system)
            lists = [shop(query.text, {"dense": weights[0], "bm25": weights[1]}, 50) for query in own]
            wanted = np.mean([ndcg(each, query.grades, 10) for each, query in zip(lists, own, strict=True)])
            assert means["ndcg@10"] == pytest.approx(wanted)
            assert set(means) == set(METRICS)
        # The exact product at place 20 is beyond ten and within fifty.
        assert of(evaluation, kind, "BM25 alone")["recall@10"] < of(evaluation, kind, "BM25 alone")["recall@50"]
    assert of(evaluation, "all", "2:1")["mrr@10"] == 1
    counted = {each.kind: each.queries for each in evaluation.reached}
    assert counted["all"] == counted["words"] + counted["plain"] == len(half)


def test_the_lead_is_the_difference_to_each_other_search_with_its_interval() -> None:
    evaluation = evaluate(Shop({"2:1": 0, "1:1": 0, "4:1": 3, "0:1": 5}), QUERIES, SAME)
    assert evaluation.weights == {"dense": 1, "bm25": 1}
    leads = {each.system: each.lead for each in evaluation.reached if each.kind == "all"}
    assert leads["1:1, chosen"] is None
    same, bm25 = leads["hybrid 1:1"], leads["BM25 alone"]
    assert same is not None and (same.mean, same.low, same.high) == (0, 0, 0)
    assert bm25 is not None and 0 < bm25.low <= bm25.mean <= bm25.high
    means = {each.system: each.means["ndcg@10"] for each in evaluation.reached if each.kind == "all"}
    assert bm25.mean == pytest.approx(means["1:1, chosen"] - means["BM25 alone"])
    for each in evaluation.reached:
        assert each.reach.mean == pytest.approx(each.means["ndcg@10"])
        assert each.reach.low <= each.reach.mean <= each.reach.high


@pytest.mark.parametrize(
    ("places", "chosen"),
    [({}, "1:1"), ({"0:1": 0, "1:4": 0, "1:0": 0}, "1:4"), ({"0:1": 0, "4:1": 0, "2:1": 0}, "2:1")],
)
def test_of_weights_that_are_as_good_those_nearest_to_1_1_are_taken(places: dict[str, int], chosen: str) -> None:
    assert ratio(evaluate(Shop(places), QUERIES, {"dense": 9, "bm25": 1}).weights) == chosen


def test_one_kind_of_search_alone_is_chosen_where_it_is_best() -> None:
    evaluation = evaluate(Shop({"0:1": 0}), QUERIES, SAME)
    assert evaluation.weights == {"dense": 0, "bm25": 1}
    assert of(evaluation, "all", "0:1, chosen") == of(evaluation, "all", "BM25 alone")


def test_too_few_queries_in_a_half_choose_nothing_and_say_so() -> None:
    learnt = Shop({})
    evaluate(learnt, QUERIES, SAME)
    chosen_on = {text for text, _, k in learnt.asked if k == 10}
    to_choose = [query for query in QUERIES if query.text in chosen_on]
    to_report = [query for query in QUERIES if query.text not in chosen_on]
    for few in (to_choose[: FEWEST - 1] + to_report, to_choose + to_report[: FEWEST - 1]):
        shop = Shop({"2:1": 0})
        evaluation = evaluate(shop, few, {"dense": 3.0, "bm25": 1.0})
        assert not evaluation.is_chosen and evaluation.weights == {"dense": 3.0, "bm25": 1.0}
        assert evaluation.tried == () and "No weights were chosen" in evaluation.said
        assert " 19 " in evaluation.said and "20 of each" in evaluation.said and "stays 3:1" in evaluation.said
        assert {each.system for each in evaluation.reached} >= {"3:1, as it is", "BM25 alone"}
        assert all(k == 50 for _, _, k in shop.asked)
    assert evaluate(Shop({}), to_choose[:FEWEST] + to_report[:FEWEST], SAME).is_chosen


def test_no_queries_at_all_give_an_empty_report_that_can_be_drawn() -> None:
    evaluation = evaluate(Shop({}), [], SAME)
    assert evaluation.rows() == [] and evaluation.choice_rows() == [] and not evaluation.is_chosen
    assert picture(evaluation.figure()).startswith("![plot]")


def test_a_query_stays_in_its_half_when_others_come() -> None:
    few, many = Shop({}), Shop({})
    evaluate(few, QUERIES[:60], SAME)
    evaluate(many, QUERIES, SAME)

    def halves(shop: Shop) -> dict[str, int]:
        return {text: k for text, _, k in shop.asked}

    assert len(set(halves(few).values())) == 2
    assert halves(few).items() <= halves(many).items()


def test_an_answer_that_names_a_product_twice_is_refused_with_the_query() -> None:
    def twice(text: str, weights: Mapping[str, float], k: int) -> list[str]:
        return ["p1", "p1"]

    with pytest.raises(
        ValueError, match=r"the answer to 'query \d+' with dense:bm25 \d:\d: the product 'p1' is listed"
    ):
        evaluate(twice, QUERIES, SAME)
    with pytest.raises(ValueError, match="'query 3' is there 2 times"):
        evaluate(Shop({}), [*QUERIES, QUERIES[3]], SAME)


def test_the_report_is_a_table_and_a_figure_of_what_was_reached() -> None:
    evaluation = evaluate(Shop({"2:1": 0, "1:1": 2}), QUERIES, SAME)
    shown = table(evaluation.rows())
    assert shown.count("\n") == 1 + 3 * 4
    assert "| all | 2:1, chosen |" in shown and "| words | BM25 alone |" in shown
    assert [row["dense:bm25"] for row in evaluation.choice_rows() if row["taken"]] == ["2:1"]
    choice, report = evaluation.figure().axes
    assert [round(float(value), 6) for value in choice.lines[0].get_ydata()] == [
        round(each.ndcg, 6) for each in evaluation.tried
    ]
    heights = sorted(float(bar.get_height()) for bar in report.patches)
    assert heights == pytest.approx(sorted(each.means["ndcg@10"] for each in evaluation.reached))
