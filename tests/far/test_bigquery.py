"""BigQuery through its real clients, from a stand-in at the network: the same rows as from files, at a known cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import resources.bigquery as module
from resources.bigquery import BigQueryPart
from resources.far import SourceError
from resources.tables import FolderTables, Span, table_source
from resources.warehouse import Warehouse
from tests.far import bigquery_rig
from tests.far.bigquery_rig import (
    EVENTS_NAME,
    MAY,
    NOW,
    USERS,
    USERS_NAME,
    daily,
    events,
    ids,
    scanned,
    sessions,
    settings_of,
    users,
)
from tests.rig import DATASET, TableRig
from tests.standins import bigquery as stand_in_module
from tests.standins.bigquery import (
    CREATE_SESSION,
    GEOGRAPHY,
    JSON,
    BigQueryStandIn,
    Fault,
    Served,
)

stand_in, make, part = bigquery_rig.stand_in, bigquery_rig.make, bigquery_rig.part

# ---- the same as from a folder ---------------------------------------------------------------------------------------

WIDE = {
    "id": "bigint",
    "at": "timestamptz",
    "local": "timestamp",
    "day": "date",
    "price": "numeric(18,4)",
    "share": "double precision",
    "is_new": "boolean",
    "note": "text",
}


def wide() -> pa.Table:
    """Rows of a year, of every kind: undated ones, not due yet, in the near and in the far future."""
    at: list[Any] = [MAY + timedelta(days=day) for day in range(-300, 45)]
    at += [None, datetime(2077, 1, 1, tzinfo=UTC), NOW - timedelta(minutes=2), NOW + timedelta(days=30), NOW]
    size = len(at)
    return pa.table(
        {
            "id": pa.array(range(size), pa.int64()),
            "at": pa.array(at, pa.timestamp("us", tz="UTC")),
            "local": pa.array([None if i % 7 == 0 else datetime(2024, 1, 1, 2, 3, 4, i) for i in range(size)]),
            "day": pa.array([date(2023, 8, 1) + timedelta(days=i) for i in range(size)]),
            "price": pa.array([Decimal(i) / 100 for i in range(size)], pa.decimal128(38, 9)),
            "share": pa.array([None if i % 5 == 0 else i / 3 for i in range(size)], pa.float64()),
            "is_new": pa.array([[True, False, None][i % 3] for i in range(size)]),
            "note": pa.array([["", None, "a\nb", "'`\\", "naïve"][i % 5] for i in range(size)]),
        }
    )


@pytest.mark.parametrize("way", ["storage", "queries"])
@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ({"cursor": "at", "restate_days": 5}, {}),
        ({"cursor": "at", "restate_days": 5}, {"partitioned_by": "at"}),
        ({"cursor": "local", "max_rejected_share": 1.0}, {"clustered_by": ("local", "id")}),
        ({"cursor": "day", "max_rejected_share": 1.0}, {"partitioned_by": "day"}),
        ({"cursor": "day", "max_rejected_share": 1.0}, {}),
        ({"key": ["id"]}, {}),
    ],
)
def test_a_folder_and_bigquery_give_the_same(
    stand_in: BigQueryStandIn,
    make: Callable[..., TableRig],
    warehouse: Warehouse,
    tmp_path: Path,
    way: str,
    settings: dict[str, Any],
    served: dict[str, Any],
) -> None:
    near = TableRig(warehouse, tmp_path, {"wide": settings | {"columns": WIDE}})
    near.clear()
    near.put("wide", wide(), group=100)
    expected = near.load("wide")
    rows, rejects = near.content("wide"), near.rejects("wide")
    near.hang_up()
    assert sum(rows.values()) > 300
    stand_in.put(f"{DATASET}.wide", Served(wide(), **served))
    if way == "queries":
        stand_in.denied.add(CREATE_SESSION)
    far = make(wide=settings | {"columns": WIDE})
    report = far.load("wide")
    assert far.content("wide") == rows and report.data_version == expected.data_version
    assert [row[:4] for row in far.rejects("wide")] == [row[:4] for row in rejects]
    assert (report.later, report.days_changed) == (expected.later, expected.days_changed)
    assert (stand_in.calls["ReadRows"] > 0) == (way == "storage")
    assert far.load("wide").is_unchanged


def test_what_changes_is_restated_and_compared_once_a_week(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig]
) -> None:
    rows = daily(44)
    stand_in.put(EVENTS_NAME, events(rows))
    rig = make()
    rig.load("events")
    changed = [(key, at, "changed" if at.day == 13 or at.month == 5 else note) for key, at, note in rows if key % 1000]
    stand_in.put(EVENTS_NAME, events(changed))
    stand_in.clock = NOW + timedelta(days=1)
    report = rig.load("events")
    assert not report.compared_all and {str(row[1].date()) for row in rig.content("events") if row[2] == "changed"} == {
        "2024-06-13"
    }
    stand_in.clock = NOW + timedelta(days=8)
    assert rig.load("events").compared_all and sorted(rig.content("events").elements()) == sorted(changed)


def test_all_slices_see_one_snapshot_of_bigquerys_own_clock(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig]
) -> None:
    before, after = events(daily(400, MAY - timedelta(days=370))), events(daily(3))
    stand_in.put(EVENTS_NAME, Served([(MAY, before), (NOW + timedelta(seconds=1), after)], partitioned_by="at"))
    rig = make()
    report = rig.load("events")
    assert len(rig.content("events")) == 1200 and report.read_to == NOW - timedelta(minutes=10)
    assert report.slices == len(sessions(stand_in)) == 6
    assert {item.table_modifiers.snapshot_time.timestamp() for item in sessions(stand_in)} == {NOW.timestamp()}
    assert any("the clock of this machine is" in line and "ahead of BigQuery's" in line for line in rig.said)
    stand_in.clock = NOW + timedelta(days=8)
    rig.load("events")
    assert len(rig.content("events")) == 9


def test_a_table_without_versions_that_old_is_refused(stand_in: BigQueryStandIn, make: Callable[..., TableRig]) -> None:
    stand_in.put(EVENTS_NAME, Served([(NOW + timedelta(seconds=1), events(daily(3)))]))
    message = make().refusal("events")
    assert "cannot be read as it was when this run began" in message and "run again" in message


@pytest.mark.parametrize("way", ["storage", "queries"])
def test_columns_are_asked_of_bigquery(stand_in: BigQueryStandIn, part: Callable[..., BigQueryPart], way: str) -> None:
    made = part(Served(events(daily(100, each=50)), partitioned_by="at"))
    if way == "queries":
        stand_in.denied.add(CREATE_SESSION)
    span = Span(MAY + timedelta(days=10), MAY + timedelta(days=20))
    rows = [batch for batch, _ in made.scan(["id"], "at", span)]
    assert sum(map(len, rows)) == 500 and rows[0].schema.names == ["id"]


def test_a_table_that_is_altered_while_it_is_read(stand_in: BigQueryStandIn, part: Callable[..., BigQueryPart]) -> None:
    made = part(events(daily(3)))
    stand_in.put(EVENTS_NAME, events(daily(3)).drop_columns("note"))
    with pytest.raises(SourceError, match=r"the columns of events changed while it was read: note\. Remedy: run again"):
        scanned(made, Span())


def test_the_row_restriction_and_few_streams(stand_in: BigQueryStandIn, part: Callable[..., BigQueryPart]) -> None:
    made = part(Served(events(daily(100, each=50)), partitioned_by="at"))
    assert len(scanned(made, Span(MAY, MAY + timedelta(days=80)))) == 4000
    [session] = sessions(stand_in)
    assert session.read_options.row_restriction == (
        "`at` >= TIMESTAMP '2024-05-01 12:00:00.000000+00:00' AND `at` < TIMESTAMP '2024-07-20 12:00:00.000000+00:00'"
    )
    assert len(stand_in.sent_rows) == 4 and sum(stand_in.sent_rows.values()) == 4000


@pytest.mark.parametrize("name", ["a`t", "a\\t", "select"])
def test_names_are_quoted(part: Callable[..., BigQueryPart], stand_in: BigQueryStandIn, name: str) -> None:
    table = events(daily(5)).rename_columns(["id", name, "note"])
    assert len(scanned(part(table), Span(MAY + timedelta(days=1), None), name)) == 12
    stand_in.denied.add(CREATE_SESSION)
    assert len(scanned(part(table), Span(MAY + timedelta(days=1), None), name)) == 12


@pytest.mark.parametrize("way", ["storage", "queries"])
def test_types(stand_in: BigQueryStandIn, part: Callable[..., BigQueryPart], way: str) -> None:
    fields = {
        "big": pa.array([Decimal("1.00000000000000000000000000000000000001")], pa.decimal256(76, 38)),
        "bytes": pa.array([b"\x00\xff"]),
        "time": pa.array([time(1, 2, 3, 4)], pa.time64("us")),
        "texts": pa.array([["a", "b"]]),
        "nested": pa.array([{"x": 1}]),
    }
    schema = pa.schema(
        [*((name, values.type) for name, values in fields.items()), pa.field("json", pa.string(), metadata=JSON),
         pa.field("place", pa.string(), metadata=GEOGRAPHY)]
    )  # fmt: skip
    table = pa.table([*fields.values(), pa.array(['{"a":1}']), pa.array(["POINT(1 2)"])], schema=schema)
    if way == "queries":
        stand_in.denied.add(CREATE_SESSION)
    made = part(table)
    [row] = scanned(made, Span(), None)
    assert row | {"nested": None} == {
        "big": Decimal("1.00000000000000000000000000000000000001"),
        "bytes": "AP8=",
        "time": time(1, 2, 3, 4),
        "texts": ["a", "b"],
        "nested": None,
        "json": '{"a":1}',
        "place": "POINT(1 2)",
    }
    [batch] = [batch for batch, _ in made.scan(None, None, Span())]
    assert batch.schema.types == made.schema.types


def test_types_in_the_raw_table(stand_in: BigQueryStandIn, make: Callable[..., TableRig]) -> None:
    """What is declared is converted, and what is new gets a column."""
    columns = {"id": "bigint", "big": "numeric(18,4)", "at": "text"}
    schema = pa.schema([("id", pa.int64()), ("big", pa.decimal256(76, 38)), ("at", pa.time64("us"))])
    rows = [{"id": 1, "big": Decimal("2.5"), "at": time(1, 2)}, {"id": 2, "big": None, "at": time(1, 2, 3, 50)}]
    table = pa.Table.from_pylist(rows, schema=schema).append_column("more", pa.array([Decimal("1.5"), None]))
    stand_in.put(USERS_NAME, table.append_column("code", pa.array([b"\x01", b""])))
    rig = make(users={"key": ["id"], "columns": columns})
    report = rig.load("users")
    assert report.loaded[0].new_columns == ["more", "code"]
    assert sorted(rig.content("users", "id, big, at, more, code")) == [
        (1, Decimal("2.5"), "01:02:00", Decimal("1.5"), "AQ=="),
        (2, None, "01:02:03.00005", None, None),
    ]


@pytest.mark.parametrize("values", [[["a"]], [{"x": 1}]])
def test_nested_columns_are_refused(stand_in: BigQueryStandIn, make: Callable[..., TableRig], values: Any) -> None:
    stand_in.put(USERS_NAME, users({1: "Ann"}).append_column("more", pa.array(values)))
    message = make().refusal("users")
    assert "column more" in message and "in the source" in message and "file" not in message


def test_a_location_is_read_as_folders(stand_in: BigQueryStandIn, warehouse: Warehouse, tmp_path: Path) -> None:
    near = TableRig(warehouse, tmp_path, {"users": USERS})
    assert isinstance(table_source(settings_of(stand_in, tmp_path), near.shop, print), FolderTables)


def test_views_are_read_by_queries(stand_in: BigQueryStandIn, make: Callable[..., TableRig]) -> None:
    stand_in.put(EVENTS_NAME, Served(events(daily(10)), kind="VIEW"))
    rig = make()
    rig.load("events")
    assert len(ids(rig)) == 30 and not stand_in.calls["CreateReadSession"]
    assert [line for line in rig.said if "read by queries: it is a view" in line]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("UNIMPLEMENTED", "unknown service"),
        ("PERMISSION_DENIED", "BigQuery Storage API has not been used in project 7 before or it is disabled."),
        ("INVALID_ARGUMENT", "request failed: non-table entities cannot be read with the storage API"),
    ],
)
def test_where_there_are_no_sessions_queries_are_made(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig], code: str, message: str
) -> None:
    stand_in.put(EVENTS_NAME, Served(events(daily(200, MAY - timedelta(days=160))), partitioned_by="at"))
    stand_in.faults.append(Fault("CreateReadSession", code, message))
    rig = make()
    rig.load("events")
    assert len(ids(rig)) == 600 and stand_in.calls["CreateReadSession"] == 1
    assert len([line for line in rig.said if "is read by queries: " in line]) == 1, "said once, and why"


def test_long_results_of_queries_are_paged(
    stand_in: BigQueryStandIn, part: Callable[..., BigQueryPart], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 100)
    stand_in.denied.add(CREATE_SESSION)
    made = part(events(daily(10, each=35)))
    stand_in.faults.append(Fault("jobs.getQueryResults", "RESOURCE_EXHAUSTED", reason="rateLimitExceeded", times=2))
    found = [batch for batch, _ in made.scan(None, None, Span())]
    assert stand_in.calls["jobs.getQueryResults"] >= 4
    assert sorted(row["id"] for batch in found for row in batch.to_pylist()) == [row[0] for row in daily(10, each=35)]


# ---- cost ------------------------------------------------------------------------------------------------------------


def test_a_table_that_is_scanned_whole_is_scanned_once(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig]
) -> None:
    """Neither the first load nor a restatement nor a comparison pays for more; rows without a date come with it."""
    rows = [*daily(400, MAY - timedelta(days=370)), (9, None, "undated"), (10, NOW, "later")]
    stand_in.put(EVENTS_NAME, events(rows))
    rig = make()
    report = rig.load("events")
    assert len(sessions(stand_in)) == 1 and len(ids(rig)) == 1201 and report.later == 1
    size = events(rows).nbytes
    assert report.estimated is not None and abs(report.estimated - size) < 100 and report.bytes_billed is not None
    assert report.estimated <= report.bytes_billed < 1.5 * size
    stand_in.put(EVENTS_NAME, events([(9, None, "changed") if row[0] == 9 else row for row in rows]))
    stand_in.clock = NOW + timedelta(hours=1)
    rig.load("events")
    assert len(sessions(stand_in)) == 2 and (9, None, "changed") in rig.content("events")
    assert "OR `at` IS NULL" in sessions(stand_in)[1].read_options.row_restriction.replace("(", "")


def test_slices_of_a_partitioned_table_pay_for_their_days(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig]
) -> None:
    rows = daily(400, MAY - timedelta(days=370))
    stand_in.put(EVENTS_NAME, Served(events(rows), partitioned_by="at"))
    rig = make()
    first = rig.load("events")
    stand_in.clock = NOW + timedelta(hours=1)
    second = rig.load("events")
    assert stand_in.calls["tabledata.list"] == 1, "where it begins is looked for once"
    assert first.slices == 6 and first.estimated and second.estimated is not None
    assert first.estimated < 1.1 * events(rows).nbytes and second.estimated < first.estimated / 20
    assert [line for line in rig.said if "GB billed, " in line and "GB estimated" in line]
    assert [line for line in rig.said if "of at most 50.000 GB" in line]


@pytest.mark.parametrize("served", [{"partitioned_by": "at"}, {"clustered_by": ("at",)}])
def test_the_earliest_day_is_found_cheaply(
    part: Callable[..., BigQueryPart], stand_in: BigQueryStandIn, served: dict[str, Any]
) -> None:
    made = part(Served(events([*daily(30), (1, None, "")]), **served))
    first = made.earliest("at")
    assert isinstance(first, datetime) and MAY - timedelta(days=1) < first <= MAY
    assert not stand_in.calls["CreateReadSession"]
    assert (stand_in.calls["jobs.insert"], made.cost.billed > 0) == (
        (0, False) if "partitioned_by" in served else (2, True)
    )


def test_the_earliest_day_is_not_looked_for_where_it_would_be_dear(part: Callable[..., BigQueryPart]) -> None:
    assert part(events(daily(30))).earliest("at") is None
    assert part(Served(events(daily(30)), clustered_by=("id", "at"))).earliest("at") is None


@pytest.mark.parametrize("way", ["storage", "queries"])
def test_nothing_is_read_beyond_the_cap(stand_in: BigQueryStandIn, make: Callable[..., TableRig], way: str) -> None:
    stand_in.put(EVENTS_NAME, events(daily(300, MAY - timedelta(days=260), each=20)))
    if way == "queries":
        stand_in.denied.add(CREATE_SESSION)
    rig = make(gb=0.0001)
    message = rig.refusal("events")
    assert "max_gb_billed is 0.0001" in message and "as estimated" in message
    assert "raise `max_gb_billed` of the source of testshop in config/shops.yaml" in message
    assert not stand_in.calls["ReadRows"] and not stand_in.calls["jobs.getQueryResults"]


def test_what_was_committed_before_the_cap_stays(stand_in: BigQueryStandIn, make: Callable[..., TableRig]) -> None:
    rows = daily(300, MAY - timedelta(days=260), each=20)
    stand_in.put(EVENTS_NAME, Served(events(rows), partitioned_by="at"))
    rig = make(gb=events(rows).nbytes / 2e9)
    report = rig.run("events")
    assert len(report.failed) == 1 and report.slices == 1 and 0 < len(ids(rig)) < 6000
    rig.check("events")
    rig.shop = make(gb=1).shop
    assert report.bytes_billed is not None and report.bytes_billed < events(rows).nbytes / 2


def test_a_query_that_grew_after_its_estimate_is_refused_by_bigquery(
    stand_in: BigQueryStandIn, make: Callable[..., TableRig], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in.denied.add(CREATE_SESSION)
    monkeypatch.setattr(stand_in_module, "LEAST_BILLED", 20 * 2**20)
    message = make(gb=0.011).refusal("users")
    assert "the query would bill more than the 0.011 GB that are left of max_gb_billed" in message
