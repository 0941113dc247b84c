"""All models on one set of queries: means with intervals, per-query values for paired tests, a table and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.recommender.baselines import Als, Ease, ItemKnn, Model, OwnThenPopular, Popular
from assets.recommender.config import RecommenderConfig
from assets.recommender.interactions import Bools, Interactions
from assets.recommender.metrics import DEPTH, Doubles, metrics
from assets.recommender.model import Recommender
from assets.recommender.sources import EASE_PRODUCTS
from assets.recommender.split import Queries

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS = "ours"
OWN_THEN_POPULAR = "own past, then recent popularity"
DECIDED_BY = "ndcg@10"
"""What promotion compares."""
SHOWN = ("recall@20", "ndcg@10", "hit@10")
_RESAMPLES = 1000
_CHUNK = 100
_LARGE = 20_000


@dataclass(frozen=True)
class Judged:
    """One model on the queries of one variant."""

    values: Mapping[str, Doubles]
    """Metric, such as `ndcg@10` -> one value a query"""
    candidate_recall: Doubles
    """[queries] the share of its targets that the model ranked at all: of a blend, those among its candidates; of a
    model that scores the whole catalogue, those in it"""
    is_newcomer: Bools
    """[queries]"""

    def mean(self, metric: str, newcomers: bool) -> float | None:
        """The mean over warm queries or over newcomers; None where there are none."""
        values = self.values[metric][self.is_newcomer == newcomers]
        return float(values.mean()) if len(values) else None


@dataclass(frozen=True)
class Evaluation:
    """What models reached on one window, by model and whether repeats were allowed."""

    judged: Mapping[tuple[str, bool], Judged]
    seed: int

    def per_query(self, model: str, repeats: bool, metric: str = DECIDED_BY) -> Doubles:
        """[queries] in the same order for all models of one variant, for a paired test."""
        return self.judged[model, repeats].values[metric]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each model, variant and kind of actor: `queries`, `candidate_recall`, and of each metric the mean
        and, as `<metric>_low` and `<metric>_high`, its 95 % bootstrap interval over queries."""
        return self._rows

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        made = []
        for (model, repeats), judged in self.judged.items():
            for newcomers in (False, True):
                chosen = judged.is_newcomer == newcomers
                if not chosen.any():
                    continue
                row: dict[str, Any] = {
                    "model": model,
                    "items": "repeats allowed" if repeats else "new only",
                    "actors": "newcomer" if newcomers else "warm",
                    "queries": int(chosen.sum()),
                    "candidate_recall": float(judged.candidate_recall[chosen].mean()),
                }
                values = np.column_stack([column[chosen] for column in judged.values.values()])
                ends = zip(judged.values, values.mean(axis=0), *intervals(values, self.seed), strict=True)
                for metric, mean, low, high in ends:
                    row |= {metric: float(mean), f"{metric}_low": float(low), f"{metric}_high": float(high)}
                made.append(row)
        return made

    def markdown(self, shown: tuple[str, ...] = SHOWN) -> str:
        """The rows as a table."""
        lines = [
            "| items | actors | queries | model | " + " | ".join(shown) + " | candidate recall |",
            "| --- | --- | ---: | --- |" + " ---: |" * (len(shown) + 1),
        ]
        for row in sorted(self.rows(), key=lambda row: (row["items"] != "repeats allowed", row["actors"] != "warm")):
            cells = [f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]" for name in shown]
            lines.append(
                f"| {row['items']} | {row['actors']} | {row['queries']} | {row['model']} | "
                + " | ".join(cells)
                + f" | {row['candidate_recall']:.3f} |"
            )
        return "\n".join(lines)

    def figure(self, metric: str = DECIDED_BY) -> Figure:
        """Bars with intervals, one panel for each variant and kind of actor. The caller need not close it."""
        from matplotlib.figure import Figure

        rows = self.rows()
        panels = list(dict.fromkeys((row["items"], row["actors"]) for row in rows))
        figure = Figure(figsize=(4 * max(len(panels), 1), 3.2), layout="constrained")
        for place, panel in enumerate(panels, 1):
            axes = figure.add_subplot(1, len(panels), place)
            shown = [row for row in rows if (row["items"], row["actors"]) == panel][::-1]
            means = np.array([row[metric] for row in shown])
            reach = np.abs(np.array([[row[f"{metric}_{end}"] for row in shown] for end in ("low", "high")]) - means)
            colours = ["tab:blue" if row["model"] == OURS else "lightgrey" for row in shown]
            axes.barh([row["model"] for row in shown], means, xerr=reach, color=colours, capsize=2)
            axes.set_title(f"{panel[0]}, {panel[1]} ({shown[0]['queries']})", fontsize=9)
            axes.set_xlabel(metric, fontsize=8)
            axes.tick_params(labelsize=8, labelleft=place == 1)
        return figure


def evaluate(models: Mapping[str, Model], queries: Queries, seed: int) -> Evaluation:
    """Judge models on the same queries, with repeats allowed and, on targets that are not in the context, without.

    Args:
        seed: of the intervals' resampling.
    """
    judged = {}
    for repeats in (True, False):
        asked = queries if repeats else queries.new_only()
        for name, model in models.items():
            chosen, scores = model.top(asked.histories, DEPTH, repeats)
            own = asked.within(model.product_ids)
            if isinstance(model, Recommender):
                recall = model.candidate_recall(own, repeats)
            else:
                recall = _recall(own.targets.product < len(model.product_ids), own)
            judged[name, repeats] = Judged(metrics(chosen, scores, own.targets), recall, asked.is_newcomer)
    return Evaluation(judged, seed)


def fit_baselines(past: Interactions, config: RecommenderConfig, trained_to: datetime) -> dict[str, Model]:
    """The models to hold ours against, fitted on the same past; EASE where the catalogue is small enough."""
    days = config.popularity_days
    models: dict[str, Model] = {
        "popularity": Popular.fit(past, config, trained_to),
        f"popularity of {days} days": Popular.fit(past, config, trained_to, days),
        OWN_THEN_POPULAR: OwnThenPopular.fit(past, config, trained_to),
        "item-kNN": ItemKnn.fit(past, config, trained_to),
        "ALS": Als.fit(past, config, trained_to),
    }
    if len(past.product_ids) <= EASE_PRODUCTS:
        models["EASE"] = Ease.fit(past, config, trained_to)
    return models


def intervals(values: Doubles, seed: int) -> tuple[Doubles, Doubles]:
    """The ends of the 95 % intervals of means over queries: percentiles of the means of resampled queries.

    Of more than 20,000 queries, of which those do not differ from it visibly, the normal interval.

    Args:
        values: [queries, metrics], at least one query.
    """
    count = len(values)
    if count > _LARGE:
        means, reach = values.mean(axis=0), 1.96 * values.std(axis=0, ddof=1) / count**0.5
        return means - reach, means + reach
    random = np.random.default_rng(seed)
    resampled = np.empty((_RESAMPLES, values.shape[1]))
    for low in range(0, _RESAMPLES, _CHUNK):
        drawn = random.integers(0, count, (_CHUNK, count)) + np.arange(_CHUNK)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=_CHUNK * count).reshape(_CHUNK, count)
        resampled[low : low + _CHUNK] = times @ values / count
    low_end, high_end = np.percentile(resampled, [2.5, 97.5], axis=0)
    return low_end, high_end


def _recall(found: Bools, queries: Queries) -> Doubles:
    """[queries] the share of targets [entries] that were found."""
    counts = np.bincount(queries.targets.row, found, minlength=len(queries))
    recall: Doubles = counts / np.maximum(queries.targets.sizes, 1)
    return recall
