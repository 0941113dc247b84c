"""Facts are written as people of a language write them, changes without their sign."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from assets.summaries.facts import DayFacts, Fact, Kind
from assets.summaries.formatting import LONGEST_NAME, formatted, render

DAY = date(2026, 11, 21)


def fact(kind: Kind, value: int | float | Decimal | str | date, currency: str | None = None, name: str = "x") -> Fact:
    return Fact(name, kind, value, None, None, currency, "something")


WRITTEN = {
    "count": (fact("count", 12345), "12,345", "12.345"),
    "none": (fact("count", 0), "0", "0"),
    "money": (fact("money", Decimal("1234.50"), "BRL"), "R$1,234.50", "R$\xa01.234,50"),
    "yen": (fact("money", Decimal("1234"), "JPY"), "¥1,234", "JP¥\xa01.234"),
    "loss": (fact("money", Decimal("-12.5"), "USD", "faller_1_change"), "$12.50", "US$\xa012,50"),
    "percent": (fact("percent", 0.1234), "12.3%", "12,3%"),
    "whole percent": (fact("percent", -0.12, name="orders_vs_trend"), "12%", "12%"),
    "manifold": (fact("percent", 12.3, name="orders_vs_trend"), "1,230%", "1.230%"),
    "points": (fact("points", -0.012, name="a_vs_trend"), "1.2 percentage points", "1,2 pontos percentuais"),
    "one point": (fact("points", 0.01, name="a_vs_trend"), "1 percentage point", "1 ponto percentual"),
    "rating": (fact("rating", 4.2), "4.20", "4,20"),
    "difference": (fact("difference", -0.251, name="rating_vs_trend"), "0.25", "0,25"),
    "nothing": (fact("percent", -0.0001, name="orders_vs_trend"), "0%", "0%"),
    "date": (fact("date", DAY), "Saturday, November 21, 2026", "21 de novembro de 2026 (sábado)"),
    "code": (fact("country", "BR"), "Brazil", "Brasil"),
    "country": (fact("country", "Germany"), "Germany", "Alemanha"),
    "its own name": (fact("country", "España"), "Spain", "Espanha"),
    "no country": (fact("country", "EIRE"), "EIRE", "EIRE"),
    "product": (fact("product", "Blue\n mug  {orders}"), "Blue mug {orders}", "Blue mug {orders}"),
}


@pytest.mark.parametrize("written", WRITTEN)
def test_a_fact_is_written_as_its_language_does(written: str) -> None:
    given, english, portuguese = WRITTEN[written]
    assert formatted(given, "en") == english
    assert formatted(given, "pt") == portuguese


def test_other_languages_are_those_of_babel_and_unknown_ones_english() -> None:
    assert formatted(fact("money", Decimal("1234.5"), "EUR"), "de") == "1.234,50\xa0€"
    assert formatted(fact("date", DAY), "de") == "Samstag, 21. November 2026"
    assert formatted(fact("country", "Germany"), "fr") == "Allemagne"
    assert formatted(fact("count", 12345), "xx") == "12,345"


def test_a_long_title_is_cut() -> None:
    written = formatted(fact("product", "word " * 100), "en")
    assert len(written) <= LONGEST_NAME
    assert written.endswith("word…")


@pytest.mark.parametrize(
    ("value", "sign"), [(0.12, 1), (-0.12, -1), (0.0004, 0), (-0.0004, 0), (0, 0), (Decimal("-0.01"), -1)], ids=str
)
def test_the_sign_of_a_change_is_that_of_what_is_shown(value: float | Decimal, sign: int) -> None:
    kind: Kind = "money" if isinstance(value, Decimal) else "percent"
    assert fact(kind, value, "USD", "orders_vs_trend").sign == sign


def facts(*held: Fact) -> DayFacts:
    return DayFacts("thelook", DAY, "en", "USD", "theLook", {one.id: one for one in held})


def test_a_text_is_filled_in_one_pass() -> None:
    held = facts(fact("product", "mug {orders}", name="riser_1"), fact("count", 3, name="orders"))
    assert render("{riser_1}: {orders} of {orders}.", held) == "mug {orders}: 3 of 3."
    assert render("{orders}", facts(fact("count", 1234, name="orders")), "pt") == "1.234"


def test_an_id_that_is_no_fact_is_not_rendered() -> None:
    with pytest.raises(ValueError, match=r"\{revenue\} is no fact of thelook on 2026-11-21: check the text first"):
        render("{revenue}", facts())
