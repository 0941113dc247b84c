"""Models on a bad day: whatever they do, an answer or an error comes within the deadline, and nothing half is taken."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from resources.llm.client import LlmError, Piece, Restart
from resources.llm.engine import Asker, LeftError
from tests.llm.rig import NARRATED, Rig, heard, request
from tests.standins.llm import (
    BROKEN_JSON,
    HANGS,
    KEY,
    NO_CHOICES,
    NOTHING,
    Reply,
    out_of_order,
    too_many,
)

HALF = Reply("one two three four five six")
BAD = {
    "hangs": (HANGS, "silent for 1 s"),
    "too many requests": (too_many(), "429, too many requests"),
    "out of order": (out_of_order(), "500: out of order"),
    "overloaded": (out_of_order(503), "503: out of order"),
    "key not accepted": (Reply(f"Incorrect API key provided: {KEY}", 401), "401, the provider does not accept the key"),
    "no such model": (Reply("no such model", 404), "404, no such model"),
    "refused": (Reply(f"context too long for {KEY}", 400), "400, the request is refused: context too long for ..."),
    "says nothing": (NOTHING, "said nothing"),
    "white space": (Reply(" \n \n"), "said nothing"),
    "no choices": (NO_CHOICES, "the stream ended before the answer did"),
    "broken JSON": (BROKEN_JSON, "Unterminated string"),
    "no JSON": (Reply(body=b"<html>gateway</html>"), "Expecting value"),
    "cut": (replace(HALF, end="cut"), "the stream broke off"),
    "clean early end": (replace(HALF, end="early"), "the stream ended before the answer did"),
    "stalls": (replace(HALF, end="stall"), "silent for 1 s"),
    "never stops": (replace(HALF, end="never"), "does not stop"),
    "never stops, slowly": (replace(HALF, end="never", pause=0.2), "not done within the deadline"),
    "trickles": (Reply(end="trickle"), "silent for 1 s"),
    "too long": (replace(HALF, finish="length"), "not done with 40 tokens"),
    "withheld": (replace(HALF, finish="content_filter"), "the provider's filter withheld the answer"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_the_next_entry_answers_in_place_of_one_that(rig: Rig, name: str) -> None:
    reply, reason = BAD[name]
    rig.server.answer = lambda body: reply
    llm = rig.llm(use=["stand-in", "narrator"], timeout_seconds=1, deadline_seconds=4, max_tokens=40, retries=0)
    began = time.monotonic()
    shown, restarts, completion, error = heard(llm)
    assert time.monotonic() - began < 20
    assert shown == NARRATED
    assert completion is not None and not error
    assert (completion.text, completion.entry, completion.tokens_in) == (NARRATED, "narrator", 0)
    [failure] = completion.failures
    assert failure.startswith("stand-in: ") and reason in failure
    assert KEY not in failure
    # What was shown of it is taken back, and only then.
    assert len(restarts) == ("one" in reply.text)


@pytest.mark.parametrize("name", list(BAD))
def test_alone_the_error_names_the_entry_that(rig: Rig, name: str) -> None:
    reply, reason = BAD[name]
    rig.server.answer = lambda body: reply
    llm = rig.llm(timeout_seconds=1, deadline_seconds=3, max_tokens=40)
    began = time.monotonic()
    with pytest.raises(LlmError) as caught:
        llm.complete(request(llm))
    assert time.monotonic() - began < 20
    assert "(test, corner)" in str(caught.value)
    assert "stand-in: " in str(caught.value) and reason in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(rig.server.requests) <= 2


PASSING = [
    "too many requests",
    "out of order",
    "overloaded",
    "says nothing",
    "no choices",
    "broken JSON",
    "cut",
    "clean early end",
]


@pytest.mark.parametrize("name", PASSING)
def test_what_may_pass_is_tried_once_more(rig: Rig, name: str) -> None:
    reply, _ = BAD[name]
    rig.server.plan = [reply, "All is well."]
    completion = rig.llm().complete(request(rig.llm()))
    assert (completion.text, completion.attempts, completion.entry) == ("All is well.", 2, "stand-in")


@pytest.mark.parametrize("name", ["key not accepted", "no such model", "refused", "too long", "withheld"])
def test_what_does_not_pass_is_not_tried_again(rig: Rig, name: str) -> None:
    reply, _ = BAD[name]
    rig.server.plan = [reply, "All is well."]
    llm = rig.llm(max_tokens=40)
    with pytest.raises(LlmError):
        llm.complete(request(llm))
    assert len(rig.server.requests) == 1


def test_a_silence_is_waited_for_again_only_where_nobody_else_can_be_asked(rig: Rig) -> None:
    rig.server.plan = [HANGS, "All is well."]
    alone = rig.llm()
    assert alone.complete(request(alone)).text == "All is well."
    rig.server.plan = [HANGS, "All is well."]
    together = rig.llm(use=["stand-in", "narrator"])
    assert together.complete(request(together)).text == NARRATED


def test_an_answer_without_its_end_is_none_though_the_server_says_it_is_done(rig: Rig) -> None:
    rig.server.plan = ["Sales rose by", "Sales rose by 12. END"]
    llm = rig.llm()
    shown, restarts, completion, _ = heard(llm, request(llm, is_whole=lambda text: text.endswith("END")))
    assert shown == "Sales rose by 12. END"
    assert restarts == ["the answer does not end as it should"]
    assert completion is not None and completion.attempts == 2


def test_pieces_come_before_the_answer_is_done(rig: Rig) -> None:
    rig.server.plan = [Reply("one two three four", end="stall")]
    llm = rig.llm(timeout_seconds=30, deadline_seconds=60)
    stream = llm.stream(request(llm))
    assert [next(stream), next(stream)] == [Piece("one "), Piece("two ")]
    stream.close()


def test_whoever_has_heard_enough_ends_the_call(rig: Rig) -> None:
    rig.server.plan = [Reply("one two three ", end="never", pause=0.05)]
    llm = rig.llm(timeout_seconds=30, deadline_seconds=60)
    stream = llm.stream(request(llm))
    next(stream)
    stream.close()
    for _ in range(200):
        if rig.server.left:
            break
        time.sleep(0.05)
    assert rig.server.left == 1


def test_for_somebody_who_has_left_nobody_is_asked(rig: Rig) -> None:
    llm = rig.llm(use=["stand-in", "narrator"])
    asker = Asker()
    asker.leave()
    asker.leave()
    with pytest.raises(LeftError):
        llm.complete(replace(request(llm), asker=asker))
    assert rig.server.requests == []


def test_after_a_broken_stream_nothing_of_it_is_left(rig: Rig) -> None:
    rig.server.plan = [Reply("Sales fell by half today", end="cut"), "Sales rose."]
    llm = rig.llm()
    events = list(llm.stream(request(llm)))
    at = [isinstance(event, Restart) for event in events].index(True)
    assert [event.text for event in events[:at] if isinstance(event, Piece)] == ["Sales ", "fell "]
    assert "".join(event.text for event in events[at:] if isinstance(event, Piece)) == "Sales rose."


def test_a_system_prompt_and_the_messages_are_sent_with_the_key(rig: Rig) -> None:
    rig.server.key = KEY
    llm = rig.llm(temperature=0.7, max_tokens=77)
    llm.complete(request(llm, "How much?"))
    [sent] = rig.server.requests
    assert sent.body["messages"] == [
        {"role": "system", "content": "Say what you like."},
        {"role": "user", "content": "How much?"},
    ]
    assert (sent.body["temperature"], sent.body["max_tokens"], sent.body["model"]) == (0.7, 77, "stand-in")
