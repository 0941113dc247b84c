"""Digests of rows: 128 bits for each day of a batch's rows as a multiset, so that equal days need not be written again.

The digest of a multiset is the sum of the MD5 numbers of its rows: their order makes no difference, duplicates do.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from assets.extracts.ledger import Day

if TYPE_CHECKING:
    import pyarrow as pa

DAY = "_day"
"""The column of lake files that holds the shop's day of each row, in tables that are read by slices."""
_EPOCH = date(1970, 1, 1)


@dataclass
class _Sum:
    rows: int = 0
    high: int = 0
    """Sum of the upper halves of the rows' MD5 numbers."""
    low: int = 0
    least: int | None = None
    greatest: int | None = None


class Digests:
    """The digests of the days of a slice, added up batch by batch."""

    def __init__(self, schema: pa.Schema, cursor: str | None) -> None:
        """
        Args:
            schema: the columns that count. A null is left out, so that a new column leaves the days before it alone.
            cursor: the column whose extremes are kept.
        """
        import duckdb
        import pyarrow as pa

        self.schema = schema
        self._cursor = schema.field(cursor) if cursor is not None else None
        self._sums: dict[date | None, _Sum] = {}
        self._rejected: Counter[date | None] = Counter()
        self._rejects: Counter[date | None] = Counter()
        self._database = duckdb.connect(config={"threads": 1})
        pieces = []
        for field in schema:
            quoted = '"' + field.name.replace('"', '""') + '"'
            label = field.name.replace("'", "''")
            # Texts with their length: no two rows have one line. `concat` leaves nulls out.
            length = f"strlen({quoted}) || ':' || " if pa.types.is_string(field.type) else ""
            pieces.append(f"'|{label}:' || {length}{quoted}::varchar")
        self._query = (
            f'select "{DAY}", count(*), sum((number >> 64)::hugeint), sum((number & {2**64 - 1}::uhugeint)::hugeint),'
            f' min(_edge), max(_edge) from (select "{DAY}", {"_edge" if cursor is not None else "null as _edge"},'
            f" md5_number(concat({', '.join(pieces)})) as number from batch) group by 1"
        )

    def add(self, batch: pa.RecordBatch, days: pa.Array) -> None:
        """Count a batch in.

        Args:
            batch: of the schema.
            days: the shop's day of each row, null where it has none.
        """
        import pyarrow as pa

        # Instants as whole numbers: their text would depend on a time zone of the session.
        plain = {
            field.name: _as_number(batch.column(field.name)) if pa.types.is_temporal(field.type) else batch.column(i)
            for i, field in enumerate(self.schema)
        }
        names = {DAY: days.cast(pa.int32())}
        if self._cursor is not None:
            names["_edge"] = plain[self._cursor.name].cast(pa.int64())
        self._database.register("batch", pa.table(plain | names))
        for day, rows, high, low, least, greatest in self._database.execute(self._query).fetchall():
            key = None if day is None else _EPOCH + timedelta(days=day)
            total = self._sums.setdefault(key, _Sum())
            total.rows += rows
            total.high += int(high)
            total.low += int(low)
            if least is not None:
                total.least = least if total.least is None else min(total.least, least)
                total.greatest = greatest if total.greatest is None else max(total.greatest, greatest)
        self._database.unregister("batch")

    def add_reject(self, day: date | None, column: str, reason: str, raw: str) -> None:
        """Count a rejected row in: a day with other rejects is another day."""
        text = f"{column}\0{reason}\0{raw}"
        self._rejected[day] += 1
        self._rejects[day] += int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest())

    def days(self) -> dict[date | None, Day]:
        """What each day holds."""
        found = {}
        for day in {*self._sums, *self._rejected}:
            total = self._sums.get(day, _Sum())
            parts = (total.rows, total.high, total.low, self._rejected[day], self._rejects[day])
            found[day] = Day(
                total.rows,
                self._rejected[day],
                hashlib.sha256(repr(parts).encode()).hexdigest()[:32],
                self._text(total.least),
                self._text(total.greatest),
            )
        return found

    def _text(self, value: int | None) -> str | None:
        """A cursor's value as Python writes it."""
        import pyarrow as pa

        if value is None or self._cursor is None:
            return None
        if pa.types.is_date(self._cursor.type):
            return str(_EPOCH + timedelta(days=value))
        zone = UTC if self._cursor.type.tz else None
        return str(datetime(1970, 1, 1, tzinfo=zone) + timedelta(microseconds=value))


def _as_number(values: pa.Array) -> Any:
    import pyarrow as pa

    return values.cast(pa.int32() if pa.types.is_date(values.type) else pa.int64())
