"""Files on S3 are taken in as files of a folder are, and on S3's bad days nothing is lost or there twice."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from resources import s3
from resources.far import SourceError
from resources.objects import ObjectStore
from resources.warehouse import Warehouse
from tests.far.conftest import Bucket, FarRig, when
from tests.rig import HEADER, NAME, Rig, row, rows, sheet
from tests.standins.s3 import BadDay

# The same rows


def workbook(lines: list[str]) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        page = book.add_worksheet("Online Retail")
        for number, line in enumerate([HEADER, *lines]):
            page.write_row(number, 0, line.split(","))
    return file.getvalue()


def parquet(lines: list[str]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pyarrow.csv.read_csv(io.BytesIO(sheet(lines))), file, row_group_size=500)
    return file.getvalue()


def in_zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lines.csv", data)
    return file.getvalue()


FILES = {
    "a.csv": sheet(rows(3000)),
    "b.csv.gz": gzip.compress(sheet(rows(2000, 5000)), mtime=0),
    "more/c.zip": in_zip(sheet(rows(1000, 8000))),
    "d.xlsx": workbook(rows(500, 10_000)),
    "e.parquet": parquet(rows(1500, 12_000)),
}


def test_all_formats_give_the_same_rows_and_the_same_version_as_from_a_folder(
    warehouse: Warehouse, tmp_path: Path, far_rig: FarRig
) -> None:
    near = Rig(warehouse, tmp_path)
    for name, data in FILES.items():
        near.put(name, data)
    report = near.run()
    assert not report.failed and sum(item.rows for item in report.loaded) == 8000
    rows_near, days_near, rejects_near = near.content(), near.days(), near.rejects()
    near.clear()
    for name, data in FILES.items():
        far_rig.put(name, data)
    far = far_rig.run()
    assert not far.failed
    assert (far_rig.content(), far_rig.days(), far_rig.rejects()) == (rows_near, days_near, rejects_near)
    assert far.data_version == report.data_version
    assert [(item.format, item.rows) for item in far.loaded] == [(item.format, item.rows) for item in report.loaded]
    again = far_rig.run()
    assert again.is_unchanged and again.data_version == far.data_version


def test_the_same_bytes_under_a_new_key_are_skipped_and_said(far_rig: FarRig) -> None:
    far_rig.load("a.csv", rows(10))
    far_rig.put("copy.csv", rows(10))
    report = far_rig.run()
    assert report.is_unchanged and far_rig.content() == Counter(far_rig.table()) and len(far_rig.table()) == 10
    assert (
        list(report.skipped) == [far_rig.uri("copy.csv")]
        and far_rig.uri("a.csv") in report.skipped[far_rig.uri("copy.csv")]
    )
    assert any("skipped copy.csv" in line for line in far_rig.said)


def test_new_bytes_of_the_same_length_in_the_same_second_replace_the_old_rows(far_rig: FarRig) -> None:
    for price in range(1, 6):
        report = far_rig.load("a.csv", [row(UnitPrice=f"{price}.00")])
        assert report.loaded[0].removed == (price > 1)
    assert far_rig.table("unit_price") == [(5,)]


def test_an_object_that_was_taken_away_is_no_deletion(far_rig: FarRig) -> None:
    far_rig.load("a.csv", rows(10))
    far_rig.delete("a.csv")
    report = far_rig.run()
    assert report.is_unchanged and report.objects == 0 and len(far_rig.table()) == 10


# What is listed

ODD = [
    *("a b.csv", "%41.csv", "a+b.csv", "day=1/x.csv", "ü/日本.csv", "é.csv", "e\u0301.csv", "emoji😀.csv"),
    *("x/../y.csv", "a//b.csv", "/lead.csv", "./z.csv", "a/./b.csv", "q?x=1.csv", "h#x.csv", "a&b;c.csv", "it's.csv"),
    *("back\\slash.csv", "ctl\x01x.csv", "~t*.csv", "a..b.csv", "<x>.csv"),
]


def test_keys_are_taken_literally(far_rig: FarRig) -> None:
    for number, name in enumerate(ODD):
        far_rig.put(name, [row(number)])
    report = far_rig.run()
    assert not report.failed, str(report.failed[0])
    assert sorted(item.uri for item in report.loaded) == sorted(map(far_rig.uri, ODD))
    assert len(far_rig.table()) == len(ODD)
    assert far_rig.run().is_unchanged


@pytest.mark.parametrize("prefix", ["a/b", "a/b/"])
def test_a_prefix_is_a_folder(bucket: Bucket, prefix: str) -> None:
    for key in ("a/b/1.csv", "a/b/c/2.csv", "a/bc/3.csv", "a/b", "a/b.csv", "b/a/b/4.csv"):
        bucket.put(key, b"x")
    for key in ("a/b/", "a/b/empty/", "a/b/.hidden", "a/b/.git/5.csv", "a/b/6.csv.part"):
        bucket.put(key, b"")
    listed = ObjectStore(f"s3://{bucket.name}/{prefix}").list()
    assert [item.name for item in listed] == ["1.csv", "c/2.csv"]
    assert [item.uri for item in listed] == [f"s3://{bucket.name}/a/b/1.csv", f"s3://{bucket.name}/a/b/c/2.csv"]


def test_a_bucket_without_a_prefix_and_a_prefix_without_objects(bucket: Bucket) -> None:
    bucket.put("1.csv", b"x")
    bucket.put("a/2.csv", b"x")
    assert [item.name for item in ObjectStore(f"s3://{bucket.name}").list()] == ["1.csv", "a/2.csv"]
    assert [item.name for item in ObjectStore(f"s3://{bucket.name}/").list()] == ["1.csv", "a/2.csv"]
    assert ObjectStore(f"s3://{bucket.name}/nothing").list() == []


def test_many_keys_come_page_by_page(bucket: Bucket, bad_day: BadDay) -> None:
    count = 10_500
    for number in range(count):
        bucket.backend().put_object(bucket.name, f"in/{number:06d} +.csv", b"")
    listed = ObjectStore(f"s3://{bucket.name}/in").list()
    assert [item.name for item in listed] == [f"{number:06d} +.csv" for number in range(count)]
    assert sum(request.is_listing for request in bad_day.requests) == 11


def test_archived_objects_are_refused_with_the_remedy_and_others_load(far_rig: FarRig, bad_day: BadDay) -> None:
    for number, kind in enumerate(("STANDARD", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")):
        far_rig.bucket.put(f"inbox/{kind}.csv", sheet([row(number)]), StorageClass=kind)
    report = far_rig.run()
    assert sorted(item.uri for item in report.loaded) == [far_rig.uri("GLACIER_IR.csv"), far_rig.uri("STANDARD.csv")]
    assert [error.uri for error in report.failed] == [far_rig.uri("DEEP_ARCHIVE.csv"), far_rig.uri("GLACIER.csv")]
    for error in report.failed:
        assert "archived" in str(error) and "Remedy: restore it with `aws s3api restore-object`" in str(error)
    assert bad_day.count("GET", "inbox/GLACIER.csv") == 0


# How it is read


def test_a_large_object_is_read_with_few_requests(far_rig: FarRig, bad_day: BadDay) -> None:
    """30 MB, put there in parts: its ETag is no digest of its bytes."""
    dice = random.Random(1)
    lines = [row(number, Description=f"{dice.getrandbits(960):x}") for number in range(100_000)]
    data = sheet(lines)
    assert len(data) > 27_000_000
    far_rig.bucket.client.upload_fileobj(io.BytesIO(data), far_rig.bucket.name, "inbox/big.csv")
    assert "-" in far_rig.store.list()[0].etag
    with bad_day.counted() as requests:
        report = far_rig.run()
    assert not report.failed and report.loaded[0].rows == 100_000
    ranges = [item.headers["range"] for item in requests if item.method == "GET" and item.key == "inbox/big.csv"]
    # Once for the digest and once for the rows, in requests that grow to 8 MB.
    assert len(ranges) == 2 * 6
    assert all(item.headers["if-match"] for item in requests if "range" in item.headers and item.key == "inbox/big.csv")
    assert sum(item.method == "HEAD" and item.key == "inbox/big.csv" for item in requests) == 1
    assert far_rig.run().is_unchanged


def test_any_place_of_an_object_can_be_read(bucket: Bucket) -> None:
    data = random.Random(1).randbytes(3 << 20)
    bucket.put("in/x", data)
    store = ObjectStore(f"s3://{bucket.name}/in")
    [item] = store.list()
    dice = random.Random(2)
    with store.open(item) as stream:
        for _ in range(200):
            begin = dice.randrange(len(data) + 100)
            size = dice.choice([0, 1, 100, 70_000, 2_000_000])
            assert stream.seek(begin) == begin
            assert stream.read(size) == data[begin : begin + size]
            assert stream.tell() == max(begin, min(begin + size, len(data)))
        assert stream.seek(-10, io.SEEK_END) == len(data) - 10
        assert stream.read() == data[-10:]


def test_a_parquet_file_is_read_by_its_columns_and_not_whole_at_once(bucket: Bucket, bad_day: BadDay) -> None:
    dice = random.Random(1)
    table = pa.table({name: [dice.random() for _ in range(200_000)] for name in "abcdefgh"})
    file = io.BytesIO()
    pq.write_table(table, file, row_group_size=20_000, compression="none")
    bucket.put("in/x.parquet", file.getvalue())
    store = ObjectStore(f"s3://{bucket.name}/in")
    with bad_day.counted() as requests:
        read = pq.ParquetFile(store.open(store.list()[0])).read(columns=["c"])
    assert read["c"].to_pylist() == table["c"].to_pylist()
    assert len(requests) < 15


# What changes meanwhile


@pytest.mark.parametrize(
    ("method", "passage"),
    [("GET", 1), ("GET", 2), ("HEAD", 1)],
    ids=["before digest", "before reading", "after reading"],
)
@pytest.mark.parametrize("deed", ["overwritten", "deleted"])
def test_an_object_that_changes_meanwhile_is_refused_and_taken_in_the_next_run(
    far_rig: FarRig, bad_day: BadDay, deed: str, method: str, passage: int
) -> None:
    far_rig.put("a.csv", rows(10))
    far_rig.put("b.csv", rows(10, 100))

    def act() -> None:
        if deed == "deleted":
            far_rig.delete("a.csv")
        else:
            far_rig.put("a.csv", rows(10, 50))

    when(bad_day, method, "inbox/a.csv", act, passage)
    report = far_rig.run()
    assert [error.uri for error in report.failed] == [far_rig.uri("a.csv")]
    message = str(report.failed[0])
    assert message.count("\n") == 0 and message.count("s3://") == 1 and "Remedy: run again" in message
    assert [item.uri for item in report.loaded] == [far_rig.uri("b.csv")]
    assert far_rig.query(f"select distinct description like 'LANTERN 1__' from raw_{NAME}.invoice_lines") == [(True,)]
    assert len(far_rig.bucket.keys("lake/")) == 1 and not far_rig.bucket.uploads()
    report = far_rig.run()
    assert not report.failed
    assert len(far_rig.table()) == (10 if deed == "deleted" else 20)


def test_an_object_is_never_read_in_two_versions(far_rig: FarRig, bad_day: BadDay) -> None:
    """Overwritten between two ranges of one reading, each version whole by itself."""
    old, new = (sheet([row(number, Quantity=str(q)) for number in range(60_000)]) for q in (1, 2))
    assert len(old) == len(new) > 3 << 20
    far_rig.put("a.csv", old)
    when(bad_day, "GET", "inbox/a.csv", lambda: far_rig.put("a.csv", new), passage=5)
    assert "changed since the source was listed" in str(far_rig.run().failed[0])
    report = far_rig.run()
    assert not report.failed and far_rig.query(f"select distinct quantity from raw_{NAME}.invoice_lines") == [(2,)]


# Eventual listing


def test_a_key_that_is_hidden_for_a_while_is_neither_lost_nor_taken_twice(far_rig: FarRig, bad_day: BadDay) -> None:
    for name in "abc":
        far_rig.put(f"{name}.csv", rows(10, ord(name) * 10))
    bad_day.hidden = {"inbox/b.csv"}
    assert far_rig.run().objects == 2
    bad_day.hidden = set()
    assert [item.uri for item in far_rig.run().loaded] == [far_rig.uri("b.csv")]
    for hidden in ("a", "b", "c"):
        bad_day.hidden = {f"inbox/{hidden}.csv"}
        assert far_rig.run().is_unchanged and len(far_rig.table()) == 30
    bad_day.hidden = set()
    assert far_rig.run().is_unchanged and len(far_rig.table()) == 30


def test_a_stale_listing_takes_nothing_that_it_did_not_show(far_rig: FarRig, bad_day: BadDay) -> None:
    far_rig.put("a.csv", rows(10))
    far_rig.put("b.csv", rows(10, 100))
    far_rig.store.list()
    bad_day.is_listing_stale = True
    far_rig.put("a.csv", rows(20, 200))
    far_rig.delete("b.csv")
    far_rig.put("c.csv", rows(5, 300))
    report = far_rig.run()
    assert [error.uri for error in report.failed] == [far_rig.uri("a.csv"), far_rig.uri("b.csv")]
    assert "changed since" in str(report.failed[0]) and "gone since" in str(report.failed[1])
    assert not report.loaded
    bad_day.is_listing_stale = False
    report = far_rig.run()
    assert not report.failed and len(far_rig.table()) == 25
    assert far_rig.run().is_unchanged


def test_a_listing_from_before_what_is_loaded_takes_nothing_back(far_rig: FarRig, bad_day: BadDay) -> None:
    far_rig.load("a.csv", rows(10))
    far_rig.load("a.csv", rows(12, 50))
    held = far_rig.content()
    bad_day.list_as_at_first()
    report = far_rig.run()
    assert "changed since" in str(report.failed[0]) and far_rig.content() == held
    bad_day.is_listing_stale = False
    assert far_rig.run().is_unchanged and far_rig.content() == held


# Bad lines


def test_a_store_that_asks_to_slow_down_is_waited_for_and_it_is_said(far_rig: FarRig, bad_day: BadDay) -> None:
    far_rig.put("a.csv", rows(10))
    bad_day.fail(503, "SlowDown", "Please reduce your request rate.", method="GET", times=3)
    bad_day.fail(500, "InternalError", method="PUT", times=2)
    bad_day.fail(503, "SlowDown", key="inbox/a.csv", method="HEAD", times=2)
    report = far_rig.run()
    assert not report.failed and len(far_rig.table()) == 10
    assert len(far_rig.heard) == 7
    assert any("SlowDown" in line and "attempt 2 of 5" in line for line in far_rig.heard)


def test_a_body_that_breaks_off_is_asked_for_again(far_rig: FarRig, bad_day: BadDay) -> None:
    far_rig.put("a.csv", sheet(rows(40_000)))
    bad_day.cuts["inbox/a.csv"] = [0, 100_000, 1, 500_000]
    report = far_rig.run()
    assert not report.failed and report.loaded[0].rows == 40_000
    assert len(far_rig.heard) == 4


LARGE = [row(number, Description=f"{random.Random(number).getrandbits(8000):x}") for number in range(1600)]
"""Of which a second window is read, also of a workbook."""


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip", "a.xlsx", "a.parquet"])
def test_a_body_that_always_breaks_off_is_an_error_of_its_object(far_rig: FarRig, bad_day: BadDay, name: str) -> None:
    makers = {"csv": sheet, "gz": lambda lines: gzip.compress(sheet(lines)), "zip": lambda lines: in_zip(sheet(lines))}
    makers |= {"xlsx": workbook, "parquet": parquet}
    far_rig.put(name, makers[name.rsplit(".", 1)[-1]](LARGE))
    far_rig.put("z.csv", rows(10, 90_000))
    key = f"inbox/{name}"
    with far_rig.store.open(far_rig.store.list()[0]) as stream:
        stream.read()
    whole = bad_day.count("GET", key)
    assert whole >= 2
    # The digest is read well, and of the rows the first window.
    when(bad_day, "GET", key, lambda: bad_day.cuts.update({key: [10] * 100}), passage=whole + 2)
    report = far_rig.run()
    assert [error.uri for error in report.failed] == [far_rig.uri(name)] and len(report.loaded) == 1
    assert report.failed[0].problem == "the answer broke off in each of 5 attempts"
    assert bad_day.count("GET", key) == 2 * whole + 1 + s3.ATTEMPTS


def test_a_body_that_stands_still_is_given_up(bucket: Bucket, bad_day: BadDay, aws: pytest.MonkeyPatch) -> None:
    aws.setattr(s3, "READ_SECONDS", 0.2)
    aws.setattr(s3, "ATTEMPTS", 2)
    bucket.put("in/a.csv", sheet(rows(1000)))
    store = ObjectStore(f"s3://{bucket.name}/in")
    [item] = store.list()
    bad_day.stalls = {"in/a.csv"}
    with pytest.raises(SourceError, match=r"cannot be reached \(no answer in 0.2 s\)"), store.open(item) as stream:
        stream.read()
    assert bad_day.count("GET", "in/a.csv") == 2
    bad_day.stalls = set()
    with store.open(item) as stream:
        assert stream.read() == sheet(rows(1000))
