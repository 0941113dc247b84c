"""The records of a stream as rows of its raw table: JSON objects, whose keys fill columns as a file's headers do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from assets.extracts.convert import number_text
from assets.extracts.declared import Column, DeclarationError, Declared
from assets.extracts.formats import Chunk, Reading
from assets.extracts.rows import LINE, Counted, Mapping, Rejects, match_headers, typed_batches
from resources.shops import Shop
from resources.streams import Record

if TYPE_CHECKING:
    import pyarrow as pa

SHARD, SEQUENCE, ARRIVED_AT = "_shard", "_sequence", "_arrived_at"
OF_RECORD = {SHARD: "text", SEQUENCE: "text", LINE: "bigint", ARRIVED_AT: "timestamptz"}
"""The columns that tell a row's record, which the load fills, and their types; `_line` counts a record's objects."""
RECORD_ID = "record_id"
"""The column of a record's own name: a record that is sent twice has the same."""
MOST_COLUMNS = 400
"""A producer that makes up keys must not widen the table to the 1,600 columns at which Postgres refuses all."""
_AGGREGATED = b"\xf3\x89\x9a\xc2"
_WIDEST = 40
"""Digits before or after the point, beyond which a number is left as it is written."""


@dataclass(frozen=True)
class Item:
    """One object of a record, or what stands in its place."""

    shard: str
    record: Record
    line: int
    """Its number in the record, from 1."""
    raw: str


@dataclass
class Rows:
    """Records as rows."""

    columns: list[Column]
    """The declared columns, those that the records have besides, and those that tell the record."""
    new: list[Column]
    """Columns that are to be added to the raw table."""
    batches: list[pa.RecordBatch]
    counted: Counted
    rejects: Rejects

    @property
    def schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([(column.name, column.arrow_type) for column in self.columns])


class _Number(str):
    """A number as text, told from text that looks like one."""


class _Unreadable(Exception):
    """Why an object cannot be a row."""


class _Rejects(Rejects):
    """Rejected objects, each with its place in the stream and its text as it came."""

    def __init__(self, uri: str, items: list[Item]) -> None:
        super().__init__()
        self.stream, self.items = uri, items

    def add(self, line: int, column: str, reason: str, raw: str, day: date | None = None) -> None:
        item = self.items[line - 1]
        self.uri = f"{self.stream} {item.shard} {item.record.sequence}"
        super().add(item.line, column, reason, item.raw, day)


class _Keys:
    """Which column each key fills."""

    def __init__(self, declared: Declared, in_table: dict[str, str]) -> None:
        columns = (replace(column, optional=True) for column in declared.columns if column.name not in OF_RECORD)
        self.declared = replace(declared, columns=tuple(columns))
        self.known = {name: kind for name, kind in in_table.items() if name not in OF_RECORD}
        self.beside: dict[str, Column] = {}
        """Columns that are not declared, and that keys fill."""
        self.new: list[Column] = []
        self._column_of: dict[str, str] = {}

    def column(self, key: str) -> str:
        if key not in self._column_of:
            # One key at a time: what would be a fault of a file's header is one of the record that has both keys.
            mapping = match_headers(Reading("JSON", [key], iter(())), self.declared, self.known)
            column = next(column for column, header in mapping.columns if header is not None)
            if self.declared.column(column.name) is None:
                if mapping.new and len(self.known) >= MOST_COLUMNS:
                    raise _Unreadable(f"its key {key[:80]!r} would be one column more than {MOST_COLUMNS}")
                self.new += mapping.new
                self.known[column.name] = column.data_type
                self.beside[column.name] = column
            self._column_of[key] = column.name
        return self._column_of[key]


def check_columns(declared: Declared) -> None:
    """See that a table that a stream fills declares the columns that tell the record.

    Raises:
        DeclarationError: one is missing, or has another type.
    """
    for name, data_type in {**OF_RECORD, RECORD_ID: "text"}.items():
        column = declared.column(name)
        if column is None or column.data_type != data_type or column.not_null:
            raise DeclarationError(
                f"{declared.path}: {declared.table}.{name}: a table that a stream fills has this column. Declare it as "
                f"{data_type}, without not_null."
            )


