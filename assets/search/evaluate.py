"""How well search answers judged queries: the weights of its fusion, chosen on one half and reported on the other."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from assets.promotion.paired import FloatArray, Interval, bootstrap_difference
from assets.search.judged import KNOWN_ITEMS, Query
from assets.search.metrics import ndcg, recall, reciprocal_rank
from resources.vectors.collection import BM25, DENSE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Ask = Callable[[str, Mapping[str, float], int], Sequence[str]]
"""`ask(text, weights, k)`: the ids of at most k products, best first."""

GRID: tuple[tuple[float, float], ...] = ((0, 1), (1, 4), (1, 2), (1, 1), (2, 1), (4, 1), (1, 0))
"""Weights that are tried, dense and BM25."""
FEWEST = 20
"""Judged queries in each half, below which no weights are chosen."""
DECIDED_BY = "ndcg@10"
ALL = "all"
METRICS: dict[str, tuple[Callable[[Sequence[str], Mapping[str, int], int], float], int]] = {
    "recall@10": (recall, 10),
    "recall@50": (recall, 50),
    "mrr@10": (reciprocal_rank, 10),
    DECIDED_BY: (ndcg, 10),
}
"""Each metric's function and cut-off."""


@dataclass(frozen=True)
class Tried:
    """One pair of weights on the half to choose on."""

    weights: Mapping[str, float]
    ndcg: float
    """Mean nDCG@10 of a kind of queries, over kinds: each counts the same, however many of it there are."""


@dataclass(frozen=True)
class Reached:
    """One way to search on the queries of one kind, in the half to report on."""

    kind: str
    """`all` for those of every kind."""
    system: str
    weights: Mapping[str, float]
    queries: int
    means: Mapping[str, float]
    """Of each of `METRICS`, over queries."""
    reach: Interval
    """The mean of nDCG@10 with its 95 % interval."""
    lead: Interval | None
    """What nDCG@10 of the weights that are taken is above this, paired by query; None for those weights themselves."""


