"""Every rule of promotion, with the values at its edges."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from assets.promotion.rules import Decision, decide, decide_first

QUERIES = 400
START = datetime(2026, 3, 1, tzinfo=UTC)
generator = np.random.default_rng(11)
NOISE = generator.normal(0, 0.05, QUERIES)
BASE = generator.random(QUERIES)


def ahead(by: float, of: np.ndarray = BASE) -> np.ndarray:
    """Figures that are better than others by so much on average, to within 0.005 at 95 %."""
    return of + by + NOISE - NOISE.mean()


def first(challenger: Any, baseline: Any = BASE, **more: Any) -> Decision:
    return decide_first(challenger, baseline, **{"min_sample": 100, **more})


def later(challenger: Any, champion: Any = BASE, baseline: Any = BASE - 0.5, **more: Any) -> Decision:
    given: dict[str, Any] = {
        "window_start": START,
        "challenger_trained_to": START,
        "champion_trained_to": START - timedelta(days=30),
        "is_drifted": False,
        "margin": 0.02,
        "min_sample": 100,
    }
    return decide(challenger, champion, baseline, **{**given, **more})


def outcome(decision: Decision) -> tuple[bool, str]:
    return decision.promote, decision.code


# ---- The first champion


def test_the_first_champion_beats_the_baseline() -> None:
    decision = first(ahead(0.02))
    assert outcome(decision) == (True, "first_champion")
    assert decision.figures["over_baseline"] == pytest.approx(0.02)
    assert 0 < decision.figures["over_baseline_low"] < 0.02 < decision.figures["over_baseline_high"]  # type: ignore[operator]
    assert decision.figures["queries"] == QUERIES


@pytest.mark.parametrize("by", [0.0, 0.003, -0.02])
def test_the_first_champion_does_not_come_by_chance(by: float) -> None:
    assert outcome(first(ahead(by))) == (False, "baseline_not_beaten")


def test_the_baseline_itself_does_not_beat_the_baseline() -> None:
    assert outcome(first(BASE)) == (False, "baseline_not_beaten")


@pytest.mark.parametrize(("needed", "code"), [(QUERIES, "first_champion"), (QUERIES + 1, "not_enough_evidence")])
def test_the_first_champion_needs_the_least_sample(needed: int, code: str) -> None:
    decision = first(ahead(0.1), min_sample=needed)
    assert decision.code == code
    assert decision.promote is (code == "first_champion")


def test_no_queries_are_not_enough() -> None:
    decision = first([], [], min_sample=1)
    assert outcome(decision) == (False, "not_enough_evidence")
    assert decision.figures["challenger"] is None


def test_the_first_champion_is_not_judged_on_what_it_was_trained_on() -> None:
    late = START + timedelta(seconds=1)
    decision = first(ahead(0.1), window_start=START, challenger_trained_to=late)
    assert outcome(decision) == (False, "window_overlaps_training")
    assert START.isoformat() in decision.reason
    assert late.isoformat() in decision.reason
    assert first(ahead(0.1), window_start=START, challenger_trained_to=START).promote


# ---- The next


def test_a_better_challenger_is_promoted() -> None:
    decision = later(ahead(0.02))
    assert outcome(decision) == (True, "better")
    assert decision.figures["over_champion"] == pytest.approx(0.02)
    assert decision.figures["over_champion_low"] > 0  # type: ignore[operator]


@pytest.mark.parametrize(
    ("by", "code"), [(0.003, "not_better"), (0.0, "not_better"), (-0.003, "not_better"), (-0.02, "worse")]
)
def test_one_that_is_not_better_is_not(by: float, code: str) -> None:
    assert outcome(later(ahead(by))) == (False, code)


def test_the_same_figures_are_not_better() -> None:
    assert outcome(later(BASE)) == (False, "not_better")
    assert outcome(later(BASE, is_drifted=True, margin=0.0)) == (False, "not_better")


def test_a_margin_is_for_drift_alone() -> None:
    assert outcome(later(ahead(-0.003), margin=0.5)) == (False, "not_better")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (0.02, (True, "better")),
        (0.0, (True, "not_worse_after_drift")),
        (-0.013, (True, "not_worse_after_drift")),  # worse beyond chance, but by less than the margin
        (-0.0199, (False, "worse")),  # the mean is within the margin, its lower bound is not
        (-0.03, (False, "worse")),
    ],
)
def test_after_drift_not_being_worse_is_enough(by: float, expected: tuple[bool, str]) -> None:
    assert outcome(later(ahead(by), is_drifted=True)) == expected


def test_after_drift_noise_is_no_promotion() -> None:
    """Where the interval is wider than the margin, nothing was shown."""
    noisy = BASE + generator.normal(0, 1.0, QUERIES)
    assert later(noisy, is_drifted=True).code in {"not_better", "worse"}


@pytest.mark.parametrize("is_drifted", [False, True])
def test_the_baseline_must_be_beaten_always(is_drifted: bool) -> None:
    decision = later(ahead(0.1), champion=BASE, baseline=ahead(0.1), is_drifted=is_drifted)
    assert outcome(decision) == (False, "baseline_not_beaten")
    assert decision.figures["over_champion_low"] > 0  # type: ignore[operator]


def test_a_decision_needs_the_least_sample() -> None:
    assert outcome(later(ahead(0.1), min_sample=QUERIES)) == (True, "better")
    decision = later(ahead(0.1), min_sample=QUERIES + 1, is_drifted=True)
    assert outcome(decision) == (False, "not_enough_evidence")
    assert "400" in decision.reason and "401" in decision.reason


@pytest.mark.parametrize("who", ["challenger", "champion"])
def test_neither_was_trained_on_the_window(who: str) -> None:
    late = START + timedelta(microseconds=1)
    decision = later(ahead(0.1), **{f"{who}_trained_to": late})
    assert outcome(decision) == (False, "window_overlaps_training")
    assert START.isoformat() in decision.reason and late.isoformat() in decision.reason
    assert who in decision.reason
    assert outcome(later(ahead(0.1), **{f"{who}_trained_to": START})) == (True, "better")


def test_instants_are_compared_and_not_their_digits() -> None:
    east = timezone(timedelta(hours=5))
    same = START.astimezone(east)
    assert later(ahead(0.1), window_start=same).promote
    assert later(ahead(0.1), window_start=START.replace(tzinfo=east)).code == "window_overlaps_training"


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="window_start"):
        later(ahead(0.1), window_start=datetime(2026, 3, 1))
    with pytest.raises(ValueError, match="champion"):
        later(ahead(0.1), champion_trained_to=datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("who", "value", "is_drifted"),
    list(itertools.product(("challenger", "champion", "baseline"), (np.nan, np.inf, -np.inf), (False, True))),
)
def test_what_is_no_number_refuses(who: str, value: float, is_drifted: bool) -> None:
    arrays = {"challenger": ahead(0.1), "champion": BASE.copy(), "baseline": BASE - 0.5}
    arrays[who][7] = value
    decision = later(**arrays, is_drifted=is_drifted)
    assert outcome(decision) == (False, "not_a_number")
    assert f"1 of {who}" in decision.reason
    assert decision.figures[who] is None
    if who != "champion":
        assert outcome(first(arrays["challenger"], arrays["baseline"])) == (False, "not_a_number")


def test_a_champion_does_not_follow_itself() -> None:
    assert outcome(later(ahead(0.1), challenger_version=3, champion_version=3)) == (False, "same_version")
    assert outcome(later(ahead(0.1), challenger_version=4, champion_version=3)) == (True, "better")


def test_what_is_not_paired_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="shapes"):
        later(ahead(0.1)[:-1])
    with pytest.raises(ValueError, match="baseline"):
        first(ahead(0.1), BASE[:-1])


@pytest.mark.parametrize("limits", [{"margin": -0.1}, {"margin": float("nan")}, {"min_sample": 0}])
def test_limits_that_mean_nothing_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        later(ahead(0.1), **limits)


def test_figures_are_json_and_say_what_was_compared() -> None:
    broken = ahead(0.1)
    broken[0] = np.nan
    for decision in (later(ahead(0.1)), later(broken), first([], [], min_sample=5), first(ahead(0.1))):
        json.dumps(decision.figures, allow_nan=False)
        assert decision.reason
    figures = later(ahead(0.02), is_drifted=True).figures
    assert figures["window_start"] == START.isoformat()
    assert figures["margin"] == 0.02
    assert figures["challenger"] == pytest.approx(float(BASE.mean()) + 0.02)


def test_a_shuffled_challenger_is_refused_and_a_better_one_found() -> None:
    """Over 60 windows: one without merit against the champion is promoted seldom, one of merit mostly."""
    draw = np.random.default_rng(12)
    without = of_merit = 0
    for number in range(60):
        hits = (draw.random((4, 1500)) < [[0.30], [0.30], [0.36], [0.1]]).astype(float)
        without += later(hits[1], hits[0], hits[3], seed=number, resamples=500).promote
        of_merit += later(hits[2], hits[0], hits[3], seed=number, resamples=500).promote
    assert without <= 5  # 2.5 % by chance: 1.5 of 60
    assert of_merit >= 50
