"""A stream of Kinesis as AWS has it: shards that split and merge, records that expire, refusals, and wrong settings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.extracts import stream
from assets.extracts.errors import ExtractError
from resources import streams
from resources.far import SourceError
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.far.stream_rig import STREAM, StreamRig, data, with_credentials
from tests.standins.kinesis import JSON, Fault, Kinesis, kinesis

HOUR = timedelta(hours=1)


@pytest.fixture
def aws() -> Iterator[Kinesis]:
    with kinesis(STREAM) as made:
        yield made


@pytest.fixture
def rig(aws: Kinesis, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamRig]:
    with_credentials(monkeypatch, tmp_path)
    for module, name, seconds in ((streams, "LONGEST_WAIT", 0.05), (stream, "BREATH", 0.02), (stream, "PAUSE", 0.1)):
        monkeypatch.setattr(module, name, seconds)
    made = StreamRig(warehouse, tmp_path, streams="kinesis", aws_endpoint=aws.endpoint, aws_region="eu-west-1")
    made.clear()
    yield made
    made.clear()


class Numbers:
    """Puts records under growing numbers."""

    def __init__(self, aws: Kinesis) -> None:
        self.aws, self.count = aws, 0

    def put(self, count: int = 1) -> None:
        for _ in range(count):
            self.aws.put(data(self.count), str(self.count))
            self.count += 1


@pytest.fixture
def numbers(aws: Kinesis) -> Numbers:
    return Numbers(aws)


def extract(rig: StreamRig, numbers: Numbers, **more: Any) -> None:
    """An extract that must bring the table up to the stream."""
    rig.run(**more)
    assert rig.ids() == list(range(numbers.count))
    rig.check()


# Shards


def test_every_shard_is_read_once_and_its_children_after_it(rig: StreamRig, aws: Kinesis, numbers: Numbers) -> None:
    aws.make(shards=3)
    aws.page_size = 2
    numbers.put(20)
    aws.split()
    numbers.put(20)
    extract(rig, numbers)
    aws.split()
    aws.split()
    numbers.put(20)
    aws.merge()
    aws.split()
    numbers.put(20)
    extract(rig, numbers, linger=0.1)
    order = aws.reads
    for shard in aws.shards.values():
        for parent in shard.parents:
            assert max(at for at, name in enumerate(order) if name == parent) < order.index(shard.id)
    ended = {name for name, (_, has_ended) in rig.shards().items() if has_ended}
    assert ended == {shard.id for shard in aws.shards.values() if shard.closed_at is not None}
    before = rig.everything()
    extract(rig, numbers)
    assert rig.everything() == before
    assert not ended & set(aws.reads[len(order) :]), "a shard that has ended was read again"


def test_shards_that_split_while_they_are_read_lose_nothing(rig: StreamRig, aws: Kinesis, numbers: Numbers) -> None:
    aws.read_limit = 3
    numbers.put(10)

    def happen(text: str) -> None:
        if text.startswith("committed") and numbers.count < 100:
            numbers.put(5)
            aws.split()
            numbers.put(5)
            aws.merge()

    extract(rig, numbers, heard=happen, linger=0.5)
    assert numbers.count >= 100


def test_numbers_of_56_digits_are_kept_whole(rig: StreamRig, aws: Kinesis, numbers: Numbers) -> None:
    numbers.put(3)
    rig.run()
    sequences = [number for (number,) in rig.query("select _sequence from raw_testshop.invoice_lines_stream")]
    held = [str(record.sequence) for shard in aws.shards.values() for record in shard.records]
    assert sorted(sequences) == sorted(held) and {len(number) for number in sequences} == {56}
    assert aws.content_types == {JSON}


def test_reads_that_give_nothing_are_not_the_end(rig: StreamRig, aws: Kinesis, numbers: Numbers) -> None:
    numbers.put(5)
    aws.empty_reads = 3
    extract(rig, numbers)


def test_an_iterator_that_expired_is_fetched_anew(rig: StreamRig, aws: Kinesis, numbers: Numbers) -> None:
    numbers.put(2)
    laps = iter(range(3))

    def take_long(text: str) -> None:
        if text.startswith("committed") and next(laps, None) is not None:
            aws.advance(timedelta(minutes=6))
            numbers.put()

    extract(rig, numbers, heard=take_long, linger=0.3)
    assert sum("its iterator has expired" in text for text in rig.said) == 3


def test_a_number_that_is_long_forgotten_is_gone_on_from_the_horizon(
    rig: StreamRig, aws: Kinesis, numbers: Numbers
) -> None:
    numbers.put(3)
    extract(rig, numbers)
    numbers.put(2)
    aws.faults.append(Fault("GetShardIterator", "InvalidArgumentException", times=1))
    extract(rig, numbers)


# What is lost


def test_records_that_expired_unread_are_a_loud_loss_until_it_is_accepted(
    rig: StreamRig, aws: Kinesis, numbers: Numbers
) -> None:
    numbers.put(3)
    extract(rig, numbers)
    aws.put(data(100))
    aws.advance(25 * HOUR)
    aws.put(data(3))
    for _ in range(2):
        message = rig.refusal()
        assert f"stream {STREAM}, shard shardId-000000000000: it was read to 20" in message
        assert "and the stream holds what came since 20" in message
        assert "run: cartograph stream testshop --accept-gap" in message
    assert rig.accept() == ["shardId-000000000000"]
    report = rig.run()
    assert rig.ids() == [0, 1, 2, 3]
    [gap] = report.gaps
    assert gap["shard"] == "shardId-000000000000" and gap["read to"] < gap["goes on from"]
    assert rig.accept() == [] and len(rig.run().gaps) == 1
    rig.check()


def test_what_came_before_the_horizon_and_was_read_is_not_read_again_after_a_gap(
    rig: StreamRig, aws: Kinesis, numbers: Numbers
) -> None:
    numbers.put(3)
    extract(rig, numbers)
    aws.advance(25 * HOUR)
    aws.retention = 48 * HOUR  # nothing is trimmed, though the ledger cannot know that
    with rig.warehouse.connect() as connection:
        connection.execute("update ledger.shards set read_to = read_to - interval '3 days', begun_at = read_to")
    numbers.put()
    assert rig.accept() == ["shardId-000000000000"]
    extract(rig, numbers)


def test_a_quiet_stream_is_looked_at_and_that_is_noted_once_an_hour(
    rig: StreamRig, aws: Kinesis, numbers: Numbers
) -> None:
    numbers.put(2)
    extract(rig, numbers)
    before = rig.everything()
    aws.advance(timedelta(minutes=50))
    version = rig.run().data_version
    assert rig.everything() == before
    for _ in range(4):
        aws.advance(20 * HOUR)
        report = rig.run()
        assert report.is_unchanged and report.data_version == version
    after = rig.everything()
    assert after[3] != before[3] and after[:3] == before[:3]
    aws.advance(25 * HOUR)
    assert "what came between the two may be lost" in rig.refusal()


def test_a_first_read_begins_with_what_there_is(rig: StreamRig, aws: Kinesis, numbers: Numbers) -> None:
    """What is just about to expire is no loss of a first read, also where it was cut short."""
    numbers.put(3)
    aws.advance(timedelta(hours=23, minutes=59, seconds=50))
    numbers.put(2)
    extract(rig, numbers)
    aws.advance(timedelta(minutes=5))
    numbers.put()
    extract(rig, numbers)


def test_a_process_that_slept_for_longer_than_the_retention_notices(
    rig: StreamRig, aws: Kinesis, numbers: Numbers
) -> None:
    numbers.put(2)
    extract(rig, numbers)
    aws.advance(2 * HOUR)
    numbers.put()

    def sleep(text: str) -> None:
        if text.startswith("committed"):
            aws.put(data(50))
            aws.advance(30 * HOUR)

    with pytest.raises(ExtractError, match="may be lost"):
        rig.run(sleep, linger=1)
    assert rig.ids() == [0, 1, 2]


def test_a_shard_that_vanished_unread_and_those_that_came_and_went_are_lost(
    rig: StreamRig, aws: Kinesis, numbers: Numbers
) -> None:
    numbers.put(3)
    extract(rig, numbers)
    first = [*aws.split()]
    aws.split(first[0])
    aws.put(data(77))
    aws.advance(25 * HOUR)
    numbers.put(6)
    message = rig.refusal()
    assert "shard shardId-000000000000: it is not there any more" in message and "(and 2 more shards)" in message
    # One of its children came and went meanwhile, the other may have lost what came first.
    assert set(rig.accept()) == {"shardId-000000000000", *first}
    extract(rig, numbers)


def test_children_that_were_not_read_in_time_are_lost_too(rig: StreamRig, aws: Kinesis, numbers: Numbers) -> None:
    numbers.put(3)
    extract(rig, numbers)
    aws.split()
    rig.query("select 1")
    with rig.warehouse.connect() as connection:  # as a process killed between the parent's end and its children
        connection.execute("update ledger.shards set has_ended = true where shop = 'testshop'")
    aws.put(data(77))
    aws.advance(25 * HOUR)
    numbers.put()
    assert "may be lost (and 1 more shards)" in rig.refusal()
    assert set(rig.accept()) == {"shardId-000000000001", "shardId-000000000002"}
    extract(rig, numbers)


def test_a_stream_that_was_made_anew_is_another_one(rig: StreamRig, aws: Kinesis, numbers: Numbers) -> None:
    numbers.put(3)
    version = rig.run().data_version
    aws.advance(HOUR)
    aws.make()
    numbers.put(2)
    message = rig.refusal()
    assert f"stream {STREAM}: it was made anew: what was read is of one that was made at 20" in message
    assert rig.accept() == ["*"]
    extract(rig, numbers)
    assert rig.run().data_version != version


# Refusals that pass, and those that do not


@pytest.mark.parametrize(
    "code", ["ProvisionedThroughputExceededException", "LimitExceededException", "InternalFailure"]
)
def test_what_passes_is_waited_for_and_said(rig: StreamRig, aws: Kinesis, numbers: Numbers, code: str) -> None:
    numbers.put(5)
    status = 500 if code == "InternalFailure" else 400
    aws.faults += [Fault("GetRecords", code, status=status, times=1), Fault("ListShards", code, status=status, times=1)]
    extract(rig, numbers)
    assert sum("; attempt 2 of 6 in " in text for text in rig.said) == 2


def test_throttling_without_an_end_ends(rig: StreamRig, aws: Kinesis, numbers: Numbers) -> None:
    numbers.put(5)
    aws.faults.append(Fault("GetRecords", "ProvisionedThroughputExceededException", "Rate exceeded"))
    message = rig.refusal()
    assert "it is asked too often, also after several attempts" in message and aws.asked["GetRecords"] == 6


def test_of_a_put_those_records_are_sent_again_that_were_not_taken(rig: StreamRig, aws: Kinesis) -> None:
    aws.refuse = [3, 1]
    rig.put(*(data(number) for number in range(10)))
    assert aws.asked["PutRecords"] == 3
    rig.run()
    assert rig.ids() == list(range(10))
    [shard] = aws.shards.values()
    again = [record.key for record in shard.records[-3:]]
    assert again == ["key 2", "key 4", "key 0"], "in their order, but for one that was turned away twice"


def test_more_than_a_put_may_hold_is_put_in_pieces(rig: StreamRig, aws: Kinesis) -> None:
    rig.put(*(data(number) for number in range(1100)))
    assert aws.asked["PutRecords"] == 3
    rig.put(*(data(2000 + number, Description="x" * (1 << 20)) for number in range(6)))
    assert aws.asked["PutRecords"] == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAOTHER"}, "AWS does not know these credentials .*Remedy: correct AWS_PROFILE"),
        ({"AWS_ACCESS_KEY_ID": None}, "no AWS credentials are found.*Remedy: set AWS_PROFILE, or AWS_ACCESS_KEY_ID"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "no AWS credentials are found.*Remedy: set AWS_PROFILE"),
        ({"region": "eu-central-1"}, "belongs to another region .*Remedy: set AWS_REGION"),
        ({"region": None}, "no AWS region is set.*Remedy: set AWS_REGION"),
        ({"clock": timedelta(hours=1)}, "the clock of this machine is wrong .*Remedy: set it by a time server"),
        ({"denied": True}, "may not do that .*kinesis:DescribeStreamSummary.*Remedy: allow the action"),
        (
            {"name": "test-liens"},
            "there is no such stream .*aws kinesis create-stream --stream-name test-liens .*eu-west-1",
        ),
        ({"endpoint": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer .*Remedy: check AWS_REGION, AWS_END"),
        ({"endpoint": "127.0.0.1"}, "Remedy: "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_is_set_wrong_is_one_line_with_its_remedy(
    rig: StreamRig, aws: Kinesis, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str
) -> None:
    settings = {"aws_endpoint": aws.endpoint, "aws_region": "eu-west-1"}
    for name, value in change.items():
        if name.startswith("AWS_") and value is None:
            monkeypatch.delenv(name)
        elif name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
        elif name in ("region", "endpoint"):
            settings[f"aws_{name}"] = value
        elif name == "clock":
            aws.checks_clock = True
            aws.advance(value)
        elif name == "denied":
            action = "kinesis:DescribeStreamSummary"
            aws.faults.append(Fault("*", "AccessDeniedException", f"User x is not authorized to perform: {action}"))
    began = time.monotonic()
    name = change.get("name", STREAM)
    other = load_settings(home=rig.home, environment="test", streams="kinesis", **settings)
    with pytest.raises(SourceError, match=rf"^stream {name}.*{words}") as caught:
        streams.open_stream(other, name).describe()
    assert "\n" not in str(caught.value)
    assert aws.asked.total() <= 1, "what cannot pass was tried again"
    assert time.monotonic() - began < 60, "it hangs"
