"""`cartograph sql`: one read-only query on the warehouse, or on the raw lake with DuckDB."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table as RichTable

from orchestration.cli.session import CommandError, console
from resources.lake import Lake
from resources.settings import get_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb
    import psycopg

    from orchestration.cli.main import Format

_READER = "cartograph_reader"
_BATCH = 5000
_TABLE_ROWS = 200


def run_sql(query: str, lake: bool, output: Format) -> int:
    """Run a query and print its rows."""
    if not query.strip():
        raise CommandError("the query is empty.")
    columns, rows = _lake_rows(query) if lake else _warehouse_rows(query)
    {"table": _print_table, "csv": _print_csv, "json": _print_json}[output.value](columns, rows)
    return 0


def _warehouse_rows(query: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    import psycopg

    connection = _reading(Warehouse(get_settings()))
    text = query.encode()
    try:
        # Looked at before it is run: one statement (the protocol takes no second one) that gives rows.
        answer = connection.pgconn.prepare(b"", text)
        if answer.status == psycopg.pq.ExecStatus.COMMAND_OK:
            answer = connection.pgconn.describe_prepared(b"")
        if answer.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(answer)
        names = [(answer.fname(number) or b"").decode() for number in range(answer.nfields)]
        if not names:
            raise CommandError("the statement gives no rows; this command runs queries.")
        found: Any = connection.cursor().stream(text, size=_BATCH if psycopg.capabilities.has_stream_chunked() else 1)
        first = next(found, None)
    except psycopg.Error as error:
        connection.close()
        raise CommandError(_sql_error(error)) from error
    except CommandError:
        connection.close()
        raise

    def rows() -> Iterator[Sequence[Any]]:
        # The stream holds the connection's lock: where the reader of the rows goes away, it has to end first.
        with connection, contextlib.closing(found):
            if first is not None:
                yield first
            try:
                yield from found
            except psycopg.Error as error:
                raise CommandError(_sql_error(error)) from error

    return names, rows()


def _reading(warehouse: Warehouse) -> psycopg.Connection:
    """A connection that cannot write: its transaction reads only, and its user may only read.

    On the embedded warehouse that user logs in for itself, so that no function can give it back what a superuser may. A
    superuser of another server steps down instead, which a query that means harm could undo.
    """
    who: dict[str, Any] = {}
    if warehouse.is_embedded:
        with warehouse.connect() as connection:
            if connection.execute("select 1 from pg_roles where rolname = %s", [_READER]).fetchone() is None:
                # Two commands at once: the lock lets the second find the role made.
                connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph reader', 0))")
                connection.execute(
                    f"do $$ begin create role {_READER} login in role pg_read_all_data;"
                    " exception when duplicate_object then null; end $$"
                )
        who = {"user": _READER}
    connection = warehouse.connect(application="cartograph sql", **who)
    connection.read_only = True
    connection.execute("set local search_path = contract, marts, staging, ledger")
    superuser = connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
    if superuser and superuser[0]:
        connection.execute("set local role pg_read_all_data")
    return connection


def _sql_error(error: Any) -> str:
    message = str(error.diag.message_primary or error).strip()
    hint = error.diag.message_hint
    missing = error.sqlstate in ("42P01", "3F000")
    if missing:
        hint = (
            hint + " " if hint else ""
        ) + "Tables appear when they are made: run `cartograph materialize`; `--lake` reads raw data before."
    return (
        message
        + (f" (character {error.diag.statement_position})" if error.diag.statement_position else "")
        + (f". {hint}" if hint else ".")
    )


def _lake_rows(query: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    import duckdb

    from assets.extracts.api import with_api
    from assets.extracts.ledger import ensure_ledger, lake_files

    settings = get_settings()
    lake = Lake(settings.lake_location)
    database = duckdb.connect()
    schemas = []
    with Warehouse(settings).connect() as connection:
        ensure_ledger(connection)
        for shop in load_shops(settings.shops_file).values():
            database.execute(f'create schema "{shop.name}"')
            schemas.append(shop.name)
            for table in with_api(shop).tables:
                # Only what the ledger holds: a file that no transaction committed is not there.
                files = lake_files(connection, shop.name, table)
                if files:
                    _lake_view(database, f'"{shop.name}"."{table}"', lake, files)
    database.execute(f"set search_path = '{','.join(schemas)}'")
    try:
        statements = duckdb.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise CommandError("give one SELECT statement: the lake is read only.")
        result = database.execute(statements[0])
    except duckdb.Error as error:
        tables = database.execute(
            "select schema_name || '.' || view_name from duckdb_views() where not internal and not temporary"
        ).fetchall()
        there = ", ".join(name for (name,) in tables if "." in name and not name.startswith("main."))
        raise CommandError(
            f"{str(error).strip()}\nIn the lake: {there or 'nothing yet; run `cartograph materialize group:raw`'}."
        ) from error
    columns = [column[0] for column in result.description or []]

    def rows() -> Iterator[Sequence[Any]]:
        while batch := result.fetchmany(_BATCH):
            yield from batch

    return columns, rows()


def _lake_view(
    database: duckdb.DuckDBPyConnection, name: str, lake: Lake, files: list[tuple[str, list[date | None] | None]]
) -> None:
    """A view of a raw table's files, and of those whose days were replaced in part, of the days that count."""
    import duckdb

    if lake.is_far:
        _far_lake_view(database, name, lake, files)
        return
    paths = [lake.path(file) for file, _ in files]
    if all(days is None for _, days in files):
        relation = database.read_parquet(paths, union_by_name=True)
    else:
        relation = database.read_parquet(paths, union_by_name=True, filename=True)
        counts = duckdb.ConstantExpression(False)
        for path, (_, days) in zip(paths, files, strict=True):
            of_file = duckdb.ColumnExpression("filename") == duckdb.ConstantExpression(path)
            counts |= of_file if days is None else of_file & _of_days(days)
        relation = relation.filter(counts).select(duckdb.StarExpression(exclude=["filename", "_day"]))
    relation.create_view("incoming", replace=True)
    database.execute(f"create view {name} as {relation.sql_query()}")


