"""Recommendations that were computed beforehand: the generations of the shops, and a cache of rendered answers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from assets.recommender.predictions import Recommended
from serving.api.metrics import CACHE
from serving.api.warehouse import AwayError, Connections

if TYPE_CHECKING:
    import psycopg

_CACHED = 20_000
"""So many rendered answers of some kilobytes each are kept."""
_GENERATIONS = """
select shop, model, model_version, as_of, actors, fallback_product_ids, fallback_scores, made_at
from predictions.generations
"""
_LOOKUP = """
select generation.made_at, found.product_ids, found.scores
from unnest(%s::text[], %s::text[]) with ordinality as asked (shop, actor_id, place)
left join predictions.generations as generation on generation.shop = asked.shop
left join predictions.recommendations as found on found.shop = asked.shop and found.actor_id = asked.actor_id
order by asked.place
"""
"""One statement, so that generations and rows are of one instant."""
_TOGETHER = 200
"""So many actors at most are looked up with one statement."""
_WAITING = 5_000
"""So many lookups may wait; beyond, the warehouse is too slow for them."""
_STATEMENTS = 2
"""So many statements at once."""


@dataclass(frozen=True)
class Generation:
    """What a shop was given last for all its actors at once."""

    shop: str
    model: str
    model_version: int
    as_of: date
    actors: int
    fallback_product_ids: list[str]
    fallback_scores: list[float]
    made_at: datetime

    @property
    def popular(self) -> Recommended:
        return Recommended(
            self.fallback_product_ids, self.fallback_scores, self.model_version, self.as_of, self.made_at, True
        )


@dataclass(frozen=True)
class Rendered:
    """An answer as it goes over the wire, and the instant of the generation that it is of."""

    made_at: datetime
    source: Literal["precomputed", "session", "popular"]
    body: bytes


class Precomputed:
    """Lookups of one process. What it knows of the generations is renewed by `refresh`, every few seconds."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.generations: dict[str, Generation] = {}
        self._asked: list[tuple[str, str | None, asyncio.Future[Recommended | None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0
        self._cache: OrderedDict[tuple[str, str | None, int], Rendered] = OrderedDict()

    async def refresh(self, connection: psycopg.AsyncConnection) -> None:
        """Read the generations; answers of older ones are served no longer."""
        self.generations = await _generations(connection)

    def cached(self, shop: str, actor: str | None, top: int) -> Rendered | None:
        """The rendered answer to a question that was asked before, of the shop's newest generation."""
        key = (shop, actor, top)
        found = self._cache.get(key)
        generation = self.generations.get(shop)
        if found is None or generation is None or found.made_at != generation.made_at:
            CACHE.labels("miss").inc()
            return None
        self._cache.move_to_end(key)
        CACHE.labels("hit").inc()
        return found

    def keep(self, shop: str, actor: str | None, top: int, rendered: Rendered) -> None:
        """Put an answer into the cache, in place of the one that was not asked for the longest."""
        self._cache[shop, actor, top] = rendered
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)

    async def lookup(self, shop: str, actor: str | None) -> Recommended | None:
        """What an actor is recommended, the shop's popular products where nothing is known of it.

        Returns None where nothing was published for the shop.

        Raises:
            AwayError: the warehouse does not answer.
        """
        generation = self.generations.get(shop)
        if actor is None and generation is not None:
            return generation.popular
        if self.connections.problem is not None:  # the watch asks on, and clears it
            raise AwayError(self.connections.problem)
        if len(self._asked) >= _WAITING:
            raise AwayError(f"{_WAITING:,} lookups wait for it")
        answer: asyncio.Future[Recommended | None] = asyncio.get_running_loop().create_future()
        self._asked.append((shop, actor, answer))
        if self._running < _STATEMENTS:
            self._running += 1
            task = asyncio.create_task(self._look_up())
            self._tasks.add(task)  # the loop itself keeps no hold of it
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _look_up(self) -> None:
        """Look up all who wait: what one statement costs, it costs many requests together."""
        while self._asked:
            # Requests that the loop has already read come along.
            await asyncio.sleep(0)
            batch, self._asked = self._asked[:_TOGETHER], self._asked[_TOGETHER:]
            if not batch:
                break
            try:
                found = await self._read([(shop, actor) for shop, actor, _ in batch])
            except Exception as error:
                if isinstance(error, AwayError):
                    self.connections.note(str(error))
                    # Those behind would wait as long to hear the same.
                    batch, self._asked = batch + self._asked, []
                for _, _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
            else:
                for (_, _, answer), recommended in zip(batch, found, strict=True):
                    if not answer.done():
                        answer.set_result(recommended)
        # No pause since the queue was seen empty: who comes now starts another.
        self._running -= 1

    async def _read(self, asked: Sequence[tuple[str, str | None]]) -> list[Recommended | None]:
        values = [[shop for shop, _ in asked], [actor for _, actor in asked]]
        known = self.generations
        async with self.connections.reading() as connection:
            rows = await (await connection.execute(_LOOKUP, values)).fetchall()
            if any(row[0] != _made_at(known.get(shop)) for (shop, _), row in zip(asked, rows, strict=True)):
                # Published since the last look: both are read again, as of one instant.
                async with connection.transaction():
                    await connection.execute("set transaction isolation level repeatable read")
                    known = await _generations(connection)
                    rows = await (await connection.execute(_LOOKUP, values)).fetchall()
                self.generations = known
        answers: list[Recommended | None] = []
        for (shop, _), (made_at, product_ids, scores) in zip(asked, rows, strict=True):
            generation = known.get(shop)
            if generation is None:
                answers.append(None)
            elif product_ids is None:
                answers.append(generation.popular)
            else:
                version, as_of = generation.model_version, generation.as_of
                answers.append(Recommended(product_ids, scores, version, as_of, made_at, False))
        return answers

    async def lookup_or_popular(self, shop: str, actor: str | None) -> tuple[Recommended | None, bool]:
        """As `lookup`, but with what is in memory while the warehouse is away.

        Returns the recommendations, and whether they are what the warehouse holds, so that they may be kept.

        Raises:
            AwayError: the warehouse does not answer, and nothing is in memory.
        """
        try:
            return await self.lookup(shop, actor), True
        except AwayError:
            generation = self.generations.get(shop)
            if generation is None:
                raise
            return generation.popular, False


async def _generations(connection: psycopg.AsyncConnection) -> dict[str, Generation]:
    rows = await (await connection.execute(_GENERATIONS)).fetchall()
    return {row[0]: Generation(*row) for row in rows}


def _made_at(generation: Generation | None) -> datetime | None:
    return None if generation is None else generation.made_at
