"""The API on one core: precomputed answers beside the bare handler, durable events a second, promotion to served."""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import uvloop
from fastapi import FastAPI

from benchmarks.measure import scratch
from resources.settings import load_settings
from resources.warehouse import Warehouse
from serving.api.recommendations import Item, RecommendationsAnswer, RecommendationsRequest

SHOP = "retailrocket"
ACTORS, PRODUCTS, TOP = 50_000, 20_000, 20
SERVER_CORE, CLIENT_CORE = 0, 1


def bare() -> FastAPI:
    """The handler without our code: the same request and response models, one constant answer."""
    app = FastAPI()
    constant = RecommendationsAnswer(
        shop=SHOP,
        model=f"recommender-{SHOP}",
        model_version=1,
        source="precomputed",
        made_at=datetime.now(UTC),
        ignored=[],
        items=[Item(product_id=f"p{rank:05d}", score=1 / rank, rank=rank) for rank in range(1, TOP + 1)],
    )

    @app.post("/recommendations", response_model=RecommendationsAnswer)
    async def recommend(question: RecommendationsRequest) -> RecommendationsAnswer:
        return constant

    return app


class Server:
    """A server process on a core of its own."""

    def __init__(self, port: int, command: list[str], home: Path) -> None:
        self.port = port
        self.process = subprocess.Popen(
            command, env={**os.environ, "CARTOGRAPH_HOME": str(home)}, stdout=subprocess.DEVNULL
        )
        psutil.Process(self.process.pid).cpu_affinity([SERVER_CORE])

    def cpu(self) -> float:
        """Seconds of a processor that it has used."""
        used = psutil.Process(self.process.pid).cpu_times()
        return float(used.user + used.system)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@dataclass
class Load:
    """What came of some seconds of requests."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        if set(self.statuses) != {200}:
            raise SystemExit(f"answers that are no 200: {self.statuses}")
        return len(self.waits) / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of the server's processor for one request: steadier than a rate on a machine with other work."""
        return self.cpu / len(self.waits) * 1e6

    def wait(self, share: float) -> float:
        """Milliseconds within which so large a share was answered."""
        return sorted(self.waits)[int(share * (len(self.waits) - 1))] * 1000


class _Asker(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, requests: Iterator[bytes], until: float, load: Load) -> None:
        self.requests, self.until, self.load = requests, until, load
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.sent = time.perf_counter()
        if self.sent >= self.until:
            self.transport.close()
            self.done.set_result(None)
            return
        self.transport.write(next(self.requests))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[at : at + 12].split(b"\r")[0]):
            return
        status = int(head[9:12])
        self.load.statuses[status] = self.load.statuses.get(status, 0) + 1
        self.load.waits.append(time.perf_counter() - self.sent)
        self.buffer = b""
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server has closed the connection"))


def request(path: str, body: Any) -> bytes:
    content = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def load(server: Server, requests: Iterator[bytes], connections: int, seconds: float) -> Load:
    """Ask over so many connections at once for so many seconds."""

    async def run() -> Load:
        made = Load()
        began = time.perf_counter()
        loop = asyncio.get_running_loop()
        pairs = [
            await loop.create_connection(lambda: _Asker(requests, began + seconds, made), "127.0.0.1", server.port)
            for _ in range(connections)
        ]
        await asyncio.gather(*(asker.done for _, asker in pairs))
        made.seconds = time.perf_counter() - began
        return made

    before = server.cpu()
    made = uvloop.run(run())
    made.cpu = server.cpu() - before
    return made


def forever(make: Callable[[int], bytes]) -> Iterator[bytes]:
    number = 0
    while True:
        yield make(number)
        number += 1


def prepare(home: Path) -> None:
    """Recommendations for all actors."""
    import numpy as np
    import pyarrow as pa

    from assets.recommender.predictions import ensure_predictions, publish

    random_products = np.random.default_rng(1)
    with Warehouse(load_settings(home=home)).connect() as connection:
        ensure_predictions(connection)
        connection.commit()
        publish(
            connection,
            SHOP,
            model=f"recommender-{SHOP}",
            model_version=1,
            as_of=datetime.now(UTC).date(),
            actor_ids=pa.array([f"a{number}" for number in range(ACTORS)]),
            product_ids=pa.array([f"p{number:05d}" for number in range(PRODUCTS)]),
            chosen=random_products.integers(0, PRODUCTS, (ACTORS, 50), dtype=np.int32),
            scores=np.tile(np.linspace(1, 0.02, 50, dtype=np.float32), (ACTORS, 1)),
            fallback=[(f"p{number:05d}", 1.0) for number in range(50)],
        )


def wait_ready(port: int) -> None:
    import urllib.request
    from urllib.error import URLError

    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                # The registry's client has been imported: it does not disturb what is measured.
                if b'cartograph_reachable{what="registry"} 1.0' in answer.read():
                    return
        except URLError:
            pass
        time.sleep(0.2)
    raise SystemExit("the API did not come up")


