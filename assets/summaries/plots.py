"""Figures of a shop's days beside what was to be expected of them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assets.summaries.facts import BY_NAME, Snapshot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def days_and_band(snapshot: Snapshot) -> Figure:
    """The main metric over the days, with the seasonal band and what lies outside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.8))
    axes = figure.add_subplot()
    # The shop's days may have had another main metric, as when orders are late: one line shows one metric.
    name = snapshot.days[-1].main if snapshot.days else None
    if name is not None:
        days = [one.day for one in snapshot.days if one.main == name]
        facts = [one.facts[name] for one in snapshot.days if one.main == name]
        values = [float(fact.value) for fact in facts if isinstance(fact.value, int | float | Decimal)]
        usual = [(day, found) for day in days if (found := snapshot.usual[day]) is not None]
        banded = [(day, *found.band) for day, found in usual if found.band is not None]
        axes.fill_between(
            _dates([day for day, _, _ in banded]),
            [low for _, low, _ in banded],
            [high for _, _, high in banded],
            color="0.9",
            label="usual range",
        )
        axes.plot(_dates([day for day, _ in usual]), [one.value for _, one in usual], color="0.6", label="expected")
        axes.plot(_dates(days), values, marker=".", color="C0", label=BY_NAME[name].said)
        odd = [place for place, fact in enumerate(facts) if fact.anomaly is not None]
        if odd:
            there = _dates([days[place] for place in odd])
            axes.scatter(there, [values[place] for place in odd], color="C3", zorder=3, label="outside it")
        axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        currency = facts[-1].currency
        axes.set_ylabel(BY_NAME[name].said + (f" ({currency})" if currency else ""))
        figure.autofmt_xdate()
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _dates(days: list[date]) -> NDArray[np.datetime64]:
    return np.array(days, "datetime64[D]")
