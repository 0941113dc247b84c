"""A stream into its raw table, over a folder and over moto's Kinesis: each record once, and bad ones stop nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from assets.extracts.declared import DeclarationError
from assets.extracts.errors import ExtractError
from resources.warehouse import Warehouse
from tests.far.stream_rig import STREAM, StreamRig, data, line, with_credentials
from tests.rig import NAME


@pytest.fixture(params=["folder", "moto"])
def rig(
    request: pytest.FixtureRequest, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StreamRig]:
    """A shop with a stream, in a folder and on moto's Kinesis."""
    with_credentials(monkeypatch, tmp_path)
    if request.param == "folder":
        made = StreamRig(warehouse, tmp_path)
    else:
        host, port = request.getfixturevalue("moto_server")
        endpoint = f"http://{host}:{port}"
        made = StreamRig(warehouse, tmp_path, streams="kinesis", aws_endpoint=endpoint, aws_region="eu-west-1")
        client = made.stream()._client  # type: ignore[attr-defined]
        client.create_stream(StreamName=STREAM, ShardCount=2)
    made.clear()
    yield made
    made.clear()
    if request.param == "moto":
        client.delete_stream(StreamName=STREAM)


@pytest.fixture
def folder(warehouse: Warehouse, tmp_path: Path) -> Iterator[StreamRig]:
    """A shop with a stream in a folder."""
    made = StreamRig(warehouse, tmp_path)
    made.clear()
    yield made
    made.clear()


def test_each_record_is_taken_once(rig: StreamRig) -> None:
    rig.put(*(data(number) for number in range(1200)))
    report = rig.run()
    assert rig.ids() == list(range(1200))
    assert (report.records, report.totals["rows"], report.behind) == (1200, 1200, timedelta(0))
    rig.check()
    before = rig.everything()
    again = rig.run()
    assert again.is_unchanged and again.data_version == report.data_version
    assert rig.everything() == before, "an extract that found nothing wrote something"
    rig.put(data(1200))
    assert rig.run().data_version != report.data_version
    assert rig.ids() == list(range(1201))
    rig.check()


def test_a_row_is_what_the_record_says_and_tells_where_it_was(rig: StreamRig) -> None:
    began = datetime.now(UTC)
    rig.put(data(3, Quantity=-2), data(8))
    rig.run()
    assert rig.query(
        "select invoice_no, stock_code, description, quantity, invoice_date, unit_price::text, customer_id, country"
        f" from raw_{NAME}.invoice_lines_stream order by record_id"
    ) == [
        ("536366", "71056", "LANTERN 3", -2, datetime(2010, 12, 4, 8, 3), "3.5500", None, "United Kingdom"),
        ("536367", "71054", "LANTERN 8", 4, datetime(2010, 12, 9, 8, 8), "8.5500", "17858", "United Kingdom"),
    ]
    told = rig.table("_sequence, _shard, _line, _arrived_at")
    shards = rig.shards()
    assert {(shard, sequence) for sequence, shard, *_ in told} <= {
        (shard, str(number)) for shard, (last, _) in shards.items() for number in range(1, int(last or 0) + 1)
    }
    assert [number for _, _, number, _ in told] == [1, 1]
    assert all(abs(at - began) < timedelta(minutes=1) for *_, at in told)
    assert rig.days() == {date(2010, 12, 4), date(2010, 12, 9)}


BAD = {
    b"": "empty",
    b"not JSON": "no JSON object",
    b'["InvoiceNo"]': "JSON, and no object",
    b"42": "JSON, and no object",
    b'{"InvoiceNo": "1"': "no JSON object",
    b"\xff\xfe{}": "not UTF-8",
    b"\xf3\x89\x9a\xc2\x0a\x01": "Kinesis Producer Library",
    b"[" * 100_000: "no JSON object",
    b'{"InvoiceNo": NaN}': "NaN is no JSON",
    b'{"InvoiceNo": 1e99999999999999999999}': "no JSON object",
    data(1, InvoiceNo=None): "empty, and a value is required",
    data(2, Quantity="many"): "not a whole number",
    data(4, Quantity=2.5): "not a whole number",
    data(5, InvoiceDate="2010-02-30"): "not an ISO date",
    data(6, InvoiceDate="2049-01-01"): "in the future",
    data(7, Description="half \ud800 of a pair"): "half of a surrogate pair",
    data(9, Description="a NUL \x00"): "not text without NUL bytes",
    data(10, Invoice="7"): "its keys 'InvoiceNo' and 'Invoice' both mean invoice_no",
    b"{}": "empty, and a value is required",
}


