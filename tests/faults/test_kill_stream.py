"""An extract from a stream killed at every step and at random moments, while records come and shards split: each once.

`make faults` makes the random part longer.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from assets.extracts import stream
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.far.stream_rig import STREAM, TABLE, StreamRig, data, with_credentials
from tests.faults.test_kill import CONTEXT, KILLS, finish
from tests.rig import NAME
from tests.standins.kinesis import Kinesis, kinesis

SHARED = ("extract.lake_written", "extract.copying")
"""The failpoints of the lake and of the COPY."""


def run(warehouse_home: Path, home: Path, endpoint: str, failpoint: str, batch: int, linger: float) -> None:
    """What the process does that is killed. Small batches, so that it passes each place several times."""
    if failpoint:
        os.environ["CARTOGRAPH_FAILPOINT"] = failpoint
    # The server of processes was started by whichever test came first.
    os.environ |= {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret"}
    stream.BATCH_RECORDS, stream.BREATH, stream.PAUSE = batch, 0.01, 0.05
    settings = load_settings(_env_file=None, home=warehouse_home, environment="test")
    rig = StreamRig(Warehouse(settings), home, streams="kinesis", aws_endpoint=endpoint, aws_region="eu-west-1")
    rig.run(linger=linger)
    os._exit(0)


class Scene:
    """A stream that grows and splits while it is read."""

    def __init__(self, rig: StreamRig, aws: Kinesis, dice: random.Random) -> None:
        self.rig, self.aws, self.dice = rig, aws, dice
        self.count = 0

    def put(self, count: int) -> None:
        for _ in range(count):
            # Every ninth cannot be read.
            self.aws.put(data(self.count, Quantity=None if self.count % 9 == 0 else 1), str(self.count))
            self.count += 1

    def reshard(self) -> None:
        if len(self.aws.open()) < 3 or self.dice.random() < 0.5:
            self.aws.split(self.dice.choice(self.aws.open()).id)
        else:
            self.aws.merge()

    def start(self, failpoint: str = "", batch: int = 12, linger: float = 0.0) -> ForkServerProcess:
        home = self.rig.warehouse.settings.home
        process = CONTEXT.Process(target=run, args=(home, self.rig.home, self.aws.endpoint, failpoint, batch, linger))
        process.start()
        return process

    def wait_for_the_dead(self) -> None:
        """The server ends the sessions of a killed process when it notices; until then one may still commit."""
        for _ in range(400):
            if self.rig.query(
                "select count(*) from pg_stat_activity where datname = current_database() and"
                " pid <> pg_backend_pid() and backend_type = 'client backend'"
            ) == [(0,)]:
                return
            time.sleep(0.02)
        raise AssertionError("a session of a killed process lives on")

    def check_amid(self) -> None:
        """No record is there twice, and what is there is what the ledger says."""
        self.wait_for_the_dead()
        if not self.rig.query("select to_regclass(%s)", f"raw_{NAME}.{TABLE}")[0][0]:
            return
        self.rig.check()
        ids = self.taken()
        assert len(ids) == len(set(ids)) and set(ids) <= set(range(self.count))
        for path in (self.rig.home / "lake").rglob("*.parquet"):
            pq.read_table(path)  # what has its name is whole, whether it counts or not

    def check_end(self) -> None:
        self.check_amid()
        assert self.taken() == list(range(self.count))
        before = self.rig.everything()
        assert self.rig.run().is_unchanged and self.rig.everything() == before
        held = self.rig.query(f"select distinct invoice_date::date from raw_{NAME}.{TABLE}")
        assert self.rig.days() == {day for (day,) in held}

    def taken(self) -> list[int]:
        """The numbers of the records that the table and its rejects hold."""
        bad = self.rig.query(f"select (raw::jsonb)->>'record_id' from raw_{NAME}.rejects")
        return sorted([*self.rig.ids(), *(int(name.removeprefix("test-")) for (name,) in bad)])


@pytest.fixture
def aws() -> Iterator[Kinesis]:
    with kinesis(STREAM, shards=2) as made:
        made.read_limit = 9
        yield made


@pytest.fixture
def rig(aws: Kinesis, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamRig]:
    with_credentials(monkeypatch, tmp_path)
    made = StreamRig(warehouse, tmp_path, streams="kinesis", aws_endpoint=aws.endpoint, aws_region="eu-west-1")
    made.clear()
    yield made
    made.clear()


@pytest.mark.parametrize("failpoint", [*stream.FAILPOINTS, *SHARED])
def test_killed_at_every_step(rig: StreamRig, aws: Kinesis, failpoint: str) -> None:
    """Killed at the first and third passage, one run after the other; then run to its end."""
    scene = Scene(rig, aws, random.Random(1))
    killed = 0
    for passage in (1, 3):
        scene.put(30)
        scene.reshard()
        scene.put(30)
        code = finish(scene.start(f"{failpoint}:{passage}"))
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        scene.check_amid()
    assert killed == 2, "it did not come by each time"
    assert finish(scene.start()) == 0
    scene.check_end()


def test_every_failpoint_is_named() -> None:
    code = Path(stream.__file__).read_text()
    assert all(code.count(f'failpoint("{name}")') == 1 for name in stream.FAILPOINTS)
    assert code.count('failpoint("') == len(stream.FAILPOINTS)


@pytest.mark.parametrize("part", range(5))
def test_killed_at_random_moments(rig: StreamRig, aws: Kinesis, part: int) -> None:
    """Kills one after the other of runs that linger, while a producer puts and the stream is resharded."""
    scene = Scene(rig, aws, random.Random(part))
    dice = random.Random(100 + part)
    done = threading.Event()

    def produce() -> None:
        while not done.wait(dice.uniform(0.005, 0.03)):
            scene.put(dice.randrange(1, 6))
            if dice.random() < 0.05:
                scene.reshard()

    producer = threading.Thread(target=produce)
    producer.start()
    left = KILLS // 5
    starts = 0
    try:
        while left > 0:
            starts += 1
            assert starts < 20 * KILLS
            process = scene.start(batch=dice.choice([5, 20, 1000]), linger=dice.choice([0.0, 5.0]))
            time.sleep(dice.uniform(0.1, 1.0))
            process.kill()
            left -= finish(process) == -signal.SIGKILL
            if dice.random() < 0.5:  # else the next run meets what the server still holds for the dead one
                scene.check_amid()
    finally:
        done.set()
        producer.join()
    assert finish(scene.start(batch=1000)) == 0
    scene.check_end()
