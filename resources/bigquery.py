"""BigQuery as a source of tables: slices through the Storage Read API, or by queries where that is not to be had."""

from __future__ import annotations

import base64
import io
import queue
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

from resources.bigquery_faults import (
    Place,
    explain,
    explained,
    faults,
    is_no_table,
    is_over_limit,
    is_passing,
    why_no_session,
)
from resources.far import LONGEST_WAIT, ReadAgain, Say, SourceError, with_retries
from resources.settings import Settings
from resources.shops import BigQuerySource, Shop
from resources.tables import BATCH_ROWS, FIRST_DATE, LAST_DATE, Cost, Span, asked_for, bound, midnight_like

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from google.auth.credentials import Credentials
    from google.cloud import bigquery
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient

STREAMS = 4
"""At most so many streams of a session are read at once."""
WAITING_BATCHES = 8
"""So many batches may wait to be taken, from all streams together: BigQuery sends on when there is room again."""
BATCH_BYTES = 16 << 20
"""Batches are gathered to so many bytes, or to the rows of a batch of any source."""
PAGE_ROWS = 10_000
CALL_SECONDS = 60.0
"""So long may one call take, which begins something or looks something up."""
QUERY_SECONDS = 600.0
"""So long may a query take."""
STALL_SECONDS = 300.0
"""A session of which nothing arrives for so long is given up, and its slice read again."""
SESSION_SECONDS = 6 * 3600.0
"""So long does BigQuery keep a session."""
SKEW = timedelta(minutes=5)
LEAST_BILLED = 10 * 2**20
"""A query is billed as so many bytes at least."""
_SCOPES = ("https://www.googleapis.com/auth/bigquery",)
_INSTANTS = ("TIMESTAMP", "DATETIME", "DATE")
_STORED = ("TABLE", "SNAPSHOT")
"""The kinds of tables that hold rows of their own, which the Storage Read API reads and snapshots are of."""

T = TypeVar("T")


