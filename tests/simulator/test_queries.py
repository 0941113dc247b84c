"""Tests of the searches that the simulated shops plant: their form, their answers, and that growing changes neither."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest

from simulator import anime, online_retail, thelook
from simulator.plan import BROKEN, EXACT, FITS, PLAIN, QUERY_COLUMNS, WORDS, Asked, Plan, misspelt, other_number
from simulator.plan import write_queries as write_asked
from simulator.simulate import SHOPS

UNTIL = date(2026, 5, 29)
WRITERS = {"thelook": thelook.write, "online_retail": online_retail.write, "anime": anime.write}
DAYS = {"thelook": 20, "online_retail": 373, "anime": 1}
SAID_ALIKE = {"a", "an", "the", "for", "of", "in", "on", "to", "and", "with", "that", "who", "or", "at", "by", "from"}

Queries = dict[str, dict[str, int]]


def plan_of(shop: str, days: int) -> Plan:
    return Plan(7, SHOPS[shop].scale, UNTIL - timedelta(days=days - 1), UNTIL)


def write(shop: str, folder: Path, plan: Plan, after: date | None = None) -> None:
    WRITERS[shop](folder / "data", folder / "truth", plan, after, lambda _: None)


def read(folder: Path) -> tuple[Queries, dict[str, str]]:
    """Each search with its grades, and its kind."""
    queries: Queries = defaultdict(dict)
    kinds = {}
    with (folder / "truth" / "queries.csv").open(encoding="utf-8", newline="") as text:
        rows = csv.DictReader(text)
        assert tuple(rows.fieldnames or ()) == QUERY_COLUMNS
        for row in rows:
            assert row["product_id"] not in queries[row["query"]]
            queries[row["query"]][row["product_id"]] = int(row["grade"])
            assert kinds.setdefault(row["query"], row["kind"]) == row["kind"]
    return dict(queries), kinds


@dataclass(frozen=True)
class Planted:
    shop: str
    queries: Queries
    kinds: Mapping[str, str]
    texts: Mapping[str, str]
    """Of each product, as the shop's files have them."""

    def of(self, kind: str) -> dict[str, dict[str, int]]:
        return {query: grades for query, grades in self.queries.items() if self.kinds[query] == kind}


@pytest.fixture(scope="module", params=list(WRITERS))
def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    shop = request.param
    folder = tmp_path_factory.mktemp(shop)
    plan = plan_of(shop, DAYS[shop])
    write(shop, folder, plan)
    texts: dict[str, str] = {}
    if shop == "thelook":
        for row in pq.read_table(folder / "data/products/products.parquet").to_pylist():
            texts[str(row["id"])] = f"{row['name']} {row['category']}"
    elif shop == "anime":
        with (folder / "data" / anime.FILE).open(encoding="utf-8", newline="") as text:
            for row in csv.DictReader(text):
                texts[row["MAL_ID"]] = f"{row['Name']} {row['Genres']} {row['Synopsis']}"
    else:
        lines = round(plan.scale * online_retail.PUBLIC_LINES)
        world = online_retail._Shop(plan.seed, lines, plan.start, plan.until, grows=True)
        names = {product.code: product.name for product in world.products}
        sold = {row[1] for row in world.run() if row[3] > 0 and row[5] > 0 and row[0].isdigit()}
        texts = {code: names[code.upper()] for code in sold if code.upper() in names}
    return Planted(shop, *read(folder), texts)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower().replace("'s", " ").replace("-", ""))


def stems(text: str) -> set[str]:
    return {re.sub(r"(ing|ed|es|s)$", "", word) for word in words(text) if word not in SAID_ALIKE}


def test_a_shop_has_enough_searches_of_each_kind_and_each_has_an_answer_that_exists(planted: Planted) -> None:
    assert 60 <= len(planted.queries) <= 150
    assert all(len(planted.of(kind)) >= 35 for kind in (WORDS, PLAIN, BROKEN))
    assert set(planted.kinds.values()) == {WORDS, PLAIN, BROKEN}
    for query, grades in planted.queries.items():
        assert query == query.strip() == query.lower() or planted.kinds[query] == PLAIN
        assert set(grades.values()) <= {1, 2, 3} and max(grades.values()) >= FITS
        assert set(grades) <= set(planted.texts), query


def test_exact_answers_hold_the_words_of_the_search(planted: Planted) -> None:
    for query, grades in planted.of(WORDS).items():
        for product, grade in grades.items():
            if grade == EXACT:
                assert stems(query) <= stems(planted.texts[product]), query


def test_no_product_with_all_words_of_a_search_is_left_without_a_grade(planted: Planted) -> None:
    held = {product: stems(text) for product, text in planted.texts.items()}
    for query, grades in planted.of(WORDS).items():
        asked = stems(query)
        assert {product for product, text in held.items() if asked <= text} <= set(grades), query


