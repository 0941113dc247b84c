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

from resources.llm.engine import FAILED, Asker, LeftError
from serving.api.errors import RESPONSES, Sent, not_now
from serving.api.metrics import CHATS, CHATS_AT_WORK, FIRST_WORDS, IS_SETTING_REFUSED, LLM_CALLS
from serving.api.search import Searching
from serving.api.shops import ShopName

if TYPE_CHECKING:
    from assets.search.answer import Event, Turn
    from resources.llm.client import Llm
    from resources.llm.config import Entry
    from resources.shops import Shop
    from resources.warehouse import Warehouse

_log = logging.getLogger("cartograph.api")
ADMITTED = 16
"""So many answers are at work in one process: most of its time each waits for an LLM, in a thread of its own."""
LONGEST_SECONDS = 150.0
"""An answer that has not ended after so long is given up, whatever its LLM's own deadlines are."""
_LONGEST_QUESTION, _LONGEST_ANSWER, _MOST_TURNS = 2_000, 20_000, 20


def _readable(text: str) -> str:
    """A text without characters that nobody sees: controls, signs of no width, halves of characters."""
    from assets.search.untrusted import visible

    kept = visible(text)
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
    entry: str | None
    """Of config/models.yaml, that wrote it; null where it was none of them."""
    failed: list[str]
    """The entries that were to answer before it, or to make the query, and did not; /health says why."""
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
        self._counted = 0

    def tell(self, event: Event | ErrorEvent) -> None:
        """Called in the thread."""
        with suppress(RuntimeError):  # the loop was closed: the process ends
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    def count(self) -> None:
        """Count what came of the entries that were asked since the last count. Called in the thread."""
        for tried in self.asker.tried[self._counted :]:
            LLM_CALLS.labels(tried.entry, tried.outcome).inc()
        self._counted = len(self.asker.tried)

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
        self.entries: dict[str, dict[str, Entry]] = {}
        """By shop, the entries that a question is put to, in turn."""
        self.keyless: dict[Entry, str] = {}
        """Those of them that have no key, and how to give them one."""
        self.problem: str | None = None
        """Why the settings or prompts, as they are now, are not used."""
        self._room = threading.BoundedSemaphore(ADMITTED)
        self._prepared: frozenset[Entry] = frozenset()

    def look(self) -> None:
        """Look at settings and prompts, so that what is wrong with them is known before somebody asks.

        Once there is something to search, what the models need is imported too, which takes seconds; a model without a
        known price is told of.
        """
        from assets.search.answering import AnswersConfig
        from resources.llm.client import prepare
        from resources.llm.config import api_key, missing_key
        from resources.llm.prompts import PromptError
        from resources.models import ModelsError

        watched, searchers = self.llm.watched, self.searching.searchers
        entries: dict[str, dict[str, Entry]] = {}
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
                entries[shop] = {name: config.entries[name] for name in config.use}
        if watched.problem is not None:
            problems.append(watched.problem)
        used = frozenset(entry for named in entries.values() for entry in named.values())
        self.keyless = {
            entry: missing_key(entry.api_key_variable)
            for entry in used
            if entry.api_key_variable is not None and api_key(entry) is None
        }
        self.entries, self.problem = entries, "\n".join(dict.fromkeys(problems)) or None
        IS_SETTING_REFUSED.set(self.problem is not None)
        if searchers.loaded and not used <= self._prepared:
            self._prepared |= used
            threading.Thread(target=prepare, args=[used], name="imports", daemon=True).start()

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
            name, data = _shown(told, job.asker)
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
            job.count()
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
                # Before the client hears the end, and may look.
                job.count()
                job.tell(event)


def _shown(told: Event | ErrorEvent, asker: Asker) -> tuple[str, Told]:
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
            wrote = [one.entry for one in asker.tried if one.purpose == "answer" and one.outcome not in FAILED]
            failed = dict.fromkeys(one.entry for one in asker.tried if one.outcome in FAILED)
            who = {"entry": wrote[-1] if wrote else None, "failed": list(failed)}
            return "done", DoneEvent.model_validate({**vars(answer), **who})
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
        * `done`: the whole answer, whether it is a refusal, the ids that it cites, the model, the entry of
          config/models.yaml that wrote it and those that failed before, seconds by stage.
        * `error`: there is no answer, or not to its end; `retry_after` says when to ask again.

        The last one is `done` or `error`. A client that leaves ends the work.
        """
        async for event in chatting.events(job):
            yield event

    return routes
