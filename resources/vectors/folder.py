"""Collections in a folder: immutable versions of Qdrant Edge, a pointer that is switched, and locks that die with us.

    <home>/vectors/<shop>_products/
        current.json                the manifest of the version that readers open, replaced by a rename
        publishing                  locked by the one that publishes
        drafts/                     what is being written or removed; nobody reads it
        versions/<version>/         manifest.json, points.json, files.json, held, shard/

A version is written in `drafts`, checked, synced and renamed into `versions`; then the pointer is replaced. Killed at
any step, the old version answers, and the next publisher removes what was left. A shard is written without a log of its
own, so that many processes may open it at once.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources.failpoints import failpoint
from resources.far import Say
from resources.filesystem import whole_file
from resources.vectors import edge
from resources.vectors.collection import (
    KEPT,
    CollectionError,
    Content,
    Manifest,
    again,
    alias_of,
    batches,
    check_recall,
    unpublished,
)
from resources.vectors.reader import EdgeReader

REWRITTEN = 0.2
"""Where more of the points changed than this, all are written anew instead of changing a copy of the last version."""
MUTABLE = {"edge_config.json", "segment.json"}
"""Files of a shard that a reader writes again, with the same content in other bytes."""
BLOCK = 1 << 20
"""Bytes that are copied at once."""


class FolderStore:
    """The collections of a home, in folders."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def manifest(self, shop: str) -> Manifest | None:
        """That of the published version, None before the first."""
        return self._of(shop).manifest()

    def reader(self, shop: str) -> EdgeReader:
        """
        Raises:
            CollectionError: nothing was published for the shop, or its files are not whole.
        """
        return self._of(shop).reader()

    def publish(self, wanted: Manifest, content: Content, say: Say) -> Manifest:
        """Write the next version, check it, and let readers see it. Only one may publish for a shop at a time.

        What did not change since the last version is taken over from it. Where nothing changed, the last version stays.

        Args:
            wanted: the manifest but for what this finds out: version, points, recall and the time.

        Returns:
            The manifest of the version that is published now.

        Raises:
            CollectionError: the version does not hold what it should, or does not find it; the last one stays.
        """
        return self._of(wanted.shop).publish(wanted, content, say)

    def weigh(self, shop: str, weights: Mapping[str, float]) -> None:
        """Change what a hit of each vector counts in hybrid searches, in the published version."""
        self._of(shop).weigh(weights)

    def _of(self, shop: str) -> _Folder:
        return _Folder(self.root / alias_of(shop), shop)


