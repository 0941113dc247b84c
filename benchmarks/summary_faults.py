"""The checker of summaries: share of planted faults that it lets pass, and of true texts that it refuses.

    python -m benchmarks.summary_faults [--days 4]

Planted: `assets/summaries/faults.py` fills patterns and plants one fault in each text. Written: the texts of
`tests/summaries/written.json`, written by hand without knowledge of the checker, the
true ones by the prompt alone. Of both, the half `tuned` was looked at while the
checker was made; the half `kept` was not, and has no pattern or planted phrase of the other.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from assets.summaries.checker import check
from assets.summaries.facts import DayFacts, Fact
from assets.summaries.faults import LANGUAGES, names, planted_texts, true_texts
from assets.summaries.phrasings import Half
from assets.summaries.vocabulary import Names
from resources.settings import PROJECT_ROOT

HALVES: tuple[Half, ...] = ("tuned", "kept")
WRITTEN = PROJECT_ROOT / "tests" / "summaries" / "written.json"

Counts = dict[str, tuple[int, int]]
"""Kind -> how many texts were let pass or refused against what they are, and how many there were."""


def planted(language: str, half: Half, days: int) -> tuple[Counts, int]:
    """Made-up texts by kind, and how many planted ones do not count: they are refused without the fault too."""
    shop, wrong, total, void = names(), Counter[str](), Counter[str](), 0
    for text in true_texts(language, half, days):
        total["true"] += 1
        wrong["true"] += bool(check(text.text, text.facts, shop))
    for text in planted_texts(language, half, days):
        if text.base and check(text.base, text.facts, shop):
            void += 1
            continue
        kind = str(text.fault)
        total[kind] += 1
        wrong[kind] += not check(text.text, text.facts, shop)
    return {kind: (wrong[kind], total[kind]) for kind in total}, void


def written(half: Half, file: Path = WRITTEN) -> dict[str, Counts]:
    """Texts written by hand by language and kind."""
    held = json.loads(file.read_text(encoding="utf-8"))
    days = {identifier: day_of(day) for identifier, day in held["days"].items()}
    made: dict[str, tuple[Counter[str], Counter[str]]] = {}
    for text in held["texts"]:
        if text["half"] != half:
            continue
        facts = days[text["day"]]
        shop = Names.of(str(fact.value) for fact in facts.facts.values() if fact.kind == "product")
        wrong, total = made.setdefault(text["language"], (Counter(), Counter()))
        kind = "true" if text["is_true"] else text["fault"]
        total[kind] += 1
        wrong[kind] += bool(check(text["text"], facts, shop)) == text["is_true"]
    return {language: {kind: (wrong[kind], total[kind]) for kind in total} for language, (wrong, total) in made.items()}


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


def table(title: str, parts: Iterable[tuple[str, Counts]]) -> None:
    """Kinds by column, wrong of all."""
    held = list(parts)
    print(f"\n| {title} | {' | '.join(name for name, _ in held)} |\n| --- |{' ---: |' * len(held)}")
    for kind in sorted({kind for _, counts in held for kind in counts if kind != "true"}):
        cells = (f"{counts[kind][0]} of {counts[kind][1]}" if kind in counts else "" for _, counts in held)
        print(f"| {kind} | {' | '.join(cells)} |")
    for name, is_true in (("**all planted, published**", False), ("**true, refused**", True)):
        sums = []
        for _, counts in held:
            rows = [counts[kind] for kind in counts if (kind == "true") == is_true]
            wrong, total = sum(row[0] for row in rows), sum(row[1] for row in rows)
            sums.append(f"{wrong} of {total} ({wrong / max(1, total):.1%})")
        print(f"| {name} | {' | '.join(sums)} |")


def measure(days: int = 4) -> None:
    """Print the tables."""
    began, parts, void = time.perf_counter(), [], 0
    for half in HALVES:
        for language in LANGUAGES:
            counts, left_out = planted(language, half, days)
            parts.append((f"{language}, {half}", counts))
            void += left_out
    table("planted by patterns", parts)
    print(f"\nLeft out, for refused without the fault too: {void}.")
    table("written by hand", [(f"{name}, {half}", counts) for half in HALVES for name, counts in written(half).items()])
    print(f"\n{time.perf_counter() - began:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=4)
    measure(parser.parse_args().days)


if __name__ == "__main__":
    main()
