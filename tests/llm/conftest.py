"""A stand-in for a language model for each test, and litellm imported and used once before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.llm import engine
from tests.llm.rig import Rig, request
from tests.standins.llm import KEY, KEY_VARIABLE, LlmServer, llm_server


@pytest.fixture(scope="session", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first call imports for seconds: no test of a time-out is to count them."""
    engine.ready(["openai/stand-in"])
    with llm_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, KEY)
        llm = Rig(server, tmp_path_factory.mktemp("warm")).llm(timeout_seconds=60, deadline_seconds=120)
        llm.complete(request(llm))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LlmServer]:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with llm_server() as made:
        yield made


@pytest.fixture
def rig(server: LlmServer, tmp_path: Path) -> Rig:  # type: ignore[override]
    return Rig(server, tmp_path)
