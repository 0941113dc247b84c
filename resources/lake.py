"""The lake: immutable Parquet files, one per extract, in a folder or under any URL of pyarrow's filesystems."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from resources.failpoints import failpoint

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import fs


def filesystem(location: str) -> tuple[fs.FileSystem, str]:
    """The pyarrow filesystem of a folder or URL, and the path in it."""
    from pyarrow import fs

    if "://" in location:
        return fs.FileSystem.from_uri(location)
    return fs.LocalFileSystem(), os.path.abspath(location)


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


class Lake:
    """The lake at a location. A file is visible under its name only when it is whole."""

    def __init__(self, location: str) -> None:
        self.location = location

    def path(self, name: str) -> str:
        """The place of a file for other readers, such as DuckDB."""
        return posixpath.join(self.location.rstrip("/"), name)

    @contextmanager
    def create(self, name: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
        """Write a Parquet file; it takes its name at the end, and only if the block ended without an error."""
        import pyarrow.parquet as pq
        from pyarrow import fs

        system, root = filesystem(self.location)
        target = posixpath.join(root, name)
        local = isinstance(system, fs.LocalFileSystem)
        if local:
            system.create_dir(posixpath.dirname(target), recursive=True)
        # An object store shows an object only when its upload is complete; in a folder the rename does that.
        writing = f"{target}.part" if local else target
        try:
            with pq.ParquetWriter(
                writing, schema, filesystem=system, compression="zstd", compression_level=1
            ) as writer:
                yield writer
        except BaseException:
            with contextlib.suppress(OSError):  # of the two errors, the first tells more
                system.delete_file(writing)
            raise
        failpoint("extract.lake_written")
        if local:
            # What the ledger will point to must outlive a power cut: first the bytes, then the name.
            _sync(writing)
            os.replace(writing, target)
            _sync(posixpath.dirname(target))

    def open(self, name: str) -> pq.ParquetFile:
        """Open a file of the lake for reading in batches."""
        import pyarrow.parquet as pq

        system, root = filesystem(self.location)
        return pq.ParquetFile(system.open_input_file(posixpath.join(root, name)))
