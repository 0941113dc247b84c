"""The days of a shop under which the contract files the rows that an extract changed: found, and put in the ledger.

Mostly that is the day of a row's own cursor. Where another table tells it, `_sources.yml` says so (`days_of`), and the
days are found there: all in SQL, for Python knows no date `-infinity`, which stands for no day at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from assets.extracts import ledger
from assets.extracts.declared import EXTRACT_ID, DaysOf, DeclarationError, Declared, declared_tables
from resources.shops import Shop

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

GONE, TOUCHED = "gone_rows", "touched_rows"
"""Temporary tables of an extract's transaction: the rows that it deleted, and the links of those that it changed."""


def check_days_of(shop: Shop, declared: Declared) -> None:
    """See that the tables that a table's days are found in have days.

    Raises:
        DeclarationError: one is no table of the shop, or has no cursor.
    """
    for link in declared.days_of:
        there = shop.tables.get(link.table)
        if there is None or there.cursor is None:
            raise DeclarationError(
                f"{declared.path}: {declared.table}: days_of: table {link.table!r} "
                + (
                    "is not among the tables of this shop in config/shops.yaml; add it there, or take it from here."
                    if there is None
                    else "has no `cursor` in config/shops.yaml, so its rows have no day; add it, or name another."
                )
            )


def linked_tables(declared: Declared) -> list[Declared]:
    """The other tables that a table's days are found in."""
    names = {link.table for link in declared.days_of} - {declared.table}
    if not names:
        return []
    # Beside the table's own declaration, which may be of another dbt project than that of the settings.
    there = declared_tables(declared.shop, declared.path.parents[3])
    return [there[name] for name in sorted(names)]


def day_of_row(shop: Shop, declared: Declared) -> sql.Composable:
    """The shop's day of a raw row as SQL; null for a table without a cursor."""
    from psycopg import sql

    cursor = shop.tables[declared.table].cursor
    column = declared.column(cursor) if cursor is not None else None
    if column is None:
        return sql.SQL("null::date")
    zone = sql.SQL(" at time zone {}").format(sql.Literal(shop.timezone))
    shift = zone if column.data_type == "timestamptz" else sql.SQL("")
    return sql.SQL("({}{})::date").format(sql.Identifier(column.name), shift)


def keep_gone(
    connection: psycopg.Connection, shop: Shop, declared: Declared, condition: sql.Composable, values: list[object]
) -> None:
    """Before rows are deleted: keep them to the end of the transaction, where their links are wanted."""
    from psycopg import sql

    if not declared.days_of:
        return
    raw = sql.Identifier(shop.raw_schema, declared.table)
    connection.execute(
        sql.SQL("create temporary table if not exists {} (like {}) on commit drop").format(sql.Identifier(GONE), raw)
    )
    connection.execute(
        sql.SQL("insert into {} select * from {} where {}").format(sql.Identifier(GONE), raw, condition), values
    )


def record_changes(
    connection: psycopg.Connection,
    shop: Shop,
    declared: Declared,
    extract_id: int,
    own_days: Iterable[date | None],
    others: list[Declared],
    came: bool = True,
) -> int:
    """After rows were deleted and inserted: say in the ledger which of the shop's days changed.

    Args:
        extract_id: the extract that changed the table; the rows that came stand under it.
        own_days: the days of the cursors of rows that came, changed or went; None for rows without one.
        others: the tables of `days_of`, this one aside.
        came: False where rows only went; what stands under the extract was there before.

    Returns:
        How many days were found through links.
    """
    from psycopg import sql

    has_cursor = shop.tables[declared.table].cursor is not None
    own = set(own_days) if has_cursor and declared.own_day else set()
    if declared.own_day and not declared.days_of:
        ledger.record_changes(connection, shop.name, declared.table, extract_id, own if has_cursor else [None])
        return 0
    ledger.lock_changes(connection, shop.name)
    # In an empty table no day is found, and the links of a large file are many.
    links = [item for item in declared.days_of if item.table == declared.table or _has_rows(connection, shop, item)]
    if links:
        _touch(connection, shop, declared, extract_id if came else -1)
    by_name = {item.table: item for item in (declared, *others)}
    found = sql.SQL(" union ").join(
        [
            sql.SQL("select unnest(%(own)s::date[])"),
            *(_linked(shop, declared, by_name, link) for link in links),
        ]
    )
    row = connection.execute(
        sql.SQL(
            "with found (day) as ({}), made as (insert into ledger.changes (shop, table_name, day, extract_id)"
            " select %(shop)s, %(table)s, day, %(id)s from (select day from found"
            " union all select '-infinity' where not exists (select from found)) as days order by day returning 1)"
            " select (select count(*) from found)"
        ).format(found),
        {
            "own": sorted(own, key=lambda day: day or date.min),
            "shop": shop.name,
            "table": declared.table,
            "id": extract_id,
        },
    ).fetchone()
    return int(row[0]) - len(own) if row is not None else 0


