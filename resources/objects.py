"""Object sources: files of a folder and objects under a prefix, listed and opened through one pyarrow filesystem."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from resources.lake import filesystem
from resources.settings import Settings
from resources.shops import Shop, Table

if TYPE_CHECKING:
    import pyarrow as pa


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
    """Why it cannot be opened, where the listing shows that already."""
    changed_ns: int = 0
    """When its bytes came to be there, in nanoseconds since 1970."""


class ObjectStore:
    """The objects of one shop's source."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")

    def list(self) -> list[ObjectInfo]:
        """All objects, by name. Hidden and unfinished files (`.part`) are left out; a missing folder is empty."""
        from pyarrow import fs

        system, root = filesystem(self.location)
        local = isinstance(system, fs.LocalFileSystem)
        infos = system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
        found = []
        for info in infos:
            if info.type != fs.FileType.File:
                continue
            fault = ""
            try:
                name = info.path[len(root) :].lstrip("/")
            except UnicodeDecodeError as error:
                name = error.object.decode(errors="backslashreplace")[len(root) :].lstrip("/")
                fault = "its name is not UTF-8; rename it"
            if any(part.startswith(".") for part in name.split("/")) or name.endswith(".part"):
                continue
            fingerprint, changed_ns = f"{info.size}:{info.mtime_ns}", info.mtime_ns or 0
            if local and not fault:
                try:
                    status = os.stat(info.path)
                except FileNotFoundError:
                    continue
                # A copy that keeps the old time (`cp -p`) still gets a new inode or change time.
                fingerprint += f":{status.st_ino}:{status.st_ctime_ns}"
                changed_ns = max(changed_ns, status.st_ctime_ns)
            found.append(ObjectInfo(name, f"{self.location}/{name}", info.size, fingerprint, fault, changed_ns))
        return sorted(found, key=lambda item: item.name)

    def open(self, item: ObjectInfo) -> pa.NativeFile:
        """Open an object for reading from any place in it.

        Raises:
            OSError: it cannot be opened.
        """
        if item.fault:
            raise OSError(item.fault)
        system, root = filesystem(self.location)
        return system.open_input_file(f"{root}/{item.name}")


def object_store(settings: Settings, shop: Shop) -> ObjectStore:
    """The objects of a shop, or its tables' files: at its configured location, else in its folder of the inbox."""
    return ObjectStore(shop.source.location or settings.inbox_of(shop.name))


def table_of(shop: Shop, name: str) -> str | None:
    """The table of a shop that an object fills; None where it is none's.

    In an object source that is the first whose patterns match the object's name, or its last part; in a table source
    the one in whose folder it lies.
    """
    if shop.source.kind != "objects":
        folder, _, rest = name.partition("/")
        return folder if rest and folder in shop.tables else None
    for table_name, table in shop.tables.items():
        if matches(table, name):
            return table_name
    return None


def matches(table: Table, name: str) -> bool:
    """Whether one of a table's patterns matches an object's name, or its last part."""
    return any(fnmatchcase(part, pattern) for pattern in table.objects for part in (name, name.rsplit("/", 1)[-1]))
