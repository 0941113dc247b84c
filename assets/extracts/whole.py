"""Tables without a cursor: read whole, compared by key with what is there, and only the differences are applied."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from assets.extracts import days, ledger
from assets.extracts.declared import EXTRACT_ID, DeclarationError, Declared
from assets.extracts.errors import ExtractError
from assets.extracts.extract import (
    WHOLE,
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
from assets.extracts.taking import Fit, content_hash, take
from resources.ahead import ahead
from resources.failpoints import failpoint
from resources.lake import Lake
from resources.shops import Shop
from resources.tables import EVERYTHING
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa
    from psycopg import sql

FAILPOINTS = (
    "whole.read",
    "whole.transaction_begun",
    "whole.lake_published",
    "whole.copied",
    "whole.old_rows_deleted",
    "whole.ledger_written",
    "whole.committed",
)
"""The failpoints of a whole table, in the order in which it passes them."""
INCOMING = "incoming_rows"


def check_key(shop: Shop, declared: Declared) -> None:
    """See that the key of a table is declared.

    Raises:
        DeclarationError: a column of it is not.
    """
    for name in shop.tables[declared.table].key:
        if declared.column(name) is None:
            raise DeclarationError(
                f"{declared.path}: {declared.table}.{name}: it is in the table's key in config/shops.yaml and is not "
                "declared. Declare it, or name another key."
            )


def extract_whole(
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
    """Bring a raw table up to its source, unless its content is as before; what was done goes to the report.

    Args:
        others: the tables in which days of this one are found.

    Raises:
        ExtractError: it cannot be read, or two rows have one key; nothing is committed.
    """
    began = time.monotonic()
    table = shop.tables[declared.table]
    taken = take(fit, shop, declared, EVERYTHING, None, now, say)
    refuse_if_too_many_rejected(taken.counted, table)
    failpoint("whole.read")
    report.compared_all = True
    sha256 = content_hash(dict(taken.days))
    with warehouse.connect() as connection:
        before = ledger.active_extracts(connection, shop.name, declared.table)
    if [item.sha256 for item in before] == [sha256] or (not before and not taken.days):
        return
    lake_name = lake_file(shop.name, declared.table, "whole", sha256)
    new = list(fit.new)
    with warehouse.connect() as connection, ahead(taken.writing(lake, lake_name), size=2) as rows:
        connection.execute("set lock_timeout = '60s'")
        add_columns(connection, shop, declared, new)
        failpoint("whole.transaction_begun")
        connection.execute(
            "update ledger.extracts set removed_at = now() where shop = %s and table_name = %s and removed_at is null",
            [shop.name, declared.table],
        )
        extract_id = ledger.begin_extract(connection, shop.name, declared.table, report.uri, sha256, WHOLE, lake_name)
        came, went = _apply(connection, rows, shop, declared, taken.columns, extract_id)
        _replace_rejects(connection, shop, declared.table, extract_id, taken.rejects)
        seconds = time.monotonic() - began
        size = sum(part.size for part, _ in fit.parts)
        ledger.end_extract(connection, extract_id, taken.counted, size, seconds)
        if came or went:
            report.days_linked += days.record_changes(connection, shop, declared, extract_id, (), others)
        failpoint("whole.ledger_written")
    failpoint("whole.committed")
    fit.new = []
    if came >= 10_000:
        analyze(warehouse, shop, declared)
    report.loaded.append(
        Loaded(
            report.uri,
            WHOLE,
            came,
            taken.counted.rejected,
            went,
            taken.bytes,
            seconds,
            new_columns=[column.name for column in new],
        )
    )
    say(f"committed {came:,} new or changed rows of {taken.counted.rows:,} in {seconds:.1f} s, {went:,} removed")


def _apply(
    connection: psycopg.Connection,
    rows: Iterator[pa.RecordBatch],
    shop: Shop,
    declared: Declared,
    columns: list[Any],
    extract_id: int,
) -> tuple[int, int]:
    """Make the raw table hold these rows; returns how many rows came and went, a changed one being both."""
    from psycopg import sql

    raw = sql.Identifier(shop.raw_schema, declared.table)
    key = shop.tables[declared.table].key
    names = {
        "raw": raw,
        "incoming": sql.Identifier(INCOMING),
        "key": sql.SQL(", ").join(map(sql.Identifier, key)),
        "same_key": sql.SQL(" and ").join(
            sql.SQL("incoming.{0} = held.{0}").format(sql.Identifier(name)) for name in key
        ),
        "id": sql.Identifier(EXTRACT_ID),
    }
    connection.execute(sql.SQL("create temporary table {incoming} (like {raw}) on commit drop").format(**names))
    copy_into(connection, rows, ("pg_temp", INCOMING), columns, extract_id)
    failpoint("whole.lake_published")
    connection.execute(sql.SQL("analyze {incoming}").format(**names))
    _refuse_bad_keys(connection, shop, declared, key, names)
    failpoint("whole.copied")
    others = connection.execute(
        "select attname from pg_attribute where attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
        " and attnum > 0 and not attisdropped and attname <> %s",
        [shop.raw_schema, declared.table, EXTRACT_ID],
    ).fetchall()
    # Compared as a row of columns; their order is that of the table.
    names["theirs"] = sql.SQL(", ").join(sql.SQL("incoming.{}").format(sql.Identifier(name)) for (name,) in others)
    names["ours"] = sql.SQL(", ").join(sql.SQL("held.{}").format(sql.Identifier(name)) for (name,) in others)
    differing = sql.SQL(
        "ctid in (select held.ctid from {raw} as held left join {incoming} as incoming on {same_key}"
        " where incoming.{id} is null or row({theirs}) is distinct from row({ours}))"
    ).format(**names)
    days.keep_gone(connection, shop, declared, differing, [])
    went = connection.execute(sql.SQL("delete from {raw} where {differing}").format(raw=raw, differing=differing))
    failpoint("whole.old_rows_deleted")
    came = connection.execute(
        sql.SQL(
            "insert into {raw} select incoming.* from {incoming} as incoming"
            " where not exists (select from {raw} as held where {same_key})"
        ).format(**names)
    )
    return came.rowcount, went.rowcount


def _refuse_bad_keys(
    connection: psycopg.Connection, shop: Shop, declared: Declared, key: list[str], names: dict[str, sql.Composable]
) -> None:
    from psycopg import sql

    empty = sql.SQL(" or ").join(sql.SQL("{} is null").format(sql.Identifier(name)) for name in key)
    row = connection.execute(
        sql.SQL("select count(*) from {incoming} where {empty}").format(empty=empty, **names)
    ).fetchone()
    written = ", ".join(key)
    if row is not None and row[0]:
        raise ExtractError(
            f"{row[0]:,} rows have no value in their key ({written})",
            f"mark the columns of the key `not_null: true` in {declared.path.name}, and such rows are set aside; or "
            "name another key in config/shops.yaml",
            shop=shop.name,
            table=declared.table,
        )
    twice = connection.execute(
        sql.SQL(
            "select {key}, count(*) from {incoming} group by {key} having count(*) > 1 order by {key} limit 4"
        ).format(**names)
    ).fetchall()
    if twice:
        some = "; ".join(
            f"{', '.join(f'{name} {value!r}' for name, value in zip(key, values, strict=True))}: {count:,} rows"
            for *values, count in twice[:3]
        )
        raise ExtractError(
            f"several rows have one key ({written}): {some}{'; ...' if len(twice) > 3 else ''}",
            "take the repeated rows out of the source (is a file there twice?), or name a key in config/shops.yaml "
            "that tells them apart",
            shop=shop.name,
            table=declared.table,
        )


def _replace_rejects(connection: psycopg.Connection, shop: Shop, table: str, extract_id: int, rejects: Any) -> None:
    from psycopg import sql

    connection.execute(
        sql.SQL("delete from {} where table_name = %s").format(sql.Identifier(shop.raw_schema, "rejects")), [table]
    )
    copy_rejects(connection, shop, table, extract_id, rejects)
