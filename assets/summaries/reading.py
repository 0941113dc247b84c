"""Reading a summary: the derivations of a sentence by `grammar.lark` and the words of its language."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.summaries.facts import AGAINST, METRICS

if TYPE_CHECKING:
    from lark import Lark, Tree

GRAMMAR = Path(__file__).with_name("grammar.lark")
WORDS = Path(__file__).with_name("words")
LANGUAGES = frozenset(file.stem for file in WORDS.glob("*.toml"))
"""The languages that can be read, as ISO 639-1 codes."""
_END = re.compile(r"\.+(?=\s|$)|\n+")
_CHOICE = re.compile(r"\(([^()]*)\)")
_METRIC, _AGAINST = "|".join(metric.name for metric in METRICS), "|".join(AGAINST)
_PRODUCT = r"(?:riser|faller|top_product)_\d"
_IDS = {
    "DATE": "date",
    "PASTDATE": "day_before_date|week_before_date",
    "VALUE": _METRIC,
    "THEN": f"(?:{_METRIC})_(?:{_AGAINST})",
    "CHANGE": f"(?:{_METRIC})_vs_(?:{_AGAINST})",
    "LOW": f"(?:{_METRIC})_band_low",
    "HIGH": f"(?:{_METRIC})_band_high",
    "PRODUCT": _PRODUCT,
    "PCHANGE": f"{_PRODUCT}_change",
    "PREVENUE": f"{_PRODUCT}_revenue",
    "PUNITS": f"{_PRODUCT}_units",
    "COUNTRY": "top_country",
    "SHARE": "top_country_share",
    "CREVENUE": "top_country_revenue",
}
"""The terminals that are ids of facts in braces -> these ids."""


@dataclass(frozen=True)
class Word:
    """A word, a phrase or an id that a derivation holds.

    Attributes:
        kind: the terminal.
        value: what it means, by the tables of the words; of an id the id.
        said: as it stands in the text.
    """

    kind: str
    value: str
    said: str


@dataclass(frozen=True)
class Node:
    """A part of a sentence by a rule of the grammar."""

    rule: str
    parts: tuple[Node | Word, ...]


class UnreadError(Exception):
    """A sentence that cannot be derived.

    Attributes:
        at: the words where the reading stopped.
    """

    def __init__(self, at: str) -> None:
        super().__init__(at)
        self.at = at


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the marks that end them."""
    return [part.strip() for part in _END.split(text) if part.strip()]


def derivations(sentence: str, language: str) -> Tree[Any]:
    """A sentence's derivations, as a tree whose `_ambig` nodes hold the alternatives.

    Raises:
        UnreadError: there is none.
    """
    from lark.exceptions import UnexpectedCharacters, UnexpectedEOF

    text = sentence.replace("’", "'")
    try:
        return _parser(language).parse(text)
    except UnexpectedCharacters as error:
        raise UnreadError(" ".join(text[error.pos_in_stream :].split()[:4])) from error
    except UnexpectedEOF as error:
        raise UnreadError("at its end") from error


@dataclass(frozen=True)
class Vocabulary:
    """The words of one language.

    Attributes:
        meanings: a terminal -> a phrase in small letters -> what it means.
    """

    meanings: Mapping[str, Mapping[str, str]]

    def word(self, kind: str, said: str) -> Word:
        """What stands for a terminal in a text."""
        if kind in _IDS:
            return Word(kind, said[1:-1], said)
        table = self.meanings.get(kind, {})
        return Word(kind, table.get(" ".join(said.lower().split()), said), said)


@cache
def vocabulary_of(language: str) -> Vocabulary:
    """The words of a language of `LANGUAGES`."""
    tables = tomllib.loads((WORDS / f"{language}.toml").read_text(encoding="utf-8"))
    made: dict[str, dict[str, str]] = {}
    for kind, values in tables.items():
        phrases = made.setdefault(kind, {})
        for value, entries in values.items():
            for entry in re.split(r"[,\n]", entries):
                for phrase in expanded(entry):
                    if phrases.setdefault(phrase, value) != value:
                        raise ValueError(f"{language}.toml: {kind}: {phrase!r} means {phrases[phrase]} and {value}")
    return Vocabulary(made)


def expanded(entry: str) -> Iterator[str]:
    """The phrases of an entry with choices: `(a|b|) c` is `a c`, `b c` and `c`."""
    found = _CHOICE.search(entry)
    if found is None:
        if phrase := " ".join(entry.split()):
            yield phrase
        return
    for choice in found[1].split("|"):
        yield from expanded(entry[: found.start()] + choice + entry[found.end() :])


@cache
def _parser(language: str) -> Lark:
    from lark import Lark

    lines = [GRAMMAR.read_text(encoding="utf-8"), r"COMMA: /[,;:](?=\s)|[()]/", r"%ignore /[ \t\u00a0]+/"]
    lines += [rf"{kind}: /\{{(?:{ids})\}}/" for kind, ids in _IDS.items()]
    for kind, phrases in vocabulary_of(language).meanings.items():
        ordered = sorted(phrases, key=len, reverse=True)
        words = "|".join(re.escape(phrase).replace(r"\ ", r"\s+").replace("/", r"\/") for phrase in ordered)
        words = rf"(?<![\w'-])(?:{words})(?![\w'-])"
        lines.append(f"{kind}: /{words}/i")
        if kind == "IGNORED":
            # With the commas around it, behind or before which the sentence goes on as without them.
            lines += [f"%ignore /{words}/i", rf"%ignore /,\s*{words}\s*,/i", rf"%ignore /{words}\s*,/i"]
    return Lark("\n".join(lines), parser="earley", lexer="dynamic", ambiguity="explicit", start="sentence")
