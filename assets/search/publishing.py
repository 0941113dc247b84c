"""A shop's documents and their vectors as the next version of its collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from assets.search.config import SearchConfig
from assets.search.documents import FIELDS, Document, version_of
from assets.search.embeddings import vectors_of
from resources.embedder import Embedder
from resources.far import Say
from resources.vectors import bm25
from resources.vectors.collection import CollectionError, Content, Manifest, Point, again
from resources.vectors.store import Store
from resources.warehouse import Warehouse

FORMAT = 1
"""Raised where points are made otherwise of the same documents, so that a collection is published anew."""
READ = 1000
LENGTHENED = 0.1
"""Texts that became so much longer or shorter on average have all points made anew: BM25 holds lengths against it."""


def publish(
    warehouse: Warehouse,
    store: Store,
    shop: str,
    language: str,
    documents: Sequence[Document],
    as_of: date | None,
    embedder: Embedder,
    config: SearchConfig,
    say: Say,
) -> tuple[Manifest, bool]:
    """Publish documents, whose vectors must have been made; where nothing changed, the version that is there stays.

    Only one publishes for a shop at a time: others wait, over all machines that use this warehouse.

    Returns:
        The manifest of the version that is published now, and whether it is a new one.

    Raises:
        CollectionError: vectors are missing, or the version is not what it should be; the last one stays.
    """
    by_product = {one.product_id: one for one in documents}

    def read(products: Sequence[str]) -> Iterator[Sequence[Point]]:
        for start in range(0, len(products), READ):
            part = [by_product[product] for product in products[start : start + READ]]
            with warehouse.connect() as connection:
                vectors = vectors_of(connection, embedder.identity, part)
            missing = [one.product_id for one in part if one.text_hash not in vectors]
            if missing:
                raise CollectionError(
                    f"{shop}: {len(missing)} texts have no vector, such as that of product {missing[0]!r}. Remedy: "
                    f"{again(shop)}"
                )
            yield [
                Point(one.product_id, vectors[one.text_hash].tolist(), model.document(one.text), one.payload)
                for one in part
            ]

    with warehouse.advisory_lock(f"search {shop}", lambda: say("waiting for another run that publishes")):
        try:
            last = store.manifest(shop)
        except CollectionError as error:
            # A pointer that was cut is written anew; where no server answers, the publication will say so itself.
            say(f"what is published cannot be read, and is not built upon: {error}")
            last = None
        average = bm25.average_length([one.text for one in documents])
        if last is not None and abs(average / last.average_length - 1) < LENGTHENED:
            average = last.average_length  # so that points of the last version stay as they are
        wanted = Manifest(
            shop=shop,
            version=0,
            embedder=embedder.identity,
            dimension=embedder.dimension,
            language=bm25.language_of(language),
            average_length=average,
            fields=FIELDS,
            as_of="" if as_of is None else as_of.isoformat(),
            content=f"{FORMAT} {version_of(documents)}",
            weights=config.weights.of_vectors() if last is None else last.weights,
        )
        model = bm25.Bm25(wanted.language, average)
        done = store.publish(wanted, Content({key: one.hash for key, one in by_product.items()}, read), say)
        return done, last is None or last.version != done.version
