"""`POST /search`: what it finds and refuses, and the collections behind it, replaced and broken under requests."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import HTTPException

from assets.search.documents import FIELDS
from resources.embedder import Embedder
from resources.settings import Settings, load_settings
from resources.vectors.bm25 import Bm25, average_length
from resources.vectors.collection import Content, Manifest, Point
from resources.vectors.folder import FolderStore
from serving.api.scoring import Scoring
from serving.api.search import Searching, SearchRequest
from serving.api.searchers import Searchers
from serving.api.shops import Shops
from tests.conftest import ALL_SHOPS
from tests.serving.rig import Answer, Api, Client, wait_until

SHOP = "thelook"
KINDS = {
    "Lamps": ("brass desk lamp", "paper lantern for the garden", "reading light with a clip"),
    "Knives": ("kitchen knife of steel", "folding pocket blade", "bread slicer"),
    "Clothes": ("woollen winter coat", "raincoat with a hood", "linen summer shirt"),
    "Toys": ("wooden train set", "plush rabbit", "spinning top"),
    "Books": ("novel about a lighthouse keeper", "atlas of the oceans", "cookbook of soups"),
}
COLOURS = ("red", "green")


class Shelf:
    """A made catalogue of thirty products, published as a shop's collection as often as one likes."""

    def __init__(self, settings: Settings) -> None:
        self.store, self.embedder = FolderStore(settings.home / "vectors"), Embedder(settings=settings)
        self.titles = {
            f"{kind[0]}{place}{colour[0]}": (kind, colour, f"{colour} {title}")
            for kind, titles in KINDS.items()
            for place, title in enumerate(titles)
            for colour in COLOURS
        }
        texts = [title for _, _, title in self.titles.values()]
        self.vectors = dict(zip(self.titles, self.embedder.embed(texts).tolist(), strict=True))
        self.average = average_length(texts)

    def publish(self, dearer: int = 0) -> Manifest:
        """The next version, in which each product costs so much more."""
        words = Bm25("english", self.average)
        points = {
            product: Point(
                product,
                self.vectors[product],
                words.document(title),
                {
                    "product_id": product,
                    "title": title,
                    "category": [kind],
                    "brand": colour.title(),
                    "price": float(number + dearer),
                    "units": number,
                    "first_sold_at": f"2026-01-{number + 1:02d}T00:00:00+00:00",
                },
            )
            for number, (product, (kind, colour, title)) in enumerate(self.titles.items())
        }
        wanted = Manifest(
            shop=SHOP,
            version=0,
            embedder=self.embedder.identity,
            dimension=self.embedder.dimension,
            language="english",
            average_length=self.average,
            fields=FIELDS,
            as_of="2026-03-01",
            content=f"dearer by {dearer}",
        )
        content = Content(
            {key: repr(one) for key, one in points.items()}, lambda some: iter([[points[n] for n in some]])
        )
        return self.store.publish(wanted, content, lambda message: None)

    def cut(self, wanted: Manifest) -> Path:
        """Make the published version one that was cut short; gives the file."""
        folder = self.store.root / f"{SHOP}_products" / "versions" / f"{wanted.version:06d}"
        file = max((folder / "shard").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
        with file.open("r+b") as opened:
            opened.truncate(file.stat().st_size // 2)
        return file

    @property
    def kept(self) -> set[str]:
        """The versions whose files are there."""
        return {folder.name for folder in (self.store.root / f"{SHOP}_products" / "versions").iterdir()}


@pytest.fixture(scope="module")
def shelf(api: Api, settings: Settings) -> Iterator[Shelf]:
    """Published, and noticed by the API."""
    made = Shelf(settings)
    first = made.publish()
    client = api.client()
    wait_until(lambda: searched(client) == first.version)
    yield made
    shutil.rmtree(made.store.root)


def searched(client: Client, shop: str = SHOP) -> int | None:
    """The version that is searched."""
    told = client.get("/health").json["shops"][shop]["search"]
    return None if told is None else int(told["version"])


def failure(client: Client) -> Any:
    return client.get("/health").json["shops"][SHOP]["failed_search"]


def search(client: Client, text: str, **question: Any) -> Answer:
    return client.ask("POST", "/search", {"shop": SHOP, "text": text, **question})


def found(answer: Answer) -> list[str]:
    assert answer.status == 200, answer
    return [hit["product_id"] for hit in answer.json["hits"]]


def test_words_and_meaning_find_products(client: Client, shelf: Shelf) -> None:
    answer = search(client, "brass lamp", top=5)
    hits = answer.json["hits"]
    assert {hit["product_id"] for hit in hits[:2]} == {"L0r", "L0g"} and len(hits) == 5
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1]
    assert hits[0]["title"] == hits[0]["payload"]["title"] == shelf.titles[hits[0]["product_id"]][2]
    assert hits[0]["payload"]["category"] == ["Lamps"]
    told = client.get("/health").json["shops"][SHOP]["search"]
    assert (answer.json["shop"], answer.json["collection"]) == (SHOP, told["collection"])
    assert answer.json["embedder"] == told["embedder"] == shelf.embedder.identity
    # No word of these is in the texts.
    assert found(search(client, "something sharp to cut vegetables", top=1))[0][0] == "K"
    assert found(search(client, "bunny", top=1)) in (["T1r"], ["T1g"])
    assert len(found(search(client, "brass lamp"))) == 10 and len(found(search(client, "brass lamp", top=100))) == 30


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"category": "Knives"}, {"K0r", "K0g", "K1r", "K1g", "K2r", "K2g"}),
        ({"category": ["Knives"], "brand": {"not": ["Red"]}}, {"K0g", "K1g", "K2g"}),
        ({"price": {"gte": 2, "lt": "5"}}, {"L1r", "L1g", "L2r"}),
        ({"units": 7}, {"K0g"}),
        ({"title": "train"}, {"T0r", "T0g"}),
        ({"first_sold_at": {"gt": "2026-01-28T12:00:00+00:00"}}, {"B2r", "B2g"}),
        ({"category": {"any": ["Toys"]}, "price": {"gt": 1000}}, set()),
        ({"brand": "a\x00'\"\\"}, set()),
        ({}, None),
    ],
    ids=["category", "two fields", "range", "number", "word", "time", "nothing", "odd text", "no condition"],
)
def test_conditions_leave_out_what_they_say(
    client: Client, shelf: Shelf, where: dict[str, Any], expected: set[str] | None
) -> None:
    products = found(search(client, "brass lamp", where=where, top=100))
    assert set(products) == (set(shelf.titles) if expected is None else expected) and len(products) == len(
        set(products)
    )