def test_a_bad_record_is_set_aside_with_its_place_and_stops_nothing(rig: StreamRig) -> None:
    records = [data(100), *BAD, data(101)]
    rig.put(*records)
    report = rig.run()
    assert rig.ids() == [100, 101]
    rejects = rig.rejects()
    assert len(rejects) == len(BAD) == report.totals["rejected"]
    by_raw = {raw: (column, reason, place, uri) for column, reason, raw, place, uri in rejects}
    for record, words in BAD.items():
        raw = record.decode(errors="backslashreplace")
        raw = raw if len(raw) <= 4000 else f"{raw[:4000]}... ({len(raw):,} characters)"
        _, reason, place, uri = by_raw[raw]
        assert words in reason, (record[:80], reason)
        assert place == 1 and uri.startswith(f"{report.uri} shard"), uri
        assert uri.rsplit(" ", 1)[1].isdigit(), uri
    assert by_raw[data(2, Quantity="many").decode()][0] == "quantity"
    rig.check()
    before = rig.everything()
    assert rig.run().is_unchanged and rig.everything() == before
    change = rig.last_change()
    rig.put(b"only bad ones")
    assert len(rig.run().loaded) == 1
    assert len(rig.rejects()) == len(BAD) + 1
    assert rig.last_change() > change and not rig.days(change), "a change that touches no day"
    rig.check()
    before = rig.everything()
    assert rig.run().is_unchanged and rig.everything() == before


def test_a_record_may_hold_several_objects_one_a_line(folder: StreamRig) -> None:
    folder.put(b"\n".join([data(0), b"", b"no object", data(1), b""]), json.dumps(line(2), indent=2).encode())
    folder.run()
    assert folder.ids() == [0, 1, 2]
    assert folder.query("select record_id, _sequence, _line from raw_testshop.invoice_lines_stream order by 1") == [
        *(("test-0", "1", 1), ("test-1", "1", 4), ("test-2", "2", 1))
    ]
    assert [(raw, place) for _, _, raw, place, _ in folder.rejects()] == [("no object", 3)]
    folder.check()


def test_keys_are_taken_in_any_spelling_and_a_new_one_adds_a_column(folder: StreamRig) -> None:
    other = {key.lower().replace("invoiceno", "Invoice NO"): value for key, value in line(1).items()}
    folder.put(data(0), json.dumps(other).encode())
    folder.run()
    assert folder.ids() == [0, 1]
    nested = {"a": [1, 2.50, "x"], "b": None}
    folder.put(data(2, Gift_wrap=True, basket=nested, _shard="mine", CustomerID=17850.0), data(3, giftWrap="no"))
    folder.run()
    assert any("new columns gift_wrap, basket, shard" in text for text in folder.said)
    assert folder.query(
        "select gift_wrap, basket, shard, customer_id, _shard from raw_testshop.invoice_lines_stream order by record_id"
    ) == [
        (None, None, None, "17850", "shard-000000000000"),
        (None, None, None, "17851", "shard-000000000000"),
        ("true", '{"a":[1,2.5,"x"],"b":null}', "mine", "17850", "shard-000000000000"),
        ("no", None, None, None, "shard-000000000000"),
    ]


def test_a_producer_that_makes_up_keys_does_not_widen_the_table_for_ever(folder: StreamRig) -> None:
    folder.put(*(data(number, **{f"key {number} {place}": 1 for place in range(50)}) for number in range(12)))
    folder.run()
    assert len(folder.ids()) == 7  # 400 columns less those that are declared: so many records, and a part of one
    assert {reason.partition(" 'key")[0] for _, reason, *_ in folder.rejects()} == {"its key"}
    folder.put(data(20))
    folder.run()
    assert 20 in folder.ids()


