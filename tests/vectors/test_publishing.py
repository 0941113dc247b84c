"""What a publication writes, takes over, refuses and removes, and what readers see of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from qdrant_client import QdrantClient
from qdrant_client import models as m

from resources.settings import load_settings
from resources.vectors import collection, connect
from resources.vectors.collection import CollectionError, Content, Point, point_id
from resources.vectors.folder import FolderStore
from resources.vectors.server import ServerStore, connect_server
from resources.vectors.store import Store, open_store
from tests.vectors.conftest import SERVERS, server_store
from tests.vectors.made import DIMENSION, FEW, SHOP, Made, check, made, point, publish, sparse, unit


def kept(folder: FolderStore) -> list[int]:
    root = folder.root / f"{SHOP}_products"
    assert not (root / "drafts").exists()
    return sorted(int(version.name) for version in (root / "versions").iterdir())


def test_nothing_published_is_an_error_with_the_remedy(store: Store) -> None:
    assert store.manifest(SHOP) is None
    with pytest.raises(CollectionError, match=r"no products of made were published yet. Remedy: cartograph material"):
        store.reader(SHOP)
    with pytest.raises(CollectionError, match="no products of made were published yet"):
        store.weigh(SHOP, {"dense": 1.0, "bm25": 1.0})


def test_the_first_publication_answers(store: Store) -> None:
    done = publish(store, made(60))
    assert (done.version, done.points, done.recall) == (1, 60, 1.0) and done == store.manifest(SHOP)
    with store.reader(SHOP) as reader:
        check(reader, made(60))
        assert reader.manifest == done


def test_the_same_content_is_not_published_twice(store: Store) -> None:
    first, asked = publish(store, made(60)), list[str]()
    assert publish(store, made(60), asked) == first
    assert asked == []


def test_changed_new_and_gone_points_are_answered_new(store: Store) -> None:
    publish(store, made(100))
    after = made(100).changed({"p010": 500, "p150": 7}, gone=["p020", "p099"])
    assert publish(store, after).version == 2
    with store.reader(SHOP) as reader:
        check(reader, after)
        changed = reader.scroll(m.Filter(must=[m.FieldCondition(key="price", range=m.Range(gte=500))]))[0]
        assert [record.id for record in changed] == [point_id("p010")]
        assert reader.query_points(point("p150", 7).dense, "dense", limit=1).points[0].id == point_id("p150")


def test_only_what_changed_is_read_and_written(begun: FolderStore) -> None:
    asked: list[str] = []
    publish(begun, made(40).changed({"p010": 500, "p150": 7}, gone=["p020"]), asked)
    assert asked == ["p010", "p150"]


@pytest.mark.parametrize(
    "changes",
    [{"embedder": "made/2"}, {"fields": {**FEW, "brand": "keyword"}}],
    ids=["embedder", "fields"],
)
def test_another_embedder_or_other_fields_make_all_points_anew(begun: FolderStore, changes: dict) -> None:
    asked: list[str] = []
    done = publish(begun, replace(made(40), **changes), asked)
    assert done.version == 2 and len(asked) == 40


def test_another_dimension_makes_all_points_anew(store: Store) -> None:
    publish(store, made(60))
    publish(store, replace(made(60), embedder="made/2", dimension=8))
    with store.reader(SHOP) as reader:
        assert len(reader.query_points(unit(1, 8), "dense").points) == 10


@pytest.mark.parametrize(("changed", "gone", "read"), [(6, 2, 6), (6, 3, 37), (0, 9, 31), (9, 0, 40)])
def test_beyond_a_fifth_of_changes_all_points_are_made_anew(
    begun: FolderStore, changed: int, gone: int, read: int
) -> None:
    asked: list[str] = []
    after = made(40).changed(
        {f"p{at:03d}": 500 + at for at in range(changed)}, gone=[f"p{39 - at:03d}" for at in range(gone)]
    )
    publish(begun, after, asked)
    assert len(asked) == read
    with begun.reader(SHOP) as reader:
        check(reader, after)


def test_the_last_two_versions_are_kept(store: Store) -> None:
    for number in range(3):
        publish(store, made(40).changed({"p000": 500 + number}))
    if isinstance(store, FolderStore):
        assert kept(store) == [2, 3]
    else:
        assert isinstance(store, ServerStore)
        names = {one.name for one in store.client.get_collections().collections}
        assert {name for name in names if name.startswith(SHOP)} == {"made_products_000002", "made_products_000003"}


def test_readers_stay_on_their_version_until_all_of_them_are_closed(begun: FolderStore) -> None:
    first = made(40)
    readers = [begun.reader(SHOP), begun.reader(SHOP)]
    for number in range(2):
        publish(begun, first.changed({"p000": 500 + number}))
        check(readers[0], first)
    assert kept(begun) == [1, 2, 3]
    readers[0].close()
    publish(begun, first.changed({"p000": 502}))
    assert kept(begun) == [1, 3, 4]
    check(readers[1], first)
    readers[1].close()
    publish(begun, first.changed({"p000": 503}))
    assert kept(begun) == [4, 5]


def test_a_reader_of_a_server_moves_on_when_its_version_was_removed(server: ServerStore) -> None:
    publish(server, made(40))
    reader = server.reader(SHOP)
    publish(server, made(40).changed({"p000": 500}))
    check(reader, made(40))
    after = made(40).changed({"p000": 501})
    publish(server, after)
    check(reader, after)
    assert reader.manifest.version == 3


def test_closing_a_reader_leaves_others_of_the_store_open(store: Store) -> None:
    publish(store, made(40))
    with store.reader(SHOP) as other:
        store.reader(SHOP).close()
        check(other, made(40))
    check(store.reader(SHOP), made(40))


def test_a_closed_reader_says_so(begun: FolderStore) -> None:
    reader = begun.reader(SHOP)
    reader.close()
    reader.close()
    for ask in (reader.count, reader.scroll, lambda: reader.query_points(unit(1), "dense")):
        with pytest.raises(CollectionError, match=r"this reader was closed. Remedy: open another"):
            ask()


def content_of(points: Sequence[Point], products: Sequence[str]) -> Content:
    def read(asked: Sequence[str]) -> Iterator[Sequence[Point]]:
        yield points

    return Content({product: f"another {product}" for product in products}, read)


GOOD = [point(f"p{at:03d}", at) for at in range(5)]
NAN = replace(GOOD[2], dense=[float("nan")] * DIMENSION)
BROKEN: dict[str, tuple[list[Point], str]] = {
    "twice": ([*GOOD, GOOD[0]], "the point 'p000' comes twice, or was not asked for"),
    "not asked for": ([*GOOD, point("p009", 9)], "the point 'p009' comes twice, or was not asked for"),
    "missing": (GOOD[:3], "2 points are missing, such as 'p003'"),
    "none": ([], "5 points are missing, such as 'p000'"),
    "no numbers": ([*GOOD[:2], NAN, *GOOD[3:]], "the vector of 'p002' has the length nan, and must have 1"),
    "no unit": ([replace(GOOD[0], dense=[0.0] * DIMENSION), *GOOD[1:]], "the vector of 'p000' has the length 0.0"),
    "dimension": ([replace(GOOD[0], dense=unit(1, 8)), *GOOD[1:]], "the vector of 'p000' has 8 numbers, not 16"),
    "weights": ([replace(GOOD[0], sparse=([1, 2], [1.0])), *GOOD[1:]], "the words of 'p000' must have one finite"),
    "no weights": ([replace(GOOD[0], sparse=([1], [float("inf")])), *GOOD[1:]], "the words of 'p000' must have"),
}


@pytest.fixture(scope="module", params=("folder", *SERVERS))
def standing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with 30 products, which refused publications leave as it is."""
    home = tmp_path_factory.mktemp("standing")
    stores = iter([FolderStore(home)]) if request.param == "folder" else server_store(request.param, home)
    for store in stores:
        publish(store, made(30))
        yield store
        after = made(30).changed({"p000": 500})
        publish(store, after)
        with store.reader(SHOP) as reader:
            check(reader, after)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_points_are_refused_and_the_last_version_stays(standing: Store, name: str) -> None:
    points, message = BROKEN[name]
    wanted = made(30).manifest().with_(content="another")
    with pytest.raises(CollectionError, match=message):
        standing.publish(wanted, content_of(points, [one.id for one in GOOD]), print)
    with standing.reader(SHOP) as reader:
        check(reader, made(30))
        assert reader.manifest.version == 1


