"""What calls leave in the warehouse, the budget of a shop's day over processes, and the cache."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import dict_row

from resources.dagster_resources import LLMResource, build_resources
from resources.llm import records
from resources.llm.client import Completion, EnoughError, LlmError
from resources.llm.config import Budget
from resources.llm.records import Asked, BudgetError, MemoryLedger, Outcome
from resources.models import MODELS_FILE
from resources.settings import PROJECT_ROOT, load_settings
from resources.warehouse import Warehouse
from tests.llm.rig import NARRATED, Rig, heard, other, request
from tests.standins.llm import HANGS, KEY, Reply, out_of_order

PRICES = {"input": 1000.0, "output": 2000.0}
"""Dollars for a million tokens: the stand-in's 20 and 10 tokens cost 4 cents."""

SLOW = {
    "use": ["stand-in", "narrator"],
    "max_tokens": 100,
    "retries": 0,
    "timeout_seconds": 60,
    "deadline_seconds": 120,
}


@pytest.fixture
def shop() -> str:
    return f"shop-{uuid.uuid4().hex[:8]}"


def rows(warehouse: Warehouse, shop: str) -> list[dict[str, Any]]:
    with warehouse.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from monitoring.llm_calls where shop = %s order by call_id", [shop]).fetchall()


def priced(rig: Rig) -> dict[str, Any]:
    return {"priced": {**other(rig.server.url), "prices": PRICES}}


