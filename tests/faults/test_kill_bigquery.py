"""An extract from BigQuery killed at every step and at random moments ends with exactly the source's rows."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pyarrow as pa
import pytest

from assets.extracts import slices, whole
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.faults.test_kill import CONTEXT, KILLS, finish
from tests.faults.test_kill_tables import NOW, SHARED, TABLES, Row, check_amid, check_end, rows, wait_for_the_dead
from tests.rig import DATASET, TableRig
from tests.standins.bigquery import BigQueryStandIn, Fault, Served

SCHEMA = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", tz="UTC")), ("note", pa.string())])


class FarRig(TableRig):
    """A rig whose tables are in a stand-in for BigQuery, which lives in the test's process."""

    def __init__(self, warehouse: Warehouse, home: Path, far: dict[str, str]) -> None:
        self.far = far
        settings = load_settings(_env_file=None, home=home, environment="test", bigquery="google", **far)
        super().__init__(warehouse, home, TABLES, settings=settings)


def run(warehouse_home: Path, home: Path, far: dict[str, str], table: str, failpoint: str) -> None:
    """What the process does that is killed."""
    if failpoint:
        os.environ["CARTOGRAPH_FAILPOINT"] = failpoint
    settings = load_settings(_env_file=None, home=warehouse_home, environment="test")
    report = FarRig(Warehouse(settings), home, far).run(table)
    os._exit(1 if report.failed else 0)


def start(rig: FarRig, table: str, failpoint: str = "") -> ForkServerProcess:
    arguments = (rig.warehouse.settings.home, rig.home, rig.far, table, failpoint)
    process = CONTEXT.Process(target=run, args=arguments)
    process.start()
    return process


@pytest.fixture
def stand_in() -> Iterator[BigQueryStandIn]:
    with BigQueryStandIn({}, clock=NOW) as made:
        yield made


@pytest.fixture
def rig(stand_in: BigQueryStandIn, warehouse: Warehouse, tmp_path: Path) -> Iterator[FarRig]:
    variables = stand_in.environment()
    names = ("bigquery_project", "bigquery_endpoint", "bigquery_storage_endpoint")
    made = FarRig(warehouse, tmp_path, {name: variables[name.upper()] for name in names})
    made.clear()
    yield made
    made.clear()


def put(stand_in: BigQueryStandIn, table: str, made: list[Row], since: datetime) -> None:
    """What a table holds from an instant on; what it held before can still be asked for."""
    name = f"{DATASET}.{table}"
    data = pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in made], schema=SCHEMA)
    before = stand_in.tables[name].data if name in stand_in.tables else []
    assert isinstance(before, list)
    stand_in.put(name, Served([*before, (since, data)], partitioned_by="at" if table == "events" else None))


@pytest.mark.parametrize("scene", ["first load", "comparison"])
@pytest.mark.parametrize(
    ("table", "failpoints"), [("events", (*slices.FAILPOINTS, *SHARED)), ("users", (*whole.FAILPOINTS, *SHARED))]
)
def test_killed_at_every_step(
    rig: FarRig, stand_in: BigQueryStandIn, table: str, failpoints: tuple[str, ...], scene: str
) -> None:
    """Killed at one step after the other, each time in a run of its own; then run to its end."""
    before: list[Row] = []
    if scene == "comparison":
        before = rows(False)
        put(stand_in, table, before, NOW)
        rig.load(table)
        stand_in.clock = NOW + timedelta(days=7)
    change, after = rig.last_change() if before else 0, rows(bool(before))
    put(stand_in, table, after, stand_in.now())
    # What ends with a commit comes last: of a table that is read whole nothing is left to do after it.
    for failpoint in sorted(failpoints, key=lambda name: name.endswith(".committed")):
        assert finish(start(rig, table, failpoint)) == -signal.SIGKILL, f"it never came by {failpoint}"
        check_amid(rig, table, before, after)
    assert finish(start(rig, table)) == 0
    stand_in.clock = NOW + timedelta(days=8)
    check_end(rig, table, before, after, change)


@pytest.mark.parametrize("table", ["events", "users"])
def test_killed_at_random_moments(rig: FarRig, stand_in: BigQueryStandIn, table: str) -> None:
    """Kill after kill, while the source changes and its streams break; then a run to the end, round after round."""
    dice = random.Random(table)
    left, rounds, clock = KILLS, 0, NOW
    first, second = rows(False), rows(True)
    while left > 0:
        rounds += 1
        assert rounds < 10 * KILLS
        wanted = first if rounds % 2 else second
        for _ in range(min(left, dice.randrange(2, 6))):
            clock += timedelta(minutes=1)
            put(stand_in, table, dice.choice([first, second, dice.sample(first, 200)]), clock)
            stand_in.clock = clock
            if dice.random() < 0.3:
                stand_in.faults.append(Fault("ReadRows", "FAILED_PRECONDITION", "session expired"))
            process = start(rig, table)
            moment = dice.uniform(0, 0.6)
            time.sleep(moment / 2)
            clock += timedelta(minutes=1)
            put(stand_in, table, wanted, clock)
            time.sleep(moment / 2)
            process.kill()
            left -= finish(process) == -signal.SIGKILL
        stand_in.faults.clear()
        # The first of these ends a comparison that was under way; a week later all is compared.
        for _ in range(2):
            clock += timedelta(days=7)
            stand_in.clock = clock
            assert finish(start(rig, table)) == 0
        wait_for_the_dead(rig)
        rig.check(table)
        assert rig.content(table) == Counter(wanted)
