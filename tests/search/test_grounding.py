"""What a sentence of an answer may say of products, and what it may not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from assets.search.grounding import Grounding, Sentences, cleaned, stems_of
from assets.search.material import Shown
from tests.search.answers_rig import GOODS

CAKE = Shown(
    "22423",
    "REGENCY CAKESTAND 3 TIER",
    ("Home",),
    "",
    (),
    "Cake stand of white china with three tiers and a gold rim.",
    Decimal("12.7500"),
    "GBP",
)
MUG = Shown(
    "1",
    "CERAMIC MUG WITH A ROBIN",
    ("Home", "Kitchen"),
    "Acme",
    ("gift",),
    "Red mug of glazed ceramic. Holds 300 ml. Not suitable for microwaves.",
    Decimal("3.5"),
    "GBP",
)
ENAMEL = Shown("2", "BLUE ENAMEL MUG", (), "", (), "Mug of steel with blue enamel, 350 ml.", Decimal("6.25"), "GBP")
SIGN = Shown("S 9/b_1", "NO. 5 SIGN: ENJOY! NOW [RED]", (), "", (), "", None, None)
FOUND = (CAKE, MUG, ENAMEL, SIGN)
ELSEWHERE = {
    "7": "PINK UNICORN LAMP",
    "8": "MUG",
    "9": "GIN AND TONIC",
    "10": "Ceramic Robin Mug",
    "11": "Blue Enamel Mug 2",
}
QUESTION = "Do you have a dishwasher safe mug for my grandmother?"


def titles_like(text: str) -> Iterable[tuple[str, str]]:
    return ELSEWHERE.items()


def faults_of(*sentences: str, products: Iterable[Shown] = FOUND, language: str = "en") -> list[str]:
    """The kinds of faults of the last sentence; those before it must be right."""
    stems = stems_of({"en": "english", "pt": "portuguese"}.get(language, "none"))
    checker = Grounding(
        list(products), stems, language, QUESTION, "Speak only of the products in the data that you get.", titles_like
    )
    for sentence in sentences[:-1]:
        assert checker.check(cleaned(sentence)) == []
    return [fault.kind for fault in checker.check(cleaned(sentences[-1]))]


TRUE = (
    "The REGENCY CAKESTAND 3 TIER [22423] costs 12.75 GBP.",
    "The Regency Cakestand 3 Tier [22423] is a cake stand of white china with a gold rim, at £12.75.",
    "We have two mugs: CERAMIC MUG WITH A ROBIN [1] and BLUE ENAMEL MUG [2].",
    "The red mug [1] costs 3.50 GBP and the blue mug [2] 6.25 GBP.",
    "The mug with a robin [1] is made of glazed ceramic, holds 300 ml and costs 3,50 GBP.",
    "Both mugs are from our catalogue [1] [2].",
    "**CERAMIC MUG WITH A ROBIN** [1]: 3.50 GBP.",
    "- BLUE ENAMEL MUG [2], 6.25 GBP",
    "1. BLUE ENAMEL MUG [2], 6.25 GBP",
    "For your grandmother, the ceramic mug [1] might be a good choice.",
    "The mug [1] is not suitable for microwaves.",
    "The catalogue does not say whether the mug [1] is dishwasher safe.",
    "The cheapest of these is the ceramic mug [1] at 3.50 pounds.",
    "The ceramic mug [1] is cheaper than the enamel mug [2].",
    "Under 10 GBP you can find the enamel mug [2].",
    "The cakestand [22423] has three tiers.",
    "It comes in a set named NO. 5 SIGN: ENJOY! NOW [RED] [S 9/b_1].",
    "I am sorry, but I found nothing about a dishwasher; the closest product is the mug [1].",
    "The enamel mug [2] is dearer than the ceramic mug [1].",
    "The mugs [1, 2] are listed in our shop.",
    "The Ceramic Robin Mug [1] is red.",
)


@pytest.mark.parametrize("sentence", TRUE)
def test_a_true_sentence_is_published(sentence: str) -> None:
    products = [one for one in FOUND if one is not SIGN] if "cheapest" in sentence else FOUND
    assert faults_of(sentence, products=products) == []


def test_true_answers_as_models_write_them_are_published() -> None:
    """What is left out of them says more than the data: that ash is wood, that 350 ml is less than half a litre."""
    answers = json.loads(Path(__file__).with_name("true_answers.json").read_text(encoding="utf-8"))
    goods = [
        Shown(product, good.title, (good.category,), "", (), good.description, Decimal(str(good.price)), "GBP")
        for product, good in GOODS.items()
    ]
    refused = []
    for answer in answers:
        cited = {product for product in GOODS if f"[{product}]" in answer["text"] or "cheapest" in answer["text"]}
        # Who is the dearest hangs on what was found beside it.
        found = [one for one in goods if one.product_id in cited] if cited != set(GOODS) else goods[3:5]
        checker = Grounding(found, stems_of("english"), "en", answer["question"])
        cutter = Sentences(found)
        faults = [
            fault
            for sentence in (*cutter.feed(answer["text"]), *cutter.end())
            for fault in checker.check(cleaned(sentence))
        ]
        assert not any(fault.is_grave for fault in faults), (answer, faults)
        if not checker.cited:
            refused.append(answer["text"])
    assert len(answers) == 40
    assert len(refused) <= 3, refused


def test_a_sentence_may_lean_on_the_one_before() -> None:
    assert faults_of("We have a mug with a robin [1].", "It holds 300 ml and costs 3.50 GBP.") == []
    assert faults_of("We have a mug with a robin [1].", "It holds 350 ml.") == ["a number that is not so"]
    assert faults_of("We have a mug with a robin [1].", "It is made of steel.") == ["words that no product has"]
    both = "There are a ceramic mug [1] and an enamel mug [2]."
    assert faults_of(both, "They are both mugs.") == []
    assert faults_of(both, "They are both of steel.") == ["words that no product has"]


GRAVE = {
    "The mug [3] is red.": "cites what was not found",
    "The mug [1][999] is red.": "cites what was not found",
    "The mug [source] is red.": "cites what was not found",
    "The BLUE ENAMEL MUG [1] is fine.": "cites another product than it names",
    "The BLUE ENAMEL MUG. [1] is fine.": "cites another product than it names",
    "Beside the mug [1] we have the Pink Unicorn Lamp.": "names a product that was not found",
    "Beside the mug [1] we have the Blue Enamel Mug 2.": "names a product that was not found",
    "The mug [1] goes well with Gin and Tonic.": "names a product that was not found",
    "The mug [1] costs 3.40 GBP.": "a price that is not so",
    "The mug [1] costs 3.50 EUR.": "a price that is not so",
    "The mug [1] costs $3.50.": "a price that is not so",
    "The mug [1] costs 6.25 GBP.": "a price that is not so",
    "The mug [1] costs 6.25 GBP and the mug [2] costs 3.50 GBP.": "a price that is not so",
    "The sign [S 9/b_1] costs 5 GBP.": "a price that is not so",
    "The mug [1] costs 300 GBP.": "a price that is not so",
    "The mug [1] holds 350 ml.": "a number that is not so",
    "The mug [1] was made in 1987.": "a number that is not so",
    "The cakestand [22423] has four tiers.": "a number that is not so",
    "The mug [1] costs half of it.": "a number that is not so",
    "The mug [1] costs nine pounds.": "a number that is not so",
    "The cakestand [22423] costs less than 10 GBP.": "a price that is not so",
    "The cheapest product is the enamel mug [2].": "a comparison that is not so",
    "The enamel mug [2] is cheaper than the ceramic mug [1].": "a comparison that is not so",
    "The mug [1] is in stock.": "a promise",
    "With the mug [1] you get a discount.": "a promise",
    "The mug [1] is free today.": "a promise",
    "The mug [1] comes with free delivery.": "a promise",
    "All other products are bad, take the mug [1].": "a promise",
    "I am an AI, and the mug [1] is red.": "a promise",
    "See https://evil.test for the mug [1].": "markup or an address",
    "See evil.com for the mug [1].": "markup or an address",
    "Write to me@evil.test for the mug [1].": "markup or an address",
    "The [mug](evil) [1] is red.": "cites what was not found",
    "The mug [1] <b>is</b> red.": "markup or an address",
    "Speak only of the products in the data: the mug [1].": "a piece of the prompt",
    "The mug [1] is red. " * 40: "too long",
}


@pytest.mark.parametrize(("sentence", "kind"), GRAVE.items())
def test_a_sentence_that_makes_all_doubtful_is_found(sentence: str, kind: str) -> None:
    stems = stems_of("english")
    checker = Grounding(FOUND, stems, "en", QUESTION, "Speak only of the products in the data.", titles_like)
    products = [fault.kind for fault in checker.check(cleaned(sentence)) if fault.is_grave]
    assert kind in products


UNSUPPORTED = (
    "The mug [1] is dishwasher safe.",
    "Yes, the mug [1] is safe for your grandmother.",
    "The mug [1] is blue.",
    "The blue mug [1] and the red mug [2] are mugs.",
    "The mug [1] is suitable for microwaves.",
    "The mug [1] is not red.",
    "The mug [1] is our best mug.",
    "The mug [1] was designed by Wedgwood.",
    "Der Becher [1] ist aus Keramik.",
    "A caneca [1] é vermelha.",
    "We sell cars.",
    "PWNED",
    "The mug [1] is red 😈.",
)


@pytest.mark.parametrize("sentence", UNSUPPORTED)
def test_what_no_product_says_is_left_out(sentence: str) -> None:
    assert faults_of(sentence) != []


def test_ids_that_case_alone_tells_apart_are_two_products() -> None:
    large = Shown("53096A", "TEAL NOTEBOOK", (), "", (), "", Decimal("2.10"), "GBP")
    small = Shown("53096a", "TEAL NOTEBOOK", (), "", (), "", Decimal("3.49"), "GBP")
    for product, other in ((large, small), (small, large)):
        cites = f"TEAL NOTEBOOK [{product.product_id}], "
        assert faults_of(f"{cites}{product.price} GBP.", products=[large, small]) == []
        assert faults_of(f"{cites}{other.price} GBP.", products=[large, small]) == ["a price that is not so"]
    assert faults_of("The cakestand [22423] and the REGENCY cakestand [22423].") == []
    assert faults_of("TEAL NOTEBOOK [53096a].", products=[large]) == ["cites what was not found"]


def test_a_sentence_that_is_left_out_cites_nothing() -> None:
    checker = Grounding(FOUND, stems_of("english"), "en")
    assert checker.check("The mug [1] is green.") != []
    assert checker.cited == []
    assert checker.check("The mugs [2] and [1] are mugs.") == []
    assert checker.cited == ["2", "1"]


def test_answers_in_portuguese_are_checked_by_their_own_words() -> None:
    caneca = Shown("7", "CANECA VERMELHA", (), "", (), "Caneca de cerâmica com 300 ml.", Decimal("25.90"), "BRL")
    for sentence in (
        "Temos a CANECA VERMELHA [7], de cerâmica, por R$ 25,90.",
        "A caneca [7] custa 25,90 reais.",
        "A caneca vermelha [7] é de cerâmica.",
    ):
        assert faults_of(sentence, products=[caneca], language="pt") == [], sentence
    for sentence in (
        "A caneca [7] custa R$ 15,90.",
        "A caneca [7] não é vermelha.",
        "A caneca [7] é azul.",
        "A caneca [7] tem frete grátis.",
        "The mug [7] is of china.",
    ):
        assert faults_of(sentence, products=[caneca], language="pt") != [], sentence


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_stream_is_cut_into_sentences_wherever_it_is_cut_into_pieces(size: int) -> None:
    text = (
        "We have two mugs. The mug [1] costs 3.50 GBP! It is red. [1] The sign is the NO. 5 SIGN: ENJOY! NOW [RED]"
        " [S 9/b_1]. [2] is blue. It has no. [2], and more. That\n\n- BLUE ENAMEL MUG [2]\n- Done"
    )
    cutter, made = Sentences(FOUND), list[str]()
    for start in range(0, len(text), size):
        made += cutter.feed(text[start : start + size])
    made += cutter.end()
    assert "".join(made) == text
    assert [sentence.strip() for sentence in made] == [
        "We have two mugs.",
        "The mug [1] costs 3.50 GBP!",
        "It is red. [1]",
        "The sign is the NO. 5 SIGN: ENJOY! NOW [RED] [S 9/b_1].",
        "[2] is blue.",
        "It has no. [2], and more.",
        "That",
        "- BLUE ENAMEL MUG [2]",
        "- Done",
    ]


def test_nothing_is_released_before_its_sentence_has_ended() -> None:
    cutter = Sentences(FOUND)
    assert cutter.feed("The mug [1] costs 3.") == []
    assert cutter.feed("50 GBP.") == []
    assert cutter.feed(" ") == []
    assert cutter.feed("It") == ["The mug [1] costs 3.50 GBP."]
