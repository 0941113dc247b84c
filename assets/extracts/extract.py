"""Extract and load: every object of a source into its raw table exactly once.

What is to be done is decided before anything is read, by comparing the listing with the ledger. Each object is then
read in batches into a file of the lake, and committed in ONE transaction: its rows, its rejects, its line in the
ledger, the days that changed, and the removal of the rows that it replaces. A process killed anywhere leaves either all
of that or none of it; started again, it comes to the same end.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from assets.extracts import days, ledger
from assets.extracts.declared import EXTRACT_ID, Column, DeclarationError, Declared, declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.formats import read_object
from assets.extracts.raw import add_columns, ensure_raw_table, raw_columns
from assets.extracts.rows import Counted, Rejects, match_headers, typed_batches
from resources.ahead import ahead
from resources.failpoints import failpoint
from resources.far import ObjectError
from resources.lake import Lake
from resources.objects import ObjectInfo, ObjectStore, table_of
from resources.shops import Shop, Table
from resources.tables import BATCH_ROWS
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

Say = Callable[[str], None]
SLICE, WHOLE = "slice", "whole table"
"""The formats of extracts from table sources."""


@dataclass
class Loaded:
    """One object that an extract took in."""

    uri: str
    format: str
    rows: int
    rejected: int
    removed: int
    """Rows of earlier bytes under this URI that it replaced."""
    bytes: int
    seconds: float
    new_columns: list[str]


@dataclass
class Report:
    """What one extract of one table did, and what the table then holds."""

    shop: str
    table: str
    loaded: list[Loaded] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """URI -> why it was not loaded, where somebody might expect it to be."""
    failed: list[ExtractError] = field(default_factory=list)
    objects: int = 0
    seconds: float = 0.0
    totals: dict[str, Any] = field(default_factory=dict)
    data_version: str = ""
    sample: list[dict[str, Any]] = field(default_factory=list)
    uri: str = ""
    """Where the source is."""
    slices: int = 0
    """Slices that were read, of a table that is read by slices."""
    days_changed: int = 0
    days_linked: int = 0
    """Further days of the shop that were found through other tables."""
    later: int = 0
    """Rows of the source that are not due yet."""
    compared_all: bool = False
    """Whether all of the table was compared with the source."""
    read_to: datetime | None = None
    """Up to which instant the table was read."""
    lag: timedelta | None = None
    """How far behind the present that was."""
    estimated: int | None = None
    """Bytes that were to be billed, as the source said before; None where reading costs nothing."""
    bytes_billed: int | None = None
    """Bytes that the source bills for what was read."""

    @property
    def is_unchanged(self) -> bool:
        return not self.loaded

    @property
    def rows_per_second(self) -> float:
        spent = sum(item.seconds for item in self.loaded)
        return sum(item.rows for item in self.loaded) / spent if spent else 0.0


@dataclass(frozen=True)
class Step:
    """What is to be done with one object."""

    item: ObjectInfo
    sha256: str
    load: bool
    """False where its bytes are in the table already."""
    replaces: str | None
    """The SHA-256 of earlier bytes under its URI that are in no object any more: their rows go."""
    holders: tuple[str, ...] = ()
    """Other URIs that had those bytes too: the rows stay until the last of them was taken in with what it has now."""
    reason: str = ""


def extract_table(
    warehouse: Warehouse,
    lake: Lake,
    store: ObjectStore,
    shop: Shop,
    table_name: str,
    say: Say = print,
    declared: Declared | None = None,
) -> Report:
    """Bring a raw table up to its source.

    Objects that cannot be read leave no trace and do not stop the others: they are in `Report.failed`.

    Args:
        declared: the declared columns, where they are not those of the shop's `_sources.yml`.

    Raises:
        ExtractError: the declared types are not those of the raw table.
        DeclarationError: the table is not declared, or not so that it can be loaded.
    """
    began = time.monotonic()
    table = shop.tables[table_name]
    declared = declared or declared_table(shop.name, table_name)
    check_cursor(table, declared)
    days.check_days_of(shop, declared)
    others = days.linked_tables(declared)
    report = Report(shop.name, table_name, uri=store.location)
    with warehouse.advisory_lock(
        f"extract {shop.name}.{table_name}",
        waiting=lambda: say("another extract of this table is at work; waiting for it"),
    ):
        with warehouse.connect() as connection:
            ledger.ensure_ledger(connection)
            for each in (declared, *others):
                ensure_raw_table(connection, shop, each)
            refuse_other_formats(connection, shop, table_name, {SLICE, WHOLE}, are_ours=False)
            connection.commit()
            items = [item for item in store.list() if table_of(shop, item.name) == table_name]
            report.objects = len(items)
            known = ledger.known_objects(connection, shop.name, table_name)
            active = {item.sha256: item for item in ledger.active_extracts(connection, shop.name, table_name)}
        sha_of: dict[str, str] = {}
        refused: dict[str, ExtractError] = {}
        """By SHA-256, what was wrong with it."""

        def refuse(item: ObjectInfo, error: ExtractError) -> None:
            report.failed.append(error.at(shop=shop.name, table=table_name, uri=item.uri))
            say(f"refused: {error}")

        for item in items:
            fingerprint, sha256 = known.get(item.uri, ("", ""))
            try:
                sha_of[item.uri] = sha256 if fingerprint == item.fingerprint else digest(store, item)
            except ExtractError as error:
                refuse(item, error)
        steps = list(plan(items, sha_of, known, active))
        failpoint("extract.planned")
        for number, step in enumerate(steps, start=1):
            name = step.item.name
            try:
                if step.sha256 in refused:
                    raise refused[step.sha256].elsewhere()
                if step.reason:
                    report.skipped[step.item.uri] = step.reason
                    say(f"skipped {name}: {step.reason}")
                if step.load:
                    say(f"[{number}/{len(steps)}] reading {name} ({step.item.size / 1e6:,.1f} MB)")
                    loaded = _load(warehouse, lake, store, shop, table, declared, others, step, say)
                    report.loaded.append(loaded)
                    say(
                        f"committed {loaded.rows:,} rows of {name} in {loaded.seconds:.1f} s"
                        + (f", {loaded.rejected:,} rejected" if loaded.rejected else "")
                        + (f", {loaded.removed:,} earlier rows replaced" if loaded.removed else "")
                        + (f", new columns {', '.join(loaded.new_columns)}" if loaded.new_columns else "")
                    )
                else:
                    removed = _take_note(warehouse, shop, declared, others, step)
                    if removed:
                        report.loaded.append(Loaded(step.item.uri, "known bytes", 0, 0, removed, 0, 0.0, []))
            except ExtractError as error:
                refused[step.sha256] = error
                refuse(step.item, error)
            except Exception as error:
                error.add_note(f"while extracting {shop.name}.{table_name}, file {step.item.uri}")
                raise
    with warehouse.connect() as connection:
        extracts = ledger.active_extracts(connection, shop.name, table_name)
        report.totals = ledger.totals(extracts)
        report.data_version = ledger.data_version(extracts)
        report.sample = sample(connection, shop, declared)
    report.seconds = time.monotonic() - began
    return report


def plan(
    items: list[ObjectInfo],
    sha_of: dict[str, str],
    known: dict[str, tuple[str, str]],
    active: dict[str, ledger.Extract],
) -> Iterator[Step]:
    """What is to be done so that the table holds the bytes of every object once.

    An object is its bytes; its URI is where they were found. The rows of bytes that nothing points to any more stay,
    unless new bytes came under the URI that they were loaded from: a file taken away from an inbox is not a deletion.

    Args:
        items: the listing.
        sha_of: URI -> the SHA-256 of the bytes that are there now; an object that cannot be read is left out.
        known: URI -> (fingerprint, SHA-256) of what was last taken in under it.
        active: by SHA-256, the extracts whose rows are in the table.
    """
    still_there = set(sha_of.values())
    loaded_from = {sha256: extract.uri for sha256, extract in active.items()}
    for item in items:
        sha256 = sha_of.get(item.uri)
        fingerprint, before = known.get(item.uri, ("", ""))
        if sha256 is None or (fingerprint == item.fingerprint and sha256 in loaded_from):
            continue
        replaces = before if before in active and before not in still_there else None
        holders = tuple(i.uri for i in items if i != item and replaces and known.get(i.uri, ("", ""))[1] == replaces)
        if sha256 not in loaded_from:
            yield Step(item, sha256, True, replaces, holders)
            loaded_from[sha256] = item.uri
        else:
            other = loaded_from[sha256]
            reason = "" if other == item.uri else f"the same bytes as {other}, which is loaded"
            yield Step(item, sha256, False, replaces, holders, reason)


def digest(store: ObjectStore, item: ObjectInfo) -> str:
    """The SHA-256 of an object's bytes."""
    with _open(store, item) as stream:
        return hashlib.file_digest(cast(Any, stream), "sha256").hexdigest()


