"""`cartograph forget`: drop a raw table and its ledger, so that the next extract loads it anew."""

from __future__ import annotations

import typer
from psycopg import sql

from assets.extracts.api import with_api
from assets.extracts.ledger import active_extracts, ensure_ledger, record_changes
from orchestration.cli.session import CommandError, console, shop_named
from resources.settings import get_settings
from resources.warehouse import Warehouse


def run_forget(shop_name: str, table: str, yes: bool) -> int:
    """Drop the table after asking; contract and marts follow at the next build."""
    shop = with_api(shop_named(shop_name))
    if table not in shop.tables:
        raise CommandError(f"{shop.name} has no raw table {table!r}; it has {', '.join(shop.tables)}.")
    warehouse = Warehouse(get_settings())
    with warehouse.advisory_lock(f"extract {shop.name}.{table}"), warehouse.connect() as connection:
        ensure_ledger(connection)
        held = active_extracts(connection, shop.name, table)
        rows = sum(item.rows for item in held)
        if not yes:
            is_files = shop.source.kind == "objects" and shop.tables[table].stream is None
            noun = "objects" if is_files else "extracts"
            typer.confirm(f"Drop {shop.raw_schema}.{table} with {rows:,} rows of {len(held)} {noun}?", abort=True)
        # Staging views stand on the table; the next build makes them again.
        connection.execute(sql.SQL("drop table if exists {} cascade").format(sql.Identifier(shop.raw_schema, table)))
        for statement in (
            "update ledger.extracts set removed_at = now() where shop = %s and table_name = %s and removed_at is null",
            "delete from ledger.objects where shop = %s and table_name = %s",
            "delete from ledger.days where shop = %s and table_name = %s",
            "delete from ledger.cursors where shop = %s and table_name = %s",
            "delete from ledger.shards where shop = %s and table_name = %s",
        ):
            connection.execute(statement, [shop.name, table])
        record_changes(connection, shop.name, table, 0, {None})
    console().print(f"Forgotten: {rows:,} rows. Next: cartograph materialize --shop {shop.name}")
    return 0
