"""A summary as it is read: its sentences, their clauses, and in these what words and facts stand one after another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from assets.summaries.facts import DayFacts, Fact
from assets.summaries.formatting import PLACEHOLDER
from assets.summaries.lexicon import Lexicon, Tag

ItemTag = Tag | Literal["fact", "word", "comma"]

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_END = re.compile(r"(?<!\bvs)[.!?…]+[\"'”’)]*(?=\s|$)|\n+")
_ROLE = re.compile(r"(riser|faller|top_product)_(\d)(?:_(change|revenue|units))?$")
_DATES = {"date": "day", "day_before_date": "day_before", "week_before_date": "week_before"}


@dataclass(frozen=True)
class Item:
    """A word, a phrase or a fact in a sentence.

    Attributes:
        value: what it means, by its tag; of a word its small letters.
        said: as it stands in the text.
        start: where it begins in the sentence.
    """

    tag: ItemTag
    value: str
    said: str
    start: int
    fact: Fact | None = None

    @property
    def sign(self) -> int:
        """Of a direction or a height: 1 or -1; 0 of all else."""
        return {"+": 1, "-": -1}.get(self.value, 0) if self.is_direction or self.tag == "height" else 0

    @property
    def is_direction(self) -> bool:
        return self.tag in ("verb", "more", "rise", "place")

    @property
    def is_change(self) -> bool:
        """Whether it is the change of a metric."""
        return self.fact is not None and self.fact.metric is not None and "_vs_" in self.fact.id

    @property
    def is_then(self) -> bool:
        """Whether it is a metric's value on another day, or what was expected."""
        return (
            self.fact is not None
            and self.fact.metric is not None
            and self.fact.against is not None
            and not self.fact.is_change
        )

    @property
    def is_value(self) -> bool:
        """Whether it is a metric's value on the day."""
        return self.fact is not None and self.fact.id == self.fact.metric

    @property
    def is_band(self) -> bool:
        return self.fact is not None and self.fact.id.endswith(("_band_low", "_band_high"))

    @property
    def date(self) -> str | None:
        """`day` or the reference whose date it is."""
        return None if self.fact is None else _DATES.get(self.fact.id)

    @property
    def reference(self) -> str | None:
        """The reference that it names, in words or as a date."""
        if self.tag == "reference":
            return self.value
        return self.date if self.date != "day" else None

    @property
    def role(self) -> tuple[str, int, str] | None:
        """Of a product's fact: its family, its rank, and what of it is told: name, change, revenue or units."""
        found = None if self.fact is None else _ROLE.match(self.fact.id)
        return None if found is None else (found[1], int(found[2]), found[3] or "name")

    @property
    def is_product(self) -> bool:
        return self.role is not None and self.role[2] == "name"

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics that it may mean: of a word several, of a fact one."""
        if self.tag == "metric":
            return frozenset(self.value.split())
        if self.is_change or self.is_then or self.is_value:
            assert self.fact is not None
            return frozenset({str(self.fact.metric)})
        return frozenset()


@dataclass(frozen=True)
class Sentence:
    """A sentence with its items, and these by clause."""

    text: str
    items: Sequence[Item]

    @property
    def clauses(self) -> list[list[Item]]:
        made: list[list[Item]] = [[]]
        for item in self.items:
            if item.tag == "break":
                made.append([])
            else:
                made[-1].append(item)
        return [clause for clause in made if clause]


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the marks that end them."""
    return [part.strip() for part in _END.split(text) if part.strip()]


def read(text: str, facts: DayFacts, lexicon: Lexicon) -> list[Sentence]:
    """The sentences of a text, all of whose `{id}`s are facts of the day."""
    return [Sentence(part, _with_nouns(list(_items(part, facts, lexicon)), lexicon)) for part in sentences(text)]


def _with_nouns(items: list[Item], lexicon: Lexicon) -> list[Item]:
    """Words that are verbs and nouns as what they are here: `a rise`, `rise in`."""
    made = []
    for at, item in enumerate(items):
        noun = lexicon.value_of("rise", item.said.lower()) if item.tag in ("verb", "more") else None
        if noun is not None:
            before = items[at - 1] if at else None
            after = items[at + 1] if at + 1 < len(items) else None
            is_noun = before is not None and (before.value == "article" or before.tag in ("none", "fact"))
            is_noun = is_noun or (
                after is not None and after.said.lower() in ("of", "in", "de", "do", "da", "dos", "das")
            )
            if is_noun:
                item = replace(item, tag="rise", value=noun)
        made.append(item)
    return made


def _is_exact(sentence: str, at: int, facts: DayFacts) -> bool:
    """Whether the fact behind a position is a figure of the day or a change, beside which `more than` is wrong."""
    found = re.compile(r"\s+(?:the\s+|os\s+|as\s+)?\{([^{}]*)\}").match(sentence, at)
    if found is None:
        return False
    fact = facts.facts[found[1]]
    if fact.kind in ("product", "country", "date") or fact.id.endswith(("_band_low", "_band_high")):
        return False
    return fact.against is None or fact.is_change


def _items(sentence: str, facts: DayFacts, lexicon: Lexicon) -> Iterator[Item]:
    small = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in sentence).replace("’", "'")
    # What stands in braces is no word.
    masked = PLACEHOLDER.sub(lambda found: "\0" * len(found[0]), small)
    at = 0
    while at < len(sentence):
        letter = sentence[at]
        if letter == "{":
            found = PLACEHOLDER.match(sentence, at)
            assert found is not None
            yield Item("fact", found[1], found[0], at, facts.facts[found[1]])
            at = found.end()
        elif letter in ",():–—":
            yield Item("comma", letter, letter, at)
            at += 1
        elif letter == ";":
            yield Item("break", letter, letter, at)
            at += 1
        elif letter.isalpha() or letter == "&":
            entry = lexicon.longest(masked, at)
            if entry is not None and entry[0] == "bound" and not _is_exact(sentence, entry[2], facts):
                entry = lexicon.longest(masked, at, without="bound")
            if entry is not None:
                tag, value, end = entry
                yield Item(tag, value, sentence[at:end], at)
                at = end
            else:
                found = _WORD.match(sentence, at)
                end = at + 1 if found is None else found.end()
                yield Item("word", small[at:end], sentence[at:end], at)
                at = end
        else:
            at += 1
