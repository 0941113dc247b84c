"""`POST /chat`: a question about the products of a shop, answered from what is found of them, as server-sent events."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from resources.llm.engine import Asker, LeftError, ready
from serving.api.errors import RESPONSES, Sent, not_now
from serving.api.metrics import CHATS, CHATS_AT_WORK, FIRST_WORDS, IS_SETTING_REFUSED
from serving.api.search import Searching
from serving.api.shops import ShopName

if TYPE_CHECKING:
    from assets.search.answer import Event, Turn
    from resources.llm.client import Llm
    from resources.shops import Shop
    from resources.warehouse import Warehouse

_log = logging.getLogger("cartograph.api")
ADMITTED = 16
"""So many answers are at work in one process: most of its time each waits for an LLM, in a thread of its own."""
LONGEST_SECONDS = 150.0
"""An answer that has not ended after so long is given up, whatever its LLM's own deadlines are."""
_LONGEST_QUESTION, _LONGEST_ANSWER, _MOST_TURNS = 2_000, 20_000, 20


def _readable(text: str) -> str:
    """A text without control characters and halves of characters."""
    kept = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    if not kept:
        raise ValueError("it is empty; write a question or an answer in words")
    return kept


class SentTurn(Sent):
    """A question of the talk so far, and what was answered."""

    question: Annotated[str, Field(max_length=_LONGEST_QUESTION), AfterValidator(_readable)]
    answer: Annotated[str, Field(max_length=_LONGEST_ANSWER), AfterValidator(_readable)]


