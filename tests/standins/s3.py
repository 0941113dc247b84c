"""S3 on a bad day: an HTTP proxy before moto's server that hides keys, serves old listings and breaks answers."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BLOCK = 1 << 16


@dataclass(frozen=True)
class Request:
    """One request, as S3 would read it."""

    method: str
    bucket: str
    key: str
    query: dict[str, list[str]]
    headers: dict[str, str]

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and not self.key and "list-type" in self.query


@dataclass
class Fault:
    """An answer in place of moto's."""

    matches: Callable[[Request], bool]
    status: int
    code: str
    message: str = "as you asked for it"
    headers: dict[str, str] = field(default_factory=dict)
    times: int | None = None
    """How often; None: always."""

    def body(self, request: Request) -> bytes:
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{self.code}</Code><Message>{self.message}</Message>'
            f"<BucketName>{request.bucket}</BucketName><RequestId>0</RequestId><HostId>0</HostId>"
            + "".join(f"<{name}>{text}</{name}>" for name, text in self.more.items())
            + "</Error>"
        ).encode()

    more: dict[str, str] = field(default_factory=dict)
    """Further elements of the error."""


class BadDay:
    """The proxy; it is ready when it is made, and stops with `stop`."""

    def __init__(self, host: str, port: int) -> None:
        self.behind = (host, port)
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.hidden: set[str] = set()
        """Keys that no listing shows."""
        self.is_listing_stale = False
        """Whether listings are answered as they were the last time before."""
        self.cuts: dict[str, list[int]] = {}
        """By key, after how many bytes the next bodies break off, one after the other."""
        self.stalls: set[str] = set()
        """Keys whose bodies stop in the middle without an end."""
        self.latency = 0.0
        self.before: Callable[[Request], None] = lambda request: None
        """Called before a request goes on."""
        self._listings: dict[str, list[bytes]] = {}
        """By path, what was listed."""
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """A good day again; what was asked so far is forgotten."""
        self.requests, self.faults, self.hidden, self._listings = [], [], set(), {}
        self.cuts, self.stalls, self.is_listing_stale, self.latency = {}, set(), False, 0.0
        self.before = lambda request: None

    def fail(
        self,
        status: int,
        code: str,
        message: str = "as you asked for it",
        key: str | None = None,
        method: str | None = None,
        times: int | None = None,
        headers: dict[str, str] | None = None,
        **more: str,
    ) -> None:
        """Answer requests, of one key and method where they are given, with an error of S3."""

        def matches(request: Request) -> bool:
            return (key is None or request.key == key) and (method is None or request.method == method)

        self.faults.append(Fault(matches, status, code, message, headers or {}, times, more))

    def count(self, method: str = "GET", key: str | None = None) -> int:
        """How many requests there were of a method, for a key; for none: all but listings."""
        return sum(
            item.method == method and (item.key == key if key is not None else not item.is_listing)
            for item in self.requests
        )

    @contextmanager
    def counted(self) -> Iterator[list[Request]]:
        """The requests of a block."""
        first = len(self.requests)
        taken: list[Request] = []
        yield taken
        taken += self.requests[first:]

    def list_as_at_first(self) -> None:
        """Answer listings as they were the first time."""
        for held in self._listings.values():
            del held[1:]
        self.is_listing_stale = True

    def _fault_of(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.times != 0 and fault.matches(request):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def _listing(self, path: str, body: bytes) -> bytes:
        with self._lock:
            held = self._listings.setdefault(path, [])
            if self.is_listing_stale and held:
                return held[-1]
            held.append(body)

        def kept(found: re.Match[bytes]) -> bytes:
            key = re.search(rb"<Key>(.*?)</Key>", found[0], re.DOTALL)
            return b"" if key and unquote(key[1].decode()) in self.hidden else found[0]

        return re.sub(rb"<Contents>.*?</Contents>", kept, body, flags=re.DOTALL)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # A small answer is not held back for the acknowledgement of the one before.
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True  # the client went away

            def _go(self) -> None:
                parts = urlsplit(self.path)
                bucket, _, key = parts.path.removeprefix("/").partition("/")
                request = Request(
                    self.command,
                    bucket,
                    unquote(key),
                    parse_qs(parts.query, keep_blank_values=True),
                    {name.lower(): value for name, value in self.headers.items()},
                )
                body = self._body()
                time.sleep(proxy.latency)
                fault = proxy._fault_of(request)
                if fault is not None:
                    text = b"" if self.command == "HEAD" else fault.body(request)
                    self._answer(fault.status, {"Content-Type": "application/xml", **fault.headers}, text)
                    return
                proxy.before(request)
                self._forward(request, body)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    chunks = []
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        chunks.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(chunks)
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def _forward(self, request: Request, body: bytes) -> None:
                behind = http.client.HTTPConnection(*proxy.behind)
                try:
                    behind.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        if name.lower() not in ("connection", "content-length", "transfer-encoding", "expect"):
                            behind.putheader(name, value)
                    behind.putheader("Content-Length", str(len(body)))
                    behind.endheaders(body)
                    answer = behind.getresponse()
                    data = answer.read()
                finally:
                    behind.close()
                if request.is_listing and answer.status == 200:
                    data = proxy._listing(self.path, data)
                hop = ("connection", "content-length", "transfer-encoding", "date", "server")
                headers = {name: value for name, value in answer.getheaders() if name.lower() not in hop}
                if self.command == "HEAD":
                    headers["Content-Length"] = answer.getheader("Content-Length") or "0"
                cut = None
                if self.command == "GET":
                    with proxy._lock:
                        if proxy.cuts.get(request.key):
                            cut = proxy.cuts[request.key].pop(0)
                    if request.key in proxy.stalls:
                        self._answer(answer.status, headers, data, len(data) // 2)
                        while request.key in proxy.stalls:
                            time.sleep(0.05)
                        return
                self._answer(answer.status, headers, data, cut)

            def _answer(self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[:cut])
                self.wfile.flush()
                if cut is not None:
                    self.close_connection = True

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _go

        return Handler
