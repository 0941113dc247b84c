"""An extract from S3 into a lake on S3, killed and with its objects replaced meanwhile, ends with exactly the source.

`CARTOGRAPH_KILLS=500` makes the random part longer.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from resources.failpoints import EXTRACT
from resources.lake import Lake
from resources.objects import ObjectStore
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.far.conftest import CREDENTIALS, REGION, Bucket, FarRig, serve_moto
from tests.faults.test_kill import CONTEXT, KILLS, Scene, finish
from tests.rig import NAME, Rig, row, rows

PART = 1 << 12
"""Bytes of a part of a lake file: few, so that there are several parts. moto is told to take them."""


def extract(
    warehouse_home: Path, rig_home: Path, environment: dict[str, str], bucket: str, failpoint: str, batch: int
) -> None:
    """What the process does that is killed. Small batches, parts and windows: it passes each place several times."""
    os.environ.update(environment)
    from assets.extracts import extract as module
    from assets.extracts import formats
    from resources import s3

    formats._BLOCK_BYTES, module.BATCH_ROWS = batch * 90, batch
    s3.PART, s3.FIRST_READ, s3.LONGEST_READ = PART, 1 << 13, 1 << 14
    if failpoint:
        os.environ["CARTOGRAPH_FAILPOINT"] = failpoint
    rig = Rig(Warehouse(load_settings(_env_file=None, home=warehouse_home, environment="test")), rig_home)
    rig.store, rig.lake = ObjectStore(f"s3://{bucket}/inbox"), Lake(f"s3://{bucket}/lake")
    report = rig.run()
    # What changed while it was read is left for the next run.
    os._exit(not all(error.remedy.startswith("run again") for error in report.failed))


def start(rig: FarRig, failpoint: str = "", batch: int = 100) -> ForkServerProcess:
    environment = {name: os.environ[name] for name in (*CREDENTIALS, "AWS_REGION", "AWS_ENDPOINT_URL")}
    arguments = (rig.warehouse.settings.home, rig.home, environment, rig.bucket.name, failpoint, batch)
    process = CONTEXT.Process(target=extract, args=arguments)
    process.start()
    return process


class FarScene(Scene):
    """A source and a lake on S3."""

    rig: FarRig

    def check_ledger(self) -> None:
        super().check_ledger()
        named = {
            f"lake/{name}" for (name,) in self.rig.query("select lake_name from ledger.extracts where shop = %s", NAME)
        }
        held = self.rig.bucket.keys("lake/")
        assert named <= set(held), "the ledger names a file that is not in the lake"
        for key in held:
            # What has its name is whole, whether it counts or not.
            self.rig.lake.open(key.removeprefix("lake/")).read()

    def check_end(self) -> None:
        super().check_end()
        active = self.rig.query(
            "select lake_name, rows from ledger.extracts where shop = %s and removed_at is null", NAME
        )
        counted = sum(self.rig.lake.open(name).metadata.num_rows for name, _ in active)
        assert counted == sum(count for _, count in active) == len(self.rig.table())

    def replace_one(self, dice: random.Random) -> None:
        """Overwrite an object that is there before and after with one of its two versions."""
        both = sorted(self.before.keys() & self.after.keys())
        if both:
            name = dice.choice(both)
            self.rig.put(name, dice.choice([self.before, self.after])[name])


def first_load(rig: FarRig) -> FarScene:
    return FarScene(rig, {}, {"a.csv": rows(400), "b.csv": rows(350, 500) + [row(500)] * 3, "c.csv": rows(50, 1000)})


def replacement(rig: FarRig) -> FarScene:
    old = {"a.csv": rows(400), "b.csv": rows(50, 500)}
    new = [row(number, Quantity="9", InvoiceDate=f"2011-01-{1 + number % 28:02d} 10:00:00") for number in range(380)]
    return FarScene(rig, old, {"a.csv": new, "c.csv": rows(350, 1000)})


SCENES = [first_load, replacement]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    with serve_moto() as address, pytest.MonkeyPatch.context() as patch:
        patch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
        yield address


@pytest.fixture
def far_rig(
    warehouse: Warehouse, tmp_path: Path, server: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[FarRig]:
    for name, value in {**CREDENTIALS, "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    bucket = Bucket(server, f"kill-{time.monotonic_ns()}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    made = FarRig(warehouse, tmp_path, bucket)
    yield made
    made.clear()


@pytest.mark.parametrize("failpoint", EXTRACT)
def test_killed_at_every_step(far_rig: FarRig, failpoint: str) -> None:
    """Killed where a run comes by for the second time, with the first object committed; then run to its end."""
    made = replacement(far_rig)
    passage = 1 if failpoint == "extract.planned" else 2
    assert finish(start(far_rig, f"{failpoint}:{passage}")) == -signal.SIGKILL, "it never came by"
    made.check_amid()
    assert finish(start(far_rig)) == 0
    made.check_end()


@pytest.mark.parametrize("part", range(3))
def test_killed_at_random_moments_while_objects_are_replaced(far_rig: FarRig, part: int) -> None:
    """Several kills one after the other on one source, of runs of growing length, then a run to the end."""
    dice = random.Random(part)
    left = max(KILLS // 3, 1)
    rounds = 0
    while left > 0:
        rounds += 1
        far_rig.clear()
        far_rig.bucket.empty()
        made = SCENES[(part + rounds) % 2](far_rig)
        whole = 0.7  # about the length of a run, the start of its process included
        for _ in range(min(left, dice.randrange(2, 7))):
            process = start(far_rig, batch=dice.choice([20, 100, 1000]))
            moments = sorted(dice.uniform(0, whole) for _ in range(2))
            time.sleep(moments[0])
            made.replace_one(dice)
            time.sleep(moments[1] - moments[0])
            process.kill()
            if finish(process) == -signal.SIGKILL:
                left -= 1
            if dice.random() < 0.5:  # else the next run meets what the server still holds for the dead one
                made.check_amid()
        made.put(made.after)
        assert finish(start(far_rig)) == 0
        made.check_end()
        assert rounds < 20 * KILLS


def test_replaced_while_runs_go_on(far_rig: FarRig) -> None:
    """Nothing is killed: runs and replacements go on beside each other, and the last run has the source."""
    made = replacement(far_rig)
    dice = random.Random(1)
    for _ in range(4):
        process = start(far_rig, batch=20)
        while process.is_alive():
            made.replace_one(dice)
            process.join(dice.uniform(0, 0.1))
        assert process.exitcode == 0
        made.check_amid()
    made.put(made.after)
    assert finish(start(far_rig)) == 0
    made.check_end()
