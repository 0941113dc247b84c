"""Tests of the simulated Olist marketplace: its files, its growth, its faults and the structure planted in it."""

from __future__ import annotations

import csv
import json
import math
import re
import tracemalloc
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any

import pyarrow.parquet as pq
import pytest

from simulator import olist as shop
from simulator.plan import Drift, Plan, Written

UNTIL = date(2026, 3, 31)
PLAN = Plan(7, 0.05, UNTIL - timedelta(days=shop.PUBLIC_DAYS - 1), UNTIL)
SMALL = Plan(5, 0.01, date(2025, 9, 1), date(2025, 12, 20))

Record = dict[str, str]
HEX = re.compile(r"[0-9a-f]{32}")
STAMP = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}")


def written(folder: Path, plan: Plan, after: date | None = None) -> list[Written]:
    return shop.write(folder / "data", folder / "truth", plan, after, lambda _: None)


def records(folder: Path, table: str) -> list[Record]:
    """All rows of a table's files, the base file first and the others by their day."""
    found: list[Record] = []
    base = shop.TABLES[table][0]
    for path in sorted((folder / "data").glob(f"{base}*.csv"), key=lambda path: (len(path.name), path.name)):
        encoding = "utf-8-sig" if table == "category_translation" else "utf-8"
        with path.open(encoding=encoding, newline="") as text:
            found += csv.DictReader(text)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("olist")
    written(folder, PLAN)
    return folder


@pytest.fixture(scope="module")
def data(folder: Path) -> dict[str, list[Record]]:
    return {table: records(folder, table) for table in shop.TABLES}


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "truth" / "truth.json").read_text()))


def truth_table(folder: Path, name: str) -> list[dict[str, Any]]:
    return list(pq.read_table(folder / "truth" / f"{name}.parquet").to_pylist())


def day(record: Record, column: str = "order_purchase_timestamp") -> date:
    return date.fromisoformat(record[column][:10])


# Form


def test_the_files_are_those_of_the_public_set(folder: Path) -> None:
    assert {path.name for path in (folder / "data").iterdir()} == {f"{base}.csv" for base, _ in shop.TABLES.values()}
    for table, (base, columns) in shop.TABLES.items():
        raw = (folder / "data" / f"{base}.csv").read_bytes()
        assert raw.startswith(b"\xef\xbb\xbf") == (table == "category_translation")
        header = raw.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode()
        is_bare = table in ("reviews", "category_translation")
        assert header == ",".join(columns if is_bare else (f'"{column}"' for column in columns))
        assert raw.endswith(b"\n")


def test_texts_stand_in_quotes_where_they_begin_with_a_digit(folder: Path) -> None:
    for name in ("olist_products_dataset", "olist_sellers_dataset", "olist_customers_dataset"):
        for line in (folder / "data" / f"{name}.csv").read_text().splitlines()[1:500]:
            first = line.split(",", 1)[0]
            assert first.startswith('"') == first.strip('"')[0].isdigit()
    line = (folder / "data" / "olist_sellers_dataset.csv").read_text().splitlines()[1]
    assert re.search(r',"\d{5}",[a-z -]+,[A-Z]{2}$', line)


def test_values_have_their_formats(data: dict[str, list[Record]]) -> None:
    for order in data["orders"]:
        assert HEX.fullmatch(order["order_id"]) and HEX.fullmatch(order["customer_id"])
        assert order["order_status"] in shop.STATUSES
        stamps = [value for column, value in order.items() if column.endswith(("_timestamp", "_at", "_date")) and value]
        assert all(STAMP.fullmatch(stamp) for stamp in stamps)
    for item in data["order_items"]:
        assert re.fullmatch(r"\d+\.\d\d", item["price"]) and re.fullmatch(r"\d+\.\d\d", item["freight_value"])
    assert all(re.fullmatch(r"\d{5}", row["geolocation_zip_code_prefix"]) for row in data["geolocation"])
    assert {len(order["customer_zip_code_prefix"]) for order in data["customers"]} == {5}
    assert any(order["customer_zip_code_prefix"].startswith("0") for order in data["customers"])


def test_sizes_follow_the_scale(data: dict[str, list[Record]]) -> None:
    for table, public in (
        *(("orders", 99_441), ("order_items", 112_650), ("payments", 103_886), ("reviews", 99_224)),
        *(("products", 32_951), ("sellers", 3_095), ("geolocation", 1_000_163)),
    ):
        assert len(data[table]) == pytest.approx(PLAN.scale * public, rel=0.07), table
    assert len(data["customers"]) == len(data["orders"])


