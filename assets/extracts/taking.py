"""The rows of a table source, typed and kept in a temporary file, so that they are compared before any is written."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import IO, TYPE_CHECKING

from assets.extracts.convert import convert
from assets.extracts.declared import Column, Declared
from assets.extracts.digest import DAY, Digests
from assets.extracts.errors import ExtractError
from assets.extracts.formats import Reading, read_part
from assets.extracts.ledger import Day
from assets.extracts.rows import (
    LINE,
    Counted,
    Mapping,
    Rejects,
    Window,
    changed_type,
    local_days,
    match_headers,
    typed_batches,
)
from resources.far import ReadAgain, Say
from resources.lake import Lake
from resources.shops import Shop, Table
from resources.tables import Part, Span

if TYPE_CHECKING:
    import pyarrow as pa


READINGS = 3
"""So often is a slice read whose source ends it before its rows do."""


@dataclass
class Fit:
    """How the parts of a table fill the columns of its raw table."""

    parts: list[tuple[Part, Mapping]]
    columns: list[Column]
    """The declared columns, and after them those that the parts have besides."""
    new: list[Column]
    """Columns that are to be added to the raw table."""

    @property
    def schema(self) -> pa.Schema:
        """The columns, the line of each row and, last, the shop's day of it."""
        import pyarrow as pa

        columns = [(column.name, column.arrow_type) for column in self.columns]
        return pa.schema([*columns, (LINE, pa.int64()), (DAY, pa.date32())])


def fit_parts(parts: Sequence[Part], table: Table, declared: Declared, in_table: dict[str, str]) -> Fit:
    """Match the headers of all parts of a table to the columns of its raw table.

    Args:
        in_table: the columns of the raw table and their types.

    Raises:
        ExtractError: a part cannot be read, or lacks a column.
    """
    known = dict(in_table)
    found: list[tuple[Part, Mapping]] = []
    beside: dict[str, Column] = {}
    for part in parts:
        try:
            reading = read_part(part, table)
            mapping = match_headers(reading, declared, known)
            _check_types(reading, mapping)
        except ExtractError as error:
            raise error.at(shop=declared.shop, table=declared.table, uri=part.uri) from None
        for column, _ in mapping.columns[len(declared.columns) :]:
            beside.setdefault(column.name, column)
            known.setdefault(column.name, column.data_type)
        found.append((part, mapping))
    columns = [*declared.columns, *beside.values()]
    fitted = []
    for part, mapping in found:
        headers = {column.name: header for column, header in mapping.columns}
        fitted.append((part, Mapping([(column, headers.get(column.name)) for column in columns], [])))
    return Fit(fitted, columns, [column for column in beside.values() if column.name not in in_table])


def _check_types(reading: Reading, mapping: Mapping) -> None:
    """See that the types of a part can become those declared, also of columns of which no row may be read."""
    import pyarrow as pa

    for column, header in mapping.columns:
        if header in reading.types:
            try:
                convert(pa.array([], reading.types[header]), column)
            except TypeError as error:
                raise changed_type(error, column) from error


class DayRejects(Rejects):
    """Rejected rows that count in the digest of their day."""

    def __init__(self, digests: Digests) -> None:
        super().__init__()
        self.digests = digests

    def add(self, line: int, column: str, reason: str, raw: str, day: date | None = None) -> None:
        super().add(line, column, reason, raw, day)
        self.digests.add_reject(day, column, reason, raw)


@dataclass
class Taken:
    """The rows of one slice, or of a whole table."""

    schema: pa.Schema
    file: IO[bytes]
    """The rows as an Arrow stream, with the days in their last column."""
    days: dict[date | None, Day]
    counted: Counted
    rejects: Rejects
    bytes: int = 0
    columns: list[Column] = field(default_factory=list)

    def batches(self, only_days: Collection[date | None] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, of all days or of some."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = None if only_days is None else pa.array(list(only_days), pa.date32())
        self.file.seek(0)
        with pa.ipc.open_stream(self.file) as stream:
            for batch in stream:
                if wanted is not None:
                    batch = batch.filter(pc.is_in(batch.column(DAY), wanted))
                if len(batch):
                    yield batch

    def writing(
        self, lake: Lake, name: str, only_days: Collection[date | None] | None = None
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows, each batch written to a file of the lake before it goes on; at the end the lake has the file."""
        with lake.create(name, self.schema) as writer:
            for batch in self.batches(only_days):
                writer.write_batch(batch)
                yield batch


def content_hash(days: dict[date | None, Day | None]) -> str:
    """A hash of what days hold; None: nothing any more."""
    lines = sorted(f"{day or 'undated'} {'gone' if at is None else at.digest}" for day, at in days.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def take(fit: Fit, shop: Shop, declared: Declared, span: Span, window: Window | None, now: datetime, say: Say) -> Taken:
    """Read the rows of a slice, or of the whole table where it has no cursor.

    Args:
        span: what is asked of the source.
        window: which of the rows that it gives are in the slice; None: all.
        now: what a cursor is held against.

    Raises:
        ExtractError: a part cannot be read, or does not hold what is declared.
    """
    for attempt in range(1, READINGS + 1):
        try:
            return _take_once(fit, shop, declared, span, window, now)
        except ReadAgain as ended:
            if attempt == READINGS:
                raise ExtractError(
                    f"reading it ended before its rows did, {READINGS} times: {ended}",
                    "run again later; what is committed stays",
                ) from ended
            say(f"{ended}; reading the slice anew, attempt {attempt + 1} of {READINGS}")
    raise AssertionError("the last attempt returns or raises")


def _take_once(fit: Fit, shop: Shop, declared: Declared, span: Span, window: Window | None, now: datetime) -> Taken:
    """What `take` does, once: rows, digests, counts and rejects all begin anew.

    Raises:
        ReadAgain: the source ended it.
    """
    import pyarrow as pa

    table = shop.tables[declared.table]
    schema = fit.schema
    digests = Digests(pa.schema(list(schema)[:-2]), table.cursor)
    counted, rejects = Counted(), DayRejects(digests)
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    size = 0
    with pa.ipc.new_stream(file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        for part, mapping in fit.parts:
            header = next((header for column, header in mapping.columns if column.name == table.cursor), None)
            rejects.uri = part.uri
            try:
                reading = read_part(part, table, header, span)
                for batch in typed_batches(reading, mapping, shop, table, counted, rejects, window, now):
                    values = batch.column(table.cursor) if table.cursor is not None else None
                    days = pa.nulls(len(batch), pa.date32()) if values is None else local_days(values, shop)
                    digests.add(batch.select(digests.schema.names), days)
                    writer.write_batch(pa.record_batch([*batch.columns, days], schema=schema))
                    size += batch.nbytes
                if not part.is_sliceable and not part.is_as_listed():
                    raise ExtractError(
                        "the file changed while it was read",
                        "run again when it is complete; write it under another name and rename it",
                    )
            except ExtractError as error:
                raise error.at(shop=shop.name, table=declared.table, uri=part.uri) from error.__cause__
    return Taken(schema, file, digests.days(), counted, rejects, size, fit.columns)