@contextmanager
def _open(store: ObjectStore, item: ObjectInfo) -> Iterator[BinaryIO]:
    """Open an object; what is wrong with it is an `ExtractError`, also where it shows only while it is read."""
    try:
        try:
            stream = cast(BinaryIO, store.open(item))
        except FileNotFoundError as error:
            raise ExtractError("the file is gone since the source was listed", "run again") from error
        except OSError as error:
            raise ExtractError(f"the file cannot be opened ({error})", "make it readable for this user") from error
        with stream:
            yield stream
    except ObjectError as error:
        raise ExtractError(error.problem, error.remedy) from error


def check_cursor(table: Table, declared: Declared) -> None:
    if table.cursor is None:
        return
    column = declared.column(table.cursor)
    if column is None or column.data_type not in ("date", "timestamp", "timestamptz"):
        raise DeclarationError(
            f"{declared.path}: {declared.table}.{table.cursor}: it is the table's cursor in config/shops.yaml and "
            f"is {'not declared' if column is None else 'declared as ' + column.data_type}. Declare it as date, "
            "timestamp or timestamptz, or name another cursor."
        )


def _load(
    warehouse: Warehouse,
    lake: Lake,
    store: ObjectStore,
    shop: Shop,
    table: Table,
    declared: Declared,
    others: list[Declared],
    step: Step,
    say: Say,
) -> Loaded:
    began = time.monotonic()
    counted, rejects = Counted(), Rejects()
    with warehouse.connect() as connection:
        in_table = raw_columns(connection, shop.raw_schema, declared.table)
    lake_name = lake_file(shop.name, declared.table, step.item.name, step.sha256)
    with _open(store, step.item) as stream:
        reading = read_object(stream, step.item.name, table)
        mapping = match_headers(reading, declared, in_table)
        failpoint("extract.read")

        def batches() -> Generator[pa.RecordBatch, None, None]:
            """The rows, each batch of which is in the lake before it goes on; at the end the lake has the file."""
            with lake.create(lake_name, mapping.schema) as writer:
                for batch in typed_batches(reading, mapping, shop, table, counted, rejects):
                    writer.write_batch(batch)
                    failpoint("extract.lake_writing")
                    yield batch
                refuse_if_too_many_rejected(counted, table)
                if not _is_unchanged(store, step):
                    raise ExtractError(
                        "the file changed while it was read",
                        "run again when it is complete; write it under another name and rename it",
                    )
            failpoint("extract.lake_published")

        # The source is read and the lake written while the server takes in what was read before: on one connection, in
        # one transaction, which is committed when both have all of it.
        with warehouse.connect() as connection, ahead(batches(), size=2) as read:
            # A process killed a moment ago may still hold its locks: its server side notices within a second.
            connection.execute("set lock_timeout = '60s'")
            add_columns(connection, shop, declared, mapping.new)
            failpoint("extract.transaction_begun")
            removed, removed_days = _remove(connection, shop, declared, step)
            failpoint("extract.old_rows_deleted")
            extract_id = ledger.begin_extract(
                connection, shop.name, declared.table, step.item.uri, step.sha256, reading.format, lake_name
            )
            columns = [column for column, _ in mapping.columns]
            told = _tell_progress(read, step.item.name, say)
            copy_into(connection, told, (shop.raw_schema, declared.table), columns, extract_id)
            copy_rejects(connection, shop, declared.table, extract_id, rejects)
            failpoint("extract.copied")
            ledger.remember_object(
                connection, shop.name, declared.table, step.item.uri, step.item.fingerprint, step.sha256, step.item.size
            )
            seconds = time.monotonic() - began
            ledger.end_extract(connection, extract_id, counted, step.item.size, seconds)
            days.record_changes(connection, shop, declared, extract_id, counted.days | removed_days, others)
            failpoint("extract.ledger_written")
    failpoint("extract.committed")
    if counted.rows >= 10_000:
        analyze(warehouse, shop, declared)
    return Loaded(
        *(step.item.uri, reading.format, counted.rows, counted.rejected, removed, step.item.size, seconds),
        new_columns=[column.name for column in mapping.new],
    )


