"""A home that tests share over all test processes: made by the first that asks, removed by the last that is done."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources.embedded_postgres import release


def server_is_gone(home: Path, seconds: float = 30) -> bool:
    """Whether a home's embedded server has ended, within some seconds."""
    deadline = time.monotonic() + seconds
    held = home / "postgres" / "keeper.lock"
    while held.exists() and time.monotonic() < deadline:
        # The process that keeps the server holds this lock until it has cleared up after it.
        with held.open() as file, contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return not (home / "postgres" / "data" / "postmaster.pid").exists()
        time.sleep(0.05)
    return not held.exists()


def copy_home(home: Path, place: Path) -> Path:
    """Copy a home whose server has ended; a copy is a home of its own."""
    # As root, the server's files belong to another user and have to stay his.
    subprocess.run(["cp", "-a", str(home), str(place)], check=True)
    return place


@contextmanager
def shared_home(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], None]) -> Iterator[Path]:
    """The folder that holds the home, under `home`.

    Args:
        name: of what is shared.
        make: fills the folder; called by one process, while the others wait.
    """
    shared = factory.getbasetemp()
    if "popen-gw" in shared.name:
        shared = shared.parent
    record, users = shared / name, shared / f"{name}.users"

    @contextmanager
    def locked() -> Iterator[None]:
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def remove(folder: Path) -> None:
        release(folder / "home")
        server_is_gone(folder / "home")
        shutil.rmtree(folder, ignore_errors=True)

    with locked():
        if not record.exists():
            # Short, for the path of a Unix socket is; readable, for root's server runs as another user.
            folder = Path(tempfile.mkdtemp(prefix="cgs-"))
            folder.chmod(0o755)
            try:
                make(folder)
            except BaseException:
                remove(folder)
                raise
            record.write_text(str(folder))
        folder = Path(record.read_text())
        users.write_text(str(int(users.read_text() if users.exists() else 0) + 1))
    yield folder
    release(folder / "home")
    with locked():
        left = int(users.read_text()) - 1
        users.write_text(str(left))
        if not left:
            record.unlink()
            remove(folder)
