"""What was to be expected of a day by the weeks before it, and within which band, robustly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
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

    Expected is the median of the same weekdays. The scale of the band is the median absolute deviation of the roots of
    all days from the median of their own weekday: roots vary alike on busy and quiet days, and up as down; and that of
    eight days alone varies so much by chance that every twentieth quiet day would lie outside its band.

    Args:
        series: no value below zero; days without a value are left out. What is of the day itself or after it is not
            looked at.
        least_scale: the scale of roots is at least this: `POISSON_SCALE` of what counts things.
    """
    first = day - timedelta(weeks=WEEKS)
    weekdays: dict[int, list[float]] = {}
    for then, value in series.items():
        if first <= then < day:
            weekdays.setdefault(then.weekday(), []).append(value)
    same = weekdays.get(day.weekday(), [])
    if len(same) < FEWEST:
        return None
    deviations = []
    for values in weekdays.values():
        roots = [math.sqrt(value) for value in values]
        middle, number = median(roots), len(roots)
        # A weekday on which the shop is closed says nothing of how the others vary.
        if number >= FEWEST and middle > 0:
            # The median of few days is near to them by construction, and itself uncertain: pi / 2n of their variance.
            wider = math.sqrt(number / (number - 1) * (1 + math.pi / (2 * number)))
            deviations += [wider * abs(root - middle) for root in roots]
    value = median(same)
    root = math.sqrt(value)
    scale = max(CONSISTENCY * median(deviations) if deviations else 0.0, FLOOR * root, least_scale)
    if scale == 0.0:
        return Expected(value, None)
    return Expected(value, (max(0.0, root - WIDTH * scale) ** 2, (root + WIDTH * scale) ** 2))
