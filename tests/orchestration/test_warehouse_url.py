"""`WAREHOUSE_URL` takes the place of the embedded server: everything goes there, and none is started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.embedded_postgres import Server, ensure, release
from simulator.online_retail import write_csv


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that somebody else runs."""
    home = Path(tempfile.mkdtemp(prefix="cg-"))
    home.chmod(0o755)
    yield ensure(home)
    release(home)
    shutil.rmtree(home, ignore_errors=True)


def test_everything_goes_to_the_named_server(server: Server, tmp_path: Path) -> None:
    environment = {**os.environ, "WAREHOUSE_URL": server.url("cartograph"), "CARTOGRAPH_ENV": "test"}
    home = tmp_path / "home"

    def cartograph(*arguments: str) -> str:
        command = [str(Path(sys.executable).parent / "cartograph"), "--home", str(home), *arguments]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    write_csv(tmp_path / "lines.csv", lines=500)
    cartograph("upload", "online_retail", str(tmp_path / "lines.csv"))
    assert "All is well" in cartograph("materialize")
    assert json.loads(cartograph("sql", "select count(*) as lines from fct_order_items", "--format", "json")) == [
        {"lines": 500}
    ]
    assert not (home / "postgres").exists()
    assert cartograph("status").count("ready")


def test_a_server_that_is_away_is_one_clear_message(tmp_path: Path) -> None:
    environment = {**os.environ, "WAREHOUSE_URL": "postgresql://nobody:secret@127.0.0.1:9/cartograph"}
    command = [str(Path(sys.executable).parent / "cartograph"), "--home", str(tmp_path / "home"), "status"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    assert "WAREHOUSE_URL" in result.stderr and "Traceback" not in result.stderr and "secret" not in result.stderr
