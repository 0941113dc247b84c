"""The facts of a day are what the contract says, compared with the right days; what is not known is no fact."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from assets.summaries.facts import METRICS, DayFacts, Metric, closed_days, version_of
from assets.summaries.store import ensure_facts, facts_of, keep_facts, kept_facts
from tests.summaries.made import MONDAY, SHOPS, Books, three_weeks

TUESDAY, SUNDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=6)


def values(facts: DayFacts, *names: str) -> list[object]:
    return [facts.facts[name].value for name in names]


def test_a_day_is_told_by_its_figures_and_their_changes(shop: Books) -> None:
    for product, title in (("m", "Blue mug"), ("h", "Felt hat")):
        shop.product(product, title)
    monday = MONDAY + timedelta(days=7)
    shop.sell(MONDAY, ("m", 2, "10.00"))
    shop.sell(SUNDAY, ("m", 1, "10.00"), ("h", 1, "30.00"), customer="a")
    shop.sell(SUNDAY, ("m", 2, "10.00"), customer="b")
    shop.sell(monday, ("h", 3, "30.00"), customer="a")
    shop.sell(monday, ("m", 1, "10.00"), customer="a")
    shop.visit(SUNDAY, 10, 40, 10, 2)
    shop.visit(monday, 15, 80, 10, 2)
    shop.close(monday)
    facts = shop.last()
    assert values(facts, "orders", "revenue", "customers", "basket") == [2, Decimal("100.00"), 1, Decimal("50.00")]
    assert values(facts, "units", "products_sold", "sessions", "views") == [4, 2, 15, 80]
    assert values(facts, "view_to_cart", "view_to_cart_day_before", "cart_to_purchase") == [0.125, 0.25, 0.2]
    assert values(facts, "revenue_day_before", "revenue_week_before") == [Decimal("60.00"), Decimal("20.00")]
    assert values(facts, "revenue_vs_day_before", "revenue_vs_week_before") == [0.666667, 4.0]
    assert values(facts, "basket_vs_day_before", "sessions_vs_day_before") == [0.666667, 0.5]
    assert facts.facts["view_to_cart_vs_day_before"].kind == "points"
    assert values(facts, "view_to_cart_vs_day_before", "orders_vs_day_before") == [-0.125, 0.0]
    assert values(facts, "date", "day_before_date", "week_before_date") == [monday, SUNDAY, MONDAY]
    assert not [name for name in facts.facts if "trend" in name or name.startswith("sessions_week")]
    assert facts.facts["revenue"].currency == "USD"
    assert "rating" not in facts.facts


def test_reviews_are_told_too(portuguese_shop: Books) -> None:
    portuguese_shop.review(MONDAY, 4, "4.25")
    portuguese_shop.review(TUESDAY, 5, "4.00")
    portuguese_shop.close(TUESDAY)
    facts = portuguese_shop.last()
    assert (facts.main, facts.language) == ("reviews", "pt")
    assert values(facts, "reviews", "rating", "rating_vs_day_before") == [5, 4.0, -0.25]
    assert facts.facts["rating_vs_day_before"].kind == "difference"


def test_a_day_without_a_sale_is_a_fact_and_one_that_is_not_loaded_is_none(shop: Books) -> None:
    shop.product("m", "Blue mug")
    wednesday = TUESDAY + timedelta(days=1)
    shop.sell(MONDAY, ("m", 2, "10.00"))
    shop.sell(wednesday, ("m", 1, "10.00"))
    for day in range(4):
        shop.visit(MONDAY + timedelta(days=day), 10, 40)
    shop.close(MONDAY + timedelta(days=3))
    monday, tuesday, _, thursday = shop.snapshot().days
    assert values(tuesday, "orders", "revenue", "units", "products_sold") == [0, Decimal("0.00"), 0, 0]
    assert values(tuesday, "revenue_vs_day_before") == [-1.0]
    assert not {"basket", "customers", "orders_week_before"} & tuesday.facts.keys()
    assert "orders" not in thursday.facts, "visits came, orders may be late"
    assert thursday.main == "sessions"
    assert "revenue_vs_day_before" not in monday.facts
    wednesday_facts = shop.snapshot().days[2]
    assert values(wednesday_facts, "orders_day_before") == [0]
    assert "orders_vs_day_before" not in wednesday_facts.facts, "nothing is a share of nothing"
    shop.sell(MONDAY + timedelta(days=4), ("m", 1, "10.00"))
    shop.close(MONDAY + timedelta(days=4))
    assert values(shop.snapshot().days[3], "orders") == [0], "then it was a day without a sale"


def test_days_before_the_first_are_nothing_to_compare_with(shop: Books) -> None:
    shop.product("m", "Blue mug")
    shop.sell(MONDAY, ("m", 2, "10.00"))
    shop.close(MONDAY)
    [facts] = shop.snapshot().days
    assert values(facts, "orders", "top_product_1") == [1, "Blue mug"]
    assert not [name for name in facts.facts if "_vs_" in name or name.startswith(("riser", "faller"))]


def test_products_that_moved_are_told_with_what_they_moved(shop: Books) -> None:
    shop.product("m", "Blue mug")
    shop.product("h", "Felt hat")
    shop.product("s", None, "Scarves")
    shop.product("post", "Postage", merchandise=False)
    with shop.warehouse.connect() as connection:
        connection.execute("insert into contract.dim_category values ('thelook', 'Scarves', 'Winter > Scarves')")
    monday = MONDAY + timedelta(days=7)
    shop.sell(MONDAY, ("m", 5, "10.00"), ("s", 1, "20.00"), ("post", 1, "900.00"))
    shop.sell(monday, ("m", 1, "10.00"), ("h", 2, "30.00"), ("s", 1, "20.00"), ("post", 1, "5.00"))
    shop.close(monday)
    facts = shop.last()
    assert values(facts, "riser_1", "riser_1_change", "riser_1_revenue") == ["Felt hat", Decimal(60), Decimal(60)]
    assert values(facts, "faller_1", "faller_1_change", "faller_1_revenue") == ["Blue mug", Decimal(-40), Decimal(10)]
    assert facts.facts["faller_1_change"].product_id == "m"
    assert not {"riser_2", "faller_2"} & facts.facts.keys(), "a scarf is a scarf, and postage is no product"
    assert values(facts, "top_product_1", "top_product_2") == ["Felt hat", "Winter > Scarves s"]
    assert values(facts, "top_product_1_revenue", "top_product_1_units") == [Decimal(60), 2]
    assert values(facts, "products_sold", "revenue") == [3, Decimal("95.00")]


def test_a_country_leads_where_there_are_several(shop: Books) -> None:
    shop.product("m", "Blue mug")
    shop.sell(MONDAY, ("m", 1, "10.00"))
    shop.sell(TUESDAY, ("m", 3, "10.00"), country="France")
    shop.sell(TUESDAY, ("m", 1, "10.00"), country="Germany")
    shop.close(TUESDAY)
    monday, tuesday = shop.snapshot().days
    assert values(tuesday, "top_country", "top_country_revenue", "top_country_share") == ["France", Decimal(30), 0.75]
    assert "top_country" not in monday.facts


def test_amounts_of_several_currencies_are_not_added_up(shop: Books) -> None:
    shop.product("m", "Blue mug")
    for _ in range(2):
        shop.sell(MONDAY, ("m", 1, "10.00"), currency="EUR")
    shop.sell(MONDAY, ("m", 50, "10.00"), currency="USD")
    shop.close(MONDAY)
    [facts] = shop.snapshot().days
    assert values(facts, "orders", "revenue", "basket") == [3, Decimal("20.00"), Decimal("10.00")]
    assert facts.facts["revenue"].currency == facts.facts["top_product_1_revenue"].currency == "EUR"


def test_customers_that_nobody_knows_are_not_told_as_none(shop: Books) -> None:
    shop.product("m", "Blue mug")
    shop.sell(MONDAY, ("m", 1, "10.00"), customer=None)
    shop.sell(TUESDAY, ("m", 1, "-10.00"), is_sale=False)
    shop.close(TUESDAY)
    monday, tuesday = shop.snapshot().days
    assert values(monday, "orders") == [1]
    assert "customers" not in monday.facts
    assert values(tuesday, "orders", "revenue") == [0, Decimal("0.00")], "what was taken back is no sale"


def test_what_lies_outside_its_band_is_an_anomaly(shop: Books) -> None:
    shop.product("m", "Blue mug")
    last = MONDAY + timedelta(days=41)
    for back in range(42):
        for _ in range(6 + back % 3):
            shop.sell(last - timedelta(days=back), ("m", 1, "10.00"))
    for _ in range(60):
        shop.sell(last, ("m", 1, "10.00"))
    shop.close(last)
    facts = shop.last()
    orders = facts.facts["orders"]
    assert (orders.value, orders.anomaly) == (66, "high")
    assert values(facts, "orders_trend")[0] in (6, 7, 8)
    low, high = values(facts, "orders_band_low", "orders_band_high")
    assert isinstance(low, int)
    assert isinstance(high, int)
    assert low < 8 < high < 66
    assert facts.facts["basket"].anomaly is None
    assert "basket_band_low" not in facts.facts
    before = shop.snapshot(2).days[0]
    assert before.facts["orders"].anomaly is None
    assert not [name for name in before.facts if "band" in name]


def test_no_fact_is_of_a_person(shop: Books) -> None:
    three_weeks(shop)
    for one in shop.snapshot().days:
        assert not [fact for fact in one.facts.values() if "@" in str(fact.value) or fact.value in ("c0", "c1", "c2")]


def test_the_hash_changes_with_what_is_told_and_with_nothing_else(shop: Books) -> None:
    three_weeks(shop)
    before = shop.snapshot()
    assert version_of(shop.snapshot().days) == version_of(before.days)
    day = before.days[3].day
    shop.sell(day, ("m", 1, "0.01"))
    shop.close(before.last)
    changed = [one.day for one, was in zip(shop.snapshot().days, before.days, strict=True) if one.hash != was.hash]
    # The day, the one after it, and the same weekday a week later.
    assert changed == [day, day + timedelta(days=1), day + timedelta(days=7)]
    shop.product("m", "Blue mug, large")
    assert version_of(shop.snapshot().days) != version_of(before.days)


def test_facts_are_kept_as_they_are(shop: Books) -> None:
    three_weeks(shop)
    for back in range(21):
        shop.review(MONDAY + timedelta(days=back), 4, f"4.{back:02}")
    snapshot = shop.snapshot()
    with shop.warehouse.connect() as connection:
        ensure_facts(connection)
        assert keep_facts(connection, snapshot).new == 14
        kept = kept_facts(connection, shop.shop, snapshot.first, snapshot.last)
        assert kept == list(snapshot.days)
        assert [one.hash for one in kept] == [one.hash for one in snapshot.days]
        again = keep_facts(connection, snapshot)
        assert (again.new, again.changed, again.gone) == (0, 0, 0)
        assert facts_of(connection, shop.shop, snapshot.last) == snapshot.days[-1]
        assert facts_of(connection, shop.shop, snapshot.last + timedelta(days=1)) is None


def test_a_shop_without_a_closed_day_has_none(shop: Books) -> None:
    shop.close(None)
    with shop.warehouse.connect() as connection:
        assert closed_days(connection, shop.shop.name, 14) is None
        assert closed_days(connection, "nobody", 14) is None
        assert facts_of(connection, shop.shop, MONDAY) is None, "and no table was made"


def test_as_many_days_as_there_are_and_no_more(shop: Books) -> None:
    three_weeks(shop)
    assert len(shop.snapshot(14).days) == 14
    assert len(shop.snapshot(100).days) == 21


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_share_is_not_changed_by_a_share(metric: Metric) -> None:
    kinds = {"view_to_cart": "points", "cart_to_purchase": "points", "rating": "difference"}
    assert metric.change_kind == kinds.get(metric.name, "percent")


def test_each_shop_is_named_and_spoken_to_as_it_is_configured(portuguese_shop: Books) -> None:
    portuguese_shop.review(date(2026, 1, 1), 1, "5")
    portuguese_shop.close(date(2026, 1, 1))
    facts = portuguese_shop.last()
    olist = SHOPS["olist"]
    assert (facts.shop, facts.title, facts.language, facts.currency) == ("olist", olist.title, "pt", "BRL")