def test_every_key_leads_somewhere(data: dict[str, list[Record]]) -> None:
    orders = {order["order_id"] for order in data["orders"]}
    assert len(orders) == len(data["orders"])
    assert [row["customer_id"] for row in data["customers"]] == [row["customer_id"] for row in data["orders"]]
    products = {row["product_id"] for row in data["products"]}
    sellers = {row["seller_id"] for row in data["sellers"]}
    assert {row["product_id"] for row in data["order_items"]} <= products
    assert {row["seller_id"] for row in data["order_items"]} <= sellers
    for table in ("order_items", "payments", "reviews"):
        assert {row["order_id"] for row in data[table]} <= orders
    pairs = Counter((row["review_id"], row["order_id"]) for row in data["reviews"])
    assert max(pairs.values()) == 1


def test_payments_add_up_to_the_items(data: dict[str, list[Record]]) -> None:
    total: dict[str, int] = defaultdict(int)
    for item in data["order_items"]:
        total[item["order_id"]] += round(100 * (float(item["price"]) + float(item["freight_value"])))
    paid: dict[str, int] = defaultdict(int)
    for row in data["payments"]:
        paid[row["order_id"]] += round(100 * float(row["payment_value"]))
    assert all(paid[order] == value for order, value in total.items())
    numbers = Counter((row["order_id"], row["payment_sequential"]) for row in data["payments"])
    assert max(numbers.values()) == 1


def test_instants_come_in_order_and_none_after_the_last_day(data: dict[str, list[Record]]) -> None:
    end = datetime.combine(UNTIL + timedelta(days=1), datetime.min.time())
    for order in data["orders"]:
        columns = (
            *("order_purchase_timestamp", "order_approved_at", "order_delivered_carrier_date"),
            "order_delivered_customer_date",
        )
        moves = [datetime.fromisoformat(order[column]) for column in columns if order[column]]
        assert moves == sorted(moves) and moves[-1] < end
        if order["order_status"] == "delivered":
            assert len(moves) == 4
        if order["order_status"] in ("created", "approved", "invoiced", "processing"):
            assert not order["order_delivered_carrier_date"]
    bought = {order["order_id"]: order["order_purchase_timestamp"] for order in data["orders"]}
    for review in data["reviews"]:
        assert bought[review["order_id"]] < review["review_creation_date"] < review["review_answer_timestamp"]
        assert datetime.fromisoformat(review["review_answer_timestamp"]) < end


# Determinism and growth


def test_equal_plans_give_equal_bytes_and_another_seed_another_shop(tmp_path: Path) -> None:
    for name, plan in (("a", SMALL), ("b", SMALL), ("c", replace(SMALL, seed=6))):
        written(tmp_path / name, plan)
    for path in sorted((tmp_path / "a" / "data").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / "data" / path.name).read_bytes()
    a, c = records(tmp_path / "a", "orders"), records(tmp_path / "c", "orders")
    assert not {row["order_id"] for row in a} & {row["order_id"] for row in c}


@pytest.mark.parametrize("drifts", [(), (Drift("volume", date(2025, 11, 20)), Drift("wording", date(2025, 11, 20)))])
def test_growing_ends_where_one_write_ends(tmp_path: Path, drifts: tuple[Drift, ...]) -> None:
    plan = replace(SMALL, drifts=drifts)
    written(tmp_path / "whole", plan)
    after = None
    for until in (date(2025, 10, 15), date(2025, 10, 16), date(2025, 11, 30), plan.until):
        files = written(tmp_path / "grown", replace(plan, until=until), after)
        if after is not None:
            assert all(file.path.name.endswith(f"_{until}.csv") for file in files)
        after = until
    for table in shop.TABLES:
        grown, once = records(tmp_path / "grown", table), records(tmp_path / "whole", table)
        if table == "orders":
            assert len(grown) > len(once)  # those whose status moved on are there again
            assert {row["order_id"]: row for row in grown} == {row["order_id"]: row for row in once}
        else:
            rows = [Counter(tuple(row.values()) for row in found) for found in (grown, once)]
            assert rows[0] == rows[1], table
    for name in ("truth.json", "products.parquet", "customers.parquet", "reviews.parquet"):
        assert (tmp_path / "grown" / "truth" / name).read_bytes() == (tmp_path / "whole" / "truth" / name).read_bytes()