class _Folder:
    """The versions of one shop."""

    def __init__(self, root: Path, shop: str) -> None:
        self.root, self.shop = root, shop
        self.pointer, self.drafts, self.versions = root / "current.json", root / "drafts", root / "versions"

    def manifest(self) -> Manifest | None:
        try:
            return Manifest.from_json(self.pointer.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise CollectionError(
                f"{self.pointer}: this is no manifest of a collection ({error}). Remedy: {again(self.shop)}"
            ) from error

    def folder(self, version: int) -> Path:
        return self.versions / f"{version:06d}"

    def reader(self) -> EdgeReader:
        while True:
            manifest = self.manifest()
            if manifest is None:
                raise unpublished(self.shop)
            with contextlib.ExitStack() as stack:
                folder = self.folder(manifest.version)
                try:
                    stack.enter_context(_held(folder / "held"))
                    whole(folder)
                    shard = edge.load(folder / "shard")
                except FileNotFoundError as error:
                    if self.manifest() != manifest:
                        continue  # two newer versions were published since the pointer was read
                    raise CollectionError(
                        f"{error.filename}: this file is missing. Remedy: {again(self.shop)}"
                    ) from error
                except CollectionError as error:
                    raise CollectionError(f"{error} Remedy: {again(self.shop)}") from error
                return EdgeReader(manifest, shard, stack.pop_all())

    def publish(self, wanted: Manifest, content: Content, say: Say) -> Manifest:
        with self._alone():
            last, published = self._last(say)
            numbers = self._numbers()
            # A number is not given twice: a reader may still hold the one that has it.
            version = 1 + max([*numbers, published or 0])
            # Nobody reads what a publisher that was killed has left; where it cannot be known what is read, all stays.
            self._remove([] if published is None else [number for number in numbers if number > published])
            if last is not None and last.is_like(wanted) and last.content == wanted.content:
                return last
            done = self._made(wanted.with_(version=version), last, content, say)
            self._point(done)
            failpoint("publish.switched")
            self._remove(self._numbers()[:-KEPT])
            return done

    def _made(self, wanted: Manifest, last: Manifest | None, content: Content, say: Say) -> Manifest:
        """Write a version, and give it its place."""
        # What a killed publisher has started may still be writing into its draft: none is used twice.
        draft = self.drafts / f"{wanted.version:06d}-{uuid.uuid4().hex}"
        draft.mkdir(parents=True)
        failpoint("publish.begun")
        changed, gone = set(content.hashes), set[str]()
        if last is not None and last.is_like(wanted):
            before = json.loads((self.folder(last.version) / "points.json").read_text(encoding="utf-8"))
            delta = {product for product, value in content.hashes.items() if before.get(product) != value}
            missing = before.keys() - content.hashes.keys()
            if len(delta) + len(missing) <= REWRITTEN * len(before):
                changed, gone = delta, missing
                _copy_shard(self.folder(last.version), draft)
                say(f"{len(changed):,} points changed and {len(gone):,} gone since version {last.version}")
        self._write(draft, wanted, content, sorted(changed), sorted(gone), say)
        failpoint("publish.written")
        _optimize(draft / "shard")
        failpoint("publish.indexed")
        done = self._checked(draft, wanted, content)
        failpoint("publish.checked")
        (draft / "points.json").write_text(json.dumps(dict(content.hashes)), encoding="utf-8")
        (draft / "manifest.json").write_text(done.to_json(), encoding="utf-8")
        (draft / "held").touch()
        (draft / "files.json").write_text(json.dumps(_sizes(draft)), encoding="utf-8")
        _sync_all(draft)
        self.versions.mkdir(exist_ok=True)
        os.rename(draft, self.folder(done.version))
        _sync(self.versions)
        failpoint("publish.sealed")
        return done

    def weigh(self, weights: Mapping[str, float]) -> None:
        with self._alone():
            manifest = self.manifest()
            if manifest is None:
                raise unpublished(self.shop)
            if dict(weights) != dict(manifest.weights):
                self._point(manifest.with_(weights=dict(weights)))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """
        Raises:
            CollectionError: another publishes.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        lock = self.root / "publishing"
        lock.touch()
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(_held(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise CollectionError(
                    f"{lock}: another process publishes the products of {self.shop}. Remedy: wait until it is "
                    "done, and publish again"
                ) from error
            yield

    def _last(self, say: Say) -> tuple[Manifest | None, int | None]:
        """The last version, None where there is none that can be read: then all is written anew.

        Besides it the number that is published: 0 before the first, None where it cannot be known.
        """
        published: int | None = None
        try:
            last = self.manifest()
            published = 0 if last is None else last.version
            if last is not None:
                whole(self.folder(last.version))
                edge.load(self.folder(last.version) / "shard").close()
        except (CollectionError, FileNotFoundError) as error:
            say(f"the published version cannot be built upon: {error}")
            return None, published
        return last, published

    def _numbers(self) -> list[int]:
        """The versions that are there."""
        return sorted(int(folder.name) for folder in self.versions.glob("[0-9]*"))

    def _write(
        self, draft: Path, wanted: Manifest, content: Content, changed: list[str], gone: list[str], say: Say
    ) -> None:
        shard_folder = draft / "shard"
        is_copy = shard_folder.exists()
        shard = edge.load(shard_folder) if is_copy else edge.create(shard_folder, wanted.dimension, wanted.fields)
        try:
            if gone:
                edge.delete(shard, gone)
            written = 0
            for batch in batches(content, changed, wanted.dimension):
                edge.upsert(shard, batch)
                written += len(batch)
                if written % 10_000 < len(batch):
                    say(f"{written:,} of {len(changed):,} points written")
            shard.flush()
        finally:
            shard.close()

    def _checked(self, draft: Path, wanted: Manifest, content: Content) -> Manifest:
        """The manifest with what was found out.

        Raises:
            CollectionError: other points are there than shall be, or the index finds too few of them.
        """
        shard = edge.load(draft / "shard")
        try:
            there = {record.payload[edge.PRODUCT] for record in edge.records(shard)}
            if there != content.hashes.keys() or edge.count(shard) != len(there):
                raise CollectionError(
                    f"{wanted.name}: {len(there - content.hashes.keys())} points too many and "
                    f"{len(content.hashes.keys() - there)} missing. Remedy: {again(self.shop)}"
                )
            recall = check_recall(wanted.name, edge.recall(shard))
        finally:
            shard.close()
        return wanted.with_(points=len(there), recall=recall, made_at=datetime.now(UTC).isoformat(timespec="seconds"))

    def _point(self, manifest: Manifest) -> None:
        with whole_file(str(self.root), self.pointer.name) as stream:
            stream.write(manifest.to_json().encode("utf-8"))

    def _remove(self, numbers: Iterable[int]) -> None:
        """Remove versions but those that a reader holds, and all drafts."""
        for folder in map(self.folder, numbers):
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(_held(folder / "held", fcntl.LOCK_EX | fcntl.LOCK_NB))
                except BlockingIOError:
                    continue
                except FileNotFoundError:
                    if not folder.exists():
                        continue
                    # Nobody can open a version without this file.
                # The name goes first, so that a reader who comes now sees no part of it.
                self.drafts.mkdir(exist_ok=True)
                os.rename(folder, self.drafts / f"{folder.name}-{uuid.uuid4().hex}")
                failpoint("publish.removing")
        # What a killed publisher has started may still be writing there; what it leaves, the next one removes.
        shutil.rmtree(self.drafts, ignore_errors=True)


def whole(folder: Path) -> None:
    """Check that the files of a version are as long as they were written.

    The engine maps them into memory: one that was cut short would kill the process that reads it.

    Raises:
        FileNotFoundError: one is missing.
        CollectionError: one has another length, or is no JSON.
    """
    for name, expected in _listed(folder).items():
        path = folder / name
        if path.name in MUTABLE:
            _json(path)
        elif (found := path.stat().st_size) != expected and not name.endswith("/"):
            raise CollectionError(f"{path}: this file has {found:,} bytes, and was written with {expected:,}.")


def _listed(folder: Path) -> dict[str, int]:
    """The files of a version and their bytes, and its folders, whose names end in a slash, before what is in them."""
    listed: dict[str, int] = _json(folder / "files.json")
    return listed


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CollectionError(f"{path}: this file is no JSON ({error}).") from error


def _copy_shard(version: Path, draft: Path) -> None:
    """Copy what was written into a shard, and not what a reader may be writing beside it."""
    for name in _listed(version):
        if not name.startswith("shard/"):
            continue
        if name.endswith("/"):
            (draft / name).mkdir()
        else:
            _copy_sparse(version / name, draft / name)
            failpoint("publish.copying")


def _copy_sparse(source: Path, copy: Path) -> None:
    """Copy a file without its holes, which are most of it: the engine makes its files larger than what they hold."""
    with source.open("rb") as read, copy.open("wb") as write:
        size = os.fstat(read.fileno()).st_size
        write.truncate(size)
        at = 0
        while at < size:
            try:
                at = os.lseek(read.fileno(), at, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return  # nothing but a hole follows
            end = os.lseek(read.fileno(), at, os.SEEK_HOLE)
            while at < end:
                at += os.pwrite(write.fileno(), os.pread(read.fileno(), min(end - at, BLOCK), at), at)


def _optimize(shard: Path) -> None:
    """In a process of its own: the engine would hold this interpreter for as long as it works."""
    done = subprocess.run([sys.executable, "-m", edge.__name__, str(shard)], capture_output=True, text=True)
    if done.returncode != 0:
        raise CollectionError(
            f"{shard}: the index could not be built (exit {done.returncode}): {done.stderr.strip()[-500:]}"
        )


@contextlib.contextmanager
def _held(path: Path, how: int = fcntl.LOCK_SH) -> Iterator[None]:
    """A lock on a file that must be there; the system drops it when this process dies."""
    with path.open("rb") as file:
        fcntl.flock(file, how)
        yield


def _sizes(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix() + ("/" if path.is_dir() else ""): path.stat().st_size
        for path in sorted(folder.rglob("*"))
    }


def _sync_all(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
