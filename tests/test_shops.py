"""Faults of `config/shops.yaml`: each message names the file, the line, the key and the remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resources.objects import table_of
from resources.settings import PROJECT_ROOT
from resources.shops import ShopsError, load_shops

GOOD = """shops:
  one:
    title: Shop One
    timezone: Europe/London
    currency: GBP
    language: en
    live: false
    provides: [orders, products]
    source:
      kind: objects
    tables:
      lines:
        objects: ["*.csv"]
        encoding: cp1252
"""


def fault(path: Path, text: str) -> str:
    file = path / "shops.yaml"
    file.write_text(text)
    with pytest.raises(ShopsError) as caught:
        load_shops(file)
    message = str(caught.value)
    assert message.startswith(f"{file}:"), message
    return message.replace(str(path) + "/", "")


def test_the_shops_of_the_project_are_good() -> None:
    shops = load_shops(PROJECT_ROOT / "config" / "shops.yaml")
    assert shops["online_retail"].raw_schema == "raw_online_retail"


def test_a_good_file(tmp_path: Path) -> None:
    (tmp_path / "shops.yaml").write_text(GOOD)
    shop = load_shops(tmp_path / "shops.yaml")["one"]
    assert shop.tables["lines"].encoding == "cp1252" and str(shop.zone) == "Europe/London"


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("    currency: GBP", "    curency: GBP", "shops.yaml:5: one.curency", "unknown key; did you mean 'currency'?"),
        ("        objects", "        object", "shops.yaml:13: one.tables.lines.object", "did you mean 'objects'?"),
        ("kind: objects", "kind: bigqery", "shops.yaml:10: one.source.kind", "not known; .* perhaps 'bigquery'"),
        ("kind: objects", "kid: objects", "shops.yaml:9: one.source.kind", "missing; add it: objects or bigquery"),
        ("kind: objects", "kind: bigquery", "shops.yaml:9: one.source.dataset", "missing; add it"),
        ('objects: ["*.csv"]', "cursor: at", "shops.yaml:12: one.tables.lines", "`objects` is missing; add it"),
        (
            "encoding: cp1252",
            "restate_days: 2",
            "shops.yaml:14: one.tables.lines.restate_days",
            "nothing to restate in a source of kind objects; remove it",
        ),
        (
            "kind: objects",
            "kind: objects\n      bucket: x",
            "shops.yaml:11: one.source.bucket",
            "known: kind, location",
        ),
        ("orders, products", "orders, review", "shops.yaml:8: one.provides.1", "'review' is not known; .*'reviews'"),
        ("orders, products", "orders, orders", "shops.yaml:8: one.provides", "named twice: orders; name each once"),
        ("Europe/London", "Europe/Londn", "shops.yaml:4: one.timezone", "perhaps 'Europe/London'"),
        ("GBP", "Pounds", "shops.yaml:5: one.currency", "'Pounds'"),
        ("language: en", "language: English", "shops.yaml:6: one.language", "'English'"),
        ("live: false", "live: perhaps", "shops.yaml:7: one.live", "'perhaps'"),
        ("    language: en\n", "", "shops.yaml:2: one", "language"),
        ('["*.csv"]', "[]", "shops.yaml:13: one.tables.lines.objects", "at least 1"),
        ("cp1252", "utf8-latin", "shops.yaml:14: one.tables.lines.encoding", "use a name such as utf-8, latin-1"),
        ("cp1252", "base64", "shops.yaml:14: one.tables.lines.encoding", "use a name such as utf-8, latin-1"),
        ("cp1252", 'utf-8\n        delimiter: "||"', "shops.yaml:15: one.tables.lines.delimiter", "at most 1 char"),
        (
            "cp1252",
            "utf-8\n        max_rejected_share: 5",
            "shops.yaml:15: one.tables.lines.max_rejected_share",
            "less than",
        ),
        ("  one:", "  One Shop:", "shops.yaml:2: One Shop", "One Shop"),
        ("    title: Shop One", "    title: Shop One\n    title: Two", "shops.yaml:4:", "'title' stands twice"),
        (
            "    title: Shop One",
            "    title: 'Shop One",
            "shops.yaml:",
            "not YAML: .*Correct the indentation or the quotes",
        ),
        ("    title: Shop One", "   title: Shop One", "shops.yaml:4:", "not YAML"),
        ("title: Shop One", "title: [1, 2]", "shops.yaml:3: one.title", "valid string"),
        ("shops:\n", "shop:\n", "shops.yaml:1:", "a mapping with the key `shops`"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, old: str, new: str, place: str, words: str) -> None:
    assert GOOD.count(old) == 1
    message = fault(tmp_path, GOOD.replace(old, new))
    assert any(line.startswith(place) and re.search(words, line) for line in message.splitlines()), message


def test_a_shop_that_stands_twice(tmp_path: Path) -> None:
    message = fault(tmp_path, GOOD + GOOD.removeprefix("shops:\n"))
    assert message.startswith("shops.yaml:15: 'one' stands twice") and "Rename or remove one" in message


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    message = fault(tmp_path, GOOD.replace("GBP", "x").replace("Europe/London", "Mars/Olympus").replace("en\n", "x\n"))
    assert [line.split(":")[1] for line in message.splitlines()] == ["4", "5", "6"]


@pytest.mark.parametrize("text", ["", "[]", "shops: []", "shops: {}", "shops: {one: 5}", "\t"])
def test_a_file_of_another_form(tmp_path: Path, text: str) -> None:
    assert re.search("must be a mapping|no shop is configured|not YAML", fault(tmp_path, text))


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ShopsError, match=r"none.yaml: no such file. Set CARTOGRAPH_SHOPS_FILE"):
        load_shops(tmp_path / "none.yaml")
    (tmp_path / "shops.yaml").write_bytes(GOOD.replace("One", "Ön").encode("latin-1"))
    with pytest.raises(ShopsError, match=r"shops.yaml: not UTF-8.*Save it as UTF-8"):
        load_shops(tmp_path / "shops.yaml")


TABLES = """shops:
  one:
    title: Shop One
    timezone: Europe/London
    currency: GBP
    language: en
    live: false
    provides: [orders, products]
    source:
      kind: bigquery
      dataset: bigquery-public-data.thelook_ecommerce
    tables:
      events:
        cursor: created_at
        restate_days: 2
      users:
        key: [id]