def test_a_later_file_has_only_what_came_or_changed(tmp_path: Path) -> None:
    first = date(2025, 11, 30)
    written(tmp_path, replace(SMALL, until=first))
    before = {row["order_id"]: row for row in records(tmp_path, "orders")}
    written(tmp_path, SMALL, first)
    with (tmp_path / "data" / f"olist_orders_dataset_{SMALL.until}.csv").open() as text:
        later = list(csv.DictReader(text))
    assert all(row != before.get(row["order_id"]) for row in later)
    changed = [row for row in later if row["order_id"] in before]
    assert 0 < len(changed) < 0.6 * len(before)
    fixed = ("customer_id", "order_purchase_timestamp", "order_estimated_delivery_date")
    assert all(row[column] == before[row["order_id"]][column] for row in changed for column in fixed)
    late = [row for row in later if row["order_id"] not in before and day(row) <= first]
    assert all(first - day(row) < timedelta(days=3) for row in late)


def test_late_rows_arrive_one_to_three_days_after_they_happened(tmp_path: Path) -> None:
    plan = Plan(7, 1.0, date(2025, 11, 1), date(2025, 11, 12))
    market = shop._Market(plan)
    arrives = [lag for number in range(12) for lag in market.day(plan.start + timedelta(days=number)).arrives.tolist()]
    assert set(arrives) == {0, 1, 2, 3} and 0.005 < mean(lag > 0 for lag in arrives) < 0.015
    small = replace(plan, scale=0.5)
    written(tmp_path / "a", small)
    written(tmp_path / "b", replace(small, until=plan.until + timedelta(days=3)))
    known = {row["order_id"] for row in records(tmp_path / "a", "orders")}
    late = [row for row in records(tmp_path / "b", "orders") if day(row) <= plan.until and row["order_id"] not in known]
    assert late and all(plan.until - day(row) < timedelta(days=3) for row in late)


# Faults


def test_faults_have_their_shares(data: dict[str, list[Record]]) -> None:
    orders, reviews, products = data["orders"], data["reviews"], data["products"]
    statuses = Counter(order["order_status"] for order in orders)
    assert 0.92 < statuses["delivered"] / len(orders) < 0.97
    assert set(statuses) == set(shop.STATUSES)
    assert 0.003 < statuses["canceled"] / len(orders) < 0.011
    with_items = {item["order_id"] for item in data["order_items"]}
    assert 0.004 < 1 - len(with_items) / len(orders) < 0.013
    shared = len(reviews) - len({review["review_id"] for review in reviews})
    assert 0.003 < shared / len(reviews) < 0.012
    twice = Counter(review["order_id"] for review in reviews)
    assert 0.002 < sum(count == 2 for count in twice.values()) / len(orders) < 0.009
    bare = [product for product in products if not product["product_category_name"]]
    assert 0.008 < len(bare) / len(products) < 0.03
    assert all(not product["product_name_lenght"] and product["product_weight_g"] for product in bare)
    translated = {row["product_category_name"] for row in data["category_translation"]}
    untranslated = {product["product_category_name"] for product in products} - translated - {""}
    assert len(untranslated) == 2
    places = {row["geolocation_zip_code_prefix"] for row in data["geolocation"]}
    unknown = sum(row["customer_zip_code_prefix"] not in places for row in data["customers"])
    assert 0.001 < unknown / len(orders) < 0.03
    rows = [tuple(row.values()) for row in data["geolocation"]]
    assert 0.24 < 1 - len(set(rows)) / len(rows) < 0.28
    cities = {row["geolocation_city"] for row in data["geolocation"]}
    assert {"são paulo", "sao paulo"} <= cities
    several = Counter(row["order_id"] for row in data["payments"])
    assert 0.01 < sum(count > 1 for count in several.values()) / len(orders) < 0.05


