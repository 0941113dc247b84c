"""Tests of the simulated anime catalogue: its file, its faults and the themes planted in it."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

import pyarrow.parquet as pq
import pytest

from simulator import anime as shop
from simulator.plan import Drift, Plan

DAY = date(2026, 1, 1)
COUNT = 3_000
PLAN = Plan(7, COUNT / shop.PUBLIC_TITLES, DAY, DAY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anime")
    (file,) = shop.write(folder / "data", folder / "truth", PLAN, None, lambda _: None)
    assert (file.path.name, file.rows) == ("anime_with_synopsis.csv", COUNT)
    return folder


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "data" / shop.FILE).open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


@pytest.fixture(scope="module")
def planted(folder: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / "truth" / "titles.parquet").to_pylist())


def test_the_file_is_that_of_the_public_set(folder: Path, rows: list[dict[str, str]]) -> None:
    raw = (folder / "data" / shop.FILE).read_text(encoding="utf-8")
    assert raw.startswith("MAL_ID,Name,Score,Genres,Synopsis\n")
    assert len(rows) == COUNT
    assert re.search(r'\n\d+,[^"\n]+,\d\.\d\d,"[A-Z][A-Za-z -]+, [A-Z]', raw)
    numbers = [int(row["MAL_ID"]) for row in rows]
    assert numbers == sorted(set(numbers)) and numbers[-1] > 1.5 * COUNT
    assert len({row["Name"] for row in rows}) == COUNT
    for row in rows:
        assert row["Score"] == "Unknown" or 1 <= float(row["Score"]) <= 10
        genres = row["Genres"].split(", ")
        assert genres == sorted(set(genres))


def test_synopses_have_their_length_and_differ(rows: list[dict[str, str]]) -> None:
    texts = [row["Synopsis"] for row in rows if row["Synopsis"] not in ("", shop.NO_SYNOPSIS)]
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 40 and max(lengths) <= 120 and max(lengths) - min(lengths) > 50
    assert len(set(texts)) == len(texts)
    assert not any("{" in text for text in texts)


def test_faults_have_their_shares(rows: list[dict[str, str]]) -> None:
    share = Counter[str]()
    for row in rows:
        share["score"] += row["Score"] == "Unknown"
        share["none"] += row["Synopsis"] == shop.NO_SYNOPSIS
        share["empty"] += not row["Synopsis"]
        share["genre"] += row["Genres"] == "Unknown"
        share["sequel"] += " Part " in row["Name"]
        share["comma"] += "," in row["Name"]
    found = {kind: count / COUNT for kind, count in share.items()}
    bounds = {"score": 0.125, "none": 0.03, "empty": 0.01, "genre": 0.005, "sequel": 0.14, "comma": 0.085}
    assert all(0.6 * bounds[kind] < found[kind] < 1.5 * bounds[kind] for kind in bounds), found


def test_it_is_the_same_again_and_a_larger_one_begins_with_it() -> None:
    small, large = shop.titles(7, 200), shop.titles(7, 400)
    assert small == large[:200] == shop.titles(7, 200)
    assert shop.titles(8, 200) != small


def test_it_does_not_grow(tmp_path: Path) -> None:
    assert shop.write(tmp_path / "data", tmp_path / "truth", PLAN, DAY, lambda _: None) == []
    assert not list(tmp_path.iterdir())


def test_genres_and_scores_belong_to_the_theme(rows: list[dict[str, str]], planted: list[dict[str, Any]]) -> None:
    scores: dict[str, list[float]] = {name: [] for name in shop.THEMES}
    for row, truth in zip(rows, planted, strict=True):
        assert int(row["MAL_ID"]) == truth["mal_id"]
        theme = shop.THEMES[truth["theme"]]
        if row["Genres"] != "Unknown":
            assert len(set(row["Genres"].split(", ")) & set(theme.genres)) >= 2
        if row["Score"] != "Unknown":
            scores[truth["theme"]].append(float(row["Score"]))
    assert all(mean(values) == pytest.approx(shop.THEMES[name].score, abs=0.25) for name, values in scores.items())
    assert min(map(len, scores.values())) > 50


def tokens(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def test_a_synopsis_tells_its_theme(rows: list[dict[str, str]], planted: list[dict[str, Any]]) -> None:
    """Words of half of the titles (naive Bayes) name the theme of the other half; the setting does not help."""
    known = [
        (set(tokens(row["Synopsis"])), truth["theme"], truth["setting"])
        for row, truth in zip(rows, planted, strict=True)
        if len(row["Synopsis"]) > 100
    ]
    train, test = known[::2], known[1::2]
    counts: dict[str, Counter[str]] = {name: Counter() for name in shop.THEMES}
    sizes = Counter[str]()
    for words, theme, _ in train:
        counts[theme].update(words)
        sizes[theme] += 1

    def guess(words: set[str]) -> str:
        return max(
            shop.THEMES, key=lambda name: sum(math.log((counts[name][w] + 0.1) / (sizes[name] + 0.2)) for w in words)
        )

    assert mean(guess(words) == theme for words, theme, _ in test[:300]) > 0.95
    pairs = Counter((theme, setting) for _, theme, setting in known)
    assert len(pairs) > 0.95 * len(shop.THEMES) * len(shop.SETTINGS)


def test_the_truth_asks_for_each_theme(folder: Path) -> None:
    truth = json.loads((folder / "truth" / "truth.json").read_text())
    assert set(truth["themes"]) == set(shop.THEMES) and len(shop.THEMES) >= 20
    questions = [each["question"] for each in truth["themes"].values()]
    assert len(set(questions)) == len(questions) and all(len(question.split()) >= 4 for question in questions)


def test_what_cannot_be_simulated_is_refused(tmp_path: Path) -> None:
    drifting = Plan(7, 0.01, DAY, DAY, (Drift("prices", DAY),))
    with pytest.raises(ValueError, match="anime cannot show the drift 'prices': it can show none"):
        shop.write(tmp_path, tmp_path, drifting, None, lambda _: None)
    with pytest.raises(ValueError, match="no title"):
        shop.write(tmp_path, tmp_path, Plan(7, 1e-9, DAY, DAY), None, lambda _: None)
    assert not list(tmp_path.iterdir())
