"""A language model on any day: an OpenAI-compatible server over HTTP that says, breaks and hangs as a test asks."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import yaml

from resources.models import MODELS_FILE

KEY_VARIABLE, KEY = "STAND_IN_API_KEY", "sk-stand-in-0123456789abcdef"
"""The key that the server wants where a test sets `server.key`, and the variable that `models_yaml` names for it."""


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def prompt(self) -> str:
        """The system's message; empty where there is none."""
        return "\n".join(said["content"] for said in self.body["messages"] if said["role"] == "system")

    @property
    def said(self) -> str:
        """The last message of the user."""
        return [said["content"] for said in self.body["messages"] if said["role"] == "user"][-1]


@dataclass(frozen=True)
class Reply:
    """How one request is answered: well, with `text`, unless more is said."""

    text: str = ""
    status: int = 200
    """Beyond 200 an error of that status, with `text` as its message."""
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    """Seconds before anything is sent."""
    pause: float = 0.0
    """Seconds between the pieces of a stream."""
    pieces: Sequence[str] | None = None
    """How `text` is cut in a stream; otherwise after each word."""
    end: Literal["whole", "early", "cut", "stall", "never", "trickle"] = "whole"
    """How it ends. early: in the middle, as though that were all; cut: the connection breaks in the middle; stall: it
    stops in the middle, and the connection stays; never: `text` again and again; trickle: bytes that are no answer keep
    the connection busy."""
    finish: str = "stop"
    usage: tuple[int, int] | None = (20, 10)
    """Tokens in and out; None: the server says nothing of them."""
    body: bytes | None = None
    """Sent in place of a completion, as it is."""
    reasoning: str = ""
    """Sent before the text, as `reasoning_content`."""

    @property
    def shown(self) -> list[str]:
        """The pieces of the stream."""
        return list(self.pieces) if self.pieces is not None else re.findall(r"\S+\s*|\s+", self.text)


NOTHING = Reply(text="")
NO_CHOICES = Reply(body=b'{"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}')
BROKEN_JSON = Reply(body=b'{"id": "1", "object": "chat.completion", "choices": [{"ind')
HANGS = Reply(wait=3600)


def too_many(retry_after: float | None = None) -> Reply:
    """A 429, with a header Retry-After where seconds are given."""
    return Reply("too many requests", 429, {} if retry_after is None else {"Retry-After": f"{retry_after:g}"})


