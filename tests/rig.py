"""A shop under test: its inbox, its lake, and all that an extract of it can leave behind."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from assets.extracts.declared import Column, Declared, declared_table, sources_file
from assets.extracts.extract import Report, extract_table
from assets.extracts.ledger import ensure_ledger, lake_files
from assets.extracts.tables import extract_source_table
from resources.lake import Lake
from resources.objects import ObjectStore
from resources.settings import Settings
from resources.shops import ObjectSource, Shop, Table, load_shops
from resources.tables import FolderTables, TableSource, table_source
from resources.warehouse import Warehouse

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
NAME, TABLE = "testshop", "invoice_lines"
DATASET = "project.tables"


def row(number: int = 0, **values: str) -> str:
    """One good line of Online Retail, as different from others as its number; `values` by header."""
    fields = {
        "InvoiceNo": f"{536365 + number}",
        "StockCode": f"{71053 + number % 7}",
        "Description": f"LANTERN {number}",
        "Quantity": f"{1 + number % 5}",
        "InvoiceDate": f"2010-12-{1 + number % 28:02d} 08:{number % 60:02d}:00",
        "UnitPrice": f"{number % 9}.55",
        "CustomerID": "" if number % 4 == 3 else f"{17850 + number % 11}",
        "Country": "United Kingdom",
    }
    return ",".join((fields | values).values())


def rows(count: int, start: int = 0) -> list[str]:
    return [row(number) for number in range(start, start + count)]


def sheet(lines: list[str], header: str = HEADER) -> bytes:
    return ("\n".join([header, *lines]) + "\n").encode()


def shop_of(table: str, **settings: Any) -> Shop:
    """The shop under test with one raw table, by the table's settings in `shops.yaml`."""
    return Shop(
        name=NAME,
        title="Test",
        timezone="Europe/London",
        currency="GBP",
        language="en",
        live=False,
        provides=["orders"],
        source=ObjectSource(kind="objects"),
        tables={table: Table(**settings)},
    )


class Asking:
    """Asks the warehouse many short questions on one connection, which is kept until the end."""

    warehouse: Warehouse
    _connection: psycopg.Connection | None = None

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            # Nothing is prepared, as tables are dropped and made again with other columns.
            self._connection = self.warehouse.connect(autocommit=True, prepare_threshold=None)
        return self._connection.execute(statement, values or None).fetchall()

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Rig(Asking):
    """One shop with one raw table."""

    def __init__(self, warehouse: Warehouse, home: Path, **table: Any) -> None:
        self.warehouse, self.home = warehouse, home
        self.inbox = home / "inbox"
        self.inbox.mkdir(exist_ok=True)
        self.lake = Lake(str(home / "lake"))
        self.store = ObjectStore(str(self.inbox))
        self.declared: Declared = dataclasses.replace(declared_table("online_retail", TABLE), shop=NAME, days_of=())
        self.said: list[str] = []
        self.configure(**table)

    def configure(self, **table: Any) -> None:
        """Change the settings of the table in `shops.yaml`."""
        settings = {"objects": ["*"], "cursor": "invoice_date", "sheet": "Online Retail"} | table
        self.shop = shop_of(TABLE, **settings)

    def declare(self, *columns: Column, cursor: str | None = None) -> None:
        """Put other columns in place of Online Retail's."""
        self.declared = dataclasses.replace(self.declared, columns=columns)
        self.configure(cursor=cursor)

    def put(self, name: str, data: bytes | list[str]) -> Path:
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else sheet(data))
        return path

    def run(self) -> Report:
        self.said = []
        return extract_table(
            self.warehouse, self.lake, self.store, self.shop, TABLE, say=self.said.append, declared=self.declared
        )

    def load(self, name: str, data: bytes | list[str]) -> Report:
        """Put a file that must load."""
        self.put(name, data)
        report = self.run()
        assert not report.failed, str(report.failed[0])
        return report

    def refusal(self, name: str, data: bytes | list[str]) -> str:
        """Put a file that must be refused without a trace; gives the message."""
        before = self.everything()
        path = self.put(name, data)
        report = self.run()
        assert [error.uri for error in report.failed] == [str(path)], "it was not refused"
        assert self.everything() == before, "a refused file left something behind"
        assert not list((self.home / "lake").rglob("*.part"))
        message = str(report.failed[0])
        assert message.startswith(f"{NAME}.{TABLE}, file {path}"), message
        assert ". Remedy: " in message, message
        path.unlink()
        return message

    # What is there

    def table(self, columns: str = "") -> list[tuple[Any, ...]]:
        """The raw rows, by default all declared columns of them."""
        wanted = columns or ", ".join(column.name for column in self.declared.columns)
        return self.query(
            f"select {wanted} from raw_{NAME}.{TABLE} order by 1, 2"
            if "," in wanted
            else f"select {wanted} from raw_{NAME}.{TABLE} order by 1"
        )

    def content(self) -> Counter[tuple[Any, ...]]:
        return Counter(self.table())

    def rejects(self) -> list[tuple[str, int, str, str, str]]:
        """File, line, column, reason and raw text of the rejected rows."""
        found = self.query(
            f"select e.uri, r.line, r.column_name, r.reason, r.raw from raw_{NAME}.rejects r"
            " join ledger.extracts e using (extract_id, table_name) where e.removed_at is null order by 1, 2"
        )
        return [(Path(uri).name, *rest) for uri, *rest in found]  # type: ignore[misc]

    def ledger(self, table: str) -> list[tuple[Any, ...]]:
        return self.query(f"select * from ledger.{table} where shop = %s order by 1, 2, 3", NAME)

    def days(self) -> set[Any]:
        return {day for (day,) in self.query("select distinct day from ledger.changes where shop = %s", NAME)}

    def everything(self) -> list[Any]:
        """All that the shop has in the warehouse."""
        if not self.query("select to_regclass(%s)", f"raw_{NAME}.{TABLE}")[0][0]:
            return [[], [], [], [], []]
        return [
            sorted(self.query(f"select * from raw_{NAME}.{TABLE}"), key=repr),
            sorted(self.query(f"select * from raw_{NAME}.rejects")),
            *(self.ledger(name) for name in ("extracts", "objects", "changes")),
        ]

    def clear(self) -> None:
        self.hang_up()
        with self.warehouse.connect() as connection:
            connection.execute(f"drop schema if exists raw_{NAME} cascade")
            if connection.execute("select to_regclass('ledger.tests')").fetchone() != (None,):
                for table in ("extracts", "objects", "changes"):
                    connection.execute(f"delete from ledger.{table} where shop = %s", [NAME])  # type: ignore[arg-type]


