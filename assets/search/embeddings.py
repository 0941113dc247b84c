"""Vectors of texts, each made once: they are kept by embedder and hash of the text, whichever product has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from assets.search.documents import Document
from resources.embedder import Embedder
from resources.far import Say
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import psycopg

DDL = """
create table if not exists features.embeddings (
    embedder text not null,
    text_hash text not null,
    vector bytea not null,              -- float32, little-endian
    made_at timestamptz not null default clock_timestamp(),
    primary key (embedder, text_hash)
);
comment on table features.embeddings is 'One row is the unit vector of one text by one embedder.';
"""
COMMITTED = 1024
"""So many vectors are kept at once: a run that is killed loses no more."""


@dataclass(frozen=True)
class Embedded:
    """What a run embedded.

    Attributes:
        texts: different texts of the shop.
        made: those of them that had no vector yet.
        dropped: vectors, of any shop, whose text no product has any more.
    """

    texts: int
    made: int
    dropped: int
    seconds: float


def ensure_embeddings(connection: psycopg.Connection) -> None:
    """Make the table where it is absent; the caller commits."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph ddl features', 0))")
    connection.execute(DDL)


def embed_missing(warehouse: Warehouse, embedder: Embedder, documents: Sequence[Document], say: Say) -> Embedded:
    """Embed the texts that have no vector yet, and forget those that nobody has any more.

    Raises:
        EmbedderError: the model cannot be loaded.
    """
    texts = {one.text_hash: one.text for one in documents}
    begun = monotonic()
    with warehouse.connect() as connection:
        ensure_embeddings(connection)
        there = {
            row[0]
            for row in connection.execute(
                "select text_hash from features.embeddings where embedder = %s and text_hash = any(%s)",
                [embedder.identity, list(texts)],
            )
        }
    # Texts of like length in one batch.
    due = sorted((key for key in texts if key not in there), key=lambda key: len(texts[key]))
    if due:
        say(f"{len(due):,} of {len(texts):,} texts have no vector yet")
    for start in range(0, len(due), COMMITTED):
        part = due[start : start + COMMITTED]
        vectors = embedder.embed([texts[key] for key in part])
        with warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "insert into features.embeddings (embedder, text_hash, vector) values (%s, %s, %s)"
                " on conflict do nothing",
                [
                    (embedder.identity, key, vector.astype("<f4").tobytes())
                    for key, vector in zip(part, vectors, strict=True)
                ],
            )
        done = start + len(part)
        say(f"{done:,} of {len(due):,} embedded, {done / (monotonic() - begun):,.0f} a second")
    seconds = monotonic() - begun
    with warehouse.connect() as connection:
        dropped = connection.execute(
            "delete from features.embeddings as held where not exists"
            " (select from features.product_documents as documents where documents.text_hash = held.text_hash)"
        ).rowcount
    return Embedded(len(texts), len(due), dropped, seconds)


def vectors_of(
    connection: psycopg.Connection, embedder: str, documents: Sequence[Document]
) -> dict[str, NDArray[np.float32]]:
    """The vectors of documents by the hash of their text, where they were made."""
    found = connection.execute(
        "select text_hash, vector from features.embeddings where embedder = %s and text_hash = any(%s)",
        [embedder, list({one.text_hash for one in documents})],
    )
    return {key: np.frombuffer(vector, "<f4") for key, vector in found}