def precomputed(ours: Server, theirs: Server, rounds: int, seconds: float, connections: int) -> None:
    """Hits and misses beside the bare handler, taken in turns."""
    # Of all, more than the cache holds, one after the other: never there.
    everybody = [
        request("/recommendations", {"shop": SHOP, "actor": f"a{number}", "top": TOP}) for number in range(ACTORS)
    ]
    few = everybody[:1_000]
    chance = random.Random(2)
    hits = forever(lambda _: chance.choice(few))
    misses = forever(lambda number: everybody[number % ACTORS])
    results: dict[str, list[Load]] = {"bare handler": [], "ours, from the cache": [], "ours, looked up": []}
    for _ in range(rounds):
        results["bare handler"].append(load(theirs, hits, connections, seconds))
        ask_once(ours.port, few)
        results["ours, from the cache"].append(load(ours, hits, connections, seconds))
        results["ours, looked up"].append(load(ours, misses, connections, seconds))
    title = f"precomputed, top {TOP}, {connections} connections"
    print(f"| {title} | requests/s | of the bare handler | µs of the core | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, loads in results.items():
        ratios = [one.rate / base.rate for one, base in zip(loads, results["bare handler"], strict=True)]
        print(
            f"| {name} | {statistics.median(one.rate for one in loads):,.0f} | {statistics.median(ratios):.2f}"
            f" ({min(ratios):.2f} to {max(ratios):.2f}) | {statistics.median(one.cost for one in loads):.0f}"
            f" | {statistics.median(one.wait(0.5) for one in loads):.1f}"
            f" | {statistics.median(one.wait(0.99) for one in loads):.1f} |",
            flush=True,
        )


def ask_once(port: int, requests: list[bytes]) -> None:
    """Ask all of them once, so that their answers are in the cache."""

    async def run() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in requests:
            writer.write(body)
            head = await reader.readuntil(b"\r\n\r\n")
            at = head.lower().index(b"content-length:") + 15
            await reader.readexactly(int(head[at : at + 12].split(b"\r")[0]))
        writer.close()

    uvloop.run(run())


def events(server: Server, rounds: int, seconds: float) -> None:
    """Acknowledged, durable events a second."""

    def batch(number: int, size: int, name: str) -> bytes:
        now = datetime.now(UTC).isoformat()
        return request(
            "/events",
            {
                "shop": SHOP,
                "events": [
                    {
                        "event_id": f"{name}-{number}-{place}",
                        "event_type": "view",
                        "product_id": f"p{place:05d}",
                        "visitor_id": f"v{number}",
                        "occurred_at": now,
                    }
                    for place in range(size)
                ],
            },
        )

    print("\n| events, each on disk when it is acknowledged | requests/s | events/s | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for size, connections in ((1, 1), (1, 64), (100, 8), (1000, 4)):
        loads = [
            load(
                server,
                forever(lambda number, size=size, turn=turn: batch(number, size, f"{size}-{connections}-{turn}")),  # noqa: B023
                connections,
                seconds,
            )
            for turn in range(rounds)
        ]
        rates = [one.rate for one in loads]
        print(
            f"| {size} a request, {connections} connections | {statistics.median(rates):,.0f} |"
            f" {statistics.median(rates) * size:,.0f} ({min(rates) * size:,.0f} to {max(rates) * size:,.0f}) |"
            f" {statistics.median(one.wait(0.5) for one in loads):.1f} |"
            f" {statistics.median(one.wait(0.99) for one in loads):.1f} |",
            flush=True,
        )


def promotion(home: Path, folder: Path, port: int, times: int) -> None:
    """Seconds from the alias' move to the first answer of the new version."""
    import urllib.request

    from tests.serving.rig import Registry

    registry = Registry(load_settings(home=home), folder)
    versions = [registry.register(SHOP, seed) for seed in (1, 2)]

    def served() -> int:
        body = json.dumps({"shop": SHOP, "session": ["p1"], "top": 1}).encode()
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/recommendations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked) as answer:
            found = json.loads(answer.read())
        return int(found["model_version"]) if found["source"] == "session" else 0

    seconds = []
    for number in range(times):
        version = versions[number % 2]
        time.sleep(random.uniform(0, 5))
        began = time.perf_counter()
        registry.promote(version)
        while served() != version.version:
            time.sleep(0.02)
        seconds.append(time.perf_counter() - began)
    print("\n| promotion to the first answer of the new version | median s | slowest s |\n| --- | ---: | ---: |")
    print(f"| {times} promotions, asked for every 5 s | {statistics.median(seconds):.1f} | {max(seconds):.1f} |")


def measure(folder: Path, rounds: int = 5, seconds: float = 3.0) -> None:
    """All three."""
    from resources.embedded_postgres import ensure, release

    home = folder / "home"
    ensure(home)
    prepare(home)
    os.environ["CARTOGRAPH_DEFAULT_SHOP"] = SHOP
    server = ["-m", "uvicorn", "--factory", "--no-access-log", "--log-level", "warning", "--loop", "uvloop"]
    ours = Server(8301, [str(Path(sys.executable).parent / "cartograph"), "serve", "--port", "8301"], home)
    theirs = Server(
        8302, [sys.executable, *server, "--http", "httptools", "--port", "8302", "benchmarks.api:bare"], home
    )
    psutil.Process().cpu_affinity([CLIENT_CORE])
    try:
        wait_ready(ours.port)
        for connections in (1, 16):
            precomputed(ours, theirs, rounds, seconds, connections)
        events(ours, rounds, seconds)
        promotion(home, folder, ours.port, 8)
    finally:
        ours.stop()
        theirs.stop()
        release(home)


if __name__ == "__main__":
    with scratch() as place:
        place.chmod(0o755)
        measure(place)
