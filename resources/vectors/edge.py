"""One shard of Qdrant Edge, the Qdrant engine in this process: written once, then opened by many for reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.vectors.collection import BM25, DENSE, CollectionError, FieldKind, Point, point_id

if TYPE_CHECKING:
    import qdrant_edge

PRODUCT = "product_id"
"""The payload field that every point has."""


def create(folder: Path, dimension: int, fields: Mapping[str, FieldKind]) -> qdrant_edge.EdgeShard:
    """A new, empty shard with the two vectors and an index on each payload field."""
    import qdrant_edge as edge

    shard = edge.EdgeShard.create(
        str(folder),
        edge.EdgeConfig(
            vectors={DENSE: edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine)},
            sparse_vectors={BM25: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
            # A log is also the lock that keeps a second reader out.
            wal_enabled=False,
        ),
    )
    kinds = {
        "keyword": edge.PayloadSchemaType.Keyword,
        "integer": edge.PayloadSchemaType.Integer,
        "float": edge.PayloadSchemaType.Float,
        "datetime": edge.PayloadSchemaType.Datetime,
        "text": edge.PayloadSchemaType.Text,
    }
    for name, kind in fields.items():
        shard.update(edge.UpdateOperation.create_field_index(name, kinds[kind]))
    return shard


def load(folder: Path) -> qdrant_edge.EdgeShard:
    """
    Raises:
        CollectionError: the engine cannot read the folder; all that it raises is a plain Exception.
    """
    import qdrant_edge as edge

    try:
        return edge.EdgeShard.load(str(folder))
    except Exception as error:
        raise CollectionError(f"{folder}: the engine cannot load this shard ({error}).") from error


def upsert(shard: qdrant_edge.EdgeShard, points: Sequence[Point]) -> None:
    import qdrant_edge as edge

    shard.update(
        edge.UpdateOperation.upsert_points(
            [
                edge.Point(
                    point_id(point.id),
                    {
                        DENSE: [float(number) for number in point.dense],
                        BM25: edge.SparseVector([int(n) for n in point.sparse[0]], [float(n) for n in point.sparse[1]]),
                    },
                    dict(point.payload),
                )
                for point in points
            ]
        )
    )


def delete(shard: qdrant_edge.EdgeShard, products: Sequence[str]) -> None:
    import qdrant_edge as edge

    shard.update(edge.UpdateOperation.delete_points([point_id(product) for product in products]))


def count(shard: qdrant_edge.EdgeShard) -> int:
    import qdrant_edge as edge

    return shard.count(edge.CountRequest(exact=True))


def records(shard: qdrant_edge.EdgeShard, vectors: bool = False, batch: int = 1000) -> Iterator[Any]:
    """All points, in the order of their ids."""
    import qdrant_edge as edge

    offset = None
    while True:
        found, offset = shard.scroll(
            edge.ScrollRequest(offset=offset, limit=batch, with_payload=True, with_vector=vectors)
        )
        yield from found
        if offset is None:
            return


def recall(shard: qdrant_edge.EdgeShard, sample: int = 64, nearest: int = 10) -> float:
    """Of the nearest by brute force, the mean share that the index finds, over a sample of the points as queries."""
    import qdrant_edge as edge

    shares = []
    total = count(shard)
    for record in islice(records(shard, vectors=True, batch=sample), 0, total, max(1, total // sample)):
        query = edge.Query.Nearest(record.vector[DENSE], DENSE)
        found, exact = (
            {point.id for point in shard.query(edge.QueryRequest(limit=nearest, query=query, params=params))}
            for params in (None, edge.SearchParams(exact=True))
        )
        shares.append(len(found & exact) / len(exact))
    return sum(shares) / len(shares) if shares else 1.0


def optimize(folder: Path) -> None:
    """Build the indexes of a shard. The interpreter's lock is held for as long: call it in a process of its own."""
    shard = load(folder)
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    import sys

    optimize(Path(sys.argv[1]))
