"""Tests of the simulated Online Retail shop: its form, its faults and the structure planted in it."""

import csv
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from simulator import online_retail as shop
from simulator.plan import Drift, Plan, Written
from simulator.world import promotion_on

BIG = 60_000
SIZES = [(7, 3_000), (3, 3_000), (7, 6_000), (7, BIG)]
SERVICES = ("POST", "DOT", "M", "C2", "D", "S", "BANK CHARGES", "AMAZONFEE", "CRUK")
_made: dict[tuple[int, int], list[shop.Row]] = {}


def made(seed: int = 7, lines: int = 6_000) -> list[shop.Row]:
    if (seed, lines) not in _made:
        _made[seed, lines] = list(shop.rows(seed, lines))
    return _made[seed, lines]


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return shop.truth(7, BIG)


def is_goods(row: shop.Row) -> bool:
    return row[1][:5].isdigit()


def is_sale(row: shop.Row) -> bool:
    return row[3] > 0 and row[5] > 0 and row[0].isdigit()


def lines_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as text:
        return list(csv.reader(text))


# Determinism


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.xlsx"])
def test_same_seed_same_bytes(tmp_path: Path, name: str) -> None:
    write = shop.write_xlsx if name.endswith("xlsx") else shop.write_csv
    paths = [tmp_path / "first" / name, tmp_path / "second" / f"other-{name}", tmp_path / "third" / name]
    for path, seed in zip(paths, (7, 7, 8), strict=True):
        assert write(path, seed=seed, lines=800) == 800
        assert os.listdir(path.parent) == [path.name]
    assert digest(paths[0]) == digest(paths[1]) != digest(paths[2])


def test_same_rows_on_every_python_and_hash_seed() -> None:
    # The sum is of one Python and holds for all: a change of it is a change of everyone's data.
    code = (
        "import hashlib; from simulator.online_retail import rows;"
        "print(hashlib.sha256(repr(list(rows(7, 3000))).encode()).hexdigest())"
    )
    sums = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(shop.__file__).parents[1],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("0", "1")
    ]
    assert sums == ["5ab0452dd652ed47e40e6bc0c7fee12f6636f67fb627ffcc7b25381613fc8c78"] * 2


def test_truth_belongs_to_the_rows() -> None:
    truth = shop.truth(5, 3_000)
    assert set(truth["segments"]) == {row[6] for row in made(5, 3_000)} - {None}
    assert truth["no_customer"] == sum(row[6] is None for row in made(5, 3_000))
    assert {row[1] for row in made(5, 3_000) if is_goods(row) and not row[1].islower()} <= {
        *truth["categories"],
        *(code.lower() for code in truth["categories"]),
    }


# Form


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_types_order_and_number(seed: int, lines: int) -> None:
    data = made(seed, lines)
    assert len(data) == lines
    for row in data:
        number, code, description, quantity, at, price, customer, country = row
        assert [type(value) for value in (number, code, quantity, at, price, country)] == [
            *(str, str, int, datetime, Decimal, str)
        ]
        assert description is None or (isinstance(description, str) and description)
        assert customer is None or (len(customer) == 5 and customer.isdigit())
        assert number.lstrip("CA").isdigit() and len(number.lstrip("CA")) == 6
        assert quantity != 0
        assert at.tzinfo is None and at.second == at.microsecond == 0
        assert 6 <= at.hour <= 20
        assert at.weekday() != 5 and (1, 3) < (at.month, at.day) < (12, 24)
    times = [row[4] for row in data]
    assert times == sorted(times)
    assert times[0].date() == date(2010, 12, 1) and times[-1].date() == date(2011, 12, 9)


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_an_invoice_has_one_customer_one_country_and_at_most_two_minutes(seed: int, lines: int) -> None:
    invoices = defaultdict(list)
    for row in made(seed, lines):
        invoices[row[0]].append(row)
    assert all(len({(row[6], row[7]) for row in invoice}) == 1 for invoice in invoices.values())
    minutes = [sorted({row[4] for row in invoice}) for invoice in invoices.values()]
    assert all(m[-1] - m[0] <= timedelta(minutes=1) and m[-1].date() == m[0].date() for m in minutes)
    assert 3 <= sum(len(m) == 2 for m in minutes) <= 0.02 * len(minutes)


