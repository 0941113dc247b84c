"""What was to be expected of a day by the weeks before it, and within which band, robustly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from statistics import median

WEEKS = 8
"""So many weeks before a day say what was to be expected of it."""
FEWEST = 4
"""With fewer days of the same weekday nothing is expected."""
WIDTH = 3.5
"""Half of the band in scales: Iglewicz and Hoaglin (1993), How to Detect and Handle Outliers."""
CONSISTENCY = 1.4826
"""Makes the median absolute deviation the standard deviation of a normal distribution: Rousseeuw and Croux (1993)."""
POISSON_SCALE = 0.5
"""The standard deviation of the root of a Poisson number, whatever its mean: Bartlett (1936)."""
FLOOR = 0.025
"""The scale is at least this share of the root of what is expected, about 5 % of the value: series that hardly move
would alarm at every step."""


@dataclass(frozen=True)
class Expected:
    """What was to be expected of a day, in the unit of the series.

    Attributes:
        band: its lower and upper end; None where the days before say nothing of one.
    """

    value: float
    band: tuple[float, float] | None


def expected(series: Mapping[date, float], day: date, least_scale: float = 0.0) -> Expected | None:
    """What the weeks before a day let expect of it; None with fewer than `FEWEST` days of its weekday.

    Expected is the median of the same weekdays, moved on along the slope of the weeks: a shop that grows would else lie
    above it on most days. All is of roots, which vary alike on busy and quiet days, and up as down. The slope is the
    median of those between any two weeks (Sen 1968, Estimates of the Regression Coefficient Based on Kendall's Tau),
    whose levels are the medians of their days, each less the median of its weekday. The scale of the band is the median
    absolute deviation of all days from what was so to be expected of them: that of eight days alone varies so much by
    chance that every twentieth quiet day would lie outside its band.

    Args:
        series: no value below zero; days without a value are left out. What is of the day itself or after it is not
            looked at.
        least_scale: the scale of roots is at least this: `POISSON_SCALE` of what counts things.
    """
    roots = {
        back: math.sqrt(value)
        for back in range(1, 7 * WEEKS + 1)
        if (value := series.get(day - timedelta(days=back))) is not None
    }
    weekdays: dict[int, list[int]] = {}
    for back in roots:
        weekdays.setdefault(back % 7, []).append(back)
    same = weekdays.get(0, [])
    if len(same) < FEWEST:
        return None
    middles = {weekday: median(roots[back] for back in days) for weekday, days in weekdays.items()}
    # A weekday on which the shop is closed says nothing of how the others vary.
    open_days = [back for back in roots if middles[back % 7] > 0 and len(weekdays[back % 7]) >= FEWEST]
    slope = _slope([(back, roots[back] - middles[back % 7]) for back in open_days])
    deviations = []
    for back in open_days:
        days = weekdays[back % 7]
        # The median of few days is near to them by construction, and itself uncertain: pi / 2n of their variance.
        wider = math.sqrt(len(days) / (len(days) - 1) * (1 + math.pi / (2 * len(days))))
        moved = middles[back % 7] + slope * (median(days) - back)
        deviations.append(wider * abs(roots[back] - moved))
    root = middles[0]
    if root > 0:
        root = max(0.0, root + slope * median(same))
    scale = max(CONSISTENCY * median(deviations) if deviations else 0.0, FLOOR * root, least_scale)
    if scale == 0.0:
        return Expected(root**2, None)
    return Expected(root**2, (max(0.0, root - WIDTH * scale) ** 2, (root + WIDTH * scale) ** 2))


def _slope(levels: Sequence[tuple[int, float]]) -> float:
    """How much a level rises a day, robustly.

    Args:
        levels: so many days back -> the level.
    """
    weeks: dict[int, list[float]] = {}
    for back, level in levels:
        weeks.setdefault((back - 1) // 7, []).append(level)
    held = [(week, median(found)) for week, found in weeks.items()]
    slopes = [(one - other) / (7 * (back - week)) for (week, one), (back, other) in combinations(held, 2)]
    return median(slopes) if slopes else 0.0