def test_while_it_lingers_what_comes_lands_in_batches_of_its_own(rig: StreamRig) -> None:
    rig.put(data(0))
    waiting = [data(1), data(2), data(3)]

    def put_more(text: str) -> None:
        if text.startswith("committed") and waiting:
            rig.put(waiting.pop(0))

    report = rig.run(put_more, linger=1.0)
    assert rig.ids() == [0, 1, 2, 3]
    assert len(report.loaded) == 4
    rig.check()


def test_an_extract_ends_in_time_though_records_still_come(folder: StreamRig) -> None:
    folder.put(data(0))
    number = iter(range(1, 10_000))
    report = folder.run(
        lambda text: text.startswith("committed") and folder.put(data(next(number))), linger=60, longest=2
    )
    assert any("the next extract goes on" in text for text in folder.said)
    assert len(report.loaded) > 1
    folder.run()
    assert folder.ids() == list(range(next(number)))


def test_what_comes_after_the_begin_is_left_to_the_next_extract(folder: StreamRig) -> None:
    """Else an extract of a busy stream would never end."""
    from assets.extracts import stream as module

    folder.put(data(0))
    number = iter(range(1, 10_000))
    before, module.TO_BE_SURE = module.TO_BE_SURE, timedelta(0)
    try:
        folder.run(lambda text: text.startswith("committed") and folder.put(data(next(number))))
    finally:
        module.TO_BE_SURE = before
    folder.run()
    assert folder.ids() == list(range(next(number)))


def test_a_folder_that_is_not_there_is_nothing_to_read(folder: StreamRig) -> None:
    report = folder.run()
    assert report.is_unchanged and report.behind is None and not folder.shards()
    assert "nothing was ever put there" in folder.said[-1]
    assert not (folder.home / "streams").exists()


def test_a_folder_whose_batches_were_taken_away_unread_has_lost_them(folder: StreamRig) -> None:
    folder.put(data(0))
    folder.run()
    folder.put(data(1))
    shard = folder.home / "streams" / STREAM / "shard-000000000000"
    for batch in shard.glob("*.jsonl"):
        batch.unlink()
    message = folder.refusal()
    assert "it was read to number 1" in message and "begins with 3 now" in message
    assert folder.accept() == ["shard-000000000000"]
    folder.put(data(2))
    report = folder.run()
    assert folder.ids() == [0, 2] and len(report.gaps) == 1
    folder.check()


def test_a_folder_that_is_gone_or_damaged_is_said(folder: StreamRig) -> None:
    folder.put(data(0))
    batch = folder.home / "streams" / STREAM / "shard-000000000000" / f"{1:020d}.jsonl"
    held = batch.read_text()
    batch.write_text(held[:30])
    assert f"{batch}, line 1: this is no record" in folder.refusal()
    batch.write_text(held)
    folder.run()
    (folder.home / "streams" / STREAM / "stream.json").unlink()
    assert "is gone, and was read before" in folder.refusal()


def test_a_batch_that_is_being_written_is_not_seen_and_numbers_go_on(folder: StreamRig) -> None:
    folder.put(data(0), data(1))
    shard = folder.home / "streams" / STREAM / "shard-000000000000"
    (shard / f"{3:020d}.jsonl.part").write_text('{"seq')
    # As after a kill between the batch and the number behind it.
    (shard / "next").write_text("1")
    folder.run()
    folder.put(data(2))
    folder.run()
    assert folder.ids() == [0, 1, 2]
    assert folder.shards() == {"shard-000000000000": ("3", False)}


def test_a_table_that_files_filled_is_not_filled_by_a_stream_besides(folder: StreamRig) -> None:
    folder.put(data(0))
    folder.run()
    folder.query("update ledger.extracts set format = 'CSV' where shop = 'testshop' returning 1")
    with pytest.raises(ExtractError, match="loaded in another way"):
        folder.run()


def test_the_columns_that_tell_the_record_must_be_declared(folder: StreamRig) -> None:
    import dataclasses

    columns = tuple(column for column in folder.declared.columns if column.name != "_shard")
    folder.declared = dataclasses.replace(folder.declared, columns=columns)
    with pytest.raises(DeclarationError, match=r"_sources.yml: invoice_lines_stream._shard: .* Declare it as text"):
        folder.run()
