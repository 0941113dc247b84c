"""The demo home that the tests of the command share, over all test processes: made once, copied where it is changed."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from resources.embedded_postgres import release
from tests.orchestration.command import cartograph

SIZE = "0.1"


def lines_of(home: Path) -> int:
    """The lines of the sheet that the demo simulated into a home."""
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(home / "inbox" / "online_retail" / "Online Retail.xlsx")
    return len(book.get_sheet_by_index(0).to_python()) - 1


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "cartograph-demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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


class Demo:
    """The demo home, what `cartograph demo` said when it was made, and fresh copies of it."""

    def __init__(self, folder: Path) -> None:
        self.home, self.pristine = folder / "home", folder / "pristine"
        self.output = folder / "output.txt"

    def make(self) -> None:
        result = cartograph(self.home, "demo", "--size", SIZE)
        assert result.returncode == 0, result.stdout + result.stderr
        self.output.write_text(result.stdout + result.stderr)
        assert server_is_gone(self.home)
        self.copy_to(self.pristine, self.home)

    def copy_to(self, place: Path, source: Path | None = None) -> Path:
        # As root, the server's files belong to another user and have to stay his.
        subprocess.run(["cp", "-a", str(source or self.pristine), str(place)], check=True)
        return place


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo home, made by the first test process that asks and removed by the last that is done with it."""
    shared = tmp_path_factory.getbasetemp()
    if "popen-gw" in shared.name:
        shared = shared.parent
    record, users = shared / "cartograph-demo", shared / "cartograph-demo.users"
    with _locked(shared):
        if not record.exists():
            folder = Path(tempfile.mkdtemp(prefix="cgd-"))
            folder.chmod(0o755)
            Demo(folder).make()
            record.write_text(str(folder))
        folder = Path(record.read_text())
        users.write_text(str(int(users.read_text() if users.exists() else 0) + 1))
    yield Demo(folder)
    release(folder / "home")
    with _locked(shared):
        left = int(users.read_text()) - 1
        users.write_text(str(left))
        if not left:
            record.unlink()
            server_is_gone(folder / "home")
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A folder with a short path that all users may enter, for homes."""
    folder = Path(tempfile.mkdtemp(prefix="cgt-"))
    folder.chmod(0o755)
    yield folder
    for home in folder.iterdir():
        if (home / "postgres").is_dir():
            release(home)
            server_is_gone(home)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def copied_home(demo: Demo, short_tmp: Path) -> Callable[[], Path]:
    """Makes a copy of the demo home to change."""
    numbers = itertools.count()
    return lambda: demo.copy_to(short_tmp / f"home{next(numbers)}")
