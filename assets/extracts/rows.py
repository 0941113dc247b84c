"""Chunks of a source as batches of one raw table: headers matched to declared columns, values converted, misfits rejected."""

from __future__ import annotations

import csv
import difflib
import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

from assets.extracts.convert import convert
from assets.extracts.declared import Column, Declared
from assets.extracts.errors import ExtractError
from assets.extracts.formats import Chunk, Reading
from resources.shops import Shop, Table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LINE = "_line"
"""The column of lake files that holds each row's line in its source."""
_RAW_CHARACTERS = 4000


@dataclass
class Mapping:
    """How the headers of one object fill the columns of a raw table."""

    columns: list[tuple[Column, str | None]]
    """Each declared column, and each new one, with the header that fills it; None where the object has none."""
    new: list[Column]
    """Columns of the object that are not declared; they are added to the raw table."""

    @property
    def schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([(column.name, column.arrow_type) for column, _ in self.columns] + [(LINE, pa.int64())])


def match_headers(headers: list[str], declared: Declared, types: dict[str, pa.DataType]) -> Mapping:
    """Match the headers of an object to declared columns, by name or alias, whatever their case.

    Args:
        types: the Arrow types that a typed source (Parquet) states for its headers; empty for text.

    Raises:
        ExtractError: a column that must be there is missing, or two headers fill one column.
    """
    by_name = {_fold(name): column for column in declared.columns for name in (column.name, *column.names)}
    filled: dict[str, str] = {}
    new: list[tuple[Column, str]] = []
    for header in headers:
        column = by_name.get(_fold(header))
        if column is None:
            new.append((_new_column(header, types.get(header), declared), header))
        elif column.name in filled:
            raise ExtractError(
                f"the headers {filled[column.name]!r} and {header!r} both mean {column.name}", "keep one of them", line=1
            )
        else:
            filled[column.name] = header
    missing = [column for column in declared.columns if column.name not in filled and not column.optional]
    if missing:
        names = ", ".join((column.names or (column.name,))[0] for column in missing)
        unknown = [header for _, header in new]
        guess = difflib.get_close_matches(missing[0].name, unknown, n=1) if len(missing) == 1 else []
        raise ExtractError(
            f"required {'column is' if len(missing) == 1 else 'columns are'} missing: {names}; "
            f"the header has {', '.join(map(repr, headers[:12]))}{', ...' if len(headers) > 12 else ''}",
            (f"is it {guess[0]!r}? Then add that to its `names` in {declared.path.name}" if guess else "check that this is the right file")
            + f"; a column that may be absent is marked `optional: true` in {declared.path.name}",
            line=1,
            column=missing[0].name,
        )
    columns: list[tuple[Column, str | None]] = [(column, filled.get(column.name)) for column in declared.columns]
    columns += [(column, header) for column, header in new]
    return Mapping(columns, [column for column, _ in new])


def _fold(header: str) -> str:
    return re.sub(r"[^a-z0-9]", "", header.strip().lower())


def snake_case(header: str) -> str:
    """A header as a column name: `Customer ID` and `CustomerID` are both customer_id."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", header.strip())
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")[:60] or "column"


def _new_column(header: str, source: pa.DataType | None, declared: Declared) -> Column:
    import pyarrow as pa

    name = snake_case(header)
    if declared.column(name) is not None or name[0].isdigit():
        name = f"new_{name}"
    data_type = "text"
    if source is not None:
        if pa.types.is_integer(source):
            data_type = "bigint"
        elif pa.types.is_floating(source):
            data_type = "double precision"
        elif pa.types.is_boolean(source):
            data_type = "boolean"
        elif pa.types.is_decimal(source):
            data_type = f"numeric({source.precision},{source.scale})"
        elif pa.types.is_date(source):
            data_type = "date"
        elif pa.types.is_timestamp(source):
            data_type = "timestamptz" if source.tz else "timestamp"
    return Column(name, data_type)


@dataclass
class Counted:
    """What was seen while the rows of one object went by."""

    rows: int = 0
    rejected: int = 0
    days: set[date | None] = field(default_factory=set)
    """The shop's days of the cursor's values; None for rows without one."""
    low: datetime | None = None
    high: datetime | None = None
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(column, reason) -> rejected rows."""
    first: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """(column, reason) -> line and value of its first row."""