def out_of_order(status: int = 500) -> Reply:
    return Reply("out of order", status)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that goes away while nothing is said is no error of a test.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class LlmServer:
    """The server; it is ready when it is made, and stops with `stop`."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], str | Reply] = lambda body: "As you like it."
        """What is said to a request, by its body."""
        self.plan: list[str | Reply] = []
        """What is said to the next requests, one after the other, before `answer` is asked again."""
        self.key: str | None = None
        """Without this key in a request, the answer is 401."""
        self.requests: list[Request] = []
        self.left = 0
        """How many clients went away before all was said."""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The base of the API, as clients want it: with /v1."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def stop(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            planned = self.plan.pop(0) if self.plan else None
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return Reply(f"Incorrect API key provided: {request.headers.get('authorization')}", 401)
        said = self.answer(request.body) if planned is None else planned
        return Reply(said) if isinstance(said, str) else said

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                return

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(
                    self.path, {name.lower(): text for name, text in self.headers.items()}, json.loads(data)
                )
                reply = server._reply(request)
                try:
                    self._say(request, reply)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                    with server._lock:
                        server.left += 1

            def _say(self, request: Request, reply: Reply) -> None:
                self._wait(reply.wait)
                if server._ended.is_set():
                    self.close_connection = True
                    return
                if self.path != "/v1/chat/completions":
                    reply = Reply(f"no such path: {self.path}", 404)
                if reply.status != 200:
                    error = {"error": {"message": reply.text, "type": "error", "code": reply.status}}
                    self._send(json.dumps(error).encode(), reply)
                elif request.body.get("stream"):
                    self._stream(request, reply)
                elif reply.body is not None:
                    self._send(reply.body, reply)
                else:
                    self._send_whole(request, reply)

            def _send(self, body: bytes, reply: Reply, sent: int | None = None) -> None:
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, text in reply.headers.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(body[:sent])
                self.wfile.flush()

            def _send_whole(self, request: Request, reply: Reply) -> None:
                message = {"role": "assistant", "content": reply.text}
                if reply.reasoning:
                    message["reasoning_content"] = reply.reasoning
                made = {
                    **_frame(request, "chat.completion"),
                    "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
                    **({} if reply.usage is None else {"usage": _usage(reply.usage)}),
                }
                body = json.dumps(made).encode()
                if reply.end in ("whole", "early"):
                    self._send(body, reply)
                    return
                self.close_connection = True
                self._send(body, reply, sent=len(body) // 2)
                if reply.end != "cut":
                    self._stay(b" " if reply.end in ("never", "trickle") else b"")

            def _stream(self, request: Request, reply: Reply) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                if reply.body is not None:
                    self._chunk(b"data: " + reply.body + b"\n\n")
                    self._finish()
                    return
                self._piece(request, {"role": "assistant", "content": ""})
                if reply.end == "trickle":
                    self._stay(b": still here\n\n", is_chunked=True)
                    return
                for thought in re.findall(r"\S+\s*", reply.reasoning):
                    self._piece(request, {"reasoning_content": thought})
                shown = reply.shown
                for piece in shown if reply.end == "whole" else shown[: max(1, len(shown) // 2)]:
                    self._piece(request, {"content": piece})
                    if reply.pause:
                        server._ended.wait(reply.pause)
                if reply.end == "cut":
                    # Neither the last chunk nor the end of the chunks: the client sees that it was cut.
                    self.close_connection = True
                    return
                if reply.end == "stall":
                    self._stay(b"", is_chunked=True)
                    return
                while reply.end == "never" and not server._ended.is_set():
                    for piece in shown:
                        self._piece(request, {"content": piece})
                        server._ended.wait(reply.pause)
                if reply.end == "early":
                    self._finish(done=False)
                    return
                self._piece(request, {}, reply.finish)
                if reply.usage is not None and (request.body.get("stream_options") or {}).get("include_usage"):
                    last = {**_frame(request, "chat.completion.chunk"), "choices": [], "usage": _usage(reply.usage)}
                    self._chunk(b"data: " + json.dumps(last).encode() + b"\n\n")
                self._finish()

            def _piece(self, request: Request, delta: dict[str, str], finish: str | None = None) -> None:
                made = {
                    **_frame(request, "chat.completion.chunk"),
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
                }
                self._chunk(b"data: " + json.dumps(made).encode() + b"\n\n")

            def _chunk(self, data: bytes) -> None:
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()

            def _finish(self, done: bool = True) -> None:
                if done:
                    self._chunk(b"data: [DONE]\n\n")
                self.wfile.write(b"0\r\n\r\n")
                self.wfile.flush()

            def _stay(self, data: bytes, is_chunked: bool = False) -> None:
                """Hold the connection, with these bytes ten times a second, until the client or the server goes."""
                self.close_connection = True
                while not server._ended.is_set():
                    self._wait(0.1)
                    if data and is_chunked:
                        self._chunk(data)
                    elif data:
                        self.wfile.write(data)
                        self.wfile.flush()

            def _wait(self, seconds: float) -> None:
                """Wait so long, or until the client or the server goes."""
                end = time.monotonic() + seconds
                while (left := end - time.monotonic()) > 0 and not server._ended.wait(min(0.1, left)):
                    with contextlib.suppress(BlockingIOError):
                        if self.connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b"":
                            raise ConnectionResetError

        return Handler


def _frame(request: Request, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": request.body.get("model", "m")}


def _usage(tokens: tuple[int, int]) -> dict[str, int]:
    return {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}


@contextmanager
def llm_server() -> Iterator[LlmServer]:
    """A server for a block."""
    made = LlmServer()
    try:
        yield made
    finally:
        made.stop()


def models_yaml(folder: Path, url: str, *, use: Sequence[str] = ("stand-in",), **settings: Any) -> Path:
    """A models.yaml in `folder` like the real one, but for whom it asks: `stand-in`, the server at `url`.

    Args:
        url: of a server here; a second one can be an entry too: `entries={"other": {"model": ..., "api_base": ...}}`.
        use: the entries that are asked, in turn; `narrator` is one too.
        settings: of the section `llm`, in place of what stands there.
    """
    data = yaml.safe_load(MODELS_FILE.read_text(encoding="utf-8"))
    # Short, for a test that waits for it; whoever tests time-outs says what they are.
    defaults = {
        **data.get("llm", {}).get("defaults", {}),
        "timeout_seconds": 5,
        "deadline_seconds": 15,
        **settings,
        "use": list(use),
    }
    defaults["entries"] = {
        "narrator": {"model": "narrator/v1"},
        "stand-in": {"model": "openai/stand-in", "api_base": url, "api_key_variable": KEY_VARIABLE},
        **settings.get("entries", {}),
    }
    data["llm"] = {"defaults": defaults}
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path
