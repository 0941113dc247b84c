"""Group commit: the events of many requests are stored in one transaction, and acknowledged after its commit."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from resources.events import EVENTS_LOCK
from serving.api.metrics import COMMITS, EVENTS_WAITING, FAILED_COMMITS
from serving.api.warehouse import AwayError, Connections, is_away

if TYPE_CHECKING:
    import psycopg

_log = logging.getLogger("cartograph.api")
_WAITING = 20_000
"""So many events may wait; beyond, requests are refused."""
_TOGETHER = 5_000
"""So many events at most go into one transaction, or one request's where it has more."""
_SECONDS = 10.0
"""A transaction that takes longer is given up: the warehouse hangs."""
_STORED = """
select event.shop, event.event_id, event.event_type, event.customer_id, event.visitor_id, event.session_id,
    event.product_id, event.occurred_at
from unnest(%s::text[], %s::text[]) as asked (shop, event_id)
join serving.events as event on event.shop = asked.shop and event.event_id = asked.event_id
"""
_INSERT = """
insert into serving.events
    (shop, event_id, event_type, customer_id, visitor_id, session_id, product_id, occurred_at)
select * from unnest(
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[]
)
"""


class EventRow(NamedTuple):
    """One event, with the columns of `serving.events` that a client gives."""

    shop: str
    event_id: str
    event_type: str
    customer_id: str | None
    visitor_id: str | None
    session_id: str | None
    product_id: str
    occurred_at: datetime


class ConflictError(Exception):
    """An event id is there already with other content; nothing of the request was stored."""

    def __init__(self, event_id: str) -> None:
        super().__init__(event_id)
        self.event_id = event_id


class FullError(Exception):
    """Too many events wait already; nothing of the request was stored."""


class RefusedError(Exception):
    """The warehouse answers, but does not store: its disk is full, say. The message is its own, in short."""


@dataclass(frozen=True)
class Stored:
    """What became of a request: its events are on disk, whether by this request or by an earlier one."""

    accepted: int
    duplicates: int


@dataclass(frozen=True)
class _Waiting:
    events: Sequence[EventRow]
    outcome: asyncio.Future[Stored]


class EventWriter:
    """The one task of a process that writes events. While a transaction is under way, the next one's events gather."""

    def __init__(self, connections: Connections) -> None:
        self.problem: str | None = None
        """Why the warehouse, though it answers, did not store the last events; None since some were stored."""
        self._connections = connections
        self._queue: deque[_Waiting] = deque()
        self._events = 0
        self._arrived = asyncio.Event()
        self._connection: psycopg.AsyncConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="event writer")

    async def close(self) -> None:
        """Store what waits, then end."""
        self._is_closing = True
        self._arrived.set()
        if self._task is not None:
            await self._task
        await self._hang_up()

    async def store(self, events: Sequence[EventRow]) -> Stored:
        """Store the events of a request, all or none, and return when they are on disk.

        Raises:
            ConflictError: one has the id of a stored event, or of another in the request, with other content.
            FullError: too many wait.
            AwayError: the warehouse does not answer. It is not known whether the events were stored.
            RefusedError: the warehouse answers, but does not store.
        """
        if self._events + len(events) > _WAITING or self._is_closing:
            raise FullError
        waiting = _Waiting(events, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._count(len(events))
        self._arrived.set()
        return await waiting.outcome

    async def _run(self) -> None:
        while not self._is_closing or self._queue:
            await self._arrived.wait()
            # Requests that the loop has already read come before the transaction begins.
            await asyncio.sleep(0)
            batch = self._take()
            if not batch:
                self._arrived.clear()
                if self._is_closing:
                    return
                continue
            began = time.perf_counter()
            try:
                async with asyncio.timeout(_SECONDS):
                    outcomes = await self._commit(batch)
            except Exception as error:  # whatever it was, nobody is told that the events are stored
                await self._hang_up()
                reason = self._failed(error)
                for waiting in batch:
                    _tell(waiting, reason)
                await self._mend(error)
            else:
                self.problem = None
                COMMITS.observe(time.perf_counter() - began)
                for waiting, outcome in zip(batch, outcomes, strict=True):
                    _tell(waiting, outcome)

    def _failed(self, error: Exception) -> AwayError | RefusedError:
        """Log and count a failed transaction; gives what its requests are told."""
        if not isinstance(error, AwayError):
            _log.error("events could not be stored", exc_info=error)
        if is_away(error):
            FAILED_COMMITS.labels("away").inc()
            return AwayError(str(error).strip() or f"no answer in {_SECONDS:.0f} s")
        FAILED_COMMITS.labels("refused").inc()
        lines = str(error).strip().splitlines()
        self.problem = f"{type(error).__name__}: {lines[0][:200] if lines else 'no message'}"
        return RefusedError(self.problem)

    async def _mend(self, error: Exception) -> None:
        """Make the table again where it was dropped, so that the next events find it."""
        from psycopg.errors import InvalidSchemaName, UndefinedTable

        if isinstance(error, UndefinedTable | InvalidSchemaName):
            try:
                await self._connections.prepare()
            except Exception:  # the writer must not end; the next events come here again
                _log.exception("the table of events could not be made")

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        count = 0
        while self._queue and (not batch or count + len(self._queue[0].events) <= _TOGETHER):
            waiting = self._queue.popleft()
            batch.append(waiting)
            count += len(waiting.events)
        self._count(-count)
        return batch

    def _count(self, more: int) -> None:
        self._events += more
        EVENTS_WAITING.set(self._events)

    async def _commit(self, batch: Sequence[_Waiting]) -> list[Stored | ConflictError]:
        if self._connection is None or self._connection.closed:
            self._connection = await self._connections.writing()
        connection = self._connection
        async with connection.transaction():
            # To the commit: no other process stores the ids that are looked up here, and numbers show in their order.
            await connection.execute("select pg_advisory_xact_lock(%s)", [EVENTS_LOCK])
            asked = [(event.shop, event.event_id) for waiting in batch for event in waiting.events]
            found = await connection.execute(_STORED, [[shop for shop, _ in asked], [name for _, name in asked]])
            known = {(row[0], row[1]): EventRow(*row) for row in await found.fetchall()}
            outcomes, new = decide([waiting.events for waiting in batch], known)
            if new:
                await connection.execute(_INSERT, [list(column) for column in zip(*new, strict=True)])
        return outcomes

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it is broken; what matters was said already
                await connection.close()


def decide(
    requests: Sequence[Sequence[EventRow]], known: dict[tuple[str, str], EventRow]
) -> tuple[list[Stored | ConflictError], list[EventRow]]:
    """What becomes of requests that come one after the other, and the rows to insert for them.

    Args:
        known: the stored events of these ids, by shop and id.
    """
    known = dict(known)
    outcomes: list[Stored | ConflictError] = []
    new: list[EventRow] = []
    for events in requests:
        mine: dict[tuple[str, str], EventRow] = {}
        for event in events:
            key = (event.shop, event.event_id)
            before = known.get(key) or mine.setdefault(key, event)
            if before != event:
                outcomes.append(ConflictError(event.event_id))
                break
        else:
            fresh = [event for key, event in mine.items() if key not in known]
            known.update(mine)
            new += fresh
            outcomes.append(Stored(len(fresh), len(events) - len(fresh)))
    return outcomes, new


def _tell(waiting: _Waiting, outcome: Stored | Exception) -> None:
    if waiting.outcome.done():  # its request was cancelled
        return
    if isinstance(outcome, Exception):
        waiting.outcome.set_exception(outcome)
    else:
        waiting.outcome.set_result(outcome)
