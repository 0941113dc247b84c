"""The checker of summaries: share of planted faults that it lets pass, and of true texts that it refuses.

    python -m benchmarks.summary_faults

The texts of `tests/summaries/written.json` were written by hand, by writers who saw the prompt and lists of facts and
nothing of the checker. `prompt` says which: those of `forms` saw the prompt as it is, those of `looser` one that let
them choose words near to its forms, those of `older` one that named no forms. The half `tuned` was looked at while
the checker was made, the half `kept` was not. Planted into the true texts that pass are faults of four kinds, one at a
time, wherever they fit, of ids a part: another fact's id, the other direction, another day to compare with, another
metric's name.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from assets.summaries.checker import check
from assets.summaries.facts import AGAINST, DayFacts, Fact
from assets.summaries.formatting import PLACEHOLDER
from assets.summaries.reading import sentences, vocabulary_of
from resources.settings import PROJECT_ROOT

Half = Literal["tuned", "kept"]
IDS = 12
"""About so many other ids are put into each text, of all places and ids."""
PROMPTS = ("forms", "looser", "older")
HALVES: tuple[Half, ...] = ("tuned", "kept")
WRITTEN = PROJECT_ROOT / "tests" / "summaries" / "written.json"
_DIRECTIONS = ("VERB", "NOUN", "UP", "PLACE", "EXCEED", "MORE", "UNUSUAL")
_NAMES = {
    "en": {
        "orders": "orders",
        "revenue": "revenue",
        "customers": "customers",
        "basket": "average order value",
        "sessions": "sessions",
        "views": "views",
        "reviews": "reviews",
    },
    "pt": {
        "orders": "pedidos",
        "revenue": "receita",
        "customers": "clientes",
        "basket": "valor médio do pedido",
        "sessions": "sessões",
        "views": "visualizações",
        "reviews": "avaliações",
    },
}
_DAYS = {
    "en": {"day_before": "the day before", "week_before": "the same weekday a week before"},
    "pt": {"day_before": "dia anterior", "week_before": "mesmo dia da semana anterior"},
}

Counts = dict[str, tuple[int, int]]
"""Kind -> how many texts were let pass or refused against what they are, and how many there were."""


@dataclass(frozen=True)
class Written:
    """A text that somebody wrote about a day.

    Attributes:
        prompt: `forms`, `looser` or `older`, that the writer was given.
        fault: the kind of what is wrong in it; None where it is true.
    """

    text: str
    facts: DayFacts
    half: Half
    prompt: str
    fault: str | None


def written(file: Path = WRITTEN) -> list[Written]:
    """The texts that were written by hand."""
    held = json.loads(file.read_text(encoding="utf-8"))
    days = {identifier: day_of(day) for identifier, day in held["days"].items()}
    return [
        Written(text["text"], days[text["day"]], half, prompt, text["fault"])
        for prompt, halves in held["texts"].items()
        for half, texts in halves.items()
        for text in texts
    ]


def day_of(row: dict[str, Any]) -> DayFacts:
    """A day of `written.json`."""
    facts = {}
    for identifier, fact in row["facts"].items():
        value = fact["value"]
        if fact["kind"] == "date":
            value = date.fromisoformat(value)
        elif fact["kind"] == "money":
            value = Decimal(str(value))
        facts[identifier] = Fact(
            identifier,
            fact["kind"],
            value,
            fact.get("metric"),
            fact.get("against"),
            fact.get("currency"),
            fact["said"],
            fact.get("product_id"),
            fact.get("anomaly"),
        )
    return DayFacts(row["shop"], date.fromisoformat(row["day"]), row["language"], row["currency"], row["title"], facts)


def planted(text: str, facts: DayFacts) -> Iterator[tuple[str, str]]:
    """A true text with one fault planted, in each way and place that makes it false: the kind and the text."""
    others = list(_other_ids(text, facts))
    yield from (("id", made) for made in others[:: max(1, len(others) // IDS)])
    for sentence in sentences(text):
        at = text.index(sentence)

        def whole(made: str, at: int = at, sentence: str = sentence) -> str:
            return text[:at] + made + text[at + len(sentence) :]

        yield from (("direction", whole(made)) for made in _other_directions(sentence, facts.language))
        yield from (("reference", whole(made)) for made in _other_days(sentence, facts.language))
        yield from (("metric", whole(made)) for made in _other_metrics(sentence, facts))


def _other_ids(text: str, facts: DayFacts) -> Iterator[str]:
    """With another id in the place of one: of another metric, another day, another product."""
    for found in PLACEHOLDER.finditer(text):
        fact = facts.facts[found[1]]
        for other in facts.facts.values():
            same_product = other.product_id is not None and other.product_id == fact.product_id
            if other.id != fact.id and not same_product and _family(other) == _family(fact):
                yield f"{text[: found.start()]}{{{other.id}}}{text[found.end() :]}"


def _family(fact: Fact) -> str:
    """Facts that a writer may take for each other: values of any day, changes, figures of products."""
    if fact.kind == "product" or fact.product_id is not None:
        return "product" if fact.kind == "product" else "figure"
    if fact.id.startswith("top_country"):
        # A country's revenue and its share are both of it.
        return fact.id
    if fact.metric is None:
        return fact.kind
    return "change" if fact.is_change else "value"


def _other_directions(sentence: str, language: str) -> Iterator[str]:
    """With the opposite in the place of a word that says a direction."""
    for kind in _DIRECTIONS:
        phrases = vocabulary_of(language).meanings[kind]
        for phrase, sign in phrases.items():
            opposite = next(other for other, its in phrases.items() if its != sign)
            for found in re.finditer(rf"(?<![\w{{'-]){re.escape(phrase)}(?![\w}}'-])", sentence, re.IGNORECASE):
                yield sentence[: found.start()] + opposite + sentence[found.end() :]


def _other_days(sentence: str, language: str) -> Iterator[str]:
    """With another day to compare with in the place of one; where figures belong to each that is named."""
    if _says_without_figures(sentence, language):
        return
    for against, said in _DAYS[language].items():
        other = next(name for name in _DAYS[language] if name != against)
        for found in re.finditer(rf"(?<!\w){re.escape(said)}(?!\w)", sentence):
            yield sentence[: found.start()] + _DAYS[language][other] + sentence[found.end() :]


def _other_metrics(sentence: str, facts: DayFacts) -> Iterator[str]:
    """With another metric's name in the place of one; where figures belong to each that is named."""
    names = _NAMES[facts.language]
    if _says_without_figures(sentence, facts.language):
        return
    for metric, said in names.items():
        others = [name for name in names if name != metric and name in facts.facts]
        for found in re.finditer(rf"(?<![\w{{-]){re.escape(said)}(?![\w}}-])", sentence, re.IGNORECASE):
            for other in others:
                yield sentence[: found.start()] + names[other] + sentence[found.end() :]


