"""What a published collection is: its manifest, its points, and what is checked before readers see it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

DENSE, BM25 = "dense", "bm25"
"""The names of the two vectors of a point."""
FieldKind = Literal["keyword", "integer", "float", "datetime", "text"]
KEPT = 2
"""So many versions stay, the current one included, besides those that a reader holds."""
LEAST_RECALL = 0.95
"""Of the ten nearest by brute force, so many must be found through the index, or the version is not published."""
NAMESPACE = uuid.UUID("7ad1d1ea-6f0b-5d0c-9c4f-2f1f4a1f0b57")


class CollectionError(Exception):
    """A collection cannot be read or published; the message names it and the remedy."""


def unpublished(shop: str) -> CollectionError:
    """What is raised where readers find no version of a shop."""
    return CollectionError(f"no products of {shop} were published yet. Remedy: {again(shop)}")


def again(shop: str) -> str:
    """The command that publishes the products of a shop, for the remedy of an error."""
    return f"cartograph materialize 'group:search' --shop {shop}"


@dataclass(frozen=True)
class Point:
    """One product of a collection.

    Attributes:
        id: the product, as its shop calls it.
        dense: a unit vector.
        sparse: indices and weights of BM25.
        payload: what filters and answers use, JSON values; times as RFC 3339.
    """

    id: str
    dense: Sequence[float]
    sparse: tuple[Sequence[int], Sequence[float]]
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Manifest:
    """What a version of a collection is, beside its points. Readers embed queries with what it names.

    Attributes:
        embedder: what made the dense vectors, as `Embedder.identity` tells it.
        language: of the stemmer and stop words of BM25; `none` for neither.
        average_length: words of a text, which BM25 holds lengths against.
        fields: the payload fields that filters may name, with their kinds.
        weights: what a hit of each vector counts in a hybrid search.
        content: a hash of all points; the same content is not published twice.
        recall: of ten nearest by brute force, the mean share that the index finds.
    """

    shop: str
    version: int
    embedder: str
    dimension: int
    language: str
    average_length: float
    fields: Mapping[str, FieldKind]
    as_of: str
    content: str
    points: int = 0
    recall: float = 0.0
    made_at: str = ""
    weights: Mapping[str, float] = field(default_factory=lambda: {DENSE: 1.0, BM25: 1.0})

    @property
    def name(self) -> str:
        return f"{alias_of(self.shop)}_{self.version:06d}"

    def is_like(self, other: Manifest) -> bool:
        """Whether points of the other can stand in this one as they are."""
        ours, theirs = (
            (one.embedder, one.dimension, one.language, one.average_length, dict(one.fields)) for one in (self, other)
        )
        return ours == theirs

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what `to_json` wrote.

        Raises:
            ValueError: a field is missing, or has a value of another type; the message is one line.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            place = ".".join(str(step) for step in first["loc"])
            raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error

    def with_(self, **changes: Any) -> Manifest:
        return replace(self, **changes)


@dataclass(frozen=True)
class Content:
    """What a version shall hold.

    Attributes:
        hashes: a hash of each point by product; what has the hash of the last version is taken over from it.
        read: the points of some products, in batches.
    """

    hashes: Mapping[str, str]
    read: Callable[[Sequence[str]], Iterator[Sequence[Point]]]


def alias_of(shop: str) -> str:
    """The name under which readers find the products of a shop."""
    return f"{shop}_products"


def point_id(product: str) -> str:
    """The id of a product's point: engines take numbers and UUIDs only."""
    return str(uuid.uuid5(NAMESPACE, product))


def batches(content: Content, products: Sequence[str], dimension: int) -> Iterator[Sequence[Point]]:
    """The points of some products, each seen to be there once and to hold numbers.

    Raises:
        CollectionError: `read` gave other points than it was asked for, a vector of another dimension, one that is no
            unit vector, or weights that are no numbers.
    """
    import numpy as np

    due = set(products)
    for batch in content.read(products):
        for point in batch:
            if point.id not in due:
                raise CollectionError(f"the point {point.id!r} comes twice, or was not asked for")
            due.remove(point.id)
            if len(point.dense) != dimension:
                raise CollectionError(f"the vector of {point.id!r} has {len(point.dense)} numbers, not {dimension}")
            # The engine takes vectors of NaN, and finds them nowhere.
            length = float(np.linalg.norm(np.asarray(point.dense, dtype=np.float64)))
            if not abs(length - 1) < 1e-3:
                raise CollectionError(f"the vector of {point.id!r} has the length {length}, and must have 1")
            indices, weights = point.sparse
            if len(indices) != len(weights) or not np.isfinite(np.asarray(weights, dtype=np.float64)).all():
                raise CollectionError(f"the words of {point.id!r} must have one finite weight each")
        yield batch
    if due:
        raise CollectionError(f"{len(due):,} points are missing, such as {min(due)!r}")


def check_recall(name: str, recall: float) -> float:
    """
    Raises:
        CollectionError: it is too low to publish.
    """
    if recall < LEAST_RECALL:
        raise CollectionError(
            f"{name}: through its index {recall:.3f} of the ten nearest are found, and {LEAST_RECALL} must be. Remedy: "
            "publish again; where it stays so, report it with the shop's number of products."
        )
    return recall
