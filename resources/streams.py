"""Streams: ordered records in shards, read by sequence number; Kinesis, or a local folder of batches in its place."""

from __future__ import annotations

import base64
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from resources.far import ATTEMPTS, Say, SourceError, with_retries
from resources.settings import Settings

READ_RECORDS, READ_BYTES = 10_000, 10 << 20
"""How much one read gives at most: Kinesis' own bounds."""
PUT_RECORDS, PUT_BYTES = 500, 5 << 20
"""How much one put may hold: Kinesis' own bounds."""
PUT_ATTEMPTS = 12
"""A shard takes 1,000 records a second: a producer that is faster is turned away now and then, and waits."""
LONGEST_WAIT = 10.0
"""Seconds between two attempts."""
CONNECTION_ATTEMPTS = 3
"""An address that does not answer is seldom there a moment later."""

T = TypeVar("T")


@dataclass(frozen=True)
class Description:
    """A stream as a whole."""

    created_at: datetime
    """Tells a stream from a later one of the same name."""
    retention: timedelta | None
    """How long it keeps a record; None: until somebody removes it."""
    now: datetime
    """By the clock of its server, by which records age."""


@dataclass(frozen=True)
class Shard:
    """One shard: a sequence of records of its own."""

    id: str
    parents: tuple[str, ...] = ()
    """The shards of which it was made: their records come before its own."""
    first: str | None = None
    """The sequence number before which it holds nothing."""


@dataclass(frozen=True)
class Record:
    """One record as the stream holds it."""

    sequence: str
    """A whole number, to be compared as such: numbers of growing length are texts in another order."""
    arrived_at: datetime
    data: bytes


@dataclass(frozen=True)
class Batch:
    """What one read of a shard gave."""

    records: list[Record]
    behind: timedelta
    """How far it is from the newest record; a read that gave nothing may be behind all the same."""
    has_ended: bool
    """Nothing will come after these: the shard was split or merged, and its children go on."""
    now: datetime
    """By the server's clock."""


