"""The settings and prompts as the files have them now: a change is taken over, a broken file is not."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from resources.llm.prompts import PROMPTS_DIR, Prompt, PromptError, read_prompt
from resources.models import MODELS_FILE, ModelsError, load_model_config

SECONDS = 1.0
"""Between two looks at a file."""

Config = TypeVar("Config", bound=BaseModel)

_log = logging.getLogger("cartograph.llm")


class Watched:
    """The last good state of the sections of `models.yaml` and of the prompts that were asked for.

    A file is looked at when something of it is asked for, at most once a second; what counts are its bytes. Any
    thread may ask.
    """

    def __init__(self, models_file: Path = MODELS_FILE, prompts_dir: Path = PROMPTS_DIR) -> None:
        self.models_file, self.prompts_dir = models_file, prompts_dir
        self._lock = threading.Lock()
        self._seen: dict[Path, tuple[float, str | None]] = {}
        """By file, when it was looked at and what its bytes were; None: it was not there."""
        self._good: dict[tuple[Any, ...], tuple[str | None, Any]] = {}
        """What was made of a file, and of which bytes."""
        self._problems: dict[tuple[Any, ...], str] = {}

    @property
    def problem(self) -> str | None:
        """Why a file, as it is now, is not used; None while all that was asked for is as the files have it."""
        with self._lock:
            return "\n".join(dict.fromkeys(self._problems.values())) or None

    def config(self, section: str, kind: type[Config], shop: str) -> Config:
        """The settings of one section of `models.yaml` for a shop, as `load_model_config` reads them.

        Raises:
            ModelsError: the file cannot be used, and there was no good one before.
        """
        made = self._current(
            (section, kind, shop),
            self.models_file,
            lambda: load_model_config(section, kind, shop, self.models_file),
        )
        return cast(Config, made)

    def prompt(self, name: str) -> Prompt:
        """A prompt.

        Raises:
            PromptError: the file cannot be used, and there was no good one before.
        """
        made = self._current(
            ("prompt", name), self.prompts_dir / f"{name}.md", lambda: read_prompt(name, self.prompts_dir)
        )
        return cast(Prompt, made)

    def _current(self, key: tuple[Any, ...], path: Path, read: Any) -> Any:
        with self._lock:
            digest = self._look(path)
            known = self._good.get(key)
            if known is not None and known[0] == digest:
                return known[1]
            try:
                made = read()
            except (ModelsError, PromptError) as error:
                if known is None:
                    raise
                # The same bytes are not read again.
                self._good[key] = (digest, known[1])
                self._problems[key] = f"{error} Until then, what stood there before is used."
                _log.error("%s", self._problems[key])
                return known[1]
            if self._problems.pop(key, None) is not None:
                _log.info("%s is used again as it is", path)
            self._good[key] = (digest, made)
            return made

    def _look(self, path: Path) -> str | None:
        now = time.monotonic()
        seen = self._seen.get(path)
        if seen is None or now - seen[0] >= SECONDS:
            try:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError:
                # Whoever reads it says why it cannot be read.
                digest = None
            seen = self._seen[path] = (now, digest)
        return seen[1]
