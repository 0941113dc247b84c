"""A publisher or reader that is killed at any place: readers find whole collections, and the next publication works."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from resources.failpoints import PUBLISH
from resources.settings import PROJECT_ROOT
from resources.vectors.collection import CollectionError
from resources.vectors.folder import FolderStore
from resources.vectors.server import ServerStore
from resources.vectors.store import Store
from tests.serving.rig import wait_until
from tests.vectors.children import POINTS, Children, after, open_at
from tests.vectors.made import SHOP, check, publish

FOLDERS_ONLY = {"publish.copying"}
"""A server gets all points anew."""
STEPS = [
    (kind, failpoint)
    for kind in ("folder", "server")
    for failpoint in PUBLISH
    if kind == "folder" or failpoint not in FOLDERS_ONLY
]
SWITCHED = PUBLISH[PUBLISH.index("publish.switched") :]
ROUNDS = 10


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    started = Children()
    yield started
    started.close()


@pytest.fixture(scope="module")
def standing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A home with two versions, so that the next publication removes one."""
    kind, home = request.param, tmp_path_factory.mktemp("killed")
    for number in (1, 2):
        use(kind, home, lambda store, number=number: publish(store, after(number)))
    return kind, home


def use(kind: str, home: Path, work: Callable[[Store], object]) -> None:
    """The engine of a client lets one process at a time at its files."""
    store = open_at(kind, home)
    try:
        work(store)
    finally:
        if isinstance(store, ServerStore):
            store.client.close()


def check_answers(store: Store, number: int) -> None:
    with store.reader(SHOP) as reader:
        check(reader, after(number))


@pytest.mark.parametrize(("standing", "failpoint"), STEPS, indirect=["standing"], scope="module")
def test_a_publisher_killed_at_any_step_leaves_a_whole_version(
    standing: tuple[str, Path], children: Children, failpoint: str
) -> None:
    kind, home = standing
    before, number = numbers_of(kind, home)
    assert children.run("publish", kind, home, number, failpoint) == -signal.SIGKILL, "it never came by"
    answered = number if failpoint in SWITCHED else before
    use(kind, home, lambda store: check_answers(store, answered))
    assert children.run("publish", kind, home, number + 1, "") == 0
    use(kind, home, lambda store: check_clean(store, number + 1))


def numbers_of(kind: str, home: Path) -> tuple[int, int]:
    """What is published, and what comes next."""
    found = []

    def look(store: Store) -> None:
        with store.reader(SHOP) as reader:
            price = reader.query_points(limit=POINTS, with_payload=["price"]).points
            found.append(round(max(point.payload["price"] for point in price if point.payload) - 500.25))

    use(kind, home, look)
    return found[0], found[0] + 1


def check_clean(store: Store, number: int) -> None:
    check_answers(store, number)
    if isinstance(store, FolderStore):
        root = store.root / f"{SHOP}_products"
        assert {path.name for path in root.iterdir()} == {"current.json", "publishing", "versions"}
        assert len(list((root / "versions").iterdir())) == 2
    else:
        assert isinstance(store, ServerStore)
        assert len(store.client.get_collections().collections) == 2


@pytest.mark.parametrize("failpoint", ["publish.begun", "publish.sealed"])
def test_a_killed_first_publication_leaves_nothing_to_read(children: Children, tmp_path: Path, failpoint: str) -> None:
    store = FolderStore(tmp_path)
    assert children.run("publish", "folder", tmp_path, 1, failpoint) == -signal.SIGKILL
    with pytest.raises(CollectionError, match="no products of made were published yet"):
        store.reader(SHOP)
    publish(store, after(1))
    check_answers(store, 1)


def test_a_publisher_killed_while_the_index_is_built_does_not_disturb_the_next(
    children: Children, begun: FolderStore
) -> None:
    child = children.start("publish", "folder", begun.root, 2, "")
    # The index is built in a process below it, which lives on for a while.
    wait_until(psutil.Process(child).children, pause=0.005)
    os.kill(child, signal.SIGKILL)
    assert children.start("join", child) == -signal.SIGKILL
    publish(begun, after(3))
    check_answers(begun, 3)
    publish(begun, after(4))
    check_clean(begun, 4)


def test_a_killed_reader_leaves_no_lock(children: Children, tmp_path: Path) -> None:
    home, ready = tmp_path / "vectors", tmp_path / "ready"
    store = FolderStore(home)
    publish(store, after(1))
    child = children.start("hold", home, ready)
    wait_until(ready.exists)
    for number in (2, 3):
        publish(store, after(number))
    versions = home / f"{SHOP}_products" / "versions"
    assert sorted(path.name for path in versions.iterdir()) == ["000001", "000002", "000003"]
    os.kill(child, signal.SIGKILL)
    assert children.start("join", child) == -signal.SIGKILL
    publish(store, after(4))
    assert sorted(path.name for path in versions.iterdir()) == ["000003", "000004"]


def test_readers_that_open_while_versions_come_find_whole_ones(children: Children, tmp_path: Path) -> None:
    home, stop = tmp_path / "vectors", tmp_path / "stop"
    store = FolderStore(home)
    publish(store, after(1))
    logs = [tmp_path / f"opened {number}" for number in range(3)]
    readers = [children.start("open", home, stop, log) for log in logs]
    try:
        for number in range(2, 2 + ROUNDS):
            assert publish(store, after(number)).version == number
            wait_until(lambda number=number: all(log.exists() and number in opened(log) for log in logs))
    finally:
        stop.touch()
    assert [children.start("join", reader) for reader in readers] == [0, 0, 0]
    for log in logs:
        assert opened(log) == sorted(opened(log)) and len(set(opened(log))) >= ROUNDS


def opened(log: Path) -> list[int]:
    """The versions that a reader has opened, one after the other."""
    return [int(line) for line in log.read_text().splitlines()]


def test_every_failpoint_is_named() -> None:
    for module, names in (("folder", set(PUBLISH)), ("server", set(PUBLISH) - FOLDERS_ONLY)):
        code = (PROJECT_ROOT / f"resources/vectors/{module}.py").read_text()
        assert all(code.count(f'failpoint("{name}")') == 1 for name in names)
        assert code.count('failpoint("') == len(names)
