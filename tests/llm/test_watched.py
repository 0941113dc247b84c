"""Settings and prompts follow their files; a broken file changes nothing and says why."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from resources.llm import watched
from resources.llm.config import LlmConfig
from resources.llm.prompts import Prompt, PromptError, read_prompt
from resources.llm.watched import Watched
from resources.models import ModelsError
from tests.llm.rig import Rig, request


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "SECONDS", 0.0)


@pytest.fixture
def seen(rig: Rig) -> Watched:
    return Watched(rig.models(temperature=0.1), rig.prompts)


def temperature(seen: Watched) -> float:
    return seen.config("llm", LlmConfig, "corner").temperature


def test_a_change_is_taken_over(rig: Rig, seen: Watched) -> None:
    assert temperature(seen) == 0.1
    rig.models(temperature=0.9)
    assert temperature(seen) == 0.9
    assert seen.prompt("test").text == "Say what you like."
    rig.write_prompt("Say it in verse.")
    assert seen.prompt("test") == Prompt("test", "Say it in verse.")
    assert seen.problem is None


def test_the_next_request_is_asked_with_the_changed_prompt_and_entry(rig: Rig) -> None:
    llm = rig.llm()
    llm.complete(request(llm))
    rig.write_prompt("Say it in verse.")
    rig.models(use=["narrator"])
    assert llm.complete(request(llm)).entry == "narrator"
    rig.models()
    llm.complete(request(llm))
    assert [sent.prompt for sent in rig.server.requests] == ["Say what you like.", "Say it in verse."]


def _blocked(path: Path) -> None:
    """A file that nobody can read: permissions do not hold back root."""
    path.unlink()
    path.mkdir()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no YAML": (lambda path: path.write_text("llm: [", encoding="utf-8"), "not YAML"),
    "no mapping": (lambda path: path.write_text("- llm\n", encoding="utf-8"), "must be a mapping"),
    "empty": (lambda path: path.write_text("", encoding="utf-8"), "must be a mapping"),
    "no section": (lambda path: path.write_text("search: {}\n", encoding="utf-8"), "needs a mapping `defaults`"),
    "unknown key": (
        lambda path: path.write_text(path.read_text("utf-8").replace("retries:", "retrys:"), "utf-8"),
        "unknown key; did you mean 'retries'?",
    ),
    "bad value": (
        lambda path: path.write_text(path.read_text("utf-8").replace("temperature: 0.1", "temperature: hot"), "utf-8"),
        "llm.defaults.temperature: 'hot'",
    ),
    "unknown entry": (
        lambda path: path.write_text(path.read_text("utf-8").replace("- stand-in", "- stand-out"), "utf-8"),
        "llm.defaults.use: ['stand-out']: there is no entry 'stand-out', only narrator, stand-in",
    ),
    "gone": (lambda path: path.unlink(), "no such file"),
    "no UTF-8": (lambda path: path.write_bytes(b"llm: \xff\xfe"), "not UTF-8"),
    "not to be read": (_blocked, "cannot be read (Is a directory)"),
    "half written": (
        lambda path: path.write_text(path.read_text("utf-8").partition("retries:")[0] + "retr", "utf-8"),
        "not YAML",
    ),
    "cut between two lines": (
        lambda path: path.write_text(path.read_text("utf-8").partition("budget:")[0], "utf-8"),
        "llm.defaults.budget: this key is missing",
    ),
    "zeros at its end": (lambda path: path.write_bytes(path.read_bytes() + bytes(64)), "not YAML"),
    "no date": (lambda path: path.write_text(f"{path.read_text('utf-8')}\nsince: 2026-02-30\n", "utf-8"), "not YAML"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_file_keeps_the_last_good_one_and_says_why(
    rig: Rig, seen: Watched, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert temperature(seen) == 0.1
    spoil, reason = BROKEN[name]
    spoil(seen.models_file)
    with caplog.at_level(logging.INFO, "cartograph.llm"):
        assert [temperature(seen) for _ in range(3)] == [0.1] * 3
    assert seen.problem is not None
    assert str(seen.models_file) in seen.problem and reason in seen.problem
    assert "what stood there before is used" in seen.problem
    assert len(caplog.records) == 1
    if seen.models_file.is_dir():
        seen.models_file.rmdir()
    rig.models(temperature=0.5)
    assert temperature(seen) == 0.5
    assert seen.problem is None


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_file_that_is_broken_from_the_beginning_is_an_error(rig: Rig, name: str) -> None:
    path = rig.models(temperature=0.1)
    spoil, reason = BROKEN[name]
    spoil(path)
    with pytest.raises(ModelsError) as caught:
        temperature(Watched(path, rig.prompts))
    assert reason in str(caught.value)


def test_the_same_bytes_back_again_are_good(rig: Rig, seen: Watched) -> None:
    temperature(seen)
    good = seen.models_file.read_bytes()
    seen.models_file.write_bytes(b"llm: [")
    temperature(seen)
    seen.models_file.write_bytes(good)
    assert temperature(seen) == 0.1
    assert seen.problem is None


def test_one_broken_section_or_prompt_leaves_the_others(rig: Rig, seen: Watched) -> None:
    from assets.search.config import SearchConfig

    rig.write_prompt("Rewrite.", "rewrite")
    assert seen.config("search", SearchConfig, "corner").candidates == 50
    assert seen.prompt("test").text and seen.prompt("rewrite").text and temperature(seen) == 0.1
    text = seen.models_file.read_text("utf-8")
    changed = text.replace("temperature: 0.1", "temperature: 0.3").replace("candidates: 50", "candidates: few")
    seen.models_file.write_text(changed, "utf-8")
    rig.write_prompt(" \n", "rewrite")
    assert temperature(seen) == 0.3
    assert seen.config("search", SearchConfig, "corner").candidates == 50
    assert (seen.prompt("test").text, seen.prompt("rewrite").text) == ("Say what you like.", "Rewrite.")
    assert seen.problem is not None
    first, second = seen.problem.split("\n")
    assert "search.defaults.candidates" in first and "rewrite.md: the prompt is empty" in second


def test_shops_have_their_own(rig: Rig, seen: Watched) -> None:
    data = yaml.safe_load(seen.models_file.read_text("utf-8"))
    data["llm"]["shops"] = {"corner": {"temperature": 1.5}}
    seen.models_file.write_text(yaml.safe_dump(data), "utf-8")
    assert temperature(seen) == 1.5
    assert seen.config("llm", LlmConfig, "market").temperature == 0.1


def test_a_file_that_is_swapped_in_with_its_old_time_and_size_is_noticed(rig: Rig, seen: Watched) -> None:
    temperature(seen)
    before = seen.models_file.stat()
    other = seen.models_file.with_name("other.yaml")
    other.write_text(seen.models_file.read_text("utf-8").replace("temperature: 0.1", "temperature: 0.8"), "utf-8")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(seen.models_file)
    assert seen.models_file.stat().st_size == before.st_size
    assert temperature(seen) == 0.8


def test_a_file_is_looked_at_once_a_second(rig: Rig, seen: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "SECONDS", 30.0)
    assert temperature(seen) == 0.1
    rig.models(temperature=0.9)
    assert temperature(seen) == 0.1
    monkeypatch.setattr(watched, "SECONDS", 0.1)
    time.sleep(0.2)
    assert temperature(seen) == 0.9


def test_the_version_of_a_prompt_is_that_of_its_text(rig: Rig) -> None:
    first = read_prompt("test", rig.prompts)
    assert len(first.version) == 12 and int(first.version, 16)
    assert read_prompt("test", rig.prompts).version == first.version
    assert Prompt("other", first.text).version == first.version
    assert Prompt("test", first.text + ".").version != first.version


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_text("\n \n", encoding="utf-8"), "the prompt is empty"),
        (lambda path: path.write_bytes(b"\xff"), "not UTF-8"),
        (lambda path: path.write_bytes("Rewrite \u00fcber".encode()[:-4]), "not UTF-8"),
        (_blocked, "cannot be read (Is a directory)"),
    ],
    ids=["gone", "empty", "no UTF-8", "half written", "not to be read"],
)
def test_a_prompt_that_cannot_be_used_is_an_error_at_first_and_kept_later(
    rig: Rig, seen: Watched, spoil: Callable[[Path], object], reason: str
) -> None:
    path = rig.write_prompt("Rewrite.", "rewrite")
    assert seen.prompt("rewrite").text == "Rewrite."
    spoil(path)
    assert seen.prompt("rewrite").text == "Rewrite."
    assert reason in (seen.problem or "")
    with pytest.raises(PromptError, match=re.escape(reason)):
        Watched(seen.models_file, rig.prompts).prompt("rewrite")
