"""`cartograph up` and `dagster dev`: what is started answers, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestration.cli.session import CommandError
from orchestration.cli.up import answers, free_ports
from resources.settings import PROJECT_ROOT
from tests.orchestration.command import BIN, clean_environment
from tests.orchestration.conftest import Demo
from tests.orchestration.running import START_SECONDS, Up, ask_dagster, get
from tests.shared_home import server_is_gone

LOCATIONS = (
    "{ workspaceOrError { ... on Workspace"
    " { locationEntries { name loadStatus locationOrLoadError { __typename } } } } }"
)
ASSETS = "{ assetNodes { assetKey { path } } }"
RUNS = "{ runsOrError { ... on Runs { count } } }"


@pytest.fixture(scope="module")
def up(demo: Demo) -> Iterator[Up]:
    folder = Path(tempfile.mkdtemp(prefix="cgu-"))
    folder.chmod(0o755)
    running = Up(demo.copy_to(folder / "home"))
    try:
        running.wait_for("All are up", START_SECONDS)
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_all_addresses_answer(up: Up) -> None:
    assert set(up.addresses) == {"Dagster", "MLflow", "dbt docs", "API"}
    assert "dagster_version" in get(up.addresses["Dagster"] + "/server_info")
    assert "MLflow" in get(up.addresses["MLflow"])
    assert get(up.addresses["MLflow"] + "/health") == "OK"
    assert get(up.addresses["API"] + "/ready") == '{"is_ready":true,"reason":null}'
    assert "dbt Docs" in get(up.addresses["dbt docs"])
    assert "model.cartograph.fct_orders" in get(up.addresses["dbt docs"] + "/manifest.json")


def test_a_port_in_use_moves_on_to_the_next(up: Up) -> None:
    ports = [int(url.rsplit(":", 1)[1]) for url in up.addresses.values()]
    assert up.port not in ports
    assert len(set(ports)) == 4
    assert all(up.port < port < up.port + 50 for port in ports)


def test_the_ui_shows_the_graph_and_the_runs_of_the_home(up: Up) -> None:
    url = up.addresses["Dagster"]
    (entry,) = ask_dagster(url, LOCATIONS)["workspaceOrError"]["locationEntries"]  # type: ignore[index]
    assert entry == {
        "name": "cartograph",
        "loadStatus": "LOADED",
        "locationOrLoadError": {"__typename": "RepositoryLocation"},
    }
    assert len(ask_dagster(url, ASSETS)["assetNodes"]) == 44  # type: ignore[arg-type]
    assert ask_dagster(url, RUNS)["runsOrError"]["count"] >= 3  # type: ignore[index]


def test_ctrl_c_stops_everything(up: Up) -> None:
    """The last of the module: it ends what the others look at."""
    children = psutil.Process(up.process.pid).children(recursive=True)
    names = " ".join(" ".join(child.cmdline()) for child in children)
    assert all(name in names for name in ("dagster", "mlflow", "cartograph serve"))
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.process.wait(timeout=180) == 0
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive, [child.cmdline() for child in alive if child.is_running()]
    for url in up.addresses.values():
        assert not answers(url)
    assert server_is_gone(up.home)
    ours = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if str(up.home) in " ".join(process.info["cmdline"] or [])
    ]
    assert ours == []
    assert "Stopped." in "".join(up.lines) and "Traceback" not in "".join(up.lines)


def test_free_ports_are_free_and_too_few_are_explained() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = free_ports(port, 2)
        assert port not in found and len(set(found)) == 2
    with pytest.raises(CommandError, match="no 3 ports from 65534 on are free; name another with --port"):
        free_ports(65534, 3)


def test_dagster_dev_typed_by_hand_loads_the_location(tmp_path: Path) -> None:
    """With no DAGSTER_HOME and no setting; its instance is Dagster's own, and goes with it."""
    (port,) = free_ports(23100 + os.getpid() % 1000, 1)
    log = tmp_path / "dev.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(BIN / "dagster"), "dev", "--host", "127.0.0.1", "--port", str(port)],
            cwd=PROJECT_ROOT,
            env=clean_environment(CARTOGRAPH_HOME=str(tmp_path / "home"), CARTOGRAPH_ENV="test"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(url):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        (entry,) = ask_dagster(url, LOCATIONS)["workspaceOrError"]["locationEntries"]  # type: ignore[index]
        assert entry["loadStatus"] == "LOADED"
        assert entry["locationOrLoadError"] == {"__typename": "RepositoryLocation"}
        assert len(ask_dagster(url, ASSETS)["assetNodes"]) == 44  # type: ignore[arg-type]
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=180)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
