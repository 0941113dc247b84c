"""What a question asks for: bounds and an order of prices, or what no data of a product holds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from assets.search.grounding import stems_of
from assets.search.relevance import Wish, is_beyond, wish_of

WISHES = {
    "Do you have a coat under 50 dollars?": Wish("Do you have a coat?", {"lt": Decimal(50)}, None),
    "coats below $1": Wish("coats", {"lt": Decimal(1)}, None),
    "a coat, not more than USD 1,250.50": Wish("a coat,", {"lte": Decimal("1250.50")}, None),
    "coat not under US$20": Wish("coat", {"gte": Decimal(20)}, None),
    "coat of more than 20 but less than 40 dollars": Wish("coat of more than 20 but", {"lt": Decimal(40)}, None),
    "coat between $20 and $40": Wish("coat", {"gte": Decimal(20), "lte": Decimal(40)}, None),
    "coat from 20 to 40 USD": Wish("coat", {"gte": Decimal(20), "lte": Decimal(40)}, None),
    "casaco até 1.050,90 dólares": Wish("casaco", {"lte": Decimal("1050.90")}, None),
    "casaco entre 20 e 40 dólares": Wish("casaco", {"gte": Decimal(20), "lte": Decimal(40)}, None),
    "casaco por menos de $40": Wish("casaco", {"lt": Decimal(40)}, None),
    "cheapest coat over $20": Wish("coat", {"gt": Decimal(20)}, "lowest"),
    "o casaco mais caro": Wish("o casaco", {}, "highest"),
    "um casaco mais barato que este": Wish("um casaco mais barato que este", {}, None),
    "under 50 dollars": Wish("under 50 dollars", {"lt": Decimal(50)}, None),
    "coat under 50 euros": Wish("coat under 50 euros", {}, None),
    "shelf under 50 cm": Wish("shelf under 50 cm", {}, None),
    "films over 18": Wish("films over 18", {}, None),
    "no coat over $50": Wish("no coat over $50", {}, None),
    "I don't want to see anything under 50 dollars": Wish("I don't want to see anything under 50 dollars", {}, None),
    "not the cheapest coat": Wish("not the cheapest coat", {}, None),
    "nada acima de $50": Wish("nada acima de $50", {}, None),
    "I have no coat. One under $50?": Wish("I have no coat. One?", {"lt": Decimal(50)}, None),
    "cheapest and most expensive coat": Wish("and coat", {}, None),
    "Which coat costs the least?": Wish("Which coat?", {}, "lowest"),
    "the most affordable coat": Wish("the coat", {}, "lowest"),
    "which coat costs the most": Wish("which coat", {}, "highest"),
    "qual casaco custa menos?": Wish("qual casaco?", {}, "lowest"),
    "at least 300 ml": Wish("at least 300 ml", {}, None),
    "coat under $1k": Wish("coat under $1k", {}, None),
    "coat under $100k": Wish("coat under $100k", {}, None),
    "coat under $1 000": Wish("coat under $1 000", {}, None),
    "casaco até 5 mil dólares": Wish("casaco até 5 mil dólares", {}, None),
    "a coat, I don't want to spend more than $5": Wish("a coat, I", {"lte": Decimal(5)}, None),
    "a coat, $5 or less": Wish("a coat,", {"lte": Decimal(5)}, None),
    "a coat of $5 or more": Wish("a coat of", {"gte": Decimal(5)}, None),
    "coat, my budget is $5": Wish("coat, my", {"lte": Decimal(5)}, None),
    "coat max $5": Wish("coat", {"lte": Decimal(5)}, None),
    "coat $2-$8": Wish("coat", {"gte": Decimal(2), "lte": Decimal(8)}, None),
    "coat $2 to $5": Wish("coat", {"gte": Decimal(2), "lte": Decimal(5)}, None),
    "coat for 2-8 dollars": Wish("coat for", {"gte": Decimal(2), "lte": Decimal(8)}, None),
    "coat not exceeding $5": Wish("coat", {"lte": Decimal(5)}, None),
    "casaco não mais que $5": Wish("casaco", {"lte": Decimal(5)}, None),
    "casaco por menos que $5": Wish("casaco", {"lt": Decimal(5)}, None),
    "casacos inferiores a $5": Wish("casacos", {"lt": Decimal(5)}, None),
    "something without milk under $5": Wish("something without milk", {"lt": Decimal(5)}, None),
    "thunder 50 dollars": Wish("thunder 50 dollars", {}, None),
}


@pytest.mark.parametrize(("question", "wish"), WISHES.items())
def test_bounds_and_orders_of_prices_are_read(question: str, wish: Wish) -> None:
    assert wish_of(question, "USD") == wish


def test_bounds_are_met_to_the_cent() -> None:
    for operator, met in {"lt": "FTF", "lte": "TTF", "gt": "FFT", "gte": "TFT"}.items():
        wish = Wish("", {operator: Decimal("46.12")}, None)
        assert [wish.is_met(Decimal(price)) for price in ("46.12", "46.11", "46.13")] == [each == "T" for each in met]


def test_a_bound_stands_beside_an_earlier_one_of_the_other_side_and_before_one_of_its_own() -> None:
    earlier = Wish("", {"lt": Decimal(5)}, None)
    for own, both in (
        ({"gt": Decimal(1)}, {"gt": Decimal(1), "lt": Decimal(5)}),
        ({"lte": Decimal(9)}, {"lte": Decimal(9)}),
        ({"gt": Decimal(9)}, {"gt": Decimal(9)}),
        ({}, {"lt": Decimal(5)}),
    ):
        assert Wish("", own, None).within(earlier) == both


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Do you have a steel mug?", False),
        ("Which mugs do you sell, and what do they cost?", False),
        ("Is it in stock?", True),
        ("Tem desconto?", True),
        ("Um filme sobre a cura de uma doença", True),
        ("Do you sell a delivery van?", False),
        ("Is this mug available in blue?", False),
        ("Which coats are available?", False),
        ("Quais canecas estão disponíveis?", False),
        ("non-toxic toys", False),
        ("credit card holder", False),
        ("gift voucher", False),
        ("pregnancy pillow", False),
        ("Is the mug still available?", True),
        ("Is it toxic?", True),
        ("Do you take credit cards?", True),
        ("Can I use my gift voucher?", True),
        ("When will it arrive?", True),
        ("Where is my order?", True),
        ("Can I use Visa?", True),
        ("Is it cheaper at Amazon?", True),
        ("Can I bring it back?", True),
        ("Do you price match?", True),
        ("Does it treat anxiety?", True),
        ("Are any mugs left?", True),
        ("Do you still have the mug?", True),
        ("Can I collect in store?", True),
        ("Is there a sale?", True),
        ("Is the Christmas stocking in stock?", True),
        ("Is delivery of the van free, or what does shipping cost?", True),
    ],
)
def test_questions_beyond_the_data_are_known_by_their_words(question: str, expected: bool) -> None:
    assert (
        is_beyond(question, ["Mug of steel.", "Delivery van of tin.", "Christmas stocking."], stems_of("english"))
        is expected
    )
