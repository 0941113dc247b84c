"""The API amid failures: killed under load, the warehouse away or hanging, told to end, several processes."""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import re
import selectors
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from resources.events import EVENTS_LOCK
from resources.settings import Settings
from resources.warehouse import Warehouse
from serving.api.warehouse import AwayError, Connections, is_away
from tests.serving.rig import Api, Client, event, free_port, publish, stored, wait_until

KILLS = int(os.environ.get("CARTOGRAPH_KILLS", "5"))


class Sender:
    """Sends requests of events one after the other, and remembers those that were acknowledged."""

    def __init__(self, api: Api, name: str, size: int) -> None:
        self.api, self.name, self.size = api, name, size
        self.sent: list[list[dict[str, Any]]] = []
        self.acknowledged: list[list[dict[str, Any]]] = []
        self.statuses: Counter[int] = Counter()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        client = self.api.client()
        while not self.stopping.is_set():
            first = sum(map(len, self.sent))
            events = [event(f"{self.name}-{first + place}") for place in range(self.size)]
            self.sent.append(events)
            try:
                status = client.send(events).status
            except (OSError, http.client.HTTPException):
                return
            self.statuses[status] += 1
            if status == 200:
                self.acknowledged.append(events)


def ids(requests: list[list[dict[str, Any]]]) -> set[str]:
    return {item["event_id"] for request in requests for item in request}


def test_killed_under_load_every_acknowledged_event_is_there_once(
    settings: Settings, home_warehouse: Warehouse
) -> None:
    """Requests are there whole or not at all; and what is sent again after the restart completes them."""
    chance = random.Random(11)
    api = Api(settings.home, settings.shops_file).wait()
    senders: list[Sender] = []
    try:
        for number in range(KILLS):
            new = [Sender(api, f"kill-{number}-{place}", size) for place, size in enumerate((1, 1, 7, 100))]
            for sender in new:
                sender.thread.start()
            time.sleep(chance.uniform(0.05, 0.6))
            api.kill()
            for sender in new:
                sender.thread.join()
            senders += new
            api.start()
            api.wait()
        kept = Counter(row[1] for row in stored(home_warehouse, "kill-"))
        assert set(kept.values()) == {1}
        for sender in senders:
            assert ids(sender.acknowledged) <= set(kept)
            for request in sender.sent:
                assert len(ids([request]) & set(kept)) in (0, len(request)), "a request was stored in part"
        assert any(sender.acknowledged for sender in senders)
        client = api.client()
        for sender in senders:
            for request in sender.sent:
                assert client.send(request).status == 200
        assert {row[1] for row in stored(home_warehouse, "kill-")} == ids(
            [request for sender in senders for request in sender.sent]
        )
    finally:
        api.stop()


def test_told_to_end_it_answers_what_is_under_way(settings: Settings, home_warehouse: Warehouse) -> None:
    api = Api(settings.home, settings.shops_file).wait()
    senders = [Sender(api, f"end-{place}", 50) for place in range(4)]
    for sender in senders:
        sender.thread.start()
    wait_until(lambda: sum(len(sender.acknowledged) for sender in senders) > 20)
    assert api.stop() in (0, -15), api.said()
    for sender in senders:
        sender.thread.join()
        assert set(sender.statuses) == {200}
        assert len(sender.sent) - len(sender.acknowledged) <= 1
    there = {row[1] for row in stored(home_warehouse, "end-")}
    assert there >= ids([request for sender in senders for request in sender.acknowledged])
    assert "Traceback" not in api.said()


