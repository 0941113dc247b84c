"""A counter with goods to ask about, and the stand-in of a language model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.warehouse import Warehouse
from tests.search.answers_rig import Counter
from tests.standins.llm import LlmServer, llm_server


@pytest.fixture(scope="module")
def counter(warehouse: Warehouse) -> Iterator[Counter]:
    home = Path(tempfile.mkdtemp(prefix="cgw-"))
    yield Counter(warehouse, home)
    shutil.rmtree(home)
    with warehouse.connect() as connection:
        connection.execute("drop schema if exists contract cascade")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LlmServer]:
    monkeypatch.setenv("STAND_IN_API_KEY", "sk-test")
    with llm_server() as made:
        yield made
