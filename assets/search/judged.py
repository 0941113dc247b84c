"""Searches with judged answers: read from a CSV of judgements, or made of the texts of a catalogue."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from assets.search.metrics import FITS

COLUMNS = ("query", "product_id", "grade", "kind")
GRADES = {"1": 1, "2": 2, "3": 3}

SHUFFLED, TYPO, PART = KNOWN_ITEMS = ("shuffled", "typo", "part")
"""Kinds of known-item queries."""
_LONG = 40
"""Words from which a description is long enough to ask with a part of it."""
_WORD = re.compile(r"[^\W\d_]{3,}")
_STOP = frozenset((
    "about", "after", "all", "also", "and", "another", "any", "are", "been", "before", "but", "can", "could", "for",
    "from", "had", "has", "have", "her", "him", "his", "how", "into", "its", "like", "more", "not", "off", "one",
    "only", "other", "our", "out", "over", "own", "she", "some", "such", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "through", "too", "two", "very", "was", "were", "what", "when", "where",
    "which", "while", "who", "whose", "will", "with", "would", "you", "your",
))  # fmt: skip


@dataclass(frozen=True)
class Query:
    """One search with its judged answers."""

    text: str
    grades: Mapping[str, int]
    """Product id -> 1 near, 2 fits, 3 exact; at least one fits. A product without a grade is wrong."""
    kind: str
    """Such as `words`, `plain` or `broken`: figures are given for each kind."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("the query is empty: leave it out")
        for product, grade in self.grades.items():
            if grade not in GRADES.values():
                raise ValueError(f"{product!r} has the grade {grade} for {self.text!r}: it must be 1, 2 or 3")
        if max(self.grades.values(), default=0) < FITS:
            raise ValueError(f"no product has a grade of {FITS} or more for {self.text!r}: judge one, or leave it out")


def read(path: Path) -> list[Query]:
    """The queries of a CSV with the columns `query, product_id, grade, kind`, one row a judged pair, in its order.

    Raises:
        ValueError: the file is not such a CSV, or a line of it is wrong; the message names file, line and value, and
            says what to do.
        OSError: the file cannot be read.
    """
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    first: dict[str, tuple[int, str]] = {}

    def wrong(line: int, what: str) -> ValueError:
        return ValueError(f"{path}, line {line}: {what}")

    with path.open(encoding="utf-8", newline="") as text:
        rows = csv.reader(text, strict=True)
        try:
            header = next(rows, [])
            if tuple(header) != COLUMNS:
                raise wrong(1, f"the columns are {','.join(header)!r}: write {','.join(COLUMNS)!r}")
            for row in rows:
                line = rows.line_num
                if len(row) != len(COLUMNS):
                    raise wrong(line, f"{len(row)} values ({row}): write {len(COLUMNS)}, and quote those with a comma")
                query, product, grade, kind = row
                for name, value in (("query", query), ("product_id", product), ("kind", kind)):
                    if not value.strip():
                        raise wrong(line, f"{name} is {value!r}: fill it in, or remove the line")
                if grade not in GRADES:
                    raise wrong(line, f"the grade is {grade!r}: write 1 (near), 2 (fits) or 3 (exact)")
                if product in grades[query]:
                    raise wrong(line, f"{product!r} is judged twice for {query!r}: keep one of the lines")
                first_line, first_kind = first.setdefault(query, (line, kind))
                if kind != first_kind:
                    raise wrong(
                        line, f"{query!r} is of the kind {kind!r}, and on line {first_line} {first_kind!r}: keep one"
                    )
                grades[query][product] = GRADES[grade]
        except csv.Error as error:
            raise wrong(rows.line_num, f"it is no CSV ({error}): write it anew") from error
        except UnicodeDecodeError as error:
            raise wrong(rows.line_num + 1, f"it is not UTF-8 ({error}): save the file as UTF-8") from error
    for query, judged in grades.items():
        if max(judged.values()) < FITS:
            raise wrong(
                first[query][0], f"no product has a grade of {FITS} or more for {query!r}: judge one, or remove it"
            )
    return [Query(query, judged, first[query][1]) for query, judged in grades.items()]


def known_items(documents: Iterable[tuple[str, str, str]], how_many: int, seed: int) -> list[Query]:
    """Queries for products that somebody knows to exist, made of the texts of a catalogue without judgements.

    In turn: three to five content words of a product's title and text, shuffled (`shuffled`); the same with a typing
    error in one of them (`typo`); eight to twelve words in a row out of a long text (`part`). The answer is the
    product, and all whose title and text are the same but for case and blanks. Others may hold the words too, and count
    as wrong: figures compare ways to search, and do not say how good one is.

    Args:
        documents: product id, title, text. Their order does not matter, each id comes once.
        how_many: the most to make. There are fewer where the texts do not give as many: no text is asked for twice
            in one way, and none of fewer than three content words at all.
        seed: the same documents and seed give the same queries.
    """
    if how_many < 1:
        raise ValueError(f"{how_many} queries were asked for: ask for at least 1")
    alike: dict[str, list[str]] = defaultdict(list)
    long: dict[str, list[str]] = {}
    for product, title, text in sorted(documents):
        whole = " ".join(f"{title} {text}".split()).casefold()
        alike[whole].append(product)
        if len(text.split()) >= _LONG:
            long[whole] = text.split()
    draw = Random(f"known items/{seed}")
    content = {whole: _content(whole) for whole in alike}
    usable = [whole for whole in alike if len(content[whole]) >= 3]
    left = {SHUFFLED: _shuffled(draw, usable), TYPO: _shuffled(draw, usable), PART: _shuffled(draw, list(long))}
    made: dict[str, Query] = {}
    while any(left.values()):
        for kind, wholes in left.items():
            if len(made) == how_many:
                return list(made.values())
            if not wholes:
                continue
            whole = wholes.pop()
            query = _part(draw, long[whole]) if kind == PART else " ".join(_some(draw, content[whole]))
            if kind == TYPO:
                query = _mistyped(draw, query)
            if query not in made:
                made[query] = Query(query, dict.fromkeys(alike[whole], 3), kind)
    return list(made.values())


def _content(text: str) -> list[str]:
    """The distinct words that tell something, in their order."""
    return [word for word in dict.fromkeys(_WORD.findall(text)) if word not in _STOP]


def _shuffled(draw: Random, items: list[str]) -> list[str]:
    """Another order. `random` alone is used: Python promises its sequence for all versions, that of `shuffle` not."""
    return [item for _, item in sorted((draw.random(), item) for item in items)]


def _some(draw: Random, words: list[str]) -> list[str]:
    return _shuffled(draw, words)[: 3 + int(draw.random() * 3)]


def _part(draw: Random, words: list[str]) -> str:
    length = 8 + int(draw.random() * 5)
    start = int(draw.random() * (len(words) - length + 1))
    return " ".join(words[start : start + length])


def _mistyped(draw: Random, query: str) -> str:
    """One word with two letters swapped, one left out or one doubled; its first letter stays."""
    words = query.split(" ")
    place = int(draw.random() * len(words))
    word = words[place]
    at = 1 + int(draw.random() * (len(word) - 2))
    how = int(draw.random() * 3)
    if how == 0 and word[at] != word[at + 1]:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif how == 1:
        word = word[:at] + word[at + 1 :]
    else:
        word = word[: at + 1] + word[at:]
    words[place] = word
    return " ".join(words)
