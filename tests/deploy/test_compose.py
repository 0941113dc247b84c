"""docker-compose.yml: its servers are those that settings and `config/models.yaml` speak of, and it holds no secret."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest
import yaml

from resources.models import MODELS_FILE
from resources.settings import PROJECT_ROOT, Settings
from resources.warehouse import Database

FILE = PROJECT_ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(compose["services"])


def test_nothing_starts_that_was_not_asked_for(services: dict[str, dict[str, Any]]) -> None:
    assert {name: service["profiles"] for name, service in services.items()} == {
        "ollama": ["ollama"],
        "ollama-model": ["ollama"],
        "qdrant": ["qdrant"],
        "postgres": ["postgres"],
    }


def test_every_server_says_whether_it_is_well_and_keeps_its_data(compose: dict[str, Any]) -> None:
    for name in ("ollama", "qdrant", "postgres"):
        service = compose["services"][name]
        assert service["healthcheck"]["test"][0] == "CMD"
        [volume] = service["volumes"]
        assert volume.partition(":")[0] in compose["volumes"], f"{name}: a volume without a name is lost"
    ollama = compose["services"]["ollama"]
    assert ollama["volumes"] == [f"ollama:{ollama['environment']['OLLAMA_MODELS']}"]
    # Since version 18 the image refuses a volume at /var/lib/postgresql/data.
    assert compose["services"]["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


def test_ports_are_open_to_this_machine_alone_and_are_the_ones_that_the_settings_name(
    services: dict[str, dict[str, Any]],
) -> None:
    ports = {name: port for name, service in services.items() for port in service.get("ports", [])}
    assert ports == {
        "ollama": "127.0.0.1:11434:11434",
        "qdrant": "127.0.0.1:6333:6333",
        "postgres": "127.0.0.1:5432:5432",
    }
    examples = FILE.read_text(encoding="utf-8") + (PROJECT_ROOT / ".env.example").read_text(encoding="utf-8")
    for variable, server in (("QDRANT_URL", "qdrant"), ("WAREHOUSE_URL", "postgres")):
        assert variable in {field.validation_alias for field in Settings.model_fields.values()}
        [*_, url] = re.findall(rf"{variable}=(\S*127\.0\.0\.1\S*)", examples)
        assert ports[server].startswith(f"127.0.0.1:{urlsplit(url).port}:")


def test_the_model_that_is_fetched_is_the_one_that_models_yaml_asks_ollama_for(
    services: dict[str, dict[str, Any]],
) -> None:
    entry = yaml.safe_load(MODELS_FILE.read_text(encoding="utf-8"))["llm"]["defaults"]["entries"]["deepseek"]
    provider, _, model = entry["model"].partition("/")
    assert provider == "ollama_chat"
    assert services["ollama-model"]["command"] == ["pull", model]
    assert services["ollama-model"]["image"] == services["ollama"]["image"]
    assert services["ollama-model"]["environment"]["OLLAMA_HOST"] == f"http://ollama:{urlsplit(entry['api_base']).port}"
    # It fetches once the server answers, and ends.
    assert services["ollama-model"]["depends_on"] == {"ollama": {"condition": "service_healthy"}}
    assert services["ollama-model"]["restart"] == "no"


def test_postgres_has_the_three_databases(compose: dict[str, Any]) -> None:
    service = compose["services"]["postgres"]
    [placed] = service["configs"]
    assert placed["target"].startswith("/docker-entrypoint-initdb.d/") and placed["target"].endswith(".sql")
    made = re.findall(r"create database (\w+);", compose["configs"][placed["source"]]["content"])
    assert {service["environment"]["POSTGRES_DB"], *made} == set(get_args(Database))


def test_secrets_come_from_the_environment(services: dict[str, dict[str, Any]]) -> None:
    secrets = {
        name: value
        for service in services.values()
        for name, value in service.get("environment", {}).items()
        if re.search("KEY$|PASSWORD|SECRET|TOKEN", name)
    }
    assert secrets == {
        "QDRANT__SERVICE__API_KEY": "${QDRANT_API_KEY:-}",
        "POSTGRES_PASSWORD": "${POSTGRES_PASSWORD:-}",
    }


def test_images_are_of_a_named_version_and_the_server_of_vectors_fits_its_client(
    services: dict[str, dict[str, Any]],
) -> None:
    from importlib.metadata import version

    images = {service["image"].partition(":")[0]: service["image"].partition(":")[2] for service in services.values()}
    assert all(re.match(r"v?\d", tag) for tag in images.values())
    # A client talks to servers of its own minor version and its neighbours.
    server, client = (
        [int(part) for part in text.split(".")[:2]]
        for text in (images["qdrant/qdrant"].removeprefix("v"), version("qdrant-client"))
    )
    assert server[0] == client[0] and abs(server[1] - client[1]) <= 1
    assert images["postgres"] == "18", "as the embedded one"


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that answers every request with this status; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_check_of_the_server_of_vectors_asks_whether_it_is_ready(
    status: int, is_healthy: bool, services: dict[str, dict[str, Any]]
) -> None:
    _, *command = services["qdrant"]["healthcheck"]["test"]
    with answering(status) as port:
        # As compose hands it on: `$$` is its way to write `$`.
        asked = [part.replace("$$", "$").replace("/6333 ", f"/{port} ") for part in command]
        assert (subprocess.run(asked, timeout=30).returncode == 0) is is_healthy
    assert subprocess.run(asked, timeout=30, stderr=subprocess.DEVNULL).returncode != 0, "nobody listens there"
