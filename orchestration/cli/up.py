"""`cartograph up`: the Dagster UI with its daemon, the MLflow UI, the docs site and the API, all started together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

from orchestration.cli.docs import build_site, docs_server
from orchestration.cli.materialize import stop_descendants
from orchestration.cli.session import CommandError, console, shown
from orchestration.instance import prepare_instance
from resources.settings import PROJECT_ROOT, Settings, get_settings
from resources.warehouse import Warehouse

_READY_SECONDS = 180
_STOP_SECONDS = 15


@dataclass
class Service:
    """One process of its own, in a process group of its own so that its children can be stopped with it."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path
    path: str = ""
    """What must answer under the URL."""
    is_announced: bool = False


def run_up(port: int) -> int:
    """Start all, say where they are, wait for Ctrl-C or for one of them to end, stop all."""
    settings = get_settings()
    out = console()
    warehouse = Warehouse(settings)
    # This process's lease keeps the embedded warehouse up for MLflow, which knows only its URL.
    mlflow_store = warehouse.sqlalchemy_url("mlflow")
    ports = free_ports(port, 4)
    services: list[Service] = []
    stopping = threading.Event()
    # The services are in sessions of their own: a terminal that is closed does not reach them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    try:
        out.print(f"Home {shown(settings.home)}; starting ...")
        services.append(_dagster(settings, ports[0], f"http://127.0.0.1:{ports[1]}"))
        services.append(_mlflow(settings, mlflow_store, ports[1]))
        services.append(_api(settings, ports[3]))
        docs = threading.Event()
        threading.Thread(target=_docs, args=(settings, ports[2], docs, stopping), daemon=True).start()
        return _watch(services, docs, stopping)
    finally:
        out.print("Stopping ...")
        stop(services)
        stop_descendants(seconds=5)
        out.print("Stopped.")


def _docs(settings: Settings, port: int, done: threading.Event, stopping: threading.Event) -> None:
    """Build the docs site and serve it; that it cannot be built is said, and stops nothing else."""
    try:
        server = docs_server(build_site(settings), port)
    except Exception as error:
        if not stopping.is_set():
            console().print(f"  dbt docs   cannot be had: {error}", markup=False, soft_wrap=True)
            done.set()
        return
    console().print(f"  dbt docs   http://127.0.0.1:{server.server_port}")
    done.set()
    server.serve_forever()


def _watch(services: list[Service], docs: threading.Event, stopping: threading.Event) -> int:
    out = console()
    deadline = time.monotonic() + _READY_SECONDS
    is_said = False
    while not stopping.wait(0.5):
        for service in services:
            if service.process.poll() is not None:
                tail = "\n".join(service.log.read_text(errors="replace").splitlines()[-15:])
                out.print(
                    f"[red]{service.name} ended with status {service.process.returncode}[/red]; its log: {service.log}"
                )
                out.print(tail, markup=False)
                return 1
            if not service.is_announced and answers(service.url + service.path):
                service.is_announced = True
                out.print(f"  {service.name:<10} {service.url}")
        if not is_said and docs.is_set() and all(item.is_announced for item in services):
            is_said = True
            out.print("All are up. Ctrl-C stops them.")
        if time.monotonic() > deadline and not all(item.is_announced for item in services):
            late = [item for item in services if not item.is_announced]
            names = ", ".join(service.name for service in late)
            out.print(f"[red]{names} did not answer in {_READY_SECONDS} s[/red]; log: {late[0].log}")
            return 1
    return 0


def _dagster(settings: Settings, port: int, mlflow_url: str) -> Service:
    environment = {"DAGSTER_HOME": str(prepare_instance(settings)), "CARTOGRAPH_HOME": str(settings.home)}
    # What Dagster links to as the page of a model's run is on the port that was found free.
    if settings.mlflow_ui_url is None and settings.mlflow_tracking_uri is None:
        environment["MLFLOW_UI_URL"] = mlflow_url
    command = [_beside("dagster"), "dev", "--workspace", str(PROJECT_ROOT / "workspace.yaml")]
    return _start(settings, "Dagster", port, [*command, "--host", "127.0.0.1", "--port", str(port)], environment)


def _mlflow(settings: Settings, store: str, port: int) -> Service:
    # Without the first, MLflow deadlocks when there is no network; without the second it leaves a process behind;
    # without the third it sends usage data. The last tells its artefact store where the lake is.
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "CARTOGRAPH_HOME": str(settings.home),
    }
    artifacts = settings.lake_location if "://" in settings.lake_location else Path(settings.lake_location).as_uri()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        store,
        "--artifacts-destination",
        f"{artifacts}/mlflow",
    ]
    return _start(
        settings, "MLflow", port, [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"], environment
    )


def _api(settings: Settings, port: int) -> Service:
    command = [_beside("cartograph"), "serve", "--port", str(port)]
    return replace(_start(settings, "API", port, command, {"CARTOGRAPH_HOME": str(settings.home)}), path="/health")


def _beside(tool: str) -> str:
    return str(Path(sys.executable).parent / tool)


def _start(settings: Settings, name: str, port: int, command: list[str], environment: dict[str, str]) -> Service:
    log = settings.home / "logs" / f"{name.lower()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Tools that these start (dbt, the code server) are found beside this interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    process = subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env={**os.environ, "PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    return Service(name, f"http://127.0.0.1:{port}", process, log)


def stop(services: list[Service]) -> None:
    """Ask each group to end, then insist: INT, TERM, KILL."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for service in services:
            if _group_lives(service):
                os.killpg(service.process.pid, number)
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline and any(_group_lives(service) for service in services):
            time.sleep(0.2)


def _group_lives(service: Service) -> bool:
    service.process.poll()
    try:
        os.killpg(service.process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def answers(url: str) -> bool:
    """Whether something answers at a URL, be it with an error."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def free_ports(first: int, count: int) -> list[int]:
    """The first free ports from one on.

    Raises:
        CommandError: there are not enough among the next two hundred.
    """
    found: list[int] = []
    for port in range(first, min(first + 200, 65536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise CommandError(f"no {count} ports from {first} on are free; name another with --port.")
