"""Tables with a cursor: the work is cut into slices before anything is read, and each is compared day by day.

A slice is `[low, high)`. It ends at the snapshot's instant less a lag, never at the largest value found: rows that the
source shows late are read by the next run. Days whose content is as before are left alone; the others are replaced in
ONE transaction with the ledger and the cursor. A process killed anywhere leaves all of a slice or nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from assets.extracts import days, ledger
from assets.extracts.declared import EXTRACT_ID, Declared
from assets.extracts.errors import ExtractError
from assets.extracts.extract import (
    SLICE,
    Loaded,
    Report,
    Say,
    analyze,
    copy_into,
    copy_rejects,
    lake_file,
    refuse_if_too_many_rejected,
)
from assets.extracts.raw import add_columns
from assets.extracts.rows import Mapping, Window
from assets.extracts.taking import Fit, Taken, content_hash, take
from resources.ahead import ahead
from resources.failpoints import failpoint
from resources.lake import Lake
from resources.shops import Shop
from resources.tables import FIRST_DATE, Part, Span, bound
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

LAG = timedelta(minutes=10)
"""How far behind the snapshot reading ends: so long may a source take to show a row."""
SLICE_DAYS = 90
COMPARE_EVERY = timedelta(days=7)
"""How often all of a table that changes without saying so is compared with its source."""
FAILPOINTS = (
    "slice.planned",
    "slice.read",
    "slice.transaction_begun",
    "slice.days_deleted",
    "slice.lake_published",
    "slice.copied",
    "slice.ledger_written",
    "slice.committed",
)
"""The failpoints of a slice, in the order in which it passes them, besides those of the lake and of the COPY."""


@dataclass(frozen=True)
class Slice:
    """A piece of work: the rows from one instant to before another, or those that have none."""

    low: datetime | None
    high: datetime
    first: date | None
    """The shop's day of `low`."""
    behind: date | None
    """The day behind the last that the slice touches; None for the rows that have no day."""

    @property
    def is_undated(self) -> bool:
        return self.behind is None

    @property
    def name(self) -> str:
        if self.behind is None:
            return "undated"
        return f"{self.first or 'begin'}_{self.behind - timedelta(days=1)}"

    def window(self, kind: pa.DataType, zone: ZoneInfo) -> Window:
        """The slice in values of a column."""
        low = None if self.low is None else bound(self.low, kind, zone)
        return Window(low, bound(self.high, kind, zone, up=True), self.is_undated)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a day of the shop begins: where clocks skip midnight, that of the skip."""
    return datetime.combine(day, clock.min, tzinfo=zone).astimezone(UTC)


def cut(low: datetime | None, high: datetime, earliest: datetime | None, zone: ZoneInfo) -> Iterator[Slice]:
    """Slices from `low` (None: the earliest) to `high`, cut at the shop's midnights.

    Args:
        earliest: the smallest cursor of the source; None where it cannot be told: then all is one slice.
    """
    behind = (high - timedelta(microseconds=1)).astimezone(zone).date() + timedelta(days=1)
    first = low.astimezone(zone).date() if low is not None else None
    begin = first
    if begin is None and earliest is not None:
        begin = max(earliest.astimezone(zone).date(), FIRST_DATE)
    if begin is not None:
        while begin + timedelta(days=SLICE_DAYS) < behind:
            begin += timedelta(days=SLICE_DAYS)
            end = midnight(begin, zone)
            yield Slice(low, end, first, begin)
            low, first = end, begin
    yield Slice(low, high, first, behind)


def where_to_begin(
    cursor: ledger.Cursor | None, restate_days: int | None, now: datetime, zone: ZoneInfo
) -> tuple[datetime | None, bool]:
    """From where a run reads (None: from the earliest), and whether it compares the whole table, or goes on doing so.

    Args:
        restate_days: so many days before the last one read are read again; None: none, and what was read stays.
        now: the present, by which a comparison becomes due.
    """
    if cursor is None:
        return None, True
    again = midnight(cursor.high.astimezone(zone).date() - timedelta(days=restate_days or 0), zone)
    if cursor.compared_to is not None:
        return min(cursor.compared_to, again), True
    if restate_days is not None and cursor.compared_at is not None and now - cursor.compared_at >= COMPARE_EVERY:
        return None, True
    return again, False


def extract_slices(
    warehouse: Warehouse,
    lake: Lake,
    shop: Shop,
    declared: Declared,
    others: list[Declared],
    fit: Fit,
    now: datetime,
    report: Report,
    say: Say,
) -> None:
    """Bring a raw table up to its source, slice by slice; what was done goes to the report.

    Args:
        others: the tables in which days of this one are found.
        now: the instant of the source's snapshot.

    Raises:
        ExtractError: a slice cannot be read, and those before it are committed; or the days were cut by another clock.
    """
    table = shop.tables[declared.table]
    column = declared.column(table.cursor or "")
    assert column is not None
    with warehouse.connect() as connection:
        cursor = ledger.cursor_of(connection, shop.name, declared.table)
    if cursor is not None and cursor.timezone != shop.timezone:
        raise ExtractError(
            f"its days were cut by the clock of {cursor.timezone}, and config/shops.yaml says {shop.timezone}",
            f"change it back; or, to load the table anew, run: cartograph forget {shop.name} {declared.table}",
        )
    high = max(now - LAG, cursor.high) if cursor is not None else now - LAG
    low, report.compared_all = where_to_begin(cursor, table.restate_days, now, shop.zone)
    if cursor is not None and low is not None:
        low = _with_changed_parts(low, fit, table.cursor or "", cursor.high, shop.zone)
    can_slice = all(part.is_sliceable for part, _ in fit.parts)
    # A file that can only be read from end to end would be so once for every slice. To find the earliest may cost.
    earliest = _earliest(fit.parts, table.cursor or "", shop.zone) if can_slice and low is None else None
    pieces = list(cut(low, high, earliest, shop.zone)) if can_slice else [_one_slice(low, high, shop.zone)]
    pieces.append(Slice(None, high, None, None))
    report.read_to, report.lag = high, datetime.now(UTC) - high
    failpoint("slice.planned")
    added = 0
    for number, piece in enumerate(pieces, start=1):
        began = time.monotonic()
        span = Span(piece.low, piece.high, piece.is_undated)
        taken = take(fit, shop, declared, span, piece.window(column.arrow_type, shop.zone), now, say)
        failpoint("slice.read")
        report.slices += 1
        report.later = taken.counted.later
        if not piece.is_undated:
            # Of the undated slice all may be rejected: it is held against the table, below.
            refuse_if_too_many_rejected(taken.counted, table)
        is_last = number >= len(pieces) - 1
        moved = ledger.Cursor(piece.high, None, cursor.compared_at if cursor else None, shop.timezone)
        if report.compared_all:
            moved = replace(moved, compared_to=None if is_last else piece.high)
            moved = replace(moved, compared_at=now) if is_last else moved
        with warehouse.connect() as connection:
            before = ledger.days_between(connection, shop.name, declared.table, piece.first, piece.behind)
            if piece.is_undated:
                held = ledger.totals(ledger.active_extracts(connection, shop.name, declared.table))["rows"]
                refuse_if_too_many_rejected(replace(taken.counted, rows=max(held, taken.counted.rows)), table)
        changed: dict[date | None, ledger.Day | None] = {
            day: taken.days.get(day)
            for day in {*before, *taken.days}
            if day not in before or day not in taken.days or before[day].digest != taken.days[day].digest
        }
        if not changed:
            with warehouse.connect() as connection:
                ledger.move_cursor(connection, shop.name, declared.table, moved)
            continue
        say(f"[{number}/{len(pieces)}] {piece.name}: {len(changed):,} of {len(taken.days):,} days differ")
        loaded = _replace_days(
            warehouse, lake, shop, declared, others, fit, taken, piece, changed, moved, report, began
        )
        report.loaded.append(loaded)
        say(
            f"committed {loaded.rows:,} rows of {len(changed):,} days in {loaded.seconds:.1f} s"
            + (f", {loaded.rejected:,} rejected" if loaded.rejected else "")
            + (f", {loaded.removed:,} earlier rows replaced" if loaded.removed else "")
            + (f", new columns {', '.join(loaded.new_columns)}" if loaded.new_columns else "")
        )
        added += loaded.rows
        if added >= 10_000 and (number == 1 or is_last):
            analyze(warehouse, shop, declared)


def _one_slice(low: datetime | None, high: datetime, zone: ZoneInfo) -> Slice:
    whole = next(cut(None, high, None, zone))
    return whole if low is None else replace(whole, low=low, first=low.astimezone(zone).date())


def _with_changed_parts(low: datetime, fit: Fit, cursor: str, read_at: datetime, zone: ZoneInfo) -> datetime | None:
    """From where a run reads, so that it sees all files that changed since the last one; None: from the earliest.

    A database says nothing of the kind. A file does, and what it brings may lie before the days that are read again.
    """
    changed = [item for item in fit.parts if item[0].changed_at is not None and item[0].changed_at > read_at]
    if not changed:
        return low
    first = _earliest(changed, cursor, zone) if all(part.is_sliceable for part, _ in changed) else None
    return None if first is None else min(low, midnight(first.astimezone(zone).date(), zone))


def _earliest(parts: Iterable[tuple[Part, Mapping]], cursor: str, zone: ZoneInfo) -> datetime | None:
    """The smallest instant of parts of a table; None where none of them can tell."""
    found = []
    for part, mapping in parts:
        header = next((header for column, header in mapping.columns if column.name == cursor), None)
        value = part.earliest(header) if header is not None else None
        if value is None:
            continue
        instant = value if isinstance(value, datetime) else datetime.combine(value, clock.min)
        found.append(instant.astimezone(UTC) if instant.tzinfo is not None else instant.replace(tzinfo=zone))
    return min(found, default=None)


def _replace_days(
    warehouse: Warehouse,
    lake: Lake,
    shop: Shop,
    declared: Declared,
    others: list[Declared],
    fit: Fit,
    taken: Taken,
    piece: Slice,
    changed: dict[date | None, ledger.Day | None],
    moved: ledger.Cursor,
    report: Report,
    began: float,
) -> Loaded:
    """Put the rows of the changed days in place of those that the raw table has of them.

    Args:
        changed: what the days hold now; None where they hold nothing any more.
        moved: the cursor that is written with them.
        began: `time.monotonic()` of the begin of the slice.
    """
    sha256 = content_hash(changed)
    lake_name = lake_file(shop.name, declared.table, piece.name, sha256)
    uri = f"{report.uri} {piece.name}"
    new = list(fit.new)
    # The lake is written while the server takes in what is there already.
    with warehouse.connect() as connection, ahead(taken.writing(lake, lake_name, changed), size=2) as rows:
        # A process killed a moment ago may still hold its locks: its server side notices within a second.
        connection.execute("set lock_timeout = '60s'")
        add_columns(connection, shop, declared, new)
        failpoint("slice.transaction_begun")
        removed = _delete_days(connection, shop, declared, list(changed))
        failpoint("slice.days_deleted")
        extract_id = ledger.begin_extract(connection, shop.name, declared.table, uri, sha256, SLICE, lake_name)
        copy_into(connection, rows, (shop.raw_schema, declared.table), taken.columns, extract_id)
        failpoint("slice.lake_published")
        copy_rejects(connection, shop, declared.table, extract_id, taken.rejects, changed)
        failpoint("slice.copied")
        seconds = time.monotonic() - began
        connection.execute(
            "update ledger.extracts set bytes = %s, seconds = %s where extract_id = %s",
            [taken.bytes, seconds, extract_id],
        )
        ledger.replace_days(connection, shop.name, declared.table, extract_id, changed)
        report.days_linked += days.record_changes(connection, shop, declared, extract_id, changed, others)
        ledger.move_cursor(connection, shop.name, declared.table, moved)
        failpoint("slice.ledger_written")
    failpoint("slice.committed")
    fit.new = []
    report.days_changed += len(changed)
    held = [at for at in changed.values() if at is not None]
    return Loaded(
        uri,
        SLICE,
        sum(at.rows for at in held),
        sum(at.rejected for at in held),
        removed,
        taken.bytes,
        seconds,
        new_columns=[column.name for column in new],
    )


def _delete_days(connection: psycopg.Connection, shop: Shop, declared: Declared, changed: list[date | None]) -> int:
    """Delete the rows and rejects that the table has of some days; returns how many rows."""
    from psycopg import sql

    table = shop.tables[declared.table]
    dated, undated = [day for day in changed if day is not None], None in changed
    ids = connection.execute(
        "select coalesce(array_agg(distinct extract_id), '{}') from ledger.days where shop = %s and table_name = %s"
        " and (day = any(%s) or (day is null and %s))",
        [shop.name, declared.table, dated, undated],
    ).fetchone()
    if ids is None or not ids[0]:
        return 0
    condition = sql.SQL("{id} = any(%s) and ({day} = any(%s) or ({cursor} is null and %s))").format(
        id=sql.Identifier(EXTRACT_ID),
        day=days.day_of_row(shop, declared),
        cursor=sql.Identifier(table.cursor or ""),
    )
    values = [ids[0], dated, undated]
    days.keep_gone(connection, shop, declared, condition, values)
    gone = connection.execute(
        sql.SQL("delete from {} where {}").format(sql.Identifier(shop.raw_schema, declared.table), condition), values
    )
    connection.execute(
        sql.SQL("delete from {} where extract_id = any(%s) and (day = any(%s) or (day is null and %s))").format(
            sql.Identifier(shop.raw_schema, "rejects")
        ),
        values,
    )
    return gone.rowcount
