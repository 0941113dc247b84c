"""An extract from a table source killed at every step ends, when it is run again, with exactly the source's rows."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.extracts import slices, whole
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.faults.test_kill import CONTEXT, KILLS, finish
from tests.rig import NAME, TableRig

COLUMNS = {"id": "bigint", "at": "timestamptz", "note": "text"}
TABLES: dict[str, dict[str, Any]] = {
    "events": {
        "cursor": "at",
        "restate_days": 30,
        "columns": COLUMNS,
        "meta": {"days_of": [{"table": "events", "by": {"note": "note"}}]},
    },
    "users": {"key": ["id"], "columns": COLUMNS, "meta": {"days_of": [{"table": "events", "by": {"id": "id"}}]}},
}
SHARED = ("extract.lake_written", "extract.copying")
"""The failpoints of the lake and of the COPY."""
BEGIN = datetime(2024, 1, 1, 12, tzinfo=UTC)
NOW = BEGIN + timedelta(days=230)
Row = tuple[int, datetime, str]


def run(warehouse_home: Path, home: Path, table: str, now: datetime, failpoint: str) -> None:
    """What the process does that is killed."""
    if failpoint:
        os.environ["CARTOGRAPH_FAILPOINT"] = failpoint
    settings = load_settings(_env_file=None, home=warehouse_home, environment="test")
    report = TableRig(Warehouse(settings), home, TABLES).run(table, now)
    os._exit(1 if report.failed else 0)


def start(rig: TableRig, table: str, now: datetime, failpoint: str = "") -> ForkServerProcess:
    process = CONTEXT.Process(target=run, args=(rig.warehouse.settings.home, rig.home, table, now, failpoint))
    process.start()
    return process


def rows(changed: bool) -> list[Row]:
    """Rows of 225 days; where changed, some of each slice are other ones, new, or gone."""
    made = [(at, BEGIN + timedelta(days=at), f"note {at}") for at in range(225)]
    if not changed:
        return made
    kept = [(at, when, "changed" if at % 50 == 7 else note) for at, when, note in made if at % 60 != 11]
    return [*kept, *((1000 + at, BEGIN + timedelta(days=at, hours=1), "late") for at in (3, 100, 224))]


def put(rig: TableRig, table: str, made: list[Row]) -> None:
    schema = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", tz="UTC")), ("note", pa.string())])
    items = [dict(zip(schema.names, row, strict=True)) for row in made]
    rig.put(table, pa.Table.from_pylist(items, schema=schema), group=40)


def wait_for_the_dead(rig: TableRig) -> None:
    """The server ends the sessions of a killed process when it notices; until then one may still commit."""
    for _ in range(400):
        if rig.query(
            "select count(*) from pg_stat_activity where datname = current_database() and"
            " pid <> pg_backend_pid() and backend_type = 'client backend'"
        ) == [(0,)]:
            return
        time.sleep(0.02)
    raise AssertionError("a session of a killed process lives on")


@pytest.fixture
def rig(warehouse: Warehouse, tmp_path: Path) -> Iterator[TableRig]:
    made = TableRig(warehouse, tmp_path, TABLES)
    made.clear()
    yield made
    made.clear()


def check_amid(rig: TableRig, table: str, before: list[Row], after: list[Row]) -> None:
    """Each day is in the table as it was or as it will be, whole, and the ledger says which."""
    wait_for_the_dead(rig)
    if not rig.query("select to_regclass(%s)", f"raw_{NAME}.{table}")[0][0]:
        return
    rig.check(table)
    for path in (rig.home / "lake").rglob("*.parquet"):
        pq.read_table(path)  # what has its name is whole, whether it counts or not
    found: dict[Any, Counter[Row]] = {}
    for row, count in rig.content(table).items():
        found.setdefault(row[1].date() if table == "events" else None, Counter())[row] = count
    for day in {*found, *(row[1].date() for row in (*before, *after) if table == "events")}:
        states = [Counter(row for row in made if table != "events" or row[1].date() == day) for made in (before, after)]
        assert found.get(day, Counter()) in states, day


def check_end(rig: TableRig, table: str, before: list[Row], after: list[Row], change: int) -> None:
    wait_for_the_dead(rig)
    rig.check(table)
    assert rig.content(table) == Counter(after)
    differ = {row for row in {*before, *after} if (row in before) != (row in after)}
    if table == "events":
        days = {str(row[1].date()) for row in differ}
        # And the days of the rows that have the same note as one that changed.
        notes = {row[2] for row in differ}
        days |= {str(row[1].date()) for row in (*before, *after) if row[2] in notes}
        assert set(rig.days(table, change)) == days
    else:
        assert rig.days(table, change) == ["-infinity"]
    everything = rig.everything(table)
    assert rig.load(table, NOW + timedelta(days=8)).is_unchanged
    assert rig.everything(table)[:5] == everything[:5]


@pytest.mark.parametrize("scene", ["first load", "comparison"])
@pytest.mark.parametrize(
    ("table", "failpoint"),
    [
        *(("events", name) for name in (*slices.FAILPOINTS, *SHARED)),
        *(("users", name) for name in (*whole.FAILPOINTS, *SHARED)),
    ],
)
def test_killed_at_every_step(rig: TableRig, table: str, failpoint: str, scene: str) -> None:
    """Killed at the first, second and third passage, one run after the other; then run to its end."""
    before: list[Row] = []
    now = NOW
    if scene == "comparison":
        before, now = rows(False), NOW + timedelta(days=7)
        put(rig, table, before)
        rig.load(table, NOW)
    change, after = rig.last_change() if before else 0, rows(bool(before))
    put(rig, table, after)
    killed = 0
    for passage in (1, 2, 3) if table == "events" else (1,):
        code = finish(start(rig, table, now, f"{failpoint}:{passage}"))
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        check_amid(rig, table, before, after)
    assert killed, "it never came by"
    assert finish(start(rig, table, now)) == 0
    check_end(rig, table, before, after, change)


@pytest.mark.parametrize("table", ["events", "users"])
def test_killed_at_random_moments(rig: TableRig, table: str) -> None:
    """Kill after kill, while the source changes between them, then a run to the end: round after round."""
    dice = random.Random(table)
    left, rounds = KILLS, 0
    held: list[Row] = []
    while left > 0:
        rounds += 1
        begin = rows(False)
        wanted = begin if rounds % 2 else rows(True)
        change, before, now = rig.last_change(), held, NOW + timedelta(days=14 * rounds)
        # What comes last is what must be there: until then the source may be anything.
        for at in range(min(left, dice.randrange(2, 6))):
            put(rig, table, dice.sample(begin, 200) if at == 0 and dice.random() < 0.5 else wanted)
            process = start(rig, table, now)
            time.sleep(dice.uniform(0, 0.4))
            process.kill()
            left -= finish(process) == -signal.SIGKILL
        put(rig, table, wanted)
        # A comparison that was broken off goes on where it stood; what changed behind it since is seen by the next.
        for later in (timedelta(hours=1), timedelta(days=8)):
            assert finish(start(rig, table, now + later)) == 0
        wait_for_the_dead(rig)
        rig.check(table)
        assert rig.content(table) == Counter(wanted)
        if table == "events":
            differ = {str(row[1].date()) for row in {*before, *wanted} if (row in before) != (row in wanted)}
            assert differ <= set(rig.days(table, change)), "a changed day is not in the ledger"
        held = wanted
        assert rounds < 10 * KILLS


@pytest.mark.parametrize(("module", "names"), [("slices", slices.FAILPOINTS), ("whole", whole.FAILPOINTS)])
def test_every_failpoint_is_named(module: str, names: tuple[str, ...]) -> None:
    code = Path(f"assets/extracts/{module}.py").read_text()
    assert all(code.count(f'failpoint("{name}")') == 1 for name in names)
    assert code.count('failpoint("') == len(names)