def test_csv_is_the_public_form(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    assert shop.write_csv(path, lines=3_000) == 3_000
    header, *body = lines_of(path)
    assert tuple(header) == shop.COLUMNS
    assert "\r" not in path.read_text(encoding="utf-8")
    for fields, row in zip(body, made(7, 3_000), strict=True):
        assert datetime.strptime(fields[4], "%Y-%m-%d %H:%M:%S") == row[4]
        assert Decimal(fields[5]) == row[5] and "." in fields[5]
        assert (fields[0], fields[1], int(fields[3]), fields[7]) == (row[0], row[1], row[3], row[7])
        assert (fields[2] or None, fields[6] or None) == (row[2], row[6])
    zipped = tmp_path / "retail.csv.gz"
    shop.write_csv(zipped, lines=3_000)
    assert gzip.decompress(zipped.read_bytes()) == path.read_bytes()


def test_monthly_parts_are_the_whole(tmp_path: Path) -> None:
    paths = shop.write_monthly(tmp_path / "months", lines=3_000)
    shop.write_csv(tmp_path / "whole.csv", lines=3_000)
    months = [f"2010-{12}", *(f"2011-{month:02}" for month in range(1, 13))]
    assert [path.name for path in paths] == [f"online_retail_{month}.csv" for month in months]
    assert sorted(path.name for path in (tmp_path / "months").iterdir()) == [path.name for path in paths]
    parts = [lines_of(path) for path in paths]
    assert all(part[0] == list(shop.COLUMNS) for part in parts)
    assert all(line[4].startswith(month) for month, part in zip(months, parts, strict=True) for line in part[1:])
    assert [line for part in parts for line in part[1:]] == lines_of(tmp_path / "whole.csv")[1:]


def test_xlsx_reads_back_as_the_rows(tmp_path: Path) -> None:
    assert shop.write_xlsx(tmp_path / "retail.xlsx", lines=3_000) == 3_000
    book = CalamineWorkbook.from_path(tmp_path / "retail.xlsx")
    assert book.sheet_names == ["Online Retail"]
    header, *body = book.get_sheet_by_name("Online Retail").to_python()
    assert tuple(header) == shop.COLUMNS

    def number_or_text(text: str | None) -> float | str:
        return "" if text is None else float(text) if text.isdigit() else text

    for cells, row in zip(body, made(7, 3_000), strict=True):
        number, code, description, quantity, at, price, customer, country = row
        wanted = [number_or_text(number), number_or_text(code), description or "", quantity, at, float(price)]
        assert cells == [*wanted, number_or_text(customer), country]
    assert {type(cells[0]) for cells in body} == {float, str}
    assert any(isinstance(cells[1], float) for cells in body) and any(isinstance(cells[1], str) for cells in body)


# Faults

# Count -> bounds of its share of the lines; the real sheet's share stands behind.
BOUNDS = {
    "cancelled": (0.014, 0.023),  # 1.71 %
    "no customer": (0.22, 0.28),  # 24.93 %
    "duplicate": (0.008, 0.0115),  # 0.97 %
    "write-off": (0.002, 0.003),  # 0.25 %
    "write-off with a note": (0.0005, 0.0015),  # 0.09 %
    "no description": (0.0015, 0.004),  # 0.27 %
    "price zero": (0.004, 0.006),  # 0.46 %
    "blank around": (0.16, 0.24),  # 20.94 %
    "blank before": (0.001, 0.010),  # 0.23 %
    "two blanks": (0.02, 0.06),  # 4.11 %
    "comma": (0.006, 0.018),  # 0.89 %
    "quote": (0.001, 0.007),  # 0.23 %
    "letter": (0.06, 0.14),  # 9.57 %
    "lower case": (0.0028, 0.0045),  # 0.36 %
    "United Kingdom": (0.89, 0.935),  # 91.43 %
}


def faults(data: list[shop.Row]) -> Counter[str]:
    count: Counter[str] = Counter(duplicate=len(data) - len(set(data)))
    for number, code, description, quantity, _, price, customer, country in data:
        text = description or ""
        lost = quantity < 0 and not number.startswith("C")
        count["cancelled"] += number.startswith("C")
        count["no customer"] += customer is None
        count["write-off"] += lost
        count["write-off with a note"] += lost and bool(text)
        count["no description"] += description is None
        count["price zero"] += price == 0
        count["blank around"] += text != text.strip()
        count["blank before"] += text != text.lstrip()
        count["two blanks"] += "  " in text
        count["comma"] += "," in text
        count["quote"] += '"' in text
        count["letter"] += code[:5].isdigit() and not code.isdigit()
        count["lower case"] += code[:5].isdigit() and code != code.upper()
        count["United Kingdom"] += country == "United Kingdom"
    return count


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_shares_of_the_faults(seed: int, lines: int) -> None:
    count = faults(made(seed, lines))
    wrong = {k: count[k] / lines for k, (low, high) in BOUNDS.items() if not low <= count[k] / lines <= high}
    assert not wrong
    assert min(count[kind] for kind in BOUNDS) >= 2


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_rare_faults_are_there(seed: int, lines: int) -> None:
    data = made(seed, lines)
    codes = Counter(row[1] for row in data)
    assert all(3 <= codes[code] <= max(16, 0.004 * lines) for code in SERVICES), codes
    assert {f"gift_0001_{value}" for value in (10, 20, 30, 40, 50)} < set(codes)
    assert codes["DCGSSGIRL"] >= 3 and codes["DCGSSBOY"] >= 1 and codes["m"] == 1
    assert sum(row[5] == Decimal("0.001") for row in data) == 1
    assert all(str(row[5])[-3] == "." or row[1] == "PADS" for row in data)

    bad_debt = [row for row in data if row[0].startswith("A")]
    assert [row[1:4] for row in bad_debt] == [("B", "Adjust bad debt", 1)] * 3
    amounts = [row[5] for row in bad_debt]
    assert amounts[0] > 400 and amounts[1] == amounts[2] == -amounts[0]

    huge = [row for row in data if abs(row[3]) > 60_000]
    assert len(huge) == 4
    for sale, back in (huge[:2], huge[2:]):
        assert (sale[1], sale[3], sale[5:]) == (back[1], -back[3], back[5:])
        assert back[0].startswith("C") and timedelta(0) < back[4] - sale[4] < timedelta(hours=1)

    countries = defaultdict(set)
    for row in data:
        countries[row[6]].add(row[7])
    assert len({row[7] for row in data}) == 38
    assert 3 <= sum(len(found) == 2 for who, found in countries.items() if who) <= max(4, lines // 10_000)
    names = defaultdict(set)
    for row in data:
        if is_goods(row) and row[2] and row[5]:
            names[row[1].upper()].add(row[2])
    assert 0.02 < sum(len(found) > 1 for found in names.values()) / len(names) < 0.3


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_signs_go_with_the_invoice_letter(seed: int, lines: int) -> None:
    for number, _, description, quantity, _, price, customer, _ in made(seed, lines):
        if number.startswith("C"):
            assert quantity < 0 < price
        elif quantity < 0:
            assert price == 0 and customer is None and (description is None or not description.isupper())
        assert price >= 0 or number.startswith("A")


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_cancellations_are_mostly_of_earlier_sales(seed: int, lines: int) -> None:
    most: dict[tuple[str | None, str], int] = {}
    earlier = whole = total = 0
    for row in made(seed, lines):
        key = (row[6], row[1])
        if is_sale(row):
            most[key] = max(most.get(key, 0), row[3])
        elif row[0].startswith("C") and is_goods(row):
            total += 1
            earlier += most.get(key, 0) >= -row[3]
            whole += most.get(key, 0) == -row[3]
    assert 0.75 < earlier / total < 0.99
    assert 0.2 < whole / total < 0.7


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_lower_case_codes_are_variants(seed: int, lines: int) -> None:
    truth = shop.truth(seed, lines)["categories"]
    lower = [row for row in made(seed, lines) if is_goods(row) and row[1] != row[1].upper()]
    assert all(row[1].upper() in truth and row[6] is None for row in lower)


# Planted structure


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_the_week_peaks_on_thursday(seed: int, lines: int) -> None:
    per_day = Counter(row[4].weekday() for row in made(seed, lines))
    assert per_day[5] == 0
    assert per_day.most_common(1)[0][0] == 3
    assert per_day[6] == min(per_day[day] for day in (0, 1, 2, 3, 4, 6))


def test_the_factors_of_the_week_are_recovered(known: dict[str, Any]) -> None:
    per_day: Counter[date] = Counter(row[4].date() for row in made(7, BIG))
    means = [mean(n for day, n in per_day.items() if day.weekday() == weekday) for weekday in (0, 1, 2, 3, 4, 6)]
    wanted = [factor for factor in known["weekdays"] if factor]
    scale = sum(wanted) / sum(means)
    assert [m * scale for m in means] == pytest.approx(wanted, rel=0.06)


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_the_year_rises_from_september_to_november(seed: int, lines: int) -> None:
    month = Counter(row[4].month for row in made(seed, lines) if row[4].year == 2011)
    summer = mean(month[m] for m in (5, 6, 7, 8))
    assert summer < month[9] < month[10] < month[11]
    assert 1.8 < month[11] / summer < 2.7


def test_the_trend_is_recovered(known: dict[str, Any]) -> None:
    # Two whole years: season and weekdays are alike, what is left is the trend.
    data = shop.rows(7, BIG, date(2010, 3, 1), date(2012, 2, 29))
    years = Counter((row[4] - timedelta(days=59)).year for row in data)
    first, second = years[2010], years[2011]
    # Mean of the factor over the second year by that over the first.
    assert second / first == pytest.approx((1 + 1.5 * known["trend"]) / (1 + 0.5 * known["trend"]), rel=0.03)


@pytest.mark.parametrize(("seed", "lines"), SIZES)
def test_segments_differ_in_frequency_quantity_and_basket(seed: int, lines: int) -> None:
    truth = shop.truth(seed, lines)["segments"]
    assert set(truth.values()) == {"wholesaler", "loyal", "occasional", "one_off"}
    invoices, quantities, baskets = defaultdict(set), defaultdict(list), defaultdict(list)
    for row in made(seed, lines):
        if row[6] and is_sale(row) and row[3] < 60_000:
            invoices[row[6]].add(row[0])
            quantities[truth[row[6]]].append(row[3])
            baskets[truth[row[6]]].append(row[0])
    often = {s: mean(len(n) for who, n in invoices.items() if truth[who] == s) for s in set(truth.values())}
    assert often["wholesaler"] > 1.3 * often["loyal"] > 1.3 * 2 * often["occasional"] > 1.3 * 2 * 1.3 * often["one_off"]
    typical = {s: median(values) for s, values in quantities.items()}
    assert typical["wholesaler"] >= 3 * typical["loyal"] and typical["loyal"] > typical["one_off"]
    length = {s: len(numbers) / len(set(numbers)) for s, numbers in baskets.items()}
    assert length["wholesaler"] > length["loyal"] > length["one_off"]


def test_a_simple_rule_finds_the_segments(known: dict[str, Any]) -> None:
    invoices, quantities = defaultdict(set), defaultdict(list)
    for row in made(7, BIG):
        if row[6] and is_sale(row):
            invoices[row[6]].add(row[0])
            quantities[row[6]].append(row[3])
    right = 0
    for who, numbers in invoices.items():
        bulk, often = median(quantities[who]) >= 18 and len(numbers) > 2, len(numbers)
        guess = "wholesaler" if bulk else "loyal" if often > 5 else "occasional" if often > 1 else "one_off"
        right += guess == known["segments"][who]
    assert right / len(invoices) > 0.7  # a one-off and an occasional who came once look alike


def test_popularity_falls_with_rank(known: dict[str, Any]) -> None:
    sold = Counter(row[1] for row in made(7, BIG) if is_goods(row) and is_sale(row) and row[1] == row[1].upper())
    ranked = list(known["popularity"])
    bands = [mean(sold[code] for code in ranked[low:high]) for low, high in ((0, 10), (10, 50), (50, 200), (200, 600))]
    assert bands[0] > 1.5 * bands[1] > 1.5 * 1.8 * bands[2] > 1.5 * 1.8 * 1.8 * bands[3] > 0
    top = sum(n for _, n in sold.most_common(len(ranked) // 5)) / sum(sold.values())
    assert 0.45 < top < 0.75


def test_names_imply_categories_and_customers_have_favourites(known: dict[str, Any]) -> None:
    nouns = {noun: category for category, words in shop.CATEGORIES.items() for noun in words}
    assert len(nouns) == sum(len(words) for words in shop.CATEGORIES.values())
    hits = total = 0
    for row in made(7, BIG):
        category = known["categories"].get(row[1])
        if category is None or not is_sale(row) or row[2] is None:
            continue
        implied = {nouns[noun] for noun in nouns if noun in " ".join(row[2].replace(" , ", " ").split())}
        assert category in implied
        if row[6] and category not in ("christmas", "garden"):
            total += 1
            hits += category in known["favourites"][row[6]]
    assert 0.55 < hits / total < 0.75  # 0.25 without favourites
    month = Counter(row[4].month for row in made(7, BIG) if known["categories"].get(row[1]) == "christmas")
    assert sum(month[m] for m in (9, 10, 11, 12)) > 0.8 * sum(month.values())


def test_counts_of_the_truth_are_those_of_the_rows(known: dict[str, Any]) -> None:
    data, counts = made(7, BIG), known["counts"]
    found = faults(data)
    assert found["duplicate"] == counts["duplicate"]
    assert found["write-off"] == counts["write_off"]
    assert found["lower case"] == counts["lower_case_code"]
    assert found["no customer"] == known["no_customer"]
    assert BIG - found["United Kingdom"] == known["abroad"]
    assert sum(row[0].startswith("C") and is_goods(row) for row in data) == counts["cancellation"] + 2
    assert {row[0] for row in data if row[0].startswith("A")} == set(known["bad_debt"])
    assert [row[0] for row in data if abs(row[3]) > 60_000] == known["huge"]
    countries = defaultdict(set)
    for row in data:
        countries[row[6]].add(row[7])
    assert {who for who, names in countries.items() if who and len(names) > 1} == set(known["two_countries"])
    assert all(countries[who] == set(names) for who, names in known["two_countries"].items())


# Scale, span and errors


def test_100_000_lines_stream_in_bounded_memory() -> None:
    tracemalloc.start()
    try:
        assert sum(1 for _ in shop.rows(7, 100_000)) == 100_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12e6  # as a list they are some 60 MB


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (1, date(2010, 12, 1), date(2011, 12, 9)),
        (50, date(2010, 12, 1), date(2011, 12, 9)),
        (1_000, date(2024, 2, 29), date(2024, 2, 29)),
        (3, date(2024, 12, 20), date(2025, 1, 10)),
        (9_000, date(2020, 1, 1), date(2024, 12, 31)),
    ],
)
def test_any_span_has_exactly_its_lines(lines: int, start: date, end: date) -> None:
    data = list(shop.rows(1, lines, start, end))
    assert len(data) == lines
    assert all(start <= row[4].date() <= end for row in data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": date(2011, 2, 2), "end": date(2011, 2, 1)}, "before start"),
        ({"lines": 0}, "at least 1"),
        ({"lines": -5}, "at least 1"),
        ({"lines": 10.0}, "lines must be an int"),
        ({"seed": "7"}, "seed must be an int"),
        ({"seed": 7.0}, "seed must be an int"),
        ({"seed": True}, "seed must be an int"),
        ({"seed": None}, "seed must be an int"),
        ({"start": "2010-12-01"}, "start must be a date"),
        ({"end": datetime(2011, 12, 9)}, "end must be a date"),
        ({"start": date(2011, 12, 24), "end": date(2012, 1, 3)}, "closed on all days"),
    ],
)
def test_wrong_arguments_are_named_at_the_call(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: shop.rows(**arguments),
        lambda: shop.truth(**arguments),
        lambda: shop.write_csv(tmp_path / "a.csv", **arguments),
        lambda: shop.write_xlsx(tmp_path / "a.xlsx", **arguments),
        lambda: shop.write_monthly(tmp_path, **arguments),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()
    assert not list(tmp_path.iterdir())


def test_a_sheet_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1,048,575"):
        shop.write_xlsx(tmp_path / "a.xlsx", lines=1_048_576)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.xlsx"])
def test_a_broken_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def broken(*_: Any) -> Any:
        yield from made(7, 3_000)[:10]
        raise OSError("no space left")

    (tmp_path / name).write_bytes(b"old")
    monkeypatch.setattr(shop, "rows", broken)
    with pytest.raises(OSError, match="no space"):
        (shop.write_xlsx if name.endswith("xlsx") else shop.write_csv)(tmp_path / name)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"old")]


