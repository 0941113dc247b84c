"""Extract and load from a stream: every record once, in micro-batches that move its shards on in the same transaction.

A shard is read only when those of which it was made were read to their ends. What cannot be read is set aside and stops
nothing; what the stream lost before it was read stops the extract, until somebody accepts the gap.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from assets.extracts import days, ledger
from assets.extracts.api import declared_events, with_api
from assets.extracts.declared import Declared, declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.extract import (
    Loaded,
    Report,
    Say,
    analyze,
    check_cursor,
    copy_into,
    copy_rejects,
    lake_file,
    refuse_other_formats,
    sample,
)
from assets.extracts.positions import (
    Loss,
    Position,
    Positions,
    accept,
    expired,
    expiry,
    gaps,
    instant,
    losses,
    read_positions,
    version,
    write_position,
)
from assets.extracts.raw import add_columns, ensure_raw_table, raw_columns
from assets.extracts.records import Rows, check_columns, to_rows
from resources.events import EventsStream
from resources.failpoints import failpoint
from resources.far import SourceError
from resources.lake import Lake
from resources.shops import API_EVENTS, Shop
from resources.streams import Description, Record, Shard, Stream
from resources.warehouse import Warehouse

STREAM = "stream"
"""The format of extracts from streams."""
BATCH_RECORDS, BATCH_BYTES = 20_000, 32 << 20
"""How much one micro-batch takes before it is committed."""
LONGEST = 600.0
"""Seconds after which an extract ends, though records still come: the next one goes on."""
PAUSE = 0.5
"""Seconds between two looks for new records."""
BREATH = 0.25
"""Seconds between two reads of a shard that gave nothing though there is more: it answers five times a second."""
LOOKS = 5
"""How many reads in a row may give nothing though there is more, until the next look."""
TO_BE_SURE = timedelta(seconds=2)
"""The clock of a server is told in whole seconds."""
NOTED_EVERY = timedelta(hours=1)
"""How old what the ledger says of an idle shard may become; until then an extract that finds nothing writes nothing."""
FAILPOINTS = (
    "stream.read",
    "stream.lake_published",
    "stream.transaction_begun",
    "stream.copied",
    "stream.positions_written",
    "stream.ledger_written",
    "stream.committed",
)
"""The failpoints of a micro-batch, in the order in which it passes them, besides those of the lake and of the COPY."""


@dataclass
class StreamReport(Report):
    """What one extract of a stream did."""

    records: int = 0
    behind: timedelta | None = None
    """How far the shard that is furthest behind is from its newest record; None where there is no stream."""
    positions: dict[str, Position] = field(default_factory=dict)
    gaps: list[dict[str, Any]] = field(default_factory=list)


def extract_stream(
    warehouse: Warehouse,
    lake: Lake,
    stream: Stream,
    shop: Shop,
    table_name: str,
    say: Say = print,
    declared: Declared | None = None,
    linger: float = 0.0,
    longest: float = LONGEST,
) -> StreamReport:
    """Bring a raw table up to its stream.

    Args:
        declared: the declared columns, where they are not those of the shop's `_sources.yml`.
        linger: seconds for which to wait for more after the last record; 0: not at all, and what comes after the begin
            is left to the next extract.
        longest: seconds after which it ends though records still come.

    Raises:
        ExtractError: the stream cannot be read, or has lost records; the micro-batches before that are committed.
        DeclarationError: the table is not declared, or not so that it can be loaded.
    """
    began = time.monotonic()
    declared = declared or declared_table(shop.name, table_name)
    check_cursor(shop.tables[table_name], declared)
    check_columns(declared)
    days.check_days_of(shop, declared)
    report = StreamReport(shop.name, table_name, uri=stream.uri)
    with warehouse.advisory_lock(
        f"extract {shop.name}.{table_name}",
        waiting=lambda: say("another extract of this table is at work; waiting for it"),
    ):
        others = days.linked_tables(declared)
        with warehouse.connect() as connection:
            ledger.ensure_ledger(connection)
            for item in (declared, *others):
                ensure_raw_table(connection, shop, item)
            refuse_other_formats(connection, shop, table_name, {STREAM}, are_ours=True)
            held = read_positions(connection, shop.name, table_name)
        try:
            found = _described(stream, held)
            if found is None:
                say(f"stream {stream.name}: nothing was ever put there")
            else:
                _Extract(warehouse, lake, stream, shop, declared, others, found, held, report, say).run(linger, longest)
        except SourceError as error:
            raise ExtractError(error.problem, error.remedy, shop=shop.name, table=table_name) from error
        except ExtractError as error:
            error.shop, error.table = shop.name, table_name
            raise
        except Exception as error:
            error.add_note(f"while extracting {shop.name}.{table_name} from {stream.uri}")
            raise
    with warehouse.connect() as connection:
        extracts = ledger.active_extracts(connection, shop.name, table_name)
        held = read_positions(connection, shop.name, table_name)
        report.totals = ledger.totals(extracts)
        report.data_version, report.positions = version(held), held.of
        report.gaps = gaps(connection, shop.name, table_name)
        report.sample = sample(connection, shop, declared)
    report.seconds = time.monotonic() - began
    return report


def extract_events(warehouse: Warehouse, lake: Lake, shop: Shop, say: Say = print, linger: float = 0.0) -> StreamReport:
    """Bring the raw table of a shop's API events up to what the API took in; see `extract_stream`."""
    stream, declared = EventsStream(warehouse, shop.name), declared_events(shop)
    return extract_stream(warehouse, lake, stream, with_api(shop), API_EVENTS, say, declared, linger)


