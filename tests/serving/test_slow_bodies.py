"""Bodies that do not come to their end: refused after their time, while those that are slow but come are taken."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from resources.settings import Settings
from serving.api.middleware import LEAST_RATE, TOO_SLOW
from tests.serving.rig import Api, wait_until

ROUTES = ["/recommendations", "/search", "/chat", "/events"]
BODY_SECONDS = 2.0


@pytest.fixture(scope="module")
def hasty(settings: Settings) -> Iterator[Api]:
    """An API that waits for a body as long as that."""
    running = Api(settings.home, settings.shops_file, CARTOGRAPH_API_BODY_SECONDS=str(BODY_SECONDS))
    try:
        yield running.wait()
    finally:
        running.stop()


def begun(api: Api, path: str, length: int) -> socket.socket:
    """A request whose body is yet to be sent."""
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=60)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def answer_of(connection: socket.socket) -> str:
    """All that is answered, until the server closes the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    connection.close()
    return b"".join(parts).decode()


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_that_is_sent_by_half_is_given_up(hasty: Api, path: str) -> None:
    connection = begun(hasty, path, 1000)
    connection.sendall(b'{"shop": ')
    answer = answer_of(connection)
    assert answer.startswith("HTTP/1.1 408 ") and "connection: close" in answer.lower()
    assert json.loads(answer.partition("\r\n\r\n")[2]) == {"detail": TOO_SLOW}
    client = hasty.client()
    wait_until(lambda: client.figure("cartograph_request_seconds_count", method="POST", route=path, status="408") == 1)


def test_a_body_that_drips_is_given_up(hasty: Api) -> None:
    connection = begun(hasty, "/events", 1000)
    connection.settimeout(0.2)
    said = b""
    for _ in range(200):
        connection.sendall(b" ")
        try:
            said = connection.recv(65536)
        except TimeoutError:
            continue
        break
    assert said.startswith(b"HTTP/1.1 408 ")
    connection.close()


def test_a_body_that_is_slow_but_comes_is_taken(hasty: Api) -> None:
    """It takes longer than the time alone, but with a second for so many bytes it has enough."""
    body = b" " * (16 * LEAST_RATE) + json.dumps({"shop": "thelook"}).encode()
    connection = begun(hasty, "/recommendations", len(body))
    began = time.monotonic()
    for start in range(0, len(body), LEAST_RATE):
        connection.sendall(body[start : start + LEAST_RATE])
        time.sleep(0.2)
    assert time.monotonic() - began > BODY_SECONDS
    status = connection.recv(65536).split(b" ")[1]
    connection.close()
    assert status in (b"200", b"503"), status