class Stream(Protocol):
    """One stream."""

    @property
    def name(self) -> str: ...

    @property
    def uri(self) -> str: ...

    def describe(self) -> Description | None:
        """The stream; None where nothing was ever put into it.

        Raises:
            SourceError: it cannot be reached, or does not exist where streams are made by others.
        """

    def shards(self) -> list[Shard]:
        """All shards that it still has, closed ones too."""

    def read(self, shard: str, after: str | None, limit: int = READ_RECORDS) -> Batch:
        """The records of a shard after one, or from the earliest that is there (None).

        Raises:
            SourceError: it cannot be read, and trying again at once would not help.
        """

    def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Put records, each with the key that chooses its shard; when this returns, the stream has them all.

        Raises:
            SourceError: some were not taken, whatever was tried.
        """


def open_stream(settings: Settings, name: str, say: Say = print) -> Stream:
    """A stream by its name: of Kinesis, or the folder of the home that stands in for it.

    Raises:
        SourceError: no region is set.
    """
    if settings.streams == "kinesis":
        return KinesisStream(settings, name, say)
    return FolderStream(settings.home / "streams" / name)


# ---- A folder --------------------------------------------------------------------------------------------------------

_SHARD = "shard-000000000000"


class FolderStream:
    """A folder with a folder of batches for each shard; a batch appears whole, under its first sequence number.

    Numbers count up from 1 without a gap, and nothing is ever removed: the retention is the disk's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name, self.uri = folder.name, str(folder)

    def describe(self) -> Description | None:
        file = self.folder / "stream.json"
        try:
            created_at = datetime.fromisoformat(json.loads(file.read_text())["created_at"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(
                f"{file}: it does not say when the stream was made ({error})", "put it back as it was"
            ) from error
        return Description(created_at, None, datetime.now(UTC))

    def shards(self) -> list[Shard]:
        found = []
        for entry in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if entry.is_dir():
                batches = _batches(entry)
                found.append(Shard(entry.name, first=str(batches[0][0]) if batches else str(_next_sequence(entry))))
        return found

    def read(self, shard: str, after: str | None, limit: int = READ_RECORDS) -> Batch:
        now, last = datetime.now(UTC), int(after or 0)
        batches = _batches(self.folder / shard)
        # The batch before the first that begins later may hold some, too.
        begin = max(sum(first <= last + 1 for first, _ in batches) - 1, 0)
        records: list[Record] = []
        size = 0
        for _, file in batches[begin:]:
            for record in _read_batch(file):
                if int(record.sequence) <= last:
                    continue
                if len(records) >= limit or size >= READ_BYTES:
                    return Batch(records, max(now - records[-1].arrived_at, timedelta(milliseconds=1)), False, now)
                records.append(record)
                size += len(record.data)
        return Batch(records, timedelta(0), False, now)

    def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        with self._locked():
            described = self.folder / "stream.json"
            if not described.exists():
                _write(described, json.dumps({"created_at": datetime.now(UTC).isoformat()}))
            shard = self.folder / _SHARD
            shard.mkdir(exist_ok=True)
            for chunk in _chunks(records):
                first, arrived_at = _next_sequence(shard), datetime.now(UTC).isoformat()
                lines = []
                for number, (key, data) in enumerate(chunk, start=first):
                    held = {"sequence": str(number), "arrived_at": arrived_at, "key": key} | _as_json(data)
                    lines.append(json.dumps(held, ensure_ascii=False) + "\n")
                _write(shard / f"{first:020d}.jsonl", "".join(lines))
                # Kept beside the batches, so that a number never comes again, whatever is taken away.
                _write(shard / "next", str(first + len(chunk)))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the stream against other producers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _batches(shard: Path) -> list[tuple[int, Path]]:
    """The batches of a shard in their order, each with its first sequence number."""
    with os.scandir(shard) as entries:
        found = [(int(entry.name[:-6]), Path(entry.path)) for entry in entries if entry.name.endswith(".jsonl")]
    return sorted(found)


def _read_batch(file: Path) -> Iterator[Record]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                held = json.loads(line)
                data = held["data"].encode() if "data" in held else base64.b64decode(held["base64"], validate=True)
                yield Record(str(int(held["sequence"])), datetime.fromisoformat(held["arrived_at"]), data)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SourceError(
                    f"{file}, line {number}: this is no record of a stream ({error!r})", "put the batch back as it was"
                ) from error


def _next_sequence(shard: Path) -> int:
    counted = shard / "next"
    following = int(counted.read_text()) if counted.exists() else 1
    batches = _batches(shard)
    if batches and batches[-1][0] >= following:  # killed between the two renames of a put
        following = max(int(record.sequence) for record in _read_batch(batches[-1][1])) + 1
    return following


def _as_json(data: bytes) -> dict[str, str]:
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _write(file: Path, text: str) -> None:
    """Write a file that appears whole, and stays through a power cut."""
    writing = file.with_name(file.name + ".part")
    with writing.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(writing, file)


def _chunks(records: Sequence[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Records in pieces, none larger than one put may be."""
    chunk: list[tuple[str, bytes]] = []
    size = 0
    for key, data in records:
        weight = len(key.encode()) + len(data)
        if chunk and (len(chunk) >= PUT_RECORDS or size + weight > PUT_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append((key, data))
        size += weight
    if chunk:
        yield chunk


# ---- Kinesis ---------------------------------------------------------------------------------------------------------

_THROTTLED = {
    *("ProvisionedThroughputExceededException", "LimitExceededException", "ThrottlingException", "Throttling"),
    *("KMSThrottlingException", "RequestLimitExceeded"),
}
_UNKNOWN_KEY = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "MissingAuthenticationToken",
}
_EXPIRED = {"ExpiredTokenException", "ExpiredToken", "TokenRefreshRequired"}
_SIGNATURE = {"InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "IncompleteSignature"}
_DENIED = {"AccessDeniedException", "AccessDenied", "KMSAccessDeniedException", "UnauthorizedOperation"}


class _Refused(Exception):
    """Some records of a put were not taken."""


class KinesisStream:
    """A stream of Kinesis, in the region and at the address of the settings, with AWS' usual credentials."""

    def __init__(self, settings: Settings, name: str, say: Say = print) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        self.name, self.say = name, say
        try:
            self._client = boto3.session.Session(region_name=settings.aws_region).client(
                "kinesis",
                endpoint_url=settings.aws_endpoint,
                # Retries are ours alone: these would neither be announced nor know how long the others take.
                config=Config(
                    connect_timeout=3, read_timeout=15, retries={"total_max_attempts": 1, "mode": "standard"}
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise _explain(error, name, settings.aws_region or "", settings.aws_endpoint or "") from error
        self.region, self.endpoint = self._client.meta.region_name, self._client.meta.endpoint_url
        self.uri = f"kinesis://{self.region}/{name}"
        self._iterators: dict[str, tuple[str | None, str]] = {}
        """Shard -> the sequence number after which its iterator reads, and the iterator."""

    def describe(self) -> Description:
        answer = self._call("describe_stream_summary", StreamName=self.name)
        found = answer["StreamDescriptionSummary"]
        return Description(
            found["StreamCreationTimestamp"].astimezone(UTC),
            timedelta(hours=found["RetentionPeriodHours"]),
            _clock(answer),
        )

    def shards(self) -> list[Shard]:
        found: list[Shard] = []
        page: dict[str, str] = {"StreamName": self.name}
        while True:
            answer = self._call("list_shards", **page)
            for shard in answer["Shards"]:
                parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
                first = shard["SequenceNumberRange"]["StartingSequenceNumber"]
                found.append(Shard(shard["ShardId"], tuple(parent for parent in parents if parent), first))
            if not answer.get("NextToken"):
                return found
            page = {"NextToken": answer["NextToken"]}

    def read(self, shard: str, after: str | None, limit: int = READ_RECORDS) -> Batch:
        answer = self._get_records(shard, after, limit)
        records = [
            Record(item["SequenceNumber"], item["ApproximateArrivalTimestamp"].astimezone(UTC), item["Data"])
            for item in answer["Records"]
            # Where what stood after a number is trimmed, reading goes on at the horizon: never before the number.
            if after is None or int(item["SequenceNumber"]) > int(after)
        ]
        following = answer.get("NextShardIterator")
        if following:
            self._iterators[shard] = records[-1].sequence if records else after, following
        behind = timedelta(milliseconds=answer.get("MillisBehindLatest") or 0)
        return Batch(records, behind, not following, _clock(answer))

    def _get_records(self, shard: str, after: str | None, limit: int) -> dict[str, Any]:
        for is_last in (False, True):
            reads_after, iterator = self._iterators.pop(shard, (None, ""))
            if not iterator or reads_after != after:
                iterator = self._iterator(shard, after)
            try:
                return self._call("get_records", ShardIterator=iterator, Limit=limit)
            except SourceError as error:
                # One lives five minutes: a run that waits longer between two reads fetches another.
                if is_last or _code(error.__cause__) != "ExpiredIteratorException":
                    raise
                self.say(f"stream {self.name}, shard {shard}: its iterator has expired; fetching another")
        raise AssertionError

    def _iterator(self, shard: str, after: str | None) -> str:
        asked = {"StreamName": self.name, "ShardId": shard}
        if after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
            try:
                return str(self._call("get_shard_iterator", **asked, **where)["ShardIterator"])
            except SourceError as error:
                if _code(error.__cause__) != "InvalidArgumentException":
                    raise
                # A number that is long forgotten; `read` leaves out what does not come after it.
                self.say(
                    f"stream {self.name}, shard {shard}: number {after} is not known any more; from the horizon on"
                )
        return str(self._call("get_shard_iterator", **asked, ShardIteratorType="TRIM_HORIZON")["ShardIterator"])

    def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        for chunk in _chunks(records):
            left = [{"PartitionKey": key, "Data": data} for key, data in chunk]

            def send(left: list[dict[str, Any]] = left) -> None:
                answer = self._client.put_records(StreamName=self.name, Records=left)
                told = [(item.get("ErrorCode"), item.get("ErrorMessage")) for item in answer["Records"]]
                left[:] = [record for record, (code, _) in zip(left, told, strict=True) if code]
                if left:
                    code, message = next(one for one in told if one[0])
                    raise _Refused(f"{len(left):,} of {len(told):,} records were not taken ({code}: {message})")

            self._retried(send, "put_records", PUT_ATTEMPTS)

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return self._retried(lambda: getattr(self._client, operation)(**arguments), operation)

    def _retried(self, call: Callable[[], T], operation: str, attempts: int = ATTEMPTS) -> T:
        from botocore.exceptions import BotoCoreError, ClientError

        connecting = 0

        def is_passing(error: BaseException) -> bool:
            nonlocal connecting
            if _is_connection(error):
                connecting += 1
                return connecting < CONNECTION_ATTEMPTS
            return isinstance(error, _Refused) or _is_throttled(error) or _is_theirs(error)

        try:
            return with_retries(call, f"stream {self.name}, {operation}", is_passing, self.say, attempts, LONGEST_WAIT)
        except (BotoCoreError, ClientError, _Refused) as error:
            raise _explain(error, self.name, self.region, self.endpoint) from error


def _clock(answer: dict[str, Any]) -> datetime:
    """The server's clock, from the head of an answer."""
    from email.utils import parsedate_to_datetime

    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date).astimezone(UTC) if date else datetime.now(UTC)


def _is_connection(error: BaseException) -> bool:
    from botocore.exceptions import ConnectionError, HTTPClientError

    return isinstance(error, (HTTPClientError, ConnectionError))


def _code(error: BaseException | None) -> str:
    """The code of an error that AWS answered with."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _is_throttled(error: BaseException) -> bool:
    return _code(error) in _THROTTLED


def _is_theirs(error: BaseException) -> bool:
    status = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status is not None and status >= 500


def _explain(error: BaseException, name: str, region: str, endpoint: str) -> SourceError:
    """What a fault of AWS or on the way to it means, and what to do."""
    from botocore import exceptions

    said = " ".join(str(error).split())
    where = f"stream {name}" + (f" in {region}" if region else "")
    told = getattr(error, "response", {}).get("Error", {})
    code, message = told.get("Code", ""), " ".join(str(told.get("Message", "")).split())
    keys = "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, exceptions.NoRegionError):
        return SourceError(f"{where}: no AWS region is set", "set AWS_REGION to the region of the stream")
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return SourceError(f"{where}: no AWS credentials are found", f"set {keys}, or run where a role is given")
    if _is_connection(error):
        return SourceError(
            f"{where}: {endpoint} does not answer ({said})", "check AWS_REGION, AWS_ENDPOINT_URL, and the network"
        )
    if code in _UNKNOWN_KEY:
        return SourceError(f"{where}: AWS does not know these credentials ({message})", f"correct {keys}")
    if code in _EXPIRED:
        return SourceError(
            f"{where}: the AWS credentials have expired ({message})", "renew them, such as by aws sso login"
        )
    if code in _SIGNATURE:
        if "expired" in message or "not yet current" in message or code == "RequestExpired":
            return SourceError(
                f"{where}: the clock of this machine is wrong ({message})",
                "set it by a time server, such as with chrony",
            )
        if "scoped" in message or "region" in message:
            return SourceError(
                f"{where}: {endpoint} belongs to another region ({message})",
                "set AWS_REGION to the region of AWS_ENDPOINT_URL, and of the stream",
            )
        return SourceError(f"{where}: the AWS secret key is wrong ({message})", f"correct {keys}")
    if code in _DENIED:
        return SourceError(
            f"{where}: these AWS credentials may not do that ({message})",
            "allow the action that it names on this stream, or use the credentials of a role that may",
        )
    if code == "ResourceNotFoundException":
        return SourceError(
            f"{where}: there is no such stream ({message})",
            f"correct AWS_REGION, or `stream` in config/shops.yaml; or make it: {creation(name, region)}",
        )
    if isinstance(error, _Refused) or _is_throttled(error):
        return SourceError(
            f"{where}: it is asked too often, also after several attempts ({said})",
            "run again later, see who else uses it, or give it more shards",
        )
    if _is_theirs(error):
        return SourceError(f"{where}: Kinesis has a fault of its own ({said})", "run again later")
    return SourceError(f"{where}: {said}", "see what AWS says of it, and correct the settings or the stream")


def creation(name: str, region: str) -> str:
    """The command that makes a stream."""
    return f"aws kinesis create-stream --stream-name {name} --shard-count 1 --region {region}"
