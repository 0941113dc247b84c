"""Whether a shop's contract and marts are built and sound: what is to build, stored failures, clock, data version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from assets.extracts import ledger
from assets.extracts.api import with_api
from assets.marts.project import code_hash, tests_hash
from resources.shops import API, API_EVENTS, Shop

if TYPE_CHECKING:
    import psycopg

TRACKED = ("by_day", "by_key", "by_shop")

Models = dict[str, str | None]
"""Model -> the one shop that it is of; None for a model of all shops."""


def tracked_models(manifest: dict[str, Any]) -> Models:
    """The incremental models whose progress `ledger.builds` holds."""
    return {
        node["name"]: node["config"]["meta"].get("shop")
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"].get("incremental_strategy") in TRACKED
    }


def unbuilt(connection: psycopg.Connection, shop: Shop, models: Models) -> list[str]:
    """The models that do not yet hold all of a shop's committed changes, or were made by other code."""
    rows = connection.execute(
        "select wanted.model from unnest(%(models)s::text[]) as wanted (model)"
        " left join ledger.builds as build on build.model = wanted.model and build.shop = %(shop)s"
        " where build.model is null or build.code <> %(code)s"
        " or build.change_id < (select coalesce(max(change_id), 0) from ledger.changes where shop = %(shop)s)"
        " order by wanted.model",
        {
            "shop": shop.name,
            "models": [name for name, only_shop in models.items() if only_shop in (None, shop.name)],
            "code": code_hash(shop),
        },
    )
    return [model for (model,) in rows]


def has_data(connection: psycopg.Connection, shop: Shop) -> bool:
    """Whether anything was extracted for a shop. One that has nothing is never ready: nobody has a use for it."""
    row = connection.execute(
        "select exists (select from ledger.extracts where shop = %s and removed_at is null)", [shop.name]
    ).fetchone()
    return row is not None and bool(row[0])


def behind(connection: psycopg.Connection, shops: dict[str, Shop], models: Models) -> dict[str, list[str]]:
    """The shops for which something is to be built or tested -> the models to be built."""
    late = {name: unbuilt(connection, shop, models) for name, shop in shops.items()}
    return {name: late[name] for name, shop in shops.items() if late[name] or untested(connection, shop)}


def has_new_code(connection: psycopg.Connection, shops: dict[str, Shop]) -> bool:
    """Whether tables are there that were built by other code than the present."""
    rows = connection.execute("select distinct shop, code from ledger.builds where shop = any(%s)", [list(shops)])
    return any(code != code_hash(shops[shop]) for shop, code in rows)


def reshaped(connection: psycopg.Connection, manifest: dict[str, Any]) -> list[str]:
    """The incremental models whose tables have other columns than their contracts: they must be made anew, whole."""
    wanted = {
        (node["schema"], node["name"]): {name: column["data_type"] for name, column in node["columns"].items()}
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] == "incremental"
    }
    found: dict[tuple[str, str], dict[str, str]] = {}
    rows = connection.execute(
        "select nspname, relname, attname, format_type(atttypid, atttypmod) from pg_attribute"
        " join pg_class on pg_class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace"
        " where relkind = 'r' and nspname = any(%s) and attnum > 0 and not attisdropped",
        [sorted({schema for schema, _ in wanted})],
    )
    for schema, table, column, kind in rows:
        found.setdefault((schema, table), {})[column] = kind.replace("timestamp with time zone", "timestamptz")
    return sorted(name for (schema, name), columns in wanted.items() if found.get((schema, name), columns) != columns)


def untested(connection: psycopg.Connection, shop: Shop) -> bool:
    """Whether something was built for a shop since the tests were last run over it, or a test is new or changed."""
    row = connection.execute(
        "select exists (select from ledger.tests where shop = %(shop)s and code = %(code)s and change_id >="
        " (select coalesce(max(change_id), 0) from ledger.builds where shop = %(shop)s))"
        " and not exists (select from ledger.made where shop = %(shop)s)",
        {"shop": shop.name, "code": tests_hash(shop)},
    ).fetchone()
    return row is None or not row[0]


def begin_tests(connection: psycopg.Connection, shops: dict[str, Shop], models: Models, tests: dict[str, str]) -> int:
    """Lay down what the next run of the tests reads: see `dbt_project/macros/tested.sql`.

    A test that found failing rows of a shop, or whose table is not there, reads all of that shop's: what it stores is
    all that is known to fail. Where tests or models have other code than when they were last run, all tests do.

    Args:
        tests: all data tests, name -> name of the table that stores their failures.

    Returns:
        Up to which `ledger.made` the run covers what was made: for `mark_tested`.
    """
    found = _failures(connection, tests)
    failing = [(test, name) for test in tests for name in shops if not {name, None}.isdisjoint(found.get(test, {None}))]
    with connection.transaction():
        connection.execute("delete from ledger.failing")
        with connection.cursor() as cursor:
            cursor.executemany("insert into ledger.failing (test, shop) values (%s, %s)", failing)
        for shop in shops.values():
            connection.execute(
                "insert into ledger.made (shop, model, everything, days, keys)"
                " select %(shop)s, unnest(%(models)s::text[]), true, '{}', '{}'"
                " where not exists (select from ledger.tests where shop = %(shop)s and code = %(code)s)",
                {
                    "shop": shop.name,
                    "code": tests_hash(shop),
                    "models": [name for name, only_shop in models.items() if only_shop in (None, shop.name)],
                },
            )
        # That the tests are planned by how many keys there are.
        connection.execute("analyze ledger.made")
        row = connection.execute("select coalesce(max(made_id), 0) from ledger.made").fetchone()
    return int(row[0]) if row else 0


