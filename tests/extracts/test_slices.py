"""Tables of a table source, read by slices of a cursor or whole: each row of the source once, nothing written twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from assets.extracts import slices
from assets.extracts.digest import Digests
from assets.extracts.errors import ExtractError
from assets.extracts.ledger import Cursor
from resources.objects import ObjectStore
from resources.tables import FilePart, FolderTables, Span
from resources.warehouse import Warehouse
from tests.rig import NAME, TableRig

COLUMNS = {"id": "bigint", "at": "timestamptz", "note": "text", "price": "numeric(18,4)"}
EVENTS = {"cursor": "at", "restate_days": 5, "columns": COLUMNS}
USERS = {"key": ["id"], "columns": {"id": "bigint", "name": "text", "age": "integer"}}
MAY = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _tells_no_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a database: files would say when they changed."""
    monkeypatch.setattr(FilePart, "changed_at", None)


@pytest.fixture
def make(warehouse: Warehouse, tmp_path: Path) -> Iterator[Callable[..., TableRig]]:
    made: list[TableRig] = []

    def rig(timezone: str = "Europe/London", **tables: dict[str, Any]) -> TableRig:
        made.append(TableRig(warehouse, tmp_path, tables or {"events": EVENTS}, timezone))
        made[-1].clear()
        return made[-1]

    yield rig
    for item in made:
        item.clear()


Row = tuple[int, datetime | None, str | None]


def events(rows: list[Row], **more: Any) -> pa.Table:
    ids, at, notes = ([row[i] for row in rows] for i in range(3))
    columns = {
        "id": pa.array(ids, pa.int64()),
        "at": pa.array(at, pa.timestamp("us", tz="UTC")),
        "note": pa.array(notes, pa.string()),
        "price": pa.array([2.5] * len(rows), pa.float64()),
    }
    return pa.table(columns | more)


def daily(days: int, begin: datetime = MAY, each: int = 3) -> list[Row]:
    """Some rows on each of some days."""
    return [
        (day * 100 + number, begin + timedelta(days=day, minutes=number), f"note {number}")
        for day in range(days)
        for number in range(each)
    ]


def users(rows: list[tuple[int, str | None, int | None]]) -> pa.Table:
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("age", pa.int64())])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def ids(rig: TableRig, table: str = "events") -> list[int]:
    return sorted(key for (key,) in rig.content(table, "id").elements())


def day(number: int) -> str:
    return str((MAY + timedelta(days=number)).date())


# ---- the cut, without a warehouse ------------------------------------------------------------------------------------


def test_slices_are_cut_at_the_shops_midnights_and_leave_no_gap() -> None:
    zone = ZoneInfo("America/New_York")
    high = datetime(2024, 6, 15, 16, tzinfo=UTC)
    found = list(slices.cut(None, high, datetime(2023, 9, 1, 3, tzinfo=UTC), zone))
    assert found[0].low is None and found[-1].high == high
    assert [piece.low for piece in found[1:]] == [piece.high for piece in found[:-1]]
    for piece in found[:-1]:
        assert piece.high.astimezone(zone).time() == slices.clock.min and piece.behind is not None
        assert piece.behind - (piece.first or date(2023, 8, 31)) == timedelta(days=slices.SLICE_DAYS)
    assert found[-1].behind == date(2024, 6, 16)
    # Two of these lie before and after a change of clocks.
    assert {piece.high.hour for piece in found[:-1]} == {4, 5}


