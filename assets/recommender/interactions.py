"""What the recommender learns from: one shop's interactions as arrays, read from the contract, saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa
    import scipy.sparse as sp

KINDS = ("view", "cart", "purchase")
"""The kinds of `fct_interactions`; `Interactions.kind` holds places in this."""
DAY = 86_400_000_000
"""A day in microseconds, the unit of all instants here."""
FORMAT = 1

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

_SELECT = """
select
    interactions.actor_id,
    interactions.product_id,
    interactions.kind,
    interactions.occurred_at,
    interactions.quantity,
    coalesce(not products.is_inferred, false) as is_listed
from contract.fct_interactions as interactions
left join contract.dim_product as products
    on products.shop = interactions.shop and products.product_id = interactions.product_id
where interactions.shop = %(shop)s
    and interactions.occurred_at < %(until)s
    and coalesce(products.is_merchandise, true)
"""


class InteractionsError(ValueError):
    """Interactions that cannot be used; the message names the value and the remedy."""


@dataclass(frozen=True)
class Interactions:
    """One shop's interactions, sorted by actor, then instant, then product, then kind.

    Actors and products stand in the order of their ids, so that the same rows give the same arrays. A product that its
    shop does not state, or no longer, stays in the history of those who touched it and is never recommended.
    """

    actor_ids: pa.StringArray
    """[actors], each with one interaction at least"""
    product_ids: pa.StringArray
    """[products], each with one interaction at least"""
    is_listed: Bools
    """[products] whether it may be recommended: the shop states it; where it states none of all these, each may"""
    actor: Ints
    """[n] place in `actor_ids`"""
    product: Ints
    """[n] place in `product_ids`"""
    kind: npt.NDArray[np.int8]
    """[n] place in `KINDS`"""
    occurred_at: Longs
    """[n] microseconds since 1970 in UTC"""
    quantity: Longs
    """[n] units bought; of views and carts the number of events"""

    def __len__(self) -> int:
        return len(self.actor)

    def until(self, instant: datetime) -> Interactions:
        """What happened before an instant, with the actors and products that occur in it alone."""
        return self.take(self.occurred_at < microseconds(instant))

    def since(self, instant: datetime) -> Interactions:
        """What happened at an instant or after it, with the actors and products that occur in it alone."""
        return self.take(self.occurred_at >= microseconds(instant))

    def take(self, rows: Bools) -> Interactions:
        """The rows of a mask [n], with the actors and products that occur in them alone."""
        import pyarrow as pa

        actors, actor = _kept(self.actor[rows], len(self.actor_ids))
        products, product = _kept(self.product[rows], len(self.product_ids))
        return Interactions(
            actor_ids=self.actor_ids.take(pa.array(actors)),
            product_ids=self.product_ids.take(pa.array(products)),
            is_listed=self.is_listed[products],
            actor=actor,
            product=product,
            kind=self.kind[rows],
            occurred_at=self.occurred_at[rows],
            quantity=self.quantity[rows],
        )

    def decayed(self, weights: Mapping[str, float], half_life_days: float, at: datetime) -> Floats:
        """The weight of each row [n]: that of its kind, halved with every half-life that it is older than `at`.

        Never below 1e-9: what was touched, however long ago, was touched, and squares must not vanish in float32.

        Raises:
            InteractionsError: a row is not before `at`.
        """
        age = microseconds(at) - self.occurred_at
        if len(age) and age.min() <= 0:
            newest = instant(int(self.occurred_at.max()))
            raise InteractionsError(f"an interaction of {newest} is not before {at}: cut them with until() first.")
        of_kind = np.array([weights[kind] for kind in KINDS], np.float32)
        decayed: Floats = of_kind[self.kind] * np.exp2(-(age / (half_life_days * DAY))).astype(np.float32)
        return np.maximum(decayed, np.float32(1e-9))

    def matrix(self, weights: Mapping[str, float], half_life_days: float, at: datetime) -> sp.csr_matrix:
        """Actors x products, float32: the sum of the decayed weights of a pair's rows."""
        import scipy.sparse as sp

        values = self.decayed(weights, half_life_days, at)
        shape = (len(self.actor_ids), len(self.product_ids))
        made = sp.csr_matrix((values, (self.actor, self.product)), shape=shape, dtype=np.float32)
        made.sum_duplicates()
        return made

    def to_table(self) -> pa.Table:
        """The rows as an Arrow table, for a Parquet file of the lake; `from_table` reads it."""
        import pyarrow as pa

        kinds = pa.DictionaryArray.from_arrays(pa.array(self.kind), pa.array(KINDS))
        return pa.table(
            {
                "actor_id": pa.DictionaryArray.from_arrays(pa.array(self.actor), self.actor_ids),
                "product_id": pa.DictionaryArray.from_arrays(pa.array(self.product), self.product_ids),
                "kind": kinds,
                "occurred_at": pa.array(self.occurred_at).cast(pa.timestamp("us", "UTC")),
                "quantity": pa.array(self.quantity),
                "is_listed": pa.array(self.is_listed[self.product]),
            }
        ).replace_schema_metadata({"cartograph": json.dumps({"format": FORMAT})})

    @classmethod
    def from_table(cls, table: pa.Table) -> Interactions:
        """Rows of a table with the columns of `to_table`, in any order; text may be dictionary-encoded.

        Raises:
            InteractionsError: a column is missing, or the table was written by a newer version.
        """
        import pyarrow.compute as pc

        told = (table.schema.metadata or {}).get(b"cartograph")
        if told is not None and json.loads(told)["format"] > FORMAT:
            raise InteractionsError(
                f"the interactions were written in format {json.loads(told)['format']} and this version reads"
                f" {FORMAT}: update cartograph, or write them again with it."
            )
        missing = {"actor_id", "product_id", "kind", "occurred_at", "quantity", "is_listed"} - set(table.column_names)
        if missing:
            raise InteractionsError(f"the table of interactions has no column {', '.join(sorted(missing))}; add it.")
        actor_ids, actor = _encoded(table["actor_id"])
        product_ids, product = _encoded(table["product_id"])
        kind_names, kind = _encoded(table["kind"])
        strange = sorted(set(kind_names.to_pylist()) - set(KINDS))
        if strange:
            raise InteractionsError(f"interactions of kind {', '.join(strange)}: use {', '.join(KINDS)}.")
        places = np.array([KINDS.index(name) for name in kind_names.to_pylist()], np.int8)
        occurred_at = pc.cast(table["occurred_at"], "int64").to_numpy()
        quantity = table["quantity"].to_numpy().astype(np.int64, copy=False)
        kinds = places[kind] if len(places) else np.zeros(0, np.int8)
        is_listed = np.zeros(len(product_ids), bool)
        is_listed[product[table["is_listed"].to_numpy(zero_copy_only=False).astype(bool)]] = True
        order = np.lexsort((kinds, product, occurred_at, actor))
        return cls(
            actor_ids=actor_ids,
            product_ids=product_ids,
            is_listed=is_listed,
            actor=actor[order],
            product=product[order],
            kind=kinds[order],
            occurred_at=occurred_at[order],
            quantity=quantity[order],
        )


