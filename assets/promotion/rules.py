"""The rules of promotion: whether a challenger takes the champion's place, as a pure function of figures and dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from assets.promotion.paired import CONFIDENCE, RESAMPLES, SEED, FloatArray, Interval, bootstrap_difference

Code = Literal[
    "first_champion",
    "better",
    "not_worse_after_drift",
    "baseline_not_beaten",
    "not_better",
    "worse",
    "not_enough_evidence",
    "window_overlaps_training",
    "not_a_number",
    "same_version",
    "rolled_back",
    "moved_outside",
    "lost",
]
Figure = float | int | str | None


@dataclass(frozen=True)
class Decision:
    """Whether the challenger is promoted, by which rule, why in words, and the figures that it stands on."""

    promote: bool
    code: Code
    reason: str
    figures: dict[str, Figure] = field(default_factory=dict)


def decide_first(
    challenger: npt.ArrayLike,
    baseline: npt.ArrayLike,
    *,
    min_sample: int,
    window_start: datetime | None = None,
    challenger_trained_to: datetime | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Decision:
    """Whether a model becomes the first champion: it must beat the baseline, beyond chance, on enough queries.

    Beyond chance: the lower bound of the paired bootstrap interval of the difference is above zero.

    Args:
        challenger, baseline: per-query figures of shape [queries], in the same order; larger is better.
        min_sample: the least number of queries.
        window_start, challenger_trained_to: where given, the window must not begin before the training ended.

    Raises:
        ValueError: the arrays are not paired, an instant has no zone, or `min_sample` is below one.
    """
    _check_limits(min_sample, 0.0)
    a, b = _figures(challenger, baseline=baseline)
    figures = _means(challenger=a, baseline=b["baseline"])
    refused = _refused(
        figures,
        {"challenger": a, **b},
        min_sample,
        window_start,
        {"challenger": challenger_trained_to} if challenger_trained_to is not None else {},
    )
    if refused is not None:
        return refused
    gain = bootstrap_difference(a, b["baseline"], confidence=confidence, resamples=resamples, seed=seed)
    figures |= _named("baseline", gain)
    if gain.low > 0:
        return Decision(True, "first_champion", f"the first champion beats the baseline by {_words(gain)}", figures)
    return Decision(False, "baseline_not_beaten", f"the baseline is not beaten: {_words(gain)}", figures)


def decide(
    challenger: npt.ArrayLike,
    champion: npt.ArrayLike,
    baseline: npt.ArrayLike,
    *,
    window_start: datetime,
    challenger_trained_to: datetime,
    champion_trained_to: datetime,
    is_drifted: bool,
    margin: float,
    min_sample: int,
    challenger_version: int | None = None,
    champion_version: int | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Decision:
    """Whether a challenger takes the champion's place, on one window that neither was trained on.

    Without drift the challenger must be better beyond chance: the lower bound of the interval of the difference is
    above zero. Where drift fired on the champion, not being worse is enough: the lower bound is above `-margin` (a test
    of non-inferiority, as in Piaggio et al., JAMA 308, 2012), for the champion was chosen in a world that is no more.
    In both cases it must beat the baseline beyond chance, lest a margin at every drift lead below it step by step.

    Args:
        challenger, champion, baseline: per-query figures of shape [queries], in the same order; larger is better.
        window_start: the instant from which the queries are.
        challenger_trained_to, champion_trained_to: nothing at or after these was trained on. A window that begins at
            the later of them does not overlap.
        is_drifted: whether drift fired on the champion.
        margin: how much worse, in the unit of the figures, a challenger may be after drift.
        min_sample: the least number of queries.
        challenger_version, champion_version: where given and the same, there is nothing to decide.

    Raises:
        ValueError: the arrays are not paired, an instant has no zone, `min_sample` is below one, `margin` below zero.
    """
    _check_limits(min_sample, margin)
    a, others = _figures(challenger, champion=champion, baseline=baseline)
    figures = _means(challenger=a, **others) | {"is_drifted": int(is_drifted), "margin": margin}
    if challenger_version is not None and challenger_version == champion_version:
        return Decision(False, "same_version", f"version {champion_version} is the champion already", figures)
    refused = _refused(
        figures,
        {"challenger": a, **others},
        min_sample,
        window_start,
        {"challenger": challenger_trained_to, "champion": champion_trained_to},
    )
    if refused is not None:
        return refused
    gain = bootstrap_difference(a, others["champion"], confidence=confidence, resamples=resamples, seed=seed)
    over = bootstrap_difference(a, others["baseline"], confidence=confidence, resamples=resamples, seed=seed)
    figures |= _named("champion", gain) | _named("baseline", over)
    if over.low <= 0:
        return Decision(False, "baseline_not_beaten", f"the baseline is not beaten: {_words(over)}", figures)
    if gain.low > 0:
        return Decision(True, "better", f"better than the champion by {_words(gain)}", figures)
    if is_drifted and gain.low > -margin:
        return Decision(
            True,
            "not_worse_after_drift",
            f"drift fired on the champion, and the challenger is not worse by {margin:g} or more: {_words(gain)}",
            figures,
        )
    if gain.high < 0:
        return Decision(False, "worse", f"worse than the champion: {_words(gain)}", figures)
    needed = f"{-margin:g}, as drift fired" if is_drifted else "0"
    return Decision(
        False,
        "not_better",
        f"not better than the champion beyond chance: {_words(gain)}; the lower bound must be above {needed}",
        figures,
    )


def _check_limits(min_sample: int, margin: float) -> None:
    if min_sample < 1:
        raise ValueError(f"min_sample is {min_sample}: it must be at least 1")
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin is {margin}: it must be a finite number that is not below 0")


def _figures(challenger: npt.ArrayLike, **others: npt.ArrayLike) -> tuple[FloatArray, dict[str, FloatArray]]:
    a = np.asarray(challenger, dtype=np.float64)
    held = {name: np.asarray(values, dtype=np.float64) for name, values in others.items()}
    for name, values in held.items():
        if values.shape != a.shape or a.ndim != 1:
            raise ValueError(f"challenger and {name} have shapes {a.shape} and {values.shape}: both must be [queries]")
    return a, held


def _means(**arrays: FloatArray) -> dict[str, Figure]:
    """The mean of each model, None where it is no finite number; the number of queries."""
    means: dict[str, Figure] = {"queries": len(arrays["challenger"])}
    for name, values in arrays.items():
        # JSON has no NaN, and metadata that says null says as much.
        means[name] = float(values.mean()) if len(values) and np.isfinite(values).all() else None
    return means


def _refused(
    figures: dict[str, Figure],
    arrays: Mapping[str, FloatArray],
    min_sample: int,
    window_start: datetime | None,
    trained_to: Mapping[str, datetime],
) -> Decision | None:
    """What keeps two models from being compared at all."""
    broken = [name for name, values in arrays.items() if not np.isfinite(values).all()]
    if broken:
        count = {name: int((~np.isfinite(arrays[name])).sum()) for name in broken}
        said = ", ".join(f"{number} of {name}" for name, number in count.items())
        return Decision(False, "not_a_number", f"figures that are no finite numbers: {said}", figures)
    for name, instant in {"window_start": window_start, **trained_to}.items():
        if instant is not None and instant.tzinfo is None:
            raise ValueError(f"{name} is {instant.isoformat()}: an instant needs a zone")
    if trained_to:
        if window_start is None:
            raise ValueError("training cut-offs are given without the window's start, which they are compared with")
        figures |= {"window_start": window_start.isoformat()}
        figures |= {f"{name}_trained_to": instant.isoformat() for name, instant in trained_to.items()}
        late = {name: instant for name, instant in trained_to.items() if window_start < instant}
        if late:
            said = " and ".join(f"the {name} was trained to {instant.isoformat()}" for name, instant in late.items())
            return Decision(
                False,
                "window_overlaps_training",
                f"the window starts at {window_start.isoformat()}, before training ended: {said}",
                figures,
            )
    queries = len(arrays["challenger"])
    if queries < min_sample:
        return Decision(
            False,
            "not_enough_evidence",
            f"not enough evidence: {queries:,} queries, and at least {min_sample:,} are needed",
            figures | {"min_sample": min_sample},
        )
    return None


def _named(other: str, interval: Interval) -> dict[str, Figure]:
    return {f"over_{other}": interval.mean, f"over_{other}_low": interval.low, f"over_{other}_high": interval.high}


def _words(interval: Interval) -> str:
    return (
        f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}] at {interval.confidence:.0%}"
        f" on {interval.queries:,} queries"
    )
