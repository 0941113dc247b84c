"""Table sources: tables that are read by slices of a cursor column, with the slice pushed down to where the rows lie.

BigQuery is such a source. Its embedded stand-in is a folder that holds one folder of files per table.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from resources.far import Say
from resources.objects import ObjectInfo, ObjectStore, object_store, table_of
from resources.settings import Settings
from resources.shops import Shop

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

BATCH_ROWS = 65_536
FIRST_DATE, LAST_DATE = date(1990, 1, 2), date(2049, 12, 30)
"""A cursor outside of these may be no date that anyone would believe; a day of room for time zones."""


@dataclass(frozen=True)
class Span:
    """Which rows of a table are asked for.

    A source may give more rows than asked for, never fewer: whoever asks looks again once the values are converted.
    """

    low: datetime | None = None
    """The first instant; None: from the earliest row on."""
    high: datetime | None = None
    """The instant behind the last; None: to the last row."""
    is_undated: bool = False
    """Asked for instead: rows whose cursor is null, no believable date, or not before `high`."""


EVERYTHING = Span()


@dataclass
class Cost:
    """What reading a part costs, where the source bills what is read: bytes."""

    estimated: int = 0
    """As it was said before."""
    billed: int = 0


class Part(Protocol):
    """What of a table is read in one go: the table of a database, or one file."""

    @property
    def uri(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int:
        """Bytes, as the source counts them."""

    @property
    def cost(self) -> Cost | None:
        """What was spent on it so far; None where reading costs nothing."""

    @property
    def is_sliceable(self) -> bool:
        """True where it has types and `scan` and reads little outside a slice; False where it can only be opened."""

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types.

        Raises:
            OSError, pa.ArrowException: it cannot be read.
        """

    @property
    def changed_at(self) -> datetime | None:
        """When anything in it last changed; None where the source does not say."""

    def earliest(self, cursor: str) -> date | datetime | None:
        """The smallest value of a column; None where there is none, or where it cannot be told without reading all."""

    def scan(
        self, columns: list[str] | None, cursor: str | None, span: Span
    ) -> Generator[tuple[pa.RecordBatch, np.ndarray | None], None, None]:
        """The rows of a span in batches, each with the number of every row in its file, where it is in one.

        Raises:
            OSError, pa.ArrowException, SourceError: it cannot be read.
            ReadAgain: reading ended for the source's own reasons: what was given so far does not count.
        """

    def open(self) -> IO[bytes]:
        """The bytes of a part that is not sliceable.

        Raises:
            OSError: it cannot be opened.
        """

    def is_as_listed(self) -> bool:
        """Whether it still is what it was when it was listed."""


class TableSource(Protocol):
    """The tables of one shop's source."""

    @property
    def location(self) -> str: ...

    def now(self) -> datetime:
        """The instant of the snapshot that is read: rows from after it may be missing.

        Raises:
            SourceError: it cannot be told.
        """

    def uri(self, table: str) -> str: ...

    def has(self, table: str) -> bool:
        """Whether the source has the table at all; one without rows is there."""

    def parts(self, table: str, at: datetime | None = None) -> Sequence[Part]:
        """What the table consists of; empty where it is not there.

        Args:
            at: the instant of the snapshot that is read, where the source keeps any; None: the present.

        Raises:
            SourceError: it cannot be told.
        """


class FolderTables:
    """Tables as folders of files: Parquet, of which only the row groups of a slice are read, and others."""

    def __init__(self, store: ObjectStore, shop: Shop) -> None:
        self.store, self.shop = store, shop

    @property
    def location(self) -> str:
        return self.store.location

    def now(self) -> datetime:
        return datetime.now(UTC)

    def uri(self, table: str) -> str:
        return f"{self.location}/{table}"

    def has(self, table: str) -> bool:
        return bool(self._files(table))

    def parts(self, table: str, at: datetime | None = None) -> Sequence[Part]:
        return [FilePart(self.store, item, self.shop.zone) for item in self._files(table)]

    def _files(self, table: str) -> list[ObjectInfo]:
        return [item for item in self.store.list() if table_of(self.shop, item.name) == table]


