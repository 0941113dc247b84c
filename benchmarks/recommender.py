"""`python -m benchmarks.recommender`: training and top lists at RetailRocket's shape, and all models on Online Retail.

The shape is RetailRocket's (1,407,580 visitors, 235,061 products, 2,756,101 events), the events are made up. Online
Retail is the real file, where it is; its last 30 days are the test window, on which nothing is chosen.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from threadpoolctl import threadpool_limits

from assets.recommender.config import load_recommender_config
from assets.recommender.evaluate import OURS, evaluate, fit_baselines
from assets.recommender.histories import Histories, histories_of
from assets.recommender.interactions import DAY, Interactions, instant
from assets.recommender.model import Recommender
from assets.recommender.sources import Folding, fit_als
from assets.recommender.split import split
from assets.recommender.topk import ItemIndex
from benchmarks.measure import Memory
from resources.settings import PROJECT_ROOT

VISITORS, PRODUCTS, EVENTS = 1_407_580, 235_061, 2_756_101
CUT = datetime(2011, 11, 10, tzinfo=UTC)
"""Thirty days before the end of Online Retail, whose last day is 9 December 2011."""

_LINES = """
select
    CustomerID as actor_id, StockCode as product_id, 'purchase' as kind,
    timezone('Europe/London', InvoiceDate::timestamp) as occurred_at, sum(Quantity::bigint)::bigint as quantity,
    true as is_listed
from read_csv(?, all_varchar = true)
where CustomerID is not null and Quantity::bigint > 0 and UnitPrice::double > 0 and InvoiceNo not like 'C%'
    and regexp_matches(StockCode, '^([0-9]{5}|DCGS)')
group by all
"""


def online_retail(file: Path) -> Interactions:
    """What the contract makes of the file: sales of merchandise to known customers."""
    import duckdb

    return Interactions.from_table(duckdb.connect().execute(_LINES, [str(file)]).to_arrow_table())


def events_like_retailrocket(seed: int = 20150503) -> Interactions:
    """Events of RetailRocket's shape: nine visitors in ten with few, popularity as by Zipf, tastes in 200 groups."""
    import pyarrow as pa

    random = np.random.default_rng(seed)
    extra = random.zipf(2.1, VISITORS).clip(max=2_000).astype(np.float64)
    rest = EVENTS - VISITORS
    visitor = np.concatenate([np.arange(VISITORS), random.choice(VISITORS, rest, p=extra / extra.sum())])
    group = random.integers(0, 200, VISITORS)
    # Seven in ten are of the visitor's group, whose products are every 200th.
    rank = np.minimum((PRODUCTS ** random.random(EVENTS)).astype(np.int64), PRODUCTS - 1)
    own = rank // 200 * 200 + group[visitor]
    product = np.where(random.random(EVENTS) < 0.7, np.minimum(own, PRODUCTS - 1), rank)
    kind = random.choice(3, EVENTS, p=[0.967, 0.025, 0.008]).astype(np.int8)
    at = int(datetime(2015, 5, 3, tzinfo=UTC).timestamp()) * 1_000_000
    occurred_at = at + random.integers(0, 138 * DAY, EVENTS)
    product[:PRODUCTS] = np.arange(PRODUCTS)  # each product has an event
    order = np.lexsort((kind, product, occurred_at, visitor))
    return Interactions(
        actor_ids=pa.array([f"{number:07d}" for number in range(VISITORS)]),
        product_ids=pa.array([f"{number:06d}" for number in range(PRODUCTS)]),
        is_listed=np.ones(PRODUCTS, bool),
        actor=visitor[order].astype(np.int32),
        product=product[order].astype(np.int32),
        kind=kind[order],
        occurred_at=occurred_at[order],
        quantity=np.ones(EVENTS, np.int64),
    )


