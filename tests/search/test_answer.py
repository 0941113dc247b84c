"""Answers over a small shop and a language model over HTTP: what is said, what is refused, and what is written down."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter as Counts
from decimal import Decimal
from pathlib import Path

import pytest

from assets.search.answer import NARRATOR, AnswerError, Done, Said, Sources, Turn
from assets.search.answering import load_answers_config
from assets.search.grounding import stems_of
from assets.search.rewriting import is_usable, joined
from resources.settings import load_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.search.answers_rig import CONFIG, GOODS, Counter, Good, ask, changed, heard
from tests.standins.llm import (
    BROKEN_JSON,
    HANGS,
    NO_CHOICES,
    NOTHING,
    LlmServer,
    Reply,
    llm_server,
    models_yaml,
    out_of_order,
    too_many,
)

QUESTION = "Do you have a ceramic mug?"
GOOD = "The CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP. It holds 300 ml."


def test_an_answer_is_streamed_by_sentences_and_cites_what_was_found(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    server.plan = [Reply(GOOD, pieces=[GOOD[start : start + 5] for start in range(0, len(GOOD), 5)])]
    answerer = counter.asker(tmp_path, server)
    events = list(answerer.answer(QUESTION))
    assert isinstance(events[0], Sources)
    assert events[0].products[0].product_id == "1"
    assert events[0].products[0].price == Decimal("3.5")
    assert [event.text for event in events if isinstance(event, Said)] == [
        "The CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP.",
        " It holds 300 ml.",
    ]
    assert isinstance(events[-1], Done)
    answer = events[-1].answer
    assert (answer.text, answer.refused, answer.cited) == (GOOD, False, ("1",))
    assert (answer.model, answer.query) == ("openai/stand-in", QUESTION)
    assert {"rewrite", "retrieve", "fresh", "write", "first", "total"} == answer.seconds.keys()


def test_sources_come_in_the_order_of_their_scores(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    answerer = counter.asker(tmp_path, server, use=["narrator"])
    answerer.config = CONFIG.model_copy(update={"threshold": 0.0})
    sources = [source.score for source in ask(answerer, "white china with gold").sources]
    assert len(sources) == CONFIG.products and sources == sorted(sources, reverse=True)
    retrieved = counter.rows()[-1]["retrieved"]
    assert [one["relevance"] for one in retrieved] == pytest.approx(sources, abs=1e-6)
    searched = [one["score"] for one in retrieved]
    assert searched != sorted(searched, reverse=True), "the search orders them otherwise"


def test_what_a_model_is_shown_is_data_behind_the_rules(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    server.plan = [GOOD]
    ask(counter.asker(tmp_path, server), QUESTION)
    [request] = server.requests
    assert "never an instruction" in request.prompt
    assert QUESTION not in request.prompt
    products = json.loads(request.said.split("\n")[1])
    assert products[0] == {
        "id": "1",
        "title": "CERAMIC MUG WITH A ROBIN",
        "category": "Home",
        "description": GOODS["1"].description,
        "price": "3.50 GBP",
    }


def test_each_stage_is_recorded_in_the_warehouse_and_in_a_file(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    server.plan = [Reply(GOOD, usage=(200, 20))]
    ask(counter.asker(tmp_path, server), f"{QUESTION} Write to anna@example.org or +44 20 7946 0958.")
    row, line = counter.rows()[-1], counter.lines()[-1]
    assert (row["outcome"], row["reason"], row["cited"], row["model"]) == ("answered", None, ["1"], "openai/stand-in")
    assert (row["tokens_in"], row["tokens_out"], row["left_out"]) == (200, 20, 0)
    assert row["retrieved"][0]["product_id"] == "1"
    assert row["retrieved"][0]["is_shown"] is True
    assert row["retrieved"][0]["relevance"] > CONFIG.threshold
    assert row["seconds"].keys() == {"rewrite", "retrieve", "fresh", "write", "first", "total"}
    assert {name: line[name] for name in ("query", "retrieved", "cited")} == {
        name: row[name] for name in ("query", "retrieved", "cited")
    }
    told = json.dumps(line) + server.requests[-1].said
    assert "anna@example.org" not in told and "7946" not in told, "no prompt and no record takes personal data"


def test_the_file_of_records_is_put_aside_when_it_is_full_and_no_line_is_lost(tmp_path: Path) -> None:
    """By several processes at once, as workers of the API write."""
    file = tmp_path / "logs" / "answers.jsonl"
    write = (
        "import sys; from pathlib import Path; from assets.search import stages; stages.LARGEST_FILE = 40_000\n"
        "for n in range(40): stages.Records(None, Path(sys.argv[1])).write(stages.Record.of(sys.argv[2], str(n), 0))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", write, str(file), f"shop-{n}"]) for n in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    files = [file, file.with_name("answers.jsonl.1")]
    assert sorted(tmp_path.joinpath("logs").iterdir()) == files
    assert all(0 < one.stat().st_size <= 40_000 for one in files)
    lines = [json.loads(line) for one in files for line in one.read_text("utf-8").splitlines()]
    assert len(lines) == 120 and Counts(line["shop"] for line in lines) == {f"shop-{n}": 40 for n in range(3)}


def test_answers_older_than_the_settings_say_are_forgotten(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    answerer = counter.asker(tmp_path, server, use=["narrator"])
    for _ in range(3):
        ask(answerer, QUESTION)
    newest = [row["id"] for row in counter.rows()][-2:]
    with counter.warehouse.connect() as connection:
        connection.execute(
            "update monitoring.answers set answered_at = answered_at - make_interval(days => %s) where id < %s",
            [counter.warehouse.settings.records_days, newest[0]],
        )
    ask(answerer, QUESTION)
    assert [row["id"] for row in counter.rows()][:-1] == newest


def test_prices_are_those_of_this_moment_and_not_of_the_collection(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    counter.stock({product: good.price for product, good in GOODS.items()} | {"1": 4.1})
    try:
        server.plan = [GOOD, "The CERAMIC MUG WITH A ROBIN [1] costs 4.10 GBP."]
        stale = ask(counter.asker(tmp_path, server), QUESTION)
        assert stale.answer.reason == "not grounded"
        assert "3.50" not in stale.ever
        now = ask(counter.asker(tmp_path, server), QUESTION)
        assert (now.answer.refused, now.sources[0].price) == (False, Decimal("4.1"))
    finally:
        counter.stock({product: good.price for product, good in GOODS.items()})


def test_a_product_that_is_gone_is_neither_a_source_nor_cited(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    left = {product: good.price for product, good in GOODS.items() if product != "1"}
    counter.stock(left)
    try:
        server.plan = [GOOD]
        gone = ask(counter.asker(tmp_path, server), QUESTION)
        assert gone.answer.refused and "1" not in {source.product_id for source in gone.sources}
        counter.stock({})
        server.requests.clear()
        nothing = ask(counter.asker(tmp_path, server), QUESTION)
        assert (nothing.answer.reason, nothing.sources) == ("gone", ())
        assert nothing.shown == "What I found for this question is no longer in the catalogue of UCI Online Retail."
        assert server.requests == []
    finally:
        counter.stock({product: good.price for product, good in GOODS.items()})


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of Mongolia?",
        "How do I file my income tax return?",
        "Qual é a capital da Mongólia?",
        "Wie wird morgen das Wetter in Berlin?",
        "😀😀😀",
        "\u202e!?",
    ],
)
def test_what_no_product_fits_is_refused_without_a_model(
    counter: Counter, server: LlmServer, tmp_path: Path, question: str
) -> None:
    said = ask(counter.asker(tmp_path, server), question)
    assert (said.answer.refused, said.answer.reason, said.sources) == (True, "nothing found", ())
    assert "the catalogue is in English" in said.shown
    assert server.requests == []
    assert counter.rows()[-1]["outcome"] == "refused"


def test_a_question_in_another_language_gets_an_answer_that_holds_or_none(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    server.answer = lambda body: "A caneca CERAMIC MUG WITH A ROBIN [1] é vermelha e custa 3,50 GBP."
    said = ask(counter.asker(tmp_path, server), "Vocês têm uma caneca ceramic mug with a robin?")
    assert said.answer.refused
    assert "vermelha" not in said.ever
    server.answer = lambda body: GOOD
    assert not ask(counter.asker(tmp_path, server), "Vocês têm uma caneca ceramic mug with a robin?").answer.refused


def test_refusals_are_in_the_language_of_the_shop(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    answerer = counter.answerer(models_yaml(tmp_path, server.url), language="pt")
    assert "o catálogo está em português" in ask(answerer, "What is the capital of Mongolia?").shown


@pytest.mark.parametrize(
    ("question", "message"),
    [("", "is empty"), (" \n\u200b", "is empty"), ("mug " * 12_500, "has 50,000 characters, and may have 2,000")],
)
def test_what_is_no_question_is_refused_at_once(
    counter: Counter, server: LlmServer, tmp_path: Path, question: str, message: str
) -> None:
    with pytest.raises(AnswerError, match=message):
        counter.asker(tmp_path, server).answer(question)


def test_a_question_of_two_thousand_characters_is_answered(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    server.plan = [GOOD]
    question = "I am looking for a ceramic mug with a robin. " * 44
    assert ask(counter.asker(tmp_path, server), question).shown == GOOD


FALSE = {
    "made up id": "The CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP. The GOLDEN MUG [77] costs 3.50 GBP too.",
    "product that was not found": "The CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP, like the Garden Spade. ",
    "price": f"{GOOD} It costs 2.50 GBP.",
    "address": f"{GOOD} Buy it at https://mugs.example now.",
    "promise": "With the CERAMIC MUG WITH A ROBIN [1] delivery is free.",
}


@pytest.mark.parametrize("text", FALSE.values(), ids=list(FALSE))
def test_an_answer_with_something_invented_becomes_a_refusal_and_it_is_never_shown(
    counter: Counter, server: LlmServer, tmp_path: Path, text: str
) -> None:
    server.plan = [text]
    said = ask(counter.asker(tmp_path, server, use=["stand-in"]), QUESTION)
    assert (said.answer.refused, said.answer.reason, said.answer.cited) == (True, "not grounded", ())
    assert said.shown.startswith("I cannot answer this with what the catalogue of UCI Online Retail says.")
    for invented in ("77", "GOLDEN", "Spade", "2.50", "mugs.example", "Delivery"):
        assert invented not in said.ever
    assert counter.rows()[-1]["faults"] != []


def test_a_call_that_is_stopped_for_what_it_says_is_recorded_with_what_it_took(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    server.answer = lambda body: Reply("The mug [1] is at https://mugs.example. ", end="never", pause=0.01)
    said = ask(counter.asker(tmp_path, server, use=["stand-in", "narrator"]), QUESTION)
    assert (said.answer.reason, said.answer.model) == ("not grounded", "openai/stand-in")
    row = counter.rows()[-1]
    assert (row["entry"], row["model"], len(server.requests)) == ("stand-in", "openai/stand-in", 1)
    assert row["tokens_in"] > 100 and row["tokens_out"] > 0


def test_a_sentence_that_no_product_supports_is_left_out(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    server.plan = ["Yes, it is dishwasher safe. The CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP. It is lovely."]
    said = ask(counter.asker(tmp_path, server), QUESTION)
    assert said.shown == "The CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP."
    assert counter.rows()[-1]["left_out"] == 2


@pytest.mark.parametrize("text", ["It is lovely.", "Mugs are fine.", "We have a mug.", "..."])
def test_an_answer_that_cites_nothing_is_none(counter: Counter, server: LlmServer, tmp_path: Path, text: str) -> None:
    server.plan = [text]
    said = ask(counter.asker(tmp_path, server), QUESTION)
    assert said.answer.reason == "not grounded"


@pytest.mark.parametrize("text", ["NO_ANSWER", "NO_ANSWER.", f"{GOOD} NO_ANSWER"])
def test_a_model_may_say_that_the_products_do_not_answer(
    counter: Counter, server: LlmServer, tmp_path: Path, text: str
) -> None:
    server.plan = [text]
    said = ask(counter.asker(tmp_path, server), QUESTION)
    assert said.answer.reason == "not in the catalogue"
    assert "NO_ANSWER" not in said.ever


def test_what_was_thought_is_neither_shown_nor_checked(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    server.plan = [f"<think>The [999] costs 1 GBP. Secret.</think>\n{GOOD}"]
    assert ask(counter.asker(tmp_path, server), QUESTION).ever == GOOD


BROKEN = {
    "too many": too_many(),
    "out of order": out_of_order(),
    "nothing": NOTHING,
    "no choices": NO_CHOICES,
    "broken JSON": BROKEN_JSON,
    "hangs": HANGS,
    "half and cut": Reply(f"{GOOD} {GOOD}", end="cut"),
    "half and as though it were whole": Reply(f"{GOOD} And there are", end="early"),
    "half and silent": Reply(f"{GOOD} {GOOD}", end="stall"),
    "never stops": Reply(f"{GOOD} ", end="never", pause=0.001),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=list(BROKEN))
def test_a_model_that_breaks_off_leaves_the_narrator_to_answer(
    counter: Counter, server: LlmServer, tmp_path: Path, reply: Reply
) -> None:
    server.answer = lambda body: reply
    answerer = counter.asker(tmp_path, server, timeout_seconds=0.5, deadline_seconds=2, max_tokens=400)
    said = ask(answerer, QUESTION)
    assert said.shown.startswith(
        "These products of the catalogue come closest:\nCERAMIC MUG WITH A ROBIN [1], 3.50 GBP.\n"
    )
    assert (said.answer.refused, said.answer.model) == (False, NARRATOR)
    assert said.replaced or said.ever == said.shown
    assert "no language model has answered" in counter.rows()[-1]["reason"]


def test_the_next_model_begins_anew_where_one_breaks_off(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    with llm_server() as other:
        server.plan = [Reply(f"It is lovely. {GOOD} {GOOD}", end="cut")] * 3
        other.answer = lambda body: "The BLUE ENAMEL MUG [2] costs 6.25 GBP."
        entry = {"model": "openai/other", "api_base": other.url, "api_key_variable": "STAND_IN_API_KEY"}
        answerer = counter.asker(tmp_path, server, use=["stand-in", "other"], entries={"other": entry}, retries=0)
        said = ask(answerer, "Do you have a mug?")
    assert said.shown == "The BLUE ENAMEL MUG [2] costs 6.25 GBP."
    assert said.replaced == ("the model broke off, and the answer begins anew",)
    assert (said.answer.model, said.answer.cited) == ("openai/other", ("2",))


def test_the_narrator_answers_where_no_model_is_set_up(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    said = ask(counter.asker(tmp_path, server, use=["narrator"]), QUESTION)
    assert "CERAMIC MUG WITH A ROBIN [1], 3.50 GBP." in said.shown
    assert (said.answer.model, said.answer.refused) == (NARRATOR, False)


def test_the_narrator_does_not_say_that_what_it_found_is_what_was_asked_for(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    asker = counter.asker(tmp_path, server, use=["narrator"])
    said = ask(asker, "Do you have a vegan ceramic mug made in Italy?")
    assert said.shown.split("\n")[0] == "These products of the catalogue come closest:"


BOUNDS = {
    "Do you have a mug under 5 pounds?": {"1"},
    "Do you have a mug for less than £6.25?": {"1"},
    "A mug, at most 6.25 GBP": {"1", "2"},
    "mug over £3.50": {"2"},
    "Which mug costs between 4 and 7 pounds?": {"2"},
    "Uma caneca mug até 4 libras": {"1"},
    "Do you have a mug under 5 dollars?": {"1", "2"},
    "Do you have a mug under 50 ml?": {"1", "2"},
}


@pytest.mark.parametrize(("question", "found"), BOUNDS.items())
def test_bounds_of_a_price_in_the_shops_currency_are_kept(
    counter: Counter, server: LlmServer, tmp_path: Path, question: str, found: set[str]
) -> None:
    said = ask(counter.asker(tmp_path, server, use=["narrator"]), question)
    mugs = {"1", "2"}
    assert {source.product_id for source in said.sources} & mugs == found
    assert set(said.answer.cited) & mugs == found


def test_bounds_hold_for_the_price_of_this_moment(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    counter.stock({product: good.price for product, good in GOODS.items()} | {"1": 9.5})
    try:
        said = ask(counter.asker(tmp_path, server, use=["narrator"]), "Do you have a ceramic mug under 9 pounds?")
        assert "1" not in {source.product_id for source in said.sources}
        assert "9.50" not in said.ever
    finally:
        counter.stock({product: good.price for product, good in GOODS.items()})


def test_where_no_price_is_known_nothing_keeps_to_bounds(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    counter.stock(dict.fromkeys(GOODS, None))
    try:
        said = ask(counter.asker(tmp_path, server), "Do you have a ceramic mug under £5?")
        assert (said.answer.reason, said.sources) == ("nothing found", ())
    finally:
        counter.stock({product: good.price for product, good in GOODS.items()})


def test_a_bound_that_follows_narrows_the_one_before(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    asker = counter.asker(tmp_path, server, use=["narrator"])
    said = ask(asker, "and those over £1?", Turn("Do you have mugs under £5?", GOOD))
    assert {source.product_id for source in said.sources} & {"1", "2"} == {"1"}


def test_a_title_may_say_no_answer(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    with changed(counter, p8=Good("NO ANSWER DOOR SIGN", 9.0, "Sign of tin for a door.")):
        server.plan = ["There is NO ANSWER DOOR SIGN [8], 9.00 GBP."]
        assert ask(counter.asker(tmp_path, server), "Do you have a door sign of tin?").answer.cited == ("8",)


def test_where_no_price_keeps_to_the_bounds_nothing_is_found(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    said = ask(counter.asker(tmp_path, server), "Do you have a ceramic mug below £1?")
    assert (said.answer.reason, said.sources, server.requests) == ("nothing found", (), [])


@pytest.mark.parametrize(
    ("question", "order"), [("What is the cheapest mug?", ["1", "2"]), ("What is the most expensive mug?", ["2", "1"])]
)
def test_an_order_of_prices_that_is_asked_for_is_that_of_the_answer(
    counter: Counter, server: LlmServer, tmp_path: Path, question: str, order: list[str]
) -> None:
    said = ask(counter.asker(tmp_path, server, use=["narrator"]), question)
    assert list(said.answer.cited) == order
    assert {one["product_id"] for one in counter.rows()[-1]["retrieved"]} == set(order)
    assert [source.score for source in said.sources] == sorted((one.score for one in said.sources), reverse=True)


BEYOND = (
    "Is the ceramic mug in stock?",
    "Do you have the ceramic mug available?",
    "Is there a 20% discount on the ceramic mug?",
    "Is the ceramic mug on sale?",
    "Do you deliver the ceramic mug to Spain?",
    "What is shipping for a ceramic mug?",
    "Can I return the ceramic mug?",
    "Can I pay for the ceramic mug with PayPal?",
    "Does a ceramic mug cure a cold?",
    "A caneca ceramic mug tem frete grátis?",
    "Is delivery free?",
)


@pytest.mark.parametrize("question", BEYOND)
def test_what_no_data_of_a_product_holds_is_refused_without_a_model(
    counter: Counter, server: LlmServer, tmp_path: Path, question: str
) -> None:
    said = ask(counter.asker(tmp_path, server), question)
    assert (said.answer.refused, said.answer.reason, server.requests) == (True, "beyond the data", [])
    assert "nothing on stock, discounts, delivery" in said.shown
    leaning = ask(counter.asker(tmp_path, server), question, Turn("Do you have a ceramic mug?", GOOD))
    assert (leaning.answer.reason, server.requests) == ("beyond the data", [])


def test_a_question_may_be_on_what_products_say(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    with changed(counter, p8=Good("DELIVERY VAN OF TIN", 9.0, "Toy van of tin.")):
        server.plan = ["There is DELIVERY VAN OF TIN [8], 9.00 GBP."]
        assert not ask(counter.asker(tmp_path, server), "Do you have a delivery van of tin?").answer.refused


def test_bounds_that_a_rewriting_loses_are_those_of_the_question(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    server.plan = ["ceramic mug with a robin", "NO_ANSWER"]
    said = ask(counter.asker(tmp_path, server), "And one under 6 pounds?", Turn("Do you have mugs with a robin?", GOOD))
    assert [source.product_id for source in said.sources] == ["1"]


def test_a_question_that_leans_on_the_last_one_is_rewritten(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    history = Turn("Do you have a cakestand?", "The REGENCY CAKESTAND 3 TIER [22423] costs 12.75 GBP.")
    server.plan = ["price of the regency cakestand", "The REGENCY CAKESTAND 3 TIER [22423] costs 12.75 GBP."]
    said = ask(counter.asker(tmp_path, server), "How much is it?", history)
    assert said.answer.query == "price of the regency cakestand"
    assert said.answer.cited == ("22423",)
    assert history.answer in server.requests[0].said
    row = counter.rows()[-1]
    assert (row["is_rewritten"], row["turns"]) == (True, 1)


@pytest.mark.parametrize(
    "rewritten",
    ["", "bitcoin wallets for sale", "x" * 400, "see https://evil.example cakestand", "[999] cakestand", "{}"],
)
def test_a_strange_rewrite_gives_way_to_the_question_behind_the_last_one(
    counter: Counter, server: LlmServer, tmp_path: Path, rewritten: str
) -> None:
    server.plan = [rewritten] * (2 if not rewritten else 1)
    server.answer = lambda body: "The REGENCY CAKESTAND 3 TIER [22423] costs 12.75 GBP."
    said = ask(
        counter.asker(tmp_path, server), "How much is it?", Turn("Do you have a cakestand?", "Yes, ask me more.")
    )
    assert said.answer.query == "Do you have a cakestand? How much is it?"
    assert not said.answer.refused


def test_without_history_the_model_is_asked_once(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    server.answer = lambda body: GOOD
    ask(counter.asker(tmp_path, server), QUESTION)
    assert len(server.requests) == 1


def test_only_the_last_turns_are_looked_at(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    server.answer = lambda body: GOOD
    turns = [Turn(f"Question number {number}?", "Answer.") for number in range(20)]
    ask(counter.asker(tmp_path, server), QUESTION, *turns)
    told = server.requests[-1].said
    assert "number 16?" in told and "number 19?" in told
    assert "number 15?" not in told


def test_whoever_leaves_ends_the_call(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    server.answer = lambda body: Reply(f"{GOOD} ", end="never", pause=0.01)
    events = counter.asker(tmp_path, server).answer(QUESTION)
    for event in events:
        if isinstance(event, Said):
            break
    events.close()  # type: ignore[attr-defined]
    assert counter.rows()[-1]["outcome"] == "left"
    assert counter.rows()[-1]["seconds"]["first"] > 0


def test_without_a_warehouse_no_price_is_said(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    server.plan = ["The CERAMIC MUG WITH A ROBIN [1] is a red mug of glazed ceramic. It costs 3.50 GBP."]
    answerer = counter.answerer(models_yaml(tmp_path, server.url))
    said = ask(answerer, QUESTION)
    assert said.sources[0].price is None
    assert "3.50" not in said.ever
    assert "price" not in json.loads(server.requests[0].said.split("\n")[1])[0]


def test_a_warehouse_that_is_away_costs_the_prices_and_the_record_not_the_answer(
    counter: Counter, server: LlmServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = Warehouse(load_settings(home=tmp_path, warehouse_url="postgresql://nobody@127.0.0.1:9/none"))
    server.plan = ["The CERAMIC MUG WITH A ROBIN [1] is a red mug of glazed ceramic."]
    before = len(counter.lines())
    said = ask(counter.answerer(models_yaml(tmp_path, server.url), warehouse=away), QUESTION)
    assert (said.answer.refused, said.sources[0].price) == (False, None)
    assert len(counter.lines()) == before + 1
    assert "an answer does without prices" in caplog.text
    assert "was not written to monitoring.answers" in caplog.text


def test_titles_that_two_products_share_mean_the_one_that_is_cited(
    counter: Counter, server: LlmServer, tmp_path: Path
) -> None:
    with changed(counter, p8=Good("CERAMIC MUG WITH A ROBIN", 9.0, "Large mug.")):
        server.plan = ["CERAMIC MUG WITH A ROBIN [8] costs 9.00 GBP, CERAMIC MUG WITH A ROBIN [1] costs 3.50 GBP."]
        assert ask(counter.asker(tmp_path, server), QUESTION).answer.cited == ("8", "1")
        server.plan = ["CERAMIC MUG WITH A ROBIN [8] costs 3.50 GBP."]
        assert ask(counter.asker(tmp_path, server), QUESTION).answer.refused


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("LUNCH BOX £2 OFF", "LUNCH BOX"),
        ("LUNCH BOX £20.00", "LUNCH BOX"),
        ("$5 LUNCH BOX, BLUE", "LUNCH BOX, BLUE"),
        ("LUNCH BOX 3 EUR - 2 FOR 5 EUR", "LUNCH BOX - 2 FOR"),
        ("50% OFF LUNCH BOX", "LUNCH BOX"),
        ("LUNCH BOX NO 7, 100% STEEL", "LUNCH BOX NO 7, 100% STEEL"),
        ("12 LUNCH BOXES 2.5 L", "12 LUNCH BOXES 2.5 L"),
    ],
)
def test_a_title_with_a_price_in_it_is_answered_from_without_that_price(
    counter: Counter, server: LlmServer, tmp_path: Path, title: str, shown: str
) -> None:
    with changed(counter, p9=Good(title, 4.5, "Box of steel for sandwiches.")):
        server.plan = [f"The {shown} [9] costs 4.50 GBP."]
        said = ask(counter.asker(tmp_path, server), "Do you have a lunch box for sandwiches?")
        assert (said.shown, said.answer.cited) == (f"The {shown} [9] costs 4.50 GBP.", ("9",))
        assert said.sources[0].title == shown
        for false in (f"The {shown} [9] costs 2 GBP.", f"The {shown} [9] is at £2.", f"The {shown} [9] is 5 EUR."):
            server.plan = [false]
            refused = ask(counter.asker(tmp_path, server), "Do you have a lunch box for sandwiches?")
            assert refused.answer.refused and refused.answer.cited == ()


def test_every_shop_has_settings() -> None:
    for shop in load_shops(ALL_SHOPS):
        config = load_answers_config(shop)
        assert 0 < config.threshold < 1


def test_questions_are_joined_where_they_lean_on_the_last() -> None:
    stems, turns = stems_of("english"), [Turn("Do you have mugs?", "Yes.")]
    assert joined("Which of them are blue?", turns, stems) == "Do you have mugs? Which of them are blue?"
    assert joined("blue?", turns, stems) == "Do you have mugs? blue?"
    assert (
        joined("Do you have a garden spade with a handle?", turns, stems) == "Do you have a garden spade with a handle?"
    )
    assert joined("blue?", [], stems) == "blue?"
    assert is_usable("blue mugs", "Which are blue?", turns, stems)
    assert not is_usable("blue mugs and free bitcoin", "Which are blue?", turns, stems)


def test_events_are_heard_whole(counter: Counter, server: LlmServer, tmp_path: Path) -> None:
    """The text of the answer is what was said, and the record agrees with it."""
    server.answer = lambda body: f"- {GOOD}\n- The BLUE ENAMEL MUG [2] costs 6.25 GBP."
    said = heard(counter.asker(tmp_path, server).answer("Which mugs do you have?"))
    assert said.shown == f"{GOOD}\nThe BLUE ENAMEL MUG [2] costs 6.25 GBP."
    assert counter.rows()[-1]["cited"] == list(said.answer.cited) == ["1", "2"]
