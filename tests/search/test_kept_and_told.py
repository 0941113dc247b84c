"""Around an answer: personal data is neither told to a model nor written down, and models that failed are told of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from assets.search.answer import Answerer, Turn
from assets.search.retrieve import cleaned
from assets.search.untrusted import impersonal
from orchestration.cli import ask as command
from resources.shops import Shop
from tests.search.answers_rig import Counter, ask
from tests.standins.llm import LlmServer, out_of_order

GOOD = "The CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP."
PERSONAL = {
    "e-mail": [
        "jo@example.com",
        "jo.h+x@mail.example.co.uk",
        "ｊｏ＠example．com",
        "jo @ example.com",
        "jo [at] example.com",
    ],
    "e-mail with unseen signs": ["john@exa\u200bmple.com", "jo\u2060hn@example.c\u200dom", "john@exa\ufe0fmple.com"],
    "international": [
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958",
        "0044 20 7946 0958",
        "+1-212-555-0123",
        "+5511912345678",
    ],
    "British": ["tel. 020 7946 0958", "(020) 7946 0958", "07700 900123", "01632 960 001", "020\u200b7946\u200b0958"],
    "French, German, Italian, Japanese": [
        "01 23 45 67 89",
        "030/1234567",
        "0171-1234567",
        "06 12345678",
        "03-1234-5678",
    ],
    "North American": [
        "(212) 555-0123",
        "212-555-0123",
        "212.555.0123",
        "212 555 0123",
        "1-800-555-0199",
        "2125550123",
    ],
    "Brazilian": ["(11) 91234-5678", "11 91234-5678", "11 3123-4567", "(11)3123 4567", "91234-5678", "11912345678"],
    "Iberian, Polish": ["612 34 56 78", "612 345 678", "912345678"],
    "short": ["call me on 555 0123", "my number is 555-0123", "WhatsApp: 9123 4567"],
    "card": ["4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111", "3782 822463 10005"],
    "IBAN": ["GB82 WEST 1234 5698 7654 32", "gb82west12345698765432", "DE89 3704 0044 0532 0130 00"],
    "taxpayer": ["123.456.789-09", "12345678909", "123 456 789 09", "12.345.678/0001-95", "078-05-1120"],
}
OTHERS = [
    "Do you have sizes 36 38 40 42 44?",
    "a table of 120 x 60 x 75 cm",
    "anime from 1990-1999, 2005 or 2010, or 2011 2012",
    "mugs of 300 ml or 350 ml under 12.50 GBP",
    "between 1,000.00 and 2,500.00 USD, or R$ 1.234.567,00",
    "lamps of 100 200 300 lumens",
    "85123A or [22423] or 21034, RAL 7016 9005",
    "iphone 12 phone case 6.1 inch, call of duty 4 and 5",
    "AB12 blue wool coat long",
    "3 tier, 24 pcs, 1000 pieces, 0.5 l, 0.75 l",
    "from 2020-01-01 to 2021-12-31 12:30",
]


@pytest.mark.parametrize("texts", PERSONAL.values(), ids=list(PERSONAL))
def test_what_names_a_person_is_taken_out(texts: list[str]) -> None:
    for text in texts:
        left = impersonal(f"A mug, {text}, please")
        assert not any(mark.isdigit() or mark == "@" for mark in left) and "mple" not in left, (text, left)
        assert left.startswith("A mug, ") and left.endswith(", please"), (text, left)


@pytest.mark.parametrize("text", OTHERS)
def test_numbers_of_products_stay(text: str) -> None:
    assert impersonal(text) == text


def test_signs_of_no_width_part_no_words() -> None:
    assert cleaned("w\u200barm c\u2060o\u00ada\ufe0ft\n blue") == impersonal("w\u200barm c\u2060o\u00ada\ufe0ft\n blue")
    assert cleaned("w\u200barm c\u2060o\u00ada\ufe0ft\n blue") == "warm coat blue"


def test_neither_the_records_nor_a_model_have_it(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    server.answer = lambda body: GOOD
    personal = "tel. 020 7946 0958, jo@exa\u200bmple.com, GB82 WEST 1234 5698 7654 32"
    answerer = counter.asker(tmp_path, server)
    said = ask(answerer, f"Do you have a c\u200beramic mug? {personal}")
    assert not said.answer.refused
    ask(answerer, f"Do you have a ceramic mug? {personal}", Turn(f"I am {personal}", f"Hello {personal}"))
    kept = json.dumps([*counter.rows(), *counter.lines()], default=str) + str([sent.body for sent in server.requests])
    assert "ceramic mug" in kept
    assert not any(part in kept for part in ("7946", "0958", "mple.com", "WEST", "7654"))


def test_ask_says_on_standard_error_which_models_failed_and_why(
    counter: Counter,
    server: LlmServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    server.answer = lambda body: out_of_order()
    dead = {"model": "openai/dead", "api_base": "http://127.0.0.1:9/v1", "api_key_variable": "STAND_IN_API_KEY"}

    @contextmanager
    def answerer(shop: Shop) -> Iterator[Answerer]:
        yield counter.asker(tmp_path, server, use=["dead", "stand-in", "narrator"], entries={"dead": dead}, retries=0)

    monkeypatch.setattr(command, "answerer", answerer)
    monkeypatch.setattr(command, "console", lambda: Console())
    assert command.run_ask("Do you have a ceramic mug?", "online_retail") == 0
    said = [line for line in capfd.readouterr().err.splitlines() if "did not answer" in line]
    assert said == [
        "dead did not answer: nobody answers at http://127.0.0.1:9/v1",
        "stand-in did not answer: 500: out of order",
    ]
