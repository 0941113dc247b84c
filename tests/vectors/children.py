"""A process whose children publish and read made collections, so that they can be killed; it imports all of it once.

It reads one JSON list a line, `[act, ...]`, and answers each with one JSON value.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qdrant_client import QdrantClient

from resources.settings import load_settings
from resources.vectors.folder import FolderStore
from resources.vectors.server import ServerStore
from resources.vectors.store import Store
from tests.vectors.made import SHOP, Made, check, made, publish

POINTS = 40


def after(number: int) -> Made:
    """One content of many: a price tells which."""
    return made(POINTS).changed({"p000": 500 + number})


def open_at(kind: str, home: Path) -> Store:
    """The server's adapter writes through the engine of its client, which keeps its files there."""
    if kind == "folder":
        return FolderStore(home)
    settings = load_settings(_env_file=None, home=home, environment="test")
    return ServerStore(QdrantClient(path=str(home)), settings)


def fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def publisher(kind: str, home: Path, number: int, failpoint: str) -> None:
    os.environ["CARTOGRAPH_FAILPOINT"] = failpoint
    publish(open_at(kind, home), after(number))


def holder(home: Path, ready: Path) -> None:
    with FolderStore(home).reader(SHOP):
        ready.touch()
        time.sleep(600)


def opener(home: Path, stop: Path, opened: Path) -> None:
    """Opens a reader again and again, and looks at all of what it finds."""
    with opened.open("a", buffering=1) as log:
        while not stop.exists():
            with FolderStore(home).reader(SHOP) as reader:
                check(reader, after(reader.manifest.version))
                log.write(f"{reader.manifest.version}\n")
            time.sleep(0.05)


def act(name: str, *given: Any) -> int:
    paths = [Path(one) if isinstance(one, str) and one.startswith("/") else one for one in given]
    if name == "join":
        return os.waitstatus_to_exitcode(os.waitpid(given[0], 0)[1])
    works: dict[str, Callable[..., None]] = {"publish": publisher, "hold": holder, "open": opener}
    return fork(lambda: works[name](*paths))


class Children:
    """The process, as its parent sees it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, *given: Any) -> int:
        """
        Returns:
            The id of the child, or what `join` has: its exit code, below 0 where it was killed.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(one) if isinstance(one, Path) else one for one in given]) + "\n")
        self.process.stdin.flush()
        found: int = json.loads(self.process.stdout.readline())
        return found

    def run(self, *given: Any) -> int:
        return self.start("join", self.start(*given))

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(act(*json.loads(line))), flush=True)