# A shop that grows


UNTIL = date(2026, 5, 29)
PLAN = Plan(7, 6_000 / shop.PUBLIC_LINES, UNTIL - timedelta(days=shop.PUBLIC_DAYS - 1), UNTIL)


def grown(plan: Plan) -> list[shop.Row]:
    """All rows of a plan by their time, those that are late too."""
    lines = round(plan.scale * shop.PUBLIC_LINES)
    return list(shop._Shop(plan.seed, lines, plan.start, plan.until, grows=True, drifts=plan.drifts).run())


def write_plan(folder: Path, plan: Plan, after: date | None = None) -> list[Written]:
    return shop.write(folder / "data", folder / "truth", plan, after, lambda _: None)


def file_rows(path: Path) -> list[tuple[str, ...]]:
    """The rows of a workbook or a CSV, alike."""
    if path.suffix == ".csv":
        return [(*row[:5], f"{float(row[5]):.3f}", *row[6:]) for row in lines_of(path)[1:]]
    cells = CalamineWorkbook.from_path(path).get_sheet_by_name("Online Retail").to_python()[1:]

    def text(cell: object) -> str:
        return str(int(cell)) if isinstance(cell, float) else str(cell)

    return [
        (*map(text, row[:4]), f"{row[4]:%Y-%m-%d %H:%M:%S}", f"{float(row[5]):.3f}", *map(text, row[6:]))
        for row in cells
    ]


