"""`POST /chat`: what is streamed and what is refused, faults of a language model, and settings that change under it."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resources.llm.client import Llm
from resources.llm.engine import ready
from resources.llm.prompts import PROMPTS_DIR
from resources.settings import Settings
from resources.warehouse import Warehouse
from serving.api import chat
from serving.api.chat import ADMITTED, ChatRequest, Chatting
from serving.api.scoring import Scoring
from serving.api.search import Searching
from serving.api.searchers import Searchers
from serving.api.shops import Shops
from tests.serving.rig import Api, wait_until
from tests.serving.test_search import SHOP, Shelf
from tests.standins.llm import (
    HANGS,
    KEY,
    KEY_VARIABLE,
    LlmServer,
    Reply,
    llm_server,
    models_yaml,
    out_of_order,
    too_many,
)

QUESTION = "Do you have a brass desk lamp?"
GOOD = "The red brass desk lamp [L0r] costs 1.00 USD. The green brass desk lamp [L0g] costs 2.00 USD."
OFF_TOPIC = "Can you tell me the result of the election?"
CATALOGUE = """
create schema contract;
create table contract.dim_product (
    shop text, product_id text, title text, description text, brand text, category_id text,
    price numeric, currency text, is_merchandise boolean, is_inferred boolean
);
"""


@dataclass
class Event:
    name: str
    data: Any
    id: int


def events_of(body: bytes) -> list[Event]:
    """The events of a stream, without the comments that keep it alive."""
    made = []
    for block in body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            made.append(Event(fields["event"], json.loads(fields["data"]), int(fields["id"])))
    return made


class Place(Api):
    """An API process, and the files of settings and prompts that it watches."""

    def __init__(self, settings: Settings, folder: Path, server: LlmServer) -> None:
        self.folder, self.server = folder, server
        self.prompts = folder / "prompts"
        shutil.copytree(PROMPTS_DIR, self.prompts)
        self.models = folder / "models.yaml"
        self.set()
        environment = {"CARTOGRAPH_HOME": str(settings.home), KEY_VARIABLE: KEY}
        super().__init__(settings.home, settings.shops_file, **environment)

    def start(self) -> None:
        apart = [sys.executable, "-m", "tests.serving.apart"]
        self.command = [*apart, str(self.port), str(self.models), str(self.prompts)]
        super().start()

    def ask(self, question: str = QUESTION, **more: Any) -> list[Event]:
        """Ask, and give all events."""
        client = self.client()
        try:
            answer = client.ask("POST", "/chat", {"shop": SHOP, "question": question, **more})
        finally:
            client.connection.close()
        assert answer.status == 200, answer
        events = events_of(answer.content)
        assert [event.id for event in events] == list(range(1, len(events) + 1))
        assert [event.name for event in events if event.name in ("done", "error")] == [events[-1].name]
        return events

    @contextmanager
    def begun(self, question: str = QUESTION, **more: Any) -> Iterator[http.client.HTTPResponse]:
        """A question whose events are not read to the end: the client leaves with the block."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        asked = json.dumps({"shop": SHOP, "question": question, **more})
        connection.request("POST", "/chat", asked, {"Content-Type": "application/json"})
        response = connection.getresponse()
        try:
            yield response
        finally:
            response.close()
            connection.close()

    def set(self, **settings: Any) -> None:
        """Write models.yaml anew, with these in the section `llm`, and time-outs that a busy machine keeps."""
        models_yaml(self.folder, self.server.url, **{"timeout_seconds": 30, "deadline_seconds": 60, **settings})

    def use(self, name: str, *others: str, url: str | None = None, **settings: Any) -> None:
        """Have an entry of this name asked, at the server unless another is named, and wait until it is.

        An entry that failed is left out for a while, but not one of another name.
        """
        entry = {"model": f"openai/{name}", "api_base": url or self.server.url, "api_key_variable": KEY_VARIABLE}
        self.set(use=[name, *others], entries={name: entry}, **settings)
        wait_until(lambda: self.language_models == [name, *others])

    @property
    def health(self) -> Any:
        return self.client().get("/health").json

    @property
    def language_models(self) -> list[str]:
        """Who is asked, as the API knows it."""
        return [model["entry"] for model in self.health["shops"][SHOP]["language_models"]]