def _far_lake_view(
    database: duckdb.DuckDBPyConnection, name: str, lake: Lake, files: list[tuple[str, list[date | None] | None]]
) -> None:
    """The same of a lake that is no folder. Arrow reads its files: DuckDB would have to download its reader of S3."""
    import duckdb

    parts = []
    for file, days in files:
        dataset = lake.dataset(file)
        database.register(file, dataset)
        relation = database.view(file)
        if "_day" in dataset.schema.names:
            relation = relation if days is None else relation.filter(_of_days(days))
            relation = relation.select(duckdb.StarExpression(exclude=["_day"]))
        parts.append(relation.sql_query())
    database.execute(f"create view {name} as {' union all by name '.join(parts)}")


def _of_days(days: list[date | None]) -> duckdb.Expression:
    """Which rows are of some days."""
    import duckdb

    day = duckdb.ColumnExpression("_day")
    known = [duckdb.ConstantExpression(item) for item in days if item is not None]
    of_day = day.isin(*known) if known else duckdb.ConstantExpression(False)
    return of_day | day.isnull() if None in days else of_day


def _print_table(columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    out = console()
    shown: list[Sequence[Any]] = []
    more = 0
    for row in rows:
        if len(shown) < _TABLE_ROWS:
            shown.append(row)
        else:
            more += 1
    table = RichTable(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for index, name in enumerate(columns):
        numeric = all(
            isinstance(row[index], (int, float, Decimal, type(None))) and not isinstance(row[index], bool)
            for row in shown
        )
        table.add_column(escape(name), justify="right" if numeric and shown else "left", overflow="fold")
    for row in shown:
        table.add_row(*(_cell(value) for value in row))
    # A screen that is too narrow gets one line a value; a file or a pipe has any width.
    width = Measurement.get(out, out.options.update(max_width=100_000), table).maximum
    if shown and width > out.width and out.is_terminal:
        _print_records(columns, shown)
    else:
        Console(file=out.file, highlight=False, width=max(width, out.width)).print(table)
    total = len(shown) + more
    tail = f"; the first {_TABLE_ROWS} are shown, --format csv prints all" if more else ""
    out.print(f"[dim]({total:,} row{'s' if total != 1 else ''}{tail})[/dim]")


def _print_records(columns: list[str], rows: list[Sequence[Any]]) -> None:
    """Each row as a block of lines, one a column."""
    out = console()
    for number, row in enumerate(rows, start=1):
        grid = RichTable(box=None, show_header=False, padding=(0, 2, 0, 0))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in zip(columns, row, strict=True):
            grid.add_row(escape(name), _cell(value))
        out.print(f"[dim]row {number}[/dim]")
        out.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return "[dim]null[/dim]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, Decimal):
        text = f"{value:,f}"
        return (
            text.rstrip("0").rstrip(".")
            if "." in text and len(text.split(".")[1]) > 2 and value == round(value, 2)
            else text
        )
    return escape(str(value))


def _print_csv(columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    """As Postgres writes it: null is nothing, an empty text is two quotes."""

    def field(value: Any) -> str:
        if value is None:
            return ""
        text = str(value)
        return '"' + text.replace('"', '""') + '"' if not text or any(mark in text for mark in '",\r\n') else text

    def csv_value(value: Any) -> Any:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, Decimal):
            return format(value, "f") if value.is_finite() else value
        return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else _exact(value)

    sys.stdout.write(",".join(map(field, columns)) + "\n")
    for row in rows:
        sys.stdout.write(",".join(field(csv_value(value)) for value in row) + "\n")


def _print_json(columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise CommandError(
            f"two columns are named {twice[0]!r}, which JSON cannot tell apart: name one of them with `as`."
        )
    # One array, written as it comes: memory stays bounded.
    sys.stdout.write("[")
    for number, row in enumerate(rows):
        sys.stdout.write(",\n " if number else "\n ")
        sys.stdout.write(json.dumps(dict(zip(columns, map(_exact, row), strict=True)), ensure_ascii=False, default=str))
    sys.stdout.write("\n]\n")


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        # A number where its shortest text says the same, else its own digits as text: never a rounded one.
        if not value.is_finite():
            return str(value)
        if value == value.to_integral_value():
            return int(value)
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value