@pytest.mark.parametrize(
    ("question", "status", "told"),
    [
        ({"shop": "nowhere"}, 404, "There are: online_retail, thelook, retailrocket, olist, anime."),
        ({"shop": "olist"}, 404, "shop olist has no search: it provides no product_text"),
        ({"shop": None}, 422, "name one of online_retail"),
        ({"text": ""}, 422, "at least 1 character"),
        ({"text": " \t\x00\x07\u200b"}, 422, "the query is empty"),
        ({"text": "x" * 1001}, 422, "at most 1000 characters"),
        ({"text": "x " * 25_000}, 422, "at most 1000 characters"),
        ({"text": 7}, 422, "valid string"),
        ({"text": "\ud83d lamp"}, 422, "body"),
        ({"top": 0}, 422, "greater than or equal to 1"),
        ({"top": 101}, 422, "less than or equal to 100"),
        ({"where": {"prise": 3}}, 422, "did you mean 'price'?"),
        ({"where": {"price": "cheap"}}, 422, "price: 'cheap' is no number"),
        ({"where": {"price": True}}, 422, "price: True is no number"),
        ({"where": {"price": {"below": 3}}}, 422, "price: 'below' is not known"),
        ({"where": {"brand": 3}}, 422, "brand: 3 is no text"),
        ({"where": {"brand": {"lt": "B"}}}, 422, "brand: it is no number and no time"),
        ({"where": {"first_sold_at": {"lt": "soon"}}}, 422, "first_sold_at: 'soon' is no time"),
        ({"where": {"brand": []}}, 422, "brand: give one to 1000 values"),
        ({"where": {"brand": ["x"] * 1001}}, 422, "at most 1,000 values"),
        ({"where": {"brand": "\ud83d"}}, 422, "whole characters"),
        ({"where": {"brand": {"any": ["x" * 1001]}}}, 422, "at most 1,000 whole characters"),
        ({"where": {"brand": [["Red"]]}}, 422, "give a text or a number"),
        ({"where": {"price": None}}, 422, "give a text or a number"),
        ({"where": {f"f{number}": 1 for number in range(21)}}, 422, "at most 20 items"),
        ({"where": {"f" * 101: 1}}, 422, "at most 100 characters"),
        ({"where": "price<3"}, 422, "valid dictionary"),
        ({"query": "lamp"}, 422, "Extra inputs are not permitted"),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, dict) else "",
)
def test_a_bad_question_is_explained(
    client: Client, shelf: Shelf, question: dict[str, Any], status: int, told: str
) -> None:
    asked = {name: value for name, value in ({"shop": SHOP, "text": "lamp"} | question).items() if value is not None}
    answer = client.ask("POST", "/search", asked)
    assert answer.status == status and told in str(answer.detail), answer
    assert len(answer.content) < 5_000
    if "where" in question:
        assert all(problem["loc"][:2] == ["body", "where"] for problem in answer.detail)


