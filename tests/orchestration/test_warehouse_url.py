"""`WAREHOUSE_URL` takes the place of the embedded server: everything goes there, and none is started."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.embedded_postgres import Server, ensure, release
from simulator.online_retail import write_csv
from tests.orchestration.command import cartograph


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that somebody else runs."""
    home = Path(tempfile.mkdtemp(prefix="cg-"))
    home.chmod(0o755)
    yield ensure(home)
    release(home)
    shutil.rmtree(home, ignore_errors=True)


def test_everything_goes_to_the_named_server(server: Server, tmp_path: Path) -> None:
    home = tmp_path / "home"

    def run(*arguments: str) -> str:
        result = cartograph(home, *arguments, WAREHOUSE_URL=server.url("cartograph"), CARTOGRAPH_ENV="test")
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    write_csv(tmp_path / "lines.csv", lines=500)
    run("upload", "online_retail", str(tmp_path / "lines.csv"))
    assert "All is well" in run("materialize")
    assert json.loads(run("sql", "select count(*) as lines from fct_order_items", "--format", "json")) == [
        {"lines": 500}
    ]
    assert not (home / "postgres").exists()
    assert run("status").count("ready")


def test_a_server_that_is_away_is_one_clear_message(tmp_path: Path) -> None:
    url = "postgresql://nobody:secret@127.0.0.1:9/cartograph"
    result = cartograph(tmp_path / "home", "status", WAREHOUSE_URL=url)
    assert result.returncode == 2
    assert "WAREHOUSE_URL" in result.stderr and "Traceback" not in result.stderr and "secret" not in result.stderr
