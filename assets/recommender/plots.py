"""Figures of the recommender's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from assets.recommender.interactions import DAY, KINDS, Interactions

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def weekly_interactions(interactions: Interactions) -> Figure:
    """Interactions a week, a line for each kind that occurs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.4))
    axes = figure.add_subplot()
    if len(interactions):
        first = int(interactions.occurred_at.min())
        week = (interactions.occurred_at - first) // (7 * DAY)
        begins = (first + np.arange(week.max() + 1) * 7 * DAY).astype("datetime64[us]")
        for place, kind in enumerate(KINDS):
            counts = np.bincount(week[interactions.kind == place], minlength=len(begins))
            if counts.any():
                axes.plot(begins, counts, marker=".", label=kind)
        axes.legend(frameon=False)
        figure.autofmt_xdate()
    axes.set_ylabel("a week")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
