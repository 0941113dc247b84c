"""Planted faults: they are the same each time, the halves share nothing, and the checker finds them."""

from __future__ import annotations

from collections import Counter

import pytest

from assets.summaries.checker import check
from assets.summaries.faults import LANGUAGES, Text, made_day, names, planted_texts, true_texts
from assets.summaries.formatting import PLACEHOLDER
from assets.summaries.phrasings import Half

HALVES: tuple[Half, ...] = ("tuned", "kept")


def texts(half: Half, days: int = 1) -> list[Text]:
    return [text for language in LANGUAGES for text in planted_texts(language, half, days)]


def test_the_same_faults_are_planted_each_time() -> None:
    assert texts("tuned") == texts("tuned")
    assert made_day("en", 3).hash == made_day("en", 3).hash != made_day("en", 4).hash


def test_the_halves_share_no_phrase() -> None:
    held = {half: {(text.language, text.phrase) for text in texts(half)} for half in HALVES}
    assert not held["tuned"] & held["kept"]
    assert all(len(phrases) > 200 for phrases in held.values())


def test_each_kind_is_planted_in_each_half_and_language() -> None:
    kinds = {
        (half, language): {text.fault for text in texts(half, days=2) if text.language == language}
        for half in HALVES
        for language in LANGUAGES
    }
    assert len({frozenset(found) for found in kinds.values()}) == 1
    assert len(next(iter(kinds.values()))) >= 25


def test_a_planted_text_differs_from_its_base_alone_by_the_fault() -> None:
    for text in texts("kept"):
        assert text.text != text.base, text
        if text.fault not in ("unknown_id", "markup"):
            assert set(PLACEHOLDER.findall(text.text)) <= text.facts.facts.keys(), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_tuned_faults_are_found_and_true_texts_pass(language: str) -> None:
    shop = names()
    published = [text.text for text in planted_texts(language, "tuned", 2) if not check(text.text, text.facts, shop)]
    refused = [text.text for text in true_texts(language, "tuned", 2) if check(text.text, text.facts, shop)]
    assert published == []
    assert refused == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_faults_that_were_kept_back_are_found(language: str) -> None:
    """Of those whose text would pass without the fault, all but a few: a guard at what was measured, no aim."""
    shop, published, total = names(), Counter[str](), 0
    for text in planted_texts(language, "kept", 1):
        if not text.base or not check(text.base, text.facts, shop):
            total += 1
            published[str(text.fault)] += not check(text.text, text.facts, shop)
    assert total > 100
    assert sum(published.values()) <= 0.01 * total, published