@dataclass(frozen=True)
class Evaluation:
    """What was chosen, why, and what it reaches beside BM25 alone, dense alone and 1:1."""

    weights: Mapping[str, float]
    """Those to take."""
    is_chosen: bool
    """False where there are too few queries: the weights are then those that were given."""
    said: str
    """A sentence on the choice."""
    tried: tuple[Tried, ...]
    """In the order of the grid; empty without a choice."""
    reached: tuple[Reached, ...]
    """All kinds together first; empty where the half has no query."""

    def choice_rows(self) -> list[dict[str, Any]]:
        """What each pair of weights reached, for a table."""
        return [
            {
                "dense:bm25": ratio(each.weights),
                "nDCG@10": f"{each.ndcg:.3f}",
                "taken": "yes" if each.weights == self.weights else "",
            }
            for each in self.tried
        ]

    def rows(self) -> list[dict[str, Any]]:
        """What each way to search reached by kind, for a table. `taken less this` has the 95 % interval of the lead."""
        return [
            {
                "queries of": each.kind,
                "search": each.system,
                "queries": each.queries,
                "recall@10": f"{each.means['recall@10']:.3f}",
                "recall@50": f"{each.means['recall@50']:.3f}",
                "MRR@10": f"{each.means['mrr@10']:.3f}",
                "nDCG@10": f"{each.means['ndcg@10']:.3f}",
                "taken less this": each.lead and f"{each.lead.mean:+.3f} [{each.lead.low:+.3f}, {each.lead.high:+.3f}]",
            }
            for each in self.reached
        ]

    def figure(self) -> Figure:
        """nDCG@10 against the weights, and with its intervals by kind and search. The caller need not close it."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 3.2), layout="constrained")
        choice, report = figure.subplots(1, 2, width_ratios=(2, 3))
        if self.tried:
            labels = [ratio(each.weights) for each in self.tried]
            values = [each.ndcg for each in self.tried]
            choice.plot(labels, values, marker="o", color="tab:blue")
            place = labels.index(ratio(self.weights))
            choice.plot(labels[place], values[place], marker="o", markersize=12, fillstyle="none", color="tab:orange")
        else:
            choice.text(0.5, 0.5, "no choice", ha="center", transform=choice.transAxes)
        choice.set_xlabel("dense:bm25, to choose")
        choice.set_ylabel("nDCG@10")
        kinds = list(dict.fromkeys(each.kind for each in self.reached))
        systems = list(dict.fromkeys(each.system for each in self.reached))
        width = 0.8 / max(len(systems), 1)
        for number, system in enumerate(systems):
            own = [each.reach for each in self.reached if each.system == system]
            ends = [[each.mean - each.low for each in own], [each.high - each.mean for each in own]]
            at = np.arange(len(kinds)) + (number - (len(systems) - 1) / 2) * width
            report.bar(at, [each.mean for each in own], width, yerr=ends, capsize=2, label=system)
        report.set_xticks(range(len(kinds)), kinds)
        report.set_xlabel("queries, to report")
        report.set_ylim(0, 1)
        if systems:
            report.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
        for axes in (choice, report):
            axes.spines[["top", "right"]].set_visible(False)
        return figure


def evaluate(ask: Ask, queries: Sequence[Query], weights: Mapping[str, float]) -> Evaluation:
    """Choose weights on one half of the queries, and judge them on the other.

    A query's half hangs on its text alone, so that it stays there when others come and go. Each query to choose on is
    asked seven times for ten products, each to report on at most four times for fifty.

    Args:
        ask: the search; its answers name no product twice.
        queries: their texts are distinct.
        weights: of `dense` and `bm25`, as they are; kept where a half has fewer than 20 judged queries.

    Raises:
        ValueError: two queries have one text, or an answer names a product twice.
    """
    for text, times in Counter(query.text for query in queries).items():
        if times > 1:
            raise ValueError(f"the query {text!r} is there {times} times: keep one")
    # Queries made of the words of a catalogue would choose the search by words.
    to_choose = [query for query in queries if _is_to_choose(query.text) and query.kind not in KNOWN_ITEMS]
    to_report = [query for query in queries if not _is_to_choose(query.text)]
    tried: tuple[Tried, ...] = ()
    judged = sum(query.kind not in KNOWN_ITEMS for query in to_report)
    is_chosen = min(len(to_choose), judged) >= FEWEST
    if is_chosen:
        tried = tuple(_try(ask, to_choose, _weights(*pair)) for pair in GRID)
        # Where several are best, the one that trusts neither kind of search more.
        weights = max(tried, key=lambda each: (each.ndcg, -_imbalance(each.weights))).weights
        said = (
            f"dense:bm25 {ratio(weights)} has the best nDCG@10, as the mean over kinds, of {len(GRID)} pairs of "
            f"weights on {len(to_choose)} judged queries; what it reaches is told by {len(to_report)} others."
        )
    else:
        said = (
            f"No weights were chosen: there are {len(to_choose)} judged queries to choose on and {judged} to report "
            f"on, and {FEWEST} of each are needed. dense:bm25 stays {ratio(weights)}."
        )
    return Evaluation(weights, is_chosen, said, tried, tuple(_report(ask, to_report, weights, is_chosen)))


def ratio(weights: Mapping[str, float]) -> str:
    """Weights as text, such as `1:4`: dense, then BM25."""
    return f"{weights[DENSE]:g}:{weights[BM25]:g}"


def _is_to_choose(text: str) -> bool:
    return hashlib.blake2b(text.encode(), digest_size=1).digest()[0] % 2 == 0


def _weights(dense: float, bm25: float) -> dict[str, float]:
    return {DENSE: dense, BM25: bm25}


def _imbalance(weights: Mapping[str, float]) -> float:
    dense, bm25 = weights[DENSE], weights[BM25]
    return abs(math.log(dense / bm25)) if dense and bm25 else math.inf


def _try(ask: Ask, queries: Sequence[Query], weights: Mapping[str, float]) -> Tried:
    found = _judged(ask, queries, weights, (DECIDED_BY,))[DECIDED_BY]
    kinds = np.array([query.kind for query in queries])
    return Tried(weights, float(np.mean([found[kinds == kind].mean() for kind in np.unique(kinds)])))


def _report(ask: Ask, queries: Sequence[Query], weights: Mapping[str, float], is_chosen: bool) -> list[Reached]:
    if not queries:
        return []
    taken = f"{ratio(weights)}, {'chosen' if is_chosen else 'as it is'}"
    systems = {
        "BM25 alone": _weights(0, 1),
        "dense alone": _weights(1, 0),
        "hybrid 1:1": _weights(1, 1),
        taken: dict(weights),
    }
    values: dict[str, dict[str, FloatArray]] = {}
    for name, each in systems.items():
        same = next((other for other in values if systems[other] == each), None)
        values[name] = values[same] if same else _judged(ask, queries, each, tuple(METRICS))
    kinds = np.array([query.kind for query in queries])
    made = []
    for kind in (ALL, *dict.fromkeys(kinds.tolist())):
        own: npt.NDArray[np.bool_] = np.ones(len(queries), dtype=bool) if kind == ALL else kinds == kind
        best = values[taken][DECIDED_BY][own]
        for name, each in systems.items():
            found = values[name][DECIDED_BY][own]
            made.append(
                Reached(
                    kind,
                    name,
                    each,
                    int(own.sum()),
                    {metric: float(column[own].mean()) for metric, column in values[name].items()},
                    bootstrap_difference(found, np.zeros(len(found))),
                    None if name == taken else bootstrap_difference(best, found),
                )
            )
    return made


def _judged(
    ask: Ask, queries: Sequence[Query], weights: Mapping[str, float], metrics: tuple[str, ...]
) -> dict[str, FloatArray]:
    """Metric -> [queries]. Each query is asked once, for as many products as the metrics need."""
    k = max(METRICS[name][1] for name in metrics)
    values = np.empty((len(metrics), len(queries)))
    for column, query in enumerate(queries):
        ranked = ask(query.text, weights, k)
        try:
            values[:, column] = [METRICS[name][0](ranked, query.grades, METRICS[name][1]) for name in metrics]
        except ValueError as error:
            raise ValueError(f"the answer to {query.text!r} with dense:bm25 {ratio(weights)}: {error}") from error
    return dict(zip(metrics, values, strict=True))