def test_a_call_is_recorded_with_all_that_it_took(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    rig.server.plan = [out_of_order(), Reply("All is well, thank you.", pause=0.02)]
    llm = rig.llm(warehouse, use=["priced"], entries=priced(rig))
    completion = llm.complete(request(llm, shop=shop, run_id="run-1"))
    [row] = rows(warehouse, shop)
    assert (row["purpose"], row["entry"], row["model"], row["run_id"]) == ("test", "priced", "openai/other", "run-1")
    assert (row["prompt_name"], row["prompt_version"]) == ("test", llm.prompt("test").version)
    assert row["input_hash"] == completion.input_hash
    assert (row["status"], row["error"], row["attempts"], row["is_cached"]) == ("ok", None, 2, False)
    assert (row["tokens_in"], row["tokens_out"]) == (20, 10)
    assert row["cost"] == pytest.approx(0.04) and completion.cost == row["cost"]
    assert 0 < row["first_token_seconds"] < row["seconds"] < completion.seconds
    assert row["tokens_per_second"] > 0


def test_a_fallback_leaves_a_record_of_each(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    rig.server.answer = lambda body: Reply("one two three four", end="cut")
    llm = rig.llm(warehouse, use=["stand-in", "narrator"], retries=0)
    heard(llm, request(llm, shop=shop))
    failed, answered = rows(warehouse, shop)
    assert (failed["entry"], failed["status"]) == ("stand-in", "failed")
    assert failed["error"].startswith("the stream broke off")
    # What was sent and what came is guessed: the provider has counted it.
    assert failed["tokens_in"] > 0 and failed["tokens_out"] > 0 and failed["cost"] is None
    assert (answered["entry"], answered["status"], answered["tokens_in"], answered["cost"]) == ("narrator", "ok", 0, 0)


def test_whoever_leaves_a_stream_leaves_a_record(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    rig.server.plan = [Reply("one two ", end="never", pause=0.02)]
    llm = rig.llm(warehouse)
    stream = llm.stream(request(llm, shop=shop))
    for _ in range(4):
        next(stream)
    stream.close()
    [row] = rows(warehouse, shop)
    assert (row["status"], row["error"]) == ("failed", "whoever asked has left")
    assert row["tokens_out"] > 0


def test_a_stream_of_no_use_is_stopped_and_says_what_it_took(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    rig.server.plan = [Reply("one two ", end="never", pause=0.02)]
    llm = rig.llm(warehouse, use=["stand-in", "narrator"])
    stream = llm.stream(request(llm, shop=shop))
    for _ in range(4):
        next(stream)
    completion = stream.throw(EnoughError())
    assert isinstance(completion, Completion) and list(stream) == []
    [row] = rows(warehouse, shop)
    assert (row["status"], row["error"]) == ("failed", "stopped: what it said is of no use")
    assert (completion.entry, completion.tokens_out) == ("stand-in", row["tokens_out"])
    assert row["tokens_out"] > 0


def test_no_record_and_no_cache_hold_a_key(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    rig.server.key = "another"
    llm = rig.llm(warehouse)
    with pytest.raises(LlmError) as caught:
        llm.complete(request(llm, shop=shop))
    rig.server.key = None
    rig.server.plan = [Reply(f"bad request with {KEY}", 400)]
    other_llm = rig.llm(warehouse)
    with pytest.raises(LlmError):
        other_llm.complete(request(other_llm, shop=shop))
    written = json.dumps(rows(warehouse, shop), default=str)
    assert len(rows(warehouse, shop)) == 2
    assert KEY not in written and KEY not in str(caught.value)
    assert KEY not in repr(vars(llm)) and KEY not in repr(vars(llm.watched))


def test_the_same_input_is_asked_once(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    rig.server.plan = ["The first.", "The second."]
    llm = rig.llm(warehouse, use=["priced"], entries=priced(rig))
    first = llm.complete(request(llm, shop=shop))
    again = rig.llm(warehouse, use=["priced"], entries=priced(rig)).complete(request(llm, shop=shop))
    assert (again.text, again.is_cached, again.attempts) == ("The first.", True, 0)
    assert (again.tokens_in, again.tokens_out, again.cost) == (first.tokens_in, first.tokens_out, first.cost)
    assert len(rig.server.requests) == 1
    assert [row["is_cached"] for row in rows(warehouse, shop)] == [False, True]
    fresh = llm.complete(request(llm, shop=shop), is_fresh=True)
    assert (fresh.text, fresh.is_cached) == ("The second.", False)
    assert llm.complete(request(llm, shop=shop)).text == "The second."


def test_another_prompt_model_input_or_setting_is_asked_anew(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    rig.server.answer = lambda body: f"Answer {len(rig.server.requests)}"
    llm = rig.llm(warehouse)
    entries = {"other": other(rig.server.url)}
    texts = [
        llm.complete(request(llm, shop=shop)).text,
        llm.complete(request(llm, "Good evening.", shop=shop)).text,
        rig.llm(warehouse, use=["other"], entries=entries).complete(request(llm, shop=shop)).text,
        rig.llm(warehouse, temperature=1.0).complete(request(llm, shop=shop)).text,
    ]
    rig.write_prompt("Say it in verse.")
    llm = rig.llm(warehouse)
    texts.append(llm.complete(request(llm, shop=shop)).text)
    assert len(set(texts)) == 5


def test_what_is_no_answer_is_not_cached(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    llm = rig.llm(warehouse, retries=0)
    rig.server.plan = ["half", "whole END"]

    def is_whole(text: str) -> bool:
        return text.endswith("END")

    with pytest.raises(LlmError):
        llm.complete(request(llm, shop=shop, is_whole=is_whole))
    assert llm.complete(request(llm, shop=shop, is_whole=is_whole)).text == "whole END"


def test_a_cached_answer_needs_neither_provider_nor_budget(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    llm = rig.llm(warehouse)
    said = llm.complete(request(llm, shop=shop)).text
    rig.server.answer = lambda body: HANGS
    later = rig.llm(warehouse, budget={"tokens": 0, "cost": 0})
    assert later.complete(request(later, shop=shop)).text == said


def test_streams_are_not_cached(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    rig.server.plan = ["The first.", "The second."]
    llm = rig.llm(warehouse)
    assert [heard(llm, request(llm, shop=shop))[0] for _ in range(2)] == ["The first.", "The second."]


@pytest.mark.parametrize("is_recorded", [True, False], ids=["in the warehouse", "in memory"])
def test_when_the_budget_of_a_day_is_spent_nobody_who_costs_is_asked(
    rig: Rig, warehouse: Warehouse, shop: str, is_recorded: bool
) -> None:
    held = warehouse if is_recorded else None
    # A call may take 100 tokens out and some in; what it took is 30.
    budget = {"tokens": 180, "cost": 100}
    llm = rig.llm(held, use=["stand-in", "narrator"], budget=budget, max_tokens=100, retries=0)
    entries = [llm.complete(request(llm, f"{n}", shop=shop)).entry for n in range(5)]
    assert entries == ["stand-in", "stand-in", "stand-in", "narrator", "narrator"]
    assert len(rig.server.requests) == 3
    [failure] = llm.complete(request(llm, shop=shop)).failures
    assert "the budget of" in failure and "90 of 180 tokens" in failure and "budget.tokens" in failure
    # Another shop has its own.
    assert llm.complete(request(llm, shop=f"{shop}-2")).entry == "stand-in"
    if is_recorded:
        assert [row["status"] for row in rows(warehouse, shop)].count("refused") == 3
        # Another process finds it spent.
        anew = rig.llm(warehouse, use=["stand-in", "narrator"], budget=budget, max_tokens=100, retries=0)
        assert anew.complete(request(anew, "5", shop=shop)).entry == "narrator"


def test_the_budget_holds_dollars_too(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    settings = {"use": ["priced", "narrator"], "entries": priced(rig), "max_tokens": 20, "retries": 0}
    llm = rig.llm(warehouse, budget={"tokens": 10**9, "cost": 0.12}, **settings)
    entries = [llm.complete(request(llm, f"{n}", shop=shop)).entry for n in range(4)]
    assert entries == ["priced", "priced", "narrator", "narrator"]
    assert sum(row["cost"] or 0 for row in rows(warehouse, shop)) == pytest.approx(0.08)


def test_yesterday_does_not_count(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    settings = {"use": ["stand-in", "narrator"], "max_tokens": 100, "retries": 0}
    llm = rig.llm(warehouse, budget={"tokens": 140, "cost": 1}, **settings)
    assert [llm.complete(request(llm, f"{n}", shop=shop)).entry for n in range(3)] == ["stand-in"] * 2 + ["narrator"]
    with warehouse.connect() as connection:
        connection.execute(
            "update monitoring.llm_calls set called_at = called_at - interval '1 day' where shop = %s", [shop]
        )
    assert llm.complete(request(llm, "3", shop=shop)).entry == "stand-in"


def test_what_is_older_than_the_settings_say_is_forgotten_and_no_other_shop_s(
    rig: Rig, warehouse: Warehouse, shop: str
) -> None:
    days = warehouse.settings.records_days
    llm = rig.llm(warehouse)
    for said in ("old", "young"):
        llm.complete(request(llm, said, shop=shop))
    llm.complete(request(llm, "old", shop=f"{shop}-2"))
    with warehouse.connect() as connection:
        for table, at, number in (
            ("monitoring.llm_calls", "called_at", "call_id"),
            ("features.llm_cache", "made_at", "made_at"),
        ):
            connection.execute(
                f"update {table} as t set {at} = {at} - make_interval(days => %s, hours => case when {number} ="
                f" (select min({number}) from {table} where shop = t.shop) then 1 else -1 end) where shop like %s",
                [days, f"{shop}%"],
            )
    llm.complete(request(llm, "new", shop=shop))
    assert len(rows(warehouse, shop)) == 2 and len(rows(warehouse, f"{shop}-2")) == 1
    with warehouse.connect() as connection:
        cached = connection.execute(
            "select shop, count(*) from features.llm_cache where shop like %s group by shop", [f"{shop}%"]
        ).fetchall()
    assert dict(cached) == {shop: 2, f"{shop}-2": 1}


def test_the_budget_in_memory_is_of_one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    today = datetime.now(UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return today

    monkeypatch.setattr(records, "datetime", Clock)
    ledger, budget = MemoryLedger(), Budget(tokens=100, cost=1)
    asked = Asked("corner", "test", "m", "openai/m", "test", "1", "2", None)
    most = Outcome("asked", tokens_in=60)
    late = ledger.reserve(asked, most, budget)
    with pytest.raises(BudgetError):
        ledger.reserve(asked, most, budget)
    today += timedelta(days=1)
    early = ledger.reserve(asked, most, budget)
    ledger.settle(late, asked, Outcome("ok", tokens_in=1))
    with pytest.raises(BudgetError):
        ledger.reserve(asked, most, budget)
    ledger.settle(early, asked, Outcome("ok", tokens_in=40))
    ledger.reserve(asked, most, budget)


def test_threads_together_keep_the_budget(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    settings = {**SLOW, "budget": {"tokens": 250, "cost": 1}}
    llms = [rig.llm(warehouse, **settings) for _ in range(6)]
    entries: list[str] = []
    are_refused = threading.Event()

    def answer(body: dict[str, Any]) -> str:
        are_refused.wait(30)
        return "Well."

    rig.server.answer = answer

    def ask(number: int) -> None:
        entries.append(llms[number].complete(request(llms[number], f"{number}", shop=shop)).entry)
        if entries.count("narrator") == 4:
            are_refused.set()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each may take 100 out and a few in, so two fit at once.
    assert entries == ["narrator"] * 4 + ["stand-in"] * 2
    assert len(rig.server.requests) == 2


CHILD = """
import json, os, sys
from pathlib import Path
from resources.llm.client import Llm
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.llm.rig import request
home, models, prompts, shop = sys.argv[1:]
settings = load_settings(home=Path(home))
llm = Llm(settings, Path(models), Path(prompts), Warehouse(settings))
print(json.dumps([llm.complete(request(llm, f"{os.getpid()} {n}", shop=shop)).entry for n in range(3)]))
"""


def child(rig: Rig, warehouse: Warehouse, shop: str, models: Path) -> subprocess.Popen[str]:
    given = [sys.executable, "-c", CHILD, str(warehouse.settings.home), str(models), str(rig.prompts), shop]
    return subprocess.Popen(given, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_share_the_budget(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    models = rig.models(**SLOW, budget={"tokens": 170, "cost": 1})
    children = [child(rig, warehouse, shop, models) for _ in range(2)]
    entries = [entry for one in children for entry in json.loads(one.communicate(timeout=300)[0])]
    assert len(entries) == 6
    assert sum(row["tokens_in"] + row["tokens_out"] for row in rows(warehouse, shop)) <= 170
    assert 1 <= entries.count("stand-in") == len(rig.server.requests) <= 3


def test_what_a_killed_process_may_have_used_counts(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    rig.server.plan = [HANGS]
    killed = child(rig, warehouse, shop, rig.models(**SLOW))
    try:
        deadline = time.monotonic() + 120
        while not rig.server.requests and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        killed.kill()
        killed.wait()
    [row] = rows(warehouse, shop)
    assert (row["status"], row["tokens_out"]) == ("asked", 100)
    llm = rig.llm(warehouse, **SLOW, budget={"tokens": 200, "cost": 1})
    assert llm.complete(request(llm, shop=shop)).entry == "narrator"


def test_assets_have_the_models_of_their_home(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    home = warehouse.settings.home
    made = build_resources(load_settings(home=home))["llm"]
    assert isinstance(made, LLMResource)
    assert made.client().watched.models_file == MODELS_FILE
    models = rig.models(timeout_seconds=30)
    llm = LLMResource(home=str(home), models_file=str(models), prompts_dir=str(rig.prompts)).client()
    assert llm.complete(request(llm, shop=shop, run_id="run-2")).entry == "stand-in"
    assert [row["run_id"] for row in rows(warehouse, shop)] == ["run-2"]


def test_without_a_warehouse_the_narrator_still_answers(rig: Rig, tmp_path: Path) -> None:
    away = Warehouse(load_settings(warehouse_url="postgresql://nobody@127.0.0.1:9/none"))
    llm = rig.llm(away, use=["stand-in", "narrator"])
    completion = llm.complete(request(llm))
    assert completion.text == NARRATED
    assert completion.failures[0].startswith("stand-in: WAREHOUSE_URL")
    assert rig.server.requests == []


def test_records_go_on_after_the_connection_was_lost(rig: Rig, warehouse: Warehouse, shop: str) -> None:
    llm = rig.llm(warehouse)
    llm.complete(request(llm, "1", shop=shop))
    with warehouse.connect(autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cartograph llm'"
        )
    llm.complete(request(llm, "2", shop=shop))
    assert len(rows(warehouse, shop)) == 2
