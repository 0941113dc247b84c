"""Whether a text about a day may be published: its form, and what it claims by the facts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from assets.summaries.claims import Claim, Fault, fault_of
from assets.summaries.facts import DayFacts
from assets.summaries.formatting import PLACEHOLDER
from assets.summaries.meaning import IT, meanings
from assets.summaries.reading import LANGUAGES, UnreadError, sentences

LONGEST = 2_000
"""So many characters a text may have."""
SENTENCES = range(2, 7)
"""So many sentences a text may have."""


def check(text: str, facts: DayFacts) -> list[Fault]:
    """What is wrong in a text with `{id}`s; empty where it may be published.

    A sentence passes where it can be read, and where the facts say all that it may mean. Languages without words in
    `words/` are not judged: the narrator's own text alone passes.
    """
    if facts.language not in LANGUAGES:
        return _only_the_narrator(text, facts)
    faults = list(_form(text, facts))
    if faults:
        return faults
    before = Before()
    for sentence in sentences(text):
        found, before = _faults(sentence, facts, before)
        faults += found
    return faults


@cache
def rules_version(language: str) -> str:
    """A hash of what judges texts of a language, and of what the narrator writes in it."""
    here = Path(__file__).parent
    files = [here / name for name in ("checker.py", "claims.py", "meaning.py", "reading.py", "narration.py")]
    held = [file.read_bytes() for file in (*files, here / "grammar.lark", here / "words" / f"{language}.toml")]
    return hashlib.sha256(b"\n".join(held)).hexdigest()[:12]


def _only_the_narrator(text: str, facts: DayFacts) -> list[Fault]:
    from assets.summaries.narration import narrate

    if text == narrate(facts):
        return []
    return [Fault("language", f"No text in {facts.language!r} can be judged: the narrator writes it.", text[:60])]


def _form(text: str, facts: DayFacts) -> Iterator[Fault]:
    """What needs no understanding: length, ids, how it begins."""
    if len(text) > LONGEST or len(sentences(text)) not in SENTENCES:
        yield Fault("length", f"Write {SENTENCES[0]} to {SENTENCES[-1]} sentences.", text[-60:])
        return
    found = PLACEHOLDER.findall(text)
    for identifier in found:
        if identifier not in facts.facts:
            said = f"{{{identifier}}} is no fact of this day: use only the ids that are listed."
            yield Fault("unknown_id", said, f"{{{identifier}}}")
    if not found or found[0] != "date":
        yield Fault("date", "Begin with the day, {date}.", text[:60])


@dataclass(frozen=True)
class Before:
    """What a sentence takes from the one before it.

    Attributes:
        metric: that it speaks of; None where it speaks of none or of several.
        against: what it compares with; None where that is nothing or several things.
        is_of_shop: whether it speaks of the shop at its end, and not of a product or a country.
        is_today: whether it speaks of the day at its end, and not of an earlier one.
    """

    metric: str | None = None
    against: str | None = None
    is_of_shop: bool = True
    is_today: bool = True


def _faults(sentence: str, facts: DayFacts, before: Before) -> tuple[list[Fault], Before]:
    """What is wrong in a sentence by that of its meanings of which least is true, and what the next takes from it."""
    try:
        claimed = [[_with(claim, before) for claim in claims] for claims in meanings(sentence, facts.language)]
    except UnreadError as error:
        said = "This is none of the forms, or holds a word that they do not know. It could not be read on from here."
        return [Fault("form", said, error.at)], Before()
    claims = [claim for each in claimed for claim in each]
    told = {claim.metric for claim in claims if claim.kind in ("told", "value", "then", "joined")}
    against = {claim.against for claim in claims if claim.needs_against}
    ids = [each for each in PLACEHOLDER.findall(sentence) if each != "date"]
    faults: list[Fault] = []
    of_shop, today = [], []
    for each in claimed:
        owned, is_of_shop = _owned(each, before.is_of_shop)
        dated, is_today = _dated(each, before.is_today)
        of_shop.append(is_of_shop)
        today.append(is_today)
        faults = max(faults, [*owned, *dated, *_wrong(each, ids, facts)], key=len)
    metric, named = (found.pop() if len(found) == 1 else None for found in (told, against - {"trend"}))
    is_of_shop = all(of_shop)
    return faults, Before(metric if is_of_shop else None, named, is_of_shop, all(today))


def _with(claim: Claim, before: Before) -> Claim:
    if claim.metric == IT:
        claim = replace(claim, metric=before.metric)
    return replace(claim, against=before.against) if claim.needs_against and claim.against is None else claim


def _owned(claims: Iterable[Claim], is_of_shop: bool) -> tuple[list[Fault], bool]:
    """Faults of figures of the shop that are told behind a product or a country, as though they were theirs."""
    faults = []
    for claim in claims:
        if claim.kind in ("told", "shop"):
            is_of_shop = True
        elif claim.kind in ("product", "gain", "country"):
            is_of_shop = False
        elif claim.kind == "bare" and not is_of_shop:
            faults.append(Fault("product", "Say that this is of the shop: write a clause of its own.", ""))
    return faults, is_of_shop


def _dated(claims: Iterable[Claim], is_today: bool) -> tuple[list[Fault], bool]:
    """Faults of figures of the day that are told behind those of an earlier one, as though they were of it."""
    faults = []
    for claim in claims:
        if claim.kind in ("today", "earlier"):
            is_today = claim.kind == "today"
        elif claim.kind in ("value", "none") and claim.against is None and not is_today:
            faults.append(Fault("date", "Say that this is of the day: begin with {date}.", ""))
    return faults, is_today


def _wrong(claims: Sequence[Claim], ids: Iterable[str], facts: DayFacts) -> Iterator[Fault]:
    """What is wrong in claims, and the ids of a sentence of which they say nothing."""
    for claim in dict.fromkeys(claims):
        if fault := fault_of(claim, facts):
            yield fault
    known = {identifier for claim in claims for identifier in (claim.metric, *claim.facts)}
    for identifier in ids:
        if identifier not in known:
            yield Fault("form", "Write what it is with each id.", f"{{{identifier}}}")
    if not claims:
        yield Fault("form", "The sentence says nothing of the day.", "")
