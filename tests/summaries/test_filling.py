"""Days that miss a summary get one, and so do those whose facts, prompt or model changed; no other is written again."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.summaries.config import SummariesConfig, load_summaries_config
from assets.summaries.filling import Filled, due, fill, settings_hash
from assets.summaries.narration import narrate
from assets.summaries.store import (
    Mark,
    ensure_facts,
    keep_facts,
    span_of,
    summaries,
    summary_of,
    unsummarised,
)
from resources.llm.client import Llm
from resources.llm.prompts import PROMPTS_DIR
from resources.models import MODELS_FILE
from resources.settings import load_settings
from tests.standins.llm import KEY, KEY_VARIABLE, LlmServer, llm_server, models_yaml, out_of_order
from tests.summaries.made import Books, three_weeks

CONFIG = SummariesConfig(days=14, at_once=4, attempts=2)
GOOD = "On {date} there were {orders} orders. Revenue was {revenue}."


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with llm_server() as made:
        yield made


class Desk:
    """A shop with three weeks of sales, and who writes of it."""

    def __init__(self, shop: Books, folder: Path) -> None:
        self.shop, self.folder = shop, folder
        self.models_file = MODELS_FILE
        self.prompts = folder / "prompts"
        shutil.copytree(PROMPTS_DIR, self.prompts)
        three_weeks(shop)
        self.look()

    def look(self) -> None:
        """Keep the facts as they are now."""
        with self.shop.warehouse.connect() as connection:
            ensure_facts(connection)
            keep_facts(connection, self.shop.snapshot())

    def llm(self) -> Llm:
        home = load_settings(home=self.folder)
        return Llm(home, self.models_file, self.prompts, self.shop.warehouse)

    def fill(self, config: SummariesConfig = CONFIG) -> Filled:
        return fill(self.shop.warehouse, self.llm(), self.shop.shop, config, lambda line: None)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with self.shop.warehouse.connect() as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def desk(shop: Books, tmp_path: Path) -> Desk:
    return Desk(shop, tmp_path)


@pytest.fixture
def asking(desk: Desk, server: LlmServer, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk that asks the stand-in."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    desk.models_file = models_yaml(
        desk.folder, server.url, timeout_seconds=60, deadline_seconds=90, retries=0, pause_seconds=0.001
    )
    server.answer = lambda body: GOOD
    return desk


def test_every_closed_day_gets_a_summary_and_none_gets_it_twice(desk: Desk) -> None:
    filled = desk.fill()
    assert len(filled.days) == len(filled.written) == 14
    with desk.shop.warehouse.connect() as connection:
        stored = summaries(connection, "thelook", None, None, 100)
        assert [one.day for one in stored] == [one.day for one in reversed(filled.days)]
        assert span_of(connection, "thelook") == (filled.days[0].day, filled.days[-1].day)
        last = summary_of(connection, "thelook")
        assert last == summary_of(connection, "thelook", filled.days[-1].day) == stored[0]
        assert summary_of(connection, "thelook", filled.days[0].day - timedelta(days=1)) is None
        assert unsummarised(connection, "thelook", filled.days[0].day, filled.days[-1].day) == []
    assert last is not None
    facts = filled.days[-1]
    assert (last.text, last.facts_hash, last.language) == (narrate(facts), facts.hash, "en")
    assert (last.entry, last.is_grounded, last.attempts) == ("narrator", True, 1)
    assert desk.fill().written == ()


def test_only_days_whose_facts_changed_are_written_again(desk: Desk) -> None:
    first = desk.fill()
    day = first.days[3].day
    desk.shop.sell(day, ("m", 40, "10.00"))
    desk.shop.close(first.days[-1].day)
    desk.look()
    again = desk.fill()
    # The day itself, the one after it, and the same weekday a week later.
    assert sorted(one.facts.day for one in again.written) == [day + timedelta(days=days) for days in (0, 1, 7)]
    with desk.shop.warehouse.connect() as connection:
        changed = summary_of(connection, "thelook", day)
    assert changed is not None
    assert "$455.00" in changed.rendered


def test_a_day_that_closes_is_written_alone(desk: Desk) -> None:
    last = desk.fill().days[-1].day + timedelta(days=1)
    desk.shop.sell(last, ("m", 1, "10.00"))
    desk.shop.close(last)
    desk.look()
    assert [one.facts.day for one in desk.fill().written] == [last]
    assert desk.query("select count(*) from serving.daily_summaries") == [(15,)], "the one that left the days stays"


def test_another_prompt_or_model_writes_all_anew(asking: Desk, server: LlmServer) -> None:
    assert len(asking.fill().written) == 14
    asked = len(server.requests)
    assert asking.fill().written == ()
    assert len(server.requests) == asked > 0
    before = settings_hash(asking.llm(), asking.shop.shop)
    (asking.prompts / "summary.md").write_text("Write another summary.", encoding="utf-8")
    assert settings_hash(asking.llm(), asking.shop.shop) != before
    assert len(asking.fill().written) == 14
    assert server.requests[-1].prompt == "Write another summary."
    asking.models_file = MODELS_FILE
    assert [one.model for one in asking.fill().written] == ["narrator/v1"] * 14


def test_what_a_model_has_said_once_it_is_not_asked_again(asking: Desk, server: LlmServer) -> None:
    asking.fill()
    asked = len(server.requests)
    asking.query("delete from serving.daily_summaries returning 1")
    again = asking.fill()
    assert len(again.written) == 14
    assert all(one.is_cached for one in again.written)
    assert len(server.requests) == asked


def test_so_many_days_are_written_at_once_and_no_more(asking: Desk, server: LlmServer) -> None:
    together = threading.Barrier(4, timeout=60)
    at_work, most, lock = 0, 0, threading.Lock()

    def answer(body: dict[str, Any]) -> str:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        together.wait()
        with lock:
            at_work -= 1
        return GOOD

    server.answer = answer
    # Without a warehouse of its own it remembers nothing: days that were alike would not be asked for twice.
    llm = Llm(load_settings(home=asking.folder), asking.models_file, asking.prompts)
    config = SummariesConfig(days=12, at_once=4, attempts=1)
    filled = fill(asking.shop.warehouse, llm, asking.shop.shop, config, lambda line: None)
    assert len(filled.written) == 12
    assert all(one.is_grounded for one in filled.written), "none waited for a fourth in vain"
    assert most == 4


def test_days_for_which_no_model_answered_are_tried_again(asking: Desk, server: LlmServer) -> None:
    server.answer = lambda body: out_of_order()
    filled = asking.fill()
    assert {one.model for one in filled.written} == {"narrator/v1"}
    assert all(one.failure for one in filled.written)
    server.answer = lambda body: GOOD
    again = asking.fill()
    assert len(again.written) == 14
    assert {one.model for one in again.written} == {"openai/stand-in"}
    assert asking.query("select count(*) from serving.daily_summaries where failure is not null") == [(0,)]


def test_refused_texts_are_kept_with_what_was_wrong(asking: Desk, server: LlmServer) -> None:
    server.answer = lambda body: "On {date} there were 12 orders. It was a day like any other."
    filled = asking.fill(SummariesConfig(days=2, at_once=2, attempts=2))
    assert not any(one.is_grounded for one in filled.written)
    rows = asking.query(
        "select day, attempt, text, cardinality(faults), model, facts_hash from monitoring.summary_faults"
        " order by day, attempt"
    )
    assert [(day, attempt) for day, attempt, *_ in rows] == [
        (one.day, attempt) for one in filled.days for attempt in (1, 2)
    ]
    assert all("12 orders" in text and faults for _, _, text, faults, *_ in rows)
    assert {(model, held) for *_, model, held in rows} == {("openai/stand-in", one.hash) for one in filled.days}
    with asking.shop.warehouse.connect() as connection:
        last = summary_of(connection, "thelook")
    assert last is not None
    assert (last.is_grounded, last.text) == (False, narrate(filled.days[-1]))
    assert last.faults
    assert asking.fill(SummariesConfig(days=2, at_once=2, attempts=2)).written == (), "it was judged, and is not again"


def test_a_day_of_which_nothing_is_known_any_more_loses_its_summary(desk: Desk) -> None:
    first = desk.fill().days[0].day
    desk.query(f"delete from features.daily_facts where day = '{first}' returning 1")
    filled = desk.fill()
    assert len(filled.days) == 13
    assert desk.query("select min(day) from serving.daily_summaries") == [(first + timedelta(days=1),)]


def test_what_was_done_before_a_run_failed_stays(desk: Desk) -> None:
    first = desk.shop.snapshot().first
    desk.query(f"delete from features.daily_facts where day = '{first}' and metric is not null returning 1")
    with pytest.raises(ValueError, match=f"nothing is known of thelook on {first}"):
        desk.fill()
    assert desk.query("select count(*) from serving.daily_summaries") == [(13,)]
    desk.query(f"delete from features.daily_facts where day = '{first}' returning 1")
    desk.look()
    assert [one.facts.day for one in desk.fill().written] == [first]


def test_two_runs_of_a_shop_come_one_after_the_other(desk: Desk) -> None:
    said, done = list[str](), list[int]()

    def run() -> None:
        filled = fill(desk.shop.warehouse, desk.llm(), desk.shop.shop, CONFIG, said.append)
        done.append(len(filled.written))

    with desk.shop.warehouse.advisory_lock("summaries thelook"):
        both = [threading.Thread(target=run) for _ in range(2)]
        for one in both:
            one.start()
        while said.count("waiting for another run that writes") < 2:
            pass
        assert done == []
    for one in both:
        one.join()
    assert sorted(done) == [0, 14], "the second finds that nothing is left to do"


def test_a_shop_without_a_closed_day_is_left_alone(shop: Books, tmp_path: Path) -> None:
    shop.close(None)
    filled = fill(shop.warehouse, Llm(load_settings(home=tmp_path)), shop.shop, CONFIG, lambda line: None)
    assert (filled.days, filled.written) == ((), ())
    with shop.warehouse.connect() as connection:
        assert summary_of(connection, "thelook") is None


def test_a_day_is_due_for_a_reason(desk: Desk) -> None:
    days = desk.shop.snapshot(3).days
    there = {one.day: Mark(one.hash, "p", "r", "m", None) for one in days}
    last: date = days[-1].day
    assert due(days, there, ("p", "r", "m")) == []
    assert [one.day for one in due(days, {}, ("p", "r", "m"))] == [one.day for one in reversed(days)], (
        "the last day first"
    )
    for mark in (
        Mark("other", "p", "r", "m", None),
        Mark(days[-1].hash, "other", "r", "m", None),
        Mark(days[-1].hash, "p", "other", "m", None),
        Mark(days[-1].hash, "p", "r", "other", None),
        Mark(days[-1].hash, "p", "r", "m", "nobody answered"),
    ):
        assert [one.day for one in due(days, {**there, last: mark}, ("p", "r", "m"))] == [last]


def test_the_settings_of_the_repository_are_two_weeks_several_at_once() -> None:
    config = load_summaries_config("thelook")
    assert config.days == 14
    assert config.at_once > 1
    assert config.attempts == 2