def folder_rows(folder: Path) -> Counter[tuple[str, ...]]:
    return Counter(row for path in (folder / "data").iterdir() for row in file_rows(path))


def test_growing_ends_where_one_write_ends(tmp_path: Path) -> None:
    plan = replace(PLAN, drifts=(Drift("volume", date(2026, 4, 20)),))
    (once,) = write_plan(tmp_path / "whole", plan)
    assert (once.table, once.path.name) == ("invoice_lines", "Online Retail.xlsx")
    assert once.rows == len(file_rows(once.path)) == pytest.approx(6_700, rel=0.1)
    after = None
    # The 4th is a Saturday: the shop is closed, and no invoice is late.
    for until in (date(2026, 4, 3), date(2026, 4, 4), date(2026, 4, 19), UNTIL):
        files = write_plan(tmp_path / "grown", replace(plan, until=until), after)
        if after is not None and files:
            assert [file.path.name for file in files] == [f"Online Retail_{until}.csv"]
        assert bool(files) == (until != date(2026, 4, 4))
        after = until
    assert folder_rows(tmp_path / "grown") == folder_rows(tmp_path / "whole")
    assert (tmp_path / "grown/truth/truth.json").read_bytes() == (tmp_path / "whole/truth/truth.json").read_bytes()


def test_a_shop_that_grows_is_the_same_however_far_it_runs() -> None:
    short, long = grown(replace(PLAN, until=date(2026, 1, 15))), grown(replace(PLAN, until=date(2027, 12, 31)))
    assert long[: len(short)] == short and len(short) > 3_000
    later = [row for row in long if row[4].date() > UNTIL]
    # Another year and a half: new customers come, the old faults recur, ids stay unique and of five digits.
    known = {row[6] for row in long if row[4].date() <= UNTIL}
    fresh = {row[6] for row in later} - known - {None}
    assert len(fresh) > 0.5 * len(known) and all(len(who) == 5 for who in fresh if who)
    assert sum(abs(row[3]) > 60_000 for row in later) >= 2
    recent = {row[6] for row in later if row[4].year == 2027 and row[4].month > 9} - {None}
    assert len(recent & known) < 0.4 * len(recent)  # most of the first year's customers have lapsed
    count = faults(long)
    wrong = {
        kind: count[kind] / len(long)
        for kind, (low, high) in BOUNDS.items()
        if not 0.75 * low <= count[kind] / len(long) <= 1.25 * high
    }
    assert not wrong


