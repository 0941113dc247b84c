"""A running `cartograph up`, and questions to what it started."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import urllib.request
from pathlib import Path

from tests.orchestration.command import start
from tests.shared_home import server_is_gone

START_SECONDS = 240


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def ask_dagster(url: str, question: str) -> dict[str, object]:
    request = urllib.request.Request(
        f"{url}/graphql", json.dumps({"query": question}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        data: dict[str, object] = json.loads(answer.read())["data"]
        return data


class Up:
    """A running `cartograph up`: what it said, its addresses, and the processes that it had at the end."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        # The default's neighbour is taken, so that it has to move on.
        self.taken = socket.socket()
        self.taken.bind(("127.0.0.1", 0))
        self.taken.listen()
        self.port = self.taken.getsockname()[1]
        self.process = start(home, "up", "--port", str(self.port), **environment)
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for(self, text: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not any(text in line for line in self.lines):
            assert self.process.poll() is None and time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, unless it has ended, and wait for its server."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=180)
        self.taken.close()
        server_is_gone(self.home)

    @property
    def addresses(self) -> dict[str, str]:
        return dict(re.findall(r"^  (.+?) +(http://\S+)$", "".join(self.lines), re.M))