def test_reviews_look_like_the_public_ones(data: dict[str, list[Record]]) -> None:
    reviews = data["reviews"]
    scores = Counter(int(review["review_score"]) for review in reviews)
    for score, share in ((5, 0.58), (4, 0.19), (3, 0.08), (2, 0.03), (1, 0.12)):
        assert scores[score] / len(reviews) == pytest.approx(share, abs=0.03)
    texts = [review["review_comment_message"] for review in reviews if review["review_comment_message"]]
    assert len(texts) / len(reviews) == pytest.approx(0.42, abs=0.025)
    assert sum(bool(review["review_comment_title"]) for review in reviews) / len(reviews) == pytest.approx(
        0.12, abs=0.02
    )
    assert len(set(texts)) > 0.8 * len(texts)
    assert max(map(len, texts)) <= 200 and min(map(len, texts)) < 10
    for sign, low, high in (("\r\n", 0.03, 0.12), ('"', 0.001, 0.01), (",", 0.15, 0.45), ("ã", 0.1, 0.6)):
        assert low < sum(sign in text for text in texts) / len(texts) < high
    assert 0.03 < sum(text.isupper() for text in texts) / len(texts) < 0.1
    assert not any("{" in text or "@" in text for text in texts)


# Planted truth


def test_the_week_the_year_and_the_trend_are_in_the_orders(data: dict[str, list[Record]]) -> None:
    per_day = Counter(day(order) for order in data["orders"])
    week = [mean(n for d, n in per_day.items() if d.weekday() == weekday) for weekday in range(7)]
    assert week[0] / week[5] == pytest.approx(1.15 / 0.76, rel=0.12)
    ordinary = {d: n for d, n in per_day.items() if not shop.is_black_friday(d)}
    november, june = (mean(n for d, n in ordinary.items() if (d.year, d.month) == (2025, m)) for m in (11, 6))
    assert 1.4 < november / june < 2.2
    friday = next(d for d in per_day if shop.is_black_friday(d) and d.year == 2025)
    assert per_day[friday] > 2 * november
    first, second = (sum(n for d, n in per_day.items() if (UNTIL - d).days // 365 == year) for year in (1, 0))
    assert second / first == pytest.approx((1 + 0.8 * 1.54) / (1 + 0.8 * 0.54), rel=0.12)


def test_segments_differ_in_value_and_only_the_loyal_come_back(folder: Path, data: dict[str, list[Record]]) -> None:
    segments = {row["customer_unique_id"]: row["segment"] for row in truth_table(folder, "customers")}
    who = {row["customer_id"]: row["customer_unique_id"] for row in data["customers"]}
    value: dict[str, float] = defaultdict(float)
    for item in data["order_items"]:
        value[item["order_id"]] += float(item["price"])
    spent = defaultdict(list)
    for order in data["orders"]:
        spent[segments[who[order["customer_id"]]]].append(value[order["order_id"]])
    typical = {segment: mean(values) for segment, values in spent.items()}
    assert typical["premium"] > 1.6 * typical["regular"] > 1.6 * 1.25 * typical["bargain"]
    orders = Counter(who.values())
    again = [person for person, count in orders.items() if count > 1]
    assert 0.02 < len(again) / len(orders) < 0.04
    assert {segments[person] for person in again} == {"loyal"}


def test_tastes_are_in_what_customers_buy(folder: Path, data: dict[str, list[Record]], truth: dict[str, Any]) -> None:
    groups = {row["customer_unique_id"]: row["taste_group"] for row in truth_table(folder, "customers")}
    category = {row["product_id"]: row["category"] for row in truth_table(folder, "products")}
    own = {int(group): set(each["categories"]) for group, each in truth["taste_groups"].items()}
    person = {row["customer_id"]: row["customer_unique_id"] for row in data["customers"]}
    group_of = {row["order_id"]: groups[person[row["customer_id"]]] for row in data["orders"]}
    hits, chance = Counter[int](), Counter[int]()
    for item in data["order_items"]:
        group = group_of[item["order_id"]]
        hits[group] += category[item["product_id"]] in own[group]
        chance[group] += category[item["product_id"]] in own[(group + 3) % len(own)]
    total = Counter(group_of[item["order_id"]] for item in data["order_items"])
    for group, count in total.items():
        assert hits[group] / count > 0.55 > 0.15 > chance[group] / count


def test_elasticities_are_recovered_from_the_promotions(tmp_path: Path) -> None:
    plan = Plan(7, 1.0, date(2025, 2, 1), date(2025, 8, 31))
    market = shop._Market(plan)
    sold: Counter[tuple[int, date]] = Counter()
    for number in range((plan.until - plan.start).days + 1):
        orders = market.day(plan.start + timedelta(days=number))
        first = orders.product[orders.item_number == 1]
        sold.update((category, orders.day) for category in market.goods.category[first].tolist())
    # Sales of the cut categories on the days of a promotion, beside the same weekdays around.
    months = [date(2025, month, 1) for month in range(2, 9)]
    cuts: dict[tuple[int, date], float] = {}
    for promotion in (shop.promotion_of_month(7, "olist", month, len(shop.CATEGORIES)) for month in months):
        for number in range((promotion.last - promotion.first).days + 1):
            at = promotion.first + timedelta(days=number)
            cuts |= {(category, at): promotion.cut for category in promotion.categories}
    during, around = defaultdict(float), defaultdict(float)
    expected = defaultdict(list)
    for (category, at), cut in cuts.items():
        beside = [at + timedelta(days=shift) for shift in (-14, -7, 7, 14)]
        if all((category, d) not in cuts and plan.start <= d <= plan.until for d in beside):
            strength = round(shop.elasticity(category))
            during[strength] += sold[category, at]
            around[strength] += sum(sold[category, d] for d in beside) / 4
            expected[strength].append((1 - cut) ** -shop.elasticity(category))
    lift = {strength: during[strength] / around[strength] for strength in during}
    assert set(lift) == {1, 2, 3}
    for strength, values in expected.items():
        assert lift[strength] == pytest.approx(mean(values), rel=0.15), strength
    assert 1.1 < lift[1] < lift[2] < lift[3]


def test_popularity_has_a_long_tail(data: dict[str, list[Record]]) -> None:
    sold = sorted(Counter(item["product_id"] for item in data["order_items"]).values(), reverse=True)
    top = sum(sold[: len(data["products"]) // 10]) / sum(sold)
    assert 0.35 < top < 0.85


def test_scores_follow_what_happened(data: dict[str, list[Record]]) -> None:
    orders = {order["order_id"]: order for order in data["orders"]}
    scores = defaultdict(list)
    for review in data["reviews"]:
        order = orders[review["order_id"]]
        delivered, promised = order["order_delivered_customer_date"], order["order_estimated_delivery_date"]
        what = "never" if not delivered else "late" if delivered[:10] > promised[:10] else "in time"
        scores[what].append(int(review["review_score"]))
    assert mean(scores["in time"]) > 4.1 > 2.9 > mean(scores["late"]) > mean(scores["never"])
    assert 0.04 < len(scores["late"]) / len(data["reviews"]) < 0.1


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def bayes(train: list[tuple[str, bool]]) -> dict[str, float]:
    """Log odds of a word for a good review (naive Bayes with add-one smoothing)."""
    counts = {True: Counter[str](), False: Counter[str]()}
    sizes = Counter[bool]()
    for text, is_good in train:
        counts[is_good].update(words(text))
        sizes[is_good] += 1
    return {
        word: math.log((counts[True][word] + 1) / (sizes[True] + 2) * (sizes[False] + 2) / (counts[False][word] + 1))
        for word in counts[True] | counts[False]
    }


def accuracy(odds: dict[str, float], test: list[tuple[str, bool]]) -> float:
    """Mean of the two classes' shares found."""
    right = {True: list[bool](), False: list[bool]()}
    for text, is_good in test:
        right[is_good].append((sum(odds.get(word, 0.0) for word in words(text)) > 0) == is_good)
    return mean([mean(right[True]), mean(right[False])])


def opinions(reviews: list[Record]) -> list[tuple[str, bool]]:
    return [
        (review["review_comment_message"], int(review["review_score"]) > 3)
        for review in reviews
        if review["review_comment_message"] and review["review_score"] != "3"
    ]


def test_the_wording_follows_the_score_and_moves_with_the_drift(
    tmp_path: Path, folder: Path, data: dict[str, list[Record]]
) -> None:
    start = date(2025, 10, 1)
    written(tmp_path, replace(PLAN, drifts=(Drift("wording", start),)))
    moved = records(tmp_path, "reviews")
    before = [review for review in moved if day(review, "review_creation_date") < start]
    after = [review for review in moved if day(review, "review_creation_date") >= start]
    assert before == [review for review in data["reviews"] if day(review, "review_creation_date") < start]
    plain = [review for review in data["reviews"] if day(review, "review_creation_date") >= start]
    # The same reviews with the same scores, in other words.
    assert [review["review_score"] for review in after] == [review["review_score"] for review in plain]
    odds = bayes(opinions(before))
    usual, drifted = accuracy(odds, opinions(plain)), accuracy(odds, opinions(after))
    assert 0.80 < usual < 0.97  # neutral and contrary reviews keep it from being perfect
    assert drifted < usual - 0.08
    polarity = {(row["review_id"], row["order_id"]): row["polarity"] for row in truth_table(folder, "reviews")}
    contrary = [
        polarity[review["review_id"], review["order_id"]]
        == ("negative" if int(review["review_score"]) > 3 else "positive")
        for review in data["reviews"]
    ]
    assert 0.03 < mean(contrary) < 0.055


# Drift


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, date]:
    """The same shop without and with the drifts of what is ordered."""
    start, plan = date(2025, 10, 1), Plan(7, 0.05, date(2025, 6, 1), date(2025, 12, 31))
    plain, moved = (tmp_path_factory.mktemp(name) for name in ("plain", "moved"))
    written(plain, plan)
    written(moved, replace(plan, drifts=(Drift("tastes", start), Drift("prices", start), Drift("volume", start))))
    return plain, moved, start


def test_days_before_a_drift_are_as_they_were(drifted: tuple[Path, Path, date]) -> None:
    plain, moved, start = drifted
    for table in ("orders", "order_items", "customers", "payments"):
        kept = []
        for folder in (plain, moved):
            early = {row["order_id"]: row["customer_id"] for row in records(folder, "orders") if day(row) < start}
            owners = set(early.values())
            kept.append(
                [
                    row
                    for row in records(folder, table)
                    if row.get("order_id") in early or row.get("customer_id") in owners
                ]
            )
        assert kept[0] == kept[1] and len(kept[0]) > 300


def test_drifts_show_from_their_day_on(drifted: tuple[Path, Path, date]) -> None:
    plain, moved, start = drifted
    per_day, shares, levels = [], [], []
    for folder in (plain, moved):
        after = {row["order_id"]: row["customer_id"] for row in records(folder, "orders") if day(row) >= start}
        per_day.append(len(after))
        category = {row["product_id"]: row["category"] for row in truth_table(folder, "products")}
        groups = {row["customer_unique_id"]: row["taste_group"] for row in truth_table(folder, "customers")}
        person = {row["customer_id"]: row["customer_unique_id"] for row in records(folder, "customers")}
        own = json.loads((folder / "truth" / "truth.json").read_text())["taste_groups"]
        items = [row for row in records(folder, "order_items") if row["order_id"] in after]
        shares.append(
            mean(
                category[row["product_id"]] in own[str(groups[person[after[row["order_id"]]]])]["categories"]
                for row in items
            )
        )
        level = defaultdict(list)
        for row in items:
            level[row["product_id"]].append(float(row["price"]))
        levels.append({product: mean(prices) for product, prices in level.items()})
    assert per_day[1] / per_day[0] == pytest.approx(1.8, rel=0.08)
    assert shares[0] > 0.55 and shares[1] < 0.2
    shift = {row["product_id"]: row["price_shift"] for row in truth_table(moved, "products")}
    both = [product for product in levels[0] if product in levels[1]]
    dearer = [levels[1][p] / levels[0][p] for p in both if shift[p] > 1]
    others = [levels[1][p] / levels[0][p] for p in both if shift[p] == 1]
    assert mean(dearer) == pytest.approx(1.25, rel=0.03) and mean(others) == pytest.approx(1.0, rel=0.03)
    assert 0.3 < len(dearer) / len(both) < 0.5


def test_what_cannot_be_simulated_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"olist cannot show the drift 'loud': it can show tastes, prices, wording"):
        written(tmp_path, replace(SMALL, drifts=(Drift("loud", SMALL.until),)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scale must be above 0"):
        written(tmp_path, replace(SMALL, scale=0.0))
    assert not list(tmp_path.iterdir())


def test_memory_is_bounded_by_the_day(tmp_path: Path) -> None:
    def peak(plan: Plan, name: str) -> int:
        tracemalloc.start()
        try:
            written(tmp_path / name, plan)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    short = Plan(7, 0.02, date(2025, 1, 1), date(2025, 1, 31))
    first = peak(short, "first")  # imports and tables that stay are counted here
    assert peak(replace(short, until=date(2025, 4, 15)), "longer") < first + 2e6
