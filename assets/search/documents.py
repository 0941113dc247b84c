"""A shop's products as documents: the text that is embedded, and the payload that filters use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.vectors.collection import FieldKind

if TYPE_CHECKING:
    import psycopg

FIELDS: dict[str, FieldKind] = {
    "product_id": "keyword",
    "title": "text",
    "category": "keyword",
    "brand": "keyword",
    "keywords": "keyword",
    "price": "float",
    "currency": "keyword",
    "country": "keyword",
    "units": "integer",
    "orders": "integer",
    "sales": "float",
    "first_sold_at": "datetime",
    "last_sold_at": "datetime",
}
"""What filters may name, of the payload. `category` holds each level of its path, `country` all countries that the
product went to."""

LEVEL = " > "
"""Between the levels of a category's path."""

DDL = """
create schema if not exists features;
create table if not exists features.product_documents (
    shop text not null,
    product_id text not null,
    text text not null,                 -- what is embedded: slow attributes alone
    text_hash text not null,
    payload jsonb not null,             -- what filters and answers use
    hash text not null,                 -- of text and payload
    primary key (shop, product_id)
);
comment on table features.product_documents is
    'One row is one product that can be searched, as it is embedded and filtered.';
create index if not exists product_documents_by_text on features.product_documents (text_hash);
"""


@dataclass(frozen=True)
class Document:
    """One product."""

    product_id: str
    text: str
    payload: Mapping[str, Any]

    @property
    def title(self) -> str:
        return str(self.payload.get("title") or self.product_id)

    @cached_property
    def text_hash(self) -> str:
        return _digest(self.text)

    @cached_property
    def hash(self) -> str:
        return _digest(self.text + "\0" + self.payload_json)

    @property
    def payload_json(self) -> str:
        return json.dumps(dict(self.payload), sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class Snapshot:
    """The documents of a shop.

    Attributes:
        as_of: the shop's last closed day; None where nothing of it is dated.
        version: a hash of all documents.
    """

    shop: str
    as_of: date | None
    documents: Sequence[Document]
    version: str


@dataclass(frozen=True)
class Changes:
    """What a snapshot changed in `features.product_documents`."""

    new: int
    changed: int
    gone: int


def ensure_documents(connection: psycopg.Connection) -> None:
    """Make the table where it is absent; the caller commits."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph ddl features', 0))")
    connection.execute(DDL)


def read(connection: psycopg.Connection, shop: str) -> Snapshot:
    """The documents of a shop by its contract as it is now, in the order of their products."""
    from psycopg.rows import dict_row

    query = Path(__file__).with_name("documents.sql").read_text(encoding="utf-8")
    with connection.cursor(row_factory=dict_row) as cursor:
        made = [document(row) for row in cursor.execute(query, {"shop": shop})]
    return Snapshot(shop, as_of(connection, shop), made, version_of(made))


def as_of(connection: psycopg.Connection, shop: str) -> date | None:
    """The last closed day of a shop; None where nothing of it is dated."""
    row = connection.execute("select as_of from contract.shop_clock where shop = %s", [shop]).fetchone()
    return None if row is None else row[0]


def keep(connection: psycopg.Connection, snapshot: Snapshot) -> Changes:
    """Put a snapshot in the place of the one that is kept, in the caller's transaction."""
    before: dict[str, str] = dict(
        connection.execute(
            "select product_id, hash from features.product_documents where shop = %s", [snapshot.shop]
        ).fetchall()
    )
    due = [one for one in snapshot.documents if before.get(one.product_id) != one.hash]
    gone = before.keys() - {one.product_id for one in snapshot.documents}
    connection.execute(
        "delete from features.product_documents where shop = %s and product_id = any(%s)",
        [snapshot.shop, [*gone, *(one.product_id for one in due if one.product_id in before)]],
    )
    with connection.cursor().copy(
        "copy features.product_documents (shop, product_id, text, text_hash, payload, hash) from stdin"
    ) as copy:
        for one in due:
            copy.write_row((snapshot.shop, one.product_id, one.text, one.text_hash, one.payload_json, one.hash))
    new = sum(one.product_id not in before for one in due)
    return Changes(new, len(due) - new, len(gone))


def kept(connection: psycopg.Connection, shop: str) -> list[Document]:
    """The documents of a shop as they were kept, in the order of their products."""
    found = connection.execute(
        "select product_id, text, payload from features.product_documents where shop = %s"
        ' order by product_id collate "C"',
        [shop],
    )
    return [Document(*row) for row in found]


def version_of(documents: Sequence[Document]) -> str:
    """A hash of documents, whatever their order."""
    return _digest("\n".join(sorted(f"{one.product_id} {one.hash}" for one in documents)))


def document(row: Mapping[str, Any]) -> Document:
    """One row of `documents.sql` as a document."""
    levels = [] if row["category"] is None else row["category"].split(LEVEL)
    keywords = [word.strip() for word in (row["keywords"] or "").split(",") if word.strip()]
    payload = {
        "product_id": row["product_id"],
        "title": row["title"],
        "description": row["description"],
        "category": [LEVEL.join(levels[: depth + 1]) for depth in range(len(levels))],
        "brand": row["brand"],
        "keywords": keywords,
        "price": row["price"],
        "currency": row["currency"],
        "country": row["countries"],
        "units": row["units"],
        "orders": row["orders"],
        "sales": row["sales"],
        "sales_currency": row["sales_currency"],
        "first_sold_at": _moment(row["first_sold_at"]),
        "last_sold_at": _moment(row["last_sold_at"]),
    }
    return Document(
        row["product_id"],
        text_of(row["title"], levels, row["brand"], keywords, row["description"]),
        # What a product does not have is left out: an engine tells null from absent, a filter should not.
        {name: value for name, value in payload.items() if value not in (None, [])},
    )


def text_of(
    title: str | None, levels: Sequence[str], brand: str | None, keywords: Sequence[str], description: str | None
) -> str:
    """What is embedded: the title, what it is, and its long text, whose end a model may cut."""

    def parts() -> Iterator[str]:
        if title:
            yield title
        if brand and brand.lower() not in (title or "").lower():
            yield brand
        # What the category says again is left out.
        words = [*levels, *keywords]
        if words:
            yield ", ".join(dict.fromkeys(words))
        if description:
            yield description

    return ". ".join(" ".join(part.split()).rstrip(".") for part in parts())


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=12).hexdigest()
