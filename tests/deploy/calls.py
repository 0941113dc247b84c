"""Listens to what clients of AWS ask of moto's server, and says which right each request needs."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from tests.deploy.policies import ACCOUNT, REGION


@dataclass(frozen=True)
class Call:
    """A request, as IAM judges it."""

    action: str
    resource: str
    prefix: str | None = None
    """Of a listing: below which prefix."""


class Listener:
    """A WSGI application before another, which notes the requests that go through it."""

    def __init__(self, behind: Any, stream: str) -> None:
        self.behind = behind
        self.stream_arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream}"
        self.calls: set[Call] = set()
        self.skip = False
        """Whether what is asked now is no matter of the roles."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if not self.skip:
            self.calls.add(self._call(environ))
        return self.behind(environ, start_response)

    def _call(self, environ: dict[str, Any]) -> Call:
        target = re.search(
            r"Kinesis_20131202(?:\.|/operation/)(\w+)", environ.get("HTTP_X_AMZ_TARGET", "") + environ["PATH_INFO"]
        )
        if target:
            return Call(f"kinesis:{target[1]}", self.stream_arn)
        method, query = environ["REQUEST_METHOD"], parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
        bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        arn = f"arn:aws:s3:::{bucket}"
        if not key:
            actions = {"GET": "s3:ListBucket", "HEAD": "s3:ListBucket"}
            known = {
                "list-type",
                "prefix",
                "encoding-type",
                "max-keys",
                "continuation-token",
                "delimiter",
                "start-after",
            }
            if method not in actions or set(query) - known:
                raise NotImplementedError(f"{method} {arn} {sorted(query)}: teach tests/deploy/calls.py its right")
            return Call(actions[method], arn, query.get("prefix", [None])[0])
        known = {"uploads", "uploadId", "partNumber", "x-id"}
        if set(query) - known:
            raise NotImplementedError(f"{method} {arn}/{key} {sorted(query)}: teach tests/deploy/calls.py its right")
        if method == "DELETE":
            return Call("s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", f"{arn}/{key}")
        action = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject"}[method]
        return Call(action, f"{arn}/{key}")


@contextmanager
def listening(stream: str) -> Iterator[tuple[str, Listener]]:
    """A server of moto's that listens: its address, and what notes the requests.

    Args:
        stream: the one stream that is asked for.
    """
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    listener = Listener(DomainDispatcherApplication(create_backend_app), stream)
    server = make_server("127.0.0.1", 0, listener, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
