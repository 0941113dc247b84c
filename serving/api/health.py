"""`GET /health` and `GET /ready`: what this process serves, how old it is, what is away. Neither asks anyone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from serving.api.champions import Champions
from serving.api.chat import Chatting
from serving.api.event_writer import EventWriter
from serving.api.precomputed import Precomputed
from serving.api.searchers import Searchers
from serving.api.shops import Shops
from serving.api.warehouse import Connections

if TYPE_CHECKING:
    import psycopg

_CLOCKS = "select shop, as_of from contract.shop_clock"


class Loaded(BaseModel):
    """The version of a model that sessions are answered with."""

    model: str = Field(examples=["recommender-online_retail"])
    version: int = Field(examples=[3])
    trained_to: str | None = Field(description="Nothing at or after this instant was trained on.")
    loaded_at: datetime


class Failure(BaseModel):
    """A version that the registry calls champion and that could not be loaded; an older one is served on."""

    version: int
    at: datetime
    reason: str


class Searched(BaseModel):
    """The version of a collection that searches are answered with."""

    collection: str = Field(examples=["online_retail_products_000003"])
    version: int = Field(examples=[3])
    points: int = Field(description="Products in it.", examples=[3665])
    made_at: datetime
    loaded_at: datetime
    embedder: str = Field(examples=["sentence-transformers/all-MiniLM-L6-v2@53aa51172d14"])


class FailedSearch(BaseModel):
    """What is published and could not be opened; an older version is searched on, where there is one."""

    version: int | None = Field(description="None where not even that can be read.")
    at: datetime
    reason: str


class Predictions(BaseModel):
    """What was computed beforehand for all actors of a shop."""

    model: str
    model_version: int
    as_of: date = Field(description="The shop's day up to whose end histories were read.")
    actors: int
    made_at: datetime
    age_seconds: float


class LanguageModel(BaseModel):
    """An entry of config/models.yaml that questions are put to."""

    entry: str = Field(examples=["deepseek"])
    circuit: Literal["closed", "open"] = Field(
        description="open: it failed and has not answered since. It is left out, and asked again after a pause."
    )
    since: datetime | None = Field(description="When it began to fail.")
    problem: str | None = Field(
        description="Why it does not answer: how it failed last, or that its key is missing.",
        examples=["nobody answers at http://127.0.0.1:11434"],
    )


class ShopHealth(BaseModel):
    """One shop."""

    language_models: list[LanguageModel] = Field(
        description="In the turn in which they are asked. Empty without text of products, or where the settings cannot "
        "be used.",
    )

    champion: Loaded | None = Field(description="None before the first promotion.")
    failed_load: Failure | None
    predictions: Predictions | None = Field(description="None before the first champion's predictions.")
    search: Searched | None = Field(description="None without text of products, or before the first publication.")
    failed_search: FailedSearch | None
    features_as_of: date | None = Field(description="The last closed day of the shop's data.")


class Reach(BaseModel):
    """Whether something that the API needs answered when it was last asked."""

    is_reachable: bool
    problem: str | None = None


class Storing(BaseModel):
    """Whether the warehouse, where it answers, stored the last events that came."""

    is_storing: bool
    problem: str | None = None


class Settled(BaseModel):
    """Whether config/models.yaml and the prompts, as they are now, are what questions are answered with."""

    is_used: bool
    problem: str | None = None


class Health(BaseModel):
    """The state of one process."""

    status: Literal["ok", "degraded", "down"] = Field(
        description="degraded: the registry is away, a champion or a collection could not be loaded, events could "
        "not be stored, settings cannot be used, or a language model does not answer. down: the warehouse is away."
    )
    warehouse: Reach
    registry: Reach
    events: Storing
    settings: Settled
    shops: dict[str, ShopHealth]


class Ready(BaseModel):
    """Whether requests should be sent here."""

    is_ready: bool
    reason: str | None = None


@dataclass
class Clocks:
    """The shops' clocks, as they were read last."""

    as_of: dict[str, date] = field(default_factory=dict)

    async def refresh(self, connection: psycopg.AsyncConnection) -> None:
        """Read `contract.shop_clock`; there is none before the first build."""
        import psycopg

        try:
            rows = await (await connection.execute(_CLOCKS)).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            rows = []
        self.as_of = {shop: day for shop, day in rows if day is not None}


