"""The events of the API as a stream, and their extract: each once and by shop, whatever is killed or made anew."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import date
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from assets.extracts import stream
from assets.extracts.api import declared_events, with_api
from assets.extracts.errors import ExtractError
from assets.extracts.ledger import ensure_ledger
from assets.extracts.positions import Positions, read_positions
from assets.extracts.raw import ensure_raw, ensure_raw_table
from assets.extracts.stream import StreamReport, accept_gaps, extract_events, news
from resources.events import EventsStream, ensure_events
from resources.lake import Lake
from resources.settings import load_settings
from resources.shops import API_EVENTS, Shop, load_shops
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.faults.test_kill import CONTEXT, finish
from tests.loop.events_rig import NOON, clear, event, many, raw_ids, rows, store, writing

ONE, TWO = "retailrocket", "anime"


class Events:
    """Two shops in the warehouse of the tests, with nothing of the API yet."""

    def __init__(self, warehouse: Warehouse, home: Path) -> None:
        self.warehouse, self.lake = warehouse, Lake(str(home / "lake"))
        self.shops: dict[str, Shop] = {name: load_shops(ALL_SHOPS)[name] for name in (ONE, TWO)}

    def run(self, shop: str = ONE) -> StreamReport:
        return extract_events(self.warehouse, self.lake, self.shops[shop], say=lambda _: None)

    def changes(self, shop: str = ONE) -> list[date]:
        found = "select day from ledger.changes where shop = %s and table_name = %s order by change_id"
        return [day for (day,) in rows(self.warehouse, found, shop, API_EVENTS)]


@pytest.fixture
def events(warehouse: Warehouse, tmp_path: Path) -> Iterator[Events]:
    clear(warehouse, ONE, TWO)
    yield Events(warehouse, tmp_path)
    clear(warehouse, ONE, TWO)


def test_without_the_table_there_is_no_stream(events: Events) -> None:
    report = events.run()
    assert (report.records, report.behind, report.is_unchanged) == (0, None, True)
    assert events.changes() == []


def test_each_shop_has_its_events_once_in_its_own_partition(events: Events) -> None:
    store(events.warehouse, event(ONE, "a"), event(TWO, "a", visitor_id="w"), event(ONE, "b", customer_id="k"))
    assert events.run(ONE).records == 2
    store(events.warehouse, event(ONE, "c", product_id="na", session_id='ü, "1"\n', occurred_at=NOON.replace(day=1)))
    assert events.run(ONE).records == 1
    assert events.run(TWO).records == 1
    again = events.run(ONE)
    assert again.is_unchanged and again.totals["rows"] == 3
    assert raw_ids(events.warehouse, ONE) == ["a", "b", "c"]
    assert rows(
        events.warehouse,
        "select tableoid::regclass::text, shop, record_id, visitor_id, _shard, _line from raw_api.events"
        " where shop = %s",
        TWO,
    ) == [(f"raw_{TWO}.{API_EVENTS}", TWO, "a", "w", TWO, 1)]
    stored = "select {}, event_type, customer_id, visitor_id, session_id, product_id, occurred_at, {} from {}"
    assert rows(
        events.warehouse,
        stored.format("event_id", "received_at", "serving.events where shop = %s order by number"),
        ONE,
    ) == rows(
        events.warehouse, stored.format("record_id", "_arrived_at", f"raw_{ONE}.{API_EVENTS} order by _sequence::int")
    )
    assert events.changes() == [date(2026, 3, 2), date(2026, 3, 1)]


def test_what_is_not_committed_is_not_passed_by(events: Events) -> None:
    """A writer that is slow holds up those behind it, so that none becomes visible before it."""
    done = threading.Event()

    def second() -> None:
        store(events.warehouse, event(ONE, "second"))
        done.set()

    with writing(events.warehouse) as connection:
        connection.execute(
            "insert into serving.events (shop, event_id, event_type, visitor_id, product_id, occurred_at)"
            " values (%s, 'first', 'view', 'v', 'p', now())",
            [ONE],
        )
        other = threading.Thread(target=second)
        other.start()
        assert not done.wait(0.3)
        assert events.run().records == 0
    other.join(20)
    events.run()
    assert raw_ids(events.warehouse, ONE) == ["first", "second"]


def test_it_reads_page_by_page(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    store(events.warehouse, *many(ONE, 0, 60))
    shard = EventsStream(events.warehouse, ONE)
    page = shard.read(ONE, None, limit=20)
    assert len(page.records) == 20 and page.behind
    last = shard.read(ONE, page.records[-1].sequence, limit=1000)
    assert len(last.records) == 40 and not last.behind
    monkeypatch.setattr(stream, "BATCH_RECORDS", 10)
    read = EventsStream.read
    monkeypatch.setattr(EventsStream, "read", lambda self, name, after, limit=15: read(self, name, after, limit))
    report = events.run()
    assert len(report.loaded) == 4 and report.records == 60
    assert raw_ids(events.warehouse, ONE) == [item.event_id for item in many(ONE, 0, 60)]


def test_a_table_that_was_made_anew_stops_the_extract_until_that_is_accepted(events: Events) -> None:
    store(events.warehouse, event(ONE, "a"), event(ONE, "b"))
    events.run()
    with events.warehouse.connect() as connection:
        connection.execute("drop table serving.events")
    with pytest.raises(ExtractError, match="is gone, and was read before"):
        events.run()
    store(events.warehouse, event(ONE, "b"), event(ONE, "c"))
    with pytest.raises(ExtractError, match=f"made anew.*cartograph stream {ONE} --accept-gap --table {API_EVENTS}"):
        events.run()
    accept_gaps(events.warehouse, EventsStream(events.warehouse, ONE), events.shops[ONE], API_EVENTS)
    assert len(events.run().gaps) == 1
    assert raw_ids(events.warehouse, ONE) == ["a", "b", "b", "c"]


def test_making_the_tables_again_changes_nothing_and_adds_what_is_new(events: Events) -> None:
    ensure_raw(events.warehouse, {ONE: events.shops[ONE]})
    store(events.warehouse, event(ONE, "a"))
    events.run()
    before = rows(events.warehouse, "select t.*, xmin::text from raw_api.events as t")
    with events.warehouse.connect() as connection:
        ensure_events(connection)
        connection.execute("alter table raw_api.events drop column session_id")
    ensure_raw(events.warehouse, events.shops)
    with events.warehouse.connect() as connection:
        ensure_raw_table(connection, with_api(events.shops[TWO]), declared_events(events.shops[TWO]))
    assert len(rows(events.warehouse, "select session_id from raw_api.events")) == len(before) == 1
    store(events.warehouse, event(ONE, "b", session_id="s"))
    events.run()
    assert rows(events.warehouse, "select session_id from raw_api.events order by record_id") == [(None,), ("s",)]


def test_where_nothing_came_the_ledger_stays_as_it_is_and_nothing_is_news(events: Events) -> None:
    store(events.warehouse, event(ONE, "a"))
    events.run()
    shard = EventsStream(events.warehouse, ONE)
    with events.warehouse.connect() as connection:
        ensure_ledger(connection)
        held = read_positions(connection, ONE, API_EVENTS)
    found = shard.describe()
    assert found is not None and news(shard, found, held) == []
    assert news(shard, found, Positions(None, {})) == [f"{ONE}: not read yet"]
    before = rows(events.warehouse, "select t::text, xmin::text from ledger.shards as t")
    assert events.run().is_unchanged
    assert rows(events.warehouse, "select t::text, xmin::text from ledger.shards as t") == before


# Killed

SHARED = ("extract.lake_written", "extract.copying")


def extract_and_die(warehouse_home: Path, home: Path, failpoint: str) -> None:
    """What the process does that is killed. Small batches, so that it passes each place several times."""
    if failpoint:
        os.environ["CARTOGRAPH_FAILPOINT"] = failpoint
    os.environ["CARTOGRAPH_SHOPS_FILE"] = str(ALL_SHOPS)
    stream.BATCH_RECORDS, stream.BREATH = 10, 0.01
    read = EventsStream.read
    EventsStream.read = lambda self, shard, after, limit=20: read(self, shard, after, limit)  # type: ignore[method-assign]
    settings = load_settings(_env_file=None, home=warehouse_home, environment="test")
    Events(Warehouse(settings), home).run()
    os._exit(0)


def start(events: Events, home: Path, failpoint: str = "") -> ForkServerProcess:
    process = CONTEXT.Process(target=extract_and_die, args=(events.warehouse.settings.home, home, failpoint))
    process.start()
    return process


def test_killed_at_every_step_each_event_is_there_once(events: Events, tmp_path: Path) -> None:
    count = 0
    for failpoint in (*stream.FAILPOINTS, *SHARED):
        store(events.warehouse, *many(ONE, count, 45))
        count += 45
        assert finish(start(events, tmp_path, f"{failpoint}:2")) == -signal.SIGKILL, failpoint
        ids = raw_ids(events.warehouse, ONE) if (count > 45 or _exists(events)) else []
        assert len(ids) == len(set(ids)) and len(ids) < count
    assert finish(start(events, tmp_path)) == 0
    _wait_for_the_dead(events)
    assert raw_ids(events.warehouse, ONE) == [item.event_id for item in many(ONE, 0, count)]
    held = rows(events.warehouse, "select distinct (occurred_at at time zone 'UTC')::date from raw_api.events")
    assert {day for (day,) in held} == set(events.changes())
    assert events.run().is_unchanged


def _exists(events: Events) -> bool:
    return bool(rows(events.warehouse, "select to_regclass('raw_api.events') is not null")[0][0])


def _wait_for_the_dead(events: Events) -> None:
    """The server ends the sessions of a killed process when it notices."""
    alive = "select count(*) from pg_stat_activity where pid <> pg_backend_pid() and application_name = 'cartograph'"
    for _ in range(400):
        if rows(events.warehouse, alive) == [(0,)]:
            return
        time.sleep(0.02)
    raise AssertionError("a session of a killed process lives on")