class TableRig(Asking):
    """One shop whose source holds tables: a folder per table, a dbt project that declares them, and a clock."""

    def __init__(
        self,
        warehouse: Warehouse,
        home: Path,
        tables: dict[str, dict[str, Any]],
        timezone: str = "Europe/London",
        kind: str = "bigquery",
        settings: Settings | None = None,
    ) -> None:
        """
        Args:
            settings: those of a far source, which also tells the time; without them tables are read from a folder.
            tables: name -> its settings in `shops.yaml` and, under `columns`, column -> data_type or the column's
                settings, and under `meta`, that of the table.
        """
        self.warehouse, self.home = warehouse, home
        self.inbox = home / "tables"
        self.lake = Lake(str(home / "lake"))
        self.now = datetime(2024, 6, 15, 12, tzinfo=UTC)
        self.said: list[str] = []
        self.settings = settings
        self.declare(tables, timezone, kind)

    def declare(
        self, tables: dict[str, dict[str, Any]], timezone: str = "Europe/London", kind: str = "bigquery"
    ) -> None:
        """Put other tables in place of those that were declared."""
        self.tables = tables
        source: dict[str, Any] = {"kind": kind} | ({} if self.settings else {"location": str(self.inbox)})
        entry = {
            "title": "Test",
            "timezone": timezone,
            "currency": "GBP",
            "language": "en",
            "live": False,
            "provides": ["orders"],
            "source": source | ({"dataset": DATASET} if kind == "bigquery" else {}),
            "tables": {
                name: {key: value for key, value in table.items() if key not in ("columns", "meta")}
                for name, table in tables.items()
            },
        }
        sources = {
            "name": NAME,
            "tables": [
                {
                    "name": name,
                    "config": {"meta": table.get("meta", {})},
                    "columns": [
                        {"name": column, "data_type": kind}
                        if isinstance(kind, str)
                        else {"name": column, "data_type": kind["data_type"], "config": {"meta": kind}}
                        for column, kind in table["columns"].items()
                    ],
                }
                for name, table in tables.items()
            ],
        }
        self.dbt = self.home / "dbt"
        declaration = sources_file(NAME, self.dbt)
        declaration.parent.mkdir(parents=True, exist_ok=True)
        declaration.write_text(yaml.safe_dump({"version": 2, "sources": [sources]}))
        shops = self.home / "shops.yaml"
        shops.write_text(yaml.safe_dump({"shops": {NAME: entry}}, sort_keys=False))
        self.shop = load_shops(shops)[NAME]

    def put(self, table: str, data: pa.Table | bytes, name: str = "part.parquet", group: int = 1000) -> Path:
        """Put a file into a table's folder, as a rename would."""
        path = self.inbox / table / name
        path.parent.mkdir(parents=True, exist_ok=True)
        writing = path.with_name(path.name + ".part")
        if isinstance(data, bytes):
            writing.write_bytes(data)
        else:
            pq.write_table(data, writing, row_group_size=group)
        writing.replace(path)
        return path

    def run(self, table: str, now: datetime | None = None) -> Report:
        """One extract of a table, at the rig's clock."""
        self.said = []
        arguments = {"say": self.said.append, "declared": declared_table(NAME, table, self.dbt)}
        if self.shop.source.kind == "objects":
            store = ObjectStore(str(self.inbox))
            return extract_table(self.warehouse, self.lake, store, self.shop, table, **arguments)  # type: ignore[arg-type]
        if self.settings is None:
            source: TableSource = FolderTables(ObjectStore(str(self.inbox)), self.shop)
        else:
            source = table_source(self.settings, self.shop, self.said.append)
        return extract_source_table(
            self.warehouse,
            self.lake,
            source,
            self.shop,
            table,
            now=now or (self.now if self.settings is None else None),
            **arguments,  # type: ignore[arg-type]
        )

    def load(self, table: str, now: datetime | None = None) -> Report:
        """An extract that must not be refused."""
        report = self.run(table, now)
        assert not report.failed, str(report.failed[0])
        self.check(table)
        return report

    def refusal(self, table: str) -> str:
        """An extract that must be refused without a trace; gives the message."""
        before = self.everything(table)
        report = self.run(table)
        assert len(report.failed) == 1, "it was not refused"
        after = self.everything(table)
        assert after == before or not any((*before, *after)), "a refused table left something behind"
        message = str(report.failed[0])
        where = f"file {self.inbox}" if self.settings is None else f"table bigquery://{DATASET}.{table}"
        assert message.startswith(f"{NAME}.{table}, {where}") and ". Remedy: " in message, message
        return message

    def content(self, table: str, columns: str = "") -> Counter[tuple[Any, ...]]:
        """The raw rows, by default the declared columns of them."""
        return Counter(
            self.query(f"select {columns or ', '.join(self.tables[table]['columns'])} from raw_{NAME}.{table}")
        )

    def versions(self, table: str) -> set[tuple[Any, ...]]:
        """Which transaction wrote each row, and where it lies: the same where nothing was written."""
        return set(self.query(f"select ctid::text, xmin::text from raw_{NAME}.{table}"))

    def last_change(self) -> int:
        return self.query("select coalesce(max(change_id), 0) from ledger.changes")[0][0]  # type: ignore[no-any-return]

    def days(self, table: str, since: int = 0) -> list[str | None]:
        """The days of a table's changes after one, as text: Python knows no date -infinity."""
        found = self.query(
            "select distinct day::text from ledger.changes where shop = %s and table_name = %s and change_id > %s",
            *(NAME, table, since),
        )
        return sorted((day for (day,) in found), key=lambda day: day or "")

    def rejects(self, table: str) -> list[tuple[Any, ...]]:
        return self.query(
            f"select day, column_name, reason, raw, line from raw_{NAME}.rejects where table_name = %s"
            " order by day, line, raw",
            table,
        )

    def everything(self, table: str) -> list[Any]:
        """All that the warehouse has of a table."""
        if not self.query("select to_regclass(%s)", f"raw_{NAME}.{table}")[0][0]:
            return []
        where = f"where shop = '{NAME}' and table_name = '{table}'"
        return [
            sorted(self.query(f"select * from raw_{NAME}.{table}"), key=repr),
            sorted(self.query(f"select * from raw_{NAME}.rejects where table_name = '{table}'"), key=repr),
            sorted(self.query(f"select * from ledger.extracts {where}"), key=repr),
            sorted(self.query(f"select shop, day::text, extract_id, change_id from ledger.changes {where}"), key=repr),
            *(sorted(self.query(f"select * from ledger.{name} {where}"), key=repr) for name in ("days", "cursors")),
        ]

    def check(self, table: str) -> None:
        """The ledger says of the raw table what is true, and its lake files hold the raw rows."""
        raw = f"raw_{NAME}.{table}"
        where = f"shop = '{NAME}' and table_name = '{table}'"
        active = self.query(
            f"select extract_id, rows, rejected, lake_name, format from ledger.extracts where {where}"
            " and removed_at is null"
        )
        [(count,)] = self.query(f"select count(*) from {raw}")
        [(rejected,)] = self.query(f"select count(*) from raw_{NAME}.rejects where table_name = '{table}'")
        assert (sum(rows for _, rows, *_ in active), sum(bad for _, _, bad, *_ in active)) == (count, rejected)
        if self.shop.source.kind == "objects":
            return
        with self.warehouse.connect() as connection:
            files = lake_files(connection, NAME, table)
        found: Counter[tuple[Any, ...]] = Counter()
        names = list(self.tables[table]["columns"])
        for name, wanted in files:
            for item in self.lake.open(name).read().to_pylist():
                if wanted is None or item["_day"] in wanted:
                    found[tuple(item[column] for column in names)] += 1
        assert found == self.content(table)
        if self.shop.tables[table].cursor is None:
            assert len(active) <= 1
            return
        counts = dict(self.query(f"select _extract_id, count(*) from {raw} group by 1"))
        assert {key: rows for key, rows, *_ in active if rows} == counts

    def clear(self) -> None:
        self.hang_up()
        with self.warehouse.connect() as connection:
            connection.execute(f"drop schema if exists raw_{NAME} cascade")
            ensure_ledger(connection)
            for table in ("extracts", "objects", "changes", "days", "cursors"):
                connection.execute(f"delete from ledger.{table} where shop = %s", [NAME])  # type: ignore[arg-type]
