"""`cartograph stream`: the rows of a file as records of a shop's stream, and going on after a stream lost records."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from assets.extracts.convert import cell_text
from assets.extracts.declared import Declared, declared_table, fold
from assets.extracts.errors import ExtractError
from assets.extracts.formats import Reading, read_object
from assets.extracts.records import OF_RECORD, RECORD_ID
from assets.extracts.stream import accept_gaps
from orchestration.cli.session import REAL, CommandError, claim_home, console, shop_named
from resources.events import EventsStream
from resources.far import SourceError
from resources.settings import get_settings
from resources.shops import API_EVENTS, Shop
from resources.streams import PUT_RECORDS, KinesisStream, Stream, open_stream
from resources.warehouse import Warehouse

_SAID_EVERY = 2.0
"""Seconds between two words of progress."""


def run_stream(shop_name: str, file: Path | None, records: int | None, rate: float | None, table: str | None) -> int:
    """Send the rows, after a look at whether all of them can be read."""
    settings = get_settings()
    shop = shop_named(shop_name)
    table_name = _table(shop, table)
    if file is None:
        raise CommandError("name the file whose rows are to be sent, or give --accept-gap; --help shows examples.")
    if not file.is_file():
        raise CommandError(f"{file}: {'is a folder; name one file in it' if file.is_dir() else 'no such file'}.")
    out = console()
    stream = open_stream(settings, shop.tables[table_name].stream or "", out.print)
    if isinstance(stream, KinesisStream):
        stream.describe()  # one that does not exist is said before anything else
    elif not file.resolve().is_relative_to(settings.home.resolve()):  # a home's own files are of its kind
        claim_home(settings, REAL)
    declared = declared_table(shop.name, table_name)
    try:
        total = _count(file, shop, declared, records)
    except ExtractError as error:
        raise CommandError(
            f"nothing was sent.\n  {error.at(shop=shop.name, table=table_name, uri=str(file))}"
        ) from error
    out.print(f"{file.name} -> {stream.uri}: {total:,} rows" + (f", {rate:g} a second" if rate else ""), soft_wrap=True)
    began = told_at = time.monotonic()
    sent = 0
    rows = islice(_rows(file, shop, declared), total)
    try:
        # With a rate in pieces of a quarter of a second; a row that is not due yet waits.
        while chunk := list(islice(rows, PUT_RECORDS if rate is None else max(1, min(PUT_RECORDS, int(rate / 4))))):
            if rate is not None:
                time.sleep(max(0.0, began + (sent + len(chunk) - 1) / rate - time.monotonic()))
            stream.put(chunk)
            sent += len(chunk)
            if time.monotonic() - told_at >= _SAID_EVERY:
                told_at = time.monotonic()
                out.print(f"{sent:,} of {total:,} rows sent, {sent / (told_at - began):,.0f} a second")
    except SourceError as error:
        raise CommandError(
            f"{error} Of {total:,} rows at least {sent:,} were sent; send the file again: each row counts once."
        ) from error
    spent = time.monotonic() - began
    out.print(f"Sent: {sent:,} rows in {spent:,.1f} s. Next: cartograph materialize --shop {shop.name}")
    return 0


def run_accept_gap(shop_name: str, table: str | None, file: Path | None) -> int:
    """Write the gaps down and move on."""
    shop = shop_named(shop_name)
    if file is not None:
        raise CommandError("--accept-gap sends nothing: leave the file out, and send it afterwards.")
    settings = get_settings()
    out = console()
    stream: Stream
    if table == API_EVENTS:
        table_name, stream = table, EventsStream(Warehouse(settings), shop.name)
    else:
        table_name = _table(shop, table)
        stream = open_stream(settings, shop.tables[table_name].stream or "", out.print)
    lost = accept_gaps(Warehouse(settings), stream, shop, table_name, out.print)
    for loss in lost:
        out.print(f"Accepted: stream {stream.name}{loss.place}: {loss.problem}", soft_wrap=True)
    if lost:
        out.print(f"Next: cartograph materialize --shop {shop.name}")
    else:
        out.print(f"Stream {stream.name} has lost nothing: there is no gap to accept.")
    return 0


def _table(shop: Shop, wanted: str | None) -> str:
    """The raw table that is filled by the stream in question."""
    there = [name for name, table in shop.tables.items() if table.stream is not None]
    if not there:
        raise CommandError(
            f"{shop.name} has no stream. Give it a table with `stream: NAME` and a `cursor` in config/shops.yaml, and "
            "declare its columns in _sources.yml."
        )
    if wanted is None and len(there) == 1:
        return there[0]
    if wanted not in there:
        raise CommandError(
            (f"{shop.name} has no table {wanted!r} with a stream" if wanted else f"{shop.name} has several streams")
            + f"; name one with --table: {', '.join(there)}."
        )
    return wanted


@contextmanager
def _reading(file: Path, shop: Shop, declared: Declared) -> Iterator[Reading]:
    with file.open("rb") as stream:
        yield read_object(stream, file.name, shop.tables[_reads_like(shop, declared)])


def _count(file: Path, shop: Shop, declared: Declared, records: int | None) -> int:
    """How many rows there are to send.

    Raises:
        ExtractError: the file is not for this table, or a row of it cannot be read.
    """
    count = 0
    with _reading(file, shop, declared) as reading:
        _check(reading, declared)
        for chunk in reading.chunks:
            for rejected in chunk.rejected:
                raise ExtractError(rejected.reason, "correct the file", line=rejected.line)
            count += len(chunk.lines)
            if records is not None and count >= records:
                return records
    return count


def _rows(file: Path, shop: Shop, declared: Declared) -> Iterator[tuple[str, bytes]]:
    """The rows of a file as records, each with the key that chooses its shard."""
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()[:24]
    number = 0
    with _reading(file, shop, declared) as reading:
        is_named = fold(RECORD_ID) in map(fold, reading.headers)
        for chunk in reading.chunks:
            names = list(chunk.columns)
            for values in zip(*(chunk.columns[name].to_pylist() for name in names), strict=True):
                number += 1
                row = {name: _text(value) for name, value in zip(names, values, strict=True)}
                if not is_named:
                    row[RECORD_ID] = f"{sha256}-{number}"
                # Rows that are alike in the first column, such as the lines of an invoice, stay in their order.
                yield str(row[names[0]] or number)[:256], json.dumps(row, ensure_ascii=False).encode()


def _reads_like(shop: Shop, declared: Declared) -> str:
    """The table whose settings (delimiter, sheet) tell how such files are read: one of files with these columns."""
    columns = {column.name for column in declared.columns if column.name not in (*OF_RECORD, RECORD_ID)}
    for name, table in shop.tables.items():
        if table.stream is None and columns == {column.name for column in declared_table(shop.name, name).columns}:
            return name
    return declared.table


def _check(reading: Reading, declared: Declared) -> None:
    """See that the file has the columns without which no row of it would be taken."""
    there = {fold(header) for header in reading.headers}
    missing = [
        (column.names or (column.name,))[0]
        for column in declared.columns
        if column.not_null and not there & {fold(name) for name in (column.name, *column.names)}
    ]
    if missing:
        raise ExtractError(
            f"required columns are missing: {', '.join(missing)}; the header has {', '.join(reading.headers[:12])}",
            "check that this is the right file",
            line=reading.line,
        )


def _text(value: Any) -> str | None:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else cell_text(value)