class BigQueryTables:
    """The tables of a dataset. Nothing is opened before the first of them is asked for."""

    def __init__(self, settings: Settings, shop: Shop, say: Say) -> None:
        assert isinstance(shop.source, BigQuerySource)
        self.settings, self.shop, self.say = settings, shop, say
        self.dataset = shop.source.dataset
        self.most_billed = int(shop.source.max_gb_billed * 1e9)

    @property
    def location(self) -> str:
        return f"bigquery://{self.dataset}"

    def uri(self, table: str) -> str:
        return f"{self.location}.{table}"

    def now(self) -> datetime:
        """BigQuery's own clock, in whole seconds: a snapshot must not be in its future.

        Raises:
            SourceError: it cannot be asked.
        """
        from google.auth.transport.requests import AuthorizedSession

        project, _, name = self.dataset.rpartition(".")
        endpoint = (self.settings.bigquery_endpoint or "https://bigquery.googleapis.com").rstrip("/")
        url = f"{endpoint}/bigquery/v2/projects/{quote(project)}/datasets/{quote(name)}?fields=id"
        credentials = self.credentials
        with explained(self.place()), AuthorizedSession(credentials) as session:  # type: ignore[no-untyped-call]
            # Whatever the answer is, it says when it was given.
            answer = self.retried(lambda: session.get(url, timeout=CALL_SECONDS), "asking BigQuery for its time")
        stated = answer.headers.get("Date")
        if stated is None:
            raise SourceError(f"{endpoint} does not say what time it is", "see whether BIGQUERY_ENDPOINT is BigQuery's")
        now = parsedate_to_datetime(stated).astimezone(UTC)
        skew = datetime.now(UTC) - now
        if abs(skew) > SKEW:
            self.say(
                f"the clock of this machine is {abs(skew)} {'ahead of' if skew > SKEW else 'behind'} BigQuery's, which "
                "is the one that counts here; set it by a time server"
            )
        return now

    def has(self, table: str) -> bool:
        return self._describe(table) is not None

    def parts(self, table: str, at: datetime | None = None) -> list[BigQueryPart]:
        """The table, as it was at an instant.

        Raises:
            SourceError: it cannot be looked up.
        """
        described = self._describe(table)
        return [] if described is None else [BigQueryPart(self, described, at or self.now())]

    def place(self, table: str | None = None, location: str | None = None) -> Place:
        """Where a fault happened, for its message."""
        who = getattr(self.__dict__.get("credentials"), "service_account_email", None)
        return Place(self.dataset, table, self.__dict__.get("payer", "?"), who or "the account", location)

    def retried(self, call: Callable[[], T], what: str) -> T:
        return with_retries(call, what, is_passing, self.say, longest_wait=LONGEST_WAIT)

    def retry(self, what: str) -> Any:
        """The same as the client libraries take it: something that makes another call of a call."""

        def wrap(call: Callable[..., T]) -> Callable[..., T]:
            return lambda *args, **kwargs: self.retried(lambda: call(*args, **kwargs), what)

        return wrap

    @cached_property
    def credentials(self) -> Credentials:
        return self._account[0]

    @cached_property
    def payer(self) -> str:
        """The project that pays for what is read.

        Raises:
            SourceError: none is named.
        """
        payer = self.settings.bigquery_project or self._account[1]
        if payer is None:
            raise SourceError(
                "no project is named that pays for reading from BigQuery", "set BIGQUERY_PROJECT to its id"
            )
        return payer

    @cached_property
    def _account(self) -> tuple[Credentials, str | None]:
        import google.auth
        from google.auth.credentials import AnonymousCredentials

        if (self.settings.bigquery_endpoint or "").startswith("http://"):
            # No token is sent in the clear: only what stands in for BigQuery is reached so.
            return AnonymousCredentials(), None  # type: ignore[no-untyped-call]
        place = Place(self.dataset, None, self.settings.bigquery_project or "?", "the account")
        with explained(place):
            return google.auth.default(scopes=_SCOPES)

    @cached_property
    def rest(self) -> bigquery.Client:
        from google.api_core.client_options import ClientOptions
        from google.cloud import bigquery

        endpoint = self.settings.bigquery_endpoint
        options = ClientOptions(api_endpoint=endpoint) if endpoint else None
        return bigquery.Client(project=self.payer, credentials=self.credentials, client_options=options)

    @cached_property
    def storage(self) -> BigQueryReadClient | None:
        """The client of the Storage Read API; None where something stands in for BigQuery that lacks it."""
        import grpc
        from google.cloud.bigquery_storage_v1 import BigQueryReadClient
        from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

        endpoint = self.settings.bigquery_storage_endpoint
        if endpoint is None:
            if self.settings.bigquery_endpoint:
                return None
            return BigQueryReadClient(credentials=self.credentials)  # type: ignore[no-untyped-call]
        # The client's own option for an endpoint speaks TLS alone.
        channel = grpc.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", -1)])
        transport = BigQueryReadGrpcTransport(channel=channel)
        return BigQueryReadClient(transport=transport)  # type: ignore[no-untyped-call]

    def _describe(self, table: str) -> bigquery.Table | None:
        from google.cloud import bigquery

        project, _, name = self.dataset.rpartition(".")
        wanted = bigquery.TableReference(bigquery.DatasetReference(project, name), table)
        client = self.rest
        try:
            return self.retried(
                lambda: client.get_table(wanted, retry=None, timeout=CALL_SECONDS),  # type: ignore[arg-type]
                f"looking up {self.dataset}.{table}",
            )
        except faults() as error:
            if is_no_table(error):
                return None
            raise explain(error, self.place(table)) from error


