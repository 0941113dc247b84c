"""For tests of BigQuery: a stand-in at the network, and shops whose tables are in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import resources.bigquery as module
from resources.bigquery import BigQueryPart, BigQueryTables
from resources.settings import Settings, load_settings
from resources.tables import Span
from resources.warehouse import Warehouse
from tests.rig import DATASET, TableRig
from tests.standins.bigquery import PAYER, BigQueryStandIn

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)
MAY = datetime(2024, 5, 1, 12, tzinfo=UTC)
COLUMNS = {"id": "bigint", "at": "timestamptz", "note": "text"}
EVENTS: dict[str, Any] = {"cursor": "at", "restate_days": 5, "columns": COLUMNS}
USERS: dict[str, Any] = {"key": ["id"], "columns": {"id": "bigint", "name": "text"}}
EVENTS_NAME, USERS_NAME = f"{DATASET}.events", f"{DATASET}.users"
Row = tuple[Any, ...]


def events(rows: list[Row], kind: pa.DataType | None = None) -> pa.Table:
    ids, at, notes = ([row[i] for row in rows] for i in range(3))
    kind = kind or pa.timestamp("us", tz="UTC")
    return pa.table({"id": pa.array(ids, pa.int64()), "at": pa.array(at, kind), "note": pa.array(notes, pa.string())})


def daily(days: int, begin: datetime = MAY, each: int = 3) -> list[Row]:
    return [
        (day * 1000 + number, begin + timedelta(days=day, seconds=number), f"note {number}")
        for day in range(days)
        for number in range(each)
    ]


def users(rows: dict[int, str | None]) -> pa.Table:
    return pa.table({"id": pa.array(list(rows), pa.int64()), "name": pa.array(list(rows.values()), pa.string())})


def settings_of(stand_in: BigQueryStandIn, home: Path, **more: Any) -> Settings:
    values = {
        "bigquery": "google",
        "bigquery_project": PAYER,
        "bigquery_endpoint": stand_in.endpoint,
        "bigquery_storage_endpoint": stand_in.storage_endpoint,
    }
    return load_settings(**({"_env_file": None, "home": home, "environment": "test"} | values | more))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryStandIn]:
    """A stand-in with one table; where a test has to wait, it waits for a moment only."""
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.02)
    with BigQueryStandIn({USERS_NAME: users({1: "Ann"})}, clock=NOW) as made:
        yield made


@pytest.fixture
def make(stand_in: BigQueryStandIn, warehouse: Warehouse, tmp_path: Path) -> Iterator[Callable[..., TableRig]]:
    """Makes a shop whose tables are in the stand-in."""
    made: list[TableRig] = []

    def rig(settings: Settings | None = None, gb: float | None = None, **tables: dict[str, Any]) -> TableRig:
        settings = settings or settings_of(stand_in, tmp_path)
        made.append(TableRig(warehouse, tmp_path, tables or {"events": EVENTS, "users": USERS}, settings=settings))
        if gb is not None:
            source = made[-1].shop.source.model_copy(update={"max_gb_billed": gb})
            made[-1].shop = made[-1].shop.model_copy(update={"source": source})
        made[-1].clear()
        return made[-1]

    yield rig
    for item in made:
        item.clear()


@pytest.fixture
def part(stand_in: BigQueryStandIn, make: Callable[..., TableRig]) -> Callable[..., BigQueryPart]:
    """The part of a table that is put into the stand-in, without a warehouse behind it."""

    def put(data: Any, name: str = "events", **tables: Any) -> BigQueryPart:
        stand_in.put(f"{DATASET}.{name}", data)
        rig = make(**tables)
        assert rig.settings is not None
        source = BigQueryTables(rig.settings, rig.shop, rig.said.append)
        [found] = source.parts(name, source.now())
        return found

    return put


def ids(rig: TableRig, table: str = "events") -> list[int]:
    return sorted(key for (key,) in rig.content(table, "id").elements())


def scanned(part: BigQueryPart, span: Span, cursor: str | None = "at") -> list[dict[str, Any]]:
    return [row for batch, _ in part.scan(None, cursor, span) for row in batch.to_pylist()]


def sessions(stand_in: BigQueryStandIn) -> list[Any]:
    return [about for method, about in stand_in.requests if method == "CreateReadSession"]


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("read bigquery://")]
