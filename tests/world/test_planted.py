"""What the simulator planted can be seen in the contract and its marts: calendar, segments, promotions, tastes."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import date, timedelta
from functools import cache
from statistics import fmean, median
from typing import Any, NamedTuple

import pytest

from simulator.world import Calendar
from tests.world.conftest import Home

NOISE = 1.3
"""How much more days differ than independent draws would: baskets and sessions come in lumps."""


def truth(home: Home, shop: str) -> dict[str, Any]:
    """A shop's planted truth that is no table."""
    path = home.truth(shop)
    found = json.loads((path / ("world.json" if (path / "world.json").exists() else "truth.json")).read_text())
    return dict(found)


def table(home: Home, shop: str, name: str) -> list[dict[str, Any]]:
    """A shop's planted truth that is a table."""
    import pyarrow.parquet as pq

    return list(pq.read_table(home.truth(shop) / f"{name}.parquet").to_pylist())


def first_day(home: Home, shop: str) -> date:
    return date.fromisoformat(json.loads((home.truth(shop) / "plan.json").read_text())["start"])


# The calendar


class Rhythm(NamedTuple):
    """Where a shop's volume by day is read, and which planted factors it is large enough to show."""

    mart: str
    day: str
    volume: str
    shows: frozenset[str]


RHYTHMS = {
    "thelook": Rhythm("mart_daily_funnel", "event_date", "sessions", frozenset({"weekday", "season", "trend"})),
    "retailrocket": Rhythm("mart_daily_funnel", "event_date", "sessions", frozenset({"weekday"})),
    "online_retail": Rhythm("mart_daily_sales", "order_date", "lines", frozenset({"weekday", "season"})),
    "olist": Rhythm("mart_daily_sales", "order_date", "orders", frozenset({"weekday", "trend"})),
}


def volumes(home: Home, shop: str) -> tuple[Calendar, date, dict[date, int]]:
    """The planted calendar, the first day, and the volume that the mart has of each whole day."""
    planted, start, rhythm = truth(home, shop), first_day(home, shop), RHYTHMS[shop]
    query = f"select {rhythm.day}, {rhythm.volume} from marts.{rhythm.mart} where shop = %s"
    found = dict(home.query(query, shop))
    # Neither the first nor the last day of the shop's clock need be a whole one.
    inside = [start + timedelta(days=number) for number in range(1, (max(found) - start).days)]
    calendar = Calendar(tuple(planted["weekdays"]), tuple(planted["months"]), planted["trend"])
    return calendar, start, {day: found.get(day, 0) for day in inside}