def test_late_invoices_arrive_after_their_day(tmp_path: Path) -> None:
    plan = replace(PLAN, scale=30_000 / shop.PUBLIC_LINES)
    (file,) = write_plan(tmp_path, plan)
    data = file_rows(file.path)
    late = json.loads((tmp_path / "truth/truth.json").read_text())["late"]
    invoices = {row[0]: row[4][:10] for row in data}
    assert 0.002 < len(late) / len(invoices) < 0.009
    here = {number: arrival for number, arrival in late.items() if number in invoices}
    assert all(
        1 <= (date.fromisoformat(arrival) - date.fromisoformat(invoices[number])).days <= 3
        for number, arrival in here.items()
    )
    newest = ""
    out_of_order = set()
    for row in data:
        newest = max(newest, row[4][:10])
        if row[4][:10] < newest:
            out_of_order.add(row[0])
    assert out_of_order and out_of_order <= set(here)


def test_price_sensitivity_is_recovered_from_the_promotions() -> None:
    plan = replace(PLAN, scale=120_000 / shop.PUBLIC_LINES, until=PLAN.start + timedelta(days=540))
    sold: Counter[tuple[str, date]] = Counter()
    prices = defaultdict(list)
    categories = shop.truth(7, 120_000)["categories"]  # the assortment of the same size
    for row in grown(plan):
        category = categories.get(row[1])
        if category and is_sale(row) and row[3] < 60_000:
            sold[category, row[4].date()] += 1
            if row[6] and row[3] < 24:
                prices[row[1], row[4].date()].append(row[5])
    names = list(shop.CATEGORIES)
    cuts = {
        (names[i], day): promotion.cut
        for day in {d for _, d in sold}
        if (promotion := promotion_on(7, "online_retail", day, len(names)))
        for i in promotion.categories
    }
    during, around, expected = defaultdict(float), defaultdict(float), defaultdict(list)
    for (category, day), cut in cuts.items():
        beside = [day + timedelta(days=shift) for shift in (-14, -7, 7, 14)]
        if all((category, d) not in cuts and sold[category, d] for d in beside):
            strength = round(shop.PRICE_SENSITIVITY[category])
            during[strength] += sold[category, day]
            around[strength] += sum(sold[category, d] for d in beside) / 4
            expected[strength].append((1 - cut) ** -shop.PRICE_SENSITIVITY[category])
    for strength, values in expected.items():
        assert during[strength] / around[strength] == pytest.approx(mean(values), rel=0.15)
    assert set(expected) == {1, 2, 3}
    cheaper = [
        float(min(prices[code, day])) / float(median(prices[code, day - timedelta(days=7)])) / (1 - cut)
        for (code, day) in list(prices)
        if (cut := cuts.get((categories[code], day))) and prices.get((code, day - timedelta(days=7)))
    ]
    assert len(cheaper) > 100 and median(cheaper) == pytest.approx(1.0, abs=0.02)


