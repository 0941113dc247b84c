"""The API's connections to the warehouse: made in the background, and made again after an outage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from resources.embedded_postgres import EmbeddedPostgresError
from resources.settings import Settings
from resources.warehouse import Warehouse, WarehouseError
from serving.api.metrics import IS_REACHABLE

if TYPE_CHECKING:
    import psycopg
    import psycopg_pool

_log = logging.getLogger("cartograph.api")
_CONNECTIONS = 8
_WAITING = 256
"""So many requests may wait for a connection."""
_CONNECT_SECONDS = 5
_STATEMENT_MS = 3_000
"""The server gives up a statement after so long."""
_READ_SECONDS, _CANCEL_SECONDS = 4, 1
"""A server that hangs gives up nothing: we do after so long, and wait so long for it to hear that."""
_PREPARE_SECONDS = 10

_WRITER = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "synchronous_commit": "on",
        # The server ends a writer that vanished amid its transaction, for it holds the lock on events: by default only
        # after hours, where the network fell silent.
        "idle_in_transaction_session_timeout": 10_000,
        "tcp_keepalives_idle": 10,
        "tcp_keepalives_interval": 5,
        "tcp_keepalives_count": 3,
    }.items()
)


class AwayError(RuntimeError):
    """The warehouse does not answer now; the message says why."""


class Connections:
    """A pool for reading, and single connections for writing."""

    def __init__(self, settings: Settings) -> None:
        self.warehouse = Warehouse(settings)
        self.problem: str | None = "it is being opened"
        """Why the warehouse is away; None while it answers."""
        self._pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection] | None = None
        self._preparing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take the lease on the embedded server, make the tables that the API needs, and open the pool.

        Raises:
            AwayError: the warehouse does not answer; may be called again.
        """
        import psycopg_pool

        if self._pool is not None:
            return
        await self.prepare()
        self._pool = psycopg_pool.AsyncConnectionPool(
            self._url,
            kwargs={
                "application_name": "cartograph api",
                "autocommit": True,
                "connect_timeout": _CONNECT_SECONDS,
                "options": f"-c statement_timeout={_STATEMENT_MS}",
            },
            min_size=1,
            max_size=_CONNECTIONS,
            max_waiting=_WAITING,
            timeout=_CONNECT_SECONDS,
            # A later request tries anew; the pool's own pauses would double without end while the server is away.
            reconnect_timeout=_CONNECT_SECONDS,
            open=False,
        )
        await self._pool.open()

    async def prepare(self) -> None:
        """Make the tables that the API needs where they are missing.

        Raises:
            AwayError: the warehouse does not answer; may be called again.
        """
        if self._preparing is None or self._preparing.done():
            self._preparing = asyncio.create_task(asyncio.to_thread(self._prepare))
            # Nobody may be there any more to hear of a failure.
            self._preparing.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            async with asyncio.timeout(_PREPARE_SECONDS):
                # The thread of one that hangs cannot be ended: it is waited for again, and no other is begun.
                await asyncio.shield(self._preparing)
        except _away() as error:
            raise AwayError(_said(error)) from error

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """A connection of the pool, in autocommit mode.

        Raises:
            AwayError: the warehouse does not answer, or answers too late.
        """
        if self._pool is None:
            raise AwayError(self.problem or "it is being opened")
        try:
            # The inner one cancels the statement, which psycopg first asks the server for; the outer one ends the wait
            # for that, and the connection with it.
            async with (
                asyncio.timeout(_READ_SECONDS + _CANCEL_SECONDS),
                asyncio.timeout(_READ_SECONDS),
                self._pool.connection() as connection,
            ):
                yield connection
        except _away() as error:
            # What broke one has likely broken all of its age: else each would fail somebody, and the watch in turn.
            await self._pool.drain()
            raise AwayError(_said(error)) from error

    async def writing(self) -> psycopg.AsyncConnection:
        """A new connection whose commits are on disk when they are acknowledged, whatever the database's default is.

        Raises:
            AwayError: the warehouse does not answer.
        """
        import psycopg

        if self._pool is None:
            raise AwayError(self.problem or "it is being opened")
        try:
            return await psycopg.AsyncConnection.connect(
                await self._url(),
                autocommit=True,
                application_name="cartograph api events",
                connect_timeout=_CONNECT_SECONDS,
                options=_WRITER,
            )
        except _away() as error:
            raise AwayError(_said(error)) from error

    def note(self, problem: str | None) -> None:
        """Remember whether the warehouse answered; the log says each change once."""
        if (problem is None) != (self.problem is None):
            _log.warning("the warehouse answers" if problem is None else f"the warehouse is away: {problem}")
        self.problem = problem
        IS_REACHABLE.labels("warehouse").set(problem is None)

    async def _url(self) -> str:
        # Asking starts the embedded server where it was stopped with its keeper.
        return await asyncio.to_thread(self.warehouse.url)

    def _prepare(self) -> None:
        from assets.recommender.predictions import ensure_predictions
        from resources.events import ensure_events

        with self.warehouse.connect(application="cartograph api") as connection:
            ensure_events(connection)
            ensure_predictions(connection)


def is_away(error: Exception) -> bool:
    """Whether an error of a statement says that the warehouse is away, rather than that it answers and refuses."""
    import psycopg

    if isinstance(error, AwayError):
        return True
    # Class 53 and others are OperationalErrors too: the disk is full, and the server is there to say so.
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate.startswith(("08", "57")) or error.sqlstate == "53300"
    return isinstance(error, _away())


def _said(error: Exception) -> str:
    return str(error).strip() or "it does not answer in time"


def _away() -> tuple[type[Exception], ...]:
    """What says that the warehouse is away or too slow, rather than that a statement is wrong."""
    import psycopg
    import psycopg_pool

    return (
        *(psycopg.OperationalError, psycopg.InterfaceError, psycopg_pool.PoolTimeout, psycopg_pool.TooManyRequests),
        *(WarehouseError, EmbeddedPostgresError, OSError, TimeoutError),
    )