def idle_tests(connection: psycopg.Connection, manifest: dict[str, Any]) -> list[str]:
    """The data tests that would read nothing: what they look at was not made again. Ask after `begin_tests`."""
    made = connection.execute("select distinct shop, model from ledger.made").fetchall()
    failing = {test for (test,) in connection.execute("select distinct test from ledger.failing")}
    # What changed in views and raw tables is written down nowhere: tests of them are run where their shop changed.
    busy = {model for _, model in made} | {shop for shop, _ in made}
    if "fct_events" in busy:  # where API events changed, it was made
        busy.add(API)
    tracked = tracked_models(manifest)
    idle = []
    for node in manifest["nodes"].values():
        if node["resource_type"] != "test" or node["name"] in failing:
            continue
        subjects = set()
        for parent in node["depends_on"]["nodes"]:
            told = manifest["nodes"].get(parent) or manifest["sources"][parent]
            if told["name"] in tracked:
                subjects.add(told["name"])
            elif told["resource_type"] == "source":
                subjects.add(told["source_name"])
            elif told["fqn"][1] == "staging":
                subjects.add(told["fqn"][2])
        if subjects and subjects.isdisjoint(busy):
            idle.append(node["name"])
    return idle


def mark_tested(connection: psycopg.Connection, shop: Shop, made_id: int) -> None:
    """Remember that the tests were run over all that is built for a shop.

    Args:
        made_id: as `begin_tests` gave it before they were run.
    """
    connection.execute(
        "insert into ledger.tests (shop, change_id, code)"
        " select %(shop)s, coalesce(max(change_id), 0), %(code)s from ledger.builds where shop = %(shop)s"
        " on conflict (shop) do update set change_id = excluded.change_id, code = excluded.code, tested_at = now()"
        " where (ledger.tests.change_id, ledger.tests.code) is distinct from (excluded.change_id, excluded.code)",
        {"shop": shop.name, "code": tests_hash(shop)},
    )
    connection.execute("delete from ledger.made where shop = %s and made_id <= %s", [shop.name, made_id])
    # What is made by key has been made again from all that vanished before.
    connection.execute(
        "delete from ledger.vanished where shop = %(shop)s"
        " and change_id <= (select min(change_id) from ledger.builds where shop = %(shop)s)",
        {"shop": shop.name},
    )


def data_version(connection: psycopg.Connection, shop: Shop) -> str:
    """A hash of a shop's committed extracts and of the code of the models behind it."""
    parts = [code_hash(shop)]
    for table in with_api(shop).tables:
        parts.append(f"{table}:{ledger.data_version(ledger.active_extracts(connection, shop.name, table))}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def stored_failures(connection: psycopg.Connection, shop: Shop, tests: dict[str, str]) -> dict[str, int]:
    """How many rows of a shop fail each of the tests: test -> failing rows, sound tests left out."""
    return {
        test: max(count for name, count in shops.items() if name in (shop.name, None))
        for test, shops in _failures(connection, tests).items()
        if shop.name in shops or None in shops
    }


def _failures(connection: psycopg.Connection, tests: dict[str, str]) -> dict[str, dict[str | None, int]]:
    """Test -> shop (None: all of them) -> rows that failed in its last run; tests that were never run are left out."""
    from psycopg import sql

    there = {
        name
        for (name,) in connection.execute(
            "select table_name from information_schema.tables where table_schema = 'test_failures'"
        )
    }
    asked = [(test, table) for test, table in tests.items() if table in there]
    found: dict[str, dict[str | None, int]] = {test: {} for test, _ in asked}
    if asked:
        query = sql.SQL(" union all ").join(
            sql.SQL("select {}, shop, max(shop_failures) from {} group by shop").format(
                sql.Literal(test), sql.Identifier("test_failures", table)
            )
            for test, table in asked
        )
        for test, shop, count in connection.execute(query):
            found[test][shop] = count
    return found


@dataclass
class Ready:
    """What is known of a shop's tables."""

    as_of: date | None
    first_day: date | None
    rows: dict[str, int] = field(default_factory=dict)
    """Contract table or mart -> rows of this shop."""


def describe(connection: psycopg.Connection, shop: Shop, tables: dict[str, str]) -> Ready:
    """The clock and the row counts of a shop.

    Args:
        tables: table name -> schema, of those with a column `shop`.
    """
    from psycopg import sql

    clock = connection.execute(
        "select as_of, first_day from contract.shop_clock where shop = %s", [shop.name]
    ).fetchone()
    query = sql.SQL(" union all ").join(
        sql.SQL("select {}, count(*) from {} where shop = {}").format(
            sql.Literal(name), sql.Identifier(schema, name), sql.Literal(shop.name)
        )
        for name, schema in tables.items()
    )
    as_of, first_day = clock or (None, None)
    return Ready(as_of, first_day, dict(connection.execute(query).fetchall()))


def age_of_news(connection: psycopg.Connection, shop: Shop, now: datetime) -> timedelta | None:
    """How long ago the last extract of a shop was committed; None where there was none.

    Where a shop has extracts of its own, API events are no news: they would hide that its source is silent.
    """
    row = connection.execute(
        "select coalesce(max(committed_at) filter (where table_name <> %(api)s), max(committed_at))"
        " from ledger.extracts where shop = %(shop)s",
        {"shop": shop.name, "api": API_EVENTS},
    ).fetchone()
    return None if row is None or row[0] is None else now.astimezone(UTC) - row[0]
