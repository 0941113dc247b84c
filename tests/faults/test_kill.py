"""An extract killed at every step and at random moments ends, when it is run again, with exactly the source's rows.

`make faults` makes the random part longer: `CARTOGRAPH_KILLS` is how many processes of each kind it kills.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from resources.failpoints import EXTRACT
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.rig import NAME, TABLE, Rig, row, rows

KILLS = int(os.environ.get("CARTOGRAPH_KILLS", "15"))
# A process forked from one that has imported the extract's libraries starts in no time.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("pyarrow.parquet", "pyarrow.csv", "pandas", "psycopg", "pgpq", __name__),
        *("boto3", "google.auth", "google.cloud.bigquery", "google.cloud.bigquery_storage_v1", "grpc"),
    ]
)


def extract(warehouse_home: Path, rig_home: Path, failpoint: str, batch: int) -> None:
    """What the process does that is killed. Small batches, so that it passes each place several times."""
    from assets.extracts import extract as module
    from assets.extracts import formats

    formats._BLOCK_BYTES, module.BATCH_ROWS = batch * 90, batch
    if failpoint:
        os.environ["CARTOGRAPH_FAILPOINT"] = failpoint
    settings = load_settings(_env_file=None, home=warehouse_home, environment="test")
    report = Rig(Warehouse(settings), rig_home).run()
    os._exit(1 if report.failed else 0)


def start(rig: Rig, failpoint: str = "", batch: int = 100) -> ForkServerProcess:
    process = CONTEXT.Process(target=extract, args=(rig.warehouse.settings.home, rig.home, failpoint, batch))
    process.start()
    return process


def finish(process: ForkServerProcess) -> int:
    process.join(60)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


class Scene:
    """A source whose objects are to be taken in, and what the table may hold before, amid and after."""

    def __init__(self, rig: Rig, before: dict[str, list[str]], after: dict[str, list[str]]) -> None:
        self.rig, self.before, self.after = rig, before, before | after
        self.put(before)
        if before:
            assert not rig.run().failed
        self.first_change = rig.query("select coalesce(max(change_id), 0) from ledger.changes")[0][0] if before else 0
        self.put(after)

    def put(self, files: dict[str, list[str]]) -> None:
        for name, lines in files.items():
            self.rig.put(name, lines)

    def check_amid(self) -> None:
        """After a kill, each object is in the table as it was or as it will be, whole."""
        self.wait_for_the_dead()
        if not self.rig.query("select to_regclass(%s)", f"raw_{NAME}.{TABLE}")[0][0]:
            return
        found = self.rig.content()
        for name in {*self.before, *self.after}:
            states = [as_rows(files.get(name, [])) for files in (self.before, self.after)]
            for state in (states[1], states[0]):
                if state <= found:
                    found -= state
                    break
            else:
                raise AssertionError(f"{name} is in the table in part")
        assert not found, "rows that are in no file"
        self.check_ledger()

    def check_end(self) -> None:
        self.wait_for_the_dead()
        assert self.rig.content() == sum(map(as_rows, self.after.values()), Counter())
        self.check_ledger()
        changed = {day for (day,) in self.rig.query(
            "select day from ledger.changes where shop = %s and change_id > %s", NAME, self.first_change
        )}  # fmt: skip
        assert changed == {
            date.fromisoformat(line.split(",")[4][:10])
            for name in self.after
            if self.before.get(name) != self.after[name]
            for line in self.before.get(name, []) + self.after[name]
        }
        everything = self.rig.everything()
        assert self.rig.run().is_unchanged and self.rig.everything() == everything

    def check_ledger(self) -> None:
        active = self.rig.query(
            "select extract_id, rows, lake_name from ledger.extracts where shop = %s and removed_at is null", NAME
        )
        counts = self.rig.query(f"select _extract_id, count(*) from raw_{NAME}.{TABLE} group by 1")
        assert {key: count for key, count, _ in active} == dict(counts)
        assert self.rig.query(f"select count(*) from raw_{NAME}.rejects") == [(0,)]
        for _, count, name in active:
            assert self.rig.lake.open(name).metadata.num_rows == count
        for path in (self.rig.home / "lake").rglob("*.parquet"):
            pq.read_table(path)  # what has its name is whole, whether it counts or not

    def wait_for_the_dead(self) -> None:
        """The server ends the sessions of a killed process when it notices; until then one may still commit."""
        for _ in range(400):
            others = self.rig.query(
                "select count(*) from pg_stat_activity where datname = current_database() and"
                " pid <> pg_backend_pid() and backend_type = 'client backend'"
            )
            if others == [(0,)]:
                return
            time.sleep(0.02)
        raise AssertionError("a session of a killed process lives on")


def as_rows(lines: list[str]) -> Counter[tuple[Any, ...]]:
    """What the raw table should hold of some lines, made without the code under test."""
    found: Counter[tuple[Any, ...]] = Counter()
    for line in lines:
        invoice, code, text, quantity, at, price, customer, country = line.split(",")
        instant = datetime.fromisoformat(at)
        found[invoice, code, text, int(quantity), instant, Decimal(price), customer or None, country] += 1
    return found


def first_load(rig: Rig) -> Scene:
    return Scene(rig, {}, {"a.csv": rows(400), "b.csv": rows(350, 500) + [row(500)] * 3, "c.csv": rows(50, 1000)})


def replacement(rig: Rig) -> Scene:
    old = {"a.csv": rows(400), "b.csv": rows(50, 500)}
    new = [row(number, Quantity="9", InvoiceDate=f"2011-01-{1 + number % 28:02d} 10:00:00") for number in range(380)]
    return Scene(rig, old, {"a.csv": new, "c.csv": rows(350, 1000)})


SCENES = [first_load, replacement]


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("failpoint", EXTRACT)
def test_killed_at_every_step(rig: Rig, failpoint: str, scene: Callable[[Rig], Scene]) -> None:
    """Killed at the first, second and third passage, one run after the other; then run to its end."""
    made = scene(rig)
    killed = 0
    for passage in (1, 2, 3):
        code = finish(start(rig, f"{failpoint}:{passage}"))
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        made.check_amid()
    assert killed, "it never came by"
    assert finish(start(rig)) == 0
    made.check_end()


def test_every_failpoint_is_named() -> None:
    places = Path("assets/extracts/extract.py").read_text() + Path("resources/lake.py").read_text()
    assert all(places.count(f'failpoint("{name}")') == 1 for name in EXTRACT)
    assert places.count('failpoint("') == len(EXTRACT)


@pytest.mark.parametrize("part", range(5))
def test_killed_at_random_moments(rig: Rig, part: int) -> None:
    """Several kills one after the other on one source, of runs of growing length, then a run to the end."""
    dice = random.Random(part)
    left = KILLS // 5
    rounds = 0
    while left > 0:
        rounds += 1
        rig.clear()
        for path in rig.inbox.iterdir():
            path.unlink()
        made = SCENES[(part + rounds) % 2](rig)
        whole = 0.35  # about the length of a run, the start of its process included
        for _ in range(min(left, dice.randrange(2, 7))):
            process = start(rig, batch=dice.choice([20, 100, 1000]))
            time.sleep(dice.uniform(0, whole))
            process.kill()
            if finish(process) == -signal.SIGKILL:
                left -= 1
            if dice.random() < 0.5:  # else the next run meets what the server still holds for the dead one
                made.check_amid()
        assert finish(start(rig)) == 0
        made.check_end()
        assert rounds < 20 * KILLS
