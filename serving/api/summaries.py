"""`GET /summaries/{shop}/{date}`: what happened in a shop on a day, in words, and the facts that they stand on."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from resources.days import day_of
from serving.api.errors import RESPONSES, not_now
from serving.api.scoring import BusyError, Scoring
from serving.api.shops import ShopName, Shops
from serving.api.warehouse import Connections, is_away

if TYPE_CHECKING:
    from assets.summaries.facts import DayFacts
    from assets.summaries.store import Summary

ADMITTED = 64
"""So many are read or wait."""
_LONGEST_WAIT = 10.0
_STATEMENT_MS = 3_000
LATEST = "latest"


def _day(text: str) -> date | None:
    if text == LATEST:
        return None
    try:
        return day_of(text)
    except ValueError as error:
        raise ValueError(f"{error}, or latest") from error


Day = Annotated[
    date | None,
    BeforeValidator(_day),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"const": LATEST}]}),
]


class StatedFact(BaseModel):
    """One fact of the day."""

    id: str = Field(examples=["revenue_vs_week_before"])
    said: str = Field(description="What it is.", examples=["change of revenue against the same weekday a week before"])
    kind: str = Field(
        description="count, money, percent or points (fractions), rating, difference, product, country, date.",
        examples=["percent"],
    )
    value: int | float | str = Field(description="Changes are signed.", examples=[-0.043])
    shown: str = Field(description="As the text says it: changes without their sign.", examples=["4.3%"])
    currency: str | None
    product_id: str | None
    anomaly: Literal["high", "low"] | None = Field(description="Outside of what is usual for the weekday.")
    is_named: bool = Field(description="Whether the text states it.")


class DailySummary(BaseModel):
    """A day of a shop."""

    shop: str = Field(examples=["online_retail"])
    day: date
    language: str = Field(examples=["en"])
    text: str
    model: str = Field(description="What wrote the text; narrator/v1 is no language model.", examples=["narrator/v1"])
    prompt_version: str
    rules_version: str
    facts_hash: str
    is_grounded: bool = Field(
        description="False where what a language model wrote did not hold against the facts, or none answered: the "
        "text is then the narrator's."
    )
    is_current: bool = Field(description="False where the day's facts changed since; the next run writes it anew.")
    attempts: int
    tokens_in: int
    tokens_out: int
    cost: float | None = Field(description="In dollars; null where no price is known.")
    written_at: datetime
    facts: list[StatedFact]


class Summaries:
    """What is stored of summaries."""

    def __init__(self, shops: Shops, connections: Connections, threads: Scoring) -> None:
        self.shops, self.connections, self.threads = shops, connections, threads

    async def answer(self, name: str, day: date | None) -> DailySummary:
        """The summary of a day, the last one where none is named; HTTPException where there is none."""
        shop = self.shops.meant(name)
        if shop not in self.shops.summarised:
            raise HTTPException(404, f"shop {shop} has no summaries: it provides neither orders, events nor reviews.")
        if self.connections.problem is not None:
            raise not_now("the warehouse does not answer now.", 5)
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                return await self.threads.run(lambda: self._read(shop, day))
        except BusyError:
            raise not_now("too many summaries are being read; ask again.", 1) from None
        except HTTPException:
            raise
        except Exception as error:
            if not is_away(error):
                raise
            raise not_now("the warehouse does not answer now.", 5) from error

    def _read(self, shop: str, day: date | None) -> DailySummary:
        from assets.summaries.store import facts_of, span_of, summary_of

        with self.connections.warehouse.connect(
            application="cartograph api", options=f"-c statement_timeout={_STATEMENT_MS}"
        ) as connection:
            summary = summary_of(connection, shop, day)
            if summary is not None:
                return rendered(summary, facts_of(connection, self.shops.configured[shop], summary.day))
            span = span_of(connection, shop)
        if span is None:
            raise HTTPException(
                404, f"shop {shop} has no summaries yet: `cartograph materialize` or the daemon writes them."
            )
        raise HTTPException(404, f"shop {shop} has no summary of {day}: there are some from {span[0]} to {span[1]}.")


def rendered(summary: Summary, facts: DayFacts | None) -> DailySummary:
    """A summary with its facts, as it is answered."""
    from assets.summaries.formatting import PLACEHOLDER, formatted

    named = set(PLACEHOLDER.findall(summary.text))
    stated = [
        StatedFact(
            id=fact.id,
            said=fact.said,
            kind=fact.kind,
            value=_plain(fact.value),
            shown=formatted(fact, summary.language),
            currency=fact.currency,
            product_id=fact.product_id,
            anomaly=fact.anomaly,
            is_named=fact.id in named,
        )
        for fact in (() if facts is None else facts.facts.values())
    ]
    return DailySummary(
        shop=summary.shop,
        day=summary.day,
        language=summary.language,
        text=summary.rendered,
        model=summary.model,
        prompt_version=summary.prompt_version,
        rules_version=summary.rules_version,
        facts_hash=summary.facts_hash,
        is_grounded=summary.is_grounded,
        is_current=facts is not None and facts.hash == summary.facts_hash,
        attempts=summary.attempts,
        tokens_in=summary.tokens_in,
        tokens_out=summary.tokens_out,
        cost=summary.cost,
        written_at=summary.written_at,
        facts=stated,
    )


def _plain(value: Any) -> int | float | str:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


def router(summaries: Summaries) -> APIRouter:
    routes = APIRouter(tags=["summaries"])
    refusals: dict[int | str, dict[str, Any]] = {
        status: {**RESPONSES[status], "description": description}
        for status, description in (
            (404, "There is no such shop, or no summary of the day; the answer says of which days there are some."),
            (422, "The date is none."),
            (503, RESPONSES[503]["description"]),
        )
    }

    @routes.get("/summaries/{shop}/{date}", responses=refusals)
    async def summary(shop: ShopName, date: Day) -> DailySummary:
        """What happened in a shop on a day, or on its `latest`: a text, the facts behind it, and who wrote it."""
        return await summaries.answer(shop, date)

    return routes
