"""Chunks of a source as batches of one raw table: headers matched to columns, values converted, misfits rejected."""

from __future__ import annotations

import difflib
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import IO, TYPE_CHECKING

from assets.extracts.convert import convert
from assets.extracts.declared import Column, Declared, fold
from assets.extracts.errors import ExtractError
from assets.extracts.formats import Chunk, Reading, csv_line
from resources.shops import Shop, Table

if TYPE_CHECKING:
    import pyarrow as pa

LINE = "_line"
"""The column of lake files that holds each row's line in its source."""
_RAW_CHARACTERS = 4000
_SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
"""Names that Postgres lets no table use."""


@dataclass
class Mapping:
    """How the headers of one object fill the columns of a raw table."""

    columns: list[tuple[Column, str | None]]
    """Each declared column, and each new one, with the header that fills it; None where the object has none."""
    new: list[Column]
    """Columns of the object that are neither declared nor in the raw table: they are to be added to it."""

    @property
    def schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([(column.name, column.arrow_type) for column, _ in self.columns] + [(LINE, pa.int64())])


def match_headers(reading: Reading, declared: Declared, existing: dict[str, str]) -> Mapping:
    """Match the headers of an object to declared columns, by name or alias, whatever their case.

    Args:
        existing: the columns of the raw table and their types: one that is not declared keeps the type that it has.

    Raises:
        ExtractError: a column that must be there is missing, or two headers fill one column.
    """
    by_name = {fold(name): column for column in declared.columns for name in (column.name, *column.names)}
    filled: dict[str, tuple[Column, str]] = {}
    for header in reading.headers:
        column = by_name.get(fold(header)) or _new_column(header, reading.types.get(header), declared, existing)
        if column.name in filled:
            raise ExtractError(
                f"the headers {filled[column.name][1]!r} and {header!r} both mean {column.name}",
                f"keep one of them, or declare both in {declared.path.name} with `names`",
                line=reading.line,
            )
        filled[column.name] = column, header
    new = [column for column, _ in filled.values() if declared.column(column.name) is None]
    missing = [column for column in declared.columns if column.name not in filled and not column.optional]
    if missing:
        names = ", ".join((column.names or (column.name,))[0] for column in missing)
        unknown = [filled[column.name][1] for column in new]
        guess = difflib.get_close_matches(missing[0].name, unknown, n=1) if len(missing) == 1 else []
        advice = f"is it {guess[0]!r}? Then add that to its `names`" if guess else "check that it is what belongs here"
        raise ExtractError(
            f"required {'column is' if len(missing) == 1 else 'columns are'} missing: {names}; the header has "
            f"{', '.join(map(repr, reading.headers[:12]))}{', ...' if len(reading.headers) > 12 else ''}",
            f"{advice}{' in ' + declared.path.name if guess else ''}; a column that may be absent is marked "
            f"`optional: true` in {declared.path.name}",
            line=reading.line,
            column=missing[0].name,
        )
    columns = [filled.get(column.name, (column, None)) for column in declared.columns]
    return Mapping([*columns, *(filled[column.name] for column in new)], [c for c in new if c.name not in existing])


def snake_case(header: str) -> str:
    """A header as a column name: `Customer ID` and `CustomerID` are both customer_id."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", header.strip())
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")[:60].strip("_") or "column"


def _new_column(header: str, source: pa.DataType | None, declared: Declared, existing: dict[str, str]) -> Column:
    import pyarrow as pa

    name = snake_case(header)
    if declared.column(name) is not None or name[0].isdigit() or name in _SYSTEM_COLUMNS:
        name = f"new_{name}"
    if name in existing:
        return Column(name, existing[name])
    data_type = "text"
    if source is not None:
        if pa.types.is_integer(source):
            data_type = "bigint"
        elif pa.types.is_floating(source):
            data_type = "double precision"
        elif pa.types.is_boolean(source):
            data_type = "boolean"
        elif pa.types.is_decimal(source) and 0 <= source.scale <= source.precision <= 38:
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
    later: int = 0
    """Rows of a table source that are not due: their cursor is not before the end of what is read, and not far off."""
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(column, reason) -> rejected rows."""
    first: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """(column, reason) -> line and value of its first row."""


