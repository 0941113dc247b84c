"""Prompts: texts in files of their own, each with a version that its bytes decide."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from resources.settings import PROJECT_ROOT
from resources.yaml_file import read_text

PROMPTS_DIR = PROJECT_ROOT / "config" / "prompts"


class PromptError(ValueError):
    """A prompt cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class Prompt:
    """What a model is told before anything else. It holds no data: those are in the messages."""

    name: str
    text: str

    @cached_property
    def version(self) -> str:
        """12 hexadecimal digits of the SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


def read_prompt(name: str, folder: Path = PROMPTS_DIR) -> Prompt:
    """The prompt in `<folder>/<name>.md`.

    Raises:
        PromptError: the file is missing, cannot be read, is empty or is not UTF-8.
    """
    path = folder / f"{name}.md"
    text = read_text(path, PromptError, f"Restore it; the prompts are in {folder}.").strip()
    if not text:
        raise PromptError(f"{path}: the prompt is empty. Write what the model is to do.")
    return Prompt(name, text)