def _is_unchanged(store: ObjectStore, step: Step) -> bool:
    """Whether an object that was read still is what was planned."""
    if store.is_far:  # its bytes were read in the version that was listed, and to read them again costs
        return store.is_as_listed(step.item)
    return digest(store, step.item) == step.sha256


def _tell_progress(batches: Iterable[pa.RecordBatch], name: str, say: Say) -> Iterator[pa.RecordBatch]:
    """The same batches; every half million rows or so something is said."""
    rows = 0
    for batch in batches:
        yield batch
        rows += len(batch)
        if rows % (8 * BATCH_ROWS) < len(batch):
            say(f"read {rows:,} rows of {name}")


def _take_note(warehouse: Warehouse, shop: Shop, declared: Declared, others: list[Declared], step: Step) -> int:
    """Remember an object whose bytes are known already, and remove what it had before; returns the rows removed."""
    with warehouse.connect() as connection:
        removed, removed_days = _remove(connection, shop, declared, step)
        ledger.remember_object(
            connection, shop.name, declared.table, step.item.uri, step.item.fingerprint, step.sha256, step.item.size
        )
        if removed:
            row = connection.execute(
                "select extract_id from ledger.extracts where shop = %s and table_name = %s and sha256 = %s"
                " and removed_at is null",
                [shop.name, declared.table, step.sha256],
            ).fetchone()
            days.record_changes(connection, shop, declared, row[0] if row else 0, removed_days, others, came=False)
    return removed


