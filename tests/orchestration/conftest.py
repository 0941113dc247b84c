"""The demo home that the tests of the command share, over all test processes: made once, copied where it is changed."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources.embedded_postgres import release
from tests.orchestration.command import cartograph
from tests.shared_home import copy_home, server_is_gone, shared_home

SIZE = "0.1"


def lines_of(home: Path) -> int:
    """The lines of the sheet that the demo simulated into a home."""
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(home / "inbox" / "online_retail" / "Online Retail.xlsx")
    return len(book.get_sheet_by_index(0).to_python()) - 1


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
        copy_home(self.home, self.pristine)

    def copy_to(self, place: Path) -> Path:
        return copy_home(self.pristine, place)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo home, made by the first test process that asks and removed by the last that is done with it."""
    with shared_home("demo", tmp_path_factory, lambda folder: Demo(folder).make()) as folder:
        yield Demo(folder)


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