class Checking:
    """Puts together what the other parts know."""

    def __init__(
        self,
        shops: Shops,
        connections: Connections,
        champions: Champions,
        searchers: Searchers,
        precomputed: Precomputed,
        clocks: Clocks,
        writer: EventWriter,
        chatting: Chatting,
    ) -> None:
        self.shops, self.connections, self.champions, self.searchers = shops, connections, champions, searchers
        self.precomputed, self.clocks, self.writer, self.chatting = precomputed, clocks, writer, chatting

    def health(self) -> Health:
        shops = {shop: self._shop(shop) for shop in self.shops.names}
        away, refused, silent = self.connections.problem, self.writer.problem, self.champions.problem_now()
        is_degraded = (
            silent is not None
            or refused is not None
            or self.chatting.problem is not None
            or any(shop.failed_load is not None or shop.failed_search is not None for shop in shops.values())
            or any(model.problem is not None for shop in shops.values() for model in shop.language_models)
        )
        return Health(
            status="down" if away is not None else "degraded" if is_degraded else "ok",
            warehouse=_reach(away),
            registry=_reach(silent),
            events=Storing(is_storing=refused is None, problem=refused),
            settings=Settled(is_used=self.chatting.problem is None, problem=self.chatting.problem),
            shops=shops,
        )

    def ready(self) -> Ready:
        if self.connections.problem is not None:
            return Ready(is_ready=False, reason=f"the warehouse is away: {self.connections.problem}")
        return Ready(is_ready=True)

    def _shop(self, shop: str) -> ShopHealth:
        champion, failed = self.champions.loaded.get(shop), self.champions.failed.get(shop)
        generation = self.precomputed.generations.get(shop)
        return ShopHealth(
            language_models=self._language_models(shop),
            champion=None
            if champion is None
            else Loaded(
                model=champion.name,
                version=champion.version,
                trained_to=champion.trained_to,
                loaded_at=champion.loaded_at,
            ),
            failed_load=None if failed is None else Failure(version=failed.version, at=failed.at, reason=failed.reason),
            predictions=None
            if generation is None
            else Predictions(
                model=generation.model,
                model_version=generation.model_version,
                as_of=generation.as_of,
                actors=generation.actors,
                made_at=generation.made_at,
                age_seconds=(datetime.now(UTC) - generation.made_at).total_seconds(),
            ),
            search=self._searched(shop),
            failed_search=self._failed_search(shop),
            features_as_of=self.clocks.as_of.get(shop),
        )

    def _language_models(self, shop: str) -> list[LanguageModel]:
        made = []
        for name, entry in self.chatting.entries.get(shop, {}).items():
            standing = self.chatting.llm.standing(name, entry)
            made.append(
                LanguageModel(
                    entry=name,
                    circuit="closed" if standing is None else "open",
                    since=None if standing is None else standing.since,
                    problem=self.chatting.keyless.get(entry) if standing is None else standing.reason,
                )
            )
        return made

    def _searched(self, shop: str) -> Searched | None:
        served = self.searchers.loaded.get(shop)
        if served is None:
            return None
        return Searched(
            collection=served.manifest.name,
            version=served.manifest.version,
            points=served.manifest.points,
            made_at=datetime.fromisoformat(served.manifest.made_at),
            loaded_at=served.loaded_at,
            embedder=served.manifest.embedder,
        )

    def _failed_search(self, shop: str) -> FailedSearch | None:
        failed = self.searchers.failed.get(shop)
        if failed is None:
            return None
        version = None if failed.manifest is None else failed.manifest.version
        return FailedSearch(version=version, at=failed.at, reason=failed.reason)


def _reach(problem: str | None) -> Reach:
    return Reach(is_reachable=problem is None, problem=problem)


def router(checking: Checking) -> APIRouter:
    routes = APIRouter(tags=["operations"])

    # In the loop, not in a thread: it must answer when all threads are busy.
    @routes.get("/health", responses={503: {"model": Health, "description": "The warehouse is away."}})
    async def health(response: Response) -> Health:
        """The versions that are served, the age of predictions and features, and what is out of reach."""
        state = checking.health()
        response.status_code = 503 if state.status == "down" else 200
        return state

    @routes.get("/ready", responses={503: {"model": Ready, "description": "Not now."}})
    async def ready(response: Response) -> Ready:
        """Whether requests should be sent here: the warehouse answers."""
        state = checking.ready()
        response.status_code = 200 if state.is_ready else 503
        return state

    return routes
