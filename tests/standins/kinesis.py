"""Kinesis as AWS has it where moto differs: shards that close, end and have children, records that expire, refusals."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ITERATOR_LIVES = timedelta(minutes=5)
JSON = "application/x-amz-json-1.1"
KEY = "AKIATEST"
"""The access key that it knows."""
REGION = "eu-west-1"
_LAST_HASH = 2**128 - 1


@dataclass
class Held:
    """A record."""

    sequence: int
    arrived_at: datetime
    key: str
    data: bytes


@dataclass
class HeldShard:
    """A shard, its records, and what came of it."""

    id: str
    hashes: tuple[int, int]
    first: int
    parents: list[str] = field(default_factory=list)
    records: list[Held] = field(default_factory=list)
    closed_at: datetime | None = None
    children: list[str] = field(default_factory=list)


@dataclass
class Fault:
    """An answer in place of the right one."""

    operation: str
    code: str
    message: str = "as you asked for it"
    status: int = 400
    times: int | None = None
    """How often; None: always."""


class AwsError(Exception):
    """What is answered with an error."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Kinesis:
    """One stream and its server, which is up when it is made and stops with `stop`."""

    def __init__(self, name: str, shards: int = 1, retention: timedelta = timedelta(hours=24)) -> None:
        self.name, self.retention = name, retention
        self.offset = timedelta(0)
        """How far its clock is from the machine's."""
        self.checks_clock = False
        """Whether a request signed by another clock is refused."""
        self.faults: list[Fault] = []
        self.refuse: list[int] = []
        """For each put to come, how many of its records are not taken: every second one, from the first on."""
        self.read_limit = 10_000
        self.page_size = 100
        self.empty_reads = 0
        """So many reads to come give nothing, though there is something."""
        self.asked: Counter[str] = Counter()
        self.content_types: set[str] = set()
        self.reads: list[str] = []
        """The shards that were read, in that order."""
        self.lock = threading.RLock()
        self.number = 0
        self.make(shards)
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = standin.handle(self.headers, body)
                payload = json.dumps(answer).encode()
                self.send_response_only(status)
                self.send_header("Date", format_datetime(standin.now(), usegmt=True))
                self.send_header("Content-Type", JSON)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that was killed in the middle of an answer

        self.server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    # What tests do to it

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, by: timedelta) -> None:
        self.offset += by

    def make(self, shards: int = 1) -> None:
        """Make the stream, or delete it and make it again."""
        with self.lock:
            self.created_at = self.now()
            self.made = 0
            self.shards: dict[str, HeldShard] = {}
            width = (_LAST_HASH + 1) // shards
            for place in range(shards):
                last = _LAST_HASH if place == shards - 1 else (place + 1) * width - 1
                self._add((place * width, last), [])

    def split(self, shard: str = "") -> list[str]:
        """Split a shard, by default the first open one; gives its children."""
        with self.lock:
            parent = self.shards[shard] if shard else self.open()[0]
            low, high = parent.hashes
            middle = (low + high) // 2
            parent.closed_at = self.now()
            for hashes in ((low, middle), (middle + 1, high)):
                parent.children.append(self._add(hashes, [parent.id]).id)
            return parent.children

    def merge(self) -> str:
        """Merge the first two open shards that lie together; gives their child."""
        with self.lock:
            ordered = sorted(self.open(), key=lambda shard: shard.hashes)
            left, right = ordered[0], ordered[1]
            child = self._add((left.hashes[0], right.hashes[1]), [left.id, right.id])
            for parent in (left, right):
                parent.closed_at = self.now()
                parent.children.append(child.id)
            return child.id

    def open(self) -> list[HeldShard]:
        return [shard for shard in self.shards.values() if shard.closed_at is None]

    def put(self, data: bytes, key: str = "") -> str:
        """Put a record; gives its shard."""
        with self.lock:
            at = int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())
            shard = next(shard for shard in self.open() if shard.hashes[0] <= at <= shard.hashes[1])
            shard.records.append(Held(self._sequence(), self.now(), key, data))
            return shard.id

    def _add(self, hashes: tuple[int, int], parents: list[str]) -> HeldShard:
        shard = HeldShard(f"shardId-{self.made:012d}", hashes, self._sequence(), parents)
        self.made += 1
        self.shards[shard.id] = shard
        return shard

    def _sequence(self) -> int:
        """A number of 56 digits, greater than all before."""
        self.number += 1
        return 49 * 10**54 + self.number

    # What it answers

    def handle(self, headers: Any, body: bytes) -> tuple[int, dict[str, Any]]:
        operation = headers["X-Amz-Target"].removeprefix("Kinesis_20131202.")
        with self.lock:
            self.asked[operation] += 1
            self.content_types.add(headers["Content-Type"])
            try:
                self._check(headers)
                for fault in self.faults:
                    if fault.operation in (operation, "*") and fault.times != 0:
                        fault.times = None if fault.times is None else fault.times - 1
                        raise AwsError(fault.code, fault.message, fault.status)
                self._trim()
                return 200, getattr(self, f"_{operation}")(json.loads(body))
            except AwsError as error:
                return error.status, {"__type": error.code, "message": error.message}

    def _check(self, headers: Any) -> None:
        credential = headers["Authorization"].partition("Credential=")[2].partition(",")[0].split("/")
        if credential[0] != KEY:
            raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")
        if credential[2] != REGION:
            raise AwsError(
                "InvalidSignatureException", f"Credential should be scoped to a valid region, not '{credential[2]}'."
            )
        signed = datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if self.checks_clock and abs(self.now() - signed) > timedelta(minutes=5):
            raise AwsError(
                "InvalidSignatureException",
                f"Signature expired: {headers['X-Amz-Date']} is now earlier than {self.now():%Y%m%dT%H%M%SZ}.",
                403,
            )

    def _trim(self) -> None:
        horizon = self.now() - self.retention
        for shard in list(self.shards.values()):
            shard.records = [record for record in shard.records if record.arrived_at >= horizon]
            if shard.closed_at is not None and shard.closed_at < horizon:
                del self.shards[shard.id]

    def _stream(self, request: dict[str, Any]) -> None:
        if request.get("StreamName") != self.name:
            name = request.get("StreamName")
            raise AwsError("ResourceNotFoundException", f"Stream {name} under account 123456789012 not found.")

    def _shard(self, name: str) -> HeldShard:
        if name not in self.shards:
            raise AwsError("ResourceNotFoundException", f"Shard {name} in stream {self.name} does not exist.")
        return self.shards[name]

    def _DescribeStreamSummary(self, request: dict[str, Any]) -> dict[str, Any]:
        self._stream(request)
        return {
            "StreamDescriptionSummary": {
                "StreamName": self.name,
                "StreamARN": f"arn:aws:kinesis:{REGION}:123456789012:stream/{self.name}",
                "StreamStatus": "ACTIVE",
                "RetentionPeriodHours": int(self.retention / timedelta(hours=1)),
                "StreamCreationTimestamp": self.created_at.timestamp(),
                "EnhancedMonitoring": [],
                "OpenShardCount": len(self.open()),
            }
        }

    def _ListShards(self, request: dict[str, Any]) -> dict[str, Any]:
        if "NextToken" not in request:
            self._stream(request)
        elif "StreamName" in request:
            raise AwsError("InvalidArgumentException", "NextToken and StreamName cannot be provided together.")
        begin = int(request.get("NextToken", 0))
        shards = list(self.shards.values())
        listed = []
        for shard in shards[begin : begin + self.page_size]:
            entry: dict[str, Any] = {
                "ShardId": shard.id,
                "HashKeyRange": {"StartingHashKey": str(shard.hashes[0]), "EndingHashKey": str(shard.hashes[1])},
                "SequenceNumberRange": {"StartingSequenceNumber": str(shard.first)},
            }
            if shard.closed_at is not None:
                last = shard.records[-1].sequence if shard.records else shard.first
                entry["SequenceNumberRange"]["EndingSequenceNumber"] = str(last)
            listed.append(entry | dict(zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False)))
        more = begin + self.page_size < len(shards)
        return {"Shards": listed} | ({"NextToken": str(begin + self.page_size)} if more else {})

    def _iterator(self, shard: str, after: int) -> str:
        token = {"shard": shard, "after": str(after), "at": self.now().timestamp(), "stream": str(self.created_at)}
        return base64.b64encode(json.dumps(token).encode()).decode()

    def _GetShardIterator(self, request: dict[str, Any]) -> dict[str, Any]:
        self._stream(request)
        shard = self._shard(request["ShardId"])
        if request["ShardIteratorType"] == "TRIM_HORIZON":
            return {"ShardIterator": self._iterator(shard.id, 0)}
        assert request["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER"
        after = int(request["StartingSequenceNumber"])
        if after < shard.first:
            raise AwsError(
                "InvalidArgumentException",
                f"StartingSequenceNumber {after} used in GetShardIterator on shard {shard.id} in stream {self.name} "
                "under account 123456789012 is invalid because it did not come from this stream.",
            )
        return {"ShardIterator": self._iterator(shard.id, after)}

    def _GetRecords(self, request: dict[str, Any]) -> dict[str, Any]:
        token = json.loads(base64.b64decode(request["ShardIterator"]))
        if self.now().timestamp() - token["at"] > ITERATOR_LIVES.total_seconds():
            raise AwsError("ExpiredIteratorException", "Iterator expired. The iterator was created too long ago.")
        shard = self._shard(token["shard"])
        self.reads.append(shard.id)
        left = [record for record in shard.records if record.sequence > int(token["after"])]
        limit = min(self.read_limit, request.get("Limit", 10_000))
        if self.empty_reads and left:
            self.empty_reads -= 1
            limit = 0
        given, rest = left[:limit], left[limit:]
        after = given[-1].sequence if given else int(token["after"])
        answer: dict[str, Any] = {
            "Records": [
                {
                    "SequenceNumber": str(record.sequence),
                    "ApproximateArrivalTimestamp": record.arrived_at.timestamp(),
                    "Data": base64.b64encode(record.data).decode(),
                    "PartitionKey": record.key,
                }
                for record in given
            ],
            "MillisBehindLatest": int((self.now() - rest[0].arrived_at).total_seconds() * 1000) + 1 if rest else 0,
        }
        if shard.closed_at is None or rest:
            answer["NextShardIterator"] = self._iterator(shard.id, after)
        else:
            answer["ChildShards"] = [
                {"ShardId": child, "ParentShards": self.shards[child].parents, "HashKeyRange": {
                    "StartingHashKey": str(self.shards[child].hashes[0]),
                    "EndingHashKey": str(self.shards[child].hashes[1]),
                }}
                for child in shard.children
                if child in self.shards
            ]  # fmt: skip
        return answer

    def _PutRecords(self, request: dict[str, Any]) -> dict[str, Any]:
        self._stream(request)
        records = request["Records"]
        if len(records) > 500:
            raise AwsError("ValidationException", "Member must have length less than or equal to 500")
        refused = set(range(0, len(records), 2)[: self.refuse.pop(0)]) if self.refuse else set()
        told = []
        for place, record in enumerate(records):
            if place in refused:
                code = "ProvisionedThroughputExceededException"
                told.append({"ErrorCode": code, "ErrorMessage": "Rate exceeded for shard"})
            else:
                shard = self.put(base64.b64decode(record["Data"]), record["PartitionKey"])
                told.append({"ShardId": shard, "SequenceNumber": str(self.number)})
        return {"FailedRecordCount": len(refused), "Records": told}


@contextmanager
def kinesis(name: str, shards: int = 1, retention: timedelta = timedelta(hours=24)) -> Iterator[Kinesis]:
    """A stand-in that stops with the block."""
    made = Kinesis(name, shards, retention)
    try:
        yield made
    finally:
        made.stop()
