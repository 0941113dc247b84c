"""The narrator says what the facts say, of every kind of day, and the checker passes all of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import product

import pytest

from assets.summaries.checker import check
from assets.summaries.facts import AGAINST, DayFacts, Fact
from assets.summaries.formatting import PLACEHOLDER, render
from assets.summaries.narration import MOST_SENTENCES, narrate, note, written_in
from tests.summaries.made import MONDAY, Books, three_weeks

DAY = date(2026, 11, 21)


def fact(name: str, kind: str, value: object, metric: str | None = None, **more: object) -> Fact:
    against = next((each for each in AGAINST if name.endswith(f"_{each}")), None)
    currency = "BRL" if kind == "money" else None
    return Fact(name, kind, value, metric, against, currency, name, **more)  # type: ignore[arg-type]


def day(*held: Fact, language: str = "en") -> DayFacts:
    return DayFacts("olist", DAY, language, "BRL", "Olist", {one.id: one for one in (fact("date", "date", DAY), *held)})


def changes(metric: str, *signs: float | None) -> Iterator[Fact]:
    kind = "money" if metric == "revenue" else "count"
    for against, change in zip(AGAINST, signs, strict=False):
        if change is not None:
            yield fact(f"{metric}_{against}", kind, Decimal(50) if kind == "money" else 50, metric)
            yield fact(f"{metric}_vs_{against}", "percent", change, metric)


def sales(orders: int, *signs: float | None) -> list[Fact]:
    return [
        fact("orders", "count", orders, "orders"),
        fact("revenue", "money", Decimal(100 * orders), "revenue"),
        *changes("revenue", *signs),
    ]


def every_kind_of_day() -> Iterator[tuple[str, DayFacts]]:
    movers = [
        fact("riser_1", "product", "Blue mug", product_id="m"),
        fact("riser_1_change", "money", Decimal(40), product_id="m"),
        fact("faller_1", "product", "Felt hat", product_id="h"),
        fact("faller_1_change", "money", Decimal(-30), product_id="h"),
    ]
    led = [
        fact("top_product_1", "product", "Red scarf", product_id="s"),
        fact("top_product_1_revenue", "money", Decimal(30), product_id="s"),
        fact("top_country", "country", "Brazil"),
        fact("top_country_share", "percent", 0.75),
    ]
    visits = [fact("sessions", "count", 40, "sessions"), fact("views", "count", 1, "views")]
    reviews = [fact("reviews", "count", 3, "reviews"), fact("rating", "rating", 4.25, "rating")]
    some: list[float | None] = [0.12, -0.12, 0.0, None]
    for language, signs in product(("en", "pt"), product(some, repeat=3)):
        yield f"sales {language} {signs}", day(*sales(5, *signs), *movers, *visits, *reviews, language=language)
    for language in ("en", "pt"):
        bare = [fact("orders", "count", 1, "orders"), fact("revenue", "money", Decimal(9), "revenue")]
        none = [fact("orders", "count", 0, "orders"), fact("revenue", "money", Decimal(0), "revenue")]
        one, zero = fact("orders_day_before", "count", 1, "orders"), fact("orders_week_before", "count", 0, "orders")
        odd = [
            fact("revenue", "money", Decimal(900), "revenue", anomaly="high"),
            fact("revenue_band_low", "money", Decimal(100), "revenue"),
            fact("revenue_band_high", "money", Decimal(300), "revenue"),
            fact("orders", "count", 2, "orders", anomaly="low"),
            fact("orders_band_low", "count", 4, "orders"),
            fact("orders_band_high", "count", 9, "orders"),
        ]
        kinds = {
            "first": [*bare, *led],
            "customers": [*bare, fact("customers", "count", 1, "customers"), *movers[:2]],
            "only a faller": [*bare, *movers[2:]],
            "none": none,
            "none, after some": [*none, one, zero, *movers[2:], *visits],
            "some, after none": [*bare, zero],
            "odd": [*odd, *changes("revenue", 0.5, 0.2, 2.0), *movers, *led],
            "visits": [*visits, *changes("sessions", 0.1, -0.1, None)],
            "no visits": [fact("sessions", "count", 0, "sessions"), fact("views", "count", 0, "views")],
            "reviews": [*reviews, *changes("reviews", -0.1, 0.1, 0.2)],
            "one review": [replace(reviews[0], value=1), reviews[1]],
            "no review": [replace(reviews[0], value=0)],
        }
        for name, held in kinds.items():
            yield f"{name} {language}", day(*held, language=language)


DAYS = dict(every_kind_of_day())


@pytest.mark.parametrize("kind", DAYS)
def test_of_every_kind_of_day_the_checker_passes_what_is_said(kind: str) -> None:
    facts = DAYS[kind]
    text = narrate(facts)
    assert check(text, facts) == [], text
    assert "{" not in render(text, facts)
    assert 2 <= text.count(". ") + 1 <= MOST_SENTENCES


def test_english_and_portuguese_are_said_as_they_are_spoken() -> None:
    held = sales(12, 0.12, -0.3, 0.0)
    assert render(narrate(day(*held)), day(*held)) == (
        "On Saturday, November 21, 2026 there were 12 orders, with revenue of R$1,200.00. Revenue was 12% above the day"
        " before and 30% below the same weekday a week before. Revenue was unchanged from what was to be expected."
    )
    portuguese = day(*held, language="pt")
    assert render(narrate(portuguese), portuguese) == (
        "Em 21 de novembro de 2026 (sábado) houve 12 pedidos, com receita de R$\xa01.200,00. A receita ficou 12%"
        " acima do dia anterior e 30% abaixo do mesmo dia da semana anterior."
        " A receita ficou sem alteração em relação ao"
        " esperado."
    )


def test_a_day_without_an_order_is_told_as_one() -> None:
    facts = DAYS["none, after some en"]
    text = render(narrate(facts), facts)
    assert text.startswith("On Saturday, November 21, 2026 there were no orders. ")
    # At the end, where nothing of the day can be taken for that of an earlier one.
    assert text.endswith("On the day before there was 1 order. On the same weekday a week before there were no orders.")


def test_other_languages_are_written_to_in_english_and_told_so() -> None:
    german = day(*sales(3, 0.1, None, None), language="de")
    assert written_in("de") == "en"
    assert narrate(german) == narrate(replace(german, language="en"))
    assert "'de'" in note("de")
    assert "without a language model" in note("de")
    assert "sem modelo de linguagem" in note("pt")


def test_of_a_day_of_which_nothing_is_known_nothing_is_said() -> None:
    with pytest.raises(ValueError, match="nothing is known of olist on 2026-11-21: no orders, no events and no rev"):
        narrate(day())


def test_no_number_is_written_but_by_its_id(shop: Books) -> None:
    three_weeks(shop)
    for one in shop.snapshot().days:
        text = narrate(one)
        assert not [sign for sign in PLACEHOLDER.sub("", text) if sign.isdigit()]
        assert check(text, one) == [], text
    assert one.day == MONDAY + timedelta(days=20)
