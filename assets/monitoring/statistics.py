"""Whether two samples differ: pure functions of arrays, with thresholds for the sizes and the number of questions.

The unit of evidence is the actor-day: every actor has one vote on a day, shared by that day's rows. Votes of one
actor, of one day and of one week still hang together, and by how much is measured, not assumed: the design effect of
each bin (Kish 1965) divides the number of votes, and every bound is taken at what is left. Shares of the reference are
weighted to the weekdays of the current window. A feature drifts where its effect is both large enough to matter and
larger than chance explains after Holm's correction for the number of features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MISSING = int(np.iinfo(np.int64).min)
"""The id of a category that is not known."""

SURGE = 0.05
"""A category with this share of the current window is told apart however rare it was: without drift it would be
frequent in the reference too."""

Kind = Literal["input", "prediction"]
Scale = Literal["numeric", "category", "volume"]


@dataclass(frozen=True)
class Rules:
    """What counts as drift. The defaults are those whose false alarms `benchmarks/drift.py` counts."""

    window_days: int = 7
    """Closed days in the current window: whole weeks, so that it holds each weekday."""
    reference_weeks: int = 8
    """At most so many weeks before the champion's cut-off are the reference."""
    lookback_days: int = 28
    """So far back somebody or something counts as seen before, and prices are compared with those of before."""
    step_days: int = 3
    """Two windows tell of drift where both do and so many days lie between their ends: fewer, and they are the same
    rows."""
    alpha: float = 0.05
    """Chance that a window without drift has any drifted feature, were size of effect not asked for as well."""
    psi: float = 0.1
    """Population stability index from which a shift of numbers matters: 'moderate' by the convention of credit
    scoring."""
    cramers_v: float = 0.1
    """Cramér's V from which a shift of categories matters: 'small' by Cohen's convention."""
    volume_ratio: float = 1.5
    """Factor, up or down, from which a change of volume matters."""
    psi_large: float = 0.25
    """A test that could not tell even a shift of this size ('large' by the same convention) from chance is not made:
    there is not enough data for it. Cramér's V has 4 V² in its place, which is about the same number."""
    volume_large: float = 3.0
    """The same for volume, as a factor."""
    min_units: int = 100
    """Below so many actor-days in either window no test is made."""
    min_weeks: int = 3
    """Below so many weeks of reference there is no telling how much volume moves by itself."""
    bins: int = 10
    top: int = 20
    """Categories told apart; the others are one."""
    clear_below: float = 0.8
    """Drift that has fired ends with a window whose worst effect is below this share of its threshold."""


# Units of evidence