def _says_without_figures(sentence: str, language: str) -> bool:
    """Whether it may say what is true of several metrics and days: that one is unchanged, none, or went up."""
    held = vocabulary_of(language).meanings
    equal = (*held["SAME"], *held["NONE"])
    if any(re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", sentence, re.IGNORECASE) for phrase in equal):
        return True
    figures = [found for found in PLACEHOLDER.findall(sentence) if any(f"_{each}" in found for each in AGAINST)]
    changes = [found for found in PLACEHOLDER.findall(sentence) if found.endswith("_change")]
    directions = vocabulary_of(language).meanings
    words = sum(
        bool(re.search(rf"(?<![\w{{'-]){re.escape(phrase)}(?![\w}}'-])", sentence, re.IGNORECASE))
        for kind in ("VERB", "UP", "NOUN", "PLACE")
        for phrase in directions[kind]
    )
    return words > len(figures) + len(changes)


def counted(texts: Iterable[Written]) -> Counts:
    """Of each kind of texts how many were let pass, of `true` how many were refused, and how many there were."""
    wrong, total = Counter[str](), Counter[str]()
    for text in texts:
        kind = text.fault or "true"
        total[kind] += 1
        wrong[kind] += bool(check(text.text, text.facts)) == (text.fault is None)
    return {kind: (wrong[kind], total[kind]) for kind in total}


def counted_planted(texts: Iterable[Written]) -> Counts:
    """The same of what is planted in those true texts that pass."""
    wrong, total = Counter[str](), Counter[str]()
    for text in texts:
        if text.fault is None and not check(text.text, text.facts):
            for kind, made in planted(text.text, text.facts):
                total[kind] += 1
                wrong[kind] += not check(made, text.facts)
    return {kind: (wrong[kind], total[kind]) for kind in total}


def table(title: str, parts: Iterable[tuple[str, Counts]]) -> None:
    """Kinds by column, wrong of all."""
    held = [(name, counts) for name, counts in parts if counts]
    print(f"\n| {title} | {' | '.join(name for name, _ in held)} |\n| --- |{' ---: |' * len(held)}")
    for kind in sorted({kind for _, counts in held for kind in counts if kind != "true"}):
        cells = (f"{counts[kind][0]} of {counts[kind][1]}" if kind in counts else "" for _, counts in held)
        print(f"| {kind} | {' | '.join(cells)} |")
    for name, is_true in (("**false, published**", False), ("**true, refused**", True)):
        sums = []
        for _, counts in held:
            rows = [counts[kind] for kind in counts if (kind == "true") == is_true]
            wrong, total = sum(row[0] for row in rows), sum(row[1] for row in rows)
            sums.append(f"{wrong} of {total} ({wrong / max(1, total):.1%})")
        if any(not each.startswith("0 of 0") for each in sums):
            print(f"| {name} | {' | '.join(sums)} |")


def measure() -> None:
    """Print the tables."""
    began, texts = time.perf_counter(), written()
    for prompt in PROMPTS:
        parts = {
            f"{language}, {half}": [
                text for text in texts if (text.prompt, text.half, text.facts.language) == (prompt, half, language)
            ]
            for half in HALVES
            for language in _NAMES
        }
        table(f"written by hand, prompt: {prompt}", [(name, counted(held)) for name, held in parts.items()])
        table(f"planted, prompt: {prompt}", [(name, counted_planted(held)) for name, held in parts.items()])
    print(f"\n{time.perf_counter() - began:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    measure()


if __name__ == "__main__":
    main()
