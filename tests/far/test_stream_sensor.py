"""The stream sensor: what makes it request an extract, and that it asks for one state once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.sensors import evaluate_streams
from resources.dagster_resources import StreamsResource, WarehouseResource
from resources.shops import Table
from resources.warehouse import Warehouse
from tests.far.stream_rig import STREAM, TABLE, StreamRig, data, with_credentials
from tests.rig import NAME
from tests.standins.kinesis import Fault, Kinesis, kinesis

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TAGS = {"shop": NAME, "cause": "stream", "stream": STREAM}


class Ticks:
    """Ticks of the sensor over a shop with a stream; the cursor is carried on."""

    def __init__(self, rig: StreamRig) -> None:
        self.rig = rig
        self.shops = {NAME: rig.shop}
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor: str | None = None
        self.now = NOW
        self.run_keys: list[str] = []

    def tick(self, after: timedelta = timedelta(0)) -> str | list[dg.RunRequest]:
        """The requests, or why there are none."""
        self.now += after
        result = evaluate_streams(
            dg.build_sensor_context(instance=self.instance, cursor=self.cursor),
            WarehouseResource(home=str(self.rig.warehouse.settings.home)),
            StreamsResource(home=str(self.rig.home)),
            self.shops,
            self.now,
        )
        self.cursor = result.cursor
        if result.run_requests:
            self.run_keys += [str(request.run_key) for request in result.run_requests]
            return list(result.run_requests)
        assert result.skip_reason is not None and result.skip_reason.skip_message
        return str(result.skip_reason.skip_message)


@pytest.fixture
def ticks(warehouse: Warehouse, tmp_path: Path) -> Iterator[Ticks]:
    rig = StreamRig(warehouse, tmp_path)
    rig.clear()
    yield Ticks(rig)
    rig.clear()


@pytest.fixture
def aws() -> Iterator[Kinesis]:
    with kinesis(STREAM) as made:
        yield made


@pytest.fixture
def far(aws: Kinesis, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ticks]:
    """The same over Kinesis."""
    with_credentials(monkeypatch, tmp_path)
    settings = {"CARTOGRAPH_STREAMS": "kinesis", "AWS_ENDPOINT_URL": aws.endpoint, "AWS_REGION": "eu-west-1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    rig = StreamRig(warehouse, tmp_path, streams="kinesis", aws_endpoint=aws.endpoint, aws_region="eu-west-1")
    rig.clear()
    yield Ticks(rig)
    rig.clear()


def test_without_a_stream_there_is_nothing_to_do(ticks: Ticks) -> None:
    assert ticks.tick() == f"{NAME}.{TABLE}: nothing was ever put there"
    ticks.shops = {NAME: ticks.rig.shop.model_copy(update={"tables": {"lines": Table(objects=["*"])}})}
    assert ticks.tick() == "no shop has a stream, and the API took in nothing new"


def test_new_records_are_requested_once_and_again_where_that_did_not_help(ticks: Ticks) -> None:
    ticks.rig.put(data(0))
    [request] = ticks.tick()
    assert isinstance(request, dg.RunRequest) and request.tags == TAGS
    assert request.asset_selection == [dg.AssetKey(["raw", NAME, TABLE])]
    assert request.run_config == {"ops": {f"raw__{NAME}__{TABLE}": {"config": {"linger_seconds": 30.0}}}}
    assert "cooling down" in ticks.tick(timedelta(seconds=5))
    asked = [isinstance(ticks.tick(timedelta(minutes=6)), list) for _ in range(4)]
    assert asked == [True, True, False, False]
    assert len(set(ticks.run_keys)) == 3
    assert "waiting for somebody" in ticks.tick()


def test_what_was_read_is_not_asked_for_and_what_comes_then_is_at_once(ticks: Ticks) -> None:
    ticks.rig.put(data(0))
    ticks.tick()
    ticks.rig.run()
    assert ticks.tick() == f"{NAME}.{TABLE}: nothing new"
    assert json.loads(str(ticks.cursor))["state"] == {}
    ticks.rig.put(data(1))
    assert isinstance(ticks.tick(), list)
    assert len(set(ticks.run_keys)) == 2


def test_a_lost_cursor_repeats_no_run(ticks: Ticks) -> None:
    ticks.rig.put(data(0))
    ticks.tick()
    ticks.cursor = None
    ticks.tick()
    assert len(ticks.run_keys) == 2 and len(set(ticks.run_keys)) == 1


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_while_it_is_being_read_nothing_is_asked(ticks: Ticks, status: dg.DagsterRunStatus) -> None:
    ticks.rig.put(data(0))
    run = dg.DagsterRun(job_name="extract", tags=TAGS, status=status)
    ticks.instance.add_run(run)
    assert ticks.tick() == f"{NAME}.{TABLE}: being read"
    ticks.instance.delete_run(run.run_id)
    assert isinstance(ticks.tick(), list)


def test_a_stream_that_is_away_hides_no_other(far: Ticks, aws: Kinesis) -> None:
    aws.put(data(0))
    gone = far.rig.shop.model_copy(
        update={"name": "gone", "tables": {TABLE: Table(stream="no-such-stream", cursor="invoice_date")}}
    )
    far.shops = {"gone": gone, NAME: far.rig.shop}
    [request] = far.tick()
    assert isinstance(request, dg.RunRequest) and request.tags["shop"] == NAME
    far.rig.run()
    assert far.tick() == f"gone.{TABLE}: its stream cannot be read (SourceError); {NAME}.{TABLE}: nothing new"


def test_a_split_and_a_loss_are_reasons_and_so_is_a_long_silence(far: Ticks, aws: Kinesis) -> None:
    aws.put(data(0))
    far.rig.run()
    assert far.tick() == f"{NAME}.{TABLE}: nothing new"
    aws.split()
    assert isinstance(far.tick(), list)
    far.rig.run()
    assert far.tick() == f"{NAME}.{TABLE}: nothing new"
    aws.advance(timedelta(hours=7))
    assert isinstance(far.tick(), list)
    assert "not looked at since" in far.tick()
    far.rig.run()
    assert far.tick() == f"{NAME}.{TABLE}: nothing new"
    aws.advance(timedelta(hours=30))
    far.tick()
    assert "it was read to" in far.tick()


def test_a_tick_asks_little(far: Ticks, aws: Kinesis) -> None:
    aws.put(data(0))
    far.rig.run()
    aws.asked.clear()
    far.tick()
    assert aws.asked == {"DescribeStreamSummary": 1, "ListShards": 1, "GetShardIterator": 1, "GetRecords": 1}
    aws.faults.append(Fault("*", "AccessDeniedException"))
    assert "its stream cannot be read" in far.tick()
