"""`POST /recommendations`: answers of each kind, and the champions behind them, swapped and broken under requests."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from assets.recommender.model import ModelError
from resources import tracking
from resources.settings import Settings, SettingsError, load_settings
from resources.tracking import ModelVersion, TrackingError, model_name
from resources.warehouse import Warehouse
from serving.api import champions
from serving.api.app import create_app
from serving.api.champions import BrokenModelError, Champion, Champions
from serving.api.precomputed import Precomputed
from serving.api.scoring import BusyError, Scoring
from serving.api.warehouse import AwayError, Connections
from tests.serving.rig import Api, Client, Registry, publish, wait_until

SHOP = "thelook"
MODEL_SHOP = "online_retail"


@pytest.fixture(scope="module")
def published(api: Api, home_warehouse: Warehouse) -> None:
    publish(home_warehouse, SHOP, {"ann": ["p3", "p1", "p2"], "o'b\"{é}": ["p9"]}, ["p7", "p8", "p1"], version=4)
    client = api.client()
    wait_until(lambda: client.get("/health").json["shops"][SHOP]["predictions"])


def products(answer: Any) -> list[str]:
    return [item["product_id"] for item in answer["items"]]


def test_a_known_actor_gets_its_own(client: Client, published: None) -> None:
    answer = client.recommend(shop=SHOP, actor="ann")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    found = answer.json
    assert found["source"] == "precomputed" and found["shop"] == SHOP
    assert (found["model"], found["model_version"]) == ("recommender-thelook", 4)
    assert found["items"] == [
        {"product_id": "p3", "score": 0.9, "rank": 1},
        {"product_id": "p1", "score": 0.5, "rank": 2},
        {"product_id": "p2", "score": 0.1, "rank": 3},
    ]
    assert client.recommend(shop=SHOP, actor="ann").content == answer.content
    assert products(client.recommend(shop=SHOP, actor="o'b\"{é}").json) == ["p9"]
    assert products(client.recommend(shop=SHOP, actor="ann", top=2).json) == ["p3", "p1"]
    assert products(client.recommend(shop=SHOP, actor="ann", top=2, exclude=["p3", "p7"]).json) == ["p1", "p2"]


def test_who_is_unknown_gets_what_is_popular(client: Client, published: None) -> None:
    for question in ({"actor": "nobody"}, {}, {"actor": "nobody"}, {}, {"actor": "Ann"}):
        found = client.recommend(shop=SHOP, **question).json
        assert found["source"] == "popular" and products(found) == ["p7", "p8", "p1"]
    assert products(client.recommend(shop=SHOP, exclude=["p7"], top=1).json) == ["p8"]


def test_a_new_generation_is_served_at_once_or_soon(client: Client, published: None, home_warehouse: Warehouse) -> None:
    assert products(client.recommend(shop=SHOP, actor="ann").json) == ["p3", "p1", "p2"]
    hits = client.figure("cartograph_recommendations_cache_total", result="hit")
    client.recommend(shop=SHOP, actor="ann")
    assert client.figure("cartograph_recommendations_cache_total", result="hit") == hits + 1
    publish(home_warehouse, SHOP, {"ann": ["p5"], "bob": ["p6"]}, ["p1"], version=5)
    wait_until(lambda: products(client.recommend(shop=SHOP, actor="ann").json) == ["p5"])
    assert client.recommend(shop=SHOP, actor="ann").json["model_version"] == 5
    assert client.recommend(shop=SHOP, actor="bob").json["source"] == "precomputed"
    assert products(client.recommend(shop=SHOP).json) == ["p1"]
    publish(home_warehouse, SHOP, {"ann": ["p3", "p1", "p2"], "o'b\"{é}": ["p9"]}, ["p7", "p8", "p1"], version=4)
    wait_until(lambda: client.get("/health").json["shops"][SHOP]["predictions"]["model_version"] == 4)


def test_a_shop_without_recommendations_says_so(client: Client) -> None:
    answer = client.recommend(shop="olist")
    assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
    assert answer.detail.startswith("shop olist has no recommendations yet: ") and "materialize" in answer.detail
    assert client.recommend(shop="olist", session=["p1"]).status == 503


@pytest.mark.parametrize(
    ("question", "status", "told"),
    [
        ({"shop": "nowhere"}, 404, "There are: online_retail, thelook, retailrocket, olist, anime."),
        ({"shop": "anime"}, 404, "shop anime has no recommender: it provides neither orders nor events"),
        ({}, 422, "name one of online_retail, thelook, retailrocket, olist, anime"),
        ({"shop": SHOP, "top": 0}, 422, "greater than or equal to 1"),
        ({"shop": SHOP, "top": 51}, 422, "less than or equal to 50"),
        ({"shop": SHOP, "top": "many"}, 422, "valid integer"),
        ({"shop": SHOP, "actor": 17850}, 422, "valid string"),
        ({"shop": SHOP, "actor": "a\x00"}, 422, "pattern"),
        ({"shop": SHOP, "actor": "a" * 129}, 422, "at most 128"),
        ({"shop": SHOP, "session": "p1"}, 422, "valid list"),
        ({"shop": SHOP, "session": [["p1"]]}, 422, "valid string"),
        ({"shop": SHOP, "session": ["p"] * 201}, 422, "at most 200"),
        ({"shop": SHOP, "exclude": ["p"] * 1001}, 422, "at most 1000"),
        ({"shop": SHOP, "user": "ann"}, 422, "Extra inputs are not permitted"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_bad_question_is_explained(client: Client, question: dict[str, Any], status: int, told: str) -> None:
    answer = client.recommend(**question)
    assert answer.status == status and told in str(answer.detail)


def test_the_pages_teach_and_need_no_network(client: Client) -> None:
    answer = client.get("/")
    assert answer.status == 307 and answer.headers["location"] == "/docs"
    page = client.get("/docs").content.decode()
    assert "//" not in page.replace("// ", ""), "something is loaded from elsewhere"
    for file in ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"):
        assert file in page and len(client.get(file).content) > 100_000
    described = client.get("/openapi.json").json
    for path, name in {"/recommendations": "RecommendationsRequest", "/events": "EventsRequest"}.items():
        assert set(described["paths"][path]["post"]["responses"]) >= {"200", "400", "404", "408", "413", "422", "503"}
        example = described["components"]["schemas"][name]["examples"][0]
        assert client.ask("POST", path, example).status in (200, 422, 503)
    assert "HTTPValidationError" not in str(described)


def test_figures_name_routes_and_never_actors(client: Client, published: None) -> None:
    labels = {"method": "POST", "route": "/recommendations", "status": "200"}
    before = client.figure("cartograph_request_seconds_count", **labels)
    sources = client.figure("cartograph_recommendations_total", shop=SHOP, source="precomputed")
    client.recommend(shop=SHOP, actor="ann")
    assert client.figure("cartograph_request_seconds_count", **labels) == before + 1
    assert client.figure("cartograph_recommendations_total", shop=SHOP, source="precomputed") == sources + 1
    for path in ("/nowhere/17850", "/wp-admin"):
        assert client.get(path).status == 404
    text = client.get("/metrics").content.decode()
    assert 'method="any",route="none",status="404"' in text
    assert not any(word in text for word in ("17850", "wp-admin", '"ann"'))
    assert client.figure("cartograph_reachable", what="warehouse") == 1


# ---- Champions


class Scene:
    """Two good versions and one whose file is cut, in the registry of the home."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.registry = Registry(settings, folder)
        self.first, self.second, self.broken = (self.registry.register(MODEL_SHOP, seed) for seed in (1, 2, 3))
        arrays = list(self.registry.tracking.download(self.broken).rglob("*.npz"))
        assert arrays
        for path in arrays:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.foreign = self.registry.register(MODEL_SHOP, 4, owner="olist")
        self.registry.promote(self.first)