def test_plain_searches_use_other_words_than_their_answers(planted: Planted) -> None:
    shared = 0.0
    for query, grades in planted.of(PLAIN).items():
        asked = stems(query)
        exact = [stems(planted.texts[product]) for product, grade in grades.items() if grade == max(grades.values())]
        shares = [len(asked & text) / len(asked) for text in exact]
        shared += sum(shares) / len(shares) / len(planted.of(PLAIN))
        if planted.shop != "anime":
            assert max(shares) == 0, query
    assert shared < 0.25


def test_a_broken_search_has_a_word_that_its_answers_do_not_have(planted: Planted) -> None:
    misspelt_ones = 0
    for query, grades in planted.of(BROKEN).items():
        exact = {word for product, grade in grades.items() if grade >= FITS for word in words(planted.texts[product])}
        misspelt_ones += not set(words(query)) <= exact
    assert misspelt_ones >= 0.9 * len(planted.of(BROKEN))


def test_what_things_are_called_in_plain_words_shares_none_with_their_names() -> None:
    sizes = stems(" ".join(online_retail._SIZES))
    for tables in (
        online_retail._PLAIN_NOUNS,
        online_retail._PLAIN_COLOURS,
        online_retail._PLAIN_MOTIFS,
        thelook._PLAIN_NOUNS,
        thelook._PLAIN_ADJECTIVES,
    ):
        for name, plain in tables.items():
            assert not stems(plain) & (stems(name) | sizes), name
    assert set(online_retail._PLAIN_NOUNS) == {noun for nouns in online_retail.CATEGORIES.values() for noun in nouns}
    assert set(thelook._PLAIN_NOUNS) == {noun for nouns, *_ in thelook.CATEGORIES.values() for noun in nouns}


@pytest.mark.parametrize("shop", ["thelook", "online_retail"])
def test_searches_are_the_same_however_often_the_shop_was_grown(tmp_path: Path, shop: str) -> None:
    plan = plan_of(shop, 40)
    write(shop, tmp_path / "once", plan)
    after = None
    for days in (25, 12, 0):
        until = UNTIL - timedelta(days=days)
        write(shop, tmp_path / "grown", Plan(plan.seed, plan.scale, plan.start, until), after)
        after = until
    assert (tmp_path / "grown/truth/queries.csv").read_bytes() == (tmp_path / "once/truth/queries.csv").read_bytes()
    write(shop, tmp_path / "other", Plan(8, plan.scale, plan.start, plan.until))
    assert set(read(tmp_path / "other")[0]) & set(read(tmp_path / "once")[0]) < set(read(tmp_path / "once")[0])


def test_a_product_is_judged_once_it_was_sold(tmp_path: Path) -> None:
    plan = plan_of("online_retail", 373)
    early = Plan(plan.seed, plan.scale, plan.start, plan.start + timedelta(days=3))
    write("online_retail", tmp_path / "early", early)
    write("online_retail", tmp_path / "late", plan)
    first, later = read(tmp_path / "early")[0], read(tmp_path / "late")[0]
    assert 0 < len(first) < len(later) and set(first) <= set(later)
    for query, grades in first.items():
        assert grades.items() <= later[query].items()
    assert sum(map(len, first.values())) < 0.8 * sum(len(later[query]) for query in first)


def test_a_catalogue_of_one_title_has_few_searches(tmp_path: Path) -> None:
    write("anime", tmp_path, Plan(7, 1 / anime.PUBLIC_TITLES, UNTIL, UNTIL))
    queries, _ = read(tmp_path)
    assert 1 <= len(queries) < 60


def test_a_search_that_comes_twice_or_that_nothing_answers_is_left_out(tmp_path: Path) -> None:
    asked = [
        Asked("red mug", WORDS, {"a": 1, "b": 3}),
        Asked("red mug", BROKEN, {"c": 3}),
        Asked("only near", PLAIN, {"a": 1}),
        Asked("nothing", PLAIN, {}),
    ]
    write_asked(tmp_path, asked)
    assert (
        tmp_path / "queries.csv"
    ).read_text() == "query,product_id,grade,kind\nred mug,b,3,words\nred mug,a,1,words\n"


def test_a_typing_error_changes_one_word_by_one_letter_and_never_its_first() -> None:
    draw = Random(1)
    found = set()
    for _ in range(300):
        typed = misspelt(draw, "checked mac women").split()
        changed = [(a, b) for a, b in zip(("checked", "mac", "women"), typed, strict=True) if a != b]
        ((before, after),) = changed
        assert before != "mac" and before[0] == after[0] and abs(len(before) - len(after)) <= 1
        found.add(len(after) - len(before))
    assert found == {-1, 0, 1}
    assert misspelt(draw, "a b") == "a b"


@pytest.mark.parametrize(
    ("noun", "other"), [("mac", "macs"), ("slippers", "slipper"), ("trench", "trenches"), ("tealight glass", None)]
)
def test_the_other_number_of_a_noun(noun: str, other: str | None) -> None:
    assert other_number(noun) == (other or "tealight glasses")
