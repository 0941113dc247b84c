"""What a model is shown of the products that were found: harmless text, and the prices of this moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from assets.search.fresh import Fresh
from assets.search.relevance import Relevant
from assets.search.untrusted import harmless, priceless

TITLE, DESCRIPTION, WORD = 200, 700, 80
"""Characters that are shown."""
WORDS = 12
"""Levels of a category, or keywords, that are shown."""


@dataclass(frozen=True)
class Shown:
    """One product as the model sees it: all that an answer may say of it.

    Attributes:
        price: now; None where the shop has none, or where it could not be read.
    """

    product_id: str
    title: str
    categories: tuple[str, ...]
    brand: str
    keywords: tuple[str, ...]
    description: str
    price: Decimal | None
    currency: str | None

    @property
    def text(self) -> str:
        """All words that may be said of it."""
        return ". ".join(
            part for part in (self.title, *self.categories, self.brand, *self.keywords, self.description) if part
        )

    @property
    def said_price(self) -> str | None:
        """Such as `12.75 GBP`; None without a price."""
        if self.price is None or self.currency is None:
            return None
        return f"{amount(self.price)} {self.currency}"

    def to_data(self) -> dict[str, Any]:
        """For a prompt; what the product does not have is left out."""
        made = {
            "id": self.product_id,
            "title": self.title,
            "category": " > ".join(self.categories),
            "brand": self.brand,
            "keywords": ", ".join(self.keywords),
            "description": self.description,
            "price": self.said_price,
        }
        return {name: value for name, value in made.items() if value}


def amount(price: Decimal) -> str:
    """A price with two decimals, and more where it has them."""
    exact = f"{price.normalize():f}"
    return exact if len(exact.partition(".")[2]) > 2 else f"{price:.2f}"


def shown_of(found: Sequence[Relevant], fresh: Mapping[str, Fresh] | None) -> list[Shown]:
    """The products that can be answered from, in the order in which they were found.

    Left out are those that are gone, those whose id or title gives orders, and those without a title. Of the others,
    fields that give orders are left out, and prices in titles.

    Args:
        fresh: what the warehouse says now, by product; None where it could not be asked: then no price is known.
    """
    made = []
    for one in found:
        now = None if fresh is None else fresh.get(one.product_id)
        title = harmless(priceless(str(one.payload.get("title") or "")), TITLE)
        is_gone = fresh is not None and now is None
        if is_gone or not title or harmless(one.product_id, WORD) != one.product_id or set(one.product_id) & set("[]"):
            continue
        levels = one.payload.get("category") or []
        made.append(
            Shown(
                one.product_id,
                title,
                _kept(levels[-1].split(" > ") if levels else []),
                harmless(str(one.payload.get("brand") or ""), WORD),
                _kept(one.payload.get("keywords") or []),
                harmless(str(one.payload.get("description") or ""), DESCRIPTION),
                None if now is None else now.price,
                None if now is None else now.currency,
            )
        )
    return made


def _kept(words: Sequence[Any]) -> tuple[str, ...]:
    return tuple(word for word in (harmless(str(each), WORD) for each in words[:WORDS]) if word)
