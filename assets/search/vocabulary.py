"""Words by language: the frames of an answer, what questions ask for, what of the data is not said again."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

WORDS = Path(__file__).with_name("words")
LANGUAGES = tuple(sorted(file.stem for file in WORDS.glob("*.toml")))
"""Those that answers can be written in, as ISO 639-1 codes."""
SYMBOLS = {"£": "GBP", "$": "USD", "€": "EUR", "¥": "JPY", "R$": "BRL", "US$": "USD"}


@dataclass(frozen=True)
class Vocabulary:
    """The words of one language.

    Attributes:
        frames: the words around what is said of products, by their place in a sentence (`Grounding`), as patterns on
            text in small letters without punctuation.
        has_comma: whether a comma stands before the cents.
        money: words for currencies.
        unsaid: in a text of a product: praise, prices and stock, talk to or of people and machines, in any language. It
            is not said again.
        topics: in a question: what no data of a product holds, such as stock, discounts, delivery, payment, health.
        bounds: in a question: what stands before an amount, with the comparison of a filter that it means.
        behind: in a question: what stands behind an amount, likewise.
        between: in a question: what stands before and between two amounts, and what stands between two alone.
        denied: in a question: ends what stands before words that are turned round.
        cheapest, dearest: in a question: an order of prices.
    """

    frames: Mapping[str, str]
    has_comma: bool
    money: Mapping[str, str]
    unsaid: re.Pattern[str]
    topics: re.Pattern[str]
    bounds: Sequence[tuple[str, str]]
    behind: Sequence[tuple[str, str]]
    between: tuple[str, str, str]
    denied: re.Pattern[str]
    cheapest: re.Pattern[str]
    dearest: re.Pattern[str]

    def value(self, written: str) -> Decimal | None:
        """The value of a number as people write it in the language, or as the data has it; None where it is none."""
        group, point = (".", ",") if self.has_comma else (",", ".")
        if re.fullmatch(rf"[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+(?:{re.escape(point)}\d+)?", written):
            return Decimal(written.replace(group, "").replace(point, "."))
        return Decimal(written.replace(",", ".")) if re.fullmatch(r"\d+(?:[.,]\d+)?", written) else None


@cache
def vocabulary_of(language: str) -> Vocabulary:
    """The words of a language; of one without a list, those of English."""
    told = _read(known(language))
    asked, every = told["questions"], [_read(one) for one in LANGUAGES]
    return Vocabulary(
        frames={name: f"(?:{'|'.join(f' {entry}' for entry in entries)})" for name, entries in told["frames"].items()},
        has_comma=told["has_comma"],
        money=told["money"],
        unsaid=_words([entry for one in every for entry in (*one["data"]["unsaid"], *one["questions"]["topics"])]),
        topics=_words(asked["topics"]),
        bounds=[(words, operator) for words, operator in asked["bounds"]],
        behind=[(words, operator) for words, operator in asked["behind"]],
        between=(asked["between"][0], asked["between"][1], asked["between"][2]),
        denied=re.compile(rf"(?<!\w)(?:{'|'.join(asked['denied'])})(?:[^\w.?!]+\w+){{0,4}}[^\w.?!]*\Z", re.IGNORECASE),
        cheapest=_words(asked["cheapest"]),
        dearest=_words(asked["dearest"]),
    )


@cache
def _read(language: str) -> dict[str, Any]:
    return tomllib.loads((WORDS / f"{language}.toml").read_text(encoding="utf-8"))


def known(language: str) -> str:
    """A language that answers can be written in: this one, else English."""
    return language if language in LANGUAGES else "en"


def _words(entries: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(entries)})(?!\w)", re.IGNORECASE)
