"""`cartograph sql`: one read-only query on the warehouse, or on the raw lake with DuckDB."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.table import Table as RichTable

from orchestration.cli.session import CommandError, console
from resources.lake import Lake
from resources.settings import get_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    from orchestration.cli.main import Format

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

    connection = Warehouse(get_settings()).connect(application="cartograph sql")
    # Three locks against writing: the transaction reads only and, once it has taken a snapshot, cannot be changed; the
    # extended protocol takes one statement; and a superuser steps down, who could otherwise COPY to a program.
    connection.read_only = True
    connection.execute("set local search_path = contract, marts, staging, ledger")
    superuser = connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
    if superuser and superuser[0]:
        connection.execute("set local role pg_read_all_data")
    cursor = connection.cursor(binary=False)
    try:
        cursor.execute(query.encode(), prepare=True)
    except psycopg.Error as error:
        connection.close()
        raise CommandError(_sql_error(error)) from error
    if cursor.description is None:
        raise CommandError(f"the statement gives no rows ({cursor.statusmessage}); this command runs queries.")

    def rows() -> Iterator[Sequence[Any]]:
        with connection, cursor:
            while batch := cursor.fetchmany(_BATCH):
                yield from batch

    return [column.name for column in cursor.description], rows()


def _sql_error(error: Any) -> str:
    message = str(error.diag.message_primary or error).strip()
    hint = error.diag.message_hint
    missing = error.sqlstate in ("42P01", "3F000")
    if missing:
        hint = (hint + " " if hint else "") + "Tables appear when they are made: run `cartograph materialize`; `--lake` reads raw data before."
    return message + (f" (character {error.diag.statement_position})" if error.diag.statement_position else "") + (f". {hint}" if hint else ".")


def _lake_rows(query: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    import duckdb

    from assets.extracts.ledger import active_extracts, ensure_ledger

    settings = get_settings()
    lake = Lake(settings.lake_location)
    database = duckdb.connect()
    schemas = []
    with Warehouse(settings).connect() as connection:
        ensure_ledger(connection)
        for shop in load_shops(settings.shops_file).values():
            database.execute(f'create schema "{shop.name}"')
            schemas.append(shop.name)
            for table in shop.tables:
                # Only what the ledger holds: a file that no transaction committed is not there.
                files = [lake.path(item.lake_name) for item in active_extracts(connection, shop.name, table)]
                if files:
                    relation = database.read_parquet(files, union_by_name=True)  # type: ignore[arg-type]
                    relation.create_view("incoming", replace=True)
                    database.execute(f'create view "{shop.name}"."{table}" as {relation.sql_query()}')
    database.execute(f"set search_path = '{','.join(schemas)}'")
    try:
        statements = duckdb.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise CommandError("give one SELECT statement: the lake is read only.")
        result = database.execute(statements[0])
    except duckdb.Error as error:
        tables = database.execute("select schema_name || '.' || view_name from duckdb_views() where not internal and not temporary").fetchall()
        there = ", ".join(name for (name,) in tables if "." in name and not name.startswith("main."))
        raise CommandError(f"{str(error).strip()}\nIn the lake: {there or 'nothing yet; run `cartograph materialize group:raw`'}.") from error
    columns = [column[0] for column in result.description or []]

    def rows() -> Iterator[Sequence[Any]]:
        while batch := result.fetchmany(_BATCH):
            yield from batch

    return columns, rows()


def _print_table(columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    table = RichTable(box=None, header_style="bold", padding=(0, 2, 0, 0))
    shown = []
    more = 0
    for row in rows:
        if len(shown) < _TABLE_ROWS:
            shown.append(row)
        else:
            more += 1
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], (int, float, Decimal, type(None))) and not isinstance(row[index], bool) for row in shown)
        table.add_column(name, justify="right" if numeric and shown else "left", overflow="fold")
    for row in shown:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)
    total = len(shown) + more
    tail = f"; the first {_TABLE_ROWS} are shown, --format csv prints all" if more else ""
    console().print(f"[dim]({total:,} row{'s' if total != 1 else ''}{tail})[/dim]")


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return "[dim]null[/dim]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, Decimal):
        text = f"{value:,f}"
        return text.rstrip("0").rstrip(".") if "." in text and len(text.split(".")[1]) > 2 and value == round(value, 2) else text
    return escape(str(value))


def _print_csv(columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if value is None else _exact(value) for value in row])


def _print_json(columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    # One array, written as it comes: memory stays bounded.
    sys.stdout.write("[")
    for number, row in enumerate(rows):
        sys.stdout.write(",\n " if number else "\n ")
        sys.stdout.write(json.dumps(dict(zip(columns, map(_exact, row), strict=True)), ensure_ascii=False, default=str))
    sys.stdout.write("\n]\n")


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        # A number where its shortest text says the same, else its own digits as text: never a rounded one.
        if value == value.to_integral_value():
            return int(value)
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value
