"""`python -m benchmarks.cold_items`: whether products that nobody has touched raise candidate recall by their text.

To the candidates of the recommender are added the cold products that are nearest, by embedding, to any of the last ten
products of a history; beside them as many cold products at random, and more candidates of the sources that there are.
Online Retail is the real file, where it is, cut 30 and 90 days before its end. Its catalogue is made of its sales:
which products are still to come is told here, in favour of what is measured. `--home` takes a shop of a home whose
search was made, such as thelook of the demo, and the products alone that were on its shelves before the cut.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assets.recommender.config import RecommenderConfig, load_recommender_config
from assets.recommender.evaluate import intervals
from assets.recommender.interactions import Interactions, instant, read_interactions
from assets.recommender.model import Recommender
from assets.recommender.split import Queries, split
from assets.search.config import load_search_config
from assets.search.documents import kept
from assets.search.embeddings import vectors_of
from benchmarks.recommender import CUT, online_retail
from resources.embedder import Embedder
from resources.settings import PROJECT_ROOT, load_settings
from resources.warehouse import Warehouse

ADDED = (10, 25, 50)
WIDER = (4, 8, 16)
RECENT = 10

_THERE = "select distinct product_id from contract.dim_product_history where shop = %s and valid_from < %s"

Vectors = Mapping[str, NDArray[np.float32]]
Shares = NDArray[np.float64]


def compare(interactions: Interactions, config: RecommenderConfig, cut: datetime, vectors: Vectors) -> None:
    """Print candidate recall and the number of candidates a query, without and with what is added."""
    past, queries = split(interactions, config, cut)
    if not config.repeats:
        queries = queries.new_only()
    model = Recommender.fit(past, config, cut)
    known = set(model.product_ids.to_pylist())
    cold = np.array([product for product in vectors if product not in known])
    names = queries.histories.product_ids.to_pylist()
    share = np.mean([names[place] not in known for place in queries.targets.product])
    print(f"\n{len(queries):,} queries from {cut:%Y-%m-%d} on; {len(cold):,} of {len(vectors):,} products are cold and")
    print(f"{share:.2%} of the targets.\n")
    print("| candidates | a query | candidate recall |\n| --- | ---: | ---: |")
    count, recall = _measured(model, queries, config.repeats)
    _row("of the recommender", count, recall, config.seed)
    for more in WIDER:
        wider = config.model_copy(update={"candidates": config.candidates + more})
        _row(
            f"and {more} more of each source",
            *_measured(Recommender.fit(past, wider, cut), queries, config.repeats),
            config.seed,
        )
    if not len(cold):
        print("\nNo product is cold.")
        return
    by_text = _found(queries, vectors, cold, None)
    at_random = _found(queries, vectors, cold, np.random.default_rng(config.seed))
    for added in ADDED:
        many = min(added, len(cold))
        _row(f"and {many} cold ones by text", count + many, recall + by_text[many], config.seed)
        _row(f"and {many} cold ones at random", count + many, recall + at_random[many], config.seed)


def _measured(model: Recommender, queries: Queries, repeats: bool) -> tuple[float, Shares]:
    asked = queries.within(model.product_ids)
    count = len(model.candidates(asked.histories, repeats).row) / len(asked)
    return count, model.candidate_recall(asked, repeats)


def _found(
    queries: Queries, vectors: Vectors, cold: NDArray[np.str_], random: np.random.Generator | None
) -> dict[int, Shares]:
    """For each number of added products: the share of each query's targets that are among them."""
    names, histories, targets = queries.histories.product_ids.to_pylist(), queries.histories, queries.targets
    matrix = np.stack([vectors[product] for product in cold])
    found = {min(added, len(cold)): np.zeros(len(queries)) for added in ADDED}
    for query in range(len(queries)):
        own = slice(histories.starts[query], histories.starts[query + 1])
        recent = histories.product[own][np.argsort(histories.position[own])[:RECENT]]
        near = [vectors[names[place]] for place in recent if names[place] in vectors]
        if random is not None:
            order = random.permutation(len(cold))
        elif near:
            order = np.argsort(-(matrix @ np.stack(near).T).max(axis=1))
        else:
            continue
        wanted = [names[place] for place in targets.product[targets.starts[query] : targets.starts[query + 1]]]
        for many, shares in found.items():
            shares[query] = np.isin(wanted, cold[order[:many]]).mean()
    return found


def _row(what: str, count: float, recall: Shares, seed: int) -> None:
    low, high = intervals(recall[:, None], seed)
    print(f"| {what} | {count:.0f} | {recall.mean():.4f} [{low[0]:.4f}, {high[0]:.4f}] |", flush=True)


def on_online_retail(file: Path) -> None:
    import pandas as pd

    interactions, config = online_retail(file), load_recommender_config("online_retail")
    lines = pd.read_csv(file, dtype=str, usecols=["StockCode", "Description"]).dropna()
    described = lines.groupby("StockCode")["Description"].agg(lambda texts: texts.value_counts().index[0])
    products = [product for product in interactions.product_ids.to_pylist() if product in described.index]
    vectors = dict(zip(products, Embedder().embed([described[product] for product in products]), strict=True))
    for days in (30, 90):
        compare(interactions, config, CUT - timedelta(days=days - 30), vectors)


def on_shop(home: Path, shop: str) -> None:
    warehouse = Warehouse(load_settings(home=home))
    interactions, config = read_interactions(warehouse, shop, datetime.now(UTC)), load_recommender_config(shop)
    with warehouse.connect() as connection:
        documents = kept(connection, shop)
        by_hash = vectors_of(connection, Embedder(load_search_config(shop).embedder).identity, documents)
        newest = instant(int(interactions.occurred_at.max()))
        cut = newest - timedelta(days=config.test_days)
        there = {row[0] for row in connection.execute(_THERE, [shop, cut])}
    vectors = {one.product_id: by_hash[one.text_hash] for one in documents if one.product_id in there}
    compare(interactions, config, cut, vectors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="A home whose search was made, instead of Online Retail's file.")
    parser.add_argument("--shop", default="thelook", help="The shop of the home.")
    arguments = parser.parse_args()
    if arguments.home:
        on_shop(arguments.home, arguments.shop)
        return
    folder = Path(os.environ.get("CARTOGRAPH_REAL_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    file = folder / "online_retail" / "OnlineRetail.csv.gz"
    if not file.exists():
        raise SystemExit(f"no {file}: set CARTOGRAPH_REAL_DATA, or name a home with --home.")
    on_online_retail(file)


if __name__ == "__main__":
    main()