class ChatRequest(Sent):
    """A question, and the talk that it goes on from: what it calls "it" or "the cheaper one" is looked for there."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"shop": "online_retail", "question": "Do you have a lantern for the garden?"},
                {
                    "shop": "anime",
                    "question": "And one for children?",
                    "history": [
                        {"question": "What is there about robots?", "answer": "Iron Harbour [17] is about robots."}
                    ],
                },
            ]
        },
    )

    shop: ShopName | None = Field(None, description="Needed where there are several shops and no default.")
    question: Annotated[str, Field(max_length=_LONGEST_QUESTION), AfterValidator(_readable)] = Field(
        description="In the language of the shop."
    )
    history: Annotated[list[SentTurn], Field(max_length=_MOST_TURNS)] = Field(
        [], description="The talk so far, the last turn last. The server keeps none."
    )


class Told(BaseModel):
    """What the events hold: read off the attributes of what the answering thread tells."""

    model_config = ConfigDict(from_attributes=True)


class FoundProduct(Told):
    """A product that the answer may speak of, with its price at this moment."""

    product_id: str
    title: str
    score: float
    price: float | None
    currency: str | None


class SourcesEvent(Told):
    """`sources`: what was found, once, before the first words; the highest score first."""

    products: list[FoundProduct]


class TokenEvent(Told):
    """`token`: the next words, whole sentences that were held against the sources."""

    text: str


class ReplacedEvent(Told):
    """`replaced`: what was said so far is void, and the answer begins anew."""

    reason: str


class DoneEvent(Told):
    """`done`: the whole answer, at the end."""

    text: str
    refused: bool
    reason: str | None
    cited: list[str]
    model: str | None
    prompt_version: str | None
    query: str
    seconds: dict[str, float]


class ErrorEvent(Told):
    """`error`: there is no answer, or not to its end."""

    detail: str
    retry_after: int
    """Seconds."""


_EVENTS: dict[str, type[Told]] = {
    "sources": SourcesEvent,
    "token": TokenEvent,
    "replaced": ReplacedEvent,
    "done": DoneEvent,
    "error": ErrorEvent,
}


class Job:
    """One answer at work. Its thread tells events; the loop waits for them, until the end or until nobody listens."""

    def __init__(self, shop: Shop, question: str, history: list[Turn]) -> None:
        self.shop, self.question, self.history = shop, question, history
        self.began = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | ErrorEvent] = asyncio.Queue()
        self.asker = Asker()

    def tell(self, event: Event | ErrorEvent) -> None:
        """Called in the thread."""
        with suppress(RuntimeError):  # the loop was closed: the process ends
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def next(self) -> Event | ErrorEvent:
        """Called in the loop.

        Raises:
            TimeoutError: the answer takes too long.
        """
        async with asyncio.timeout(self.began + LONGEST_SECONDS - time.monotonic()):
            return await self._events.get()


class Chatting:
    """How questions are answered: each in a thread, so many at once."""

    def __init__(self, searching: Searching, llm: Llm, warehouse: Warehouse, log_file: Path) -> None:
        """
        Args:
            log_file: where one line of JSON is written for each question.
        """
        self.searching, self.llm, self.warehouse, self.log_file = searching, llm, warehouse, log_file
        self.entries: dict[str, list[str]] = {}
        """By shop, the entries that a question is put to, in turn."""
        self.problem: str | None = None
        """Why the settings or prompts, as they are now, are not used."""
        self._room = threading.BoundedSemaphore(ADMITTED)
        self._imported: frozenset[str] = frozenset()
        """The models whose libraries were imported."""

    def look(self) -> None:
        """Look at settings and prompts, so that what is wrong with them is known before somebody asks.

        Once there is something to search, what the models need is imported too, which takes seconds.
        """
        from assets.search.answering import AnswersConfig
        from resources.llm.prompts import PromptError
        from resources.models import ModelsError

        watched, searchers = self.llm.watched, self.searching.searchers
        entries: dict[str, list[str]] = {}
        models: set[str] = set()
        problems: list[str] = []
        for shop in searchers.shops:
            try:
                config = self.llm.config(shop)
                watched.config("answers", AnswersConfig, shop)
                for name in ("answer", "rewrite"):
                    watched.prompt(name)
            except (ModelsError, PromptError) as error:
                problems.append(str(error))
            else:
                entries[shop] = config.use
                models |= {config.entries[name].model for name in config.use}
        if watched.problem is not None:
            problems.append(watched.problem)
        self.entries, self.problem = entries, "\n".join(dict.fromkeys(problems)) or None
        IS_SETTING_REFUSED.set(self.problem is not None)
        if searchers.loaded and not models <= self._imported:
            self._imported |= models
            threading.Thread(target=ready, args=[models], name="imports", daemon=True).start()

    async def begin(self, question: ChatRequest) -> Job:
        """Begin to answer; HTTPException or RequestValidationError where that cannot be."""
        from assets.search.answer import Turn

        shop = self.searching.shop_of(question.shop)
        if not self._room.acquire(blocking=False):
            raise not_now("too many questions are being answered; ask again.", 5)
        CHATS_AT_WORK.inc()
        history = [Turn(turn.question, turn.answer) for turn in question.history]
        job = Job(self.searching.shops.configured[shop], question.question, history)
        # A daemon: an LLM that hangs must not keep the process from ending.
        threading.Thread(target=self._work, args=[job], name="chat", daemon=True).start()
        return job

    async def events(self, job: Job) -> AsyncIterator[ServerSentEvent]:
        """What is told of an answer, to its end."""
        from assets.search.answer import Done, Said

        shop, has_spoken = job.shop.name, False
        for number in itertools.count(1):
            try:
                told = await job.next()
            except TimeoutError:
                told = ErrorEvent(detail=f"the answer took more than {LONGEST_SECONDS:.0f} s.", retry_after=5)
            seconds = time.monotonic() - job.began
            if isinstance(told, Said) and not has_spoken:
                FIRST_WORDS.labels(shop).observe(seconds)
                has_spoken = True
            if isinstance(told, ErrorEvent):
                CHATS.labels(shop, "failed").observe(seconds)
            elif isinstance(told, Done):
                CHATS.labels(shop, "refused" if told.answer.refused else "answered").observe(seconds)
            name, data = _shown(told)
            yield ServerSentEvent(data=data, event=name, id=str(number))
            if name in ("done", "error"):
                return

    def _work(self, job: Job) -> None:
        """Answer a question, in its thread."""
        from resources.llm.prompts import PromptError
        from resources.models import ModelsError
        from resources.vectors.collection import CollectionError

        try:
            self._answer(job)
        except LeftError:
            _log.debug("%s: a client has left", job.shop.name)
        except CollectionError as error:
            job.tell(ErrorEvent(detail=str(error), retry_after=5))
        except (ModelsError, PromptError) as error:
            _log.error(str(error))
            said = "the settings of answers cannot be used now; /health says why."
            job.tell(ErrorEvent(detail=said, retry_after=15))
        except Exception as error:
            _log.exception(f"{job.shop.name}: a question could not be answered")
            said = f"the question could not be answered: {type(error).__name__}."
            job.tell(ErrorEvent(detail=said, retry_after=15))
        finally:
            self._room.release()
            CHATS_AT_WORK.dec()

    def _answer(self, job: Job) -> None:
        from assets.search.answer import Answerer
        from assets.search.answering import AnswersConfig

        shop = job.shop
        # Read anew for each question, so that what was changed is served with the next one.
        config = self.llm.watched.config("answers", AnswersConfig, shop.name)
        with self.searching.searchers.borrowed(shop.name) as served:
            answerer = Answerer(self.llm, served.searcher, shop, self.warehouse, config, self.log_file)
            for event in answerer.answer(job.question, job.history, job.asker):
                job.tell(event)


def _shown(told: Event | ErrorEvent) -> tuple[str, Told]:
    """The name and the data of an event."""
    from assets.search.answer import Done, Replaced, Said, Sources

    match told:
        case Sources():
            name = "sources"
        case Said():
            name = "token"
        case Replaced():
            name = "replaced"
        case Done(answer):
            return "done", DoneEvent.model_validate(answer)
        case ErrorEvent():
            return "error", told
    return name, _EVENTS[name].model_validate(told)


def _described() -> dict[int | str, dict[str, Any]]:
    """What the route answers with: a stream of events, or a refusal like those of the other routes."""
    events = [
        {
            "type": "object",
            "required": ["event", "data", "id"],
            "properties": {
                "event": {"const": name},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": kind.model_json_schema(mode="serialization"),
                },
                "id": {"type": "string", "description": "1, 2, 3, ..."},
            },
        }
        for name, kind in _EVENTS.items()
    ]
    described: dict[int | str, dict[str, Any]] = {
        200: {"description": "The events.", "content": {"text/event-stream": {"itemSchema": {"oneOf": events}}}}
    }
    for status, told in RESPONSES.items():
        # Spelled out: FastAPI would have refusals be of the stream's media type too.
        schema = {"$ref": f"#/components/schemas/{told['model'].__name__}"}
        described[status] = {
            "description": "There is no such shop, or no search in it." if status == 404 else told["description"],
            "content": {"application/json": {"schema": schema}},
        }
    return described


def router(chatting: Chatting) -> APIRouter:
    routes = APIRouter(tags=["search"])

    # What is refused is refused before the first byte of the stream.
    async def begun(question: ChatRequest) -> AsyncIterator[Job]:
        job = await chatting.begin(question)
        try:
            yield job
        finally:
            job.asker.leave()

    admitted = Depends(begun)

    @routes.post("/chat", response_class=EventSourceResponse, responses=_described())
    async def chat(job: Job = admitted) -> AsyncIterator[ServerSentEvent]:
        """Ask about the products of a shop; the answer is streamed, and cites each product that it speaks of by its id.

        The events, each with JSON as its data:

        * `sources`: the products that were found, once, before the first words; the highest `score` first.
        * `token`: the next words. Each sentence is held against the sources before it is sent.
        * `replaced`: what was said so far is void, and the answer begins anew.
        * `done`: the whole answer, whether it is a refusal, the ids that it cites, the model, seconds by stage.
        * `error`: there is no answer, or not to its end; `retry_after` says when to ask again.

        The last one is `done` or `error`. A client that leaves ends the work.
        """
        async for event in chatting.events(job):
            yield event

    return routes
