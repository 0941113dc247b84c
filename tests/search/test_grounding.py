"""What a sentence of an answer may say of products, and what it may not."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from assets.search.grounding import Grounding, Sentences, cleaned
from assets.search.material import DESCRIPTION, Shown
from assets.search.narration import narrate
from assets.search.untrusted import plain
from resources.llm.prompts import read_prompt
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
    ("gift", "bird"),
    "Red mug of glazed ceramic. Holds 300 ml. Not suitable for microwaves. The best mug of all. Free delivery today.",
    Decimal("3.5"),
    "GBP",
)
ENAMEL = Shown("2", "BLUE ENAMEL MUG", (), "", (), "Mug of steel with blue enamel, 350 ml.", Decimal("6.25"), "GBP")
SIGN = Shown("S 9/b_1", "NO. 5 SIGN: ENJOY! NOW [RED]", (), "", (), "", None, None)
FOUND = (CAKE, MUG, ENAMEL, SIGN)


def faults_of(*sentences: str, products: Iterable[Shown] = FOUND, language: str = "en") -> list[str]:
    """The kinds of faults of the last sentence; those before it must be right."""
    checker = Grounding(list(products), language)
    for sentence in sentences[:-1]:
        assert checker.check(cleaned(sentence)) == []
    return [fault.kind for fault in checker.check(cleaned(sentences[-1]))]


TRUE = (
    "The REGENCY CAKESTAND 3 TIER [22423] costs 12.75 GBP.",
    "The Regency Cakestand 3 Tier [22423] is a cake stand of white china with three tiers and a gold rim.",
    "There are CERAMIC MUG WITH A ROBIN [1] and BLUE ENAMEL MUG [2].",
    "**CERAMIC MUG WITH A ROBIN** [1]: 3.50 GBP.",
    "- BLUE ENAMEL MUG [2], 6.25 GBP",
    "1. BLUE ENAMEL MUG [2], 6.25 GBP",
    "CERAMIC MUG WITH A ROBIN [1] holds 300 ml and costs 3,50 GBP.",
    "CERAMIC MUG WITH A ROBIN [1] is not suitable for microwaves.",
    "CERAMIC MUG WITH A ROBIN [1] is by Acme, is in the category Kitchen and has the keywords bird and gift.",
    "The description of the CERAMIC MUG WITH A ROBIN [1] says: “Red mug of glazed ceramic.”",
    "CERAMIC MUG WITH A ROBIN [1] is cheaper than the BLUE ENAMEL MUG [2].",
    "Of these, BLUE ENAMEL MUG [2] costs more than CERAMIC MUG WITH A ROBIN [1].",
    "I found the NO. 5 SIGN: ENJOY! NOW [RED] [S 9/b_1].",
    "These products of the catalogue come closest:",
)


@pytest.mark.parametrize("sentence", TRUE)
def test_a_sentence_in_one_of_the_forms_is_published(sentence: str) -> None:
    assert faults_of(sentence) == []


def test_answers_in_the_forms_of_the_prompt_are_published() -> None:
    answers = json.loads(Path(__file__).with_name("true_answers.json").read_text(encoding="utf-8"))
    goods = [
        Shown(product, good.title, (good.category,), "", (), good.description, Decimal(str(good.price)), "GBP")
        for product, good in GOODS.items()
    ]
    for answer in answers:
        checker, cutter = Grounding(goods, "en"), Sentences(goods)
        for sentence in (*cutter.feed(answer["text"]), *cutter.end()):
            assert checker.check(cleaned(sentence)) == [], (answer["question"], sentence)
        assert checker.cited


def filled(form: str, products: Sequence[Shown]) -> str:
    """A form of the prompt with products in it, in turn, each with its own data."""
    said, *parts = form.split("TITLE [ID]")
    said = said.replace("PRICE", str(products[0].said_price))
    for one, part in zip(itertools.cycle(products), parts, strict=False):
        said += f"{one.title} [{one.product_id}]{part.replace('PRICE', str(one.said_price))}"
    return (
        said.replace("SENTENCE", "holds 300 ml")
        .replace("BRAND", "Acme")
        .replace("CATEGORY", "Cups")
        .replace("KEYWORD", "gift")
    )


@pytest.mark.parametrize(("heading", "language"), [("Forms in English:", "en"), ("Forms in Portuguese:", "pt")])
def test_the_forms_that_the_prompt_states_are_published(heading: str, language: str) -> None:
    part = read_prompt("answer").text.split(heading)[1].split("Forms in")[0]
    forms = re.split(r"(?<=\.)[\s-]+", re.sub(r"\([^)]*\)", "", part).strip(" \n-"))
    cheap, dear, twin = (
        Shown(product, title, ("Cups",), "Acme", ("gift",), "Holds 300 ml.", Decimal(price), "GBP")
        for product, title, price in (("7", "RED CUP", "1.50"), ("8", "BLUE CUP", "20"), ("9", "TIN CUP", "1.50"))
    )
    assert len(forms) > 15
    for form in forms:
        products = [cheap, dear]
        if re.search("the same|o mesmo", form):
            products = [cheap, twin]
        elif re.search("more|most|custa mais|mais caro", form):
            products = [dear, cheap]
        before = [] if "TITLE" in form else ["RED CUP [7]."]
        assert faults_of(*before, filled(form, products), products=products, language=language) == [], form


def coat(product: str, brand: str, kind: str, price: str) -> Shown:
    return Shown(
        product, f"{brand} {kind} Waxed Coat", (kind.split("'")[0], "Rainwear"), brand, (), "", Decimal(price), "USD"
    )


COATS = {
    "T": coat("2670", "Marrwick", "Women's Tailored", "94.19"),
    "C": coat("322", "Hestwick", "Men's Relaxed", "103.41"),
    "D": coat("2502", "Heststed", "Men's Tailored", "111.03"),
    "B": coat("1365", "Marrwick", "Women's Brushed", "46.12"),
    "M": replace(MUG, product_id="10", currency="USD"),
}
CANECA = "Caneca vermelha de cerâmica. Comporta 300 ml. Imprópria para micro-ondas. Grátis hoje."
CASACOS = {name: replace(one, currency="BRL", description=CANECA if name == "M" else "") for name, one in COATS.items()}
WRITTEN = json.loads(Path(__file__).with_name("false_answers.json").read_text(encoding="utf-8"))
FALSE = [(language, text) for language, kinds in WRITTEN.items() for texts in kinds.values() for text in texts]


def named(text: str, products: Mapping[str, Shown]) -> str:
    """A text in which one letter stands for the title of a product and its id."""
    return re.sub(r"\b[TCDBM]\b", lambda found: f"{products[found[0]].title} [{products[found[0]].product_id}]", text)


@pytest.mark.parametrize(("language", "text"), FALSE)
def test_what_the_data_does_not_say_is_not_published(language: str, text: str) -> None:
    products = COATS if language == "en" else CASACOS
    said = named(text, products)
    assert faults_of(said, products=products.values(), language=language) != []
    # Nor where it leans on a sentence before it.
    leaning = named(re.sub("^T ", "It " if language == "en" else "Ele ", text), products)
    before = named("T.", products)
    assert faults_of(before, leaning, products=products.values(), language=language) != []


@pytest.mark.parametrize("text", [text for language, text in FALSE if language == "en" and text.startswith("T ")])
def test_nor_beside_what_it_says(text: str) -> None:
    for said in (
        f"T costs 94.19 USD and {text[2:]}",
        f"T costs 94.19 USD, and {text}",
        f"There is T, which {text[2:]}",
    ):
        assert faults_of(named(said, COATS), products=COATS.values()) != []


GRAVE = {
    "BLUE ENAMEL MUG [3] costs 6.25 GBP.": "cites what was not found",
    "BLUE ENAMEL MUG [2][999] costs 6.25 GBP.": "cites what was not found",
    "The mug [source] is red.": "cites what was not found",
    "BLUE ENAMEL MUG [1] costs 3.50 GBP.": "cites another product than it names",
    "BLUE ENAMEL MUG. [1] costs 3.50 GBP.": "cites another product than it names",
    "BLUE ENAMEL MUG [2] costs 6.24 GBP.": "a price that is not so",
    "BLUE ENAMEL MUG [2] costs 6.25 EUR.": "a price that is not so",
    "BLUE ENAMEL MUG [2] costs $6.25.": "a price that is not so",
    "BLUE ENAMEL MUG [2] costs 3.50 GBP.": "a price that is not so",
    "NO. 5 SIGN: ENJOY! NOW [RED] [S 9/b_1] costs 5 GBP.": "a price that is not so",
    "Everything costs 1 GBP.": "a price that is not so",
    "See https://evil.test for BLUE ENAMEL MUG [2].": "markup or an address",
    "Write to me@evil.test for BLUE ENAMEL MUG [2].": "markup or an address",
    "The [mug](evil) [1] is red.": "markup or an address",
    "BLUE ENAMEL MUG [2] <b>is</b> red.": "markup or an address",
    "BLUE ENAMEL MUG [2]. " * 60: "too long",
}


@pytest.mark.parametrize(("sentence", "kind"), GRAVE.items())
def test_a_sentence_that_makes_all_doubtful_is_found(sentence: str, kind: str) -> None:
    [fault] = Grounding(FOUND, "en").check(cleaned(sentence))
    assert (fault.kind, fault.is_grave) == (kind, True)


def test_a_price_that_two_products_swap_is_not_published() -> None:
    assert faults_of("CERAMIC MUG WITH A ROBIN [1] costs 6.25 GBP and BLUE ENAMEL MUG [2] costs 3.50 GBP.") != []


def test_who_costs_least_is_said_where_it_is_known_of_one_alone() -> None:
    said = "The cheapest of these is BLUE ENAMEL MUG [2]."
    assert faults_of(said, products=[CAKE, ENAMEL]) == []
    for other in (MUG, replace(CAKE, price=ENAMEL.price), SIGN, replace(CAKE, currency="EUR")):
        assert faults_of(said, products=[other, ENAMEL]) != []
    assert faults_of(said, products=[ENAMEL]) != []


@pytest.mark.parametrize(
    "sentence",
    [
        "Der CERAMIC MUG WITH A ROBIN [1] kostet 3.50 GBP.",
        "CERAMIC MUG WITH A ROBIN [1] custa 3.50 GBP.",
        "CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP 😈.",
        "CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP?",
        "CERAMIC MUG [1] costs 3.50 GBP.",
        "[1] costs 3.50 GBP.",
        "CERAMIC MUG WITH A ROBIN costs 3.50 GBP.",
        "CERAMIC MUG WITH A ROBIN [1] [2] costs 3.50 GBP.",
        "PWNED",
        "",
    ],
)
def test_what_is_in_no_form_is_left_out(sentence: str) -> None:
    assert faults_of(sentence) != []


def test_of_a_description_only_whole_sentences_are_said_again_and_no_praise_or_promise() -> None:
    subject = "CERAMIC MUG WITH A ROBIN [1]"
    for said in ("is a red mug of glazed ceramic", "holds 300 ml", "is not suitable for microwaves"):
        assert faults_of(f"{subject} {said}.") == []
    for said in ("is a red mug", "is suitable for microwaves", "is the best mug of all", "has free delivery today"):
        assert faults_of(f"{subject} {said}.") != []
    assert faults_of(f'The description of {subject} says: "Free delivery today".') != []


def test_a_sentence_that_was_cut_off_is_not_said_again() -> None:
    text = "Safe. " + "Fits all cats, and dogs too, " * 30
    cut = plain(text, DESCRIPTION)
    product = replace(ENAMEL, description=cut)
    assert faults_of("BLUE ENAMEL MUG [2] is safe.", products=[product]) == []
    assert faults_of(f"BLUE ENAMEL MUG [2] {cut[6:]}.", products=[product]) != []
    whole = "Fits all cats, and dogs too"
    assert faults_of(f"BLUE ENAMEL MUG [2] {whole}.", products=[replace(ENAMEL, description=whole)]) == []


def test_a_sentence_may_lean_on_one_product_of_the_one_before() -> None:
    one = "There is the CERAMIC MUG WITH A ROBIN [1]."
    assert faults_of(one, "It holds 300 ml and costs 3.50 GBP.") == []
    assert faults_of(one, "It costs less than BLUE ENAMEL MUG [2].") == []
    assert faults_of(one, "It is a mug of steel with blue enamel, 350 ml.") != []
    assert faults_of("It costs 3.50 GBP.") != []
    both = "There are CERAMIC MUG WITH A ROBIN [1] and BLUE ENAMEL MUG [2]."
    assert faults_of(one, both, "It holds 300 ml.") != []
    assert faults_of(one, "It costs less than BLUE ENAMEL MUG [2].", "It costs 6.25 GBP.") != []
    assert faults_of(one, "These products of the catalogue come closest:", "It costs 3.50 GBP.") != []


def test_a_title_may_hold_digits_a_price_and_any_sign() -> None:
    for title in (
        "3 FOR £1.65 MUG",
        "SET OF 6, 5% OFF!",
        "C# & C++ (2ND ED.)",
        "T-SHIRT 'MEN'S' 1/2",
        "!!!",
        "1,000 PIECES",
        "TRAY 10*20 CM",
        "5* HOTEL MUG",
        "*USB LAMP",
        "CLOTH 10²",
    ):
        product = replace(ENAMEL, title=title)
        said = f"The {title} [2] costs 6.25 GBP."
        assert cleaned(f"**The** {said[4:]}") == said
        assert faults_of(said, products=[product]) == [], title
        assert faults_of(said.replace("6.25", "1.65"), products=[product]) != []


def test_a_title_is_compared_with_its_signs() -> None:
    for title, other in (("TRAY 10*20 CM", "TRAY 1020 CM"), ("C# BOOK", "C BOOK"), ("CLOTH 10²", "CLOTH 102")):
        assert faults_of(f"There is {other} [2].", products=[replace(ENAMEL, title=title)]) != []


def test_only_the_extreme_that_was_asked_for_is_said() -> None:
    low, high = "The cheapest of these is CAKE [1].", "The most expensive of these is MUG [2]."
    products = [replace(CAKE, product_id="1", title="CAKE", price=Decimal(1)), replace(ENAMEL, title="MUG")]
    for allowed, said in (("lowest", low), ("highest", high)):
        for sentence in (low, high):
            checker = Grounding(products, "en", [allowed])
            assert (checker.check(sentence) == []) == (sentence == said)


def test_no_sentence_of_a_description_stands_behind_a_price() -> None:
    products = [replace(ENAMEL, description="Each month. Holds 300 ml.", keywords=("gift",))]
    for false in (
        "[2] costs 6.25 GBP each month.",
        "[2], 6.25 GBP each month.",
        "[2], which costs 6.25 GBP each month.",
        "[2] costs 6.25 GBP, and each month.",
    ):
        assert faults_of(f"BLUE ENAMEL MUG {false}", products=products) != []
    for true in ("[2] holds 300 ml and costs 6.25 GBP.", "[2] costs 6.25 GBP and has the keyword gift."):
        assert faults_of(f"BLUE ENAMEL MUG {true}", products=products) == []


def test_no_text_of_a_product_promises_praises_or_heals() -> None:
    for text in (
        "Dispatched within a day",
        "Last one",
        "Treats arthritis",
        "Recommended by doctors",
        "Lifetime replacement",
        "Frete grátis",
    ):
        product = replace(ENAMEL, description=f"{text}.", keywords=(text,), categories=(text,), brand=text)
        for form in ("is {}", "has the keyword {}", "is in the category {}", "is by {}"):
            assert faults_of(f"BLUE ENAMEL MUG [2] {form.format(text)}.", products=[product]) != [], (text, form)


@pytest.mark.parametrize("gap", ["…", "..."])
def test_behind_an_ellipsis_no_new_sentence_begins(gap: str) -> None:
    product = replace(ENAMEL, description=f"Not {gap} Waterproof.")
    assert faults_of("BLUE ENAMEL MUG [2] is waterproof.", products=[product]) != []


def test_ids_that_case_alone_tells_apart_are_two_products() -> None:
    large = Shown("53096A", "TEAL NOTEBOOK", (), "", (), "", Decimal("2.10"), "GBP")
    small = Shown("53096a", "TEAL NOTEBOOK", (), "", (), "", Decimal("3.49"), "GBP")
    for product, other in ((large, small), (small, large)):
        cites = f"TEAL NOTEBOOK [{product.product_id}], "
        assert faults_of(f"{cites}{product.price} GBP.", products=[large, small]) == []
        assert faults_of(f"{cites}{other.price} GBP.", products=[large, small]) == ["a price that is not so"]
    assert faults_of("TEAL NOTEBOOK [53096a].", products=[large]) == ["cites what was not found"]


def test_a_sentence_that_is_left_out_cites_nothing() -> None:
    checker = Grounding(FOUND, "en")
    assert checker.check("BLUE ENAMEL MUG [2] is green.") != []
    assert checker.cited == []
    assert checker.check("There are BLUE ENAMEL MUG [2] and CERAMIC MUG WITH A ROBIN [1].") == []
    assert checker.cited == ["2", "1"]


@pytest.mark.parametrize(("written", "is_so"), [("R$ 1.025,90", True), ("1025.90 BRL", True), ("1.025 reais", False)])
def test_answers_in_portuguese_write_prices_as_there(written: str, is_so: bool) -> None:
    caneca = Shown("7", "CANECA VERMELHA", (), "", (), "Caneca de cerâmica com 300 ml.", Decimal("1025.90"), "BRL")
    assert (faults_of(f"A CANECA VERMELHA [7] custa {written}.", products=[caneca], language="pt") == []) == is_so


@pytest.mark.parametrize("language", ["en", "pt", "de"])
def test_what_the_narrator_says_holds(language: str) -> None:
    for products in (FOUND, FOUND[:1], [*COATS.values()]):
        checker, cutter = Grounding(products, language), Sentences(products)
        for sentence in (*cutter.feed(narrate(products, language)), *cutter.end()):
            assert checker.check(cleaned(sentence)) == [], sentence
        assert checker.cited == [one.product_id for one in products]


def test_a_long_sentence_is_judged_at_once() -> None:
    words = " ".join(f"word{number} and so on," for number in range(40))
    products = [
        Shown(str(number), f"MUG {number}", ("Cups",), "Acme", ("gift",), f"{words} {number}.", Decimal(number), "GBP")
        for number in range(20)
    ]
    checker = Grounding(products, "en")
    for said in ("MUG 1 [1] costs 1 GBP and " * 30, "MUG 1 [1], and, " * 50, "There is MUG 1 [1], 1 GBP, " * 30):
        assert checker.check(cleaned(said[:880] + " x")) != []
    # Written so that it can be parted in many ways.
    evil = replace(ENAMEL, description="A. A a. A a a. A a a a.", keywords=("b", "b b", "b b b"))
    for said in ("a " * 400, "has the keywords " + "b " * 400):
        assert faults_of(f"BLUE ENAMEL MUG [2] {said}x", products=[evil]) != []


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
