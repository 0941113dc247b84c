"""Starts the `cartograph` command in a process of its own that need not import Dagster and dbt first.

Those take most of the time of a short call, and are the same in each. This program imports them once, and nothing of
ours; for each call it forks, and the fork takes the call's arguments, environment, folder and streams, imports the
command and runs it to its end. What a start from nothing does is seen by the tests that use `subprocess`.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

LIBRARIES = (
    "dagster",
    "dagster_dbt",
    "dagster_postgres",
    "dbt.adapters.postgres",
    "dbt.context.providers",
    "dbt.parser.manifest",
    "psycopg",
    "pyarrow.csv",
    "pyarrow.parquet",
    "pydantic_settings",
    "yaml",
)


class Starter:
    """The program that forks, seen from the tests: one for each test process."""

    def __init__(self) -> None:
        self.socket, other = socket.socketpair()
        with other:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())], pass_fds=[other.fileno()], stdin=subprocess.DEVNULL
            )

    def run(
        self, arguments: list[str], environment: dict[str, str], folder: Path, text: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `cartograph`; the arguments begin with its path.

        Raises:
            subprocess.TimeoutExpired: it did not end in time; it was killed.
        """
        call = json.dumps({"arguments": arguments, "environment": environment, "folder": str(folder)}).encode()
        streams = [os.pipe() for _ in range(3)]
        theirs = [streams[0][0], streams[1][1], streams[2][1]]
        socket.send_fds(self.socket, [len(call).to_bytes(8, "big")], theirs)
        self.socket.sendall(call)
        for descriptor in theirs:
            os.close(descriptor)
        with os.fdopen(streams[0][1], "wb") as entry:
            entry.write((text or "").encode())
        said = ["", ""]

        def read(place: int, descriptor: int) -> None:
            with os.fdopen(descriptor, encoding="utf-8") as output:
                said[place] = output.read()

        readers = [threading.Thread(target=read, args=(place, streams[place + 1][0])) for place in (0, 1)]
        for reader in readers:
            reader.start()
        pid = int.from_bytes(self._receive(), "big")
        self.socket.settimeout(timeout)
        try:
            status = int.from_bytes(self._receive(), "big")
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self.socket.settimeout(None)
            self._receive()
            raise subprocess.TimeoutExpired(arguments, timeout, *said) from None
        self.socket.settimeout(None)
        # As with `subprocess`, the call has ended when nobody has its streams any more.
        for reader in readers:
            reader.join(timeout)
        if any(reader.is_alive() for reader in readers):
            raise subprocess.TimeoutExpired(arguments, timeout, *said)
        return subprocess.CompletedProcess(arguments, os.waitstatus_to_exitcode(status), *said)

    def _receive(self) -> bytes:
        received = self.socket.recv(8, socket.MSG_WAITALL)
        assert len(received) == 8, f"the program that starts `cartograph` ended: {self.process.poll()}"
        return received


@cache
def starter() -> Starter:
    return Starter()


def serve(calls: socket.socket) -> None:
    """Fork for each call until nobody is left to call; returns in the fork, with all of the call in place."""
    for library in LIBRARIES:
        importlib.import_module(library)
    while True:
        size, streams, _, _ = socket.recv_fds(calls, 8, 3)
        if not size:
            os._exit(0)
        call = json.loads(calls.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
        pid = os.fork()
        if not pid:
            calls.close()
            for place, descriptor in enumerate(streams):
                os.dup2(descriptor, place)
                os.close(descriptor)
            os.environ.clear()
            os.environ.update(call["environment"])
            os.chdir(call["folder"])
            sys.argv = call["arguments"]
            sys.path[0] = str(Path(sys.argv[0]).parent)
            return
        for descriptor in streams:
            os.close(descriptor)
        calls.sendall(pid.to_bytes(8, "big"))
        calls.sendall(os.waitpid(pid, 0)[1].to_bytes(8, "big"))


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    from orchestration.cli.main import main

    main()
