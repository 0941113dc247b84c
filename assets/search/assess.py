"""A shop's published collection, asked judged queries, and given the weights that find most."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assets.search.config import SearchConfig
from assets.search.documents import Document
from assets.search.evaluate import Evaluation, evaluate
from assets.search.judged import Query, known_items, read
from assets.search.retrieve import Searcher
from resources.embedder import Embedder
from resources.settings import Settings
from resources.vectors.collection import Manifest
from resources.vectors.store import Store
from resources.warehouse import Warehouse

KNOWN_ITEMS = 120
"""So many queries are made of the catalogue itself."""


@dataclass(frozen=True)
class Assessment:
    """What a collection was asked, and what came of it."""

    manifest: Manifest
    queries: Sequence[Query]
    evaluation: Evaluation
    version: str
    """A hash of the collection and the queries."""


def queries_of(settings: Settings, shop: str, documents: Sequence[Document], seed: int) -> list[Query]:
    """The queries that a shop is asked: judged ones where it has them, and such as its catalogue gives.

    Judged queries stand in `queries/<shop>.csv` of the home; those of a simulated shop beside its other truth.

    Raises:
        ValueError: the file cannot be used; the message names file, line, value and remedy.
    """
    judged: list[Query] = []
    for path in _files(settings, shop):
        if path.exists():
            judged = read(path)
            break
    texts = {query.text for query in judged}
    made = known_items(
        ((one.product_id, one.title, str(one.payload.get("description", ""))) for one in documents), KNOWN_ITEMS, seed
    )
    return [*judged, *(query for query in made if query.text not in texts)]


def _files(settings: Settings, shop: str) -> tuple[Path, Path]:
    return settings.home / "queries" / f"{shop}.csv", settings.home / "simulated" / shop / "queries.csv"


def assess(
    warehouse: Warehouse,
    store: Store,
    settings: Settings,
    shop: str,
    documents: Sequence[Document],
    config: SearchConfig,
) -> Assessment:
    """Ask the published collection all queries, and give it the weights that found most on one half of them.

    Where too few were judged to choose by, it gets those of the settings.

    Raises:
        CollectionError: nothing was published.
        ValueError: the file of judged queries cannot be used.
    """
    queries = queries_of(settings, shop, documents, config.seed)
    with store.reader(shop) as reader:
        manifest = reader.manifest
        embedder = Embedder.of(manifest.embedder, settings)
        searcher = Searcher(reader, embedder, config.candidates)

        def ask(text: str, weights: Mapping[str, float], top: int) -> list[str]:
            return [hit.product_id for hit in searcher.search(text, top=top, weights=weights)]

        evaluation = evaluate(ask, queries, config.weights.of_vectors())
    if evaluation.weights != manifest.weights:
        # Publishers write the same manifest.
        with warehouse.advisory_lock(f"search {shop}"):
            store.weigh(shop, evaluation.weights)
    digest = hashlib.blake2b(digest_size=8)
    for query in queries:
        digest.update(repr((query.text, sorted(query.grades.items()))).encode())
    return Assessment(manifest, queries, evaluation, f"{manifest.version} {digest.hexdigest()}")
