"""Small made collections of products, without ties in any score, so that two engines can be held against each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from qdrant_edge import Bm25, Bm25Config

from resources.vectors.collection import Content, FieldKind, Manifest, Point
from resources.vectors.reader import Reader
from resources.vectors.store import Store

SHOP = "made"
DIMENSION = 16
WORDS = ("lamp", "chair", "table", "vase", "clock", "mug", "candle", "basket", "mirror", "shelf")
COLOURS = ("red", "green", "blue", "white", "black", "yellow", "golden")
FIELDS: Mapping[str, FieldKind] = {
    "product_id": "keyword",
    "title": "text",
    "price": "float",
    "stock": "integer",
    "category": "keyword",
    "brand": "keyword",
    "countries": "keyword",
    "first_sold": "datetime",
}
# Each field has an index of several files, which take most of the time of a publication.
FEW = {name: FIELDS[name] for name in ("product_id", "price")}
ENGINE = Bm25(Bm25Config(language="english", avg_len=60.0))


@dataclass(frozen=True)
class Made:
    """What a collection is made of.

    Attributes:
        products: what makes each point: a changed number makes another hash and another price, on the same vectors.
        embedder, fields, dimension: those of the manifest.
        points: made otherwise than by their number.
    """

    products: Mapping[str, int]
    embedder: str = "made/1"
    fields: Mapping[str, FieldKind] = field(default_factory=lambda: FEW)
    dimension: int = DIMENSION
    points: Mapping[str, Point] = field(default_factory=dict)

    def point(self, product: str) -> Point:
        return self.points.get(product) or point(product, self.products[product], self.dimension)

    def hashes(self) -> dict[str, str]:
        return {product: hashlib.sha256(repr(self.point(product)).encode()).hexdigest() for product in self.products}

    def content(self, asked: list[str] | None = None) -> Content:
        """
        Args:
            asked: takes the products whose points were read.
        """

        def read(products: Sequence[str]) -> Iterator[Sequence[Point]]:
            if asked is not None:
                asked.extend(products)
            for at in range(0, len(products), 64):
                yield [self.point(product) for product in products[at : at + 64]]

        return Content(self.hashes(), read)

    def manifest(self) -> Manifest:
        content = hashlib.sha256(json.dumps(self.hashes(), sort_keys=True).encode()).hexdigest()
        return Manifest(
            shop=SHOP,
            version=0,
            embedder=self.embedder,
            dimension=self.dimension,
            language="english",
            average_length=60.0,
            fields=self.fields,
            as_of="2026-01-01",
            content=content,
        )

    def changed(self, products: Mapping[str, int], gone: Sequence[str] = ()) -> Made:
        """With other numbers for some products, or new products, and without others."""
        kept = {product: number for product, number in {**self.products, **products}.items() if product not in gone}
        return replace(self, products=kept)


def made(count: int = 100) -> Made:
    return Made({f"p{at:03d}": at for at in range(count)})


def point(product: str, number: int, dimension: int = DIMENSION) -> Point:
    """The point of a product such as p012: its vectors and words come from its name, its price from the number."""
    numbers = np.random.default_rng(list(product.encode()))
    vector = numbers.normal(size=dimension)
    vector /= np.linalg.norm(vector)
    words = [*numbers.choice(WORDS, numbers.integers(1, 4)), *numbers.choice(COLOURS, numbers.integers(1, 4))]
    # No two titles have as many words, so that no two weights of a word are the same.
    length = int(product.removeprefix("p"))
    title = " ".join([*map(str, words), *(f"w{length}x{at}" for at in range(len(words), 10 + length))])
    payload: dict[str, Any] = {
        "product_id": product,
        "title": title,
        "price": number + 0.25,
        "stock": number % 3,
        "category": str(words[0]),
        "countries": [str(name) for name in numbers.choice(["France", "Chile", "Japan", "Ghana"], 2, replace=False)],
        "first_sold": f"2025-{1 + number % 12:02d}-{1 + number % 28:02d}T10:00:00+00:00",
    }
    # A brand may be there, be none, be empty, or be missing.
    match number % 5:
        case 0:
            payload["brand"] = None
        case 1:
            payload["brand"] = []
        case 2:
            payload["brand"] = "Acme"
        case 3:
            payload["brand"] = "Brio"
    return Point(product, [float(one) for one in vector], sparse(title, document=True), payload)


def sparse(text: str, document: bool = False) -> tuple[list[int], list[float]]:
    made = ENGINE.embed_document(text) if document else ENGINE.embed_query(text)
    return list(made.indices), list(made.values)


def unit(seed: int, dimension: int = DIMENSION) -> list[float]:
    """A vector to ask with."""
    vector = np.random.default_rng(seed).normal(size=dimension)
    return [float(one) for one in vector / np.linalg.norm(vector)]


def publish(store: Store, made: Made, asked: list[str] | None = None) -> Manifest:
    return store.publish(made.manifest(), made.content(asked), lambda message: None)


def prices(reader: Reader) -> dict[str, float]:
    """The price of each product that a reader finds, page by page."""
    found, offset = {}, None
    while True:
        records, offset = reader.scroll(limit=50, offset=offset)
        found |= {record.payload["product_id"]: record.payload["price"] for record in records if record.payload}
        if offset is None:
            return found


def check(reader: Reader, made: Made) -> None:
    """That a reader answers with just this."""
    assert prices(reader) == {product: number + 0.25 for product, number in made.products.items()}
    assert reader.count().count == reader.manifest.points == len(made.products)