class Line:
    """A port that leads to the home's warehouse, and can be cut."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.path = parse_qs(urlsplit(warehouse.url()).query)["host"][0] + "/.s.PGSQL.5432"
        self.port = free_port()
        self.selector = selectors.DefaultSelector()
        self.is_cut = self.is_frozen = False
        self.stopping = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/cartograph"

    def _run(self) -> None:
        while not self.stopping.is_set():
            if self.is_frozen:
                time.sleep(0.02)
                continue
            for key, _ in self.selector.select(0.05):
                if key.data is None:
                    self._accept()
                else:
                    self._pass_on(key.fileobj, key.data)  # type: ignore[arg-type]
            if self.is_cut:
                for key in list(self.selector.get_map().values()):
                    if key.data is not None:
                        self._close(key.fileobj, key.data)  # type: ignore[arg-type]

    def _accept(self) -> None:
        near, _ = self.listener.accept()
        if self.is_cut:
            near.close()
            return
        far = socket.socket(socket.AF_UNIX)
        far.connect(self.path)
        self.selector.register(near, selectors.EVENT_READ, far)
        self.selector.register(far, selectors.EVENT_READ, near)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            data = source.recv(65536)
            if data:
                target.sendall(data)
                return
        self._close(source, target)

    def _close(self, *ends: socket.socket) -> None:
        for end in ends:
            with suppress(KeyError, ValueError):
                self.selector.unregister(end)
            end.close()

    def close(self) -> None:
        self.stopping.set()
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]


@pytest.fixture
def line(home_warehouse: Warehouse) -> Iterator[Line]:
    made = Line(home_warehouse)
    yield made
    made.close()


def status_of(client: Client) -> str:
    return str(client.get("/health").json["status"])


def test_a_warehouse_that_goes_away_and_comes_back(settings: Settings, home_warehouse: Warehouse, line: Line) -> None:
    publish(home_warehouse, "retailrocket", {"ann": ["p1"], "bob": ["p2"]}, ["p3"])
    line.is_cut = True
    api = Api(settings.home, settings.shops_file, WAREHOUSE_URL=line.url, CARTOGRAPH_DEFAULT_SHOP="retailrocket")
    try:
        api.wait("/metrics")
        client = api.client()
        # Started without a warehouse: it answers at once that it cannot, and takes nothing in.
        answer = client.get("/health")
        assert answer.status == 503 and answer.json["status"] == "down" and answer.json["warehouse"]["problem"]
        assert client.get("/ready").status == 503
        for answer in (client.send([event("away-0")]), client.recommend(actor="ann")):
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
        line.is_cut = False
        wait_until(lambda: client.get("/ready").status == 200)
        assert client.recommend(actor="ann").json["items"][0]["product_id"] == "p1"
        assert client.send([event("away-1")]).status == 200

        line.is_cut = True
        wait_until(lambda: status_of(client) == "down")
        assert client.send([event("away-2")]).status == 503
        # What is in memory is served on: rendered answers, and what is popular for those who were not asked for yet.
        assert client.recommend(actor="ann").json["source"] == "precomputed"
        found = client.recommend(actor="bob").json
        assert (found["source"], found["items"][0]["product_id"]) == ("popular", "p3")

        line.is_cut = False
        wait_until(lambda: status_of(client) != "down")
        assert client.recommend(actor="bob").json["source"] == "precomputed"
        assert client.send([event("away-2"), event("away-3")]).json["accepted"] in (1, 2)
        assert {row[1] for row in stored(home_warehouse, "away-")} == {"away-1", "away-2", "away-3"}
    finally:
        api.stop()


def test_a_warehouse_that_hangs_is_not_waited_for(settings: Settings, line: Line, home_warehouse: Warehouse) -> None:
    publish(home_warehouse, "retailrocket", {"ann": ["p1"], "bob": ["p2"]}, ["p3"])
    api = Api(settings.home, settings.shops_file, WAREHOUSE_URL=line.url, CARTOGRAPH_DEFAULT_SHOP="retailrocket")
    try:
        client = api.wait().client()
        assert client.send([event("hang-1")]).status == 200
        assert client.recommend(actor="ann").json["source"] == "precomputed"
        line.is_frozen = True
        answers: list[int] = []
        sending = threading.Thread(target=lambda: answers.append(api.client().send([event("hang-2")]).status))
        sending.start()
        # A lookup that was begun before the outage is noticed is given up, by which it is noticed.
        found = client.recommend(actor="bob").json
        assert (found["source"], found["items"][0]["product_id"]) == ("popular", "p3")
        assert client.get("/ready").status == 503 and client.get("/health").json["warehouse"]["problem"]
        # From then on nobody waits, and what was rendered is there still.
        asked = time.monotonic()
        for number in range(20):
            assert client.recommend(actor=f"new-{number}").json["source"] == "popular"
        assert client.recommend(actor="ann").json["source"] == "precomputed"
        # A lookup that waits for the warehouse gives up after four seconds.
        assert time.monotonic() - asked < 20 * 4
        while sending.is_alive():
            assert client.get("/health").status in (200, 503)
            time.sleep(0.2)
        assert answers == [503]
        line.is_frozen = False
        wait_until(lambda: client.get("/ready").status == 200)
        assert client.recommend(actor="bob").json["source"] == "precomputed"
        assert client.send([event("hang-2"), event("hang-3")]).status in (200, 409)
    finally:
        line.is_frozen = False
        api.stop()


def test_a_killed_server_is_found_again(api: Api, client: Client, home_warehouse: Warehouse) -> None:
    """The embedded server's keeper starts it again: old connections are replaced, nothing acknowledged is lost."""
    pid = int((home_warehouse.settings.home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    assert client.send([event("crash-1")]).status == 200
    os.kill(pid, 9)

    def is_taken() -> bool:
        return client.send([event("crash-2", occurred_at=instant)]).status == 200

    instant = datetime.now(UTC).isoformat()
    wait_until(is_taken, 60)
    wait_until(lambda: status_of(client) != "down")
    assert [row[1] for row in stored(home_warehouse, "crash-")] == ["crash-1", "crash-2"]


def test_one_broken_connection_gives_up_all_of_its_age(settings: Settings, home_warehouse: Warehouse) -> None:
    """A server that was started anew fails one question, and not one for each connection that was open."""

    async def ask() -> None:
        connections = Connections(settings)
        await connections.open()
        try:
            together = asyncio.Barrier(3)

            async def backend() -> int:
                async with connections.reading() as connection:
                    await together.wait()
                    return connection.info.backend_pid

            pids = await asyncio.gather(backend(), backend(), backend())
            assert len(set(pids)) == 3
            with home_warehouse.connect(autocommit=True) as connection:
                connection.execute("select pg_terminate_backend(pid, 5000) from unnest(%s::int[]) as pid", [list(pids)])
            with pytest.raises(AwayError):
                async with connections.reading() as reading:
                    await reading.execute("select 1")
            for _ in range(3):
                async with connections.reading() as reading:
                    await reading.execute("select 1")
        finally:
            await connections.close()

    asyncio.run(ask())


def test_events_that_are_refused_say_why(api: Api, client: Client, home_warehouse: Warehouse) -> None:
    """The warehouse answers, but does not store: that is told and counted, and mends itself where it can."""

    def failed(reason: str) -> float:
        return client.figure("cartograph_events_failed_commits_total", reason=reason)

    # The writer may still hold off after the outage of the test before.
    wait_until(lambda: client.send([event("refused-1")]).status == 200)
    before = failed("refused")
    with home_warehouse.connect(autocommit=True) as connection:
        # As a full disk or a missing right would.
        connection.execute("alter table serving.events add constraint nothing_more check (false) not valid")
        try:
            answer = client.send([event("refused-2")])
            health = client.get("/health")
        finally:
            connection.execute("alter table serving.events drop constraint nothing_more")
    assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
    assert "could not be stored now: CheckViolation: " in answer.detail
    assert (health.status, health.json["status"]) == (200, "degraded")
    assert health.json["events"]["is_storing"] is False and "CheckViolation" in health.json["events"]["problem"]
    assert failed("refused") == before + 1
    assert client.send([event("refused-2")]).status == 200
    assert client.get("/health").json["events"] == {"is_storing": True, "problem": None}

    with home_warehouse.connect(autocommit=True) as connection:
        connection.execute("alter schema serving rename to serving_kept")
        try:
            answer = client.send([event("refused-3")])
            assert answer.status == 503 and "UndefinedTable" in answer.detail
            wait_until(lambda: client.send([event("refused-3")]).status == 200)
            assert [row[1] for row in stored(home_warehouse, "refused-")] == ["refused-3"]
        finally:
            connection.execute("drop schema if exists serving cascade")
            connection.execute("alter schema serving_kept rename to serving")
    assert [row[1] for row in stored(home_warehouse, "refused-")] == ["refused-1", "refused-2"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.errors.DiskFull("no space left"), False),
        (psycopg.errors.ReadOnlySqlTransaction("a standby"), False),
        (psycopg.errors.InsufficientPrivilege("not yours"), False),
        (psycopg.errors.AdminShutdown("it ends"), True),
        (psycopg.errors.QueryCanceled("too slow"), True),
        (psycopg.errors.TooManyConnections("full"), True),
        (psycopg.OperationalError("the connection is lost"), True),
        (TimeoutError(), True),
        (ValueError("a fault of ours"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_says_that_the_warehouse_is_away(error: Exception, expected: bool) -> None:
    assert is_away(error) is expected


def test_a_writer_that_vanishes_amid_its_transaction_is_ended(settings: Settings, home_warehouse: Warehouse) -> None:
    """It holds the lock without which nobody else stores events."""
    api = Api(settings.home, settings.shops_file).wait()
    try:
        sending = threading.Thread(target=lambda: api.client().send([event("vanish-1")]))
        with home_warehouse.connect(autocommit=True) as connection:
            connection.execute("select pg_advisory_lock(%s)", [EVENTS_LOCK])
            sending.start()
            waiting = "select 1 from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
            wait_until(lambda: connection.execute(waiting, ["cartograph api events"]).fetchone())
            api.process.send_signal(signal.SIGSTOP)
            # The server gives the lock to the process that no longer moves.
            connection.execute("select pg_advisory_unlock(%s)", [EVENTS_LOCK])
            connection.execute("set statement_timeout = '60s'")
            connection.execute("select pg_advisory_lock(%s)", [EVENTS_LOCK])
            connection.execute("select pg_advisory_unlock(%s)", [EVENTS_LOCK])
        api.process.send_signal(signal.SIGCONT)
        sending.join()
        wait_until(lambda: api.client().send([event("vanish-2")]).status == 200)
        assert [row[1] for row in stored(home_warehouse, "vanish-")] == ["vanish-2"]
    finally:
        api.process.send_signal(signal.SIGCONT)
        api.stop()


def exposed(api: Api) -> str:
    return api.client().get("/metrics").content.decode()


def figures_folder(api: Api) -> Path:
    """Where the workers of an API keep their figures."""
    for child in Path(f"/proc/{api.process.pid}/task/{api.process.pid}/children").read_text().split():
        found = re.search(rb"PROMETHEUS_MULTIPROC_DIR=([^\0]+)", Path(f"/proc/{child}/environ").read_bytes())
        if found:
            return Path(os.fsdecode(found[1]))
    raise AssertionError("no worker keeps figures")


def test_several_processes_count_as_one(settings: Settings, home_warehouse: Warehouse) -> None:
    api = Api(settings.home, settings.shops_file, "--workers", "2").wait()
    try:
        number = 60

        def is_taken(item: dict[str, Any]) -> bool:
            return api.client().send([item]).status == 200

        def send(name: str) -> None:
            for place in range(number):
                # A connection for each, so that both processes get some. One may be opening the warehouse still.
                wait_until(partial(is_taken, event(f"{name}-{place}")))

        threads = [threading.Thread(target=send, args=[f"workers-{place}"]) for place in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(stored(home_warehouse, "workers-")) == 2 * number
        assert api.client().figure("cartograph_events_total", outcome="accepted") == 2 * number
        assert 'cartograph_champion_version{model="recommender-olist",shop="olist"} 0.0' in exposed(api)

        # A worker that could not say that it ends no longer counts as one that lives; what it counted stays.
        folder = figures_folder(api)
        gauges = {int(file.stem.rpartition("_")[2]): file for file in folder.glob("gauge_livesum_*.db")}
        gauges.pop(api.process.pid, None)  # that of who starts the workers, all zeros
        killed = min(gauges)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: exposed(api) and not gauges[killed].exists())
        assert not list(folder.glob(f"gauge_live*_{killed}.db")) and len(gauges) == 2
        assert all(file.exists() for pid, file in gauges.items() if pid != killed)
        assert api.client().figure("cartograph_events_total", outcome="accepted") == 2 * number
    finally:
        assert api.stop() in (0, -15)


def test_a_bad_setting_is_explained(settings: Settings) -> None:
    api = Api(settings.home, settings.shops_file, CARTOGRAPH_DEFAULT_SHOP="nowhere")
    assert api.process.wait(timeout=60) == 2
    said = api.said()
    assert said.startswith("cartograph: CARTOGRAPH_DEFAULT_SHOP='nowhere': no such shop") and "Traceback" not in said
