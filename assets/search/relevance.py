"""How well a product fits a question, on a scale that holds for all questions and shops: what is found by a search is
only the best that there is."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from assets.search.retrieve import LONGEST, Searcher
from assets.search.vocabulary import LANGUAGES, SYMBOLS, Vocabulary, vocabulary_of
from resources.vectors.collection import BM25, DENSE

Order = Literal["lowest", "highest"]
WORDS = 40.0
"""A score by words of so much counts as a cosine of one. Half and twice of it part questions that a catalogue answers
from others less well (`benchmarks/answers.py`)."""


@dataclass(frozen=True)
class Relevant:
    """A product that was found.

    Attributes:
        score: of the search, which chose the products.
        relevance: the cosine of meaning, and the score by words over `WORDS`.
    """

    product_id: str
    score: float
    relevance: float
    payload: Mapping[str, Any]


def find(searcher: Searcher, query: str, top: int, where: Mapping[str, Any] | None = None) -> list[Relevant]:
    """The products that a search finds, the most relevant first.

    Args:
        query: what is beyond the length that a search takes is cut off.
        where: conditions as `assets.search.where.filter_of` takes them.

    Raises:
        SearchError: the query is empty.
    """
    query = query[:LONGEST]
    hits = searcher.search(query, where, top)
    if not hits:
        return []
    among = {"product_id": [hit.product_id for hit in hits]}
    parts = {
        vector: {
            hit.product_id: hit.score
            for hit in searcher.search(query, among, len(hits), {DENSE: 0.0, BM25: 0.0, vector: 1.0})
        }
        for vector in (DENSE, BM25)
    }
    found = [
        Relevant(
            hit.product_id,
            hit.score,
            parts[DENSE].get(hit.product_id, 0.0) + parts[BM25].get(hit.product_id, 0.0) / WORDS,
            hit.payload,
        )
        for hit in hits
    ]
    return sorted(found, key=lambda one: -one.relevance)


@dataclass(frozen=True)
class Wish:
    """What a question asks for.

    Attributes:
        text: the question without the bounds and the order of prices.
        bounds: these by their comparisons, `lt`, `lte`, `gt`, `gte`; none that is not in the shop's currency.
        order: whether the lowest or the highest price is asked for; None: neither, or both.
    """

    text: str
    bounds: Mapping[str, Decimal]
    order: Order | None

    def within(self, other: Wish) -> dict[str, Decimal]:
        """The bounds, and on the side that has none those of an earlier wish, where prices can keep to both."""
        added = {
            name: bound for name, bound in other.bounds.items() if not any(name[0] == own[0] for own in self.bounds)
        }
        lower = [bound for name, bound in {**added, **self.bounds}.items() if name[0] == "g"]
        upper = [bound for name, bound in {**added, **self.bounds}.items() if name[0] == "l"]
        return dict(self.bounds) if lower and upper and max(lower) > min(upper) else {**added, **self.bounds}

    @property
    def where(self) -> dict[str, Any]:
        """The conditions of a search."""
        return {"price": {name: str(bound) for name, bound in self.bounds.items()}} if self.bounds else {}

    def is_met(self, price: Decimal) -> bool:
        """Whether a price keeps to the bounds."""
        return all(_COMPARED[name](price, bound) for name, bound in self.bounds.items())


_WORD = re.compile(r"\w+")
_COMPARED = {"lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge}


def wish_of(question: str, currency: str) -> Wish:
    """What a question asks for, in any of the languages whose words are known.

    A bound counts where a currency stands with it: "under 50 dollars", and not "under 50 cm". One in another currency
    than the shop's is left in the text, and so is "no coat over 50 dollars": what is found is then the closest,
    whatever it costs.
    """
    bounds: dict[str, Decimal] = {}
    orders: list[Order] = []
    text = question
    for words in map(vocabulary_of, LANGUAGES):

        def bound(found: re.Match[str], names: Sequence[str], words: Vocabulary = words) -> str:
            amounts = [words.value(written) for written in found.groups() if written]
            if None in amounts or words.denied.search(found.string, 0, found.start()):
                return found[0]
            for name, amount in zip(names, amounts, strict=True):
                bounds.setdefault(name, amount or Decimal(0))
            return " "

        def order(found: re.Match[str], kind: Order, words: Vocabulary = words) -> str:
            if words.denied.search(found.string, 0, found.start()):
                return found[0]
            orders.append(kind)
            return " "

        for pattern, names in _bounds(words, currency):
            text = pattern.sub(partial(bound, names=names), text)
        text = words.cheapest.sub(partial(order, kind="lowest"), text)
        text = words.dearest.sub(partial(order, kind="highest"), text)
    text = re.sub(r"\s+(?=[?!.,;]|$)", "", " ".join(text.split()))
    # Of two orders neither can be kept: the dearest of the cheapest is not the dearest.
    order_of_all = orders[0] if len(set(orders)) == 1 else None
    return Wish(text if any(mark.isalpha() for mark in text) else question, bounds, order_of_all)


def _bounds(words: Vocabulary, currency: str) -> list[tuple[re.Pattern[str], tuple[str, ...]]]:
    """Patterns of bounds on a price, whose groups are the amounts, each with the comparisons that they mean."""
    signs = [re.escape(symbol) for symbol, code in SYMBOLS.items() if code == currency]
    before = "|".join(sorted((*signs, currency), key=len, reverse=True))
    names = "|".join((currency, *(name for name, code in words.money.items() if code == currency)))
    beside, behind = rf"(?:{before})\s?", rf"\s?(?:{before}|(?:{names})(?!\w))"
    # "1k" and "1 000" are not 1, and are no bound.
    number = r"((?>\d(?:[\d.,]*\d)?))(?!\s?(?:k|mil|thousand)\b|\s\d{3}\b|\s?\d*⁄)"
    amount = rf"(?:{beside}{number}|{number}{behind})"
    first, second, alone = words.between
    return [
        (
            re.compile(rf"(?<!\w){first}\s+(?:{beside})?{number}(?:{behind})?\s+{second}\s+{amount}", re.IGNORECASE),
            ("gte", "lte"),
        ),
        (
            re.compile(
                rf"(?<!\w)(?:{amount}(?:\s?[-–—]\s?|\s{alone}\s){amount}"
                rf"|{beside}{number}\s?[-–—]\s?{number}|{number}\s?[-–—]\s?{number}{behind})",
                re.IGNORECASE,
            ),
            ("gte", "lte"),
        ),
        *((re.compile(rf"(?<!\w){pattern}\s+{amount}", re.IGNORECASE), (name,)) for pattern, name in words.bounds),
        *(
            (re.compile(rf"(?<!\w){amount}\s+{pattern}(?!\w)", re.IGNORECASE), (name,))
            for pattern, name in words.behind
        ),
    ]


def is_beyond(question: str, texts: Sequence[str], stems: Callable[[str], frozenset[int]]) -> bool:
    """Whether a question is on what no data of a product holds: stock, discounts, delivery, returns, payment, health.

    Args:
        texts: of the products that were found. Of what stands there a question may be: a film may be of a cure.
        stems: the stems of the words of a text.
    """
    # By whole words: a stocking is not stock.
    known = set(_WORD.findall(" ".join(texts).casefold()))
    return any(
        not (own := {word for word in _WORD.findall(found[0].casefold()) if stems(word)}) or not own <= known
        for language in LANGUAGES
        for found in vocabulary_of(language).topics.finditer(question)
    )