def accept_gaps(warehouse: Warehouse, stream: Stream, shop: Shop, table_name: str, say: Say = print) -> list[Loss]:
    """Go on without what a stream has lost: the gaps are written down, and its shards are read from what it still has.

    Returns:
        What was lost; empty where nothing was, and then nothing is changed.

    Raises:
        SourceError: the stream cannot be reached.
        ExtractError: there is no stream any more.
    """
    with (
        warehouse.advisory_lock(
            f"extract {shop.name}.{table_name}",
            waiting=lambda: say("an extract of this table is at work; waiting for it"),
        ),
        warehouse.connect() as connection,
    ):
        ledger.ensure_ledger(connection)
        held = read_positions(connection, shop.name, table_name)
        found = _described(stream, held)
        if found is None:
            return []
        shards = stream.shards()
        lost = losses(held, found, shards)
        accept(connection, shop.name, table_name, lost, found, shards)
    return lost


def news(stream: Stream, found: Description, held: Positions) -> list[str]:
    """Why a stream is worth an extract; empty where it is not. Equal where nothing happened in between.

    Args:
        found: the stream as it is.
        held: how far it was read.

    Raises:
        SourceError: the stream cannot be read.
    """
    shards = stream.shards()
    lost = losses(held, found, shards)
    if lost:
        return [f"{loss.shard}: {loss.problem.partition(',')[0]}" for loss in lost]
    told = []
    for shard in shards:
        at = held.of.get(shard.id)
        if at is not None and at.has_ended:
            continue
        if at is None:
            told.append(f"{shard.id}: not read yet")
        elif found.retention is not None and found.now - at.read_to > max(NOTED_EVERY, found.retention / 4):
            # Long before the position is as old as what the stream forgets.
            told.append(f"{shard.id}: not looked at since {instant(at.read_to)}")
        else:
            for _ in range(LOOKS):
                batch = stream.read(shard.id, at.sequence, limit=1)
                if batch.records or batch.has_ended or not batch.behind:
                    break
            if batch.records or batch.has_ended:
                told.append(f"{shard.id}: " + (batch.records[0].sequence if batch.records else "ended"))
    return told


def _described(stream: Stream, held: Positions) -> Description | None:
    found = stream.describe()
    if found is None and held.created_at is not None:
        raise ExtractError(
            f"stream {stream.name}: {stream.uri} is gone, and was read before",
            "put it back; or put records into a new one, and accept the gap",
        )
    return found


def remedy_of_loss(shop: Shop, table_name: str) -> str:
    several = table_name == API_EVENTS or sum(table.stream is not None for table in shop.tables.values()) > 1
    return (
        f"to go on without what is lost, run: cartograph stream {shop.name} --accept-gap"
        + (f" --table {table_name}" if several else "")
        + "; for the future, extract more often, or raise the retention of the stream"
    )


