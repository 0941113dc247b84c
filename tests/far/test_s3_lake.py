"""The lake on S3: a file is there when it is whole, is read with few requests, and can be asked with SQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.cli.sql import _lake_view
from resources import s3
from resources.far import SourceError
from resources.filesystem import filesystem
from resources.lake import Lake
from tests.far.conftest import Bucket, FarRig
from tests.rig import row, rows, sheet
from tests.standins.s3 import BadDay

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string())])


def batches(count: int, size: int = 1000, length: int = 400) -> Iterator[pa.RecordBatch]:
    """Batches of random text, which nothing makes smaller."""
    dice = random.Random(count)
    for first in range(0, count * size, size):
        texts = [dice.randbytes(length // 2).hex() for _ in range(size)]
        yield pa.record_batch([pa.array(range(first, first + size)), pa.array(texts)], schema=SCHEMA)


@pytest.fixture
def lake(bucket: Bucket) -> Lake:
    return Lake(f"s3://{bucket.name}/the lake")


def test_a_small_file(lake: Lake, bucket: Bucket, bad_day: BadDay) -> None:
    with lake.create("raw/shop/table/a=1 %41.parquet", SCHEMA) as writer:
        for batch in batches(2):
            writer.write_batch(batch)
        assert bucket.keys() == [] == bucket.uploads()
    assert bucket.keys() == ["the lake/raw/shop/table/a=1 %41.parquet"]
    assert [(item.method, item.key) for item in bad_day.requests] == [("PUT", bucket.keys()[0])]
    file = lake.open("raw/shop/table/a=1 %41.parquet")
    assert file.read().equals(pa.Table.from_batches(batches(2)))


def test_a_large_file_is_written_in_parts_and_read_in_few_requests(
    lake: Lake, bucket: Bucket, bad_day: BadDay, aws: pytest.MonkeyPatch
) -> None:
    aws.setattr(s3, "PART", 5 << 20)
    held = []
    with lake.create("a.parquet", SCHEMA) as writer:
        for batch in batches(120):
            writer.write_batch(batch)
            held.append(sum(item.method == "PUT" for item in bad_day.requests))
            assert bucket.keys() == []
    assert held[0] == 0 and held[-1] >= 4, "the parts went all at the end"
    head = bucket.client.head_object(Bucket=bucket.name, Key="the lake/a.parquet")
    assert head["ETag"].endswith(f'-{held[-1] + 1}"') and head["ContentLength"] > 24_000_000
    bad_day.reset()
    assert pa.Table.from_batches(lake.open("a.parquet").iter_batches()).equals(pa.Table.from_batches(batches(120)))
    # 120 row groups of two columns, in requests of 8 MB; one more for the footer.
    assert bad_day.count("GET") <= 6 and bad_day.count("HEAD") <= 2


@pytest.mark.parametrize("count", [0, 2, 120])
def test_a_writer_that_fails_leaves_nothing(lake: Lake, bucket: Bucket, count: int) -> None:
    def write() -> None:
        with lake.create("a.parquet", SCHEMA) as writer:
            for batch in batches(count):
                writer.write_batch(batch)
            raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        write()
    assert bucket.keys() == [] == bucket.uploads()


def test_a_writer_that_is_left_keeps_what_was_there(lake: Lake, bucket: Bucket) -> None:
    with lake.create("a.parquet", SCHEMA) as writer:
        writer.write_batch(next(batches(1)))
    before = bucket.get("the lake/a.parquet")

    @contextmanager
    def interrupted() -> Iterator[None]:
        with lake.create("a.parquet", SCHEMA) as writer:
            for batch in batches(60):
                writer.write_batch(batch)
            yield

    with pytest.raises(KeyboardInterrupt), interrupted():
        raise KeyboardInterrupt
    assert bucket.get("the lake/a.parquet") == before and not bucket.uploads()


def test_parts_are_put_again_when_s3_is_busy(lake: Lake, bucket: Bucket, bad_day: BadDay) -> None:
    bad_day.fail(503, "SlowDown", method="PUT", times=2)
    bad_day.fail(500, "InternalError", method="POST", times=2)
    with lake.create("a.parquet", SCHEMA) as writer:
        for batch in batches(60):
            writer.write_batch(batch)
    assert lake.open("a.parquet").metadata.num_rows == 60_000 and not bucket.uploads()


def test_an_upload_that_cannot_end_is_an_error_and_no_file(lake: Lake, bucket: Bucket, bad_day: BadDay) -> None:
    def write() -> None:
        with lake.create("a.parquet", SCHEMA) as writer:
            for batch in batches(60):
                writer.write_batch(batch)
            bad_day.fail(503, "SlowDown", method="PUT")

    with pytest.raises(SourceError, match="overloaded or out of order"):
        write()
    assert bucket.keys() == [] == bucket.uploads()


def test_reading_is_tried_again(lake: Lake, bad_day: BadDay) -> None:
    with lake.create("a.parquet", SCHEMA) as writer:
        for batch in batches(60):
            writer.write_batch(batch)
    bad_day.fail(503, "SlowDown", method="GET", times=1)
    bad_day.cuts["the lake/a.parquet"] = [1000]
    assert sum(len(batch) for batch in lake.open("a.parquet").iter_batches()) == 60_000


def test_what_is_not_there_or_not_allowed_is_said(lake: Lake, bad_day: BadDay) -> None:
    for read in (lake.open, lake.dataset):
        with pytest.raises(SourceError, match=r"the lake/gone.parquet: the ledger names this file.*see to LAKE_URL"):
            read("gone.parquet")
    with lake.create("a.parquet", SCHEMA) as writer:
        writer.write_batch(next(batches(1)))
    bad_day.fail(403, "AccessDenied", "Access Denied", method="GET")
    bad_day.fail(403, "AccessDenied", method="HEAD")
    with pytest.raises(SourceError, match=r"access is denied \(Access Denied\).*allow this user s3:GetObject"):
        lake.open("a.parquet")
    bad_day.reset()
    with (
        pytest.raises(SourceError, match="there is no bucket no-such-bucket"),
        Lake("s3://no-such-bucket/lake").create("a.parquet", SCHEMA),
    ):
        pass


def test_a_lake_that_is_refused_stops_the_extract_and_leaves_no_trace(far_rig: FarRig, bad_day: BadDay) -> None:
    far_rig.load("a.csv", rows(5))
    held = far_rig.everything()
    far_rig.put("b.csv", rows(10, 100))
    bad_day.fail(403, "AccessDenied", method="PUT")
    with pytest.raises(SourceError, match=r"lake/.*access is denied.*s3:PutObject"):
        far_rig.run()
    assert far_rig.everything() == held
    bad_day.reset()
    assert not far_rig.run().failed and len(far_rig.table()) == 15


def test_the_lake_holds_what_was_loaded(far_rig: FarRig) -> None:
    far_rig.load("a.csv", rows(400))
    far_rig.load("b.csv", rows(100, 1000))
    loaded = far_rig.query("select lake_name, rows from ledger.extracts where removed_at is null")
    assert sorted(f"lake/{name}" for name, _ in loaded) == far_rig.bucket.keys("lake/")
    assert {name: far_rig.lake.open(name).metadata.num_rows for name, _ in loaded} == dict(loaded)
    assert sorted(count for _, count in loaded) == [100, 400] and len(far_rig.table()) == 500
    system, root = filesystem(far_rig.lake.location)
    for name, count in loaded:
        assert pq.read_table(f"{root}/{name}", filesystem=system).num_rows == count


def test_sql_reads_a_lake_on_s3(lake: Lake) -> None:
    """Files with other columns, and files of which some days count alone."""
    first = pa.table({"id": [1, 2, 3], "_day": pa.array([date(2024, 1, 1), date(2024, 1, 2), None], pa.date32())})
    second = pa.table({"id": [4, 5], "more": ["x", "y"], "_day": pa.array([date(2024, 1, 1)] * 2, pa.date32())})
    for name, table in (("t/a b's.parquet", first), ("t/b.parquet", second)):
        with lake.create(name, table.schema) as writer:
            writer.write_table(table)
    for days, wanted in (
        (None, [(1, None), (2, None), (3, None), (4, "x"), (5, "y")]),
        ([date(2024, 1, 2)], [(2, None), (4, "x"), (5, "y")]),
        ([date(2024, 1, 1), None], [(1, None), (3, None), (4, "x"), (5, "y")]),
        ([None], [(3, None), (4, "x"), (5, "y")]),
    ):
        database = duckdb.connect()
        database.execute("create schema shop")
        _lake_view(database, "shop.t", lake, [("t/a b's.parquet", days), ("t/b.parquet", None)])
        assert database.execute("select id, more from shop.t order by id").fetchall() == wanted
        assert database.execute("select count(*) from shop.t where id > 3").fetchone() == (2,)


def test_a_folder_still_is_a_lake(tmp_path: Path, bad_day: BadDay) -> None:
    for location in (str(tmp_path / "one"), (tmp_path / "two").as_uri()):
        lake = Lake(location)
        with lake.create("x/a.parquet", SCHEMA) as writer:
            writer.write_batch(next(batches(1)))
        assert lake.open("x/a.parquet").metadata.num_rows == 1000
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.parquet"] * 2
    assert not bad_day.requests


def test_the_rows_of_a_replaced_object_leave_the_ledger_and_its_file_does_not_count(far_rig: FarRig) -> None:
    far_rig.load("a.csv", sheet(rows(5)))
    far_rig.load("a.csv", sheet([row(50)]))
    active = far_rig.query("select lake_name from ledger.extracts where removed_at is null")
    assert len(active) == 1 and len(far_rig.bucket.keys("lake/")) == 2
    assert far_rig.lake.open(active[0][0]).metadata.num_rows == 1 == len(far_rig.table())