@pytest.fixture(scope="module")
def scene(api: Api, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    client = api.client()
    wait_until(lambda: client.get("/health").json["registry"]["is_reachable"])
    return Scene(settings, tmp_path_factory.mktemp("models"))


def health(client: Client, shop: str = MODEL_SHOP) -> Any:
    return client.get("/health").json["shops"][shop]


def serves(client: Client, version: ModelVersion) -> bool:
    champion = health(client)["champion"]
    return champion is not None and champion["version"] == version.version


class Seen(NamedTuple):
    """An answer: when it was asked for and given, its status and the version of the model, -1 without one."""

    asked: float
    given: float
    status: int
    version: int


@contextmanager
def asked_all_the_time(api: Api, seen: list[Seen]) -> Iterator[None]:
    """Four clients that ask for sessions while the block runs."""
    done = threading.Event()

    def ask() -> None:
        client = api.client()
        while not done.is_set():
            asked = time.monotonic()
            answer = client.recommend(shop=MODEL_SHOP, session=["p1", "p2", "?"], top=5)
            version = answer.json["model_version"] if answer.status == 200 else -1
            seen.append(Seen(asked, time.monotonic(), answer.status, version))
            time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_the_first_champion_answers_sessions(client: Client, scene: Scene) -> None:
    wait_until(lambda: serves(client, scene.first))
    answer = client.recommend(shop=MODEL_SHOP, session=["p1", "unknown", "p2"], top=7, exclude=["p3"])
    assert answer.status == 200
    found = answer.json
    assert (found["source"], found["model_version"], found["ignored"]) == ("session", scene.first.version, ["unknown"])
    assert [item["rank"] for item in found["items"]] == list(range(1, 8))
    assert "p3" not in products(found) and len(set(products(found))) == 7
    scores = [item["score"] for item in found["items"]]
    assert scores == sorted(scores, reverse=True) and all(map(math.isfinite, scores))
    assert client.figure("cartograph_champion_version", shop=MODEL_SHOP, model=scene.first.name) == scene.first.version
    told = health(client)["champion"]
    assert told["model"] == scene.first.name and told["trained_to"] == "2026-03-01T00:00:00+00:00"


def test_a_new_champion_is_swapped_in_without_a_failed_request(api: Api, client: Client, scene: Scene) -> None:
    wait_until(lambda: serves(client, scene.first))
    seen: list[Seen] = []
    with asked_all_the_time(api, seen):
        wait_until(lambda: len(seen) > 20)
        began = time.monotonic()
        scene.registry.promote(scene.second)
        wait_until(lambda: serves(client, scene.second))
        asked = len(seen)
        wait_until(lambda: len(seen) > asked + 20)
    assert {answer.status for answer in seen} == {200}
    first_of_new = min(answer.given for answer in seen if answer.version == scene.second.version)
    # Only answers that were under way when it was swapped may be the old one's.
    assert {answer.version for answer in seen if answer.asked > first_of_new} == {scene.second.version}
    assert {answer.version for answer in seen if answer.given < began} == {scene.first.version}


def test_a_broken_champion_leaves_the_old_one_serving(api: Api, client: Client, scene: Scene) -> None:
    scene.registry.promote(scene.second)
    wait_until(lambda: serves(client, scene.second))
    loads = client.figure("cartograph_champion_failed_loads_total", shop=MODEL_SHOP)
    for bad, reason in ((scene.broken, ""), (scene.foreign, "tagged with shop 'olist', not 'online_retail'")):
        seen: list[Seen] = []
        with asked_all_the_time(api, seen):
            scene.registry.promote(bad)
            wait_until(lambda: health(client)["failed_load"])
            wait_until(lambda bad=bad: health(client)["failed_load"]["version"] == bad.version)
            time.sleep(1.5)
        assert {(answer.status, answer.version) for answer in seen} == {(200, scene.second.version)}
        answer = client.get("/health")
        assert answer.status == 200 and answer.json["status"] == "degraded"
        assert reason in health(client)["failed_load"]["reason"] and health(client)["champion"]
        assert client.figure("cartograph_champion_load_failing", shop=MODEL_SHOP) == 1
        # Polled for five times since, and tried once, or twice on a slow machine: it is tried again later and later.
        tried = client.figure("cartograph_champion_failed_loads_total", shop=MODEL_SHOP)
        assert tried - loads in (1, 2)
        loads = tried
    scene.registry.promote(scene.first)
    wait_until(lambda: serves(client, scene.first) and not health(client)["failed_load"])
    assert client.figure("cartograph_champion_load_failing", shop=MODEL_SHOP) == 0
    assert client.get("/health").json["status"] == "ok"


def test_a_session_of_unknown_products_falls_back(
    client: Client, scene: Scene, published: None, home_warehouse: Warehouse
) -> None:
    publish(home_warehouse, MODEL_SHOP, {"ann": ["p1"]}, ["p2"], version=1)
    wait_until(lambda: health(client)["predictions"])
    found = client.recommend(shop=MODEL_SHOP, session=["?", "!"], actor="ann").json
    assert (found["source"], found["ignored"], products(found)) == ("precomputed", ["?", "!"], ["p1"])
    found = client.recommend(shop=MODEL_SHOP, session=["?"]).json
    assert (found["source"], found["ignored"], products(found)) == ("popular", ["?"], ["p2"])
    # Without a champion, a session cannot be computed from: the answer says what it is instead.
    assert client.recommend(shop=SHOP, session=["p1"], actor="ann").json["source"] == "precomputed"


def test_only_so_much_is_computed_at_once_and_the_loop_stays_free() -> None:
    async def overload() -> int:
        scoring, release = Scoring(), threading.Event()
        refused, tasks = 0, []
        try:
            for _ in range(1000):
                tasks.append(asyncio.create_task(scoring.run(lambda: release.wait(20))))
            await asyncio.sleep(0.05)
            release.set()  # which a loop that is held up would not come to before its tasks had given up
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            refused = sum(isinstance(outcome, BusyError) for outcome in outcomes)
            assert await scoring.run(lambda: 7) == 7
        finally:
            scoring.close()
        assert all(outcome is True or isinstance(outcome, BusyError) for outcome in outcomes)
        return refused

    assert 900 < asyncio.run(overload()) < 1000


def test_a_default_shop_must_be_one(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"CARTOGRAPH_DEFAULT_SHOP='nowhere': no such shop in .* there are: "):
        create_app(settings.model_copy(update={"default_shop": "nowhere"}))


def test_making_the_application_opens_nothing(tmp_path: Path) -> None:
    create_app(load_settings(home=tmp_path / "home"))
    assert not (tmp_path / "home").exists()


# ---- Polling


class OneVersion:
    """A registry that says what it is told to say."""

    def __init__(self) -> None:
        self.told: dict[str, ModelVersion | Exception | threading.Event] = {}

    def champion(self, name: str) -> ModelVersion:
        told = self.told[name]
        if isinstance(told, threading.Event):
            told.wait(60)
            raise TrackingError("it hung")
        if isinstance(told, Exception):
            raise told
        return told


def version_of(shop: str, number: int = 1, run_id: str = "run") -> ModelVersion:
    return ModelVersion(model_name("recommender", shop), number, run_id, {"shop": shop}, datetime.now(UTC))


@pytest.fixture
def polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Champions, OneVersion, list[ModelVersion]]:
    """Champions of two shops, what they ask, and the versions that they loaded. A version is loaded at once."""
    loads: list[ModelVersion] = []

    def load(_tracking: Any, shop: str, version: ModelVersion) -> Champion:
        loads.append(version)
        none: Any = None
        return Champion(shop, version.name, version.version, version.run_id, None, datetime.now(UTC), none, frozenset())

    monkeypatch.setattr(champions, "load", load)
    settings = load_settings(home=tmp_path, environment="test").model_copy(update={"api_poll_seconds": 0.1})
    return Champions(settings, ["olist", "anime"]), OneVersion(), loads