def test_strange_text_does_no_harm(client: Client, shelf: Shelf) -> None:
    for text in (
        "lamp\x00\x1b[2J",
        "灯 лампа 🙂",
        "'; drop table--",
        "the of and",
        "!!!",
        "e\u0301" * 400,
        "\u202epmal",
    ):
        assert found(search(client, text))
    broken = client.ask("POST", "/search", b'{"shop": "thelook", "text": "\xff"}')
    assert broken.status == 400


def test_what_is_not_published_yet_says_so(client: Client, shelf: Shelf) -> None:
    answer = client.ask("POST", "/search", {"shop": "anime", "text": "robots"})
    assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
    assert answer.detail.startswith("no products of anime were published yet") and "materialize" in answer.detail
    assert searched(client, "anime") is None and client.figure("cartograph_search_version", shop="anime") == 0


def test_health_and_figures_tell_what_is_searched(client: Client, shelf: Shelf) -> None:
    before = client.figure("cartograph_search_seconds_count", shop=SHOP)
    search(client, "raspberry")
    search(client, "raspberry", top=0)
    assert client.figure("cartograph_search_seconds_count", shop=SHOP) == before + 1
    assert "raspberry" not in client.get("/metrics").content.decode()
    published = shelf.store.manifest(SHOP)
    assert published is not None
    assert client.figure("cartograph_search_version", shop=SHOP) == published.version
    told = client.get("/health").json["shops"]
    assert told[SHOP]["search"]["made_at"].replace("Z", "+00:00") == published.made_at
    assert (told[SHOP]["search"]["collection"], told[SHOP]["search"]["points"]) == (published.name, 30)
    assert told["olist"]["search"] is None and told["olist"]["failed_search"] is None


def test_every_answer_is_described_and_the_examples_can_be_asked(client: Client, shelf: Shelf) -> None:
    described = client.get("/openapi.json").json
    route = described["paths"]["/search"]["post"]
    assert set(route["responses"]) == {"200", "400", "404", "408", "413", "422", "503"}
    for example in described["components"]["schemas"]["SearchRequest"]["examples"]:
        assert client.ask("POST", "/search", example | {"shop": SHOP}).status == 200
    answer = search(client, "lamp").json
    assert set(answer) == set(described["components"]["schemas"]["SearchAnswer"]["properties"])
    assert set(answer["hits"][0]) == set(described["components"]["schemas"]["Found"]["properties"])


@contextmanager
def asked_all_the_time(api: Api) -> Iterator[list[tuple[int, str]]]:
    """Three clients that search while the block runs: the status and collection of each answer."""
    done = threading.Event()
    seen: list[tuple[int, str]] = []

    def ask() -> None:
        client = api.client()
        while not done.is_set():
            answer = search(client, "brass lamp", top=3)
            seen.append((answer.status, answer.json.get("collection", "")))
            time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_new_versions_are_searched_without_a_failed_request_and_old_ones_are_let_go(
    api: Api, client: Client, shelf: Shelf
) -> None:
    published = []
    with asked_all_the_time(api) as seen:
        for dearer in (10, 20):
            published.append(shelf.publish(dearer))
            wait_until(lambda: searched(client) == published[-1].version)
            wait_until(lambda: (200, published[-1].name) in seen)
    assert {status for status, _ in seen} == {200} and len(seen) > 20
    assert search(client, "lamp", where={"units": 0}).json["hits"][0]["payload"]["price"] == 20.0
    # A version that is held open cannot be removed by the publisher.
    last_two = shelf.publish(40)
    assert shelf.kept == {f"{last_two.version:06d}", f"{last_two.version - 1:06d}"}