class Rejects:
    """Rejected rows of one object as CSV for COPY, in memory while few, then in a file: their number has no bound."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=8 << 20)  # type: ignore[assignment]  # noqa: SIM115

    def add(self, line: int, column: str, reason: str, raw: str) -> None:
        text = io.StringIO()
        safe = raw.replace("\x00", "\\x00")
        cut = safe if len(safe) <= _RAW_CHARACTERS else f"{safe[:_RAW_CHARACTERS]}... ({len(safe):,} characters)"
        csv.writer(text).writerow([line, column, reason, cut])
        self.file.write(text.getvalue().encode("utf-8", errors="backslashreplace"))


def typed_batches(
    reading: Reading, mapping: Mapping, shop: Shop, table: Table, counted: Counted, rejects: Rejects
) -> Iterator[pa.RecordBatch]:
    """The rows that fit, as batches of `mapping.schema`; the others go to `rejects`. Counts go to `counted`.

    Raises:
        ExtractError: a column of a typed source has a type from which the declared one cannot be made.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for chunk in reading.chunks:
        for row in chunk.rejected:
            _count(counted, "", row.reason, row.line, row.raw)
            rejects.add(row.line, "", row.reason, row.raw)
        size = len(chunk.lines)
        if not size:
            continue
        arrays: list[pa.Array] = []
        bad_of: list[tuple[Column, pa.Array, str]] = []
        for column, header in mapping.columns:
            if header is None:
                arrays.append(pa.nulls(size, column.arrow_type))
                continue
            source = chunk.columns[header]
            try:
                values, bad, wanted = convert(source, column)
            except TypeError as error:
                raise ExtractError(
                    f"{error}: the column changed its type",
                    f"write it as {column.data_type}, or, if the source really changed, declare the new type in _sources.yml "
                    "and load the table anew",
                    column=column.name,
                ) from error
            if pc.any(bad).as_py():
                bad_of.append((column, bad, f"not {wanted}"))
            if column.not_null:
                empty = pc.and_(pc.is_null(values), pc.invert(bad))
                if pc.any(empty).as_py():
                    bad_of.append((column, empty, "empty, and a value is required"))
            if column.name == table.cursor:
                future = _in_future(values, shop)
                if pc.any(future).as_py():
                    bad_of.append((column, future, "in the future"))
            arrays.append(values)
        batch = pa.record_batch([*arrays, pa.array(chunk.lines)], schema=mapping.schema)
        if bad_of:
            batch = batch.filter(pc.invert(_reject(chunk, bad_of, mapping, counted, rejects)))
        counted.rows += len(batch)
        if table.cursor is not None and len(batch):
            _count_days(batch.column(table.cursor), shop, counted)
        if len(batch):
            yield batch


def _reject(
    chunk: Chunk, bad_of: list[tuple[Column, pa.Array, str]], mapping: Mapping, counted: Counted, rejects: Rejects
) -> pa.Array:
    """Write the bad rows of a chunk to `rejects`, each with its first reason; returns where they are."""
    import numpy as np
    import pyarrow as pa

    headers = {column.name: header for column, header in mapping.columns}
    reason_of: dict[int, tuple[Column, str]] = {}
    for column, bad, reason in bad_of:
        for index in np.flatnonzero(bad.to_numpy(zero_copy_only=False)):
            reason_of.setdefault(int(index), (column, reason))
    indices = sorted(reason_of)
    taken = {name: values.take(pa.array(indices)).to_pylist() for name, values in chunk.columns.items()}
    for place, index in enumerate(indices):
        column, reason = reason_of[index]
        value = _text(taken[headers[column.name] or ""][place])
        if reason == "not valid UTF-8":
            reason = "not valid UTF-8; if the file is Latin-1, set `encoding: latin-1` for this table in config/shops.yaml"
        line = int(chunk.lines[index])
        _count(counted, column.name, reason, line, value)
        raw = io.StringIO()
        csv.writer(raw, lineterminator="").writerow([_text(taken[name][place]) for name in chunk.columns])
        rejects.add(line, column.name, reason, raw.getvalue())
    mask = np.zeros(len(chunk.lines), dtype=bool)
    mask[indices] = True
    return pa.array(mask)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _count(counted: Counted, column: str, reason: str, line: int, value: str) -> None:
    counted.rejected += 1
    counted.reasons[column, reason] += 1
    counted.first.setdefault((column, reason), (line, value[:80]))


def _in_future(values: pa.Array, shop: Shop) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    limit = datetime.now(UTC) + timedelta(days=1)
    if pa.types.is_date(values.type):
        later = pc.greater(values, limit.astimezone(shop.zone).date())
    elif values.type.tz is None:
        later = pc.greater(values, pa.scalar(limit.astimezone(shop.zone).replace(tzinfo=None), values.type))
    else:
        later = pc.greater(values, pa.scalar(limit, values.type))
    return pc.fill_null(later, pa.scalar(False))


def local_days(values: pa.Array, shop: Shop) -> pa.Array:
    """Instants or dates as days of the shop."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date(values.type):
        return values
    if values.type.tz is not None:
        values = pc.local_timestamp(values.cast(pa.timestamp("us", tz=shop.timezone)))
    return pc.floor_temporal(values, unit="day").cast(pa.date32())


def _count_days(values: pa.Array, shop: Shop, counted: Counted) -> None:
    import pyarrow.compute as pc

    counted.days.update(pc.unique(local_days(values, shop)).to_pylist())
    edge = pc.min_max(values).as_py()
    low, high = edge["min"], edge["max"]
    if low is not None:
        counted.low = low if counted.low is None else min(counted.low, low)
        counted.high = high if counted.high is None else max(counted.high, high)