class Units:
    """Rows of one window: who and when."""

    def __init__(self, actor: Ints, day: Ints) -> None:
        """
        Args:
            actor: [n] ids of actors.
            day: [n] days since 1970-01-01.
        """
        self.actor, self.day = np.asarray(actor, np.int64), np.asarray(day, np.int64)

    def __len__(self) -> int:
        return len(self.actor)

    def where(self, kept: NDArray[np.bool_]) -> Units:
        """These rows alone; each actor-day that is left has one vote again."""
        return Units(self.actor[kept], self.day[kept])

    @cached_property
    def actor_days(self) -> tuple[Ints, int]:
        """([n] number of the actor-day of each row, how many there are)."""
        if not len(self):
            return np.zeros(0, np.int64), 0
        order = np.lexsort((self.day, self.people))
        person, day = self.people[order], self.day[order]
        begins = np.r_[True, (person[1:] != person[:-1]) | (day[1:] != day[:-1])]
        index = np.empty(len(self), np.int64)
        index[order] = np.cumsum(begins) - 1
        return index, int(begins.sum())

    @cached_property
    def people(self) -> Ints:
        """[n] actors, numbered from 0."""
        return np.unique(self.actor, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def votes(self) -> Floats:
        """[n] the share of its actor-day's vote that each row has."""
        index, count = self.actor_days
        return 1.0 / np.bincount(index, minlength=count)[index]

    @property
    def count(self) -> int:
        """Actor-days."""
        return self.actor_days[1]

    @cached_property
    def weekday(self) -> Ints:
        """[n] 0 is Monday."""
        return (self.day + 3) % 7


@dataclass(frozen=True)
class Sample:
    """One feature in one window."""

    units: Units
    values: Floats | Ints
    """[n] numbers with NaN where there is none, or int64 ids of categories with `MISSING`."""


def trailing(key: Ints, day: Ints, value: Floats, lookback: int) -> tuple[Ints, Floats]:
    """What was there before: for each row, over the rows of the same key on the `lookback` days before its own day.

    Args:
        key, day, value: [n]; rows whose value is NaN are not counted.

    Returns:
        [n] how many such rows, [n] the mean of their values, NaN where there is none.
    """
    if not len(key):
        return np.zeros(0, np.int64), np.zeros(0)
    group = np.unique(key, return_inverse=True)[1].astype(np.int64)
    first = int(day.min())
    stride = int(day.max()) - first + lookback + 2
    place = group * stride + (day - first + lookback)
    known = ~np.isnan(value)
    order = np.argsort(place[known], kind="stable")
    ordered = place[known][order]
    sums = np.r_[0.0, np.cumsum(value[known][order])]
    low = np.searchsorted(ordered, place - lookback, side="left")
    high = np.searchsorted(ordered, place, side="left")
    count = high - low
    mean = np.full(len(key), np.nan)
    some = count > 0
    mean[some] = (sums[high[some]] - sums[low[some]]) / count[some]
    return count.astype(np.int64), mean


def pair(left: Ints, right: Ints) -> Ints:
    """[n] one id for each two."""
    mixed = left.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ right.astype(np.uint64)
    return (mixed * np.uint64(0xBF58476D1CE4E5B9)).view(np.int64)


# Bins


@dataclass(frozen=True)
class Bins:
    """How values become codes 0 .. size - 1. The last is what is missing; before it, without edges, any other value."""

    edges: tuple[float, ...] = ()
    """Of numbers in deciles: bin i holds edges[i - 1] <= value < edges[i]."""
    values: tuple[float, ...] = ()
    """Of numbers with few values, and ids of categories."""

    @property
    def size(self) -> int:
        return len(self.edges) + 2 if self.edges else len(self.values) + 2

    def code(self, values: Floats | Ints) -> Ints:
        if self.edges:
            codes = np.searchsorted(np.array(self.edges), values, side="right")
            return np.where(np.isnan(values), self.size - 1, codes).astype(np.int64)
        known = np.array(self.values, dtype=values.dtype)
        order = np.argsort(known)
        at = np.searchsorted(known[order], values)
        found = np.zeros(len(values), np.int64) if not len(known) else order[np.minimum(at, len(known) - 1)]
        hit = known[found] == values if len(known) else np.zeros(len(values), bool)
        missing = np.isnan(values) if values.dtype.kind == "f" else values == MISSING
        return np.where(missing, self.size - 1, np.where(hit, found, len(known))).astype(np.int64)

    def labels(self, names: Mapping[float, str] | None = None) -> list[str]:
        if self.edges:
            shown = [f"{edge:g}" for edge in self.edges]
            spans = [
                f"< {shown[0]}",
                *(f"{a} to {b}" for a, b in pairwise(shown)),
                f">= {shown[-1]}",
            ]
            return [*spans, "missing"]
        named = names or {}
        return [*(str(named.get(value, f"{value:g}" if isinstance(value, float) else value)) for value in self.values),
                "other", "missing"]  # fmt: skip


def bins_of(sample: Sample, rules: Rules) -> Bins:
    """Bins by the reference: the most frequent categories; numbers by value where there are few, else deciles."""
    values, votes = sample.values, sample.units.votes
    known = ~np.isnan(values) if values.dtype.kind == "f" else values != MISSING
    distinct, index = np.unique(values[known], return_inverse=True)
    weight = np.bincount(index, weights=votes[known], minlength=len(distinct))
    if values.dtype.kind != "f":
        most = np.argsort(-weight, kind="stable")[: rules.top]
        return Bins(values=tuple(int(value) for value in distinct[most]))
    if len(distinct) <= rules.bins:
        return Bins(values=tuple(float(value) for value in distinct))
    reached = np.cumsum(weight) / weight.sum()
    cuts = np.searchsorted(reached, np.arange(1, rules.bins) / rules.bins)
    # A cut at the smallest value would leave nothing below it.
    return Bins(edges=tuple(float(value) for value in np.unique(distinct[cuts]) if value > distinct[0]))


# Shares and how much they are worth


@dataclass(frozen=True)
class Profile:
    """Shares of the bins in one sample."""

    bins: Bins
    shares: Floats
    """[bins.size], adding up to 1."""
    units: int
    """Actor-days, or actors of predictions."""
    effective: Floats
    """[bins.size]: to how many independent votes they amount for each bin. A day's price cut moves one bin, not all."""
    covariance: Floats | None = None
    """[bins.size, bins.size] of the counts of a day, in any unit; None: as if votes were independent."""
    days: int = 0
    """Degrees of freedom of the covariance."""

    def as_json(self) -> dict[str, Any]:
        shares, effective = self.shares.tolist(), self.effective.tolist()
        return {"bins": asdict(self.bins), "shares": shares, "units": self.units, "effective": effective}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Profile:
        bins = Bins(tuple(content["bins"]["edges"]), tuple(content["bins"]["values"]))
        shares, effective = (np.array(content[name], np.float64) for name in ("shares", "effective"))
        return Profile(bins, shares, content["units"], effective)


def independent_profile(sample: Sample, bins: Bins) -> Profile:
    """The profile of votes that do not hang together, such as one list of predictions for each actor."""
    votes = sample.units.votes
    counts = np.bincount(bins.code(sample.values), weights=votes, minlength=bins.size)
    total = max(float(counts.sum()), 1e-12)
    return Profile(bins, counts / total, sample.units.count, np.full(bins.size, float(sample.units.count)))


def profiles(reference: Sample, current: Sample, bins: Bins) -> tuple[Profile, Profile]:
    """Both windows in the same bins, the reference weighted to the weekdays of the current one.

    A weekday that one of them lacks counts in neither.
    """
    sizes = []
    for sample in (reference, current):
        sizes.append(np.bincount(sample.units.weekday, weights=sample.units.votes, minlength=7))
    shared = (sizes[0] > 0) & (sizes[1] > 0)
    if not shared.any():
        empty = np.zeros(bins.size)
        return Profile(bins, empty, 0, empty), Profile(bins, empty, 0, empty)
    # The weights of the reference have a mean of 1 over what is used of it.
    target = sizes[1][shared] / sizes[1][shared].sum() * sizes[0][shared].sum()
    factor = np.zeros(7)
    factor[shared] = target / sizes[0][shared]
    table = [_Table(reference, bins, factor), _Table(current, bins, shared.astype(np.float64))]
    day, week = table[0].design_by("day"), table[0].design_by("week")
    made = []
    residual = table[0].residuals
    for item in table:
        effect = np.maximum(1.0, item.design_by_actor())
        # How much the rows of a day or week hang together is seen in the reference, which has many of them.
        for name, design in (("day", day), ("week", week)):
            within = _intraclass(design, table[0].per_block(name))
            effect = np.maximum(effect, 1.0 + (item.per_block(name) - 1.0) * within)
        made.append(Profile(bins, item.shares, item.units, item.total / effect))
    if residual is None:
        return made[0], made[1]
    return replace(made[0], covariance=residual.T @ residual, days=len(residual) - 7), made[1]


def _intraclass(design: Floats, size: float) -> Floats:
    """The intraclass correlation that a design effect over blocks of a mean size tells of."""
    return np.maximum(0.0, (design - 1.0) / (size - 1.0)) if size > 1.0 else np.zeros_like(design)


class _Table:
    """Weighted votes of one window by bin, and their variance by linearisation over clusters."""

    def __init__(self, sample: Sample, bins: Bins, factor: Floats) -> None:
        units = sample.units
        weight = units.votes * factor[units.weekday]
        kept = weight > 0
        self.day, self.weekday = units.day[kept], units.weekday[kept]
        self.person, self.weight = units.people[kept], weight[kept]
        self.code, self.size = bins.code(sample.values[kept]), bins.size
        self.total = float(self.weight.sum())
        self.units = units.count if kept.all() else len(np.unique(units.actor_days[0][kept]))
        self.shares = np.bincount(self.code, weights=self.weight, minlength=self.size) / self.total
        # The last day of each week is a weekday of the last day of the window, so that no week is cut but the first.
        self.days = np.unique(self.day)
        self.last = int(self.days[-1])

    def per_block(self, name: str) -> float:
        """Mean votes in a day or week."""
        return self.total / len(np.unique((self.last - self.days) // (7 if name == "week" else 1)))

    def design_by_actor(self) -> Floats:
        """[bins] how many times the variance of a share is that of independent votes, by differences between actors."""
        cell, index = np.unique(self.person * self.size + self.code, return_inverse=True)
        held = np.bincount(index, weights=self.weight)
        person, code = cell // self.size, cell % self.size
        size = np.bincount(self.person, weights=self.weight)
        actors = len(np.unique(person))
        if actors < 2:
            return np.full(self.size, self.total)
        squares = np.bincount(code, weights=held**2, minlength=self.size)
        products = np.bincount(code, weights=held * size[person], minlength=self.size)
        variance = squares - 2.0 * self.shares * products + self.shares**2 * float((size**2).sum())
        return self._design(variance * actors / (actors - 1))

    def design_by(self, name: Literal["day", "week"]) -> Floats:
        """The same by the differences between days, beyond those between weekdays, or between weeks."""
        residual = self.residuals
        if residual is None:
            return np.ones(self.size)
        if name == "day":
            return self._design((residual**2).sum(axis=0))
        week = (self.last - self.days) // 7
        weeks = np.zeros((int(week.max()) + 1, self.size))
        np.add.at(weeks, week, residual)
        return self._design((weeks**2).sum(axis=0))

    @cached_property
    def residuals(self) -> Floats | None:
        """[days, bins] what the counts of a day differ by from those of its weekday; None where a weekday stands
        alone."""
        where = np.searchsorted(self.days, self.day)
        cells = np.bincount(where * self.size + self.code, weights=self.weight, minlength=len(self.days) * self.size)
        counts = cells.reshape(len(self.days), self.size)
        weekday = (self.days + 3) % 7
        sizes = counts.sum(axis=1)
        residual: Floats = np.zeros(counts.shape)
        for each in np.unique(weekday):
            of = weekday == each
            count = int(of.sum())
            if count < 2:
                return None
            shares = counts[of].sum(axis=0) / sizes[of].sum()
            # n / (n - 1), for the shares come from the same days.
            residual[of] = (counts[of] - shares * sizes[of][:, None]) * math.sqrt(count / (count - 1))
        return residual

    def _design(self, variance: Floats) -> Floats:
        """The variance of the counts against the binomial one; 1 for bins that hold nothing, or all."""
        binomial = self.shares * (1.0 - self.shares) * self.total
        design: Floats = np.divide(variance, binomial, out=np.ones(self.size), where=binomial > 1e-9 * self.total)
        return design


# Comparisons


@dataclass(frozen=True)
class Feature:
    """What is compared."""

    name: str
    kind: Kind
    scale: Scale
    title: str
    """In words, for people."""


@dataclass(frozen=True)
class Finding:
    """What came of one feature in one window."""

    feature: Feature
    n_reference: int = 0
    n_current: int = 0
    effective_reference: float = 0.0
    effective_current: float = 0.0
    statistic: float = math.nan
    """Chi-square of the shares, or t of the volume."""
    degrees: float = 0.0
    dispersion: float = 1.0
    """The statistic without drift is so many times chi-square with these degrees of freedom."""
    noise: float = 0.0
    """1/n + 1/m of the effective sizes, as the mean over the bins that moved; or the standard error of a volume."""
    p_value: float = math.nan
    effect: float = math.nan
    """Population stability index of numbers, Cramér's V of categories, |log ratio| of volume."""
    threshold: float = math.nan
    """In units of the effect: what matters or what chance explains, whichever is more."""
    is_enough: bool = False
    is_drifted: bool = False
    reason: str = ""
    labels: tuple[str, ...] = ()
    reference: tuple[float, ...] = ()
    current: tuple[float, ...] = ()

    @property
    def severity(self) -> float:
        """Effect as a share of its threshold; 0 where it was not judged."""
        return self.effect / self.threshold if self.is_enough else 0.0


def compare(
    feature: Feature, reference: Sample, current: Sample, rules: Rules, names: Mapping[float, str] | None = None
) -> Finding:
    """One feature, not yet judged: `judge` does that for all features together.

    Args:
        names: names of the ids of categories.
    """
    if not len(reference.units) or not len(current.units):
        where = "reference" if not len(reference.units) else "current window"
        return Finding(
            feature, reference.units.count, current.units.count, reason=f"not enough data: none in the {where}"
        )
    bins = bins_of(reference, rules)
    if feature.scale == "category":
        bins = _with_surges(bins, current)
    before, after = profiles(reference, current, bins)
    return contrast(feature, before, after, rules, names)


def _with_surges(bins: Bins, current: Sample) -> Bins:
    """The bins, and the categories that are large in the current window."""
    ids, index = np.unique(current.values, return_inverse=True)
    share = np.bincount(index, weights=current.units.votes, minlength=len(ids)) / current.units.count
    large = {int(each) for each in ids[share >= SURGE]} - {int(each) for each in bins.values} - {MISSING}
    return Bins(values=(*bins.values, *sorted(large)))


def contrast(
    feature: Feature, before: Profile, after: Profile, rules: Rules, names: Mapping[float, str] | None = None
) -> Finding:
    """Two profiles in the same bins, not yet judged.

    Numbers: the population stability index, whose distribution without drift is chi-square x (1/n + 1/m) (Yurdakul
    2018). Categories: Cramér's V of two samples of equal weight, V² = ½ Σ (q - p)² / (p + q), so that it does not
    depend on how the sizes are to each other; 4 V² has the same distribution. Each bin is held against the votes that
    it amounts to, and where bins move together from day to day, the distribution is that of fewer degrees of freedom.
    """
    from scipy.special import chdtrc

    base = Finding(feature, before.units, after.units)
    few = min(before.units, after.units)
    if few < rules.min_units:
        which = "reference" if before.units < after.units else "current window"
        return replace(base, reason=f"not enough data: {few:,} actor-days in the {which}, {rules.min_units:,} needed")
    labels = before.bins.labels(names)
    order, rest = _told_apart(before, after)
    p, q = _merged(before.shares, order, rest), _merged(after.shares, order, rest)
    n, m = _least(before.effective, order, rest), _least(after.effective, order, rest)
    shown = [*(labels[place] for place in order), *(["rest"] if rest else [])]
    weight = 0.5 * (p + q)
    base = replace(
        base,
        effective_reference=float((weight * n).sum()),
        effective_current=float((weight * m).sum()),
        labels=tuple(shown),
        reference=tuple(p.tolist()),
        current=tuple(q.tolist()),
    )
    if len(p) == 1:
        return replace(base, is_enough=True, statistic=0.0, p_value=1.0, effect=0.0)
    noise = 1.0 / n + 1.0 / m
    if feature.scale == "numeric":
        p, q = _smoothed(p, n), _smoothed(q, m)
        parts = (q - p) * np.log(q / p)
        effect = float(parts.sum())
    else:
        some = p + q > 0
        parts = np.where(some, 2.0 * (q - p) ** 2 / np.where(some, p + q, 1.0), 0.0)
        effect = 0.5 * math.sqrt(float(parts.sum()))
    statistic = float((parts / noise).sum())
    degrees, dispersion = _distribution(before, order, rest)
    return replace(
        base,
        statistic=statistic,
        degrees=degrees,
        dispersion=dispersion,
        noise=float(parts.sum()) / statistic if statistic > 0 else float((weight * noise).sum()),
        p_value=float(chdtrc(degrees, statistic / dispersion)),
        effect=effect,
        is_enough=True,
    )


def _distribution(before: Profile, order: list[int], rest: list[int]) -> tuple[float, float]:
    """Degrees of freedom and dispersion of the statistic, by Satterthwaite's approximation (Rao and Scott 1984).

    Where a day's mood moves all bins together, they are not as many pieces of evidence as there are bins.
    """
    shares = _merged(before.shares, order, rest)
    plain = float(len(shares) - 1)
    if before.covariance is None or before.days < 14:
        return plain, 1.0
    gather = np.zeros((len(shares), len(before.shares)))
    gather[range(len(order)), order] = 1.0
    if rest:
        gather[len(order), rest] = 1.0
    covariance = gather @ before.covariance @ gather.T
    deviation = np.sqrt(np.diag(covariance))
    some = deviation > 0
    if some.sum() < 2:
        return plain, 1.0
    correlation = covariance[np.ix_(some, some)] / np.outer(deviation[some], deviation[some])
    # Squares of estimated correlations are too large by their own error.
    squares = correlation**2
    squares = np.maximum(0.0, squares - (1.0 - squares) ** 2 / before.days)
    weight = (1.0 - shares)[some]
    first, second = float(weight.sum()), float(weight @ squares @ weight)
    degrees = min(plain, max(1.0, first**2 / second))
    return degrees, plain / degrees


def _told_apart(before: Profile, after: Profile) -> tuple[list[int], list[int]]:
    """The bins in which at least five votes of either window are expected, or that are large now, and all the
    others."""
    expected = before.shares * np.minimum(before.effective, after.effective)
    apart = (expected >= 5.0) | (after.shares >= SURGE)
    order = np.flatnonzero(apart).tolist()
    rest = [place for place in range(len(expected)) if place not in order]
    return order, [place for place in rest if before.shares[place] + after.shares[place] > 0]


def _merged(shares: Floats, order: list[int], rest: list[int]) -> Floats:
    return np.array([*shares[order], *([shares[rest].sum()] if rest else [])], np.float64)


def _least(effective: Floats, order: list[int], rest: list[int]) -> Floats:
    return np.array([*effective[order], *([effective[rest].min()] if rest else [])], np.float64)


def _smoothed(shares: Floats, votes: Floats) -> Floats:
    """Half a vote more for each bin (Jeffreys), as the logarithm of nothing is none."""
    smoothed: Floats = (shares * votes + 0.5) / (votes + 0.5 * len(shares))
    return smoothed / smoothed.sum()


def compare_volume(feature: Feature, reference: Mapping[int, int], current: Mapping[int, int], rules: Rules) -> Finding:
    """The count of each day against those of the same weekday in the reference, as the mean of the differences of logs.

    Its error is what weeks of the reference differ by, or days, if that says more: days of one week may hang together.

    Args:
        reference, current: day since 1970-01-01 -> count; days without any stand there with 0.
    """
    from scipy.special import stdtr

    days = np.array(sorted(reference), np.int64)
    base = Finding(feature, len(days), len(current))
    weeks = len(days) // 7
    if weeks < rules.min_weeks or not current:
        return replace(base, reason=f"not enough data: {weeks} weeks in the reference, {rules.min_weeks} needed")
    if not any(reference.values()):
        return replace(base, reason="not enough data: none in the reference")
    days = days[-7 * weeks :]
    # Half a count more, as the logarithm of nothing is none.
    level = np.log(np.array([reference[int(day)] for day in days]) + 0.5).reshape(weeks, 7)
    usual = level.mean(axis=0)
    residual = level - usual
    weekday_at = {int((day + 3) % 7): place for place, day in enumerate(days[:7])}
    difference = [math.log(rows + 0.5) - usual[weekday_at[(day + 3) % 7]] for day, rows in current.items()]
    by_week = float((residual.mean(axis=1) ** 2).sum() / (weeks - 1))
    by_day = float((residual**2).sum() / (7 * (weeks - 1)) / len(difference))
    variance, degrees = (by_week, weeks - 1) if by_week >= by_day else (by_day, 7 * (weeks - 1))
    error = math.sqrt(max(variance, 1e-12) * (1.0 + 1.0 / weeks))
    shift = float(np.mean(difference))
    return replace(
        base,
        effective_reference=float(weeks),
        effective_current=1.0,
        statistic=shift / error,
        degrees=degrees,
        noise=error,
        p_value=float(2.0 * stdtr(degrees, -abs(shift / error))),
        effect=abs(shift),
        is_enough=True,
        labels=("a day",),
        reference=(float(np.exp(level).mean() - 0.5),),
        current=(float(np.mean(list(current.values()))),),
    )


# Judgement


def holm(p_values: Sequence[float], alpha: float) -> list[float]:
    """The level to which each p-value is held by Holm's step-down procedure (1979): rejected where it is not above it.

    Levels behind the first that is not rejected are that one's, so that `p <= level` says the same as the procedure.
    """
    levels = [0.0] * len(p_values)
    level, going = 0.0, True
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda each: p_values[each])):
        if going:
            level = alpha / (len(p_values) - place)
            going = p_values[index] <= level
        levels[index] = level
    return levels


def judge(findings: Sequence[Finding], rules: Rules) -> list[Finding]:
    """All features of a window, with threshold, verdict and reason."""
    tested = [finding for finding in findings if finding.is_enough]
    levels = dict(zip(map(id, tested), holm([finding.p_value for finding in tested], rules.alpha), strict=True))
    # Enough data is a matter of sizes alone: it is asked at the strictest level, not at what the other features leave.
    strictest = rules.alpha / max(1, len(tested))
    return [
        _judged(finding, levels[id(finding)], strictest, rules) if finding.is_enough else finding
        for finding in findings
    ]


def _judged(finding: Finding, level: float, strictest: float, rules: Rules) -> Finding:
    floor, large = _matters(finding.feature.scale, rules)
    seen = _bound(replace(finding, noise=_plain_noise(finding)), strictest)
    if seen > large:
        sizes = f"{finding.n_reference:,} and {finding.n_current:,} units of evidence"
        if finding.feature.scale != "volume":
            sizes += f" are worth {finding.effective_reference:,.0f} and {finding.effective_current:,.0f}"
        reason = (
            f"not enough data: {sizes}, and chance alone could bring {seen:.2f}, more than a large shift ({large:.2f})"
        )
        return replace(finding, is_enough=False, threshold=seen, reason=reason)
    bound = _bound(finding, level)
    threshold = max(floor, bound)
    drifted = finding.effect >= threshold
    if drifted:
        reason = f"drifted: {finding.effect:.3f} >= {threshold:.3f}, {_most_moved(finding)}"
    elif finding.effect >= floor:
        reason = f"no drift: {finding.effect:.3f}, and chance explains up to {bound:.3f}"
    else:
        reason = f"no drift: {finding.effect:.3f}, and less than {floor:.3f} does not matter"
    return replace(finding, threshold=threshold, is_drifted=drifted, reason=reason)


def _matters(scale: Scale, rules: Rules) -> tuple[float, float]:
    """From which effect on a shift matters, and which is large."""
    if scale == "numeric":
        return rules.psi, rules.psi_large
    if scale == "category":
        return rules.cramers_v, math.sqrt(rules.psi_large / 4.0)
    return math.log(rules.volume_ratio), math.log(rules.volume_large)


def _plain_noise(finding: Finding) -> float:
    """Noise by the sizes alone, whichever bins moved."""
    if finding.feature.scale == "volume" or finding.degrees == 0:
        return finding.noise
    return 1.0 / finding.effective_reference + 1.0 / finding.effective_current


def _bound(finding: Finding, level: float) -> float:
    """The effect that chance exceeds with probability `level`."""
    from scipy.special import chdtri, stdtrit

    if finding.degrees == 0:
        return 0.0
    if finding.feature.scale == "volume":
        return float(-stdtrit(finding.degrees, level / 2.0)) * finding.noise
    bound = float(chdtri(finding.degrees, level)) * finding.dispersion * finding.noise
    return bound if finding.feature.scale == "numeric" else math.sqrt(bound / 4.0)


def _most_moved(finding: Finding) -> str:
    """The bin whose share moved most, in words."""
    if finding.feature.scale == "volume":
        return f"{finding.reference[0]:,.0f} to {finding.current[0]:,.0f} a day"
    moved = max(range(len(finding.labels)), key=lambda place: abs(finding.current[place] - finding.reference[place]))
    return f"{finding.labels[moved]}: {finding.reference[moved]:.1%} to {finding.current[moved]:.1%}"


@dataclass(frozen=True)
class Verdict:
    """What a window says."""

    is_drifted: bool
    is_enough: bool
    severity: float
    reason: str
    findings: list[Finding] = field(default_factory=list)


def verdict(findings: Sequence[Finding], rules: Rules) -> Verdict:
    """The judgement of a window.

    A window has enough data where a feature drifted, or half of the features could be judged: a few that are quiet say
    little of those that could not be looked at.
    """
    judged = judge(findings, rules)
    able = [finding for finding in judged if finding.is_enough]
    drifted = sorted((finding for finding in able if finding.is_drifted), key=lambda each: -each.severity)
    enough = bool(drifted) or (bool(judged) and 2 * len(able) >= len(judged))
    severity = max((finding.severity for finding in able), default=0.0)
    if drifted:
        names = ", ".join(
            f"{finding.feature.title} ({finding.severity:.1f} x its threshold)" for finding in drifted[:3]
        )
        more = f" and {len(drifted) - 3} more" if len(drifted) > 3 else ""
        reason = f"drifted: {names}{more}"
    elif enough:
        reason = f"no drift in {len(able)} of {len(judged)} features, {len(judged) - len(able)} had not enough data"
    else:
        reason = f"not enough data: {len(able)} of {len(judged)} features could be judged"
    return Verdict(bool(drifted), enough, severity, reason, judged)