def at_size(asked: int) -> None:
    """Training and top-50 lists at RetailRocket's shape.

    Args:
        asked: so many visitors are asked for by each way of making lists.
    """
    config = load_recommender_config("retailrocket")
    interactions = events_like_retailrocket()
    at = instant(int(interactions.occurred_at.max())) + timedelta(microseconds=1)
    print("| RetailRocket's shape, made up | minutes | peak MB |\n| --- | ---: | ---: |")
    with Memory(psutil.Process()) as memory:
        histories = histories_of(interactions, config, at)
        matrix = histories.matrix(histories.weight)
        began = time.perf_counter()
        factors = fit_als(matrix, config.als, config.seed)
        seconds = time.perf_counter() - began
    what = f"ALS, {config.als.factors} factors, {config.als.iterations} iterations"
    print(f"| {what} | {seconds / 60:.2f} | {memory.peak:.0f} |", flush=True)
    _lists(histories, matrix, factors, config, asked)
    del matrix
    with Memory(psutil.Process()) as memory:
        began = time.perf_counter()
        model = Recommender.fit(interactions, config, at)
        seconds = time.perf_counter() - began
    print("\n| the whole model | minutes | peak MB |\n| --- | ---: | ---: |")
    print(f"| fit, with the choice of the blend | {seconds / 60:.2f} | {memory.peak:.0f} |", flush=True)
    with Memory(psutil.Process()) as memory:
        began = time.perf_counter()
        model.recommend_all(interactions, 50, at)
        seconds = time.perf_counter() - began
    print(f"| top 50 of the blend for {VISITORS:,} actors | {seconds / 60:.2f} | {memory.peak:.0f} |", flush=True)


def _lists(histories: Histories, matrix: Any, factors: Any, config: Any, asked: int) -> None:
    """Ours and implicit's in turn, on the same factors and the same visitors."""
    from implicit.cpu.als import AlternatingLeastSquares

    users = Folding(factors, config.als).fold(histories)
    with threadpool_limits(1, "blas"):
        theirs = AlternatingLeastSquares(factors=config.als.factors, num_threads=os.cpu_count() or 1)
    theirs.user_factors, theirs.item_factors = users, factors
    rows = np.sort(np.random.default_rng(0).choice(len(users), asked, replace=False))
    chosen = histories.choose(rows)
    print("\n| top 50, what was seen left out | visitors | visitors/s |\n| --- | ---: | ---: |")
    rates: dict[str, list[float]] = {"implicit": [], "ours": []}
    for _ in range(3):
        began = time.perf_counter()
        with threadpool_limits(1, "blas"):
            theirs.recommend(rows, matrix[rows], N=50, filter_already_liked_items=True)
        rates["implicit"].append(asked / (time.perf_counter() - began))
        began = time.perf_counter()
        ItemIndex(factors).top(users[rows], 50, seen=(chosen.starts, chosen.product))
        rates["ours"].append(asked / (time.perf_counter() - began))
    for name, values in rates.items():
        print(f"| {name} | {asked:,} | {np.median(values):,.0f} |")
    ratio = np.median(np.array(rates["ours"]) / np.array(rates["implicit"]))
    print(f"| ours / implicit, median of {len(rates['ours'])} pairs | | {ratio:.2f} |", flush=True)


def on_online_retail(file: Path) -> None:
    """All models on the last 30 days."""
    config = load_recommender_config("online_retail")
    interactions = online_retail(file)
    past, queries = split(interactions, config, CUT)
    began = time.perf_counter()
    models = fit_baselines(past, config, CUT) | {OURS: Recommender.fit(past, config, CUT)}
    evaluation = evaluate(models, queries, config.seed)
    print(f"Online Retail, {len(past):,} interactions before {CUT:%Y-%m-%d}, {time.perf_counter() - began:.0f} s\n")
    print(evaluation.markdown())


def measure(asked: int = 10_000, only: str | None = None) -> None:
    """Both parts, or one: `size` or `quality`."""
    folder = Path(os.environ.get("CARTOGRAPH_REAL_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    file = folder / "online_retail" / "OnlineRetail.csv.gz"
    if only != "size":
        if file.exists():
            on_online_retail(file)
        else:
            print(f"no {file}: the table of Online Retail is left out. Set CARTOGRAPH_REAL_DATA.")
    if only != "quality":
        at_size(asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--asked", type=int, default=10_000, help="Visitors of the comparison with implicit.")
    parser.add_argument("--only", choices=["size", "quality"], help="One of the two parts.")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    measure(arguments.asked, arguments.only)


if __name__ == "__main__":
    main()
