"""Who is asked when: entries in turn, pauses that a provider asks for, entries that are left out for a while."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from resources.llm.circuits import LONGEST_SECONDS, Circuits
from resources.llm.client import LlmError
from resources.llm.config import Entry
from resources.llm.engine import LeftError, Tried
from tests.llm.rig import NARRATED, Rig, heard, other, request
from tests.standins.llm import BROKEN_JSON, HANGS, NO_CHOICES, NOTHING, Reply, llm_server, out_of_order, too_many

DEAD = "http://127.0.0.1:9/v1"


def test_the_first_entry_that_answers_is_taken(rig: Rig) -> None:
    with llm_server() as second:
        second.answer = lambda body: "I am the second."
        llm = rig.llm(use=["dead", "second", "stand-in"], entries={"dead": other(DEAD), "second": other(second.url)})
        completion = llm.complete(request(llm))
    assert (completion.text, completion.entry, completion.model) == ("I am the second.", "second", "openai/other")
    assert completion.failures == (f"dead: nobody answers at {DEAD}",)
    assert rig.server.requests == []


@pytest.mark.parametrize("model", ["openai/m", "ollama_chat/m", "groq/m"])
def test_a_dead_provider_costs_no_time_out(rig: Rig, model: str) -> None:
    entries = {"dead": {**other(DEAD), "model": model}}
    llm = rig.llm(use=["dead", "stand-in"], entries=entries, timeout_seconds=60, deadline_seconds=120)
    began = time.monotonic()
    completion = llm.complete(request(llm))
    assert time.monotonic() - began < 30
    assert completion.entry == "stand-in"
    assert completion.failures == (f"dead: nobody answers at {DEAD}",)


def test_an_entry_that_failed_is_left_out_and_then_asked_again(rig: Rig) -> None:
    rig.server.plan = [out_of_order()]
    llm = rig.llm(use=["stand-in", "narrator"], retries=0, pause_seconds=1.5)
    assert llm.complete(request(llm)).entry == "narrator"
    during = llm.complete(request(llm))
    assert during.entry == "narrator"
    assert during.failures[0].startswith("stand-in: left out for") and "500: out of order" in during.failures[0]
    assert len(rig.server.requests) == 1
    time.sleep(1.6)
    assert llm.complete(request(llm)).entry == "stand-in"
    assert llm.complete(request(llm)).entry == "stand-in"


def test_a_provider_that_hangs_costs_its_time_once(rig: Rig) -> None:
    rig.server.answer = lambda body: HANGS
    llm = rig.llm(use=["stand-in", "narrator"], timeout_seconds=1, pause_seconds=300)
    for _ in range(5):
        assert llm.complete(request(llm)).text == NARRATED
    assert len(rig.server.requests) == 1


OF_THE_TEXT = {
    "400": Reply("x", 400),
    "403": Reply("your text was flagged", 403),
    "nothing": NOTHING,
    "no choices": NO_CHOICES,
    "broken JSON": BROKEN_JSON,
    "another JSON": Reply(body=b'{"choices": 5}'),
    "long": Reply("a b", finish="length"),
    "withheld": Reply("a b", finish="content_filter"),
    "repeats": Reply("coat " * 150),
    "never stops": Reply("a b c d e f g h", end="never"),
    "cut": Reply("a b c d", end="cut"),
    "early": Reply("a b c d", end="early"),
    "stalls": Reply("a b c d", end="stall"),
    "too slow": Reply("a b c d", end="never", pause=0.3),
    "half": Reply("a b c d"),
}
OF_THE_ENTRY = {
    "500": out_of_order(),
    "503": out_of_order(503),
    "429": too_many(),
    "401": Reply("x", 401),
    "404": Reply("x", 404),
    "silent": HANGS,
}


@pytest.mark.parametrize("reply", OF_THE_TEXT.values(), ids=list(OF_THE_TEXT))
def test_an_entry_is_not_left_out_for_what_one_text_is_to_blame_for(rig: Rig, reply: Reply) -> None:
    rig.server.plan = [reply]
    llm = rig.llm(use=["stand-in", "narrator"], retries=0, timeout_seconds=1, deadline_seconds=3, max_tokens=400)

    def asked() -> Tried:
        one = replace(request(llm), is_whole=lambda text: text.endswith("."))
        llm.complete(one)
        assert len(one.asker.tried) == (1 if one.asker.tried[0].outcome == "answered" else 2)
        return one.asker.tried[0]

    assert (asked().entry, asked().entry) == ("stand-in", "stand-in")
    assert [one.outcome for one in (asked(), asked())] == ["answered", "answered"]
    assert len(rig.server.requests) == 4


@pytest.mark.parametrize("reply", OF_THE_ENTRY.values(), ids=list(OF_THE_ENTRY))
def test_an_entry_that_answers_nobody_is_left_out(rig: Rig, reply: Reply) -> None:
    rig.server.plan = [reply]
    llm = rig.llm(use=["stand-in", "narrator"], retries=0, timeout_seconds=1, pause_seconds=300)
    first, second = request(llm), request(llm)
    llm.complete(first)
    llm.complete(second)
    assert [one.outcome for one in first.asker.tried] == ["down", "answered"]
    assert [one.outcome for one in second.asker.tried] == ["paused", "answered"]
    entry = llm.config("corner").entries["stand-in"]
    standing = llm.standing("stand-in", entry)
    assert standing is not None and standing.reason == first.asker.tried[0].reason
    assert abs((datetime.now(UTC) - standing.since).total_seconds()) < 60


def test_a_deadline_that_others_used_up_is_not_the_fault_of_the_next_entry(rig: Rig) -> None:
    with llm_server() as slow:
        slow.answer = lambda body: Reply("a", wait=1.5, finish="length")
        rig.server.plan = [HANGS]
        use = {"use": ["slow", "stand-in", "narrator"], "entries": {"slow": other(slow.url)}}
        llm = rig.llm(**use, timeout_seconds=10, deadline_seconds=3, retries=0)
        first = request(llm)
        llm.complete(first)
    assert [one.outcome for one in first.asker.tried] == ["unusable", "unusable", "answered"]
    assert first.asker.tried[1].reason == "not done within the deadline"
    rig.models(use=["stand-in", "narrator"], timeout_seconds=10, deadline_seconds=20)
    time.sleep(1.1)
    assert llm.complete(request(llm)).entry == "stand-in"


def test_a_text_that_repeats_itself_is_narrated(rig: Rig) -> None:
    said = "coat " * 600
    llm = rig.llm(use=["narrator"])
    shown, restarts, completion, _ = heard(llm, replace(request(llm), narrate=lambda: said))
    assert completion is not None and completion.text == said.strip()
    assert shown.strip() == said.strip() and restarts == []


def test_whoever_leaves_while_they_try_an_entry_leaves_the_trial_to_the_next(rig: Rig) -> None:
    rig.server.plan = [out_of_order(), HANGS]
    llm = rig.llm(use=["stand-in", "narrator"], retries=0, pause_seconds=0.1, timeout_seconds=60, deadline_seconds=90)
    assert llm.complete(request(llm)).entry == "narrator"
    time.sleep(0.2)
    leaver = request(llm)
    threading.Timer(1.0, leaver.asker.leave).start()
    with pytest.raises(LeftError):
        llm.complete(leaver)
    assert [one.outcome for one in leaver.asker.tried] == ["left"]
    assert llm.complete(request(llm)).entry == "stand-in"


def test_an_entry_that_is_configured_anew_is_asked_at_once(rig: Rig) -> None:
    llm = rig.llm(use=["changed", "narrator"], entries={"changed": other(DEAD)}, pause_seconds=300)
    assert llm.complete(request(llm)).entry == "narrator"
    rig.models(use=["changed", "narrator"], entries={"changed": other(rig.server.url)}, pause_seconds=300)
    time.sleep(1.1)
    assert llm.complete(request(llm)).entry == "changed"


def test_retry_after_is_obeyed(rig: Rig) -> None:
    rig.server.plan = [too_many(1.2), "All is well."]
    llm = rig.llm(use=["stand-in", "narrator"])
    began = time.monotonic()
    completion = llm.complete(request(llm))
    assert time.monotonic() - began >= 1.2
    assert (completion.entry, completion.attempts) == ("stand-in", 2)


def test_a_pause_beyond_the_patience_is_not_waited_for_but_kept(rig: Rig) -> None:
    rig.server.plan = [too_many(40)]
    llm = rig.llm(use=["stand-in", "narrator"], patience_seconds=5, pause_seconds=0.1)
    assert llm.complete(request(llm)).entry == "narrator"
    time.sleep(0.3)
    [failure] = llm.complete(request(llm)).failures
    seconds = int(failure.removeprefix("stand-in: left out for ").partition(" ")[0])
    assert 20 < seconds <= 40
    assert len(rig.server.requests) == 1


def test_a_pause_beyond_the_deadline_is_not_waited_for(rig: Rig) -> None:
    rig.server.plan = [too_many(30), "All is well."]
    llm = rig.llm(patience_seconds=60, deadline_seconds=3)
    with pytest.raises(LlmError, match="429"):
        llm.complete(request(llm))
    assert len(rig.server.requests) == 1


def test_the_deadline_is_one_for_all_entries_and_the_narrator_needs_no_time(rig: Rig) -> None:
    rig.server.answer = lambda body: Reply("a b c d e f", pause=0.3, end="never")
    entries = {name: other(rig.server.url) | {"model": f"openai/{name}"} for name in ("second", "third")}
    llm = rig.llm(
        use=["stand-in", "second", "third", "narrator"],
        entries=entries,
        timeout_seconds=2,
        deadline_seconds=2.5,
        retries=2,
    )
    shown, _, completion, _ = heard(llm)
    assert shown == NARRATED
    assert completion is not None
    assert completion.failures == (
        "stand-in: not done within the deadline",
        "second: no time is left of 2.5 s",
        "third: no time is left of 2.5 s",
    )
    assert len(rig.server.requests) == 1


def test_a_key_that_is_not_there_is_named_and_nobody_is_asked(rig: Rig) -> None:
    entries = {"keyless": {**other(rig.server.url), "api_key_variable": "NO_SUCH_KEY"}}
    llm = rig.llm(use=["keyless", "stand-in"], entries=entries)
    completion = llm.complete(request(llm))
    assert completion.failures == ("keyless: NO_SUCH_KEY is not set; set it in the environment or in .env",)
    assert [sent.body["model"] for sent in rig.server.requests] == ["stand-in"]


def test_many_threads_are_answered_each_with_its_own(rig: Rig) -> None:
    rig.server.answer = lambda body: f"You said: {body['messages'][-1]['content']}"
    llm = rig.llm(timeout_seconds=30, deadline_seconds=60)
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda n: llm.complete(request(llm, f"word {n}")).text, range(40)))
    assert texts == [f"You said: word {n}" for n in range(40)]


def test_a_pause_doubles_up_to_a_bound_and_one_caller_tries_when_it_is_over() -> None:
    circuits, entry = Circuits(), Entry(model="openai/m")
    circuits.failed("m", entry, "500", 0.01)
    time.sleep(0.05)
    assert circuits.paused("m", entry, 60) is None
    assert "left out for 60 s more" in str(circuits.paused("m", entry, 60))
    circuits.failed("m", entry, "500", 100)
    assert "left out for 100 s" in str(circuits.paused("m", entry, 60))
    circuits.failed("m", entry, "500", 100)
    assert "left out for 200 s" in str(circuits.paused("m", entry, 60))
    circuits.failed("m", entry, "500", 100)
    assert f"left out for {LONGEST_SECONDS:.0f} s" in str(circuits.paused("m", entry, 60))
    circuits.answered("m", entry)
    assert circuits.paused("m", entry, 60) is None
