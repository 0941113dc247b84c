"""What is to be simulated of one shop: seed, scale, days, drift; and what its writer reports, judged searches too."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple, Protocol, get_args

from simulator.world import whole

DriftKind = Literal["tastes", "prices", "wording", "volume"]
DRIFT_KINDS: tuple[str, ...] = get_args(DriftKind)

Say = Callable[[str], None]


class Drift(NamedTuple):
    """A change of the shop's world that begins on a day and stays."""

    kind: DriftKind
    start: date


class Written(NamedTuple):
    """One file that was written."""

    table: str
    path: Path
    rows: int


@dataclass(frozen=True)
class Plan:
    """One shop's world. Equal plans that differ in `until` alone agree on every day that both hold."""

    seed: int
    scale: float
    """Share of the public set's size: 1.0 is as large as it is."""
    start: date
    """The first day with orders, events or reviews."""
    until: date
    """The last day, whole."""
    drifts: tuple[Drift, ...] = ()


class Writer(Protocol):
    """What each shop's module offers under the name `write`."""

    def __call__(self, folder: Path, truth: Path, plan: Plan, after: date | None, say: Say) -> list[Written]:
        """Write the shop's files as they are at the end of `plan.until`.

        Args:
            folder: the shop's source, such as `<home>/inbox/<shop>`.
            truth: a folder for the planted truth, which tests alone read.
            plan: the world.
            after: the last day that `folder` holds already, with an equal plan; None where it holds nothing. Only what
                came or changed since is written.
            say: told about progress.
        """
        ...


# Searches with judgements

QUERY_COLUMNS = ("query", "product_id", "grade", "kind")
QUERIES = 40
"""Drawn of each kind. Those that come twice, or that no product answers, fall out, so that a tiny shop has fewer."""
EXACT, FITS, NEAR = 3, 2, 1
WORDS, PLAIN, BROKEN = "words", "plain", "broken"


class Asked(NamedTuple):
    """A search with the products that answer it, by what was planted in them and never by a search of their texts."""

    text: str
    kind: str
    """`words` of the products' own texts; `plain`, in other words than theirs; `broken`, spelt wrongly or in the other
    number."""
    grades: Mapping[str, int]
    """Product id -> 3 exact, 2 fits, 1 near."""


def write_queries(truth: Path, asked: Iterable[Asked]) -> None:
    """Write `queries.csv`, one row a judged pair, the best of each search first.

    A search that is there already is left out, and so is one that no product answers (has a grade of 2 or more).
    """
    seen: set[str] = set()
    with whole(truth / "queries.csv") as part, part.open("w", encoding="utf-8", newline="") as text:
        out = csv.writer(text, lineterminator="\n")
        out.writerow(QUERY_COLUMNS)
        for each in asked:
            if each.text in seen or max(each.grades.values(), default=0) < FITS:
                continue
            seen.add(each.text)
            pairs = sorted(each.grades.items(), key=lambda pair: -pair[1])
            out.writerows((each.text, product, grade, each.kind) for product, grade in pairs)


def misspelt(draw: Random, text: str) -> str:
    """The text with one typing error in one of its longest words: two letters swapped, one left out or one doubled.

    The first letter of a word stays, as it mostly does. Text without a word of three letters comes back as it is.
    """
    words = text.split(" ")
    longest = max(map(len, words))
    if longest < 3:
        return text
    places = [place for place, word in enumerate(words) if len(word) >= max(3, longest - 2)]
    place = places[int(draw.random() * len(places))]
    word = words[place]
    at = 1 + int(draw.random() * (len(word) - 2))
    how = draw.random()
    if how < 0.4 and word[at] != word[at + 1]:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif how < 0.7:
        word = word[:at] + word[at + 1 :]
    else:
        word = word[: at + 1] + word[at:]
    words[place] = word
    return " ".join(words)


def other_number(noun: str) -> str:
    """The singular of an English plural, and the plural of a singular, by the ending alone."""
    if noun.endswith("s") and not noun.endswith("ss"):
        return noun[:-1]
    return noun + ("es" if noun.endswith(("ss", "x", "ch", "sh")) else "s")