def _remove(connection: psycopg.Connection, shop: Shop, declared: Declared, step: Step) -> tuple[int, set[date | None]]:
    """Remove the rows and rejects of what a step replaces; returns how many rows and the shop's days that they had."""
    if step.replaces is None:
        return 0, set()
    from psycopg import sql

    old = connection.execute(
        "update ledger.extracts set removed_at = now() where shop = %(shop)s and table_name = %(table)s"
        " and sha256 = %(replaces)s and removed_at is null and not exists (select from ledger.objects where"
        " shop = %(shop)s and table_name = %(table)s and sha256 = %(replaces)s and uri = any(%(holders)s))"
        " returning extract_id",
        {
            "shop": shop.name,
            "table": declared.table,
            "replaces": step.replaces,
            "holders": list(step.holders),
        },
    ).fetchone()
    if old is None:
        return 0, set()
    days.keep_gone(connection, shop, declared, sql.SQL("{} = %s").format(sql.Identifier(EXTRACT_ID)), list(old))
    names = {
        "raw": sql.Identifier(shop.raw_schema, declared.table),
        "day": days.day_of_row(shop, declared),
        "id": sql.Identifier(EXTRACT_ID),
    }
    rows = connection.execute(
        sql.SQL(
            "with gone as (delete from {raw} where {id} = %s returning {day} as day)"
            " select day, count(*) from gone group by day"
        ).format(**names),
        old,
    ).fetchall()
    connection.execute(
        sql.SQL("delete from {} where extract_id = %s").format(sql.Identifier(shop.raw_schema, "rejects")), old
    )
    return sum(count for _, count in rows), {day for day, _ in rows}


