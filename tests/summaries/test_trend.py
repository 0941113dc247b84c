"""What is to be expected of a day is of its weekday, robust, and seldom alarms where nothing happened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pytest

from assets.summaries.trend import FEWEST, POISSON_SCALE, WEEKS, expected

MONDAY = date(2026, 1, 5)
Draw = Callable[[np.random.Generator, float], float]

QUIET: dict[str, tuple[Draw, float]] = {
    "many orders": (lambda draw, busy: draw.poisson(60 * busy), POISSON_SCALE),
    "few orders": (lambda draw, busy: draw.poisson(3 * busy), POISSON_SCALE),
    "revenue of many": (lambda draw, busy: draw.gamma(0.8, 50, size=draw.poisson(60 * busy)).sum(), 0.0),
    "revenue of few": (lambda draw, busy: draw.gamma(0.8, 50, size=draw.poisson(8 * busy)).sum(), 0.0),
    "a share": (lambda draw, busy: draw.binomial(200, 0.1) / 200, 0.5 / 200**0.5),
    "a rating": (
        lambda draw, busy: draw.choice([1, 2, 3, 4, 5], 5, p=[0.1, 0.05, 0.1, 0.2, 0.55]).mean(),
        0.5 / 5**0.5,
    ),
}


def series_of(draw: np.random.Generator, made: Draw, days: int) -> dict[date, float]:
    """Days of a shop whose weekdays differ up to several times."""
    busy = np.exp(draw.normal(0.0, 0.5, 7))
    return {MONDAY + timedelta(days=day): float(made(draw, busy[day % 7])) for day in range(days)}


def judged(kind: str, factor: float = 1.0) -> dict[str | None, float]:
    """Shares of the days of 40 quiet months that lie above, below and within their band, each day times a factor."""
    made, least_scale = QUIET[kind]
    found: list[str | None] = []
    for seed in range(40):
        series = series_of(np.random.default_rng([seed, len(kind)]), made, 7 * WEEKS + 30)
        for day in list(series)[7 * WEEKS :]:
            usual = expected(series, day, least_scale)
            assert usual is not None
            assert usual.band is not None
            low, high = usual.band
            value = factor * series[day]
            found.append("low" if value < low else "high" if value > high else None)
    return {each: found.count(each) / len(found) for each in ("low", "high", None)}


@pytest.mark.parametrize("kind", QUIET)
def test_quiet_days_are_seldom_outside_their_band(kind: str) -> None:
    assert judged(kind)[None] >= 0.985


def test_what_is_planted_is_outside_it() -> None:
    assert judged("many orders", 3.0)["high"] > 0.99
    assert judged("many orders", 0.2)["low"] > 0.99
    assert judged("revenue of many", 3.0)["high"] > 0.93
    assert judged("revenue of many", 0.1)["low"] > 0.93


def growing(rate: float) -> dict[date, float]:
    """Days of a shop that grows by a share each week, some weekdays twice as busy as others."""
    return {
        MONDAY + timedelta(days=day): (1 + day % 7 % 2) * 100.0 * (1 + rate) ** (day / 7)
        for day in range(7 * WEEKS + 1)
    }


@pytest.mark.parametrize("rate", [-0.05, 0.0, 0.03, 0.1])
def test_of_a_shop_that_grows_more_is_expected_than_it_had(rate: float) -> None:
    series = growing(rate)
    day = max(series)
    usual = expected(series, day)
    assert usual is not None
    assert usual.value == pytest.approx(series[day], rel=0.03)
    spoilt = {
        **series,
        day - timedelta(days=3): 9_000.0,
        day - timedelta(weeks=1): 0.0,
        day - timedelta(days=20): 7_000.0,
    }
    again = expected(spoilt, day)
    assert again is not None
    assert again.value == pytest.approx(series[day], rel=0.12), "and days that were unusual move it little"


def test_the_expected_is_the_median_of_the_weekday() -> None:
    series = {MONDAY + timedelta(days=day): 100.0 + 50.0 * (day % 7 == 5) for day in range(7 * WEEKS + 7)}
    saturday = MONDAY + timedelta(days=7 * WEEKS + 5)
    usual = expected(series, saturday)
    assert usual is not None
    assert usual.value == pytest.approx(150.0)
    assert usual.band is not None
    assert usual.band[0] > 100.0, "what is usual on other days is not on this one"
    spoilt = {**series, saturday - timedelta(weeks=1): 5_000.0, saturday - timedelta(weeks=2): 0.0}
    again = expected(spoilt, saturday)
    assert again is not None
    assert again.value == pytest.approx(150.0), "days that were unusual themselves change nothing"


def test_nothing_of_the_day_itself_or_after_it_is_looked_at() -> None:
    series = series_of(np.random.default_rng(1), QUIET["many orders"][0], 7 * WEEKS + 14)
    day = MONDAY + timedelta(weeks=WEEKS)
    before = {then: value for then, value in series.items() if then < day}
    assert expected(series, day) == expected(before, day)


def test_a_short_series_expects_nothing() -> None:
    series = {MONDAY + timedelta(days=day): 10.0 for day in range(7 * FEWEST)}
    assert expected(series, MONDAY + timedelta(weeks=FEWEST - 1)) is None
    usual = expected(series, MONDAY + timedelta(weeks=FEWEST))
    assert usual is not None
    assert usual.value == pytest.approx(10.0)


def test_a_series_that_hardly_moves_has_a_band_all_the_same() -> None:
    series = {MONDAY + timedelta(days=day): 1000.0 for day in range(7 * WEEKS)}
    usual = expected(series, MONDAY + timedelta(weeks=WEEKS))
    assert usual is not None
    assert usual.band is not None
    assert usual.band[0] < 900 < 1100 < usual.band[1]


def test_of_a_weekday_on_which_the_shop_is_closed_nothing_is_expected() -> None:
    series = {MONDAY + timedelta(days=day): 0.0 if day % 7 == 5 else 40.0 for day in range(7 * WEEKS)}
    usual = expected(series, MONDAY + timedelta(days=7 * WEEKS + 5), POISSON_SCALE)
    assert usual is not None
    assert usual.value == 0.0
    assert usual.band is not None
    assert usual.band[0] == 0.0
    assert usual.band[1] < 10.0


def test_where_there_never_was_anything_money_has_no_band() -> None:
    series = {MONDAY + timedelta(days=day): 0.0 for day in range(7 * WEEKS)}
    usual = expected(series, MONDAY + timedelta(weeks=WEEKS))
    assert usual is not None
    assert usual.band is None