class BigQueryPart:
    """A table of BigQuery, as it was at one instant."""

    is_sliceable = True
    changed_at = None

    def __init__(self, tables: BigQueryTables, described: bigquery.Table, at: datetime) -> None:
        self._tables, self._described, self._at = tables, described, at
        self.name = described.table_id
        self.uri = tables.uri(self.name)
        self.size = described.num_bytes or 0
        self.cost = Cost()
        self._kept: _Kept | None = None
        self._by_query = ""
        """Why the table is read by queries; empty where it is not."""
        if described.table_type not in _STORED:
            self._by_query = f"it is a {described.table_type.replace('_', ' ').lower()}, read as it is at the moment"
        elif tables.storage is None:
            self._by_query = "BIGQUERY_STORAGE_ENDPOINT is not set"
        size = "" if described.num_rows is None else f", {described.num_rows:,} rows, {_gb(self.size)}"
        way = f"by queries: {self._by_query}" if self._by_query else "through the Storage Read API"
        tables.say(f"{self.uri}{size}: read {way}")

    @cached_property
    def schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([(item.name, _arrow_type(item)) for item in self._described.schema])

    def open(self) -> IO[bytes]:
        raise io.UnsupportedOperation(f"{self.uri} is sliceable, and has no bytes to open")

    def is_as_listed(self) -> bool:
        return True

    def earliest(self, cursor: str) -> date | datetime | None:
        """The smallest value of a column by which the table is partitioned or clustered.

        Of any other column there is none on purpose: each slice would scan all of the table, so that one has to do.

        Raises:
            SourceError: it cannot be found out.
        """
        kind = self._kind(cursor)
        if kind not in _INSTANTS:
            return None
        if self._is_partitioned_by(cursor):
            retry = self._tables.retry(f"listing the partitions of {self.uri}")
            with explained(self._place):
                ids = self._tables.rest.list_partitions(self._described.reference, retry=retry, timeout=CALL_SECONDS)
            begins = [begin for name in ids if (begin := _partition_begin(name)) is not None]
            if not begins:
                return None
            first = min(begins)
            return first.date() if kind == "DATE" else first if kind == "TIMESTAMP" else first.replace(tzinfo=None)
        if (self._described.clustering_fields or [])[:1] == [cursor]:
            rows = list(self._query(f"MIN({_quoted(cursor)})", "", []))
            return rows[0][0] if rows else None
        return None

    def scan(
        self, columns: list[str] | None, cursor: str | None, span: Span
    ) -> Generator[tuple[pa.RecordBatch, np.ndarray | None], None, None]:
        """The rows of a span in batches; no order, and no lines.

        Raises:
            SourceError: they cannot be read, or would cost more than they may.
            ReadAgain: the session ended before its rows did.
        """
        kept = self._kept
        if kept is not None and span == kept.span and columns == kept.columns:
            for batch in kept.batches():
                yield batch, None
            return
        kept = None
        if cursor is not None and self._is_scanned_whole(cursor) and self._ends_now(span):
            kept = _Kept(columns, Span(None, span.high, is_undated=True))
        with closing(self._batches(columns, cursor, [span] if kept is None else [span, kept.span])) as batches:
            for batch in _gathered(batches):
                self._check_columns(batch, columns)
                batch = _plain(batch)
                if kept is not None and cursor is not None:
                    kept.add(_filter(batch, cursor, kept.span, self._tables.shop.zone))
                    batch = _filter(batch, cursor, span, self._tables.shop.zone)
                if len(batch):
                    yield batch, None
        self._kept = kept or self._kept

    def _check_columns(self, batch: pa.RecordBatch, columns: list[str] | None) -> None:
        """See that a batch has the columns that the table was said to have.

        Raises:
            SourceError: one is missing, for the table was altered in the meantime.
        """
        missing = [name for name in columns or self.schema.names if name not in batch.schema.names]
        if missing:
            raise SourceError(
                f"the columns of {self.name} changed while it was read: {', '.join(missing)}", "run again"
            )

    def _is_scanned_whole(self, cursor: str) -> bool:
        """Whether each slice of a column reads all of the table, as BigQuery bills it."""
        if self._kind(cursor) not in _INSTANTS:
            return False
        return not self._is_partitioned_by(cursor) and (self._described.clustering_fields or [])[:1] != [cursor]

    def _is_partitioned_by(self, cursor: str) -> bool:
        partitioned = self._described.time_partitioning
        return partitioned is not None and partitioned.field == cursor

    def _ends_now(self, span: Span) -> bool:
        """Whether a slice is the last one, behind which there are few rows."""
        return not span.is_undated and span.high is not None and self._at - span.high < timedelta(days=1)

    def _batches(
        self, columns: list[str] | None, cursor: str | None, spans: list[Span]
    ) -> Generator[pa.RecordBatch, None, None]:
        """The rows of any of some spans."""
        kind = self._kind(cursor) if cursor is not None else None
        if not self._by_query:
            where = self._conditions(cursor, spans, _literal) if cursor is not None and kind in _INSTANTS else ""
            session = self._session(columns or [], where)
            if session is not None:
                yield from self._read_session(session)
                return
        parameters: list[Any] = []
        where = ""
        if cursor is not None and kind in _INSTANTS:
            where = self._conditions(cursor, spans, lambda kind, value: _parameter(kind, value, parameters))
        selected = ", ".join(_quoted(name) for name in columns) if columns else "*"
        rows = self._query(selected, where, parameters)
        with explained(self._place):
            yield from rows.to_arrow_iterable()

    def _conditions(self, cursor: str, spans: list[Span], write: Callable[[str, Any], str]) -> str:
        if len(spans) > 1 and spans[0].low is None:
            return ""  # what is before an instant, and what is not
        found = [self._condition(cursor, span, write) for span in spans]
        return found[0] if len(found) == 1 else " OR ".join(f"({text})" for text in found)

    def _condition(self, cursor: str, span: Span, write: Callable[[str, Any], str]) -> str:
        """A span as a condition of GoogleSQL on a column of instants.

        Args:
            write: puts down a value of a BigQuery type.
        """
        zone, arrow = self._tables.shop.zone, self.schema.field(cursor).type
        kind, name = self._kind(cursor) or "", _quoted(cursor)

        def value(instant: Any) -> str:
            return write(kind, instant)

        if span.is_undated:
            either = [
                f"{name} IS NULL",
                f"{name} < {value(midnight_like(FIRST_DATE, arrow))}",
                f"{name} >= {value(midnight_like(LAST_DATE + timedelta(days=1), arrow))}",
            ]
            if span.high is not None:
                either.append(f"{name} >= {value(bound(span.high, arrow, zone))}")
            return " OR ".join(either)
        both = []
        if span.low is not None:
            both.append(f"{name} >= {value(bound(span.low, arrow, zone))}")
        if span.high is not None:
            both.append(f"{name} < {value(bound(span.high, arrow, zone, up=True))}")
        return " AND ".join(both)

    def _kind(self, column: str) -> str | None:
        """The BigQuery type of a column; None for one of many values."""
        found = next(item for item in self._described.schema if item.name == column)
        return None if found.mode == "REPEATED" else str(found.field_type)

    @property
    def _place(self) -> Place:
        return self._tables.place(self.name, self._described.location)

    def _afford(self, estimate: int) -> None:
        """See that what is about to be read may be, and say what it costs.

        Raises:
            SourceError: it would cost more than is allowed.
        """
        most, so_far = self._tables.most_billed, self.cost.billed
        if so_far + estimate > most:
            raise SourceError(
                f"reading on would bill more than is allowed: {_gb(estimate)} as estimated, after {_gb(so_far)}, and "
                f"max_gb_billed is {most / 1e9:g}",
                f"raise `max_gb_billed` of the source of {self._tables.shop.name} in config/shops.yaml; what is "
                "committed stays",
            )
        self.cost.estimated += estimate
        self._tables.say(
            f"{self.name}: reads {_gb(estimate)} as estimated, after {_gb(so_far)}, of at most {_gb(most)}"
        )

    # ---- by the Storage Read API -------------------------------------------------------------------------------------

    def _session(self, columns: list[str], where: str) -> Any | None:
        """A read session; None where there is none to be had, so that a query is made."""
        from google.cloud.bigquery_storage_v1 import types

        tables, client, reference = self._tables, self._tables.storage, self._described.reference
        assert client is not None
        wanted = types.ReadSession(
            table=f"projects/{reference.project}/datasets/{reference.dataset_id}/tables/{reference.table_id}",
            data_format=types.DataFormat.ARROW,
            table_modifiers=types.ReadSession.TableModifiers(snapshot_time=self._at),
            read_options=types.ReadSession.TableReadOptions(selected_fields=columns, row_restriction=where),
        )
        try:
            session = tables.retried(
                lambda: client.create_read_session(
                    parent=f"projects/{tables.payer}",
                    read_session=wanted,
                    max_stream_count=STREAMS,
                    retry=None,
                    timeout=CALL_SECONDS,
                ),
                f"beginning to read {self.uri}",
            )
        except faults() as error:
            self._by_query = why_no_session(error)
            if self._by_query:
                tables.say(f"{self.uri} is read by queries: {self._by_query}")
                return None
            raise explain(error, self._place) from error
        self._afford(session.estimated_total_bytes_scanned)
        return session

    def _read_session(self, session: Any) -> Generator[pa.RecordBatch, None, None]:
        """The batches of all streams as they come, each stream read by a thread; none is left when this ends.

        Raises:
            ReadAgain: the session ended before its rows did.
        """
        import pyarrow as pa

        schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
        streams = _Streams(self._tables, self._place, schema)
        received = 0
        with closing(streams):
            for name in session.streams:
                streams.start(name.name)
            for batch, size in streams.batches():
                received += size
                self.cost.billed += size
                yield batch
        # What a condition left unsent was scanned too.
        self.cost.billed += max(0, session.estimated_total_bytes_scanned - received)

    # ---- by queries --------------------------------------------------------------------------------------------------

    def _query(self, selected: str, where: str, parameters: list[Any]) -> bigquery.table.RowIterator:
        """The rows of a query, paged over REST.

        Raises:
            SourceError: it cannot be made, or would cost more than it may.
        """
        from google.cloud import bigquery

        tables, reference = self._tables, self._described.reference
        client, most = tables.rest, tables.most_billed
        name = f"{reference.project}.{reference.dataset_id}.{reference.table_id}"
        text = f"SELECT {selected} FROM {_quoted(name)}"
        if self._described.table_type in _STORED:
            text += f" FOR SYSTEM_TIME AS OF {_literal('TIMESTAMP', self._at)}"
        text += f" WHERE {where}" if where else ""
        retry = tables.retry(f"querying {self.uri}")

        def begin(**options: Any) -> bigquery.QueryJob:
            return client.query(
                text,
                job_config=bigquery.QueryJobConfig(query_parameters=parameters, **options),
                location=self._described.location,
                retry=retry,
                job_retry=None,
                timeout=CALL_SECONDS,
            )

        with explained(self._place):
            planned = begin(dry_run=True, use_query_cache=False)
        self._afford(max(planned.total_bytes_processed or 0, LEAST_BILLED))
        try:
            job = begin(maximum_bytes_billed=most - self.cost.billed)
            rows = job.result(page_size=PAGE_ROWS, retry=retry, timeout=QUERY_SECONDS, job_retry=None)
        except faults() as error:
            if is_over_limit(error):
                raise SourceError(
                    f"the query would bill more than the {_gb(most - self.cost.billed)} that are left of max_gb_billed",
                    f"raise `max_gb_billed` of the source of {tables.shop.name} in config/shops.yaml",
                ) from error
            raise explain(error, self._place) from error
        self.cost.billed += job.total_bytes_billed or 0
        return rows


