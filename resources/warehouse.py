"""The warehouse: connections to the one Postgres server with the databases `cartograph`, `dagster` and `mlflow`.

The server is the embedded one (`resources/embedded_postgres.py`) unless `WAREHOUSE_URL` names another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from resources.settings import Settings

if TYPE_CHECKING:
    import psycopg

Database = Literal["cartograph", "dagster", "mlflow"]


class WarehouseError(RuntimeError):
    """The warehouse cannot be reached or used; the message says where and what to do."""


class Warehouse:
    """The Postgres server of a home. Starts the embedded server at first use; importing or making it does nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def is_embedded(self) -> bool:
        return self.settings.warehouse_url is None

    def url(self, database: Database = "cartograph") -> str:
        """A libpq URL of the database. Starts the embedded server and takes this process's lease."""
        given = self.settings.warehouse_url
        if given is None:
            from resources.embedded_postgres import ensure

            return ensure(self.settings.home).url(database)
        parts = urlsplit(given.get_secret_value())
        if parts.scheme not in ("postgresql", "postgres"):
            raise WarehouseError(
                f"WAREHOUSE_URL begins with {parts.scheme or 'nothing'!r}: write postgresql://user:password@host:port/database"
            )
        # A URL names one database, by default our own; the others are its neighbours on the same server.
        path = parts.path if database == "cartograph" and parts.path.strip("/") else f"/{database}"
        return urlunsplit(("postgresql", parts.netloc, path, parts.query, ""))

    def sqlalchemy_url(self, database: Database) -> str:
        """The URL for SQLAlchemy, which Dagster's storage and MLflow use.

        The driver is named because SQLAlchemy 2.1 takes psycopg 3 otherwise, with which dagster-postgres fails.
        """
        return "postgresql+psycopg2://" + self.url(database).removeprefix("postgresql://")

    def connect(
        self, database: Database = "cartograph", *, application: str = "cartograph", **kwargs: Any
    ) -> psycopg.Connection:
        """A new connection; use it in a `with`, which commits or rolls back and closes.

        Raises:
            WarehouseError: the server does not answer.
        """
        import psycopg

        url = self.url(database)
        try:
            return psycopg.connect(url, application_name=application, connect_timeout=10, **kwargs)
        except psycopg.OperationalError as error:
            where = f"the embedded warehouse of {self.settings.home}" if self.is_embedded else "WAREHOUSE_URL"
            raise WarehouseError(f"{where}, database {database}: {str(error).strip()}") from error

    @contextmanager
    def advisory_lock(self, name: str, waiting: Any = None) -> Iterator[None]:
        """Hold a lock by name over processes and machines; the server drops it when this process dies.

        Args:
            waiting: called once, without arguments, where another holds the lock and this one has to wait.
        """
        with self.connect(application=f"cartograph lock {name}", autocommit=True) as connection:
            row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone()
            if row is not None and not row[0]:
                if waiting is not None:
                    waiting()
                connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [name])
            yield

    def dbt_environment(self) -> dict[str, str]:
        """The environment in which dbt finds this warehouse (`dbt_project/profiles.yml` reads it)."""
        parts = urlsplit(self.url())
        query = parse_qs(parts.query)
        return {
            "DBT_ENV_SECRET_CARTOGRAPH_PGHOST": query.get("host", [parts.hostname or "localhost"])[0],
            "CARTOGRAPH_PGPORT": str(parts.port or query.get("port", ["5432"])[0]),
            "CARTOGRAPH_PGUSER": unquote(parts.username or "postgres"),
            "DBT_ENV_SECRET_CARTOGRAPH_PGPASSWORD": unquote(parts.password or ""),
            "CARTOGRAPH_PGDATABASE": unquote(parts.path.lstrip("/")) or "cartograph",
            "CARTOGRAPH_DBT_THREADS": str(self.settings.dbt_threads),
        }
