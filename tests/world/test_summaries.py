"""The last days of all shops: each has its facts, as their files have them, and a summary that holds nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from scipy.stats import theilslopes

from assets.summaries.facts import DayFacts
from assets.summaries.formatting import PLACEHOLDER
from assets.summaries.store import facts_of, summaries
from tests.world import recount
from tests.world.conftest import Home

DATED = ["thelook", "retailrocket", "online_retail", "olist"]


class Books:
    """What a shop sold by day, by its files."""

    def __init__(self, facts: recount.Facts) -> None:
        self.facts = facts
        self.sales: dict[date, list[recount.Line]] = defaultdict(list)
        for line in facts.lines:
            if line.is_sale:
                self.sales[line.day].append(line)
        self.first = min(line.day for line in facts.lines)

    def revenue(self, day: date) -> Decimal:
        return round(sum((line.amount for line in self.sales[day]), Decimal(0)), 2)

    def of_products(self, day: date) -> dict[str, Decimal]:
        made: dict[str, Decimal] = defaultdict(Decimal)
        for line in self.sales[day]:
            product = self.facts.products.get(line.product_id)
            if product is None or product.is_merchandise:
                made[line.product_id] += line.amount
        return made

    def usual(self, day: date) -> float:
        """What eight weeks let expect of a day's revenue, by another library: medians of weekdays, Theil's slope."""
        back = np.arange(1, 57)
        roots = np.sqrt([float(self.revenue(day - timedelta(days=int(each)))) for each in back])
        middles = np.array([np.median(roots[back % 7 == weekday]) for weekday in range(7)])[back % 7]
        weeks, is_open = (back - 1) // 7, middles > 0
        levels = [np.median((roots - middles)[is_open & (weeks == week)]) for week in range(8)]
        slope = theilslopes(levels, -np.arange(8)).slope
        root = float(middles[6])
        return max(0.0, root + 4.5 * slope) ** 2 if root > 0 else 0.0

    def expected(self, day: date) -> Iterator[tuple[str, object]]:
        """Facts of a day, counted again."""
        lines = self.sales[day]
        yield "orders", len({line.order_id for line in lines})
        yield "units", sum(line.quantity for line in lines)
        yield "products_sold", len(self.of_products(day))
        yield "revenue", self.revenue(day)
        if customers := {line.customer_id for line in lines if line.customer_id is not None}:
            yield "customers", len(customers)
        for name, back in (("day_before", 1), ("week_before", 7)):
            then = self.revenue(day - timedelta(days=back))
            yield f"revenue_{name}", then
            yield f"revenue_vs_{name}", round(float(self.revenue(day)) / float(then) - 1, 6) if then else None
        # Of an even number of days it may lie between two cents.
        yield "revenue_trend", pytest.approx(Decimal(self.usual(day)), abs=Decimal("0.006"))
        now, before = self.of_products(day), self.of_products(day - timedelta(days=7))
        moved = [(now.get(each, Decimal(0)) - before.get(each, Decimal(0)), each) for each in {*now, *before}]
        for name, ranked in (
            ("riser", sorted((-change, each) for change, each in moved if change > 0)),
            ("faller", sorted((change, each) for change, each in moved if change < 0)),
        ):
            for place in range(3):
                change = abs(ranked[place][0]) if place < len(ranked) else None
                sign = 1 if name == "riser" else -1
                yield f"{name}_{place + 1}_change", None if change is None else sign * round(change, 2)


def told(home: Home, shop: str) -> list[DayFacts]:
    """The facts of the days that have a summary, the last day first."""
    with home.warehouse.connect() as connection:
        days = [one.day for one in summaries(connection, shop, None, None, 100)]
        return [facts for day in days if (facts := facts_of(connection, home.shops[shop], day)) is not None]


@pytest.mark.parametrize("shop", ["thelook", "online_retail", "olist"])
def test_facts_of_sales_are_what_the_files_say(home: Home, shop: str) -> None:
    books, compared = Books(home.facts(shop)), 0
    for facts in told(home, shop):
        if "orders" not in facts.facts:
            continue
        for name, value in books.expected(facts.day):
            fact = facts.facts.get(name)
            assert (None if fact is None else fact.value) == value, (facts.day, name)
            compared += 1
    assert compared > 100


def test_facts_of_visits_and_reviews_are_what_the_files_say(home: Home) -> None:
    events, reviews = home.facts("retailrocket").events, home.facts("olist").reviews
    for facts in told(home, "retailrocket"):
        mine = [event.kind for event in events if event.day == facts.day]
        found = [facts.facts[name].value for name in ("views", "carts", "purchases")]
        assert found == [mine.count(kind) for kind in ("view", "cart", "purchase")], facts.day
    for facts in told(home, "olist"):
        scores = [review.score for review in reviews if review.day == facts.day]
        number = facts.of("reviews")
        assert (0 if number is None else number.value) == len(scores), facts.day


@pytest.mark.parametrize("shop", DATED)
def test_each_of_the_last_two_weeks_has_a_summary_of_its_facts(home: Home, shop: str) -> None:
    [(as_of,)] = home.query("select as_of from contract.shop_clock where shop = %s", shop)
    with home.warehouse.connect() as connection:
        stored = summaries(connection, shop, None, None, 100)
    assert [one.day for one in stored] == [as_of - timedelta(days=back) for back in range(14)]
    for one, facts in zip(stored, told(home, shop), strict=True):
        assert (one.facts_hash, one.language, one.is_grounded) == (facts.hash, home.shops[shop].language, True)
        assert "{" not in one.rendered
        named = PLACEHOLDER.findall(one.text)
        assert "date" in named
        assert set(named) <= facts.facts.keys()


def test_nothing_of_a_person_is_told(home: Home) -> None:
    known = home.query("select customer_id from contract.dim_customer where length(customer_id) > 4")
    values = home.query("select value from features.daily_facts where kind in ('product', 'country')")
    assert values
    assert not {value for (value,) in values} & {customer for (customer,) in known}


def test_a_shop_without_dates_has_none(home: Home) -> None:
    assert home.query("select count(*) from serving.daily_summaries where shop = 'anime'") == [(0,)]
