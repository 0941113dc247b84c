"""What reasoning models think is never shown, however it comes."""

from __future__ import annotations

import pytest

from resources.llm.think import Cutter
from tests.llm.rig import Rig, heard
from tests.standins.llm import Reply

THOUGHTS = {
    "none": ("Sales rose.", "Sales rose."),
    "before": ("<think>Let me see.</think>\n\nSales rose.", "Sales rose."),
    "between": ("Sales <think>up? down?</think>rose.", "Sales rose."),
    "unclosed": ("Sales rose. <think>Or did they", "Sales rose."),
    "nothing else": ("<think>Hm.</think>", ""),
    "nested": ("<think>a <think>b</think> c</think>Sales rose.", "Sales rose."),
    "upper case": ("<THINK>Hm.</Think>Sales rose.", "Sales rose."),
    "thinking": ("<thinking>Hm.</thinking>Sales rose.", "Sales rose."),
    "opened by the prompt": ("Let me see.\n</think>\n\nSales rose.", "Sales rose."),
    "opened by the prompt, then again": ("Hm.</think>Sales <think>x</think>rose.", "Sales rose."),
    "closed twice": ("Hm.</think>No.</think>Sales rose.", "Sales rose."),
    "no tag": ("a < b, <thin> and <thinker>", "a < b, <thin> and <thinker>"),
    "half a tag": ("Sales rose. <thi", "Sales rose. <thi"),
}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", list(THOUGHTS))
def test_thoughts_are_cut_out_of_a_stream_wherever_its_pieces_end(name: str, size: int) -> None:
    text, said = THOUGHTS[name]
    cutter, shown, voided = Cutter(), "", 0
    for start in range(0, len(text), size):
        piece = cutter.feed(text[start : start + size])
        if cutter.voided > voided:
            voided, shown = cutter.voided, ""
        shown += piece
    assert (shown + cutter.end()).strip() == said


def test_a_text_without_tags_is_not_held_back() -> None:
    cutter = Cutter()
    assert [cutter.feed(piece) for piece in ("Sales ", "rose", " by <b>12</b>")] == ["Sales ", "rose", " by <b>12</b>"]


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_client_sees_no_thought(rig: Rig, size: int) -> None:
    text = "<think>The key is 1234.</think>\nSales rose."
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    rig.server.plan = [Reply(pieces=pieces, reasoning="and 5678 too")]
    shown, restarts, completion, _ = heard(rig.llm())
    assert (shown, restarts) == ("Sales rose.", [])
    assert completion is not None and completion.text == "Sales rose."


def test_what_turns_out_to_be_thought_is_made_void(rig: Rig) -> None:
    rig.server.plan = [Reply("Let me see. </think> Sales rose.")]
    shown, restarts, completion, _ = heard(rig.llm())
    assert shown == "Sales rose."
    assert restarts == ["what was said before was thought"]
    assert completion is not None and completion.text == "Sales rose."


def test_thoughts_alone_are_no_answer(rig: Rig) -> None:
    rig.server.answer = lambda body: "<think>Hm. Let me"
    shown, _, completion, error = heard(rig.llm())
    assert (shown, completion) == ("", None)
    assert "stand-in: said nothing" in error
