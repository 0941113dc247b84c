"""`POST /search`: the products of a shop that fit a text, by its words and its meaning, under conditions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, HTTPException, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from assets.search.retrieve import LONGEST, cleaned
from assets.search.where import WhereError
from resources.vectors.collection import CollectionError
from resources.vectors.translate import QueryError
from serving.api.errors import RESPONSES, Sent, bad_values, not_now
from serving.api.metrics import SEARCHES
from serving.api.scoring import BusyError, Scoring
from serving.api.searchers import Searchers
from serving.api.shops import ShopName, Shops

ADMITTED = 256
"""So many are searched for or wait: at a few milliseconds each, the last one is answered after a second or two."""
_LONGEST_WAIT = 10.0
"""Seconds; a Qdrant server that hangs would hold each request for longer."""
_LONGEST_VALUE, _MOST_VALUES, _MOST_CONDITIONS = 1_000, 1_000, 20


def _plain(condition: Any) -> Any:
    """Refuse what is no value, list or mapping of these: the engine would fail on it, or take long to say so."""
    for part in condition.values() if isinstance(condition, dict) else [condition]:
        values = part if isinstance(part, list) else [part]
        if len(values) > _MOST_VALUES:
            raise ValueError(f"give at most {_MOST_VALUES:,} values, not {len(values):,}")
        for value in values:
            if not isinstance(value, str | int | float):
                raise ValueError(
                    "give a text or a number, a list of them, or a mapping with any, not, lt, lte, gt, gte"
                )
            if isinstance(value, str) and (len(value) > _LONGEST_VALUE or not _is_whole(value)):
                raise ValueError(f"give texts of at most {_LONGEST_VALUE:,} whole characters")
    return condition


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= mark <= "\udfff" for mark in text)


_VALUE: dict[str, Any] = {"anyOf": [{"type": "string", "maxLength": _LONGEST_VALUE}, {"type": "number"}]}
_VALUES: dict[str, Any] = {"type": "array", "items": _VALUE, "minItems": 1, "maxItems": _MOST_VALUES}
_ENDS = ("lt", "lte", "gt", "gte")
Condition = Annotated[
    Any,
    AfterValidator(_plain),
    WithJsonSchema(
        {
            "anyOf": [
                _VALUE,
                _VALUES,
                {
                    "type": "object",
                    "properties": {"any": _VALUES, "not": _VALUES, **dict.fromkeys(_ENDS, _VALUE)},
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
FieldName = Annotated[str, Field(max_length=100)]


class SearchRequest(Sent):
    """What is looked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"shop": "online_retail", "text": "candle holder for the garden", "top": 5},
                {
                    "shop": "online_retail",
                    "text": "christmas decoration",
                    "where": {"price": {"gte": 1, "lt": 5}, "country": ["France", "Germany"]},
                },
                {"shop": "anime", "text": "robots in space", "where": {"category": {"not": ["Comedy"]}}},
            ]
        },
    )

    shop: ShopName | None = Field(None, description="Needed where there are several shops and no default.")
    text: Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(cleaned)] = Field(
        description="Words or a sentence, in the language of the shop."
    )
    where: dict[FieldName, Condition] = Field(
        {},
        max_length=_MOST_CONDITIONS,
        description="Conditions that must all hold, by the field of the payload: a value; a list, of which one must be "
        "there; or a mapping with some of `any`, `not` (lists), `lt`, `lte`, `gt`, `gte`.",
    )
    top: Annotated[int, Field(ge=1, le=100)] = 10


class Found(BaseModel):
    """One product that fits."""

    product_id: str = Field(examples=["22423"])
    score: float = Field(description="Comparable within one answer alone.", examples=[0.0325])
    title: str = Field(examples=["REGENCY CAKESTAND 3 TIER"])
    payload: dict[str, Any] = Field(
        description="What the collection holds of the product; conditions name its fields.",
        examples=[{"product_id": "22423", "title": "REGENCY CAKESTAND 3 TIER", "price": 12.75, "country": ["France"]}],
    )


class SearchAnswer(BaseModel):
    """The products that fit, best first: at most as many as were asked for."""

    shop: str = Field(examples=["online_retail"])
    collection: str = Field(
        description="The version of the collection that was searched.", examples=["online_retail_products_000003"]
    )
    embedder: str = Field(
        description="What made its vectors, and that of the text.",
        examples=["sentence-transformers/all-MiniLM-L6-v2@53aa51172d14"],
    )
    hits: list[Found]


class Searching:
    """How a question is answered."""

    def __init__(self, shops: Shops, searchers: Searchers, scoring: Scoring) -> None:
        self.shops, self.searchers, self.scoring = shops, searchers, scoring

    def shop_of(self, name: str | None) -> str:
        """The shop of a request, where it can be searched now; else HTTPException or RequestValidationError."""
        shop = self.shops.meant(name)
        if shop not in self.shops.searchable:
            raise HTTPException(404, f"shop {shop} has no search: it provides no product_text.")
        if shop not in self.searchers.loaded:
            raise self._missing(shop)
        return shop

    async def answer(self, question: SearchRequest) -> bytes:
        """The rendered answer; HTTPException or RequestValidationError where there is none."""
        shop = self.shop_of(question.shop)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                # The engine too: where it is a server, its answer is waited for.
                body = await self.scoring.run(lambda: self._found(shop, question.text, question.where, question.top))
        except BusyError:
            raise not_now("too many searches wait; ask again.", 1) from None
        except TimeoutError:
            raise not_now(f"the search took more than {_LONGEST_WAIT:.0f} s.", 5) from None
        except CollectionError as error:
            raise not_now(str(error), 5) from error
        except (WhereError, QueryError) as error:
            raise bad_values([(["where"], str(error))]) from error
        SEARCHES.labels(shop).observe(time.perf_counter() - began)
        return body

    def _found(self, shop: str, text: str, where: Mapping[str, Any], top: int) -> bytes:
        with self.searchers.borrowed(shop) as served:
            hits = served.searcher.search(text, where, top)
            # A server may have gone on to a newer version meanwhile.
            manifest = served.searcher.reader.manifest
        return orjson.dumps(
            {
                "shop": shop,
                "collection": manifest.name,
                "embedder": manifest.embedder,
                "hits": [
                    {
                        "product_id": hit.product_id,
                        "score": hit.score,
                        "title": str(hit.payload.get("title") or hit.product_id),
                        "payload": hit.payload,
                    }
                    for hit in hits
                ],
            }
        )

    def _missing(self, shop: str) -> HTTPException:
        failed = self.searchers.failed.get(shop)
        if failed is not None:
            return not_now(f"the products of {shop} cannot be searched now: {failed.reason}", 15)
        if shop in self.searchers.unpublished:
            return not_now(
                f"no products of {shop} were published yet: they come once `cartograph materialize` or the daemon has "
                "made its collection.",
                60,
            )
        return not_now(f"the collection of {shop} is being opened.", 5)


def router(searching: Searching) -> APIRouter:
    routes = APIRouter(tags=["search"])
    refusals = {**RESPONSES, 404: {**RESPONSES[404], "description": "There is no such shop, or no search in it."}}

    @routes.post("/search", response_model=SearchAnswer, responses=refusals)
    async def search(question: SearchRequest) -> Response:
        """Find products of a shop by what they are called and what they are like."""
        return Response(await searching.answer(question), media_type="application/json")

    return routes
