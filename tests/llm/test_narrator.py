"""The narrator is a provider of litellm like others, says what it is given to say, and needs no network."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest

from resources.llm import narrator
from resources.llm.client import Completion, Llm, LlmError, Message, Piece, Request
from resources.settings import PROJECT_ROOT
from tests.llm.rig import NARRATED, Rig, request

TEXT = "Sales rose.\n\n  They had fallen  before. "


@pytest.fixture
def llm(rig: Rig) -> Llm:
    return rig.llm(use=["narrator"], budget={"tokens": 0, "cost": 0})


def test_it_says_what_it_is_given_piece_by_piece(llm: Llm) -> None:
    asked = Request("test", "corner", llm.prompt("test"), (Message("user", "?"),), lambda: TEXT)
    *pieces, last = llm.stream(asked)
    assert all(isinstance(piece, Piece) for piece in pieces) and len(pieces) == 6
    assert "".join(piece.text for piece in pieces if isinstance(piece, Piece)).strip() == TEXT.strip()
    assert isinstance(last, Completion)
    assert (last.text, last.model, last.tokens_in, last.tokens_out, last.cost) == (
        TEXT.strip(),
        "narrator/v1",
        0,
        0,
        0,
    )
    assert llm.complete(asked).text == TEXT.strip()


def test_what_it_is_given_wrongly_is_an_error_that_names_it(llm: Llm) -> None:
    def narrate() -> str:
        raise KeyError("revenue_vs_trend")

    asked = Request("test", "corner", llm.prompt("test"), (Message("user", "?"),), narrate)
    with pytest.raises(LlmError, match=r"narrator: .*revenue_vs_trend"):
        llm.complete(asked)


def test_litellm_knows_it_in_every_way_of_asking() -> None:
    import litellm

    asked: dict[str, Any] = {"model": narrator.MODEL, "messages": [{"role": "user", "content": "?"}]}
    token = narrator.NARRATION.set(lambda: TEXT)
    try:
        assert litellm.completion(**asked).choices[0].message.content == TEXT
        pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**asked, stream=True)]
        assert "".join(pieces) == TEXT and len(pieces) > 3

        async def ask() -> tuple[str, str]:
            whole = await litellm.acompletion(**asked)
            stream = await litellm.acompletion(**asked, stream=True)
            return whole.choices[0].message.content, "".join(
                [chunk.choices[0].delta.content or "" async for chunk in stream]
            )

        assert asyncio.run(ask()) == (TEXT, TEXT)
    finally:
        narrator.NARRATION.reset(token)


def test_other_custom_providers_stay() -> None:
    import litellm

    kept = litellm.custom_provider_map
    try:
        litellm.custom_provider_map = [*kept, {"provider": "mine", "custom_handler": object()}]  # type: ignore[list-item]
        narrator.register()
        narrator.register()
        names = sorted(entry["provider"] for entry in litellm.custom_provider_map)
        assert names == ["mine", "narrator"]
    finally:
        litellm.custom_provider_map = kept


WITHOUT_NETWORK = """
import os, socket, sys
from pathlib import Path
opened = []
def refuse(self, address, *rest):
    if self.family != socket.AF_UNIX:
        opened.append(address)
        raise OSError("no network")
    return connect(self, address, *rest)
connect, socket.socket.connect, socket.socket.connect_ex = socket.socket.connect, refuse, refuse
def nowhere(host, *rest, **more):
    opened.append(host)
    raise socket.gaierror(-2, "no network")
socket.getaddrinfo = nowhere
os.environ.pop("LITELLM_LOCAL_MODEL_COST_MAP", None)
os.chdir(sys.argv[1])
from resources.llm.client import Llm
import resources.dagster_resources
heavy = [name for name in ("litellm", "openai", "httpx", "psycopg") if name in sys.modules]
from resources.settings import load_settings
from tests.llm.rig import request
llm = Llm(load_settings(), Path(sys.argv[2]), Path(sys.argv[3]))
first = llm.complete(request(llm))
print(repr((heavy, opened, first.text, os.environ.get("FROM_ENV_FILE"))))
"""


def test_importing_and_narrating_open_no_connection_and_take_nothing_from_an_env_file(rig: Rig) -> None:
    (rig.folder / ".env").write_text("FROM_ENV_FILE=1\n", encoding="utf-8")
    models = rig.models(use=["narrator"])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_NETWORK, str(rig.folder), str(models), str(rig.prompts)],
        cwd=PROJECT_ROOT,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.stdout.strip() == repr(([], [], NARRATED, None)), done.stderr
    assert done.stderr == ""


def test_it_answers_beside_a_running_loop(llm: Llm) -> None:
    async def ask() -> str:
        return (await asyncio.to_thread(llm.complete, request(llm))).text

    assert asyncio.run(ask()) == NARRATED