def test_a_broken_version_leaves_the_old_one_searched_until_there_is_a_good_one(
    api: Api, client: Client, shelf: Shelf
) -> None:
    good = shelf.publish(100)
    wait_until(lambda: searched(client) == good.version)
    # The pointer is what a poll sees first: it is kept away until the version behind it is cut.
    pointer = shelf.store.root / f"{SHOP}_products" / "current.json"
    kept = pointer.read_text(encoding="utf-8")
    with asked_all_the_time(api) as seen:
        pointer.write_text("{", encoding="utf-8")
        wait_until(lambda: failure(client) is not None)
        assert failure(client)["version"] is None and "no manifest" in failure(client)["reason"]
        pointer.write_text(kept, encoding="utf-8")
        wait_until(lambda: failure(client) is None)
        failed = client.figure("cartograph_search_failed_loads_total", shop=SHOP)
        broken = json.loads(kept) | {"version": good.version + 1}
        folder = pointer.parent / "versions"
        shutil.copytree(folder / f"{good.version:06d}", folder / f"{good.version + 1:06d}")
        shelf.cut(good.with_(version=good.version + 1))
        pointer.write_text(json.dumps(broken), encoding="utf-8")
        wait_until(lambda: failure(client) is not None)
        time.sleep(1.5)
    assert {(status, name) for status, name in seen} == {(200, good.name)}
    answer = client.get("/health")
    assert answer.status == 200 and answer.json["status"] == "degraded"
    assert failure(client)["version"] == good.version + 1 and "was written with" in failure(client)["reason"]
    assert client.figure("cartograph_search_load_failing", shop=SHOP) == 1
    # Polled for several times since, and tried once, or twice on a slow machine.
    assert client.figure("cartograph_search_failed_loads_total", shop=SHOP) - failed in (1, 2)
    assert f"{SHOP}_products_{good.version + 1:06d} cannot be searched, {good.name} is searched on" in api.said()
    better = shelf.publish(200)
    wait_until(lambda: searched(client) == better.version and failure(client) is None)
    assert client.figure("cartograph_search_load_failing", shop=SHOP) == 0
    assert search(client, "lamp").json["collection"] == better.name


def test_a_collection_of_another_embedder_is_not_searched_with_this_one(client: Client, shelf: Shelf) -> None:
    before = searched(client)
    pointer = shelf.store.root / f"{SHOP}_products" / "current.json"
    kept = pointer.read_text(encoding="utf-8")
    other = "sentence-transformers/all-MiniLM-L6-v2@0123456789ab"
    pointer.write_text(json.dumps(json.loads(kept) | {"embedder": other}), encoding="utf-8")
    try:
        wait_until(lambda: failure(client) is not None)
        assert other in failure(client)["reason"] and searched(client) == before
        assert search(client, "lamp").json["embedder"] == shelf.embedder.identity
    finally:
        pointer.write_text(kept, encoding="utf-8")
    wait_until(lambda: failure(client) is None)


def test_other_weights_are_taken_over_without_a_new_version(client: Client, shelf: Shelf) -> None:
    text = "something sharp to cut red vegetables"
    both = found(search(client, text))
    shelf.store.weigh(SHOP, {"dense": 0.0, "bm25": 1.0})
    try:
        # By words alone, only what has one of them is found.
        wait_until(lambda: len(found(search(client, text, top=100))) == 15)
    finally:
        shelf.store.weigh(SHOP, {"dense": 1.0, "bm25": 1.0})
    wait_until(lambda: found(search(client, text)) == both)


