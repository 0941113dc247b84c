"""The paired tests: what they give on cases that are known, and how often they are right on simulated ones."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from assets.promotion.paired import bootstrap_difference, mcnemar


def test_the_difference_of_the_means_lies_in_its_interval() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.random(500), generator.random(500)
    found = bootstrap_difference(first, second)
    assert found.mean == pytest.approx(first.mean() - second.mean())
    assert found.low < found.mean < found.high
    assert found.queries == 500


def test_the_same_queries_give_the_same_interval() -> None:
    generator = np.random.default_rng(2)
    first, second = generator.random(300), generator.random(300)
    assert bootstrap_difference(first, second) == bootstrap_difference(first, second)
    assert bootstrap_difference(first, second, seed=1) != bootstrap_difference(first, second, seed=2)


def test_the_interval_turns_with_the_question() -> None:
    hits = np.random.default_rng(3).random((2, 400)) < [[0.6], [0.4]]
    there, back = bootstrap_difference(hits[0], hits[1]), bootstrap_difference(hits[1], hits[0])
    assert there.mean == -back.mean
    assert there.low == pytest.approx(-back.high, abs=0.01)
    assert there.low > 0 > back.high


def test_what_is_hard_for_both_does_not_widen_the_interval() -> None:
    generator = np.random.default_rng(4)
    hard = generator.random(1000) * 10
    first, second = hard + 0.1 + generator.normal(0, 0.01, 1000), hard + generator.normal(0, 0.01, 1000)
    found = bootstrap_difference(first, second)
    assert found.low > 0.09
    assert found.high < 0.11


def test_equal_figures_give_an_interval_without_width() -> None:
    found = bootstrap_difference(np.full(50, 0.3), np.full(50, 0.3))
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_one_query_is_its_own_interval() -> None:
    found = bootstrap_difference([0.7], [0.5])
    assert found.low == found.high == pytest.approx(0.2)


@pytest.mark.parametrize("kind", ["hits", "reciprocal ranks", "real numbers"])
def test_the_interval_holds_the_truth_as_often_as_it_says(kind: str) -> None:
    """95 % of the intervals of 400 samples: between 91.5 % and 98 % by chance, at three standard errors and a bit."""
    generator = np.random.default_rng(5)
    held = 0
    for number in range(400):
        if kind == "hits":
            both = generator.random(250)
            first = (both < 0.35).astype(float)
            second = np.where(generator.random(250) < 0.8, first, generator.random(250) < 0.30)
            truth = 0.35 - (0.8 * 0.35 + 0.2 * 0.30)
        elif kind == "reciprocal ranks":
            first, second = 1 / generator.integers(1, 5, 250), 1 / generator.integers(1, 6, 250)
            truth = np.mean(1 / np.arange(1, 5)) - np.mean(1 / np.arange(1, 6))
        else:
            shared = generator.normal(0, 1, 250)
            first, second = shared + generator.normal(0.1, 0.5, 250), shared + generator.normal(0, 0.5, 250)
            truth = 0.1
        found = bootstrap_difference(first, second, resamples=600, seed=number)
        held += found.low <= truth <= found.high
    assert 0.915 <= held / 400 <= 0.98


def test_drawing_counts_is_drawing_queries() -> None:
    """The interval of figures with few distinct values is that of the same figures drawn query by query."""
    generator = np.random.default_rng(6)
    first, second = 1 / generator.integers(1, 21, 5000), 1 / generator.integers(1, 25, 5000)
    counted = bootstrap_difference(first, second, resamples=4000)
    nudged = first + generator.normal(0, 1e-9, 5000)  # now all values are distinct
    drawn = bootstrap_difference(nudged, second, resamples=4000)
    width = counted.high - counted.low
    assert drawn.low == pytest.approx(counted.low, abs=0.06 * width)
    assert drawn.high == pytest.approx(counted.high, abs=0.06 * width)


def test_two_hundred_thousand_queries_stay_within_memory() -> None:
    generator = np.random.default_rng(7)
    first, second = generator.random(200_000), generator.random(200_000)
    tracemalloc.start()
    try:
        found = bootstrap_difference(first, second, resamples=60)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150e6  # the whole draw at once would be 60 times 200,000 indices and as many values: 192 MB
    assert found.high - found.low < 0.01


def test_two_hundred_thousand_hits_are_quick() -> None:
    hits = np.random.default_rng(8).random((2, 200_000)) < 0.3
    began = time.process_time()
    bootstrap_difference(hits[0], hits[1], resamples=10_000)
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([1.0, 2.0], [1.0], "shapes"),
        ([[1.0]], [[1.0]], "shapes"),
        ([], [], "no queries"),
        ([1.0, float("nan")], [1.0, 1.0], "finite"),
        ([1.0, 1.0], [float("inf"), 1.0], "finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(first: list[float], second: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bootstrap_difference(first, second)
    with pytest.raises(ValueError, match=words):
        mcnemar(first, second)


@pytest.mark.parametrize("limits", [{"confidence": 1.0}, {"confidence": 0.0}, {"resamples": 0}])
def test_limits_that_mean_nothing_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        bootstrap_difference([1.0], [0.0], **limits)  # type: ignore[arg-type]


def discordant(only_first: int, only_second: int, both: int = 40, neither: int = 30) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([1, 0, 1, 0], [only_first, only_second, both, neither])
    second = np.repeat([0, 1, 1, 0], [only_first, only_second, both, neither])
    return first, second


@pytest.mark.parametrize(
    ("only_first", "only_second"), [(0, 0), (1, 0), (6, 0), (0, 6), (8, 2), (12, 12), (17, 7), (24, 0)]
)
def test_few_discordant_queries_have_the_exact_binomial_p_value(only_first: int, only_second: int) -> None:
    from scipy.stats import binomtest

    found = mcnemar(*discordant(only_first, only_second))
    assert found.is_exact
    assert (found.only_first, found.only_second) == (only_first, only_second)
    both = only_first + only_second
    assert found.p_value == pytest.approx(binomtest(only_first, both).pvalue if both else 1.0, rel=1e-12)


@pytest.mark.parametrize(("only_first", "only_second"), [(25, 0), (13, 12), (59, 6), (101, 121), (400, 300)])
def test_from_25_discordant_queries_on_it_is_chi_squared(only_first: int, only_second: int) -> None:
    from scipy.stats import chi2

    found = mcnemar(*discordant(only_first, only_second))
    assert not found.is_exact
    statistic = (abs(only_first - only_second) - 1) ** 2 / (only_first + only_second)
    assert found.p_value == pytest.approx(chi2.sf(statistic, 1), rel=1e-9)


def test_mcnemars_own_kind_of_table() -> None:
    """Agresti, Categorical Data Analysis, table 10.1, approval of a prime minister: 150 and 86 changed their minds."""
    found = mcnemar(*discordant(150, 86, both=794, neither=570))
    assert found.p_value == pytest.approx(4.115e-05, rel=1e-3)  # as R's mcnemar.test prints it


def test_mcnemar_alarms_as_seldom_as_it_says() -> None:
    generator = np.random.default_rng(9)
    alarms = sum(mcnemar(generator.random(400) < 0.9, generator.random(400) < 0.9).p_value <= 0.05 for _ in range(1000))
    assert alarms / 1000 <= 0.06  # conservative, as the continuity correction is


def test_mcnemar_takes_right_and_wrong_alone() -> None:
    with pytest.raises(ValueError, match="bootstrap"):
        mcnemar([0.5, 1.0], [1.0, 0.0])
