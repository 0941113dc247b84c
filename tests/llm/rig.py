"""A stand-in for a language model, with prompts, settings and requests for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from resources.llm.client import Completion, Llm, LlmError, Message, Piece, Request, Restart
from resources.settings import load_settings
from resources.warehouse import Warehouse
from tests.standins.llm import KEY_VARIABLE, LlmServer, models_yaml

NARRATED = "Nobody was asked."


class Rig:
    """One stand-in, and the files of those who ask it."""

    def __init__(self, server: LlmServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.prompts = folder / "prompts"
        self.prompts.mkdir()
        self.write_prompt("Say what you like.")

    def write_prompt(self, text: str, name: str = "test") -> Path:
        path = self.prompts / f"{name}.md"
        path.write_text(text, encoding="utf-8")
        return path

    def models(self, **settings: Any) -> Path:
        return models_yaml(self.folder, self.server.url, **settings)

    def llm(self, warehouse: Warehouse | None = None, **settings: Any) -> Llm:
        """Whoever asks the stand-in, or those in `use`."""
        given = {"timeout_seconds": 2, "deadline_seconds": 8, **settings}
        return Llm(load_settings(), self.models(**given), self.prompts, warehouse)


def request(
    llm: Llm,
    said: str = "Good morning.",
    shop: str = "corner",
    is_whole: Callable[[str], bool] = bool,
    run_id: str | None = None,
) -> Request:
    return Request("test", shop, llm.prompt("test"), (Message("user", said),), lambda: NARRATED, is_whole, run_id)


def heard(llm: Llm, asked: Request | None = None) -> tuple[str, list[str], Completion | None, str]:
    """A stream to its end: what stands there then, why it began anew, the completion, and the error if it has none."""
    shown, restarts, completion, error = "", [], None, ""
    try:
        for event in llm.stream(asked or request(llm)):
            if isinstance(event, Piece):
                shown += event.text
            elif isinstance(event, Restart):
                shown = ""
                restarts.append(event.reason)
            else:
                assert completion is None, "the completion is the last event"
                completion = event
    except LlmError as problem:
        error = str(problem)
    return shown, restarts, completion, error


def other(url: str) -> dict[str, Any]:
    """An entry for a second stand-in, or for an address where nobody is."""
    return {"model": "openai/other", "api_base": url, "api_key_variable": KEY_VARIABLE}
