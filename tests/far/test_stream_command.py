"""`cartograph stream`: rows as records, each named after its file and row, and faults that explain themselves."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.extracts.assets import build_extract_assets
from assets.extracts.errors import ExtractError
from assets.extracts.stream import StreamReport, extract_stream
from orchestration.cli import stream as command
from orchestration.cli.session import CommandError, console, shop_named
from resources import settings
from resources.dagster_resources import LakeResource, StreamsResource, WarehouseResource
from resources.far import SourceError
from resources.lake import Lake
from resources.shops import Shop
from resources.streams import FolderStream, open_stream
from resources.warehouse import Warehouse
from tests.far.stream_rig import StreamRig, data, with_credentials
from tests.orchestration.command import cartograph
from tests.rig import HEADER, rows, sheet
from tests.standins.kinesis import Kinesis, kinesis

SHOP, STREAM = "online_retail", "online-retail-invoice-lines"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, in this process."""
    monkeypatch.setenv("CARTOGRAPH_HOME", str(tmp_path / "home"))
    with_credentials(monkeypatch, tmp_path)
    settings.get_settings.cache_clear()
    console.cache_clear()
    yield tmp_path / "home"
    settings.get_settings.cache_clear()
    console.cache_clear()


def sent(home: Path) -> list[dict[str, Any]]:
    stream = FolderStream(home / "streams" / STREAM)
    return [json.loads(record.data) for record in stream.read("shard-000000000000", None).records]


def send(file: Path, records: int | None = None, rate: float | None = None, table: str | None = None) -> int:
    return command.run_stream(SHOP, file, records, rate, table)