class Rejects:
    """Rejected rows as text for COPY, in memory while few, then in a file: their number has no bound."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=8 << 20)  # noqa: SIM115
        self.uri = ""
        """The file that is being read, where an extract reads several."""

    def add(self, line: int, column: str, reason: str, raw: str, day: date | None = None) -> None:
        """Note one row.

        Args:
            line: its line, 0 where it has none.
            day: the shop's day of its cursor, where it has a readable one.
        """
        cut = raw if len(raw) <= _RAW_CHARACTERS else f"{raw[:_RAW_CHARACTERS]}... ({len(raw):,} characters)"
        values = (str(line) if line else None, column, reason, cut, str(day) if day else None, self.uri or None)
        fields = (r"\N" if value is None else value.translate(_COPY_ESCAPES) for value in values)
        self.file.write(("\t".join(fields) + "\n").encode())


# Postgres cannot store a NUL, so it is shown as \x00; the others would end a value or a row.
_COPY_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\x00": r"\\x00"})


@dataclass(frozen=True)
class Window:
    """The rows of one slice, judged by their cursor as it was converted."""

    low: date | datetime | None
    """The first value of the slice; None: the slice begins with the earliest."""
    high: date | datetime
    """The value behind the last."""
    is_undated: bool = False
    """The slice holds instead what no other can: rows whose cursor is null, unreadable, or too far in the future."""

    def cut(
        self, chunk: Chunk, cursor: tuple[Column, str | None], shop: Shop, now: datetime, counted: Counted
    ) -> Chunk:
        """The rows of a chunk that are in the slice; what is not due yet is counted with the undated rows."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        column, header = cursor
        size = len(chunk.lines)
        if header is None:
            values = pa.nulls(size, column.arrow_type)
        else:
            try:
                values = convert(chunk.columns[header], column)[0]
            except TypeError as error:
                raise changed_type(error, column) from error
        at = partial(pa.scalar, type=column.arrow_type)
        if self.is_undated:
            future = _in_future(values, shop, now)
            kept = pc.or_(pc.is_null(values), future)
            due = pc.less(values, at(self.high))
            counted.later += size - int(pc.sum(pc.or_(kept, pc.fill_null(due, True))).as_py() or 0)
        else:
            kept = pc.less(values, at(self.high))
            if self.low is not None:
                kept = pc.and_(kept, pc.greater_equal(values, at(self.low)))
            kept = pc.fill_null(kept, False)
        mask = kept.to_numpy(zero_copy_only=False).astype(bool)
        rejected = chunk.rejected if self.is_undated else []
        if mask.all():
            return Chunk(chunk.columns, chunk.lines, rejected)
        columns = {name: array.filter(pa.array(mask)) for name, array in chunk.columns.items()}
        return Chunk(columns, chunk.lines[np.asarray(mask)], rejected)


