"""When two samples differ, and when they only seem to: sizes, clusters, weekdays, many categories, odd columns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assets.monitoring.statistics import (
    MISSING,
    Bins,
    Feature,
    Finding,
    Floats,
    Ints,
    Profile,
    Rules,
    Sample,
    Units,
    bins_of,
    compare,
    compare_volume,
    contrast,
    holm,
    judge,
    profiles,
    trailing,
    verdict,
)

RULES = Rules()
NUMBERS = Feature("numbers", "input", "numeric", "numbers")
NAMES = Feature("names", "input", "category", "names")
VISITS = Feature("visits", "input", "volume", "visits")
WEEKS = 8


def sample(values: Floats | Ints, days: int, actors: Ints | None = None, first: int = 0) -> Sample:
    """Values spread over days; without actors each is of an actor of its own."""
    who = np.arange(len(values)) if actors is None else actors
    return Sample(Units(who, first + np.arange(len(values)) * days // max(1, len(values))), values)


def judged(feature: Feature, before: Sample, after: Sample, rules: Rules = RULES) -> Finding:
    return judge([compare(feature, before, after, rules)], rules)[0]


def rate(make: object, feature: Feature, times: int = 60) -> float:
    """The share of quiet pairs of samples that drift."""
    found = [judged(feature, *make(np.random.default_rng(seed))) for seed in range(times)]  # type: ignore[operator]
    assert sum(finding.is_enough for finding in found) >= 0.5 * times
    return sum(finding.is_drifted for finding in found) / times


@pytest.mark.parametrize(("reference", "current"), [(1_000, 300), (3_000, 400), (40_000, 5_000)])
def test_numbers_without_drift_do_not_alarm_at_any_size(reference: int, current: int) -> None:
    def quiet(draw: np.random.Generator) -> tuple[Sample, Sample]:
        return sample(draw.lognormal(size=reference), 56), sample(draw.lognormal(size=current), 7)

    assert rate(quiet, NUMBERS, 40) <= 0.05


def test_a_shifted_number_is_told_with_the_sizes_and_the_bin_that_moved() -> None:
    draw = np.random.default_rng(0)
    found = judged(NUMBERS, sample(draw.normal(size=5_000), 56), sample(draw.normal(0.6, size=1_000), 7))
    assert found.is_drifted and found.effect > found.threshold >= RULES.psi
    assert (found.n_reference, found.n_current) == (5_000, 1_000)
    assert found.reason.startswith("drifted: ") and "%" in found.reason
    assert sum(found.reference) == pytest.approx(1) and len(found.labels) == len(found.current)


def test_a_shift_too_small_to_matter_is_no_drift_however_certain_it_is() -> None:
    draw = np.random.default_rng(0)
    found = judged(NUMBERS, sample(draw.normal(size=100_000), 56), sample(draw.normal(0.1, size=50_000), 7))
    assert found.p_value < 1e-9 and found.is_enough and not found.is_drifted
    assert "does not matter" in found.reason


@pytest.mark.parametrize("categories", [50, 1_000])
def test_many_categories_without_drift_do_not_alarm(categories: int) -> None:
    chance = 1.0 / np.arange(1, categories + 1)
    chance /= chance.sum()

    def quiet(draw: np.random.Generator) -> tuple[Sample, Sample]:
        made = [draw.choice(categories, size, p=chance) for size in (4_000, 600)]
        return sample(made[0], 56), sample(made[1], 7)

    assert rate(quiet, NAMES) <= 0.05


def test_a_category_that_takes_over_is_drift_even_if_it_was_not_there() -> None:
    draw = np.random.default_rng(0)
    before, after = draw.integers(0, 300, 4_000), draw.integers(0, 300, 800)
    after[:200] = 999
    found = judged(NAMES, sample(before, 56), sample(after, 7))
    assert found.is_drifted


def bursts(draw: np.random.Generator, actors: int, days: int, pool: int, likes: Ints) -> Sample:
    """Actors who come again, keep to what they like, and leave up to 500 rows on a day."""
    who = draw.integers(0, pool, actors)
    many = np.minimum(500, 1 + (draw.pareto(1.0, actors) * 3).astype(np.int64))
    day = draw.integers(0, days, actors)
    liked = np.where(draw.random(many.sum()) < 0.1, draw.integers(0, 12, many.sum()), np.repeat(likes[who], many))
    return Sample(Units(np.repeat(who, many), np.repeat(day, many)), liked.astype(np.int64))


def test_bursts_of_few_actors_are_no_evidence() -> None:
    def quiet(draw: np.random.Generator) -> tuple[Sample, Sample]:
        likes = draw.integers(0, 12, 2_000)
        return bursts(draw, 3_000, 56, 2_000, likes), bursts(draw, 600, 7, 2_000, likes)

    assert rate(quiet, NAMES) <= 0.05
    # The same rows, taken for independent, alarm nearly always.
    before, after = quiet(np.random.default_rng(1))
    mixed = np.random.default_rng(2)
    alone = [sample(mixed.permutation(each.values), days) for each, days in ((before, 56), (after, 7))]
    assert judged(NAMES, *alone).p_value < 1e-6


def test_actors_who_come_daily_count_less_than_as_many_who_come_once() -> None:
    draw = np.random.default_rng(3)
    likes = draw.integers(0, 5, 60)
    who = np.tile(np.arange(60), 56)
    loyal = Sample(Units(who, np.repeat(np.arange(56), 60)), likes[who])
    current = Sample(Units(who[:420], np.repeat(np.arange(7), 60)), likes[who[:420]])
    before, _ = profiles(loyal, current, bins_of(loyal, RULES))
    assert before.units == 3_360 and before.effective[:5].max() < 200


def test_days_that_differ_among_themselves_are_no_evidence_of_drift() -> None:
    """A price cut moves all of a day: seven days are seven, not thousands."""

    def quiet(draw: np.random.Generator) -> tuple[Sample, Sample]:
        made = []
        for days in (56, 7):
            pull = draw.normal(0.0, 0.8, days)
            day = np.repeat(np.arange(days), 200)
            values = draw.normal(pull[day])
            made.append(Sample(Units(np.arange(len(day)), day), values))
        return made[0], made[1]

    found = [judged(NUMBERS, *quiet(np.random.default_rng(seed))) for seed in range(30)]
    assert sum(finding.is_drifted for finding in found) <= 3  # 1.5 are expected at a level of 5 %
    assert all(finding.effective_current < 400 for finding in found)


def weekly(draw: np.random.Generator, days: list[int], strength: float) -> Sample:
    day = np.repeat(np.array(days), 200)
    return Sample(Units(np.arange(len(day)), day), draw.normal(np.where((day + 3) % 7 >= 5, strength, 0.0)))


def test_weekdays_are_compared_with_the_same_weekdays() -> None:
    def weekend_after_weeks(draw: np.random.Generator) -> tuple[Sample, Sample]:
        return weekly(draw, list(range(56)), 1.5), weekly(draw, [58, 59], 1.5)  # a Saturday and a Sunday

    assert (58 + 3) % 7 == 5
    assert rate(weekend_after_weeks, NUMBERS, 30) <= 0.05
    draw = np.random.default_rng(0)
    assert judged(NUMBERS, weekly(draw, list(range(56)), 1.5), weekly(draw, [58, 59], 2.5)).is_drifted


def test_a_weekday_that_the_reference_lacks_is_not_compared() -> None:
    draw = np.random.default_rng(0)
    weekdays = [day for day in range(56) if (day + 3) % 7 < 5]
    found = judged(NUMBERS, weekly(draw, weekdays, 9.0), weekly(draw, list(range(56, 63)), 9.0))
    assert not found.is_drifted and found.n_current == 1_000


# Too little


def test_too_few_actor_days_are_not_called_quiet() -> None:
    found = judged(NUMBERS, sample(np.arange(5_000.0), 56), sample(np.arange(40.0), 7))
    assert not found.is_enough and not found.is_drifted
    assert found.reason == "not enough data: 40 actor-days in the current window, 100 needed"


def test_rows_of_one_actor_are_too_few() -> None:
    one = np.zeros(50_000, np.int64)
    found = judged(NUMBERS, sample(np.arange(50_000.0), 56, one), sample(np.arange(50_000.0), 7, one))
    assert not found.is_enough and "7 actor-days" in found.reason


def test_a_test_that_could_not_tell_a_large_shift_is_not_made() -> None:
    draw = np.random.default_rng(0)
    rules = Rules(min_units=10)
    found = judged(NUMBERS, sample(draw.normal(size=200), 56), sample(draw.normal(size=60), 7), rules)
    assert not found.is_enough and "more than a large shift" in found.reason


def test_nothing_at_all_is_not_enough() -> None:
    nothing = sample(np.zeros(0), 7)
    found = judged(NUMBERS, sample(np.arange(500.0), 56), nothing)
    assert found.reason == "not enough data: none in the current window"
    assert judged(NUMBERS, nothing, sample(np.arange(500.0), 7)).reason == "not enough data: none in the reference"


# Odd columns


def test_a_constant_stays_quiet_and_another_constant_is_drift() -> None:
    ones, twos = np.ones(2_000), np.full(500, 2.0)
    assert not judged(NUMBERS, sample(ones, 56), sample(np.ones(500), 7)).is_drifted
    assert judged(NUMBERS, sample(ones, 56), sample(twos, 7)).is_drifted


def test_a_column_that_is_always_missing_is_quiet_and_one_that_begins_to_be_is_drift() -> None:
    gone = np.full(2_000, np.nan)
    assert not judged(NUMBERS, sample(gone, 56), sample(gone[:500], 7)).is_drifted
    draw = np.random.default_rng(0)
    half = draw.normal(size=800)
    half[::2] = np.nan
    found = judged(NUMBERS, sample(draw.normal(size=4_000), 56), sample(half, 7))
    assert found.is_drifted and found.reason.endswith("0.0% to 50.0%")
    assert judged(NUMBERS, sample(gone, 56), sample(draw.normal(size=500), 7)).is_drifted


def test_missing_categories_are_a_category() -> None:
    known = np.arange(3_000) % 4
    half = np.arange(600) % 4
    half[::2] = MISSING
    assert judged(NAMES, sample(known, 56), sample(half, 7)).is_drifted


@pytest.mark.parametrize("values", [[np.inf, -np.inf, 1.0, 2.0], [0.0, 0.0, 0.0, 1e300]])
def test_endless_and_huge_numbers_do_not_break_it(values: list[float]) -> None:
    draw = np.random.default_rng(0)
    odd = draw.choice(np.array(values), 2_000)
    found = judged(NUMBERS, sample(odd, 56), sample(draw.choice(np.array(values), 400), 7))
    assert found.is_enough and not found.is_drifted and math.isfinite(found.effect)


def test_bins_hold_every_value_once() -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=1_000)
    bins = bins_of(sample(values, 7), RULES)
    assert bins.size == 11
    shares = np.bincount(bins.code(values), minlength=bins.size)
    assert shares.sum() == 1_000 and shares[-1] == 0 and shares[:-1].min() >= 80
    assert list(bins.code(np.array([-99.0, 99.0, np.nan]))) == [0, 9, 10]
    few = Bins(values=(3.0, 1.0))
    assert list(few.code(np.array([1.0, 3.0, 2.0, np.nan]))) == [1, 0, 2, 3]
    assert few.labels() == ["3", "1", "other", "missing"]


def test_a_profile_survives_being_stored() -> None:
    import json

    profile = Profile(Bins(values=(5, -7)), np.array([0.5, 0.25, 0.25, 0.0]), 900, np.full(4, 900.0))
    again = Profile.from_json(json.loads(json.dumps(profile.as_json())))
    finding = judge([contrast(NAMES, profile, again, RULES)], RULES)[0]
    assert finding.is_enough and finding.effect == 0.0 and again.bins == profile.bins


# Looking back


def test_trailing_counts_the_days_before_and_not_the_day_itself() -> None:
    key = np.array([1, 1, 1, 2, 1])
    day = np.array([0, 0, 3, 3, 9])
    value = np.array([2.0, 4.0, np.nan, 1.0, 5.0])
    count, mean = trailing(key, day, value, 5)
    assert list(count) == [0, 0, 2, 0, 0]
    assert mean[2] == 3.0 and np.isnan(mean[[0, 1, 3, 4]]).all()
    assert list(trailing(key, day, np.ones(5), 6)[0]) == [0, 0, 2, 0, 1]


# Volume


def visits(draw: np.random.Generator, first: int, days: int, factor: float = 1.0) -> dict[int, int]:
    weekday = np.array([1.0, 1.1, 1.0, 1.2, 1.5, 0.4, 0.1])
    return {day: int(draw.poisson(200 * weekday[day % 7] * factor)) for day in range(first, first + days)}


def test_volume_knows_weekdays_and_tells_growth() -> None:
    quiet = 0
    for seed in range(30):
        draw = np.random.default_rng(seed)
        finding = compare_volume(VISITS, visits(draw, 0, 56), visits(draw, 56, 7), RULES)
        quiet += judge([finding], RULES)[0].is_drifted
    assert quiet == 0
    draw = np.random.default_rng(0)
    for factor in (1.8, 0.5):
        found = judge([compare_volume(VISITS, visits(draw, 0, 56), visits(draw, 56, 7, factor), RULES)], RULES)[0]
        assert found.is_drifted and "a day" in found.reason
    small = judge([compare_volume(VISITS, visits(draw, 0, 56), visits(draw, 56, 7, 1.2), RULES)], RULES)[0]
    assert small.is_enough and not small.is_drifted


def test_an_outage_is_a_change_of_volume_and_two_weeks_are_too_few() -> None:
    draw = np.random.default_rng(0)
    none = dict.fromkeys(range(56, 63), 0)
    assert judge([compare_volume(VISITS, visits(draw, 0, 56), none, RULES)], RULES)[0].is_drifted
    found = judge([compare_volume(VISITS, visits(draw, 0, 14), visits(draw, 14, 7), RULES)], RULES)[0]
    assert not found.is_enough and "2 weeks" in found.reason
    closed = dict.fromkeys(range(56), 0)
    assert not judge([compare_volume(VISITS, closed, visits(draw, 56, 7), RULES)], RULES)[0].is_enough


# Several features


def test_holm_is_stepwise_and_stops_at_the_first_that_is_not_rejected() -> None:
    levels = holm([0.001, 0.02, 0.02, 0.9], 0.04)
    assert levels == pytest.approx([0.01, 0.04 / 3, 0.04 / 3, 0.04 / 3])
    assert holm([], 0.05) == []


def test_more_features_ask_for_more_evidence() -> None:
    draw = np.random.default_rng(5)
    shifted = compare(NUMBERS, sample(draw.normal(size=2_000), 56), sample(draw.normal(0.3, size=250), 7), RULES)
    quiet = compare(NUMBERS, sample(draw.normal(size=2_000), 56), sample(draw.normal(size=250), 7), RULES)
    alone, among = judge([shifted], RULES)[0], judge([shifted, *[quiet] * 40], RULES)[0]
    assert among.threshold > alone.threshold or not among.is_enough


def test_a_window_without_enough_features_says_so() -> None:
    few = [Finding(NUMBERS, reason="not enough data")] * 3
    draw = np.random.default_rng(0)
    quiet = compare(NUMBERS, sample(draw.normal(size=2_000), 56), sample(draw.normal(size=1_000), 7), RULES)
    said = verdict([*few, quiet], RULES)
    assert (said.is_drifted, said.is_enough) == (False, False)
    assert said.reason == "not enough data: 1 of 4 features could be judged"
    assert verdict([*few[:1], quiet], RULES).is_enough
    assert not verdict([], RULES).is_enough
