"""The section `llm` of models.yaml as it is shipped, and keys from the environment or from .env."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resources.llm.config import Entry, LlmConfig, Prices, api_key
from resources.llm.engine import Usage, cost_of
from resources.models import ModelsError, load_model_config
from resources.settings import Settings
from tests.llm.rig import Rig

SHIPPED = load_model_config("llm", LlmConfig, "thelook")


def test_what_is_shipped_asks_the_narrator_alone() -> None:
    assert [SHIPPED.entries[name].is_narrator for name in SHIPPED.use] == [True]


def test_ollama_is_ready_to_be_used() -> None:
    entry = SHIPPED.entries["deepseek"]
    assert (entry.model, entry.api_base) == ("ollama_chat/deepseek-r1:1.5b", "http://127.0.0.1:11434")
    assert entry.api_key_variable is None


def test_the_prices_of_what_is_shipped_are_those_that_litellm_knows() -> None:
    for entry in SHIPPED.entries.values():
        assert entry.prices is None
        cost = cost_of(entry.model, None, Usage(10**6, 10**6))
        assert cost is not None
        assert (cost > 0) == (entry.api_key_variable is not None)


def test_a_price_that_nobody_knows_is_none_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    assert [cost_of("openai/of-our-own", None, Usage(1, 1)) for _ in range(2)] == [None, None]
    [said] = caplog.messages
    assert "no price is known of openai/of-our-own" in said
    assert cost_of("openai/of-our-own", Prices(input=1, output=2), Usage(10**6, 10**6)) == 3


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"use": []}, "use"),
        ({"use": ["nobody"]}, "there is no entry 'nobody'"),
        ({"retries": 99}, "retries"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds"),
        ({"budget": {"tokens": -1, "cost": 1}}, "budget.tokens"),
        ({"budget": {"tokens": 1}}, "budget.cost: this key is missing"),
        ({"entries": {"bad": {"model": "gpt-4o"}}}, "entries.bad.model"),
        ({"entries": {"bad": {"model": "openai/m", "api_key_variable": "sk-0123"}}}, "entries.bad.api_key_variable"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_settings_that_cannot_be_used_are_named(rig: Rig, changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(ModelsError, match=problem.replace(".", r"\.")):
        load_model_config("llm", LlmConfig, "corner", rig.models(**changed))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"model": "openai/m", "api_key": "sk-0123"}, "entries.bad.api_key: unknown key; did you mean 'api_base'?"),
        (
            {"model": "openai/m", "prices": {"inptu": 1, "input": 1, "output": 2}},
            "entries.bad.prices.inptu: unknown key; did you mean 'input'?",
        ),
    ],
    ids=["entry", "prices"],
)
def test_an_unknown_key_within_an_entry_is_named_without_its_value(
    rig: Rig, entry: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ModelsError) as caught:
        load_model_config("llm", LlmConfig, "corner", rig.models(entries={"bad": entry}))
    assert problem in str(caught.value)
    assert "sk-0123" not in str(caught.value)


def test_a_key_stands_in_the_environment_or_else_in_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("OTHER_KEY=from-file\nEMPTY_KEY=\n", encoding="utf-8")
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    entry = Entry(model="openai/m", api_key_variable="OTHER_KEY")
    found = api_key(entry)
    assert found is not None and found.get_secret_value() == "from-file"
    assert "from-file" not in repr(found)
    monkeypatch.setenv("OTHER_KEY", "from-environment")
    found = api_key(entry)
    assert found is not None and found.get_secret_value() == "from-environment"
    assert api_key(Entry(model="openai/m", api_key_variable="EMPTY_KEY")) is None
    assert api_key(Entry(model="openai/m", api_key_variable="MISSING_KEY")) is None
    assert api_key(Entry(model="openai/m")) is None


def test_equal_entries_are_one_key_of_a_mapping() -> None:
    given = {"model": "openai/m", "prices": {"input": 1, "output": 2}}
    assert len({Entry.model_validate(given), Entry.model_validate(given)}) == 1
    assert isinstance(SHIPPED, LlmConfig) and len(set(SHIPPED.entries.values())) == len(SHIPPED.entries)