class FilePart:
    """One file of a table's folder. It stays open while it is read: a file renamed over it changes nothing."""

    cost: Cost | None = None

    def __init__(self, store: ObjectStore, item: ObjectInfo, zone: ZoneInfo) -> None:
        self.store, self.item, self.zone = store, item, zone
        self.uri, self.name, self.size = item.uri, item.name, item.size
        self._parquet: pq.ParquetFile | None = None
        self._is_parquet: bool | None = None

    @property
    def is_sliceable(self) -> bool:
        if self._is_parquet is None:
            with self.open() as stream:
                self._is_parquet = stream.read(4) == b"PAR1"
        return self._is_parquet

    @property
    def schema(self) -> pa.Schema:
        return self._file().schema_arrow

    def open(self) -> IO[bytes]:
        return self.store.open(self.item)

    @property
    def changed_at(self) -> datetime | None:
        return datetime.fromtimestamp(self.item.changed_ns / 1e9, UTC)

    def is_as_listed(self) -> bool:
        return self.store.is_as_listed(self.item)

    def earliest(self, cursor: str) -> date | datetime | None:
        if not self.is_sliceable or not _is_instant(self.schema.field(cursor).type):
            return None
        found = [self._edges(group, cursor) for group in range(self._file().num_row_groups)]
        known = [edges[0] for edges in found if edges is not None]
        return min(known) if known and len(known) == len(found) else None

    def scan(
        self, columns: list[str] | None, cursor: str | None, span: Span
    ) -> Generator[tuple[pa.RecordBatch, np.ndarray | None], None, None]:
        import numpy as np
        import pyarrow as pa

        file = self._file()
        kind = self.schema.field(cursor).type if cursor is not None else None
        can_filter = cursor is not None and kind is not None and _is_instant(kind)
        row = 1
        for group in range(file.num_row_groups):
            first, row = row, row + file.metadata.row_group(group).num_rows
            if cursor is not None and can_filter and not self._may_hold(group, cursor, kind, span):
                continue
            for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=columns):
                lines = np.arange(first, first + len(batch), dtype="int64")
                first += len(batch)
                if cursor is not None and can_filter:
                    mask = asked_for(batch.column(cursor), span, self.zone)
                    if mask is not None:
                        batch, lines = batch.filter(pa.array(mask)), lines[mask]
                if len(batch):
                    yield batch, lines

    def _file(self) -> pq.ParquetFile:
        import pyarrow.parquet as pq

        if self._parquet is None:
            self._parquet = pq.ParquetFile(self.store.open(self.item))
        return self._parquet

    def _edges(self, group: int, cursor: str) -> tuple[Any, Any, bool] | None:
        """Minimum and maximum of a row group, and whether it may hold nulls; None where the file does not say."""
        metadata = self._file().metadata.row_group(group)
        column = metadata.column(self._file().schema_arrow.names.index(cursor)) if self._is_flat() else None
        statistics = column.statistics if column is not None else None
        if statistics is None or not statistics.has_min_max:
            return None
        return statistics.min, statistics.max, not (statistics.has_null_count and statistics.null_count == 0)

    def _is_flat(self) -> bool:
        """Whether columns of the file are columns of the table: not so where some are nested."""
        return len(self._file().schema) == len(self._file().schema_arrow)

    def _may_hold(self, group: int, cursor: str, kind: pa.DataType, span: Span) -> bool:
        edges = self._edges(group, cursor)
        if edges is None:
            return True
        low, high, has_nulls = edges
        if span.is_undated:
            beyond = span.high is not None and high >= bound(span.high, kind, self.zone)
            return bool(has_nulls or beyond or _day(low) < FIRST_DATE or _day(high) > LAST_DATE)
        return bool(
            (span.low is None or high >= bound(span.low, kind, self.zone))
            and (span.high is None or low < bound(span.high, kind, self.zone, up=True))
        )


def _is_instant(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_timestamp(kind) or pa.types.is_date32(kind)


def bound(instant: datetime, kind: pa.DataType, zone: ZoneInfo, up: bool = False) -> Any:
    """An instant as a value of a column: with a zone as it is, without one by the shop's clock, a date as its day.

    Args:
        up: the bound is one behind the last row, so that a day that has begun counts as a whole one.
    """
    import pyarrow as pa

    if getattr(kind, "tz", None) is not None:
        return instant
    local = instant.astimezone(zone).replace(tzinfo=None)
    if not pa.types.is_date(kind):
        return local
    return (local - timedelta(microseconds=1)).date() + timedelta(days=1) if up else local.date()


def asked_for(values: pa.Array, span: Span, zone: ZoneInfo) -> np.ndarray | None:
    """Which rows of a batch are asked for; None where all may be."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_timestamp(values.type):  # Arrow compares no two units
        values = values.cast(pa.timestamp("us", tz=values.type.tz), safe=False)

    def at(value: Any) -> pa.Scalar:
        return pa.scalar(value, values.type)

    masks = []
    if span.is_undated:
        masks.append(pc.is_null(values))
        days = (
            at(midnight_like(FIRST_DATE, values.type)),
            at(midnight_like(LAST_DATE + timedelta(days=1), values.type)),
        )
        masks += [pc.less(values, days[0]), pc.greater_equal(values, days[1])]
        if span.high is not None:
            masks.append(pc.greater_equal(values, at(bound(span.high, values.type, zone))))
    else:
        if span.low is not None:
            masks.append(pc.greater_equal(values, at(bound(span.low, values.type, zone))))
        if span.high is not None:
            masks.append(pc.less(values, at(bound(span.high, values.type, zone, up=True))))
    if not masks:
        return None
    found = None
    for mask in masks:
        flags = mask.fill_null(False).to_numpy(zero_copy_only=False)
        found = flags if found is None else (found | flags if span.is_undated else found & flags)
    return found


def midnight_like(day: date, kind: pa.DataType) -> date | datetime:
    """The begin of a day as a value of a column."""
    import pyarrow as pa

    if pa.types.is_date(kind):
        return day
    return datetime(day.year, day.month, day.day, tzinfo=UTC if getattr(kind, "tz", None) is not None else None)


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def table_source(settings: Settings, shop: Shop, say: Say) -> TableSource:
    """The tables of a shop whose source has tables.

    A location that is configured is read as folders, whatever the settings say.

    Args:
        say: told of what the source does that takes time or costs money.
    """
    if settings.bigquery == "google" and shop.source.location is None:
        from resources.bigquery import BigQueryTables

        return BigQueryTables(settings, shop, say)
    return FolderTables(object_store(settings, shop, say), shop)
