"""The lake: immutable Parquet files, one per extract, in a folder or under any URL of pyarrow's filesystems."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from resources import s3
from resources.failpoints import failpoint
from resources.far import Say, SourceError
from resources.filesystem import filesystem, whole_file

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

READ_AHEAD = 8 << 20
"""Bytes of one request to a lake that is not a folder: a file is read from its begin to its end."""


class Lake:
    """The lake at a location. A file is visible under its name only when it is whole."""

    def __init__(self, location: str, say: Say = s3.announce) -> None:
        """
        Args:
            say: told of every wait for a far lake.
        """
        self.location, self.say = location, say

    @property
    def is_far(self) -> bool:
        """Whether it is no folder of this machine."""
        return "://" in self.location and not self.location.startswith("file://")

    def path(self, name: str) -> str:
        """The place of a file for other readers, such as DuckDB."""
        return posixpath.join(self.location.rstrip("/"), name)

    @contextmanager
    def create(self, name: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
        """Write a Parquet file; it takes its name at the end, and only if the block ended without an error.

        Raises:
            SourceError: a far lake does not take it.
        """
        import pyarrow.parquet as pq

        with whole_file(self.location, name, self.say) as stream:
            writer = pq.ParquetWriter(stream, schema, compression="zstd", compression_level=1)
            try:
                with writer:
                    yield writer
            except BaseException:
                writer.is_open = False  # else it writes its footer once more when it is collected
                raise
            failpoint("extract.lake_written")

    def open(self, name: str) -> pq.ParquetFile:
        """Open a file of the lake for reading in batches.

        Raises:
            SourceError: a far lake cannot be read.
        """
        import pyarrow.parquet as pq

        system, root = filesystem(self.location)
        place = posixpath.join(root, name)
        with self._explained(name):
            file = system.open_input_file(place)
            if self.is_far:
                # Without a buffer each column of each row group would be a request.
                file = io.BufferedReader(file, READ_AHEAD)
            return pq.ParquetFile(file)

    def dataset(self, name: str) -> ds.Dataset:
        """A file of the lake for readers that choose columns and rows.

        Raises:
            SourceError: a far lake cannot be read.
        """
        import pyarrow.dataset as ds

        system, root = filesystem(self.location)
        with self._explained(name):
            return ds.dataset(posixpath.join(root, name), format="parquet", filesystem=system)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Errors of pyarrow, which say of S3 no more than a status, in words."""
        try:
            yield
        except FileNotFoundError as error:
            raise SourceError(
                f"{self.path(name)}: the ledger names this file of the lake, and it is not there",
                "see to LAKE_URL; if the file is lost, load the table anew: cartograph forget SHOP TABLE",
            ) from error
        except OSError as error:
            if s3.is_s3(self.location):
                s3.reason(self.path(name), self.say)
            raise SourceError(f"{self.path(name)}: it cannot be read ({error})", "see to LAKE_URL") from error
