"""A shop whose one raw table a stream fills: its stream wherever it is, its lake, and what an extract leaves behind."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.extracts.declared import Declared, declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.ledger import ensure_ledger, lake_files
from assets.extracts.raw import ensure_raw_table
from assets.extracts.stream import StreamReport, accept_gaps, extract_stream
from resources.lake import Lake
from resources.settings import Settings, load_settings
from resources.streams import Stream, open_stream
from resources.warehouse import Warehouse
from tests.rig import NAME, Asking, shop_of

TABLE, STREAM = "invoice_lines_stream", "test-lines"


def line(number: int = 0, **values: Any) -> dict[str, Any]:
    """One good line as an object, as different from others as its number."""
    fields = {
        "InvoiceNo": f"{536365 + number // 3}",
        "StockCode": f"{71053 + number % 7}",
        "Description": f"LANTERN {number}",
        "Quantity": 1 + number % 5,
        "InvoiceDate": f"2010-12-{1 + number % 28:02d} 08:{number % 60:02d}:00",
        "UnitPrice": number % 9 + 0.55,
        "CustomerID": None if number % 4 == 3 else 17850 + number % 11,
        "Country": "United Kingdom",
        "record_id": f"test-{number}",
    }
    return fields | values


def data(number: int = 0, **values: Any) -> bytes:
    return json.dumps(line(number, **values)).encode()


class StreamRig(Asking):
    """One shop with one raw table, and its stream."""

    def __init__(self, warehouse: Warehouse, home: Path, **settings: Any) -> None:
        """
        Args:
            settings: where the stream is, as in `Settings`; by default a folder.
        """
        self.warehouse, self.home = warehouse, home
        self.settings: Settings = load_settings(home=home, environment="test", **settings)
        self.lake = Lake(str(home / "lake"))
        self.declared: Declared = dataclasses.replace(declared_table("online_retail", TABLE), shop=NAME)
        self.said: list[str] = []
        self.shop = shop_of(TABLE, stream=STREAM, cursor="invoice_date")

    def stream(self, name: str = STREAM) -> Stream:
        return open_stream(self.settings, name, self.said.append)

    def put(self, *records: bytes) -> None:
        self.stream().put([(f"key {number}", record) for number, record in enumerate(records)])

    def run(self, heard: Callable[[str], object] | None = None, **more: Any) -> StreamReport:
        """One extract.

        Args:
            heard: called with all that is said.
        """
        self.said = []

        def say(text: str) -> None:
            self.said.append(text)
            if heard is not None:
                heard(text)

        stream = open_stream(self.settings, STREAM, say)
        return extract_stream(
            self.warehouse, self.lake, stream, self.shop, TABLE, say=say, declared=self.declared, **more
        )

    def refusal(self) -> str:
        """An extract that must fail and leave nothing; gives its message, which is one line with its remedy."""
        before = self.everything()
        with pytest.raises(ExtractError) as caught:
            self.run()
        assert self.everything() == before, "an extract that failed left something behind"
        message = str(caught.value)
        assert message.startswith(f"{NAME}.{TABLE}: ") and ". Remedy: " in message and "\n" not in message, message
        return message

    def accept(self) -> list[str]:
        return [loss.shard for loss in accept_gaps(self.warehouse, self.stream(), self.shop, TABLE, self.said.append)]

    # What is there

    def ids(self) -> list[int]:
        """The numbers of the lines that the raw table holds."""
        rows = self.query(f"select record_id from raw_{NAME}.{TABLE}")
        return sorted(int(name.removeprefix("test-")) for (name,) in rows)

    def table(self, columns: str) -> list[tuple[Any, ...]]:
        return self.query(f"select {columns} from raw_{NAME}.{TABLE} order by 1, 2")

    def rejects(self) -> list[tuple[Any, ...]]:
        return self.query(f"select column_name, reason, raw, line, uri from raw_{NAME}.rejects order by uri, line")

    def shards(self) -> dict[str, tuple[str | None, bool]]:
        rows = self.query("select shard, sequence, has_ended from ledger.shards where shop = %s", NAME)
        return {shard: (sequence, has_ended) for shard, sequence, has_ended in rows}

    def days(self, since: int = 0) -> set[Any]:
        """The days that the table's changes tell of; a batch of bad lines alone tells of none, `-infinity`."""
        found = self.query(
            "select distinct day from ledger.changes"
            " where shop = %s and change_id > %s and (day is null or isfinite(day))",
            NAME,
            since,
        )
        return {day for (day,) in found}

    def last_change(self) -> int:
        return int(self.query("select coalesce(max(change_id), 0) from ledger.changes")[0][0])

    def everything(self) -> list[Any]:
        """All that the shop has in the warehouse."""
        with self.warehouse.connect() as connection:
            ensure_raw_table(connection, self.shop, self.declared)
        where = f"where shop = '{NAME}'"
        return [
            sorted(self.query(f"select t.*, xmin::text, ctid::text from raw_{NAME}.{TABLE} as t"), key=repr),
            sorted(self.query(f"select * from raw_{NAME}.rejects"), key=repr),
            *(  # as text: Python knows no date -infinity
                sorted(self.query(f"select t::text from ledger.{name} as t {where}"), key=repr)
                for name in ("extracts", "shards", "gaps", "changes")
            ),
        ]

    def check(self) -> None:
        """The ledger says of the raw table what is true, and its lake files hold the raw rows."""
        active = self.query(
            "select extract_id, rows, rejected from ledger.extracts where shop = %s and removed_at is null", NAME
        )
        raw = f"raw_{NAME}.{TABLE}"
        assert dict(self.query(f"select _extract_id, count(*) from {raw} group by 1")) == {
            key: rows for key, rows, _ in active if rows
        }
        assert self.query(f"select count(*) from raw_{NAME}.rejects") == [(sum(bad for *_, bad in active),)]
        columns = [column.name for column in self.declared.columns]
        found: Counter[tuple[Any, ...]] = Counter()
        with self.warehouse.connect() as connection:
            for name, _ in lake_files(connection, NAME, TABLE):
                for row in self.lake.open(name).read().to_pylist():
                    found[tuple(row[column] for column in columns)] += 1
        assert found == Counter(self.query(f"select {', '.join(columns)} from {raw}"))
        assert not self.query(f"select 1 from {raw} group by _shard, _sequence, _line having count(*) > 1")

    def clear(self) -> None:
        self.hang_up()
        with self.warehouse.connect() as connection:
            connection.execute(f"drop schema if exists raw_{NAME} cascade")
            ensure_ledger(connection)
            for table in ("extracts", "shards", "gaps", "changes"):
                connection.execute(f"delete from ledger.{table} where shop = %s", [NAME])  # type: ignore[arg-type]


def with_credentials(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Credentials of the tests for AWS, whatever the machine has."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
