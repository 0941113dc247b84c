"""`cartograph up` and `dagster dev`: what is started answers, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestration.cli.session import CommandError
from orchestration.cli.up import answers, free_ports
from resources.settings import PROJECT_ROOT
from tests.orchestration.command import BIN, clean_environment, start
from tests.orchestration.conftest import Demo
from tests.shared_home import server_is_gone

START_SECONDS = 150


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


LOCATIONS = (
    "{ workspaceOrError { ... on Workspace"
    " { locationEntries { name loadStatus locationOrLoadError { __typename } } } } }"
)
ASSETS = "{ assetNodes { assetKey { path } } }"
RUNS = "{ runsOrError { ... on Runs { count } } }"


class Up:
    """A running `cartograph up`: what it said, its addresses, and the processes that it had at the end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        # The default's neighbour is taken, so that it has to move on.
        self.taken = socket.socket()
        self.taken.bind(("127.0.0.1", 0))
        self.taken.listen()
        self.port = self.taken.getsockname()[1]
        self.process = start(home, "up", "--port", str(self.port))
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

    @property
    def addresses(self) -> dict[str, str]:
        return dict(re.findall(r"^  (.+?) +(http://\S+)$", "".join(self.lines), re.M))


@pytest.fixture(scope="module")
def up(demo: Demo) -> Iterator[Up]:
    folder = Path(tempfile.mkdtemp(prefix="cgu-"))
    folder.chmod(0o755)
    running = Up(demo.copy_to(folder / "home"))
    try:
        running.wait_for("All are up", START_SECONDS)
        yield running
    finally:
        if running.process.poll() is None:
            running.process.terminate()
            running.process.wait(timeout=60)
        running.taken.close()
        server_is_gone(running.home)
        shutil.rmtree(folder, ignore_errors=True)


def test_all_addresses_answer(up: Up) -> None:
    assert set(up.addresses) == {"Dagster", "MLflow", "dbt docs"}
    assert "dagster_version" in get(up.addresses["Dagster"] + "/server_info")
    assert "MLflow" in get(up.addresses["MLflow"])
    assert get(up.addresses["MLflow"] + "/health") == "OK"
    assert "dbt Docs" in get(up.addresses["dbt docs"])
    assert "model.cartograph.fct_orders" in get(up.addresses["dbt docs"] + "/manifest.json")


def test_a_port_in_use_moves_on_to_the_next(up: Up) -> None:
    ports = [int(url.rsplit(":", 1)[1]) for url in up.addresses.values()]
    assert up.port not in ports
    assert len(set(ports)) == 3
    assert all(up.port < port < up.port + 50 for port in ports)


def test_the_ui_shows_the_graph_and_the_runs_of_the_home(up: Up) -> None:
    url = up.addresses["Dagster"]
    (entry,) = ask_dagster(url, LOCATIONS)["workspaceOrError"]["locationEntries"]  # type: ignore[index]
    assert entry == {
        "name": "cartograph",
        "loadStatus": "LOADED",
        "locationOrLoadError": {"__typename": "RepositoryLocation"},
    }
    assert len(ask_dagster(url, ASSETS)["assetNodes"]) == 30  # type: ignore[arg-type]
    assert ask_dagster(url, RUNS)["runsOrError"]["count"] >= 3  # type: ignore[index]


def test_ctrl_c_stops_everything_within_some_seconds(up: Up) -> None:
    """The last of the module: it ends what the others look at."""
    children = psutil.Process(up.process.pid).children(recursive=True)
    names = " ".join(" ".join(child.cmdline()) for child in children)
    assert "dagster" in names and "mlflow" in names
    began = time.monotonic()
    os.killpg(up.process.pid, signal.SIGINT)
    assert up.process.wait(timeout=60) == 0
    took = time.monotonic() - began
    assert took < 20, f"{took:.1f} s"
    _, alive = psutil.wait_procs(children, timeout=5)
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
        assert len(ask_dagster(url, ASSETS)["assetNodes"]) == 30  # type: ignore[arg-type]
        children = psutil.Process(process.pid).children(recursive=True)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