"""


def test_a_source_of_tables(tmp_path: Path) -> None:
    (tmp_path / "shops.yaml").write_text(TABLES)
    shop = load_shops(tmp_path / "shops.yaml")["one"]
    assert (shop.source.kind, shop.tables["events"].restate_days, shop.tables["users"].key) == ("bigquery", 2, ["id"])
    found = [table_of(shop, name) for name in ("events/a.parquet", "events/2024/a.csv", "users.csv", "other/a.csv")]
    assert found == ["events", "events", None, None]


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("dataset:", "datset:", "shops.yaml:11: one.source.datset", "unknown key; did you mean 'dataset'?"),
        ("bigquery-public-data.", "", "shops.yaml:11: one.source.dataset", "write project.dataset"),
        (
            "key: [id]",
            "objects: ['*']",
            "shops.yaml:17: one.tables.users.objects",
            "found by its own name, users; remove",
        ),
        (
            "        key: [id]",
            "        sheet: x",
            "shops.yaml:16: one.tables.users",
            "compared by `key`; add one of the two",
        ),
        (
            "key: [id]",
            "key: [id]\n        restate_days: 3",
            "shops.yaml:18: one.tables.users.restate_days",
            "add `cursor`, or remove `restate_days`",
        ),
        ("restate_days: 2", "restate_days: -2", "shops.yaml:15: one.tables.events.restate_days", "greater than"),
        ("restate_days", "restat_days", "shops.yaml:15: one.tables.events.restat_days", "did you mean 'restate_days'?"),
    ],
)
def test_a_fault_of_a_source_of_tables(tmp_path: Path, old: str, new: str, place: str, words: str) -> None:
    assert TABLES.count(old) == 1
    message = fault(tmp_path, TABLES.replace(old, new))
    assert any(line.startswith(place) and re.search(words, line) for line in message.splitlines()), message
