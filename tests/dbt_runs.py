"""dbt run in this process on a database, and what can be asked of the tables that it made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psycopg

from assets.marts.project import dbt_variables
from resources.shops import load_shops
from tests.conftest import ALL_SHOPS

PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"


def shop(**changes: Any) -> dict[str, Any]:
    provides = ["orders", "products", "product_text", "prices"]
    return {
        "timezone": "Europe/London",
        "currency": "GBP",
        "language": "en",
        "provides": provides,
        "code": "a",
    } | changes


def five_shops() -> dict[str, Any]:
    """The variable `shops` as every call has it, of the shops that the project comes with."""
    return json.loads(dbt_variables(load_shops(ALL_SHOPS)))["shops"]


class Dbt:
    """dbt in this process, on one project folder and database."""

    def __init__(self, project: Path, work: Path, pg_host: str = "localhost", database: str = "cartograph") -> None:
        self.project, self.work, self.pg_host, self.database = project, work, pg_host, database
        self.shops = {"online_retail": shop()}
        self.tests = "all"

    def __call__(self, *arguments: str, shops: dict[str, Any] | None = None) -> Any:
        from dbt.cli.main import dbtRunner
        from dbt_common.events.functions import reset_metadata_vars

        variables = json.dumps({"shops": self.shops if shops is None else shops} if shops != {} else {})
        words = ["--quiet", "--log-level-file", "none", *arguments, "--vars", variables]
        words += ["--project-dir", str(self.project), "--profiles-dir", str(self.project)]
        words += ["--target-path", str(self.work / "target"), "--log-path", str(self.work / "logs")]
        wanted = {
            "DBT_ENV_SECRET_CARTOGRAPH_PGHOST": self.pg_host,
            "CARTOGRAPH_PGDATABASE": self.database,
            "DBT_ENV_CUSTOM_ENV_CARTOGRAPH_TESTS": self.tests,
            "DO_NOT_TRACK": "1",
        }
        before = dict(os.environ)
        os.environ |= wanted
        reset_metadata_vars()  # dbt reads them once in a process
        try:
            return dbtRunner().invoke(words)
        finally:
            os.environ.clear()
            os.environ |= before

    def run(self, *arguments: str, shops: dict[str, Any] | None = None) -> None:
        result = self("run", *arguments, shops=shops)
        bad = [f"{item.node.name}: {item.message}" for item in result.result or [] if item.status != "success"]
        assert result.success and not bad, (bad, result.exception)

    def test(self, *arguments: str, shops: dict[str, Any] | None = None) -> dict[str, int]:
        """Run data tests; the failing ones with their counts."""
        result = self("test", "--exclude-resource-type", "unit_test", *arguments, shops=shops)
        broken = [
            f"{item.node.name}: {item.message}" for item in result.result if item.status not in ("pass", "fail", "warn")
        ]
        assert not broken, broken
        return {item.node.name: item.failures for item in result.result if item.status != "pass"}

    @property
    def manifest(self) -> dict[str, Any]:
        return json.loads((self.work / "target" / "manifest.json").read_text())


def query(connection: psycopg.Connection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    return connection.execute(sql, values).fetchall()


def tracked_tables(connection: psycopg.Connection) -> list[str]:
    return [
        f"{schema}.{table}"
        for schema, table in query(
            connection,
            "select schemaname, tablename from pg_tables where schemaname in ('contract', 'marts') order by 1, 2",
        )
    ]


def versions(connection: psycopg.Connection, table: str, where: str = "true") -> set[tuple[Any, ...]]:
    """The physical identity of the rows: it changes with every write."""
    return set(query(connection, f"select ctid::text, xmin::text from {table} where {where}"))


def everything(connection: psycopg.Connection) -> dict[str, list[str]]:
    """The contents of all contract tables and marts."""
    return {
        table: [row for (row,) in query(connection, f"select t::text from {table} as t order by 1")]
        for table in tracked_tables(connection)
    }