def copy_into(
    connection: psycopg.Connection,
    batches: Iterable[pa.RecordBatch],
    target: tuple[str, str],
    columns: list[Column],
    extract_id: int,
) -> None:
    """Binary COPY of batches into a table, given by schema and name.

    Args:
        batches: have the columns by name, of their Arrow types; what else they have is left out.
    """
    import pgpq
    import pyarrow as pa
    from psycopg import sql

    # Binary COPY stores wrong bits for a wrong type without a word, so the types are compared first.
    in_table = raw_columns(connection, *target)
    for column in columns:
        if in_table.get(column.name) != column.data_type:
            raise ExtractError(
                f"{column.data_type} was read, and the raw table has {in_table.get(column.name)}: it changed meanwhile",
                "run again",
                column=column.name,
            )
    schema = pa.schema([(column.name, column.arrow_type) for column in columns] + [(EXTRACT_ID, pa.int64())])
    encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)
    statement = sql.SQL("copy {} ({}) from stdin (format binary)").format(
        sql.Identifier(*target), sql.SQL(", ").join(map(sql.Identifier, schema.names))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(encoder.write_header())
        for batch in batches:
            ids = pa.array([extract_id], pa.int64()).take(pa.nulls(len(batch), pa.int32()).fill_null(0))
            by_name = [batch.column(column.name).cast(column.arrow_type) for column in columns]
            copy.write(encoder.write_batch(pa.record_batch([*by_name, ids], schema=schema)))
            failpoint("extract.copying")
        copy.write(encoder.finish())


def copy_rejects(
    connection: psycopg.Connection,
    shop: Shop,
    table: str,
    extract_id: int,
    rejects: Rejects,
    only_days: Collection[date | None] | None = None,
) -> None:
    """Put rejected rows into the shop's table of them.

    Args:
        only_days: the days whose rows are wanted; None: all.
    """
    from psycopg import sql

    if not rejects.file.tell():
        return
    rejects.file.seek(0)
    connection.execute(
        "create temp table incoming_rejects (line bigint, column_name text, reason text, raw text, day date, uri text)"
        " on commit drop"
    )
    with connection.cursor() as cursor, cursor.copy("copy incoming_rejects from stdin") as copy:
        while block := rejects.file.read(1 << 20):
            copy.write(block)
    connection.execute(
        sql.SQL(
            "insert into {} (extract_id, table_name, line, column_name, reason, raw, day, uri)"
            " select %s, %s, * from incoming_rejects where %s or day = any(%s) or (day is null and %s)"
        ).format(sql.Identifier(shop.raw_schema, "rejects")),
        [
            *(extract_id, table, only_days is None),
            [day for day in only_days or () if day is not None],
            only_days is not None and None in only_days,
        ],
    )


def refuse_other_formats(
    connection: psycopg.Connection, shop: Shop, table: str, formats: set[str], are_ours: bool
) -> None:
    """See that what a raw table holds was loaded in the way in which it is to be loaded now.

    Args:
        formats: formats of extracts.
        are_ours: whether these alone may be there, or these alone may not.

    Raises:
        ExtractError: it was not; the rows would be there twice.
    """
    others = {name for name in ledger.formats(connection, shop.name, table) if (name in formats) != are_ours}
    if others:
        raise ExtractError(
            f"its rows were loaded in another way (as {', '.join(sorted(others))}): the source or the cursor of the "
            "table was changed in config/shops.yaml",
            f"change it back; or, to load the table anew, run: cartograph forget {shop.name} {table}",
            shop=shop.name,
            table=table,
        )


def refuse_if_too_many_rejected(counted: Counted, table: Table) -> None:
    total = counted.rows + counted.rejected
    if not total or counted.rejected <= table.max_rejected_share * total:
        return
    (column, reason), count = counted.reasons.most_common(1)[0]
    line, value = counted.first[column, reason]
    reason, _, remedy = reason.partition("; ")
    if remedy:
        hint = ""
    elif column:
        hint = "; the column changed its type, or the file is not what this table expects"
    else:
        hint = "; the file is damaged or not what this table expects"
    raise ExtractError(
        f"{counted.rejected:,} of {total:,} rows ({counted.rejected / total:.0%}) cannot be read, more than the "
        f"{table.max_rejected_share:.0%} that is allowed; most often ({count:,} rows) "
        f"{f'the value is {reason}' if column else reason}, first {value!r}{hint}",
        (remedy or "correct the file") + "; or, if these rows are to be set aside in `rejects`, raise "
        "`max_rejected_share` for this table in config/shops.yaml",
        line=line,
        column=column or None,
    )


def lake_file(shop: str, table: str, name: str, sha256: str) -> str:
    """The name of an extract in the lake: its slice (here the object's name) and the hash of its content."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:80]
    return f"raw/{shop}/{table}/{safe or 'object'}/{sha256[:32]}.parquet"


def analyze(warehouse: Warehouse, shop: Shop, declared: Declared) -> None:
    from psycopg import sql

    with warehouse.connect(autocommit=True) as connection:
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier(shop.raw_schema, declared.table)))


def sample(connection: psycopg.Connection, shop: Shop, declared: Declared, limit: int = 5) -> list[dict[str, Any]]:
    """Some rows of the raw table, personal data left out."""
    from psycopg import sql
    from psycopg.rows import dict_row

    shown = [column.name for column in declared.columns if not column.is_personal]
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            sql.SQL("select {} from {} limit %s").format(
                sql.SQL(", ").join(map(sql.Identifier, shown)), sql.Identifier(shop.raw_schema, declared.table)
            ),
            [limit],
        )
        return cursor.fetchall()
