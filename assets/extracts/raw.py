"""The raw tables in Postgres: made from what is declared, compared with it, and widened when a source grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.extracts.api import declared_events
from assets.extracts.declared import EXTRACT_ID, Column, Declared, declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.ledger import ensure_ledger
from resources.shops import API_EVENTS, Shop
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

ALL_EVENTS = ("raw_api", "events")
"""The API events of all shops: the table of which those of each are a partition."""


def ensure_raw(warehouse: Warehouse, shops: dict[str, Shop]) -> None:
    """Make the ledger and all raw tables, empty and typed, where they are missing: then dbt can run."""
    with warehouse.connect() as connection:
        ensure_ledger(connection)
        for shop in shops.values():
            for table in shop.tables:
                ensure_raw_table(connection, shop, declared_table(shop.name, table))
            ensure_raw_table(connection, shop, declared_events(shop))


def ensure_raw_table(connection: psycopg.Connection, shop: Shop, declared: Declared) -> None:
    """Make a raw table and the shop's table of rejects where they are missing.

    Raises:
        ExtractError: the table is there with another type than is declared now.
    """
    from psycopg import sql

    existing = raw_columns(connection, shop.raw_schema, declared.table)
    if not existing:
        names = {
            "schema": sql.Identifier(shop.raw_schema),
            "table": sql.Identifier(shop.raw_schema, declared.table),
            "rejects": sql.Identifier(shop.raw_schema, "rejects"),
            "id": sql.Identifier(EXTRACT_ID),
            "columns": _columns(declared),
        }
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph raw tables', 0))")
            connection.execute(sql.SQL("create schema if not exists {schema}").format(**names))
            if declared.table == API_EVENTS:
                _make_partition(connection, shop, declared)
            else:
                connection.execute(
                    sql.SQL("create table if not exists {table} ({columns}, {id} bigint not null)").format(**names)
                )
            # Rows of one extract lie together, so a BRIN index finds them at next to no cost for the load.
            connection.execute(
                sql.SQL("create index if not exists {index} on {table} using brin ({id})").format(
                    index=sql.Identifier(f"{declared.table}_extract"), **names
                )
            )
            connection.execute(
                sql.SQL(
                    "create table if not exists {rejects} (extract_id bigint not null, table_name text not null,"
                    " line bigint, column_name text not null, reason text not null, raw text not null, day date,"
                    " uri text)"
                ).format(**names)
            )
        return
    if "uri" not in raw_columns(connection, shop.raw_schema, "rejects"):
        connection.execute(
            sql.SQL("alter table {} add column if not exists day date, add column if not exists uri text").format(
                sql.Identifier(shop.raw_schema, "rejects")
            )
        )
    for column in declared.columns:
        if column.name not in existing:
            add_columns(connection, shop, declared, [column])
        elif existing[column.name] != column.data_type:
            raise ExtractError(
                f"the raw table has the type {existing[column.name]}, and {declared.path.name} declares "
                f"{column.data_type}",
                f"declare {existing[column.name]}; or, to load the table anew from what is still in the source, "
                f"run: cartograph forget {shop.name} {declared.table}",
                shop=shop.name,
                table=declared.table,
                column=column.name,
            )


def _columns(declared: Declared) -> sql.Composable:
    """The declared columns and their types, as they stand in a statement that makes their table."""
    from psycopg import sql

    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.data_type)) for column in declared.columns
    )


def _make_partition(connection: psycopg.Connection, shop: Shop, declared: Declared) -> None:
    """Make a shop's table of API events, a partition of the one table of all shops that staging reads.

    Its rows need not name the shop: the column's default does, and the partition takes no other.
    """
    from psycopg import sql

    connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(ALL_EVENTS[0])))
    connection.execute(
        sql.SQL(
            "create table if not exists {} ({}, {} bigint not null, shop text not null) partition by list (shop)"
        ).format(sql.Identifier(*ALL_EVENTS), _columns(declared), sql.Identifier(EXTRACT_ID))
    )
    there = raw_columns(connection, *ALL_EVENTS)
    add_columns(connection, shop, declared, [column for column in declared.columns if column.name not in there])
    table = sql.Identifier(shop.raw_schema, declared.table)
    connection.execute(
        sql.SQL("create table if not exists {} partition of {} for values in ({})").format(
            table, sql.Identifier(*ALL_EVENTS), sql.Literal(shop.name)
        )
    )
    connection.execute(sql.SQL("alter table {} alter column shop set default {}").format(table, sql.Literal(shop.name)))


def raw_columns(connection: psycopg.Connection, schema: str, table: str) -> dict[str, str]:
    """The columns of a raw table and their types, written as they are declared; empty where there is no such table."""
    rows = connection.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text)) and attnum > 0 and not attisdropped",
        [schema, table],
    )
    return {
        name: kind.replace("timestamp without time zone", "timestamp").replace(
            "timestamp with time zone", "timestamptz"
        )
        for name, kind in rows
    }


def add_columns(connection: psycopg.Connection, shop: Shop, declared: Declared, columns: list[Column]) -> None:
    """Add columns to a raw table; earlier rows have null in them."""
    from psycopg import sql

    # A partition has the columns of the whole.
    place = ALL_EVENTS if declared.table == API_EVENTS else (shop.raw_schema, declared.table)
    for column in columns:
        connection.execute(
            sql.SQL("alter table {} add column if not exists {} {}").format(
                sql.Identifier(*place), sql.Identifier(column.name), sql.SQL(column.data_type)
            )
        )