class _Extract:
    """One extract of a stream at work."""

    def __init__(
        self,
        warehouse: Warehouse,
        lake: Lake,
        stream: Stream,
        shop: Shop,
        declared: Declared,
        others: list[Declared],
        found: Description,
        held: Positions,
        report: StreamReport,
        say: Say,
    ) -> None:
        self.warehouse, self.lake, self.stream = warehouse, lake, stream
        self.shop, self.declared, self.others = shop, declared, others
        self.found, self.report, self.say = found, report, say
        self.written = dict(held.of)
        """What the ledger says of each shard."""
        self.reached = dict(held.of)
        """How far each shard was read."""
        self.shards = stream.shards()
        self.now = found.now
        self.behind: dict[str, timedelta] = {}
        lost = losses(held, found, self.shards)
        if lost:
            raise self._lost(lost)

    def run(self, linger: float, longest: float) -> None:
        """Read and commit, round by round."""
        began = quiet_since = told_at = time.monotonic()
        until = None if linger else self.found.now + TO_BE_SURE
        taken = 0
        while True:
            records, at_end = self._round(until)
            failpoint("stream.read")
            if records:
                taken += self._commit(records)
                quiet_since = time.monotonic()
            elif linger:
                self._note()
            present = time.monotonic()
            if at_end and not records and present - quiet_since >= linger:
                break
            if present - began >= longest:
                self.say(f"it ends after {present - began:,.0f} s, though records still come; the next extract goes on")
                break
            if present - told_at >= 60:
                self.say(f"{self.report.records:,} records so far, {self._furthest().total_seconds():,.0f} s behind")
                told_at = present
            if linger and at_end:
                time.sleep(PAUSE)
            elif not records:
                time.sleep(BREATH)
        self._note()
        self.report.objects, self.report.behind = len(self.shards), self._furthest()
        if taken >= 10_000:
            analyze(self.warehouse, self.shop, self.declared)

    def _round(self, until: datetime | None) -> tuple[list[tuple[str, Record]], bool]:
        """Read once from every shard whose turn it is.

        Args:
            until: what arrived after this instant need not be read.

        Returns:
            The records, each with its shard, and whether they are all that was there to read.
        """
        records: list[tuple[str, Record]] = []
        at_end, size, has_ended = True, 0, False
        for place, shard in enumerate(self.shards):
            at = self.reached.get(shard.id)
            if at is not None and at.has_ended:
                continue
            if not self._is_due(shard):
                at_end = False
                continue
            if at is None:
                at = Positions(self.found.created_at, self.reached).of_child(shard) or self._horizon()
            elif until is not None and at.read_to > until:
                continue
            batch = self.stream.read(shard.id, at.sequence)
            self.now, self.behind[shard.id] = batch.now, batch.behind
            if expired(at, self.found.retention, batch.now):
                horizon = batch.now - (self.found.retention or timedelta(0))
                raise self._lost([Loss(shard.id, at.read_to, horizon, expiry(at, horizon))])
            self.reached[shard.id] = _moved(at, batch.records, batch.behind, batch.has_ended, batch.now)
            records += [(shard.id, record) for record in batch.records]
            size += sum(len(record.data) for record in batch.records)
            has_ended |= batch.has_ended
            at_end &= batch.has_ended or not batch.behind
            if len(records) >= BATCH_RECORDS or size >= BATCH_BYTES:
                # The others come first in the next round.
                self.shards = self.shards[place + 1 :] + self.shards[: place + 1]
                return records, False
        if has_ended:
            self.shards = self.stream.shards()  # its children may be there only now
        return records, at_end and not has_ended

    def _is_due(self, shard: Shard) -> bool:
        """Whether the shards of which it was made were read to their ends, where anything is left of them."""
        listed = {item.id for item in self.shards}
        return all(
            self.reached[parent].has_ended if parent in self.reached else parent not in listed
            for parent in shard.parents
        )

    def _horizon(self) -> Position:
        """Where a shard begins of which nothing was read."""
        kept_since = self.found.created_at
        if self.found.retention is not None:
            kept_since = max(kept_since, self.now - self.found.retention)
        return Position(None, False, kept_since, self.now)

    def _commit(self, records: list[tuple[str, Record]]) -> int:
        """Put a micro-batch into the raw table, and move the shards on; returns how many rows came."""
        began = time.monotonic()
        shop, declared, table = self.shop, self.declared, self.declared.table
        with self.warehouse.connect() as connection:
            in_table = raw_columns(connection, shop.raw_schema, table)
        rows = to_rows(records, self.stream.uri, shop, declared, in_table)
        counted, sha256 = rows.counted, self._hash(records)
        lake_name = lake_file(shop.name, table, f"{records[0][1].arrived_at:%Y-%m-%dT%H%M%S}", sha256)
        with self.lake.create(lake_name, rows.schema) as writer:
            for batch in rows.batches:
                writer.write_batch(batch)
        failpoint("stream.lake_published")
        size = sum(len(record.data) for _, record in records)
        uri = f"{self.stream.uri} {records[0][0]} {records[0][1].sequence}"
        with self.warehouse.connect() as connection:
            # A process killed a moment ago may still hold its locks: its server side notices within a second.
            connection.execute("set lock_timeout = '60s'")
            add_columns(connection, shop, declared, rows.new)
            failpoint("stream.transaction_begun")
            extract_id = ledger.begin_extract(connection, shop.name, table, uri, sha256, STREAM, lake_name)
            copy_into(connection, rows.batches, (shop.raw_schema, table), rows.columns, extract_id)
            copy_rejects(connection, shop, table, extract_id, rows.rejects)
            failpoint("stream.copied")
            written = self._write_positions(connection)
            failpoint("stream.positions_written")
            seconds = time.monotonic() - began
            ledger.end_extract(connection, extract_id, counted, size, seconds)
            self.report.days_linked += days.record_changes(
                connection, shop, declared, extract_id, counted.days, self.others
            )
            failpoint("stream.ledger_written")
        failpoint("stream.committed")
        self.written |= written
        self._report(records, rows, uri, size, seconds)
        return counted.rows

    def _report(self, records: list[tuple[str, Record]], rows: Rows, uri: str, size: int, seconds: float) -> None:
        counted = rows.counted
        new = [column.name for column in rows.new]
        self.report.records += len(records)
        self.report.days_changed += len(counted.days)
        self.report.loaded.append(Loaded(uri, STREAM, counted.rows, counted.rejected, 0, size, seconds, new))
        reason = counted.reasons.most_common(1)
        self.say(
            f"committed {counted.rows:,} rows of {len(records):,} records in {seconds:.2f} s"
            + (f", {counted.rejected:,} rejected" if counted.rejected else "")
            + (f" (such as {reason[0][0][0]}: {reason[0][0][1]})" if reason else "")
            + (f", new columns {', '.join(new)}" if new else "")
        )

    def _hash(self, records: list[tuple[str, Record]]) -> str:
        """A hash of records and of their places in this stream, so that no two micro-batches have one."""
        found = hashlib.sha256(str(self.found.created_at).encode())
        for shard, record in records:
            found.update(f"\n{shard} {record.sequence} {len(record.data)} ".encode() + record.data)
        return found.hexdigest()

    def _note(self) -> None:
        """Write down where the shards are, if that is news."""
        if self._news():
            with self.warehouse.connect() as connection:
                written = self._write_positions(connection)
            self.written |= written

    def _news(self) -> dict[str, Position]:
        """The positions that the ledger does not have; that nothing came is news once an hour."""
        return {
            shard: at
            for shard, at in self.reached.items()
            if shard not in self.written
            or (at.sequence, at.has_ended) != (self.written[shard].sequence, self.written[shard].has_ended)
            or at.read_to - self.written[shard].read_to >= NOTED_EVERY
        }

    def _write_positions(self, connection: Any) -> dict[str, Position]:
        news = self._news()
        for shard, at in news.items():
            if not write_position(
                *(connection, self.shop.name, self.declared.table, self.found.created_at),
                *(shard, self.written.get(shard), at),
            ):
                raise ExtractError(
                    f"stream {self.stream.name}, shard {shard}: another extract has read on meanwhile", "run again"
                )
        return news

    def _furthest(self) -> timedelta:
        return max(self.behind.values(), default=timedelta(0))

    def _lost(self, lost: list[Loss]) -> ExtractError:
        first = lost[0]
        others = f" (and {len(lost) - 1} more shards)" if len(lost) > 1 else ""
        return ExtractError(
            f"stream {self.stream.name}{first.place}: {first.problem}{others}",
            remedy_of_loss(self.shop, self.declared.table),
        )


def _moved(at: Position, records: list[Record], behind: timedelta, has_ended: bool, now: datetime) -> Position:
    """A position after a read."""
    if records:
        read_to = max(at.read_to, max(record.arrived_at for record in records))
        return replace(at, sequence=records[-1].sequence, has_ended=has_ended, read_to=read_to)
    # When a shard ended is not told: its children are held to have begun after its last record.
    read_to = max(at.read_to, now) if not behind and not has_ended else at.read_to
    return replace(at, has_ended=has_ended, read_to=read_to)
