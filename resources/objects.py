"""Object sources: objects under a prefix of S3, and files of a folder or of another pyarrow filesystem, in one way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from resources import s3
from resources.far import ObjectError, Say
from resources.filesystem import filesystem, whole_file
from resources.settings import Settings
from resources.shops import Shop, Table

if TYPE_CHECKING:
    from pyarrow import fs


@dataclass(frozen=True)
class ObjectInfo:
    """One object as a listing shows it."""

    name: str
    """Its path below the source's location, taken literally: no character of it is decoded."""
    uri: str
    size: int
    fingerprint: str
    """Changes whenever the bytes may have changed; equal fingerprints of one URI mean equal bytes."""
    fault: str = ""
    """Why it cannot be opened, where the listing shows that already, and after a semicolon the remedy."""
    changed_ns: int = 0
    """When its bytes came to be there, in nanoseconds since 1970."""
    etag: str = ""
    """What S3 calls its bytes."""


class ObjectStore:
    """The objects of one shop's source."""

    def __init__(self, location: str, say: Say = s3.announce) -> None:
        """
        Args:
            say: told of every wait for a far source.
        """
        self.location, self.say = location.rstrip("/"), say

    @property
    def is_far(self) -> bool:
        """Whether it is on S3, where every look at it is paid for and an object that is listed is whole."""
        return s3.is_s3(self.location)

    def list(self) -> list[ObjectInfo]:
        """All objects, by name. Hidden and unfinished files (`.part`) are left out; a missing folder is empty.

        Raises:
            SourceError: a far source cannot be listed.
        """
        return sorted(self._listed_s3() if self.is_far else self._listed(), key=lambda item: item.name)

    def _listed_s3(self) -> Iterator[ObjectInfo]:
        _, prefix = s3.parse(self.location)
        for item in s3.listing(self.location, self.say):
            name = item.key[len(prefix) :]
            if is_left_out(name):
                continue
            # Times of S3 are whole seconds: only the ETag tells bytes of one length apart.
            fingerprint = f"{item.etag}:{item.size}:{item.changed_ns}"
            fault = f"it is archived ({item.archive}); {s3.RESTORE}" if item.archive else ""
            uri = f"{self.location}/{name}"
            yield ObjectInfo(name, uri, item.size, fingerprint, fault, item.changed_ns, item.etag)

    def _listed(self) -> Iterator[ObjectInfo]:
        from pyarrow import fs

        system, root = filesystem(self.location)
        for info in system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True)):
            if info.type != fs.FileType.File:
                continue
            fault = ""
            try:
                name = info.path[len(root) :].lstrip("/")
            except UnicodeDecodeError as error:
                name = error.object.decode(errors="backslashreplace")[len(root) :].lstrip("/")
                fault = "its name is not UTF-8; rename it"
            if is_left_out(name):
                continue
            state = (f"{info.size}:{info.mtime_ns}", info.mtime_ns or 0) if fault else _state(system, info)
            if state is not None:
                yield ObjectInfo(name, f"{self.location}/{name}", info.size, state[0], fault, state[1])

    def open(self, item: ObjectInfo) -> IO[bytes]:
        """Open an object for reading from any place in it; one of S3 in the version that was listed.

        Raises:
            ObjectError: it cannot be read; of one of S3 also later, when it is read.
            OSError: it cannot be opened.
        """
        if item.fault:
            problem, _, remedy = item.fault.partition("; ")
            raise ObjectError(item.uri, f"the file cannot be opened: {problem}", remedy)
        if self.is_far:
            return s3.open_object(*self._place(item), item.etag, item.size, self.say)
        system, root = filesystem(self.location)
        return cast(IO[bytes], system.open_input_file(f"{root}/{item.name}"))

    def is_as_listed(self, item: ObjectInfo) -> bool:
        """Whether an object still is what it was when it was listed, by one look at it alone.

        Raises:
            SourceError: a far source cannot be asked.
        """
        from pyarrow import fs

        if self.is_far:
            return s3.is_as_listed(*self._place(item), item.etag, item.size, self.say)
        system, root = filesystem(self.location)
        [info] = system.get_file_info([f"{root}/{item.name}"])
        state = _state(system, info) if info.type == fs.FileType.File else None
        return state is not None and state[0] == item.fingerprint

    def put(self, file: Path, name: str) -> str:
        """Copy a file to a name in the source, where it appears only when it is whole; gives its URI.

        Raises:
            SourceError: a far source does not take it.
        """
        with whole_file(self.location, name, self.say) as target, file.open("rb") as stream:
            shutil.copyfileobj(stream, target, 1 << 20)
        return f"{self.location}/{name}"

    def _place(self, item: ObjectInfo) -> tuple[str, str]:
        """Bucket and key."""
        bucket, prefix = s3.parse(self.location)
        return bucket, prefix + item.name


def _state(system: fs.FileSystem, info: fs.FileInfo) -> tuple[str, int] | None:
    """Fingerprint of a file, and when it came to be there; None where it is gone."""
    from pyarrow import fs

    fingerprint, changed_ns = f"{info.size}:{info.mtime_ns}", info.mtime_ns or 0
    if isinstance(system, fs.LocalFileSystem):
        try:
            status = os.stat(info.path)
        except FileNotFoundError:
            return None
        # A copy that keeps the old time (`cp -p`) still gets a new inode or change time.
        fingerprint += f":{status.st_ino}:{status.st_ctime_ns}"
        changed_ns = max(changed_ns, status.st_ctime_ns)
    return fingerprint, changed_ns


def is_left_out(name: str) -> bool:
    """Whether a name says that its file is hidden or unfinished. `..` in a key of S3 is a name like any other."""
    parts = name.split("/")
    return any(part.startswith(".") and part not in (".", "..") for part in parts) or name.endswith(".part")


def object_store(settings: Settings, shop: Shop, say: Say = s3.announce) -> ObjectStore:
    """The objects of a shop, or its tables' files: at its configured location, else in its folder of the inbox."""
    return ObjectStore(shop.source.location or settings.inbox_of(shop.name), say)


def table_of(shop: Shop, name: str) -> str | None:
    """The table of a shop that an object fills; None where it is none's.

    In an object source that is the first whose patterns match the object's name, or its last part; in a table source
    the one in whose folder it lies.
    """
    if shop.source.kind != "objects":
        folder, _, rest = name.partition("/")
        return folder if rest and folder in shop.tables and shop.tables[folder].stream is None else None
    for table_name, table in shop.tables.items():
        if matches(table, name):
            return table_name
    return None


def matches(table: Table, name: str) -> bool:
    """Whether one of a table's patterns matches an object's name, or its last part."""
    return any(fnmatchcase(part, pattern) for pattern in table.objects for part in (name, name.rsplit("/", 1)[-1]))
