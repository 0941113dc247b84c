"""What changes faster than a collection is published: whether a shop still has a product, and at which price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.warehouse import Warehouse


@dataclass(frozen=True)
class Fresh:
    """One product as the warehouse has it now."""

    price: Decimal | None
    currency: str | None


def read_fresh(warehouse: Warehouse, shop: str, products: Sequence[str]) -> dict[str, Fresh]:
    """What the contract says of products now; those that are gone are not in it.

    Raises:
        WarehouseError: the server does not answer.
        psycopg.Error: the contract cannot be read.
    """
    query = Path(__file__).with_name("fresh.sql").read_text(encoding="utf-8")
    with warehouse.connect(application="cartograph answers") as connection:
        found = connection.execute(query, {"shop": shop, "products": list(products)})
        return {product: Fresh(price, currency) for product, price, currency in found}