def _has_rows(connection: psycopg.Connection, shop: Shop, link: DaysOf) -> bool:
    from psycopg import sql

    query = sql.SQL("select exists (select from {})").format(sql.Identifier(shop.raw_schema, link.table))
    row = connection.execute(query).fetchone()
    return row is not None and bool(row[0])


def _touch(connection: psycopg.Connection, shop: Shop, declared: Declared, extract_id: int) -> None:
    """Make the temporary table of the links of the rows that came, changed or went: not of those that only moved."""
    from psycopg import sql

    names = {
        "raw": sql.Identifier(shop.raw_schema, declared.table),
        "gone": sql.Identifier(GONE),
        "touched": sql.Identifier(TOUCHED),
        "id": sql.Identifier(EXTRACT_ID),
        "links": sql.SQL(", ").join(
            sql.Identifier(name) for name in sorted({ours for link in declared.days_of for _, ours in link.by})
        ),
    }
    came = sql.SQL("select {all} from {raw} where {id} = %(id)s")
    connection.execute(
        sql.SQL("create temporary table if not exists {gone} (like {raw}) on commit drop").format(**names)
    )
    row = connection.execute(sql.SQL("select exists (select from {gone})").format(**names)).fetchone()
    if row is not None and row[0]:
        columns = connection.execute(
            "select attname from pg_attribute where attrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))"
            " and attnum > 0 and not attisdropped and attname <> %s",
            [shop.raw_schema, declared.table, EXTRACT_ID],
        ).fetchall()
        names["all"] = sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns)
        went = sql.SQL("select {all} from {gone}")
        rows = sql.SQL("({went} except all {came}) union all ({came} except all {went})").format(
            came=came.format(**names), went=went.format(**names)
        )
    else:
        rows = sql.SQL("select {links} from {raw} where {id} = %(id)s").format(**names)
    connection.execute(
        sql.SQL(
            "create temporary table {touched} on commit drop as select distinct {links} from ({rows}) as changed"
        ).format(rows=rows, **names),
        {"id": extract_id},
    )
    connection.execute(sql.SQL("analyze {touched}").format(**names))


def _linked(shop: Shop, declared: Declared, by_name: dict[str, Declared], link: DaysOf) -> sql.Composable:
    """The days of one link as a query: of the linked table's rows, and of the deleted ones where it is this one."""
    from psycopg import sql

    there = by_name[link.table]
    query = sql.SQL("select {day} from {rows} as linked where exists (select from {touched} as touched where {same})")
    same = sql.SQL(" and ").join(
        sql.SQL("touched.{} = linked.{}").format(sql.Identifier(ours), sql.Identifier(theirs))
        for theirs, ours in link.by
    )
    tables = [sql.Identifier(shop.raw_schema, there.table)]
    if there.table == declared.table:
        tables.append(sql.Identifier(GONE))
    return sql.SQL(" union ").join(
        query.format(day=day_of_row(shop, there), rows=rows, touched=sql.Identifier(TOUCHED), same=same)
        for rows in tables
    )
