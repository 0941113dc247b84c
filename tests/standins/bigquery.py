"""A stand-in for BigQuery: Arrow tables and folders of Parquet over its REST API and its Storage Read API.

It speaks to the real client libraries over real sockets, evaluates what they ask for, and refuses what BigQuery
refuses.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import duckdb
import grpc
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from google.cloud.bigquery_storage_v1 import types as storage
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

PAYER = "paying-project"
BATCH_ROWS = 500
SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"
TIME_TRAVEL = timedelta(days=7)
LEAST_BILLED = 10 * 2**20
"""A query is billed as so many bytes at least."""

READ_DATA, READ_TABLE = "bigquery.tables.getData", "bigquery.tables.get"
CREATE_SESSION, CREATE_JOB = "bigquery.readsessions.create", "bigquery.jobs.create"


@dataclass
class Served:
    """One table that is served."""

    data: pa.Table | Path | list[tuple[datetime, pa.Table]]
    """What it holds; or a folder of Parquet files; or what it held from which instants on."""
    partitioned_by: str | None = None
    """A column by whose days it is partitioned."""
    clustered_by: tuple[str, ...] = ()
    kind: str = "TABLE"
    location: str = "US"
    denied: frozenset[str] = frozenset()
    """Permissions that nobody has on it."""
    _folder: tuple[Any, pa.Table] | None = None

    def at(self, snapshot: datetime | None, name: str) -> pa.Table:
        """What it holds at an instant, by default in the end."""
        if isinstance(self.data, Path):
            return self._read(self.data)
        if isinstance(self.data, pa.Table):
            return self.data
        if snapshot is None:
            return self.data[-1][1]
        held = [table for since, table in self.data if since <= snapshot]
        if not held:
            raise Refusal(
                "INVALID_ARGUMENT", "invalid", f"Invalid snapshot time {snapshot} for table {name}. Cannot read before "
                f"{self.data[0][0]}"
            )  # fmt: skip
        return held[-1]

    def _read(self, folder: Path) -> pa.Table:
        files = sorted(folder.glob("*.parquet"))
        state = [(file.name, status.st_size, status.st_mtime_ns) for file in files for status in [file.stat()]]
        if self._folder is None or self._folder[0] != state:
            tables = [pq.read_table(file) for file in files]
            self._folder = state, as_in_bigquery(pa.concat_tables(tables, promote_options="permissive"))
        return self._folder[1]


@dataclass
class Fault:
    """What goes wrong with the next calls of a method."""

    method: str
    """Such as tables.get, jobs.insert, CreateReadSession or ReadRows."""
    code: str
    """The canonical name, such as UNAVAILABLE."""
    message: str = "it is scripted"
    reason: str = "backendError"
    times: int = 1
    after_rows: int = 0
    """Of ReadRows: so many rows of the stream are sent before."""
    retry_after: float | None = None
    """Seconds that a RetryInfo asks for."""
    hangs: float = 0.0
    """Seconds of silence in place of an error."""


class Refusal(Exception):
    """What BigQuery answers to a request that it does not take."""

    def __init__(self, code: str, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.retry_after = code, reason, message, retry_after


_HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}


@dataclass
class _Session:
    table: pa.Table
    streams: list[tuple[int, int]]
    """From which row to before which."""


@dataclass
class _Job:
    resource: dict[str, Any]
    result: pa.Table


class BigQueryStandIn:
    """Serves tables while its block lasts.

    Attributes:
        tables: by `project.dataset.table`; may be changed at any time.
        clock: what it takes for the present; None: the machine's.
        denied: permissions that nobody has.
        calls: how often each method was called.
        requests: what each call asked for: the method and its main argument.
    """

    def __init__(self, tables: dict[str, Any], clock: datetime | None = None) -> None:
        """
        Args:
            tables: `project.dataset.table` -> a `Served`, or its `data`; or `project.dataset` -> a folder that holds
                one folder of Parquet files per table.
        """
        self.tables: dict[str, Served] = {}
        self.datasets: dict[str, Path] = {}
        for name, data in tables.items():
            self.put(name, data)
        self.clock = clock
        self.denied: set[str] = set()
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.requests: list[tuple[str, Any]] = []
        self.sent_rows: Counter[str] = Counter()
        """Rows that were sent, by stream."""
        self.token_error: dict[str, Any] | None = None
        """What the token endpoint answers in place of a token."""
        self.location = "US"
        """Where jobs are run that name no location."""
        self._sessions: dict[str, _Session] = {}
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def put(self, name: str, data: Any) -> None:
        """Put a table, or a dataset's folder, in place of what has its name."""
        if isinstance(data, Path) and len(name.rsplit(".", 2)) < 3:
            self.datasets[name] = data
            return
        served = data if isinstance(data, Served) else Served(data)
        if isinstance(served.data, pa.Table):
            served.data = as_in_bigquery(served.data)
        elif isinstance(served.data, list):
            served.data = [(since, as_in_bigquery(table)) for since, table in served.data]
        self.tables[name] = served

    def environment(self) -> dict[str, str]:
        """The environment variables that make Cartograph read from here."""
        return {
            "CARTOGRAPH_BIGQUERY": "google",
            "BIGQUERY_PROJECT": PAYER,
            "BIGQUERY_ENDPOINT": self.endpoint,
            "BIGQUERY_STORAGE_ENDPOINT": self.storage_endpoint,
        }

    def __enter__(self) -> BigQueryStandIn:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        # Its socket listens already; what comes before the loop waits.
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self._grpc = grpc.server(
            futures.ThreadPoolExecutor(max_workers=16),
            options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
        )
        handlers = {
            "CreateReadSession": grpc.unary_unary_rpc_method_handler(
                self._guarded(self._create_read_session),
                request_deserializer=storage.CreateReadSessionRequest.deserialize,
                response_serializer=lambda message: type(message).pb(message).SerializeToString(),
            ),
            "ReadRows": grpc.unary_stream_rpc_method_handler(
                self._read_rows,
                request_deserializer=storage.ReadRowsRequest.deserialize,
                response_serializer=lambda message: type(message).pb(message).SerializeToString(),
            ),
        }
        self._grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.storage_endpoint = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._grpc.stop(None).wait()

    def now(self) -> datetime:
        return self.clock or datetime.now(UTC)

    # ---- what both ways share ----------------------------------------------------------------------------------------

    def begin(self, method: str, about: Any = None) -> None:
        """Count a call, and do what is scripted for it."""
        with self._lock:
            self.calls[method] += 1
            self.requests.append((method, about))
        fault = self._fault(method)
        if fault is not None:
            self._raise(fault)

    def _fault(self, method: str, rows: int = 0) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.method == method and fault.times > 0 and fault.after_rows <= rows:
                    fault.times -= 1
                    return fault
        return None

    def _raise(self, fault: Fault) -> None:
        if fault.hangs:
            time.sleep(fault.hangs)
            return
        raise Refusal(fault.code, fault.reason, fault.message, fault.retry_after)

    def find(self, project: str, dataset: str, table: str) -> Served:
        """A table.

        Raises:
            Refusal: it, its dataset or its project is not there.
        """
        name = f"{project}.{dataset}.{table}"
        if name in self.tables:
            return self.tables[name]
        folder = self.datasets.get(f"{project}.{dataset}")
        if folder is not None and any((folder / table).glob("*.parquet")):
            return self.tables.setdefault(name, Served(folder / table))
        self.check_dataset(project, dataset)
        raise Refusal("NOT_FOUND", "notFound", f"Not found: Table {project}:{dataset}.{table}")

    def check_dataset(self, project: str, dataset: str) -> None:
        datasets = {name.rsplit(".", 1)[0] for name in self.tables} | set(self.datasets)
        if f"{project}.{dataset}" not in datasets:
            if project not in {name.rsplit(".", 1)[0] for name in datasets}:
                raise Refusal("NOT_FOUND", "notFound", f"Not found: Project {project}")
            raise Refusal("NOT_FOUND", "notFound", f"Not found: Dataset {project}:{dataset}")

    def check_permission(self, permission: str, served: Served, name: str) -> None:
        if permission in self.denied or permission in served.denied:
            kind, _, table = name.rpartition(".")
            where = f"{kind.replace('.', ':', 1)}.{table}"
            raise Refusal(
                "PERMISSION_DENIED",
                "accessDenied",
                f"Access Denied: Table {where}: Permission {permission} denied on table {where} (or it may not exist).",
            )

    def check_project(self, permission: str, project: str) -> None:
        if permission in self.denied or project != PAYER:
            raise Refusal(
                "PERMISSION_DENIED",
                "accessDenied",
                f"Access Denied: Project {project}: User does not have {permission} permission in project {project}.",
            )

    def check_snapshot(self, snapshot: datetime | None) -> None:
        if snapshot is None:
            return
        if snapshot > self.now():
            raise Refusal("INVALID_ARGUMENT", "invalid", f"Invalid snapshot time {snapshot}: it is in the future.")
        if snapshot < self.now() - TIME_TRAVEL:
            raise Refusal(
                "INVALID_ARGUMENT", "invalid", f"Invalid snapshot time {snapshot}: it is too far in the past."
            )

    def select(
        self, served: Served, table: pa.Table, columns: list[str], where: Condition | None
    ) -> tuple[pa.Table, int]:
        """The rows of a condition, and how many bytes are scanned for them."""
        unknown = [name for name in columns if name not in table.schema.names]
        if unknown:
            raise Refusal("INVALID_ARGUMENT", "invalidQuery", f"Unrecognized name: {unknown[0]}")
        columns = columns or table.schema.names
        if where is None:
            return table.select(columns), table.select(columns).nbytes
        found = table.take(where.rows(table))
        read = [*columns, *(name for name in where.columns if name not in columns)]
        by = served.partitioned_by or next(iter(served.clustered_by), None)
        scanned = found if by in where.columns else table
        return found.select(columns), scanned.select(read).nbytes

    # ---- the Storage Read API ----------------------------------------------------------------------------------------

    def _guarded(self, call: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return call(request)
            except Refusal as refusal:
                _abort(context, refusal)

        return answer

    def _create_read_session(self, request: Any) -> Any:
        asked = request.read_session
        self.begin("CreateReadSession", asked)
        payer = re.fullmatch(r"projects/([^/]+)", request.parent)
        path = re.fullmatch(r"projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)", asked.table)
        if payer is None or path is None:
            raise Refusal("INVALID_ARGUMENT", "invalid", f"not a project and a table: {request.parent} {asked.table}")
        self.check_project(CREATE_SESSION, payer[1])
        served = self.find(*path.groups())
        self.check_permission(READ_DATA, served, ".".join(path.groups()))
        if served.kind not in ("TABLE", "SNAPSHOT"):
            raise Refusal(
                "INVALID_ARGUMENT", "invalid", "request failed: non-table entities cannot be read with the storage API"
            )
        if asked.data_format != storage.DataFormat.ARROW:
            raise Refusal("INVALID_ARGUMENT", "invalid", "request failed: this stand-in has Arrow alone")
        snapshot = asked.table_modifiers.snapshot_time or None
        if snapshot is not None:
            snapshot = datetime.fromtimestamp(snapshot.timestamp(), UTC)
        self.check_snapshot(snapshot)
        table = served.at(snapshot, ".".join(path.groups()))
        restriction = asked.read_options.row_restriction
        where = Condition.parse(tokens(restriction), table.schema, {}) if restriction else None
        rows, scanned = self.select(served, table, list(asked.read_options.selected_fields), where)
        wanted = min(request.max_stream_count or 8, max(1, math.ceil(len(rows) / BATCH_ROWS))) if len(rows) else 0
        edges = [len(rows) * at // wanted for at in range(wanted + 1)] if wanted else []
        with self._lock:
            name = f"projects/{payer[1]}/locations/us/sessions/s{len(self._sessions)}"
            self._sessions[name] = _Session(rows, list(pairwise(edges)))
        return storage.ReadSession(
            name=name,
            table=asked.table,
            data_format=storage.DataFormat.ARROW,
            arrow_schema=storage.ArrowSchema(serialized_schema=rows.schema.serialize().to_pybytes()),
            streams=[storage.ReadStream(name=f"{name}/streams/{at}") for at in range(wanted)],
            estimated_total_bytes_scanned=scanned,
            estimated_row_count=len(rows),
            expire_time=datetime.now(UTC) + timedelta(hours=6),
        )

    def _read_rows(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            self.begin("ReadRows", request)
            name, _, number = request.read_stream.partition("/streams/")
            session = self._sessions.get(name)
            if session is None or not number.isdecimal() or int(number) >= len(session.streams):
                raise Refusal("NOT_FOUND", "notFound", f"there is no stream {request.read_stream}")
            begin, end = session.streams[int(number)]
            if not 0 <= request.offset <= end - begin:
                raise Refusal("INVALID_ARGUMENT", "invalid", f"offset {request.offset} is not in the stream")
            at = begin + request.offset
            for batch in session.table.slice(at, end - at).combine_chunks().to_batches(BATCH_ROWS):
                fault = self._fault("ReadRows", at - begin)
                if fault is not None:
                    self._raise(fault)
                with self._lock:
                    self.sent_rows[request.read_stream] += len(batch)
                yield storage.ReadRowsResponse(
                    arrow_record_batch=storage.ArrowRecordBatch(
                        serialized_record_batch=batch.serialize().to_pybytes(), row_count=len(batch)
                    ),
                    row_count=len(batch),
                )
                at += len(batch)
        except Refusal as refusal:
            _abort(context, refusal)

    # ---- REST --------------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request.

        Raises:
            Refusal: it is not taken.
        """
        if (method, path) == ("POST", "/token"):
            self.begin("token")
            if self.token_error is not None:
                raise Refusal("INVALID_ARGUMENT", "token", json.dumps(self.token_error))
            return {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}
        found = re.fullmatch(r"/bigquery/v2/projects/([^/]+)/(.+)", path)
        parts = [unquote(part) for part in found[2].split("/")] if found else []
        project = unquote(found[1]) if found else ""
        match (method, parts):
            case ("GET", ["datasets", dataset]):
                self.begin("datasets.get", dataset)
                self.check_dataset(project, dataset)
                return {"id": f"{project}:{dataset}"}
            case ("GET", ["datasets", dataset, "tables", table]):
                self.begin("tables.get", table)
                return self._table_resource(project, dataset, table)
            case ("GET", ["datasets", dataset, "tables", table, "data"]):
                self.begin("tabledata.list", table)
                return self._partitions(project, dataset, table)
            case ("POST", ["jobs"]):
                self.begin("jobs.insert", body)
                return self._insert_job(project, body)
            case ("GET", ["jobs", job]):
                self.begin("jobs.get", job)
                return self._job(job).resource
            case ("GET", ["queries", job]):
                self.begin("jobs.getQueryResults", query)
                return self._query_results(job, query)
        raise Refusal("NOT_FOUND", "notFound", f"no such method: {method} {path}")

    def _table_resource(self, project: str, dataset: str, table: str) -> dict[str, Any]:
        plain, is_partitions, _ = table.partition("$__PARTITIONS_SUMMARY__")
        served = self.find(project, dataset, plain)
        self.check_permission(READ_TABLE, served, f"{project}.{dataset}.{plain}")
        reference = {"projectId": project, "datasetId": dataset, "tableId": table}
        if is_partitions:
            if served.partitioned_by is None:
                raise Refusal("INVALID_ARGUMENT", "invalid", f"Cannot list partitions of {plain}")
            fields = [{"name": name, "type": "STRING"} for name in ("project_id", "partition_id")]
            return {"tableReference": reference, "schema": {"fields": fields}, "type": "TABLE"}
        held = served.at(self.now(), plain)
        resource = {
            "tableReference": reference,
            "schema": {"fields": [field_resource(item) for item in held.schema]},
            "type": served.kind,
            "location": served.location,
        }
        if served.kind in ("TABLE", "SNAPSHOT"):
            resource |= {"numRows": str(len(held)), "numBytes": str(held.nbytes)}
        if served.partitioned_by:
            resource["timePartitioning"] = {"type": "DAY", "field": served.partitioned_by}
        if served.clustered_by:
            resource["clustering"] = {"fields": list(served.clustered_by)}
        return resource

    def _partitions(self, project: str, dataset: str, table: str) -> dict[str, Any]:
        plain, is_partitions, _ = table.partition("$__PARTITIONS_SUMMARY__")
        served = self.find(project, dataset, plain)
        self.check_permission(READ_DATA, served, f"{project}.{dataset}.{plain}")
        if not is_partitions or served.partitioned_by is None:
            raise Refusal("INVALID_ARGUMENT", "invalid", "this stand-in lists partitions alone")
        days = {value and str(value)[:10].replace("-", "") for value in
                served.at(self.now(), plain).column(served.partitioned_by).to_pylist()}  # fmt: skip
        rows = [{"f": [{"v": day or "__NULL__"}]} for day in sorted(days, key=str)]
        return {"totalRows": str(len(rows)), "rows": rows}

    def _insert_job(self, project: str, body: dict[str, Any]) -> dict[str, Any]:
        self.check_project(CREATE_JOB, project)
        asked = body["configuration"]["query"]
        reference = body["jobReference"]
        if reference["jobId"] in self._jobs:
            raise Refusal("ALREADY_EXISTS", "duplicate", f"Already Exists: Job {project}:{reference['jobId']}")
        if asked.get("useLegacySql") is not False:
            raise Refusal("INVALID_ARGUMENT", "invalidQuery", "this stand-in has GoogleSQL alone")
        query = Query.parse(asked["query"], asked.get("queryParameters", []), self)
        served = query.served
        location = reference.get("location") or served.location
        if location != served.location:
            raise Refusal(
                "NOT_FOUND",
                "notFound",
                f"Not found: Dataset {query.project}:{query.dataset} was not found in location {location}",
            )
        result, scanned = query.run(self)
        billed = max(LEAST_BILLED, math.ceil(scanned / 2**20) * 2**20)
        is_dry = bool(body["configuration"].get("dryRun"))
        limit = asked.get("maximumBytesBilled")
        if not is_dry and limit is not None and billed > int(limit):
            raise Refusal(
                "INVALID_ARGUMENT",
                "bytesBilledLimitExceeded",
                f"Query exceeded limit for bytes billed: {limit}. {billed} or higher required.",
            )
        table = {"projectId": project, "datasetId": "_anonymous", "tableId": f"anon{reference['jobId']}"}
        resource = {
            "jobReference": {**reference, "projectId": project, "location": location},
            "configuration": {**body["configuration"], "query": {**asked, "destinationTable": table}},
            "status": {"state": "DONE"},
            "statistics": {
                "totalBytesProcessed": str(scanned),
                "query": {
                    "totalBytesProcessed": str(scanned),
                    "totalBytesBilled": "0" if is_dry else str(billed),
                    "statementType": "SELECT",
                },
            },
        }
        if not is_dry:
            self._jobs[reference["jobId"]] = _Job(resource, result)
        return resource

    def _job(self, job: str) -> _Job:
        if job not in self._jobs:
            raise Refusal("NOT_FOUND", "notFound", f"Not found: Job {job}")
        return self._jobs[job]

    def _query_results(self, job: str, query: dict[str, str]) -> dict[str, Any]:
        made = self._job(job)
        begin = int(query.get("pageToken") or query.get("startIndex") or 0)
        size = int(query.get("maxResults") or len(made.result))
        page = made.result.slice(begin, size)
        if len(page) and query.get("formatOptions.useInt64Timestamp", "").lower() != "true":
            raise Refusal("INVALID_ARGUMENT", "invalid", "this stand-in gives instants as whole numbers alone")
        answer = {
            "jobReference": made.resource["jobReference"],
            "jobComplete": True,
            "totalRows": str(len(made.result)),
            "schema": {"fields": [field_resource(item) for item in made.result.schema]},
        }
        if len(page):
            answer["rows"] = json_rows(page)
        if begin + len(page) < len(made.result) and size:
            answer["pageToken"] = str(begin + len(page))
        return answer


def _abort(context: grpc.ServicerContext, refusal: Refusal) -> None:
    code = grpc.StatusCode[refusal.code]
    if refusal.retry_after is None:
        context.abort(code, refusal.message)
    detail = any_pb2.Any()
    delay = duration_pb2.Duration()
    delay.FromTimedelta(timedelta(seconds=refusal.retry_after or 0))
    detail.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code.value[0], message=refusal.message, details=[detail])
    context.abort_with_status(rpc_status.to_status(status))


def _handler(stand_in: BigQueryStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(stand_in.now().replace(microsecond=0), usegmt=True)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            is_json = "json" in self.headers.get("Content-Type", "")
            try:
                self._send(200, stand_in.answer(self.command, url.path, query, json.loads(body) if is_json else {}))
            except Refusal as refusal:
                if refusal.reason == "token":
                    self._send(400, json.loads(refusal.message))
                    return
                status = _HTTP[refusal.code]
                error = {"reason": refusal.reason, "message": refusal.message, "domain": "global"}
                self._send(
                    status, {"error": {"code": status, "message": refusal.message, "errors": [error],
                                       "status": refusal.code}}
                )  # fmt: skip

        do_POST = do_GET

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


# ---- types and values ------------------------------------------------------------------------------------------------

_TYPES = {
    "BOOLEAN": pa.bool_(),
    "INTEGER": pa.int64(),
    "FLOAT": pa.float64(),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "DATETIME": pa.timestamp("us"),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
}
JSON, GEOGRAPHY = {"bigquery": "JSON"}, {"bigquery": "GEOGRAPHY"}
"""Metadata of a field of strings that is of these types."""


def _in_bigquery(kind: pa.DataType) -> pa.DataType:
    """The Arrow type in which BigQuery gives what was of another one."""
    if pa.types.is_dictionary(kind):
        return _in_bigquery(kind.value_type)
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    if pa.types.is_decimal(kind):
        fits = kind.scale <= 9 and kind.precision - kind.scale <= 29
        return pa.decimal128(38, 9) if fits else pa.decimal256(76, 38)
    if pa.types.is_list(kind):
        return pa.list_(_in_bigquery(kind.value_type))
    return kind


def as_in_bigquery(table: pa.Table) -> pa.Table:
    """A table in the types that BigQuery has."""
    fields = [pa.field(item.name, _in_bigquery(item.type), metadata=item.metadata) for item in table.schema]
    return table.cast(pa.schema(fields))


def type_of(item: pa.Field) -> str:
    """The BigQuery type of a field."""
    given = (item.metadata or {}).get(b"bigquery")
    if given is not None:
        return str(given.decode())
    if pa.types.is_struct(item.type):
        return "RECORD"
    return next(name for name, kind in _TYPES.items() if kind == item.type)


def field_resource(item: pa.Field) -> dict[str, Any]:
    if pa.types.is_list(item.type):
        return field_resource(pa.field(item.name, item.type.value_type)) | {"mode": "REPEATED"}
    resource: dict[str, Any] = {"name": item.name, "type": type_of(item), "mode": "NULLABLE"}
    if pa.types.is_struct(item.type):
        resource["fields"] = [field_resource(item.type.field(at)) for at in range(item.type.num_fields)]
    return resource


def json_rows(table: pa.Table) -> list[dict[str, Any]]:
    columns = [[json_value(value, item.type) for value in table.column(item.name).to_pylist()] for item in table.schema]
    return [{"f": [{"v": value} for value in row]} for row in zip(*columns, strict=True)]


def json_value(value: Any, kind: pa.DataType) -> Any:
    """A value as the REST API writes it."""
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [{"v": json_value(item, kind.value_type)} for item in value]
    if pa.types.is_struct(kind):
        return {"f": [{"v": json_value(value[item.name], item.type)} for item in kind]}
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat()
        return str((value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value) if math.isfinite(value) else f"{'-' * (value < 0)}Infinity"
    text = format(value, "f") if pa.types.is_decimal(kind) else str(value)
    return text.rstrip("0").rstrip(".") if pa.types.is_decimal(kind) and "." in text else text


# ---- SQL -------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"\s*(?:(?P<quoted>`(?:[^`\\]|\\.)*`)|(?P<text>'(?:[^'\\]|\\.)*')|(?P<parameter>@[a-z_][a-z0-9_]*)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>\d+(?:\.\d+)?)|(?P<sign><=|>=|!=|<>|[-=<>().,*]))"
)
Token = tuple[str, str]


def tokens(text: str) -> list[Token]:
    """The words and signs of an expression.

    Raises:
        Refusal: it holds something else.
    """
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise Refusal("INVALID_ARGUMENT", "invalidQuery", f"Syntax error: Unexpected {text[place : place + 20]!r}")
        kind = str(match.lastgroup)
        value = match[kind]
        if kind in ("quoted", "text"):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        elif kind == "word":
            value = value.upper() if value.upper() in _WORDS else value
        found.append((kind, value))
        place = match.end()
    return found


_WORDS = {
    *("SELECT", "FROM", "WHERE", "FOR", "SYSTEM_TIME", "AS", "OF", "MIN", "AND", "OR", "NOT", "IS", "NULL"),
    *("TIMESTAMP", "DATETIME", "DATE"),
}
_LITERALS = {"TIMESTAMP": ("TIMESTAMPTZ", "TIMESTAMP"), "DATETIME": ("TIMESTAMP", "DATETIME"), "DATE": ("DATE", "DATE")}
_FORMS = {
    "TIMESTAMP": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?",
    "DATETIME": r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?",
    "DATE": r"\d{4}-\d\d-\d\d",
}


@dataclass
class Condition:
    """A condition on rows, as DuckDB has it."""

    sql: str
    values: list[Any]
    columns: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, found: list[Token], schema: pa.Schema, parameters: dict[str, tuple[str, Any]]) -> Condition:
        """
        Raises:
            Refusal: it names an unknown column, compares two types, or holds a bad literal.
        """
        made = cls("", [])
        sql: list[str] = []
        compared: list[str] = []
        """The types on both sides of the comparison that is being read."""
        at = 0
        while at < len(found):
            kind, value = found[at]
            at += 1
            if kind == "quoted" or (kind == "word" and value not in _WORDS):
                if value not in schema.names:
                    raise Refusal("INVALID_ARGUMENT", "invalidQuery", f"Unrecognized name: {value}")
                made.columns += [] if value in made.columns else [value]
                compared.append(type_of(schema.field(value)))
                sql.append('"' + value.replace('"', '""') + '"')
            elif kind == "word" and value in _LITERALS:
                if at >= len(found) or found[at][0] != "text" or not re.fullmatch(_FORMS[value], found[at][1]):
                    raise Refusal("INVALID_ARGUMENT", "invalidQuery", f"Invalid {value} literal")
                compared.append(value)
                # BigQuery takes an instant without a zone as UTC.
                text = found[at][1]
                zoned = value == "TIMESTAMP" and re.search(r"(Z|[+-]\d\d:\d\d)$", text[10:]) is None
                sql.append(f"{_LITERALS[value][0]} '{text}{'+00:00' if zoned else ''}'")
                at += 1
            elif kind == "parameter":
                if value[1:] not in parameters:
                    raise Refusal("INVALID_ARGUMENT", "invalidQuery", f"Query parameter {value} not found")
                given, content = parameters[value[1:]]
                compared.append(given)
                made.values.append(content)
                sql.append("?")
            else:
                if value in ("AND", "OR"):
                    compared = []
                sql.append(value)
            if len(compared) == 2 and compared[0] != compared[1]:
                raise Refusal(
                    "INVALID_ARGUMENT",
                    "invalidQuery",
                    f"No matching signature for operator for argument types: {', '.join(compared)}",
                )
        made.sql = " ".join(sql)
        return made

    def rows(self, table: pa.Table) -> pa.Array:
        """The numbers of the rows for which it holds."""
        named = {name: table.column(name) for name in self.columns}
        with duckdb.connect(config={"threads": 1}) as database:
            database.execute("set timezone = 'UTC'")
            database.register("held", pa.table({**named, "_row": pa.array(range(len(table)), pa.int64())}))
            try:
                found = database.execute(f"select _row from held where {self.sql} order by 1", self.values)
            except duckdb.Error as error:
                raise Refusal("INVALID_ARGUMENT", "invalidQuery", f"Syntax error: {error}") from error
            return found.to_arrow_table().column("_row").combine_chunks()


@dataclass
class Query:
    """`select ... from ... [for system_time as of ...] [where ...]` of one table."""

    project: str
    dataset: str
    table: str
    served: Served
    columns: list[str]
    smallest: str | None
    snapshot: datetime | None
    where: list[Token]
    parameters: dict[str, tuple[str, Any]]

    @classmethod
    def parse(cls, text: str, given: list[dict[str, Any]], stand_in: BigQueryStandIn) -> Query:
        """
        Raises:
            Refusal: it is another statement, or its table is not there.
        """
        parameters = dict(map(_parameter, given))
        left = tokens(text)

        def take(*wanted: str) -> bool:
            if [value for _, value in left[: len(wanted)]] != list(wanted):
                return False
            del left[: len(wanted)]
            return True

        def need(*wanted: str) -> None:
            if not take(*wanted):
                raise Refusal("INVALID_ARGUMENT", "invalidQuery", f"Syntax error: Expected {' '.join(wanted)}")

        need("SELECT")
        columns: list[str] = []
        smallest = None
        if take("MIN", "("):
            smallest = left.pop(0)[1]
            need(")")
        elif not take("*"):
            columns.append(left.pop(0)[1])
            while take(","):
                columns.append(left.pop(0)[1])
        need("FROM")
        names = [left.pop(0)[1]]
        while take("."):
            names.append(left.pop(0)[1])
        project, dataset, table = ".".join(names).rsplit(".", 2)
        served = stand_in.find(project, dataset, table)
        stand_in.check_permission(READ_DATA, served, f"{project}.{dataset}.{table}")
        snapshot = None
        if take("FOR", "SYSTEM_TIME", "AS", "OF"):
            if not take("TIMESTAMP") or not re.fullmatch(_FORMS["TIMESTAMP"], left[0][1]):
                raise Refusal("INVALID_ARGUMENT", "invalidQuery", "FOR SYSTEM_TIME AS OF needs a TIMESTAMP")
            snapshot = datetime.fromisoformat(left.pop(0)[1])
            if served.kind not in ("TABLE", "SNAPSHOT"):
                raise Refusal("INVALID_ARGUMENT", "invalidQuery", "FOR SYSTEM_TIME AS OF is not for views")
            stand_in.check_snapshot(snapshot)
        where = []
        if left:
            need("WHERE")
            where = left
        return cls(project, dataset, table, served, columns, smallest, snapshot, where, parameters)

    def run(self, stand_in: BigQueryStandIn) -> tuple[pa.Table, int]:
        """The result, and how many bytes are scanned for it."""
        held = self.served.at(self.snapshot, self.table)
        where = Condition.parse(self.where, held.schema, self.parameters) if self.where else None
        rows, scanned = stand_in.select(
            self.served, held, [self.smallest] if self.smallest is not None else self.columns, where
        )
        if self.smallest is not None:
            kind = held.schema.field(self.smallest).type
            return pa.table({"f0_": pa.array([pc.min(rows.column(0)).as_py()], kind)}), scanned
        return rows, scanned


def _parameter(given: dict[str, Any]) -> tuple[str, tuple[str, Any]]:
    kind, text = given["parameterType"]["type"], given["parameterValue"]["value"]
    if kind == "TIMESTAMP":
        value: Any = datetime.fromisoformat(text)
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif kind == "DATETIME":
        value = datetime.fromisoformat(text)
    elif kind == "DATE":
        value = date.fromisoformat(text)
    else:
        raise Refusal("INVALID_ARGUMENT", "invalidQuery", f"this stand-in has no parameters of {kind}")
    return given["name"], (kind, value)
