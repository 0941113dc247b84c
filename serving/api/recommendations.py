"""`POST /recommendations`: computed from a session, else looked up for a known actor, else what is popular."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.api.champions import Champion, Champions
from serving.api.errors import RESPONSES, Sent, not_now
from serving.api.events import Identifier
from serving.api.metrics import ANSWERS
from serving.api.precomputed import Precomputed, Rendered
from serving.api.scoring import BusyError, Scoring
from serving.api.shops import ShopName, Shops
from serving.api.warehouse import AwayError

Source = Literal["precomputed", "session", "popular"]
_LONGEST_SESSION = 200
_LONGEST_EXCLUDE = 1_000


class RecommendationsRequest(Sent):
    """For whom, or from what. Without an actor and a session, the answer is what is popular in the shop."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"shop": "online_retail", "actor": "17850", "top": 5},
                {"shop": "online_retail", "session": ["22423", "85123A"], "top": 5, "exclude": ["22423"]},
            ]
        },
    )

    shop: ShopName | None = Field(None, description="Needed where there are several shops and no default.")
    actor: Identifier | None = Field(None, description="The customer's id where known, else the visitor's.")
    session: Annotated[list[Identifier], Field(max_length=_LONGEST_SESSION)] = Field(
        [], description="Products of the visit that is going on, the last one last. The answer is computed from them."
    )
    top: Annotated[int, Field(ge=1, le=50)] = 10
    exclude: Annotated[list[Identifier], Field(max_length=_LONGEST_EXCLUDE)] = Field(
        [], description="Products that must not be in the answer, such as those in the basket."
    )


class Item(BaseModel):
    """One recommended product."""

    product_id: str = Field(examples=["22423"])
    score: float = Field(description="Comparable within one answer alone.", examples=[0.871])
    rank: int = Field(description="1 is the best.", examples=[1])


class RecommendationsAnswer(BaseModel):
    """What to show, best first: at most as many products as were asked for."""

    shop: str = Field(examples=["online_retail"])
    model: str = Field(examples=["recommender-online_retail"])
    model_version: int = Field(examples=[3])
    source: Source = Field(
        description="session: computed now; precomputed: looked up for the actor; popular: the actor is not known, or "
        "could not be looked up now."
    )
    made_at: datetime = Field(description="When it was computed.")
    ignored: list[str] = Field(description="Products of the session that the model does not know.", examples=[[]])
    items: list[Item]


def render(
    shop: str,
    model: str,
    version: int,
    source: Source,
    made_at: datetime,
    scored: Sequence[tuple[str, float]],
    ignored: Sequence[str] = (),
) -> bytes:
    """The JSON of a RecommendationsAnswer."""
    return orjson.dumps(
        {
            "shop": shop,
            "model": model,
            "model_version": version,
            "source": source,
            "made_at": made_at,
            "ignored": ignored,
            "items": [
                {"product_id": product, "score": score, "rank": rank}
                for rank, (product, score) in enumerate(scored, start=1)
            ],
        }
    )


class Recommending:
    """How a question is answered."""

    def __init__(self, shops: Shops, champions: Champions, precomputed: Precomputed, scoring: Scoring) -> None:
        self.shops, self.champions, self.precomputed, self.scoring = shops, champions, precomputed, scoring

    async def answer(self, question: RecommendationsRequest) -> bytes:
        """The rendered answer; HTTPException where there is none."""
        shop = self.shops.meant(question.shop)
        if shop not in self.shops.recommending:
            raise HTTPException(
                404, f"shop {shop} has no recommender: it provides neither orders nor events to learn from."
            )
        ignored: list[str] = []
        if question.session:
            champion = self.champions.loaded.get(shop)
            if champion is not None:
                known = [product for product in question.session if product in champion.products]
                ignored = [product for product in question.session if product not in champion.products]
                if known:
                    return await self._from_session(champion, known, ignored, question)
        elif not question.exclude:
            rendered = self.precomputed.cached(shop, question.actor, question.top)
            if rendered is not None:
                ANSWERS.labels(shop, rendered.source).inc()
                return rendered.body
        return await self._looked_up(shop, ignored, question)

    async def _from_session(
        self, champion: Champion, session: list[str], ignored: list[str], question: RecommendationsRequest
    ) -> bytes:
        def compute() -> bytes:
            scored = champion.recommender.recommend(session, question.top, question.exclude)
            now = datetime.now(UTC)
            return render(champion.shop, champion.name, champion.version, "session", now, scored, ignored)

        try:
            body = await self.scoring.run(compute)
        except BusyError:
            raise not_now("too many sessions are being computed; ask again, or without a session.", 1) from None
        ANSWERS.labels(champion.shop, "session").inc()
        return body

    async def _looked_up(self, shop: str, ignored: list[str], question: RecommendationsRequest) -> bytes:
        try:
            found, is_current = await self.precomputed.lookup_or_popular(shop, question.actor)
        except AwayError as error:
            raise not_now("the warehouse does not answer now.", 5) from error
        generation = self.precomputed.generations.get(shop)
        if found is None or generation is None:
            raise not_now(
                f"shop {shop} has no recommendations yet: they come with its first champion, once `cartograph "
                "materialize` or the daemon has made its recommender.",
                60,
            )
        excluded = frozenset(question.exclude)
        scored = [
            (product, score)
            for product, score in zip(found.product_ids, found.scores, strict=True)
            if product not in excluded
        ]
        source: Source = "popular" if found.is_fallback else "precomputed"
        body = render(
            shop, generation.model, found.model_version, source, found.made_at, scored[: question.top], ignored
        )
        if is_current and not question.session and not question.exclude:
            self.precomputed.keep(shop, question.actor, question.top, Rendered(found.made_at, source, body))
        ANSWERS.labels(shop, source).inc()
        return body


def router(recommending: Recommending) -> APIRouter:
    routes = APIRouter(tags=["recommendations"])

    @routes.post("/recommendations", response_model=RecommendationsAnswer, responses=RESPONSES)
    async def recommend(question: RecommendationsRequest) -> Response:
        """Recommend products of a shop to an actor, or to whoever is looking at these products now."""
        return Response(await recommending.answer(question), media_type="application/json")

    return routes