def to_rows(
    records: list[tuple[str, Record]], uri: str, shop: Shop, declared: Declared, in_table: dict[str, str]
) -> Rows:
    """Records, each with its shard, as rows that fit; the others are rejected, and stop nothing.

    Args:
        uri: of the stream, for what is said of rejected rows.
        in_table: the columns of the raw table and their types.
    """
    import numpy as np
    import pyarrow as pa

    table = shop.tables[declared.table]
    keys = _Keys(declared, in_table)
    items: list[Item] = []
    counted, rejects = Counted(), _Rejects(uri, items)
    numbers: list[int] = []
    taken: list[dict[str, str | None]] = []
    for shard, record in records:
        for line, raw, found in _objects(record.data):
            items.append(Item(shard, record, line, raw))
            try:
                if isinstance(found, _Unreadable):
                    raise found
                taken.append(_values(found, keys))
                numbers.append(len(items))
            except _Unreadable as error:
                counted.rejected += 1
                rejects.add(len(items), "", str(error), raw)
    columns = [*keys.declared.columns, *keys.beside.values()]
    arrays = {column.name: pa.array([values.get(column.name) for values in taken], pa.string()) for column in columns}
    chunk = Chunk(arrays, np.array(numbers, dtype="int64"))
    reading = Reading("JSON", list(arrays), iter([chunk]))
    mapping = Mapping([(column, column.name) for column in columns], keys.new)
    batches = [_with_record(batch, items) for batch in typed_batches(reading, mapping, shop, table, counted, rejects)]
    told = [Column(name, data_type) for name, data_type in OF_RECORD.items()]
    return Rows([*columns, *told], keys.new, batches, counted, rejects)


def _with_record(batch: pa.RecordBatch, items: list[Item]) -> pa.RecordBatch:
    """A batch with the columns that tell the record, in place of the one that says which object a row is."""
    import pyarrow as pa

    its = [items[number - 1] for number in batch.column(LINE).to_pylist()]
    told: dict[str, list[Any]] = {
        SHARD: [item.shard for item in its],
        SEQUENCE: [item.record.sequence for item in its],
        LINE: [item.line for item in its],
        ARRIVED_AT: [item.record.arrived_at for item in its],
    }
    columns = {name: batch.column(name) for name in batch.schema.names if name != LINE}
    for name, data_type in OF_RECORD.items():
        columns[name] = pa.array(told[name], Column(name, data_type).arrow_type)
    return pa.RecordBatch.from_pydict(columns)


def _objects(data: bytes) -> Iterator[tuple[int, str, dict[str, Any] | _Unreadable]]:
    """The objects of a record: one, or several of which each is a line; numbered, with their text."""
    raw = data.decode("utf-8", errors="backslashreplace")
    if data.startswith(_AGGREGATED):
        yield (
            1,
            raw,
            _Unreadable("a record that the Kinesis Producer Library made of several; switch its aggregation off"),
        )
        return
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        yield 1, raw, _Unreadable(f"not UTF-8 ({error.reason})")
        return
    whole = _object(text)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not isinstance(whole, _Unreadable) or len(lines) < 2:
        yield 1, raw, whole
        return
    several = [(number, line, _object(line)) for number, line in lines]
    if all(isinstance(found, _Unreadable) for _, _, found in several):
        yield 1, raw, whole
        return
    yield from several


def _object(text: str) -> dict[str, Any] | _Unreadable:
    if not text.strip():
        return _Unreadable("empty")
    try:
        found = _DECODER.decode(text)
    except (ValueError, ArithmeticError, RecursionError) as error:
        return _Unreadable(f"no JSON object ({' '.join(str(error).split())[:120]})")
    if not isinstance(found, dict):
        return _Unreadable("JSON, and no object: write {...} with the names of the columns as keys")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _number(text: str) -> _Number:
    """A number as the load writes those of files: whole ones without a point."""
    value = Decimal(text)
    return _Number(number_text(value) if abs(value.adjusted()) < _WIDEST else text)


_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_Number, parse_constant=_refuse)


def _values(found: dict[str, Any], keys: _Keys) -> dict[str, str | None]:
    """The values of an object by column, as text."""
    values: dict[str, str | None] = {}
    key_of: dict[str, str] = {}
    for key, value in found.items():
        name = keys.column(key)
        if name in values:
            raise _Unreadable(f"its keys {key_of[name][:80]!r} and {key[:80]!r} both mean {name}")
        text = _text(value)
        if text is not None and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise _Unreadable(f"the value of {key[:80]!r} holds half of a surrogate pair") from None
        values[name], key_of[name] = text, key
    return values


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _json(value)


def _json(value: Any) -> str:
    """Lists and objects inside of an object, as JSON with the numbers as they came."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return (
            "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_json(each)}" for key, each in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