def test_each_row_is_a_record_with_a_name_of_its_own(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "lines.csv"
    file.write_bytes(sheet(rows(1300)))
    assert send(file) == 0
    records = sent(home)
    expected = list(csv.DictReader(file.open()))
    assert [{**record, "record_id": None} for record in records] == [
        {name: value or None for name, value in row.items()} | {"record_id": None} for row in expected
    ]
    names = [record["record_id"] for record in records]
    assert len(set(names)) == 1300
    # Sent again, under another name too, they have the same names; other bytes have others.
    again = file.rename(tmp_path / "again.csv")
    send(again, records=3)
    assert [record["record_id"] for record in sent(home)[1300:]] == names[:3]
    other = tmp_path / "other.csv"
    other.write_bytes(sheet(rows(2)))
    send(other)
    assert not {record["record_id"] for record in sent(home)[1303:]} & set(names)


def test_any_file_that_upload_takes_can_be_sent(home: Path, tmp_path: Path) -> None:
    columns = [line.split(",") for line in rows(4)]
    table = pa.table({name: [row[at] for row in columns] for at, name in enumerate(HEADER.split(","))})
    file = tmp_path / "lines.parquet"
    pq.write_table(table.set_column(3, "Quantity", pa.array([1, 2, 3, 4])), file)
    send(file, records=3, rate=1000)
    assert [record["Quantity"] for record in sent(home)] == ["1", "2", "3"]
    assert all(record["StockCode"] for record in sent(home))


def test_what_was_sent_is_taken(home: Path, tmp_path: Path, warehouse: Warehouse) -> None:
    file = tmp_path / "lines.csv"
    file.write_bytes(sheet(rows(20)))
    send(file)
    send(file)
    rig = StreamRig(warehouse, home)
    rig.clear()
    (home / "streams" / STREAM).rename(home / "streams" / "test-lines")
    assert rig.run().totals["rows"] == 40
    assert rig.query("select count(distinct record_id) from raw_testshop.invoice_lines_stream") == [(20,)]
    rig.clear()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "InvoiceNo,Quantity\n1,2\n",
            "nothing was sent.*required columns are missing: StockCode, InvoiceDate, UnitPrice",
        ),
        (f"{HEADER}\n1,2\n", "nothing was sent.*line 2.*2 columns where the header has 8"),
        ("", "nothing was sent.*the file is empty"),
    ],
)
def test_a_file_that_cannot_be_read_whole_is_not_sent(home: Path, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "lines.csv"
    file.write_text(text)
    with pytest.raises(CommandError, match=f"(?s){words}"):
        send(file)
    assert not (home / "streams").exists()


def test_what_is_asked_wrongly_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such file"):
        send(tmp_path / "none.csv")
    with pytest.raises(CommandError, match="is a folder"):
        send(tmp_path)
    with pytest.raises(CommandError, match="name the file"):
        command.run_stream(SHOP, None, None, None, None)
    with pytest.raises(
        CommandError, match="no table 'lines' with a stream; name one with --table: invoice_lines_stream"
    ):
        send(tmp_path / "none.csv", table="lines")
    with pytest.raises(CommandError, match="no shop is named 'online_retial'; did you mean 'online_retail'"):
        command.run_stream("online_retial", tmp_path, None, None, None)


def test_the_command_teaches(home: Path, tmp_path: Path) -> None:
    said = cartograph(home, "stream", "--help")
    assert all(words in said.stdout for words in ("cartograph stream online_retail today.csv", "--accept-gap"))
    failed = cartograph(home, "stream", "olist", tmp_path / "x.csv", CARTOGRAPH_SHOPS_FILE="config/shops.yaml")
    assert failed.returncode == 2 and "olist has no stream. Give it a table with `stream: NAME`" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kinesis]:
    with kinesis(STREAM) as made:
        for name, value in {
            "CARTOGRAPH_STREAMS": "kinesis",
            "AWS_ENDPOINT_URL": made.endpoint,
            "AWS_REGION": "eu-west-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield made


def test_to_kinesis_nothing_is_lost_where_it_refuses_some(aws: Kinesis, tmp_path: Path) -> None:
    file = tmp_path / "lines.csv"
    file.write_bytes(sheet(rows(700)))
    aws.refuse = [100, 3]
    send(file)
    [shard] = aws.shards.values()
    assert len({json.loads(record.data)["record_id"] for record in shard.records}) == len(shard.records) == 700
    assert {record.key for record in shard.records} == {line.split(",")[0] for line in rows(700)}


def test_a_stream_that_does_not_exist_is_not_made(aws: Kinesis, tmp_path: Path) -> None:
    file = tmp_path / "lines.csv"
    file.write_bytes(sheet(rows(3)))
    aws.name = "another"
    with pytest.raises(SourceError, match=f"make it: aws kinesis create-stream --stream-name {STREAM} --shard-count 1"):
        send(file)
    assert set(aws.asked) == {"DescribeStreamSummary"}


def materialize(warehouse: Warehouse, shop: Shop, lake: Lake) -> dg.ExecuteInProcessResult:
    """The raw asset of the stream, by Dagster."""
    key = dg.AssetKey(["raw", SHOP, "invoice_lines_stream"])
    home = str(warehouse.settings.home)
    return dg.materialize(
        [asset for asset in build_extract_assets({SHOP: shop}) if asset.key == key],
        resources={
            "warehouse": WarehouseResource(home=home),
            "lake": LakeResource(location=lake.location),
            "streams": StreamsResource(home=home),
        },
    )


def test_a_gap_is_accepted_on_demand(
    aws: Kinesis,
    warehouse: Warehouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CARTOGRAPH_HOME", str(warehouse.settings.home))
    settings.get_settings.cache_clear()
    shop, lake = shop_named(SHOP), Lake(str(tmp_path / "lake"))

    def extract() -> StreamReport:
        stream = open_stream(settings.get_settings(), STREAM)
        return extract_stream(warehouse, lake, stream, shop, "invoice_lines_stream", say=lambda _: None)

    try:
        aws.put(data(0))
        extract()
        aws.put(data(1))
        aws.advance(timedelta(hours=25))
        with pytest.raises(ExtractError) as caught:
            extract()
        assert "cartograph stream online_retail --accept-gap" in str(caught.value)
        with pytest.raises(CommandError, match="leave the file out"):
            command.run_accept_gap(SHOP, None, tmp_path / "x.csv")
        assert command.run_accept_gap(SHOP, None, None) == 0
        said = capsys.readouterr().out
        assert f"Accepted: stream {STREAM}, shard shardId-000000000000: it was read to 20" in said
        assert len(extract().gaps) == 1
        made = materialize(warehouse, shop, lake)
        [told] = made.get_asset_materialization_events()
        metadata = told.materialization.metadata
        assert (metadata["gaps"].value, metadata["shards"].value, metadata["records read"].value) == (1, 1, 0)
        assert "shardId-000000000000" in str(metadata["accepted gaps"].value)
        checks = {item.check_name: (item.passed, item.severity) for item in made.get_asset_check_evaluations()}
        assert checks["no_gaps"] == (False, dg.AssetCheckSeverity.WARN) and checks["every_row_readable"][0]
        command.run_accept_gap(SHOP, None, None)
        assert "has lost nothing: there is no gap to accept" in capsys.readouterr().out
    finally:
        with warehouse.connect() as connection:
            connection.execute(f"drop schema if exists raw_{SHOP} cascade")
            for table in ("extracts", "shards", "gaps", "changes"):
                connection.execute(f"delete from ledger.{table} where shop = %s", [SHOP])  # type: ignore[arg-type]
