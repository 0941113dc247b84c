"""The home and the shops that the notebooks are run on, and each notebook's run, made once.

By default they are run on two shops of the world of `tests/world`: one has events alone, one orders and reviews. To run
them on a home that is there already, set CARTOGRAPH_NOTEBOOK_HOME to its folder, and CARTOGRAPH_NOTEBOOK_SHOPS to the
names of its shops, with commas between them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from resources.embedded_postgres import release
from resources.settings import PROJECT_ROOT, load_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.orchestration.command import clean_environment
from tests.world.conftest import world

__all__ = ["world"]

GIVEN = os.environ.get("CARTOGRAPH_NOTEBOOK_HOME")
SHOPS = os.environ["CARTOGRAPH_NOTEBOOK_SHOPS"].split(",") if GIVEN else ["retailrocket", "olist"]
SEARCHED = [name for name in SHOPS if load_shops(ALL_SHOPS)[name].has_text] if GIVEN else ["anime", "online_retail"]
"""The shops whose collections the notebook of search is run on."""
NOTEBOOKS = sorted((PROJECT_ROOT / "notebooks").glob("*.ipynb"))

GUARD = f"""
import sys

def _refuse(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in ("127.0.0.1", "::1"):
        raise PermissionError(f"a notebook opens a connection to {{arguments[1]}}")
    if event == "open" and isinstance(arguments[0], str) and str(arguments[1] or "").strip("brt+") in ("w", "a", "x"):
        is_made = "__pycache__" in arguments[0] or arguments[0].startswith({str(PROJECT_ROOT / ".cartograph")!r})
        if arguments[0].startswith({str(PROJECT_ROOT)!r}) and not is_made:
            raise PermissionError(f"a notebook writes {{arguments[0]}}")

sys.addaudithook(_refuse)
"""
"""Runs before a notebook's first cell: no connection but to this machine, none of the project's own files written."""


@pytest.fixture(scope="session")
def home(request: pytest.FixtureRequest) -> Path:
    """A home in which all of SHOPS are built."""
    return Path(GIVEN).absolute() if GIVEN else request.getfixturevalue("world").home


@dataclass
class Run:
    """A notebook that was run on a shop: its outputs, and what its variables held at the end."""

    shop: str
    home: Path
    cells: list[Any]
    found: dict[str, Any]

    @property
    def figures(self) -> int:
        return sum("image/png" in output.get("data", {}) for cell in self.cells for output in cell.get("outputs", []))

    @property
    def text(self) -> str:
        """All that was printed or shown, tables as HTML."""
        parts: list[str] = []
        for cell in self.cells:
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                parts.append(output.get("text", "") or data.get("text/html", "") or data.get("text/plain", ""))
        return "\n".join(parts)

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(load_settings(home=self.home, environment="test"))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query, as named tuples of plain Python, with `%s` for the shop."""
        from psycopg.rows import namedtuple_row

        with self.warehouse.connect(row_factory=namedtuple_row) as connection:
            return connection.execute(statement, [self.shop]).fetchall()  # type: ignore[call-overload,no-any-return]

    def has(self, capability: str) -> bool:
        return self.found["lacks"][capability] is None


LAST_CELL = """
import json

asked = ("orders", "events", "reviews", "products", "categories")
lacks = {{name: shop.lacks(name) for name in asked}} if hasattr(shop, "lacks") else {{}}
print(json.dumps({{"lacks": lacks, "found": {expressions}}}, default=str))
"""


@pytest.fixture(scope="session")
def run(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str, dict[str, str]], Run]]:
    """Runs a notebook on a shop from top to bottom, once for all tests that ask for the same."""
    from nbclient import NotebookClient

    kept: dict[tuple[str, str], Run] = {}

    def make(name: str, shop: str, asked: dict[str, str]) -> Run:
        """Run `notebooks/<name>.ipynb`.

        Args:
            name: of the notebook.
            shop: goes into its parameters.
            asked: expressions by name, evaluated after the last cell and handed over as JSON.
        """
        if (name, shop) not in kept:
            notebook = nbformat.read(PROJECT_ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
            first = next(at for at, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
            given = nbformat.v4.new_code_cell(f"SHOP = {shop!r}\nHOME = {str(home)!r}")
            notebook.cells.insert(first + 1, given)
            notebook.cells.insert(0, nbformat.v4.new_code_cell(GUARD))
            expressions = "{" + ", ".join(f"{key!r}: {value}" for key, value in asked.items()) + "}"
            notebook.cells.append(nbformat.v4.new_code_cell(LAST_CELL.format(expressions=expressions)))
            # A folder that is not the project's, so that nothing depends on where Jupyter was started.
            place = tmp_path_factory.mktemp("notebook")
            environment = clean_environment(
                CARTOGRAPH_SHOPS_FILE=str(ALL_SHOPS),
                CARTOGRAPH_ENV="test",
                MPLCONFIGDIR=str(place),
                IPYTHONDIR=str(place),
            )
            client = NotebookClient(
                notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(place)}}
            )
            client.execute(env=environment)
            told = json.loads(notebook.cells[-1].outputs[0].text)
            kept[name, shop] = Run(shop, home, notebook.cells[:-1], {"lacks": told["lacks"], **told["found"]})
        return kept[name, shop]

    yield make
    release(home)