@pytest.mark.parametrize(
    ("zone", "skipped", "begins"),
    [
        ("America/Sao_Paulo", date(2018, 11, 4), datetime(2018, 11, 4, 3, tzinfo=UTC)),  # no midnight on this day
        ("America/Havana", date(2023, 11, 5), datetime(2023, 11, 5, 4, tzinfo=UTC)),  # two of them: the first
        ("Europe/London", date(2024, 3, 31), datetime(2024, 3, 31, tzinfo=UTC)),
        ("Europe/London", date(2024, 4, 1), datetime(2024, 3, 31, 23, tzinfo=UTC)),
    ],
)
def test_a_day_begins_with_its_first_instant(zone: str, skipped: date, begins: datetime) -> None:
    begin = slices.midnight(skipped, ZoneInfo(zone))
    assert begin == begins
    assert begin.astimezone(ZoneInfo(zone)).date() == skipped
    assert (begin - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() == skipped - timedelta(days=1)


def test_where_a_run_begins() -> None:
    zone, now = ZoneInfo("UTC"), datetime(2024, 6, 15, 12, tzinfo=UTC)
    read = Cursor(now, None, now, "UTC")
    assert slices.where_to_begin(None, 5, now, zone) == (None, True)
    assert slices.where_to_begin(read, 5, now, zone) == (datetime(2024, 6, 10, tzinfo=UTC), False)
    assert slices.where_to_begin(read, None, now + timedelta(days=90), zone) == (
        datetime(2024, 6, 15, tzinfo=UTC),
        False,
    )
    assert slices.where_to_begin(read, 5, now + timedelta(days=7), zone) == (None, True)
    amid = Cursor(now, datetime(2024, 3, 1, tzinfo=UTC), now - timedelta(days=8), "UTC")
    assert slices.where_to_begin(amid, 5, now, zone) == (datetime(2024, 3, 1, tzinfo=UTC), True)
    at_its_end = Cursor(now, datetime(2024, 6, 14, tzinfo=UTC), now, "UTC")
    assert slices.where_to_begin(at_its_end, 5, now, zone) == (datetime(2024, 6, 10, tzinfo=UTC), True)


def test_a_digest_is_of_a_multiset() -> None:
    schema = pa.schema([("a", pa.string()), ("b", pa.string()), ("n", pa.float64())])

    def digest(rows: list[tuple[Any, ...]], names: tuple[str, ...] = ("a", "b", "n"), step: int = 10) -> str:
        shape = pa.schema(
            [schema.field(name) if name in schema.names else pa.field(name, pa.int64()) for name in names]
        )
        made = Digests(shape, None)
        for begin in range(0, len(rows), step):
            some = [dict(zip(names, row, strict=True)) for row in rows[begin : begin + step]]
            made.add(pa.RecordBatch.from_pylist(some, schema=shape), pa.nulls(len(some), pa.date32()))
        return made.days()[None].digest

    rows = [("x", "y", 1.5), ("x", None, None), ("", "|b:1:y", 2.0), ("x", "y", 1.5)]
    whole = digest(rows)
    assert digest(rows[::-1], step=1) == whole
    assert digest([(*row, None) for row in rows], ("a", "b", "n", "new")) == whole
    assert digest([(*row, 1) for row in rows], ("a", "b", "n", "new")) != whole
    others = [rows[:3], [*rows, rows[1]], [*rows[:3], ("y", "x", 1.5)], [*rows[:3], ("xy", None, 1.5)]]
    others += [[*rows[:3], ("x|b:1:y", None, 1.5)], [*rows[:3], ("x", "y", 1.25)], [*rows[:3], ("x", "", 1.5)]]
    assert len({whole, *map(digest, others)}) == 1 + len(others)


def test_row_groups_outside_a_slice_are_not_read(
    make: Callable[..., TableRig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make()
    rig.put("events", events(daily(30)), group=9)
    read: list[int] = []
    iterate = pa.parquet.ParquetFile.iter_batches

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        read.extend(kwargs["row_groups"])
        return iterate(self, *args, **kwargs)

    monkeypatch.setattr(pa.parquet.ParquetFile, "iter_batches", noted)
    [part] = FolderTables(ObjectStore(str(rig.inbox)), rig.shop).parts("events")
    span = Span(MAY + timedelta(days=4), MAY + timedelta(days=7))
    rows = [(row, int(line)) for batch, lines in part.scan(None, "at", span) for row, line in zip(
        batch.column("id").to_pylist(), lines if lines is not None else [], strict=True
    )]  # fmt: skip
    assert read == [1, 2]
    assert rows == [(at * 100 + number, at * 3 + number + 1) for at in (4, 5, 6) for number in range(3)]
    read.clear()
    assert not list(part.scan(None, "at", Span(high=MAY + timedelta(days=40), is_undated=True))) and not read
    assert part.earliest("at") == MAY


# ---- slices ----------------------------------------------------------------------------------------------------------


def test_a_first_load_and_a_second_run_that_writes_nothing(make: Callable[..., TableRig]) -> None:
    rig = make()
    rows = daily(250, datetime(2023, 10, 1, 12, tzinfo=UTC))
    rig.put("events", events(rows), group=50)
    report = rig.load("events")
    assert report.slices == 4 and len(report.loaded) == 3 and report.days_changed == 250 and report.compared_all
    assert (report.totals["rows"], report.totals["cursor_low"]) == (750, "2023-10-01 12:00:00+00:00")
    assert report.totals["cursor_high"] == "2024-06-06 12:02:00+00:00"
    assert report.read_to == rig.now - slices.LAG
    assert ids(rig) == sorted(row[0] for row in rows)
    assert rig.days("events") == sorted({str(row[1].date()) for row in rows if row[1]})
    versions, everything = rig.versions("events"), rig.everything("events")
    again = rig.load("events")
    assert again.is_unchanged and again.data_version == report.data_version and not again.compared_all
    assert rig.versions("events") == versions and rig.everything("events") == everything
    assert len(list((rig.home / "lake").rglob("*.parquet"))) == 3
    # As much later as it likes: only the cursor moves.
    assert rig.load("events", rig.now + timedelta(days=1)).is_unchanged
    assert rig.versions("events") == versions and rig.everything("events")[:5] == everything[:5]
    assert rig.everything("events")[5] != everything[5]


def test_one_changed_row_has_its_day_replaced_and_no_other(make: Callable[..., TableRig]) -> None:
    rig = make()
    rig.now = MAY + timedelta(days=10)
    rows = daily(10)
    rig.put("events", events(rows))
    version = rig.load("events").data_version
    before, change = rig.versions("events"), rig.last_change()
    changed = [(row[0], row[1], "changed" if row[0] == 701 else row[2]) for row in rows]
    rig.put("events", events(changed))
    report = rig.load("events")
    assert (report.days_changed, report.loaded[0].rows, report.loaded[0].removed) == (1, 3, 3)
    assert rig.days("events", change) == [day(7)] and len(before & rig.versions("events")) == 27
    assert rig.content("events", "id, note")[701, "changed"] == 1
    assert report.data_version != version and report.totals["rows"] == 30
    rig.put("events", events(rows))
    assert rig.load("events").data_version == version


def test_a_change_before_the_days_that_are_restated_is_found_by_the_weekly_comparison(
    make: Callable[..., TableRig],
) -> None:
    rig = make()
    rig.now = MAY + timedelta(days=10)
    rig.put("events", events(daily(10)))
    rig.load("events")
    change = rig.last_change()
    rig.put("events", events([row for row in daily(10) if row[0] != 200] + [(999, MAY + timedelta(days=1), "late")]))
    for later in (0, 3, 6):
        assert rig.load("events", rig.now + timedelta(days=later)).is_unchanged
    report = rig.load("events", rig.now + timedelta(days=7))
    assert report.compared_all and rig.days("events", change) == [day(1), day(2)]
    assert 999 in ids(rig) and 200 not in ids(rig)
    assert not rig.load("events", rig.now + timedelta(days=7, hours=1)).compared_all
    assert rig.load("events", rig.now + timedelta(days=14)).compared_all


def test_a_file_that_changed_is_read_from_its_first_day_on(
    make: Callable[..., TableRig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make()
    rig.now = MAY + timedelta(days=10)
    rig.put("events", events(daily(10)))
    rig.load("events")
    change = rig.last_change()
    rig.put("events", events([row for row in daily(10) if row[0] != 200] + [(999, MAY + timedelta(days=1), "late")]))
    monkeypatch.setattr(FilePart, "changed_at", rig.now - timedelta(hours=1))
    assert rig.load("events", rig.now + timedelta(hours=1)).is_unchanged, "it changed before the table was last read"
    monkeypatch.setattr(FilePart, "changed_at", rig.now + timedelta(hours=2))
    report = rig.load("events", rig.now + timedelta(hours=3))
    assert not report.compared_all and rig.days("events", change) == [day(1), day(2)]
    assert 999 in ids(rig) and 200 not in ids(rig)
    assert rig.load("events", rig.now + timedelta(hours=4)).is_unchanged


def test_days_that_were_cut_by_another_clock_are_not_mixed(make: Callable[..., TableRig]) -> None:
    rig = make()
    rig.now = MAY + timedelta(days=10)
    rig.put("events", events(daily(10)))
    rig.load("events")
    rig.shop = rig.shop.model_copy(update={"timezone": "America/New_York"})
    report = rig.run("events", rig.now)
    [refused] = report.failed
    assert "its days were cut by the clock of Europe/London, and config/shops.yaml says America/New_York" in str(
        refused
    )
    assert f"cartograph forget {NAME} events" in str(refused)
    assert report.totals["rows"] == 30


def test_a_table_that_does_not_change_is_never_read_again(make: Callable[..., TableRig]) -> None:
    rig = make(events=EVENTS | {"restate_days": None})
    rig.now = MAY + timedelta(days=10)
    rig.put("events", events(daily(10)))
    rig.load("events")
    rig.put("events", events([row for row in daily(12) if row[0] != 200]))
    report = rig.load("events", rig.now + timedelta(days=30))
    assert not report.compared_all and report.days_changed == 2 and 200 in ids(rig)


def test_late_and_deleted_rows_and_days_that_lose_all(make: Callable[..., TableRig]) -> None:
    rig = make()
    rig.now = MAY + timedelta(days=10)
    rig.put("events", events(daily(10)))
    rig.load("events")
    change = rig.last_change()
    kept = [row for row in daily(10) if row[0] // 100 != 8 and row[0] != 901]
    rig.put("events", events([*kept, (777, MAY + timedelta(days=7), "late")]))
    report = rig.load("events")
    assert rig.days("events", change) == [day(7), day(8), day(9)]
    assert ids(rig) == sorted([*(row[0] for row in kept), 777]) and report.totals["rows"] == 27
    # A slice that only deletes leaves its extract closed, and the cursor's edge follows the rows.
    rig.put("events", events([row for row in kept if row[0] // 100 < 7] + [(777, MAY + timedelta(days=7), "late")]))
    report = rig.load("events")
    assert report.totals["cursor_high"] == str(MAY + timedelta(days=7)) and max(ids(rig)) == 777


def test_what_is_not_due_is_read_when_it_is(make: Callable[..., TableRig]) -> None:
    """High is the snapshot less a lag, never the largest cursor."""
    rig = make()
    rig.now = datetime(2024, 5, 10, 12, tzinfo=UTC)
    minutes = (-11, -10, -9, 5, 600)
    rig.put("events", events([(at, rig.now + timedelta(minutes=at), "") for at in minutes]))
    report = rig.load("events")
    assert ids(rig) == [-11] and report.later == 4
    report = rig.load("events", rig.now + timedelta(minutes=2))
    assert ids(rig) == [-11, -10, -9] and report.later == 2 and report.loaded[0].removed == 1
    rig.load("events", rig.now + timedelta(days=1))
    assert ids(rig) == sorted(minutes) and not rig.rejects("events")
    # A clock that goes back does not take away what was read.
    assert rig.load("events", rig.now).is_unchanged and ids(rig) == sorted(minutes)


def test_growth_by_month_files_that_are_rewritten(make: Callable[..., TableRig]) -> None:
    rig = make()
    for upto in (5, 20, 28, 33, 45):
        rig.now = MAY + timedelta(days=upto)
        by_month: dict[str, list[Row]] = {}
        for row in daily(upto):
            assert row[1] is not None
            by_month.setdefault(f"{row[1]:%Y-%m}.parquet", []).append(row)
        for name, rows in by_month.items():
            rig.put("events", events(rows), name, group=20)
        change = rig.last_change()
        report = rig.load("events")
        assert ids(rig) == sorted(row[0] for row in daily(upto)) and report.objects == len(by_month)
        assert set(rig.days("events", change)) <= {day(at) for at in range(upto - 20, upto)}


def test_duplicates_count(make: Callable[..., TableRig]) -> None:
    rig = make()
    rig.now = MAY + timedelta(days=3)
    rig.put("events", events([*daily(3), *daily(1), *daily(1)]))
    rig.load("events")
    assert Counter(ids(rig))[1] == 3
    rig.put("events", events([*daily(3), *daily(1)]))
    assert rig.load("events").days_changed == 1 and Counter(ids(rig))[1] == 2
    # The same rows in another order, in other files.
    rig.put("events", events(daily(3)[::-1]))
    rig.put("events", events(daily(1)[::-1]), "more.parquet")
    assert rig.load("events").is_unchanged


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Pacific/Auckland"])
def test_a_day_is_the_shops(make: Callable[..., TableRig], zone: str) -> None:
    """Rows at, just before and just after midnight, on the days on which clocks change."""
    rig = make(zone)
    rig.now = datetime(2024, 12, 1, tzinfo=UTC)
    rows: list[Row] = []
    for month in range(1, 12):
        for at in range(1, 29):
            begin = slices.midnight(date(2024, month, at), ZoneInfo(zone))
            rows += [(len(rows) + n, begin + timedelta(microseconds=n - 1), "") for n in range(3)]
    rig.put("events", events(rows), group=100)
    report = rig.load("events")
    assert report.slices > 4 and ids(rig) == [row[0] for row in rows]
    wanted = Counter(str(row[1].astimezone(ZoneInfo(zone)).date()) for row in rows if row[1])
    held = dict(rig.query("select day::text, rows from ledger.days where shop = %s", NAME))
    assert held == wanted and rig.days("events") == sorted(wanted)
    assert (
        dict(rig.query(f"select (at at time zone '{zone}')::date::text, count(*) from raw_{NAME}.events group by 1"))
        == held
    )
    assert rig.load("events").is_unchanged
    assert rig.load("events", rig.now + timedelta(days=8)).is_unchanged


@pytest.mark.parametrize(("kind", "arrow"), [("timestamp", pa.timestamp("us")), ("date", pa.date32())])
def test_cursors_without_a_zone_are_the_shops_clock(
    make: Callable[..., TableRig], kind: str, arrow: pa.DataType
) -> None:
    rig = make("America/New_York", events=EVENTS | {"columns": COLUMNS | {"at": kind}})
    rig.now = datetime(2024, 5, 11, 2, tzinfo=UTC)  # the evening of the 10th in New York
    hours = [datetime(2024, 5, 8) + timedelta(hours=at) for at in (0, 23, 24, 47, 48, 69, 70, 72)]
    values = pa.array(hours, pa.timestamp("us")).cast(arrow, safe=False)
    rig.put("events", events([(at, None, "") for at in range(8)]).set_column(1, "at", values))
    rig.load("events")
    assert ids(rig) == (list(range(7)) if kind == "date" else list(range(6)))
    rig.load("events", rig.now + timedelta(days=1))
    assert ids(rig) == list(range(8)) and rig.days("events") == ["2024-05-08", "2024-05-09", "2024-05-10", "2024-05-11"]


def test_rows_without_a_cursor_are_kept(make: Callable[..., TableRig]) -> None:
    rig = make()
    rig.now = MAY + timedelta(days=10)
    rows = [*daily(10), (5000, None, "x"), (5001, None, None)]
    rig.put("events", events(rows))
    rig.load("events")
    assert ids(rig) == sorted(row[0] for row in rows) and None in rig.days("events")
    assert rig.load("events").is_unchanged
    change = rig.last_change()
    rig.put("events", events([*rows[:-1], (5002, None, "y")]))
    assert rig.load("events").days_changed == 1
    assert rig.days("events", change) == [None] and ids(rig)[-2:] == [5000, 5002]
    rig.put("events", events(daily(10)))
    rig.load("events")
    assert max(ids(rig)) == 902


def test_rejects_are_of_their_day_and_replaced_with_it(make: Callable[..., TableRig]) -> None:
    rig = make(events=EVENTS | {"columns": COLUMNS | {"id": {"data_type": "bigint", "not_null": True}}})
    rig.now = MAY + timedelta(days=10)
    table = events([*daily(10), (0, MAY + timedelta(days=9), "no id"), (0, datetime(1970, 1, 1, tzinfo=UTC), "old")])
    holes = table.set_column(0, "id", pa.array([*(row[0] for row in daily(10)), None, 7000], pa.int64()))
    rig.put("events", holes)
    report = rig.load("events")
    found = rig.rejects("events")
    assert [(at, column, line) for at, column, _, _, line in found] == [
        (date.fromisoformat(day(9)), "id", 31),
        (None, "at", 32),
    ]
    assert report.totals["rejected"] == 2
    assert rig.load("events").is_unchanged and rig.rejects("events") == found
    far = datetime.now(UTC) + timedelta(days=400)
    rig.put("events", events([*daily(10), (1, far, "from the future")]))
    assert rig.load("events", rig.now).totals["rejected"] == 1
    assert [(at, column, reason) for at, column, reason, *_ in rig.rejects("events")] == [(None, "at", "in the future")]


def test_csv_in_a_tables_folder(make: Callable[..., TableRig]) -> None:
    """Read as objects are: headers matched, values converted, broken rows set aside; beside Parquet."""
    rig = make()
    rig.now = MAY + timedelta(days=200)
    rig.put("events", events(daily(150)))
    lines = ["ID,At,Note,Price", *(f"{9000 + at},2024-06-{at + 1:02d} 10:00:00 UTC,n,1.5" for at in range(20))]
    rig.put("events", "\n".join([*lines, "1,2", "x,2024-06-03 10:00:00 UTC,n,1"]).encode(), "more.csv")
    report = rig.load("events")
    assert report.totals["rows"] == 470 and report.slices == 2
    assert [(at, reason) for at, _, reason, *_ in rig.rejects("events")] == [
        (date(2024, 6, 3), "not a whole number"),
        (None, "2 columns where the header has 4"),
    ]
    assert rig.load("events").is_unchanged
    assert rig.load("events", rig.now + timedelta(days=7)).is_unchanged


def test_a_new_column_is_added_and_days_without_it_stay(make: Callable[..., TableRig]) -> None:
    rig = make()
    rig.now = MAY + timedelta(days=10)
    rig.put("events", events(daily(10)))
    rig.load("events")
    grown = events(daily(10), Coupon=pa.array([None] * 29 + ["SPRING"], pa.string()))
    rig.put("events", grown)
    report = rig.load("events")
    assert report.loaded[0].new_columns == ["coupon"] and report.days_changed == 1
    assert any("new columns coupon" in line for line in rig.said)
    assert rig.content("events", "coupon") == {("SPRING",): 1, (None,): 29}
    assert rig.load("events").is_unchanged


@pytest.mark.parametrize("table", ["events", "users"])
def test_what_cannot_be_read_stops_the_table_and_takes_nothing_away(make: Callable[..., TableRig], table: str) -> None:
    rig = make(events=EVENTS, users=USERS)
    rig.now = MAY + timedelta(days=10)
    rig.put("events", events(daily(10)))
    rig.put("users", users([(1, "a", 1), (2, "b", 2)]))
    rig.load(table)
    good = {"events": events(daily(1)), "users": users([(9, "z", 1)])}[table]
    path = rig.put(table, good, "z.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    assert "z.parquet: the Parquet file is cut short or damaged" in rig.refusal(table)
    text = good.set_column(0, "id", pa.array([[1]] * len(good)))
    rig.put(table, text, "z.parquet")
    message = rig.refusal(table)
    assert "column id" in message and "the column changed its type" in message
    rig.put(table, good.drop_columns(["id"]), "z.parquet")
    assert "required column is missing: id" in rig.refusal(table)
    path.unlink()
    assert rig.load(table).is_unchanged
    # A folder that is gone is no table without rows.
    (rig.inbox / table).rename(rig.inbox / "elsewhere")
    report = rig.load(table)
    assert report.is_unchanged and report.objects == 0 and report.totals["rows"] and "not there" in rig.said[0]


def test_a_slice_that_is_refused_leaves_those_before_it(make: Callable[..., TableRig]) -> None:
    rig = make()
    rows = daily(150, datetime(2024, 1, 1, 12, tzinfo=UTC))
    table = events(rows)
    bad = [value if at < 300 else "much" for at, value in enumerate(["1.5"] * 450)]
    rig.put("events", table.set_column(3, "price", pa.array(bad)))
    report = rig.run("events")
    assert len(report.failed) == 1 and "cannot be read, more than the 10%" in str(report.failed[0])
    assert len(report.loaded) == 1 and ids(rig) == sorted(row[0] for row in rows[:270])
    rig.put("events", table)
    report = rig.load("events")
    # It goes on where it stopped, less the days that are restated.
    assert report.slices == 2 and ids(rig) == sorted(row[0] for row in rows)


def test_a_table_that_was_loaded_in_another_way_is_refused(make: Callable[..., TableRig]) -> None:
    rig = make(events=EVENTS)
    rig.put("events", events(daily(10)))
    rig.load("events")
    whole = {"key": ["id"], "columns": COLUMNS}
    objects = {"objects": ["*"], "columns": COLUMNS}
    for tables, kind in ((whole, "bigquery"), (objects, "objects")):
        rig.declare({"events": tables}, kind=kind)
        with pytest.raises(ExtractError, match=f"loaded in another way .*cartograph forget {NAME} events"):
            rig.run("events")
    rig.clear()
    assert rig.load("events").totals["rows"] == 30
    rig.declare({"events": EVENTS})
    with pytest.raises(ExtractError, match="loaded in another way"):
        rig.run("events")


# ---- whole tables ----------------------------------------------------------------------------------------------------


def test_a_whole_table_takes_only_the_differences(make: Callable[..., TableRig]) -> None:
    rig = make(users=USERS)
    rig.put("users", users([(1, "a", 1), (2, "b", 2), (3, None, 3), (4, "d", None)]))
    report = rig.load("users")
    version, versions = report.data_version, rig.versions("users")
    assert report.totals["rows"] == 4 and rig.days("users") == [None] and not report.slices
    everything = rig.everything("users")
    rig.put("users", users([(4, "d", None), (3, None, 3), (2, "b", 2), (1, "a", 1)]))
    again = rig.load("users")
    assert again.is_unchanged and rig.everything("users") == everything and again.data_version == version
    rig.put("users", users([(1, "a", 1), (2, "B", 2), (3, "c", 3), (5, "e", 5)]))
    report = rig.load("users")
    assert (report.loaded[0].rows, report.loaded[0].removed, report.totals["rows"]) == (3, 3, 4)
    assert rig.content("users") == {(1, "a", 1): 1, (2, "B", 2): 1, (3, "c", 3): 1, (5, "e", 5): 1}
    assert len(versions & rig.versions("users")) == 1 and report.data_version != version
    rig.put("users", users([]))
    assert rig.load("users").totals["rows"] == 0 and not rig.content("users")


def test_a_key_that_stands_twice_is_refused(make: Callable[..., TableRig]) -> None:
    rig = make(users=USERS)
    rig.put("users", users([(1, "a", 1)]))
    rig.load("users")
    rig.put("users", users([(1, "a", 1), (7, "b", 2), (7, "c", 3)]))
    message = rig.refusal("users")
    assert f"{NAME}.users" in message and "several rows have one key (id): id 7: 2 rows" in message
    rig.put("users", users([(1, "a", 1)]).set_column(0, "id", pa.array([None], pa.int64())))
    assert "1 rows have no value in their key (id)" in rig.refusal("users")


def test_a_whole_table_of_csv_with_a_new_column(make: Callable[..., TableRig]) -> None:
    rig = make(users=USERS | {"columns": USERS["columns"] | {"age": {"data_type": "integer", "optional": True}}})
    rig.put("users", b"id,name\n1,a\n2,b\n", "users.csv")
    rig.load("users")
    rig.put("users", b"id,name,city\n1,a,\n2,b,Leeds\n3,c\n", "users.csv")
    rig.declare({"users": rig.tables["users"] | {"max_rejected_share": 0.5}})
    report = rig.load("users")
    assert report.loaded[0].rows == 1 and rig.content("users", "id, city") == {(1, None): 1, (2, "Leeds"): 1}
    assert [(line, reason) for *_, reason, _, line in rig.rejects("users")] == [
        (4, "2 columns where the header has 3, perhaps the file is cut short here")
    ]
    assert rig.load("users").is_unchanged