def test_two_hundred_at_once_are_answered_and_the_loop_stays_free(api: Api, client: Client, shelf: Shelf) -> None:
    looks = 0
    done = threading.Event()

    def look() -> None:
        nonlocal looks
        other = api.client()
        while not done.is_set():
            assert other.get("/health").status == 200
            looks += 1

    looking = threading.Thread(target=look)
    looking.start()
    clients = [api.client() for _ in range(200)]
    try:
        with ThreadPoolExecutor(200) as pool:
            answers = list(pool.map(lambda pair: search(pair[1], f"lamp {pair[0]}"), enumerate(clients)))
    finally:
        done.set()
        looking.join()
    assert Counter(answer.status for answer in answers) == {200: 200}
    assert all(len(found(answer)) == 10 for answer in answers)
    assert looks > 5, "it is asked again and again while the searches are under way"


# ---- Within this process


@pytest.fixture
def searching(tmp_path: Path) -> Iterator[tuple[Searching, Searchers, Scoring]]:
    """Of an empty home, with room for two."""
    settings = load_settings(home=tmp_path, shops_file=ALL_SHOPS, environment="test")
    shops, scoring = Shops(settings), Scoring("searching", 2)
    searchers = Searchers(settings, [SHOP])
    yield Searching(shops, searchers, scoring), searchers, scoring
    searchers.stop()
    scoring.close()


def test_before_the_first_round_and_without_a_collection_it_says_when_to_ask_again(
    searching: tuple[Searching, Searchers, Scoring],
) -> None:
    asked, searchers, _ = searching

    def refused() -> HTTPException:
        with pytest.raises(HTTPException) as caught:
            asyncio.run(asked.answer(SearchRequest(shop=SHOP, text="lamp")))
        assert caught.value.status_code == 503 and int((caught.value.headers or {})["Retry-After"]) > 0
        return caught.value

    assert "is being opened" in refused().detail
    searchers.poll()
    assert "were published yet" in refused().detail
    folder = searchers.settings.home / "vectors" / f"{SHOP}_products"
    folder.mkdir(parents=True)
    (folder / "current.json").write_text("{")
    searchers.poll()
    assert "cannot be searched now: CollectionError: " in refused().detail


def test_too_many_that_wait_are_refused_and_the_others_answered(
    searching: tuple[Searching, Searchers, Scoring], shelf: Shelf
) -> None:
    asked, _, scoring = searching
    searchers = Searchers(load_settings(home=shelf.store.root.parent, environment="test"), [SHOP])
    asked = Searching(asked.shops, searchers, scoring)
    searchers.poll()

    async def ask(count: int) -> list[Any]:
        question = SearchRequest(shop=SHOP, text="lamp")
        return await asyncio.gather(*(asked.answer(question) for _ in range(count)), return_exceptions=True)

    try:
        outcomes = asyncio.run(ask(10))
        refused = [outcome for outcome in outcomes if isinstance(outcome, HTTPException)]
        assert len(refused) == 8 and sum(isinstance(outcome, bytes) for outcome in outcomes) == 2
        assert {(one.status_code, (one.headers or {})["Retry-After"]) for one in refused} == {(503, "1")}
        assert all(isinstance(outcome, bytes) for outcome in asyncio.run(ask(2)))
    finally:
        searchers.stop()


def test_a_replaced_version_is_closed_when_its_last_user_is_done(
    searching: tuple[Searching, Searchers, Scoring], shelf: Shelf
) -> None:
    searchers = Searchers(load_settings(home=shelf.store.root.parent, environment="test"), [SHOP])
    searchers.poll()
    try:
        with searchers.borrowed(SHOP) as old:
            newest = shelf.publish(500)
            searchers.poll()
            with searchers.borrowed(SHOP) as new:
                assert new.manifest == newest and new is not old
            assert len(old.searcher.search("lamp")) == 10, "it was closed under a request"
        with pytest.raises(Exception, match="this reader was closed"):
            old.searcher.search("lamp")
        assert new.searcher.embedder is old.searcher.embedder
    finally:
        searchers.stop()


def test_a_server_that_is_away_is_a_503_with_the_remedy(searching: tuple[Searching, Searchers, Scoring]) -> None:
    asked, _, scoring = searching
    settings = load_settings(home=asked.searchers.settings.home, environment="test", qdrant_url="http://127.0.0.1:1")
    searchers = Searchers(settings, [SHOP])
    searchers.poll()
    with pytest.raises(HTTPException) as caught:
        asyncio.run(Searching(asked.shops, searchers, scoring).answer(SearchRequest(shop=SHOP, text="lamp")))
    assert caught.value.status_code == 503 and "QDRANT_URL" in str(caught.value.detail)
