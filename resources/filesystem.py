"""Where files lie: the pyarrow filesystem of a folder or URL, and files that appear there only when they are whole."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from resources import s3
from resources.far import Say

if TYPE_CHECKING:
    from pyarrow import fs


def filesystem(location: str) -> tuple[fs.FileSystem, str]:
    """The pyarrow filesystem of a folder or URL, and the path in it.

    Raises:
        SourceError: the URL is not one of S3 as it must be written.
    """
    from pyarrow import fs

    if s3.is_s3(location):
        bucket, prefix = s3.parse(location)
        return _s3_filesystem(s3.connection(), os.getpid()), f"{bucket}/{prefix}".rstrip("/")
    if "://" in location:
        return fs.FileSystem.from_uri(location)
    return fs.LocalFileSystem(), os.path.abspath(location)


@cache
def _s3_filesystem(connection: s3.Connection, process: int) -> fs.S3FileSystem:
    """One for all locations, as it holds no bucket; a forked process needs connections of its own."""
    from pyarrow import fs

    # pyarrow reads credentials from the environment as boto3 does, but neither AWS_ENDPOINT_URL nor a .env file.
    return fs.S3FileSystem(
        endpoint_override=connection.endpoint,
        region=connection.region,
        connect_timeout=s3.CONNECT_SECONDS,
        request_timeout=s3.READ_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=s3.ATTEMPTS),
    )


@contextmanager
def whole_file(location: str, name: str, say: Say = s3.announce) -> Iterator[Any]:
    """A stream into a new file; the file takes its name at the end, and only if the block ended without an error.

    Args:
        say: told of every wait for S3.

    Raises:
        SourceError: S3 does not take it.
    """
    from pyarrow import fs

    if s3.is_s3(location):
        with s3.writing(location, name, say) as upload:
            yield upload
        return
    system, root = filesystem(location)
    target = posixpath.join(root, name)
    local = isinstance(system, fs.LocalFileSystem)
    if local:
        system.create_dir(posixpath.dirname(target), recursive=True)
    # An object store shows an object only when its upload is complete; in a folder the rename does that.
    writing = f"{target}.part" if local else target
    try:
        with system.open_output_stream(writing) as stream:
            yield stream
    except BaseException:
        with suppress(OSError):  # of the two errors, the first tells more
            system.delete_file(writing)
        raise
    if local:
        # What a ledger will point to must outlive a power cut: first the bytes, then the name.
        _sync(writing)
        os.replace(writing, target)
        _sync(posixpath.dirname(target))


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
