"""A shop under test: its inbox, its lake, and all that an extract of it can leave behind."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

from assets.extracts.declared import Column, Declared, declared_table
from assets.extracts.extract import Report, extract_table
from resources.lake import Lake
from resources.objects import ObjectStore
from resources.shops import ObjectSource, Shop, Table
from resources.warehouse import Warehouse

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
NAME, TABLE = "testshop", "invoice_lines"


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


class Rig:
    """One shop with one raw table."""

    def __init__(self, warehouse: Warehouse, home: Path, **table: Any) -> None:
        self.warehouse, self.home = warehouse, home
        self.inbox = home / "inbox"
        self.inbox.mkdir(exist_ok=True)
        self.lake = Lake(str(home / "lake"))
        self.store = ObjectStore(str(self.inbox))
        self.declared: Declared = dataclasses.replace(declared_table("online_retail", TABLE), shop=NAME)
        self.said: list[str] = []
        self.configure(**table)

    def configure(self, **table: Any) -> None:
        """Change the settings of the table in `shops.yaml`."""
        settings = {"objects": ["*"], "cursor": "invoice_date", "sheet": "Online Retail"} | table
        self.shop = Shop(
            name=NAME,
            title="Test",
            timezone="Europe/London",
            currency="GBP",
            language="en",
            live=False,
            provides=["orders"],
            source=ObjectSource(kind="objects"),
            tables={TABLE: Table(**settings)},
        )

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

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(statement, values or None).fetchall()  # type: ignore[call-overload,no-any-return]

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
        with self.warehouse.connect() as connection:
            connection.execute(f"drop schema if exists raw_{NAME} cascade")
            if connection.execute("select to_regclass('ledger.tests')").fetchone() != (None,):
                for table in ("extracts", "objects", "changes"):
                    connection.execute(f"delete from ledger.{table} where shop = %s", [NAME])  # type: ignore[arg-type]
