"""A version whose files were cut short or lost: an error that names the file, and a next publication that mends it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.vectors.collection import CollectionError
from resources.vectors.folder import FolderStore
from tests.vectors.made import SHOP, check, made, publish

CONTENT = made(40)


def version_of(store: FolderStore) -> Path:
    return store.root / f"{SHOP}_products" / "versions" / "000001"


def files_of(store: FolderStore) -> list[Path]:
    return sorted(path for path in version_of(store).rglob("*") if path.is_file())


def test_a_version_without_any_one_of_its_files_is_refused(whole: FolderStore) -> None:
    files = files_of(whole)
    assert len(files) > 30
    for path in files:
        aside = path.rename(path.with_name("aside"))
        with pytest.raises(CollectionError) as raised:
            whole.reader(SHOP)
        assert f"{path}: this file is missing. Remedy: cartograph materialize" in str(raised.value)
        aside.rename(path)
    with whole.reader(SHOP) as reader:
        check(reader, CONTENT)


def test_a_version_with_any_one_file_cut_short_is_refused_and_does_not_kill_the_reader(whole: FolderStore) -> None:
    for path in files_of(whole):
        size = path.stat().st_size
        aside = path.rename(path.with_name("aside"))
        for left in {size // 2, max(size - 1, 0)} - {size}:
            with aside.open("rb") as read:
                path.write_bytes(read.read(min(left, 1 << 20)))
            with pytest.raises(CollectionError) as raised:
                whole.reader(SHOP)
            assert str(path) in str(raised.value) and "Remedy: cartograph materialize" in str(raised.value)
            path.unlink()
        aside.rename(path)
    with whole.reader(SHOP) as reader:
        check(reader, CONTENT)


def test_a_version_without_an_empty_folder_is_refused(whole: FolderStore) -> None:
    empty = [path for path in version_of(whole).rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert empty
    for path in empty:
        path.rmdir()
        with pytest.raises(CollectionError, match=f"{path}.*missing"):
            whole.reader(SHOP)
        path.mkdir()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def pointer(store: FolderStore) -> Path:
    return store.root / f"{SHOP}_products" / "current.json"


def strip(store: FolderStore, name: str) -> None:
    path = pointer(store)
    found = json.loads(path.read_text())
    del found[name]
    path.write_text(json.dumps(found))


DAMAGES: dict[str, tuple[Callable[[FolderStore], object], str]] = {
    "pointer cut": (lambda store: cut(pointer(store)), "current.json: this is no manifest of a collection"),
    "pointer empty": (lambda store: pointer(store).write_bytes(b""), "current.json: this is no manifest"),
    "pointer without a value": (lambda store: strip(store, "version"), "current.json: this is no manifest"),
    "pointer with text for a number": (
        lambda store: pointer(store).write_text(
            pointer(store).read_text().replace('"points": ', '"points": "x",  "p": ')
        ),
        "current.json: this is no manifest of a collection .points: Input should be a valid integer",
    ),
    "pointer away": (lambda store: pointer(store).unlink(), "no products of made were published yet"),
    "manifest away": (lambda store: (version_of(store) / "manifest.json").unlink(), "manifest.json: this file is miss"),
    "lock away": (lambda store: (version_of(store) / "held").unlink(), "held: this file is missing"),
    "list of files cut": (lambda store: cut(version_of(store) / "files.json"), "files.json: this file is no JSON"),
    "list of points cut": (lambda store: cut(version_of(store) / "points.json"), "points.json: this file has .* bytes"),
    "settings cut": (lambda store: cut(next(version_of(store).rglob("segment.json"))), "segment.json: this file is no"),
    "other settings": (
        lambda store: next(version_of(store).rglob("segment.json")).write_text("{}"),
        "shard: the engine cannot load this shard",
    ),
    "version away": (lambda store: shutil.rmtree(version_of(store)), "held: this file is missing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_next_publication_makes_a_damaged_collection_anew(begun: FolderStore, name: str) -> None:
    damage, message = DAMAGES[name]
    damage(begun)
    with pytest.raises(CollectionError, match=f"{message}.* Remedy: cartograph materialize"):
        begun.reader(SHOP)
    asked: list[str] = []
    done = publish(begun, CONTENT, asked)
    assert done.version == 2 and len(asked) == 40
    with begun.reader(SHOP) as reader:
        check(reader, CONTENT)


def test_a_damaged_old_version_is_removed_in_its_turn(begun: FolderStore) -> None:
    (version_of(begun) / "held").unlink()
    for number in (1, 2):
        publish(begun, CONTENT.changed({"p000": 500 + number}))
    assert sorted(path.name for path in version_of(begun).parent.iterdir()) == ["000002", "000003"]


def test_a_reader_outlives_a_lost_pointer_and_the_publication_after_it(begun: FolderStore) -> None:
    with begun.reader(SHOP) as reader:
        pointer(begun).unlink()
        assert publish(begun, CONTENT.changed({"p000": 500})).version == 2
        check(reader, CONTENT)
        assert version_of(begun).exists()