def read_interactions(warehouse: Warehouse, shop: str, until: datetime) -> Interactions:
    """A shop's interactions with merchandise before an instant; none at all gives empty arrays.

    Raises:
        FrameError: the contract is not built, or the server refuses.
        InteractionsError: `until` has no timezone.
    """
    from assets.marts.frames import arrow_query

    microseconds(until)
    table = arrow_query(
        _SELECT,
        {"shop": shop, "until": until},
        encoded=("actor_id", "product_id", "kind"),
        warehouse=warehouse,
    )
    read = Interactions.from_table(table)
    # A shop without a list of products would never recommend anything.
    return read if read.is_listed.any() else only_listed(read)


def save_interactions(interactions: Interactions, lake: Any, name: str) -> None:
    """Write them to the lake as one Parquet file.

    Args:
        lake: a `resources.lake.Lake`.
        name: the file's name in it.

    Raises:
        SourceError: a far lake does not take it.
    """
    table = interactions.to_table()
    with lake.create(name, table.schema) as writer:
        writer.write_table(table)


def load_interactions(lake: Any, name: str) -> Interactions:
    """Read what `save_interactions` wrote.

    Raises:
        SourceError: there is no such file, or it cannot be read.
        InteractionsError: it was written by a newer version.
    """
    return Interactions.from_table(lake.open(name).read())


def only_listed(interactions: Interactions) -> Interactions:
    """The same rows where each product may be recommended."""
    return replace(interactions, is_listed=np.ones(len(interactions.product_ids), bool))


def microseconds(at: datetime) -> int:
    """An instant in microseconds since 1970 in UTC.

    Raises:
        InteractionsError: it has no timezone.
    """
    if at.tzinfo is None:
        raise InteractionsError(f"{at} has no timezone: give an instant with one, such as {at.replace(tzinfo=UTC)}.")
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def instant(at: int) -> datetime:
    """The instant of so many microseconds since 1970, in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)


def _kept(places: Ints, count: int) -> tuple[Ints, Ints]:
    """Which of `count` things occur, and the places among those."""
    occurs = np.zeros(count, bool)
    occurs[places] = True
    renumbered = np.cumsum(occurs, dtype=np.int32) - 1
    return np.flatnonzero(occurs).astype(np.int32), renumbered[places] if count else places


def _encoded(column: pa.ChunkedArray) -> tuple[pa.StringArray, Ints]:
    """The distinct texts of a column in their order, and the place of each row's among them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no rows
        return pa.array([], pa.string()), np.zeros(0, np.int32)
    # A dictionary may hold what no row has.
    occurring, places = _kept(whole.indices.to_numpy(zero_copy_only=False).astype(np.int32), len(whole.dictionary))
    values = whole.dictionary.take(pa.array(occurring)).cast(pa.string())
    order = pc.sort_indices(values).to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return values.take(pa.array(order)), rank[places] if len(rank) else places