class _Kept:
    """Rows of a scan that another span asks for: kept on disk, so that the table is not scanned for them again."""

    def __init__(self, columns: list[str] | None, span: Span) -> None:
        self.columns, self.span = columns, span
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        import pyarrow as pa

        if not len(batch):
            return
        if self._writer is None:
            self._writer = pa.ipc.new_stream(self._file, batch.schema)
        self._writer.write_batch(batch)

    def batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        if self._writer is None:
            return
        self._writer.close()
        self._file.seek(0)
        with pa.ipc.open_stream(self._file) as stream:
            yield from stream


class _Streams:
    """Streams of a session, each read by a thread of its own into a queue of few batches."""

    def __init__(self, tables: BigQueryTables, place: Place, schema: pa.Schema) -> None:
        self._tables, self._place, self._schema = tables, place, schema
        self._uri = tables.uri(place.table or "")
        self._ready: queue.Queue[Any] = queue.Queue(maxsize=WAITING_BATCHES)
        self._is_left = threading.Event()
        self._threads: list[threading.Thread] = []
        self._calls: dict[str, Any] = {}
        """The call of each stream that is open."""

    def start(self, name: str) -> None:
        thread = threading.Thread(target=self._read, args=(name,), name=f"read {self._uri}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def batches(self) -> Iterator[tuple[pa.RecordBatch, int]]:
        """The batches of all streams, and the bytes that they came in.

        Raises:
            ReadAgain: the session ended before its rows did.
            SourceError: it cannot be read on.
        """
        ended = 0
        while ended < len(self._threads):
            try:
                item = self._ready.get(timeout=STALL_SECONDS)
            except queue.Empty:
                raise ReadAgain(f"nothing arrived for {STALL_SECONDS:.0f} seconds") from None
            if isinstance(item, BaseException):
                raise item
            if item is None:
                ended += 1
            else:
                yield item

    def close(self) -> None:
        """End what still runs."""
        self._is_left.set()
        for call in list(self._calls.values()):
            call.cancel()
        for thread in self._threads:
            thread.join()

    def _read(self, name: str) -> None:
        import pyarrow as pa

        client = self._tables.storage
        assert client is not None
        try:
            # The client goes on behind the last row that came when a stream breaks off, through `_open` as well.
            stream = client.read_rows(  # type: ignore[no-untyped-call]
                name, retry=self._open(name), timeout=SESSION_SECONDS
            )
            for message in stream:
                data = message.arrow_record_batch.serialized_record_batch
                if not self._put((pa.ipc.read_record_batch(pa.py_buffer(data), self._schema), len(data))):
                    return
            self._put(None)
        except faults() as error:
            self._put(self._meaning(error))
        except BaseException as error:  # raised again by the consumer
            self._put(error)

    def _put(self, item: Any) -> bool:
        while not self._is_left.is_set():
            try:
                self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _open(self, name: str) -> Any:
        """Opens a stream, again where it does not open at once; in the form in which the client takes its retries."""

        def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
            def once(*args: Any, **kwargs: Any) -> Any:
                opened = self._calls[name] = call(*args, **kwargs)
                if self._is_left.is_set():
                    opened.cancel()
                return opened

            def opened(*args: Any, **kwargs: Any) -> Any:
                try:
                    return with_retries(
                        lambda: once(*args, **kwargs),
                        f"reading {self._uri}",
                        lambda error: not self._is_left.is_set() and is_passing(error),
                        self._tables.say,
                        longest_wait=LONGEST_WAIT,
                        sleep=self._is_left.wait,
                    )
                except faults() as error:
                    # As this, or the client would go on for as long as BigQuery asks it to come back later.
                    raise self._meaning(error) from error

            return opened

        return wrap

    def _meaning(self, error: Exception) -> Exception:
        """What an error says that ended a stream."""
        from google.api_core import exceptions

        ended = (
            exceptions.NotFound,
            exceptions.FailedPrecondition,
            exceptions.Aborted,
            exceptions.InternalServerError,
            exceptions.GatewayTimeout,
        )
        if isinstance(error, ended):
            return ReadAgain(f"the read session ended ({' '.join(error.message.split())[:200]})")
        return explain(error, self._place)


def _quoted(name: str) -> str:
    """A name as GoogleSQL quotes it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _literal(kind: str, value: Any) -> str:
    """An instant as a literal of a BigQuery type."""
    if kind == "DATE":
        return f"DATE '{value:%Y-%m-%d}'"
    if kind == "DATETIME":
        return f"DATETIME '{value:%Y-%m-%d %H:%M:%S.%f}'"
    return f"TIMESTAMP '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00'"


def _parameter(kind: str, value: Any, parameters: list[Any]) -> str:
    """An instant as a parameter, which is added to those of the query."""
    from google.cloud import bigquery

    name = f"bound_{len(parameters)}"
    parameters.append(bigquery.ScalarQueryParameter(name, kind, value))
    return f"@{name}"


def _partition_begin(name: str) -> datetime | None:
    """When a partition begins, from its id; None for those of rows without a date, or not sorted in yet."""
    pattern = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H"}.get(len(name)) if name.isdecimal() else None
    return datetime.strptime(name, pattern).replace(tzinfo=UTC) if pattern else None


def _arrow_type(field: bigquery.SchemaField) -> pa.DataType:
    """The Arrow type in which a column is given."""
    import pyarrow as pa

    kinds = {
        "BOOLEAN": pa.bool_(),
        "BOOL": pa.bool_(),
        "INTEGER": pa.int64(),
        "INT64": pa.int64(),
        "FLOAT": pa.float64(),
        "FLOAT64": pa.float64(),
        "NUMERIC": pa.decimal128(38, 9),
        "BIGNUMERIC": pa.decimal256(76, 38),
        "TIMESTAMP": pa.timestamp("us", tz="UTC"),
        "DATETIME": pa.timestamp("us"),
        "DATE": pa.date32(),
        "TIME": pa.time64("us"),
    }
    if field.field_type in ("RECORD", "STRUCT"):
        kind = pa.struct([(item.name, _arrow_type(item)) for item in field.fields])
    else:
        kind = kinds.get(field.field_type, pa.string())
    return pa.list_(kind) if field.mode == "REPEATED" else kind


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows of batches in larger ones: BigQuery sends few at a time, and each batch has its price further on."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    rows = size = 0

    def joined() -> list[pa.RecordBatch]:
        return pa.Table.from_batches(waiting).combine_chunks().to_batches()

    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        size += batch.nbytes
        if rows >= BATCH_ROWS or size >= BATCH_BYTES:
            yield from joined()
            waiting.clear()
            rows = size = 0
    if waiting:
        yield from joined()


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with bytes as text, in base64 as BigQuery writes them itself."""
    import pyarrow as pa

    arrays = []
    for values in batch.columns:
        if pa.types.is_binary(values.type):
            texts = [None if value is None else base64.b64encode(value).decode() for value in values.to_pylist()]
            values = pa.array(texts, pa.string())
        arrays.append(values)
    return pa.record_batch(arrays, names=batch.schema.names)


def _filter(batch: pa.RecordBatch, cursor: str, span: Span, zone: ZoneInfo) -> pa.RecordBatch:
    """The rows of a batch that a span asks for."""
    import pyarrow as pa

    mask = asked_for(batch.column(cursor), span, zone)
    return batch if mask is None else batch.filter(pa.array(mask))


def _gb(size: int) -> str:
    return f"{size / 1e9:,.3f} GB"