def parts(what: str, calendar: Calendar, days: Iterable[date]) -> tuple[list[date], list[date]]:
    """The days on which a planted factor is high, and those on which it is low."""
    days = sorted(days)
    if what == "trend":
        return days[len(days) // 2 :], days[: len(days) // 2]
    factors: dict[date, float] = {
        day: calendar.weekdays[day.weekday()] if what == "weekday" else calendar.season(day) for day in days
    }
    level = 1.0 if what == "weekday" else median(factors.values())
    return [day for day in days if factors[day] > level], [day for day in days if factors[day] <= level]


@pytest.mark.parametrize(
    ("shop", "what"), [(shop, what) for shop, rhythm in RHYTHMS.items() for what in sorted(rhythm.shows)]
)
def test_the_planted_calendar_shows(home: Home, shop: str, what: str) -> None:
    calendar, start, volume = volumes(home, shop)
    high, low = parts(what, calendar, volume)
    counts = [sum(volume[day] for day in days) for days in (high, low)]
    found = math.log(counts[0] / len(high)) - math.log(counts[1] / len(low))
    expected = [fmean(calendar.factor(day, start) for day in days) for days in (high, low)]
    planted = math.log(expected[0] / expected[1])
    error = NOISE * math.sqrt(1 / counts[0] + 1 / counts[1])
    said = f"{shop}, {what}: found {math.exp(found):.2f}, planted {math.exp(planted):.2f}, error {error:.3f}"
    assert found > 0, said
    assert abs(found - planted) < 3 * error + 0.05, said


def test_nobody_buys_while_the_shop_is_closed(home: Home) -> None:
    """Online Retail never opens on a Saturday."""
    _, _, volume = volumes(home, "online_retail")
    by_weekday: Counter[int] = Counter()
    for day, count in volume.items():
        by_weekday[day.weekday()] += count
    assert by_weekday[5] == 0
    assert min(count for weekday, count in by_weekday.items() if weekday != 5) > 0


# Segments


@cache
def segments(home: Home, shop: str) -> dict[str, str]:
    """Customer or visitor -> planted segment."""
    if shop == "online_retail":
        return dict(truth(home, shop)["segments"])
    name, key = {
        "thelook": ("users", "user_id"),
        "retailrocket": ("visitors", "visitorid"),
        "olist": ("customers", "customer_unique_id"),
    }[shop]
    return {str(row[key]): row["segment"] for row in table(home, shop, name)}


def by_segment(home: Home, shop: str, value: Callable[[dict[str, Any]], float]) -> dict[str, list[float]]:
    """What each customer of a segment is worth by `value`, out of mart_customer_value."""
    found: dict[str, list[float]] = defaultdict(list)
    names = ("recency_days", "frequency", "monetary")
    query = "select customer_id, recency_days, frequency, monetary from marts.mart_customer_value where shop = %s"
    for customer, *values in home.query(query, shop):
        found[segments(home, shop)[customer]].append(float(value(dict(zip(names, values, strict=True)))))
    return found


@pytest.mark.parametrize(
    ("shop", "what", "order"),
    [
        ("thelook", "frequency", ("occasional", "regular", "loyal")),
        ("thelook", "monetary", ("occasional", "regular", "loyal")),
        ("thelook", "recency_days", ("loyal", "occasional")),
        ("online_retail", "frequency", ("one_off", "occasional", "loyal", "wholesaler")),
        ("online_retail", "recency_days", ("loyal", "one_off")),
        ("olist", "frequency", ("bargain", "loyal")),
        ("olist", "monetary", ("bargain", "regular", "premium")),
    ],
)
def test_the_planted_segments_stand_in_their_order(home: Home, shop: str, what: str, order: tuple[str, ...]) -> None:
    found = by_segment(home, shop, lambda row: row[what])
    means = [fmean(found[segment]) for segment in order]
    assert means == sorted(means) and len(set(means)) == len(means), dict(zip(order, means, strict=True))


def test_who_never_buys_by_plan_has_no_value(home: Home) -> None:
    assert set(by_segment(home, "thelook", lambda row: row["frequency"])) == {"occasional", "regular", "loyal"}


def test_only_the_loyal_buy_again_at_olist(home: Home) -> None:
    found = by_segment(home, "olist", lambda row: row["frequency"])
    assert {segment for segment, values in found.items() if max(values) > 1} == {"loyal"}


def test_a_wholesaler_takes_more_of_a_kind(home: Home) -> None:
    """Units a line of known customers of Online Retail, without the two orders of some 75,000 pieces."""
    units: dict[str, list[int]] = defaultdict(list)
    query = (
        "select customer_id, quantity from contract.fct_order_items"
        " where shop = 'online_retail' and is_sale and customer_id is not null and quantity < 10000"
    )
    for customer, quantity in home.query(query):
        units[segments(home, "online_retail")[customer]].append(quantity)
    assert median(units["wholesaler"]) > median(units["loyal"]) >= median(units["one_off"])


def test_visitors_who_come_again_put_more_into_the_cart(home: Home) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    days: dict[str, set[tuple[str, date]]] = defaultdict(set)
    query = "select actor_id, kind, interaction_date from contract.fct_interactions where shop = 'retailrocket'"
    for actor, kind, day in home.query(query):
        segment = segments(home, "retailrocket")[actor]
        counts[segment][kind] += 1
        days[segment].add((actor, day))
    again = counts["regular"] + counts["returning"]
    rates = {"again": again["cart"] / again["view"], "once": counts["once"]["cart"] / counts["once"]["view"]}
    visits = {segment: len(seen) / len({actor for actor, _ in seen}) for segment, seen in days.items()}
    assert rates["again"] > 1.5 * rates["once"], rates
    assert visits["regular"] > visits["returning"] > visits["once"], visits


# Promotions


@cache
def categories(home: Home, shop: str) -> dict[str, Hashable]:
    """Product -> planted category, or department where promotions are of those."""
    if shop == "online_retail":
        return dict(truth(home, shop)["categories"])
    name, key, value = {
        "thelook": ("products", "product_id", "category"),
        "retailrocket": ("items", "itemid", "department"),
        "olist": ("products", "product_id", "category"),
    }[shop]
    return {str(row[key]): row[value] for row in table(home, shop, name) if row[value] is not None}


def promoted(home: Home, shop: str) -> dict[date, tuple[float, set[Hashable]]]:
    """Day -> the cut, and the categories with it."""
    found: dict[date, tuple[float, set[Hashable]]] = {}
    for each in truth(home, shop)["promotions"]:
        first, last = date.fromisoformat(each["first"]), date.fromisoformat(each["last"])
        named = set(each["departments"] if "departments" in each else each["categories"])
        found |= {first + timedelta(days=n): (each["cut"], named) for n in range((last - first).days + 1)}
    return found


@pytest.mark.parametrize("shop", ["thelook", "online_retail", "olist"])
def test_promotions_cut_the_price(home: Home, shop: str) -> None:
    """A line with a cut beside the usual price of its product: the cut is what differs."""
    kinds, cuts = categories(home, shop), promoted(home, shop)
    usual: dict[str, list[float]] = defaultdict(list)
    cheap: list[tuple[str, float, float]] = []
    query = "select order_date, product_id, unit_price from contract.fct_order_items where shop = %s and is_sale"
    for day, product, price in home.query(query, shop):
        cut, named = cuts.get(day, (0.0, set()))
        if kinds.get(product) in named:
            cheap.append((product, float(price), cut))
        else:
            usual[product].append(float(price))
    ratios = [price / median(usual[product]) / (1 - cut) for product, price, cut in cheap if product in usual]
    assert len(ratios) >= 20
    assert 0.95 < median(ratios) < 1.05
    assert fmean(cut for _, _, cut in cheap) > 0.1


def _pull(home: Home, shop: str, facts: Mapping[tuple[date, str], int]) -> tuple[int, float]:
    """How many promoted facts there are on the days of promotions, and how many there would be without a pull."""
    kinds, cuts = categories(home, shop), promoted(home, shop)
    known = {(day, kinds[product]): 0 for day, product in facts if product in kinds}
    for (day, product), count in facts.items():
        if product in kinds:
            known[day, kinds[product]] += count
    usual: Counter[Hashable] = Counter()
    for (day, kind), count in known.items():
        if day not in cuts:
            usual[kind] += count
    found, expected = 0, 0.0
    for (day, kind), count in known.items():
        if day in cuts:
            named = cuts[day][1]
            found += count * (kind in named)
            expected += count * sum(usual[each] for each in named) / usual.total()
    return found, expected


def test_promotions_draw_more_sales(home: Home) -> None:
    """Over all shops with prices, as one of this size has too few lines on the days of its promotions."""
    query = (
        "select order_date, product_id, count(*) from contract.fct_order_items"
        " where shop = %s and is_sale group by 1, 2"
    )
    found, expected = 0, 0.0
    for shop in ("thelook", "online_retail", "olist"):
        here = _pull(home, shop, {(day, product): count for day, product, count in home.query(query, shop)})
        found, expected = found + here[0], expected + here[1]
    assert found > expected + math.sqrt(expected), f"{found} of promoted categories, {expected:.0f} without a pull"


def test_promotions_draw_more_views(home: Home) -> None:
    query = (
        "select interaction_date, product_id, count(*) from contract.fct_interactions"
        " where shop = 'retailrocket' and kind = 'view' group by 1, 2"
    )
    found, expected = _pull(home, "retailrocket", {(day, product): count for day, product, count in home.query(query)})
    assert found > expected + math.sqrt(expected), f"{found} of promoted categories, {expected:.0f} without a pull"


# Tastes


def own_share(pairs: Iterable[tuple[Hashable, Hashable]]) -> tuple[float, float]:
    """The share of pairs of an actor's group and a product's group that are equal, and the share by chance."""
    counted = Counter(pairs)
    total = counted.total()
    actors: Counter[Hashable] = Counter()
    products: Counter[Hashable] = Counter()
    for (actor, product), count in counted.items():
        actors[actor] += count
        products[product] += count
    chance = sum(actors[group] * products[group] for group in actors) / total**2
    return sum(count for (actor, product), count in counted.items() if actor == product) / total, chance


def interactions(home: Home, shop: str, kind: str) -> list[tuple[str, str]]:
    query = "select actor_id, product_id from contract.fct_interactions where shop = %s and kind = %s"
    return [(actor, product) for actor, product in home.query(query, shop, kind)]


@pytest.mark.parametrize(
    ("shop", "kind"), [("thelook", "view"), ("thelook", "purchase"), ("retailrocket", "view"), ("olist", "purchase")]
)
def test_actors_keep_to_their_planted_taste(home: Home, shop: str, kind: str) -> None:
    if shop == "olist":
        groups = {str(row["customer_unique_id"]): str(row["taste_group"]) for row in table(home, shop, "customers")}
        planted = truth(home, shop)["taste_groups"]
        of_category = {name: group for group, each in planted.items() for name in each["categories"]}
        of_product = {product: of_category[str(name)] for product, name in categories(home, shop).items()}
    elif shop == "thelook":
        groups = {str(row["user_id"]): row["taste_group"] for row in table(home, shop, "users")}
        of_category = {row["category"]: row["taste_group"] for row in table(home, shop, "categories")}
        of_product = {product: of_category[str(name)] for product, name in categories(home, shop).items()}
    else:
        groups = {str(row["visitorid"]): row["taste_group"] for row in table(home, shop, "visitors")}
        of_product = {str(row["itemid"]): row["taste_group"] for row in table(home, shop, "items")}
    pairs = [
        (groups[actor], of_product[product])
        for actor, product in interactions(home, shop, kind)
        if actor in groups and of_product.get(product) is not None
    ]
    assert len(pairs) > 200
    share, chance = own_share(pairs)
    assert share > chance + 0.2, f"{share:.2f} are of the actor's own group, {chance:.2f} would be by chance"


def test_known_customers_keep_to_their_favourite_categories(home: Home) -> None:
    planted = truth(home, "online_retail")
    favourites, kinds = planted["favourites"], planted["categories"]
    bought = [pair for pair in interactions(home, "online_retail", "purchase") if pair[1] in kinds]
    share = fmean(kinds[product] in favourites[customer] for customer, product in bought)
    # By chance: as often as the others buy of these three.
    usual = Counter(kinds[product] for _, product in bought)
    chance = fmean(sum(usual[each] for each in favourites[customer]) / usual.total() for customer, _ in bought)
    assert share > chance + 0.2, f"{share:.2f} are of a favourite category, {chance:.2f} would be by chance"
