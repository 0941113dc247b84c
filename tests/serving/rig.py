"""An API process under test, a client of it, and what the tests put into its warehouse and registry."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from resources.settings import Settings
from resources.tracking import ModelVersion, Tracking, model_name
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.orchestration.command import COMMAND, clean_environment

SHOPS = ("online_retail", "thelook", "retailrocket", "olist", "anime")
POLL_SECONDS = 0.3


def write_shops(path: Path, names: Sequence[str] = SHOPS) -> Path:
    entries = yaml.safe_load(ALL_SHOPS.read_text(encoding="utf-8"))["shops"]
    path.write_text(yaml.safe_dump({"shops": {name: entries[name] for name in names}}, sort_keys=False))
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], seconds: float = 120, pause: float = 0.03) -> None:
    """Return when a condition holds; the limit is there to end what hangs, not to measure."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"it did not come to pass in {seconds} s"
        time.sleep(pause)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def detail(self) -> Any:
        return self.json["detail"]


IDLE_SECONDS = 3.0
"""The server closes what is idle for five seconds, and a request that is on its way then has no answer."""


class Client:
    """One connection, kept open; a new one after a failure and after a pause."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.asked_at = time.monotonic()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A body that is no bytes goes as JSON. OSError or HTTPException where there is no answer."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if time.monotonic() - self.asked_at > IDLE_SECONDS:
            self.connection.close()
        try:
            self.connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            response = self.connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        finally:
            self.asked_at = time.monotonic()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def recommend(self, **question: Any) -> Answer:
        return self.ask("POST", "/recommendations", question)

    def send(self, events: Sequence[dict[str, Any]], shop: str = "thelook") -> Answer:
        return self.ask("POST", "/events", {"shop": shop, "events": list(events)})

    def figure(self, name: str, **labels: str) -> float:
        """A figure of `/metrics`; 0 where it has none with these labels."""
        for line in self.get("/metrics").content.decode().splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found[1] == name and dict(re.findall(r'(\w+)="([^"]*)"', found[2] or "")) == labels:
                return float(found[3])
        return 0.0


class Api:
    """`cartograph serve` in a process of its own, on a free port."""

    def __init__(self, home: Path, shops_file: Path, *arguments: str, **environment: str) -> None:
        self.port = free_port()
        self.command = [COMMAND, "--home", str(home), "serve", "--port", str(self.port), *arguments]
        self.environment = clean_environment(
            CARTOGRAPH_ENV="test",
            **{
                "CARTOGRAPH_SHOPS_FILE": str(shops_file),
                "CARTOGRAPH_API_POLL_SECONDS": str(POLL_SECONDS),
                **environment,
            },
        )
        self.start()

    def start(self) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  # open as long as the process
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )

    def client(self) -> Client:
        return Client(self.port)

    def answers(self, path: str = "/ready") -> bool:
        assert self.process.poll() is None, self.said()
        client = self.client()
        try:
            return client.get(path).status == 200
        except OSError:
            return False
        finally:
            client.connection.close()

    def wait(self, path: str = "/ready") -> Api:
        wait_until(lambda: self.answers(path))
        return self

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as a service manager does; gives its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=180)


def event(event_id: str, /, **values: Any) -> dict[str, Any]:
    """A good event of now."""
    return {
        "event_id": event_id,
        "event_type": "view",
        "product_id": "p1",
        "visitor_id": "v1",
        "occurred_at": datetime.now(UTC).isoformat(),
    } | values


def stored(warehouse: Warehouse, prefix: str = "") -> list[tuple[Any, ...]]:
    """The stored events whose ids begin so."""
    with warehouse.connect() as connection:
        return connection.execute(
            "select shop, event_id, event_type, customer_id, visitor_id, session_id, product_id, occurred_at"
            " from serving.events where starts_with(event_id, %s) order by number",
            [prefix],
        ).fetchall()


def publish(warehouse: Warehouse, shop: str, rows: dict[str, list[str]], popular: list[str], version: int = 1) -> None:
    """Give a shop's actors these products, and everybody else the popular ones."""
    from assets.recommender.predictions import ensure_predictions
    from assets.recommender.predictions import publish as publish_rows

    products = sorted({product for row in rows.values() for product in row} | set(popular))
    width = max(map(len, rows.values()), default=1)
    chosen = np.full((len(rows), width), -1, np.int32)
    for number, row in enumerate(rows.values()):
        chosen[number, : len(row)] = [products.index(product) for product in row]
    scores = np.where(chosen >= 0, np.linspace(0.9, 0.1, width), 0).astype(np.float32)
    with warehouse.connect() as connection:
        ensure_predictions(connection)
        connection.commit()
        publish_rows(
            connection,
            shop,
            model=model_name("recommender", shop),
            model_version=version,
            as_of=date(2026, 3, 1),
            actor_ids=pa.array(list(rows), pa.string()),
            product_ids=pa.array(products, pa.string()),
            chosen=chosen,
            scores=scores,
            fallback=[(product, 1.0 - place / 100) for place, product in enumerate(popular)],
        )


class Registry:
    """The home's registry, with small true models in it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.tracking, self.folder = Tracking(settings), folder

    def register(self, shop: str, seed: int = 1, owner: str | None = None) -> ModelVersion:
        """Fit a model on some random visits of twenty products, and register it, tagged as the owner's."""
        from mlflow.models import infer_signature

        from assets.recommender.config import load_recommender_config
        from assets.recommender.interactions import Interactions
        from assets.recommender.model import Recommender

        random = np.random.default_rng(seed)
        trained_to = datetime(2026, 3, 1, tzinfo=UTC)
        visits = 600
        table = pa.table(
            {
                "actor_id": [f"a{number}" for number in random.integers(0, 40, visits)],
                "product_id": [f"p{number}" for number in random.integers(0, 20, visits)],
                "kind": ["view"] * visits,
                "occurred_at": pa.array(
                    [trained_to - timedelta(minutes=1 + 60 * number) for number in range(visits)],
                    pa.timestamp("us", "UTC"),
                ),
                "quantity": [1] * visits,
                "is_listed": [True] * visits,
            }
        )
        config = load_recommender_config(shop)
        config = config.model_copy(update={"als": config.als.model_copy(update={"factors": 4, "iterations": 2})})
        model = Recommender.fit(Interactions.from_table(table), config, trained_to)
        folder = self.folder / f"{shop}-{seed}"
        folder.mkdir()
        model.save(folder)
        experiment = self.tracking.experiment("recommender")
        with self.tracking.client() as client:
            run = client.create_run(experiment).info.run_id
        import pandas as pd

        example = pd.DataFrame({"session": [["p1", "p2"]], "top": [5]})
        return self.tracking.register(
            run,
            model_name("recommender", shop),
            folder,
            loader_module="assets.recommender.pyfunc",
            signature=infer_signature(example),
            input_example=example,
            tags={"shop": owner or shop, "domain": "recommender", "trained_to": trained_to.isoformat(), "code": "1"},
        )

    def promote(self, version: ModelVersion) -> None:
        self.tracking.set_alias(version.name, "champion", version.version)