def test_an_index_that_finds_too_little_is_not_published(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(store, made(40))
    with monkeypatch.context() as patched:
        patched.setattr(collection, "LEAST_RECALL", 1.01)
        with pytest.raises(CollectionError, match=r"made_products_000002: .* 1.000 .* 1.01 must be. Remedy: publish"):
            publish(store, made(40).changed({"p000": 500}))
    with store.reader(SHOP) as reader:
        check(reader, made(40))


def test_a_collection_of_nothing_is_published_and_answers_nothing(store: Store) -> None:
    empty = Made({})
    assert publish(store, empty).points == 0
    with store.reader(SHOP) as reader:
        check(reader, empty)
        indices, values = sparse("red lamp")
        legs = [
            m.Prefetch(query=unit(1), using="dense"),
            m.Prefetch(query=m.SparseVector(indices=indices, values=values), using="bm25"),
        ]
        assert reader.query_points(m.FusionQuery(fusion=m.Fusion.DBSF), prefetch=legs).points == []
    publish(store, made(30))
    publish(store, empty.changed({}))
    with store.reader(SHOP) as reader:
        check(reader, empty)


def test_weights_change_in_the_published_version(store: Store) -> None:
    done = publish(store, made(30))
    store.weigh(SHOP, {"dense": 2.0, "bm25": 0.5})
    assert store.manifest(SHOP) == done.with_(weights={"dense": 2.0, "bm25": 0.5})
    with store.reader(SHOP) as reader:
        check(reader, made(30))


def test_two_publishers_at_once_are_refused_and_neither_harms_the_other(begun: FolderStore) -> None:
    after = made(40).changed({"p000": 500})
    refused: list[str] = []

    def read(products: Sequence[str]) -> Iterator[Sequence[Point]]:
        for act in (
            lambda: publish(begun, made(40).changed({"p001": 501})),
            lambda: begun.weigh(SHOP, {"dense": 2.0}),
        ):
            with pytest.raises(CollectionError, match=r"another process publishes the products of made. Remedy: wait"):
                act()
            refused.append("refused")
        yield from after.content().read(products)

    done = begun.publish(after.manifest(), Content(after.hashes(), read), print)
    assert done.version == 2 and len(refused) == 2
    with begun.reader(SHOP) as reader:
        check(reader, after)


def test_a_copy_takes_no_more_room_than_what_it_holds(begun: FolderStore) -> None:
    publish(begun, made(40).changed({"p000": 500}))
    rooms = [
        sum(path.stat().st_blocks for path in (begun.root / f"{SHOP}_products/versions/{name}").rglob("*"))
        for name in ("000001", "000002")
    ]
    assert rooms[1] < 1.5 * rooms[0]


def test_small_changes_answer_as_a_collection_that_was_made_at_once(begun: FolderStore, tmp_path: Path) -> None:
    after = made(40)
    for step in range(2):
        after = after.changed({f"p{step:03d}": 500 + step, f"p{100 + step}": step}, gone=[f"p{20 + step:03d}"])
        publish(begun, after)
    at_once = FolderStore(tmp_path / "at once")
    publish(at_once, after)
    indices, values = sparse("golden clock")
    words = m.SparseVector(indices=indices, values=values)
    with begun.reader(SHOP) as ours, at_once.reader(SHOP) as theirs:
        for query, using in ((words, "bm25"), (unit(3), "dense")):
            pages = [
                [(hit.id, round(hit.score, 4)) for hit in reader.query_points(query, using).points]
                for reader in (ours, theirs)
            ]
            assert pages[0] == pages[1]


def test_the_settings_choose_the_store(tmp_path: Path) -> None:
    settings = load_settings(_env_file=None, home=tmp_path, environment="test")
    store = open_store(settings)
    assert isinstance(store, FolderStore)
    publish(store, made(30))
    with connect(SHOP, settings) as reader:
        check(reader, made(30))
    away = load_settings(_env_file=None, home=tmp_path, environment="test", qdrant_url="http://127.0.0.1:9")
    assert isinstance(open_store(away), ServerStore)
    with pytest.raises(
        CollectionError, match=r"no Qdrant server answers: .* Remedy: start the one that QDRANT_URL names"
    ):
        connect(SHOP, away)


def test_a_server_that_goes_away_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    away = load_settings(_env_file=None, home=tmp_path, environment="test", qdrant_url="http://127.0.0.1:9")
    store = ServerStore(connect_server(away), away)
    with pytest.raises(CollectionError, match="no Qdrant server answers"):
        publish(store, made(30))


def test_a_collection_of_others_under_our_name_is_not_touched(server: ServerStore) -> None:
    publish(server, made(30))
    server.client.update_collection("made_products_000001", metadata={"manifest": '{"shop": "made"'})
    with pytest.raises(
        CollectionError, match=r"made_products_000001: the metadata .* Remedy: remove the alias made_prod"
    ):
        publish(server, made(30))
    server.client.create_collection("made_products_000007", vectors_config={})
    server.client.update_collection_aliases(
        [
            m.DeleteAliasOperation(delete_alias=m.DeleteAlias(alias_name="made_products")),
            m.CreateAliasOperation(
                create_alias=m.CreateAlias(collection_name="made_products_000007", alias_name="made_products")
            ),
        ]
    )
    with pytest.raises(CollectionError, match=r"was not published by Cartograph. Remedy: remove the alias"):
        publish(server, made(30))
    assert server.client.collection_exists("made_products_000007")


def test_quantised_vectors_are_found_as_well(tmp_path: Path) -> None:
    settings = load_settings(_env_file=None, home=tmp_path, environment="test", qdrant_quantization="int8")
    store = ServerStore(QdrantClient(":memory:"), settings)
    assert publish(store, made(30)).recall >= 0.95