def test_one_shop_that_is_refused_does_not_end_the_round(
    polled: tuple[Champions, OneVersion, list[ModelVersion]],
) -> None:
    served, registry, _ = polled
    registry.told = {"recommender-olist": TrackingError("olist is refused"), "recommender-anime": version_of("anime")}
    with pytest.raises(TrackingError, match="olist is refused"):
        served.poll(registry)  # type: ignore[arg-type]
    assert set(served.loaded) == {"anime"}


def test_a_registry_made_anew_is_noticed_by_its_runs(
    polled: tuple[Champions, OneVersion, list[ModelVersion]],
) -> None:
    served, registry, loads = polled
    registry.told = {f"recommender-{shop}": version_of(shop) for shop in served.shops}
    for _ in range(2):
        served.poll(registry)  # type: ignore[arg-type]
    assert len(loads) == 2
    registry.told["recommender-olist"] = version_of("olist", run_id="another run")
    served.poll(registry)  # type: ignore[arg-type]
    assert [(version.name, version.run_id) for version in loads[2:]] == [("recommender-olist", "another run")]


@pytest.mark.parametrize(
    ("error", "longest"),
    [(TrackingError("away"), 15), (OSError("no route"), 15), (ModelError("cut"), 600), (BrokenModelError("nan"), 600)],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_is_away_is_tried_again_soon_and_what_is_broken_seldom(
    polled: tuple[Champions, OneVersion, list[ModelVersion]],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    longest: int,
) -> None:
    def fail(*_: Any) -> Champion:
        raise error

    served, registry, _ = polled
    monkeypatch.setattr(champions, "load", fail)
    now = 0.0
    monkeypatch.setattr(champions, "time", SimpleNamespace(monotonic=lambda: now))
    registry.told = {f"recommender-{shop}": version_of(shop) for shop in served.shops}
    pauses = []
    for _ in range(10):
        served.poll(registry)  # type: ignore[arg-type]
        pauses.append(served.failed["olist"].again_at - now)
        now = served.failed["olist"].again_at
    assert pauses == sorted(pauses) and (pauses[0], pauses[-1]) == (10, longest)
    registry.told["recommender-olist"] = version_of("olist", run_id="another run")
    served.poll(registry)  # type: ignore[arg-type]
    assert served.failed["olist"].again_at - now == 10, "another version of the same number has failed once"


def test_a_registry_that_hangs_is_out_of_reach(
    polled: tuple[Champions, OneVersion, list[ModelVersion]], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, registry, _ = polled
    monkeypatch.setattr(champions, "_SILENT_SECONDS", 1.0)
    monkeypatch.setattr(tracking, "Tracking", lambda _settings: registry)
    registry.told = {f"recommender-{shop}": version_of(shop) for shop in served.shops}
    served.start()
    hangs = threading.Event()
    try:
        wait_until(lambda: served.problem_now() is None)
        registry.told["recommender-anime"] = hangs
        wait_until(lambda: served.problem_now() is not None)
        assert served.problem is None and "it was last asked with success" in str(served.problem_now())
        registry.told["recommender-anime"] = version_of("anime")
        hangs.set()
        wait_until(lambda: served.problem_now() is None)
    finally:
        hangs.set()
        served.stop()


def test_only_so_many_lookups_wait(settings: Settings) -> None:
    """Amid a warehouse that is slow, and none once it is known to be away."""

    async def ask() -> list[Any]:
        connections = Connections(settings)
        connections.problem = None
        released, asked = asyncio.Event(), 0

        @asynccontextmanager
        async def reading() -> AsyncIterator[Any]:
            nonlocal asked
            asked += 1
            await released.wait()
            raise AwayError("it is away")
            yield

        connections.reading = reading  # type: ignore[method-assign]
        precomputed = Precomputed(connections)
        tasks = [asyncio.create_task(precomputed.lookup(SHOP, f"a{number}")) for number in range(7_000)]
        await asyncio.sleep(0.2)
        refused = [task for task in tasks if task.done()]
        released.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert 1_000 < len(refused) < 3_000
        with pytest.raises(AwayError, match="it is away"):
            await precomputed.lookup(SHOP, "late")
        assert asked == 2, "those who waited behind the two statements, or came later, asked the same again"
        return outcomes

    outcomes = asyncio.run(ask())
    assert len(outcomes) == 7_000 and all(isinstance(outcome, AwayError) for outcome in outcomes)
