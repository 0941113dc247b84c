"""`POST /events`: what a shop's visitors do, durable before it is acknowledged, each event once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from serving.api.errors import RESPONSES, Problem, Sent, bad_values, not_now
from serving.api.event_writer import ConflictError, EventRow, EventWriter, FullError, RefusedError
from serving.api.metrics import EVENTS
from serving.api.shops import ShopName, Shops
from serving.api.warehouse import AwayError

MAX_EVENTS = 1_000
AHEAD, BEHIND = timedelta(minutes=5), timedelta(days=7)
"""How far an event may lie from the server's clock: clocks of clients go wrong, and what comes late is no event."""
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)")
_ACCEPTED, _DUPLICATE, _REFUSED = (EVENTS.labels(outcome) for outcome in ("accepted", "duplicate", "refused"))


def _instant(value: Any) -> Any:
    # pydantic would take numbers too, and guess whether they are seconds or milliseconds.
    if not isinstance(value, str) or len(value) > 40 or not _INSTANT.fullmatch(value):
        raise ValueError("write an instant with its zone, such as 2026-03-01T10:15:00Z or 2026-03-01T11:15:00.25+01:00")
    return value


Identifier = Annotated[
    str,
    # Postgres' text cannot hold NUL.
    StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]+$"),
]


class EventIn(Sent):
    """One thing that a visitor did with one product."""

    event_id: Identifier = Field(
        description="Yours, unique within the shop. The same event sent again under it is stored once."
    )
    event_type: Literal["view", "cart", "purchase"]
    product_id: Identifier
    customer_id: Identifier | None = Field(None, description="Who did it, where known. One of the two must be given.")
    visitor_id: Identifier | None = Field(None, description="The browser or device, where the customer is not known.")
    session_id: Identifier | None = None
    occurred_at: Annotated[AwareDatetime, BeforeValidator(_instant)] = Field(
        description="When it happened, with its zone: at most 5 minutes ahead of the server's clock, 7 days behind it."
    )


class EventsRequest(Sent):
    """Events of one shop, stored all or none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "shop": "online_retail",
                    "events": [
                        {
                            "event_id": "7f0c1a52-1",
                            "event_type": "view",
                            "product_id": "22423",
                            "visitor_id": "v-1029",
                            "session_id": "s-77",
                            "occurred_at": "2026-03-01T10:15:00Z",
                        },
                        {
                            "event_id": "7f0c1a52-2",
                            "event_type": "purchase",
                            "product_id": "22423",
                            "customer_id": "17850",
                            "visitor_id": "v-1029",
                            "session_id": "s-77",
                            "occurred_at": "2026-03-01T10:21:30Z",
                        },
                    ],
                }
            ]
        },
    )

    shop: ShopName | None = Field(None, description="Needed where there are several shops and no default.")
    events: Annotated[list[EventIn], Field(min_length=1, max_length=MAX_EVENTS)]


class EventsAnswer(BaseModel):
    """What became of the events. All of them are on disk."""

    accepted: int = Field(description="So many were new.", examples=[2])
    duplicates: int = Field(description="So many were there already, with the same content.", examples=[0])


def out_of_bounds(events: Sequence[EventIn], now: datetime) -> list[tuple[tuple[str | int, ...], str]]:
    """What is wrong with events whose types are right: the place in the body and the fault, for each."""
    latest, earliest = now + AHEAD, now - BEHIND
    problems: list[tuple[tuple[str | int, ...], str]] = []
    for index, event in enumerate(events):
        if event.customer_id is None and event.visitor_id is None:
            problems.append((("events", index), "customer_id or visitor_id must be given"))
        if not earliest <= event.occurred_at <= latest:
            fault = "is more than 5 minutes ahead of" if event.occurred_at > latest else "is more than 7 days behind"
            problems.append(
                (("events", index, "occurred_at"), f"{fault} the server's clock, which shows {now:%Y-%m-%dT%H:%M:%SZ}")
            )
    return problems


def router(shops: Shops, writer: EventWriter) -> APIRouter:
    routes = APIRouter(tags=["events"])

    @routes.post(
        "/events",
        response_model=EventsAnswer,
        responses={
            **RESPONSES,
            409: {"model": Problem, "description": "An event id is taken by another event. Nothing was stored."},
        },
    )
    async def take_events(question: EventsRequest) -> EventsAnswer:
        """Take in events of a shop: views, carts and purchases, up to 1,000 at once.

        The answer comes when they are on disk, and not before: send again what was not answered, under the same ids.
        """
        shop = shops.meant(question.shop)
        problems = out_of_bounds(question.events, datetime.now(UTC))
        if problems:
            _REFUSED.inc(len(question.events))
            raise bad_values(problems)
        rows = [
            EventRow(
                shop,
                event.event_id,
                event.event_type,
                event.customer_id,
                event.visitor_id,
                event.session_id,
                event.product_id,
                event.occurred_at,
            )
            for event in question.events
        ]
        try:
            stored = await writer.store(rows)
        except ConflictError as error:
            _REFUSED.inc(len(rows))
            raise HTTPException(
                409,
                f"the event id {error.event_id!r} of shop {shop} is taken by an event with other content; "
                "nothing of this request was stored. Give another event another id.",
            ) from None
        except FullError:
            raise not_now("too many events wait to be stored; nothing of this request was stored.", 1) from None
        except AwayError as error:
            raise not_now("the warehouse does not answer now; send the same events again.", 5) from error
        except RefusedError as error:
            raise not_now(f"could not be stored now: {error}; send the same events again.", 5) from error
        _ACCEPTED.inc(stored.accepted)
        _DUPLICATE.inc(stored.duplicates)
        return EventsAnswer(accepted=stored.accepted, duplicates=stored.duplicates)

    return routes