def typed_batches(
    reading: Reading,
    mapping: Mapping,
    shop: Shop,
    table: Table,
    counted: Counted,
    rejects: Rejects,
    window: Window | None = None,
    now: datetime | None = None,
) -> Iterator[pa.RecordBatch]:
    """The rows that fit, as batches of `mapping.schema`; the others go to `rejects`. Counts go to `counted`.

    Args:
        window: the slice to which the rows are to be held; None: all rows.
        now: what a cursor is held against; the present by default.

    Raises:
        ExtractError: a column of a typed source has a type from which the declared one cannot be made.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    now = now or datetime.now(UTC)
    name_of = {header: column.name for column, header in mapping.columns}
    cursor = next((pair for pair in mapping.columns if pair[0].name == table.cursor), None)
    for chunk in reading.chunks:
        if window is not None and cursor is not None:
            chunk = window.cut(chunk, cursor, shop, now, counted)
        for row in chunk.rejected:
            column_name = name_of.get(row.header, "")
            _count(counted, column_name, row.reason, row.line, row.raw)
            rejects.add(row.line, column_name, row.reason, row.raw)
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
                raise changed_type(error, column) from error
            if pc.any(bad).as_py():
                bad_of.append((column, bad, f"not {wanted}"))
            if column.not_null:
                empty = pc.and_(pc.is_null(values), pc.invert(bad))
                if pc.any(empty).as_py():
                    bad_of.append((column, empty, "empty, and a value is required"))
            if column.name == table.cursor:
                future = _in_future(values, shop, now)
                if pc.any(future).as_py():
                    bad_of.append((column, future, "in the future"))
            arrays.append(values)
        batch = pa.record_batch([*arrays, pa.array(chunk.lines)], schema=mapping.schema)
        if bad_of:
            dated = cursor is not None and not (window is not None and window.is_undated)
            days = local_days(batch.column(cursor[0].name), shop) if dated and cursor is not None else None
            batch = batch.filter(pc.invert(_reject(chunk, bad_of, mapping, counted, rejects, days)))
        counted.rows += len(batch)
        if table.cursor is not None and len(batch):
            _count_days(batch.column(table.cursor), shop, counted)
        if len(batch):
            yield batch


def changed_type(error: TypeError, column: Column) -> ExtractError:
    """What is said of a column from whose type the declared one cannot be made."""
    return ExtractError(
        f"{error}: the column changed its type",
        f"write it as {column.data_type}, or, if the source really changed, declare the new type in "
        "_sources.yml and load the table anew",
        column=column.name,
    )


def _reject(
    chunk: Chunk,
    bad_of: list[tuple[Column, pa.Array, str]],
    mapping: Mapping,
    counted: Counted,
    rejects: Rejects,
    days: pa.Array | None,
) -> pa.Array:
    """Write the bad rows of a chunk to `rejects`, each with its first reason; returns where they are.

    Args:
        days: the shop's days of the rows.
    """
    import numpy as np
    import pyarrow as pa

    headers = {column.name: header for column, header in mapping.columns}
    reason_of: dict[int, tuple[Column, str]] = {}
    for column, bad, reason in bad_of:
        for index in np.flatnonzero(bad.to_numpy(zero_copy_only=False)):
            reason_of.setdefault(int(index), (column, reason))
    indices = sorted(reason_of)
    taken = {name: _texts(values.take(pa.array(indices))) for name, values in chunk.columns.items()}
    for place, at in enumerate(indices):
        column, reason = reason_of[at]
        line = int(chunk.lines[at])
        _count(counted, column.name, reason, line, taken[headers[column.name] or ""][place] or "")
        day = None if days is None else days[at].as_py()
        rejects.add(line, column.name, reason, csv_line([taken[name][place] for name in chunk.columns]), day)
    mask = np.zeros(len(chunk.lines), dtype=bool)
    mask[indices] = True
    return pa.array(mask)


def _texts(values: pa.Array) -> list[str | None]:
    """Source values as people write them."""
    import pyarrow as pa

    if pa.types.is_binary(values.type):
        return [value and value.decode("utf-8", errors="backslashreplace") for value in values.to_pylist()]
    try:
        return values.cast(pa.string()).to_pylist()
    except pa.ArrowNotImplementedError:  # lists and structs
        return [None if value is None else str(value) for value in values.to_pylist()]


def _count(counted: Counted, column: str, reason: str, line: int, value: str) -> None:
    counted.rejected += 1
    counted.reasons[column, reason] += 1
    counted.first.setdefault((column, reason), (line, value[:80]))


def _in_future(values: pa.Array, shop: Shop, now: datetime) -> pa.Array:
    """Where a cursor lies more than a day after an instant."""
    import pyarrow as pa
    import pyarrow.compute as pc

    limit = now + timedelta(days=1)
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