def test_drifts_of_a_shop_show_from_their_day_on() -> None:
    start = date(2026, 1, 20)
    plan = replace(PLAN, scale=40_000 / shop.PUBLIC_LINES)
    plain = grown(plan)
    moved = grown(replace(plan, drifts=(Drift("tastes", start), Drift("prices", start), Drift("volume", start))))
    first = [row for row in plain if row[4].date() < start]
    assert moved[: len(first)] == first and moved[len(first)][4].date() >= start
    truth = shop.truth(7, 40_000)
    after = [[row for row in data if row[4].date() >= start] for data in (plain, moved)]
    assert len(after[1]) / len(after[0]) == pytest.approx(1.8, rel=0.03)

    def liked(data: list[shop.Row]) -> float:
        return mean(
            truth["categories"][row[1]] in truth["favourites"][row[6]]
            for row in data
            if row[6] in truth["favourites"] and row[1] in truth["categories"] and is_sale(row)
        )

    assert liked(after[0]) > 0.5 > 0.3 > liked(after[1])
    lines = round(plan.scale * shop.PUBLIC_LINES)
    made = shop._Shop(7, lines, plan.start, plan.until, grows=True)
    dearer = {product.code for product, shifted in zip(made.products, made.shifted, strict=True) if shifted}
    levels = []
    for data in after:
        level = defaultdict(list)
        for row in data:
            if row[6] and is_sale(row) and row[3] < 24:
                level[row[1]].append(float(row[5]))
        levels.append({code: median(values) for code, values in level.items()})
    ratio = {code: levels[1][code] / levels[0][code] for code in levels[0] if code in levels[1]}
    assert median(value for code, value in ratio.items() if code in dearer) == pytest.approx(1.25, abs=0.02)
    assert median(value for code, value in ratio.items() if code not in dearer) == pytest.approx(1.0, abs=0.01)
    assert 0.3 < sum(code in dearer for code in ratio) / len(ratio) < 0.5


def test_what_a_shop_cannot_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="online_retail cannot show the drift 'wording': it can show tastes, prices"):
        write_plan(tmp_path, replace(PLAN, drifts=(Drift("wording", UNTIL),)))
    with pytest.raises(ValueError, match="closed on all days"):
        write_plan(tmp_path, replace(PLAN, start=date(2025, 12, 26), until=date(2025, 12, 31)))
    assert not list(tmp_path.iterdir())


def test_above_what_a_sheet_holds_the_shop_is_a_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop, "MAX_SHEET_LINES", 5_000)
    (file,) = write_plan(tmp_path, PLAN)
    assert file.path.name == "Online Retail.csv" and file.rows == len(file_rows(file.path)) > 5_000
