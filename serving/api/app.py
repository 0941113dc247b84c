"""The API as an ASGI application: `create_app`, and what runs from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

from resources.llm.client import Llm
from resources.llm.prompts import PROMPTS_DIR
from resources.models import MODELS_FILE
from resources.settings import Settings, get_settings
from serving.api import chat, events, health, metrics, pages, recommendations, search, summaries
from serving.api.champions import Champions
from serving.api.errors import refuse_values
from serving.api.event_writer import EventWriter
from serving.api.middleware import Guard
from serving.api.precomputed import Precomputed
from serving.api.scoring import Scoring
from serving.api.searchers import Searchers
from serving.api.shops import Shops
from serving.api.warehouse import AwayError, Connections

_log = logging.getLogger("cartograph.api")
_DESCRIPTION = """
Recommendations for a shop's visitors, search in its products, answers about them, what happened in the shop on a day;
and what visitors do, taken in.

* `POST /recommendations` answers from what was computed beforehand, or from the session that you send.
* `POST /search` finds products by a text and conditions.
* `POST /chat` answers a question about products, streamed, from those that are found; what they do not say is refused.
* `GET /summaries/{shop}/{date}` tells a day of a shop, and the facts that the text stands on.
* `POST /events` acknowledges when the events are on disk. Send again what was not answered: each counts once.
* `GET /health` tells the versions of models and collections that are served and how old everything is.

A 503 means *not now*: try again after the seconds in its `Retry-After`.
"""


def create_app(settings: Settings, models_file: Path = MODELS_FILE, prompts_dir: Path = PROMPTS_DIR) -> FastAPI:
    """The application of one process. Nothing is opened before it is started.

    Args:
        models_file: where the settings of language models and answers are; read again when it changes.
        prompts_dir: where their prompts are, likewise.

    Raises:
        ShopsError: the file of shops cannot be used.
        SettingsError: the default shop is none of them.
    """
    shops = Shops(settings)
    connections = Connections(settings)
    champions = Champions(settings, shops.names)
    searchers = Searchers(settings, [shop for shop in shops.names if shop in shops.searchable])
    precomputed = Precomputed(connections)
    clocks = health.Clocks()
    writer = EventWriter(connections)
    scoring, searching_threads = Scoring(), Scoring("searching", search.ADMITTED)
    reading = Scoring("summaries", summaries.ADMITTED)
    searching = search.Searching(shops, searchers, searching_threads)
    llm = Llm(settings, models_file, prompts_dir, connections.warehouse)
    chatting = chat.Chatting(searching, llm, connections.warehouse, settings.home / "logs" / "answers.jsonl")
    checking = health.Checking(shops, connections, champions, searchers, precomputed, clocks, writer, chatting)

    async def watch() -> None:
        """Open the warehouse, then read every few seconds what it says of predictions and clocks."""
        is_first = True
        while True:
            try:
                await connections.open()
                async with connections.reading() as connection:
                    await precomputed.refresh(connection)
                    await clocks.refresh(connection)
                connections.note(None)
            except AwayError as error:
                connections.note(str(error))
            except Exception as error:  # a fault of ours must be seen, and must not end the watch
                _log.exception("the warehouse could not be read")
                connections.note(f"{type(error).__name__}: {error}")
            if is_first:
                # Not before: the imports of the clients of registry and collections would hold up the first answers.
                champions.start()
                searchers.start()
                is_first = False
            try:
                await asyncio.to_thread(chatting.look)
            except Exception:  # as above
                _log.exception("the settings of answers could not be looked at")
            # Its own thread cannot say that it hangs.
            metrics.IS_REACHABLE.labels("registry").set(champions.problem_now() is None)
            await asyncio.sleep(settings.api_poll_seconds * random.uniform(0.75, 1.25))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        writer.start()
        watching = asyncio.create_task(watch(), name="watch")
        try:
            yield
        finally:
            # The server has answered all requests by now.
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await writer.close()
            await asyncio.to_thread(champions.stop)
            scoring.close()
            searching_threads.close()
            reading.close()
            await asyncio.to_thread(searchers.stop)
            await connections.close()
            metrics.forget_process()

    app = FastAPI(
        title="Cartograph",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        exception_handlers={RequestValidationError: refuse_values},
    )
    app.add_middleware(Guard, body_seconds=settings.api_body_seconds)
    app.include_router(recommendations.router(recommendations.Recommending(shops, champions, precomputed, scoring)))
    app.include_router(search.router(searching))
    app.include_router(chat.router(chatting))
    app.include_router(summaries.router(summaries.Summaries(shops, connections, reading)))
    app.include_router(events.router(shops, writer))
    app.include_router(health.router(checking))
    app.include_router(metrics.router())
    app.include_router(pages.router(app.title))
    return app


def served() -> FastAPI:
    """The application by the settings of this process, for a server that starts its workers by name."""
    return create_app(get_settings())