@pytest.fixture(scope="module")
def shelf(settings: Settings, home_warehouse: Warehouse) -> Iterator[Shelf]:
    """A published collection, and a contract with the prices of its products."""
    made = Shelf(settings)
    made.publish()
    with home_warehouse.connect() as connection:
        connection.execute(CATALOGUE)
        connection.cursor().executemany(
            "insert into contract.dim_product values (%s, %s, %s, null, %s, %s, %s, 'USD', true, false)",
            [
                (SHOP, product, title, colour.title(), kind, number)
                for number, (product, (kind, colour, title)) in enumerate(made.titles.items(), 1)
            ],
        )
    yield made
    with home_warehouse.connect() as connection:
        connection.execute("drop schema contract cascade")
    shutil.rmtree(made.store.root)


@pytest.fixture(scope="module")
def model() -> Iterator[LlmServer]:
    with llm_server() as server:
        yield server


@pytest.fixture(scope="module")
def running(
    settings: Settings, shelf: Shelf, model: LlmServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    place = Place(settings, tmp_path_factory.mktemp("chat"), model)
    try:
        place.wait()
        wait_until(lambda: place.health["shops"][SHOP]["search"] is not None)
        # The first answer waits for the import of litellm, which takes long where the machine is busy.
        wait_until(lambda: place.ask()[-1].name == "done", 600)
        yield place
    finally:
        place.stop()


@pytest.fixture
def place(running: Place) -> Iterator[Place]:
    """It, with a model that says what is true, and its settings as they were."""
    server = running.server
    server.answer, server.plan = lambda body: GOOD, []
    server.requests.clear()
    yield running
    running.set()
    wait_until(lambda: running.client().figure("cartograph_chats_at_work") == 0)
    wait_until(lambda: running.language_models == ["stand-in"])


def said(events: list[Event]) -> str:
    """What a client shows in the end."""
    shown = ""
    for event in events:
        if event.name == "replaced":
            shown = ""
        if event.name == "token":
            shown += event.data["text"]
    return shown


def test_an_answer_is_streamed_with_its_sources_first(place: Place) -> None:
    client = place.client()
    answer = client.ask("POST", "/chat", {"shop": SHOP, "question": QUESTION})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache" and answer.headers["x-accel-buffering"] == "no"
    events = events_of(answer.content)
    assert [event.name for event in events] == ["sources", "token", "token", "done"], events
    products = {product["product_id"]: product for product in events[0].data["products"]}
    assert products["L0r"]["title"] == "red brass desk lamp"
    assert (products["L0r"]["price"], products["L0r"]["currency"]) == (1.0, "USD")
    done = events[-1].data
    assert done["text"] == said(events) == GOOD
    assert done["cited"] == ["L0r", "L0g"] and not done["refused"] and done["reason"] is None
    assert (done["model"], done["query"]) == ("openai/stand-in", QUESTION)
    assert (done["entry"], done["failed"]) == ("stand-in", [])
    assert done["prompt_version"] and done["seconds"]["total"] >= done["seconds"]["retrieve"] > 0


def test_what_was_said_before_is_part_of_the_question(place: Place) -> None:
    rewritten = "green brass desk lamp"
    place.server.answer = lambda body: rewritten if len(place.server.requests) == 1 else GOOD
    history = [{"question": QUESTION, "answer": GOOD}]
    events = place.ask("And the green one?", history=history)
    assert events[-1].data["query"] == rewritten and said(events) == GOOD
    assert QUESTION in place.server.requests[0].said


def test_what_the_catalogue_does_not_have_is_refused_in_words_without_a_model(place: Place) -> None:
    events = place.ask(OFF_TOPIC)
    assert [event.name for event in events] == ["sources", "token", "done"]
    assert events[0].data["products"] == []
    done = events[-1].data
    assert done["refused"] and done["reason"] == "nothing found" and done["model"] is None
    assert done["text"].startswith("I found nothing in the catalogue of theLook")
    assert place.server.requests == []


def test_a_product_that_was_made_up_is_never_shown(place: Place) -> None:
    place.server.answer = lambda body: "The golden throne [X9] costs 12 dollars. You will love it."
    events = place.ask()
    assert events[-1].data["refused"] and events[-1].data["reason"] == "not grounded"
    assert not any("throne" in str(event.data) for event in events)


@pytest.mark.parametrize(
    ("name", "reply", "is_shown_before"),
    [
        ("failing", out_of_order(), False),
        ("cut", Reply(2 * f"{GOOD} ", end="cut"), True),
        ("early", Reply(2 * f"{GOOD} ", end="early"), True),
        ("silent", Reply(""), False),
        ("broken", Reply(body=b"{"), False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_where_a_model_fails_the_next_entry_answers(
    place: Place, name: str, reply: Reply, is_shown_before: bool
) -> None:
    place.use(name, "narrator", retries=0)
    place.server.answer = lambda body: reply
    events = place.ask()
    done = events[-1].data
    assert not done["refused"] and done["model"] == "narrator/v1"
    assert (done["entry"], done["failed"]) == ("narrator", [name])
    assert done["text"] == said(events) and "red brass desk lamp [L0r], 1.00 USD." in done["text"]
    assert ("replaced" in [event.name for event in events]) == is_shown_before
    assert len(place.server.requests) == 1


def test_without_any_model_the_products_are_listed(place: Place) -> None:
    place.use("refusing")
    place.server.answer = lambda body: out_of_order(401)
    events = place.ask()
    assert events[-1].name == "done" and events[-1].data["model"] == "narrator/v1"
    assert (events[-1].data["entry"], events[-1].data["failed"]) == (None, ["refusing"])
    assert "[L0r]" in said(events)


def test_a_model_that_is_down_is_seen_in_health_and_metrics_until_it_answers(place: Place) -> None:
    place.use("sick", "narrator", retries=0, pause_seconds=1)

    def counted(entry: str, outcome: str) -> float:
        return place.client().figure("cartograph_llm_calls_total", entry=entry, outcome=outcome)

    def sick() -> Any:
        health = place.health
        [model] = [one for one in health["shops"][SHOP]["language_models"] if one["entry"] == "sick"]
        return health["status"], model["circuit"], model["problem"], model["since"] is not None

    assert sick() == ("ok", "closed", None, False)
    narrated = counted("narrator", "answered")
    place.server.plan = [out_of_order()]
    place.ask()
    assert sick() == ("degraded", "open", "500: out of order", True)
    assert (counted("sick", "down"), counted("narrator", "answered")) == (1, narrated + 1)
    wait_until(lambda: place.ask()[-1].data["entry"] == "sick", 60, pause=0.3)
    assert sick() == ("ok", "closed", None, False)
    assert counted("sick", "answered") == 1


def test_a_key_that_is_missing_is_seen_before_somebody_asks(place: Place) -> None:
    entry = {"model": "openai/keyless", "api_base": place.server.url, "api_key_variable": "NO_SUCH_KEY"}
    place.set(use=["keyless", "narrator"], entries={"keyless": entry})
    wait_until(lambda: place.language_models == ["keyless", "narrator"])
    told = place.health
    [keyless, narrator] = told["shops"][SHOP]["language_models"]
    assert told["status"] == "degraded" and narrator["problem"] is None
    assert (keyless["circuit"], keyless["problem"][:22]) == ("closed", "NO_SUCH_KEY is not set")


def test_a_model_without_a_known_price_is_told_of_before_somebody_asks(place: Place) -> None:
    place.use("of-our-own")
    wait_until(lambda: "no price is known of openai/of-our-own: the budget's dollars do not bound it" in place.said())
    assert place.server.requests == []


def test_one_customer_cannot_switch_a_model_off_for_the_others(place: Place) -> None:
    place.use("shared", "narrator", retries=0, pause_seconds=300)
    place.server.plan = [Reply("coat " * 150)]
    done = place.ask()[-1].data
    assert (done["entry"], done["failed"]) == ("narrator", ["shared"])
    done = place.ask()[-1].data
    assert (done["entry"], done["failed"]) == ("shared", [])
    assert place.health["status"] == "ok"


def test_the_narrator_is_not_switched_off_by_what_was_said_before(place: Place) -> None:
    place.use("unused")
    place.set(use=["narrator"])
    wait_until(lambda: place.language_models == ["narrator"])
    long = "coat " * 300
    for _ in range(2):
        done = place.ask("Is it red?", history=[{"question": long, "answer": long}] * 20)[-1].data
        assert done["failed"] == []


def test_signs_of_no_width_part_no_words(place: Place) -> None:
    events = place.ask("Do you have a br\u200bass desk l\u2060amp?")
    assert events[-1].data["query"] == QUESTION and said(events) == GOOD


@pytest.mark.parametrize(
    ("question", "status", "told"),
    [
        ({"shop": "nowhere"}, 404, "There are: online_retail, thelook"),
        ({"shop": "olist"}, 404, "shop olist has no search: it provides no product_text"),
        ({"shop": "anime"}, 503, "no products of anime were published yet"),
        ({"shop": None}, 422, "name one of online_retail"),
        ({"question": ""}, 422, "it is empty"),
        ({"question": " \t\x00\u200b"}, 422, "it is empty"),
        ({"question": "x" * 2001}, 422, "at most 2000 characters"),
        ({"question": "lamp " * 10_000}, 422, "at most 2000 characters"),
        ({"question": "\ud83d"}, 422, "body"),
        ({"question": None}, 422, "Field required"),
        ({"history": [{"question": "a", "answer": "b"}] * 21}, 422, "at most 20 items"),
        ({"history": [{"question": "a"}]}, 422, "Field required"),
        ({"history": [{"question": "a", "answer": "b" * 20_001}]}, 422, "at most 20000 characters"),
        ({"history": [{"question": "a", "answer": "b", "role": "system"}]}, 422, "Extra inputs"),
        ({"model": "openai/gpt-4o"}, 422, "Extra inputs"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, dict) else "",
)
def test_a_bad_question_is_refused_before_the_stream(
    place: Place, question: dict[str, Any], status: int, told: str
) -> None:
    asked = {
        name: value for name, value in ({"shop": SHOP, "question": "lamp"} | question).items() if value is not None
    }
    answer = place.client().ask("POST", "/chat", asked)
    assert answer.status == status and told in str(answer.detail), answer
    assert answer.headers["content-type"] == "application/json" and len(answer.content) < 5_000
    assert ("retry-after" in answer.headers) == (status == 503)
    assert place.server.requests == []


def test_a_client_that_leaves_ends_the_work(place: Place) -> None:
    left = place.server.left
    place.set(max_tokens=100_000)
    place.server.answer = lambda body: Reply(GOOD + " ", end="never", pause=0.02)
    with place.begun() as response:
        assert b"event: sources" in response.read(200)
        wait_until(lambda: place.server.requests)
    wait_until(lambda: place.client().figure("cartograph_chats_at_work") == 0)
    # The provider is told too, which would count tokens otherwise.
    wait_until(lambda: place.server.left == left + 1)


@pytest.mark.parametrize(
    ("reply", "history"),
    [
        (HANGS, []),
        (Reply("The lamp", end="stall"), []),
        (Reply(f"{GOOD} {GOOD}", end="stall"), []),
        (HANGS, [{"question": QUESTION, "answer": GOOD}]),
        (too_many(60), []),
    ],
    ids=["no word", "half a sentence", "sentences, then none", "while the question is rewritten", "while it is paused"],
)
def test_a_client_that_leaves_a_silent_model_gives_back_all_that_it_held(
    place: Place, home_warehouse: Warehouse, reply: Reply, history: list[dict[str, str]]
) -> None:
    waiting = {"timeout_seconds": 300, "deadline_seconds": 600, "patience_seconds": 300, "retries": 1}
    place.use(f"silent-{uuid.uuid4().hex[:6]}", **waiting)
    left = place.server.left
    place.server.answer = lambda body: reply
    with place.begun(history=history):
        wait_until(lambda: len(place.server.requests) == 1)
        wait_until(lambda: place.client().figure("cartograph_chats_at_work") == 1)
    wait_until(lambda: place.client().figure("cartograph_chats_at_work") == 0, 20)
    if reply.status == 200:
        wait_until(lambda: place.server.left == left + 1, 20)
    with home_warehouse.connect() as connection:
        call = connection.execute(
            "select status, error, tokens_out from monitoring.llm_calls order by call_id desc limit 1"
        ).fetchone()
        answer = connection.execute("select outcome from monitoring.answers order by id desc limit 1").fetchone()
    assert call is not None and call[:2] == ("failed", "whoever asked has left")
    assert call[2] < 100, "what was set aside is given back"
    assert answer == ("left",)


def test_more_questions_than_there_is_room_for_are_told_when_to_ask_again(place: Place) -> None:
    is_open = threading.Event()

    def wait(body: dict[str, Any]) -> str:
        is_open.wait(120)
        return GOOD

    place.server.answer = wait
    # Sixteen answers come to their models one after the other where the machine is busy.
    place.use("waiting", timeout_seconds=120, deadline_seconds=130)
    try:
        with ThreadPoolExecutor(ADMITTED) as pool:
            asked = [pool.submit(place.ask) for _ in range(ADMITTED)]
            wait_until(lambda: place.client().figure("cartograph_chats_at_work") == ADMITTED)
            refused = place.client().ask("POST", "/chat", {"shop": SHOP, "question": QUESTION})
            assert refused.status == 503 and int(refused.headers["retry-after"]) > 0
            # The others of the API go on.
            assert place.client().ask("POST", "/search", {"shop": SHOP, "text": "lamp"}).status == 200
            is_open.set()
            assert {said(one.result()) for one in asked} == {GOOD}
    finally:
        is_open.set()
    assert said(place.ask()) == GOOD


def test_another_model_is_served_without_a_restart_and_a_broken_file_changes_nothing(place: Place) -> None:
    with llm_server() as other:
        other.answer = lambda body: "The green brass desk lamp [L0g] is yours."
        place.use("other", url=other.url)
        assert place.ask()[-1].data["model"] == "openai/other"
        assert len(other.requests) == 1
        good = place.models.read_text(encoding="utf-8")
        place.models.write_text(good.replace("use:", "uses:"), encoding="utf-8")
        wait_until(lambda: not place.health["settings"]["is_used"], 30)
        told = place.health
        assert told["status"] == "degraded" and "llm.defaults.uses: unknown key" in told["settings"]["problem"]
        assert place.client().figure("cartograph_settings_refused") == 1
        assert place.ask()[-1].data["model"] == "openai/other"
        place.models.write_text(good, encoding="utf-8")
        wait_until(lambda: place.health["settings"]["is_used"], 30)
    assert place.client().figure("cartograph_settings_refused") == 0


def test_another_prompt_is_served_without_a_restart(place: Place) -> None:
    file = place.prompts / "answer.md"
    before = file.read_text(encoding="utf-8")
    version = place.ask()[-1].data["prompt_version"]
    try:
        file.write_text(before + "\nBe brief.\n", encoding="utf-8")
        wait_until(lambda: place.ask()[-1].data["prompt_version"] != version, 30)
        assert place.server.requests[-1].prompt.endswith("Be brief.")
        file.write_text("", encoding="utf-8")
        wait_until(lambda: "the prompt is empty" in str(place.health["settings"]["problem"]), 30)
        assert said(place.ask()) == GOOD and place.server.requests[-1].prompt.endswith("Be brief.")
    finally:
        file.write_text(before, encoding="utf-8")
    wait_until(lambda: place.ask()[-1].data["prompt_version"] == version, 30)


def test_answers_are_counted_and_written_down(place: Place, settings: Settings, home_warehouse: Warehouse) -> None:
    client = place.client()

    def counted(outcome: str) -> float:
        return client.figure("cartograph_chat_seconds_count", shop=SHOP, outcome=outcome)

    answered, refused = counted("answered"), counted("refused")
    place.ask()
    place.ask(OFF_TOPIC)
    assert (counted("answered"), counted("refused")) == (answered + 1, refused + 1)
    assert client.figure("cartograph_chat_first_words_seconds_count", shop=SHOP) >= 2
    with home_warehouse.connect() as connection:
        rows = connection.execute("select outcome, cited from monitoring.answers order by id desc limit 2").fetchall()
    assert rows == [("refused", []), ("answered", ["L0r", "L0g"])]
    lines = (settings.home / "logs" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["outcome"] for line in lines[-2:]] == ["answered", "refused"]


def test_events_and_refusals_are_described_and_the_examples_can_be_asked(place: Place) -> None:
    described = place.client().get("/openapi.json").json
    route = described["paths"]["/chat"]["post"]
    assert set(route["responses"]) == {"200", "400", "404", "408", "413", "422", "503"}
    assert all(
        list(told["content"]) == ["application/json"] for code, told in route["responses"].items() if code != "200"
    )
    kinds = route["responses"]["200"]["content"]["text/event-stream"]["itemSchema"]["oneOf"]
    schemas = {kind["properties"]["event"]["const"]: kind["properties"]["data"]["contentSchema"] for kind in kinds}
    for event in place.ask():
        assert set(event.data) == set(schemas[event.name]["properties"]), event.name
    for example in described["components"]["schemas"]["ChatRequest"]["examples"]:
        assert place.ask(**(example | {"shop": SHOP}))[-1].name == "done"


# ---- Within this process


@contextmanager
def chatting(
    settings: Settings, model: LlmServer, folder: Path, prompts: Path = PROMPTS_DIR, **llm: Any
) -> Iterator[Chatting]:
    """What answers, without the API around it."""
    shops, threads = Shops(settings), Scoring("searching")
    searchers = Searchers(settings, [SHOP])
    searchers.poll()
    models = models_yaml(folder, model.url, **llm)
    try:
        warehouse = Warehouse(settings)
        made = Llm(settings, models, prompts, warehouse)
        yield Chatting(Searching(shops, searchers, threads), made, warehouse, folder / "answers.jsonl")
    finally:
        searchers.stop()
        threads.close()


async def told(chatting: Chatting, question: str = QUESTION) -> list[tuple[str | None, Any]]:
    """The events of an answer, whose client stays to the end."""
    job = await chatting.begin(ChatRequest(shop=SHOP, question=question))
    events = [(event.event, event.data) async for event in chatting.events(job)]
    job.asker.leave()
    return events


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


def test_an_answer_that_takes_too_long_is_given_up(
    settings: Settings, shelf: Shelf, model: LlmServer, key: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.answer = lambda body: Reply(GOOD, wait=3)
    with chatting(settings, model, tmp_path) as made:
        ready(["openai/stand-in"])  # the import of litellm is not what takes too long here
        monkeypatch.setattr(chat, "LONGEST_SECONDS", 1.0)
        *_, (name, data) = asyncio.run(told(made))
        assert (name, data.detail, data.retry_after) == ("error", "the answer took more than 1 s.", 5)
        wait_until(lambda: (tmp_path / "answers.jsonl").exists())
    assert json.loads((tmp_path / "answers.jsonl").read_text(encoding="utf-8"))["outcome"] == "left"


def test_without_settings_that_were_ever_good_nothing_is_answered_and_it_is_said_why(
    settings: Settings, shelf: Shelf, model: LlmServer, tmp_path: Path
) -> None:
    with chatting(settings, model, tmp_path, tmp_path / "prompts") as made:
        made.look()
        assert f"{tmp_path / 'prompts' / 'answer.md'}: no such file" in str(made.problem)
        *_, (name, data) = asyncio.run(told(made))
    assert name == "error" and data.detail == "the settings of answers cannot be used now; /health says why."
