"""Words of answers by language: those that claim nothing of a product, those that promise, those that compare."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WORDS = Path(__file__).with_name("words")
SYMBOLS = {"£": "GBP", "$": "USD", "€": "EUR", "¥": "JPY", "R$": "BRL", "US$": "USD"}


@dataclass(frozen=True)
class Vocabulary:
    """The words of one language.

    Attributes:
        plain: words that an answer may use whatever the products are, in any inflection.
        promises: what no data of a product holds: discounts, delivery, stock, contact, talk of the machine itself.
        praise: what data cannot show.
        unsure: says that something is not known.
        negation: a word behind which something is denied.
        plural: speaks, behind several citations, of all of them.
        together: speaks, before several citations, of all of them.
        cheapest, dearest, cheaper, dearer: comparisons of prices.
        price: what stands before a number that is a price.
        below, above: what stands before a number that bounds a price.
        splitters: between what is said of one product and of the next.
        wish: an opening that repeats what was asked for.
        numbers: the values of number words; below zero for shares.
        money: words for currencies.
    """

    plain: frozenset[str]
    promises: re.Pattern[str]
    praise: re.Pattern[str]
    unsure: re.Pattern[str]
    negation: re.Pattern[str]
    plural: re.Pattern[str]
    together: re.Pattern[str]
    cheapest: re.Pattern[str]
    dearest: re.Pattern[str]
    cheaper: re.Pattern[str]
    dearer: re.Pattern[str]
    price: re.Pattern[str]
    below: re.Pattern[str]
    above: re.Pattern[str]
    splitters: re.Pattern[str]
    wish: re.Pattern[str]
    numbers: Mapping[str, int]
    money: Mapping[str, str]

    @property
    def comparisons(self) -> tuple[re.Pattern[str], ...]:
        return self.cheapest, self.dearest, self.cheaper, self.dearer


@cache
def vocabulary_of(language: str) -> Vocabulary:
    """The words of a language; of one without a list, those of English: an answer in it can then only be given in the
    words of its products."""
    path = WORDS / f"{language}.toml"
    told = tomllib.loads((path if path.exists() else WORDS / "en.toml").read_text(encoding="utf-8"))

    def words(name: str, end: str = r"(?!\w)") -> re.Pattern[str]:
        return re.compile(rf"\b(?:{'|'.join(told[name].split(chr(10))[:-1])}){end}", re.IGNORECASE)

    def before(name: str) -> re.Pattern[str]:
        # Matches at the end of what stands before a number.
        return words(name, r"\W*$")

    return Vocabulary(
        plain=frozenset(told["plain"].split()),
        promises=words("promises"),
        praise=words("praise"),
        unsure=words("unsure"),
        negation=words("negation"),
        plural=words("plural"),
        together=words("together"),
        cheapest=words("cheapest"),
        dearest=words("dearest"),
        cheaper=words("cheaper"),
        dearer=words("dearer"),
        price=before("price"),
        below=before("below"),
        above=before("above"),
        splitters=re.compile(told["splitters"], re.IGNORECASE),
        wish=re.compile(told["wish"], re.IGNORECASE),
        numbers=told["numbers"],
        money=told["money"],
    )
