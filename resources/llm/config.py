"""The settings of language models, from the section `llm` of `config/models.yaml`, and the keys of their providers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from resources.settings import Settings

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Prices(_Strict):
    """What a provider takes for a million tokens, in dollars."""

    input: Amount
    output: Amount


class Entry(_Strict):
    """One model that can be asked."""

    model: Annotated[str, Field(pattern=r"^[^/\s]+/\S+$")]
    """As litellm names it, with its provider: `openai/gpt-4o-mini`."""
    api_base: str | None = None
    """Another address than the provider's own."""
    api_key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The variable of the environment, or of .env, that holds the key."""
    timeout_seconds: Seconds | None = None
    """In place of the general one."""
    max_tokens: Tokens | None = None
    """In place of the general one: models that reason need more."""
    prices: Prices | None = None
    """For models of which litellm knows no price: without one, the dollars of the budget cannot be kept."""

    @property
    def is_narrator(self) -> bool:
        """Whether it is no language model: it needs no key, no budget and no time."""
        return self.model.startswith("narrator/")


class Budget(_Strict):
    """What a shop may use in a day (UTC)."""

    tokens: Annotated[int, Field(ge=0)]
    """In and out together."""
    cost: Amount
    """In dollars; of a model without a price it is not known, and only its tokens count."""


class LlmConfig(_Strict):
    """Which models are asked, and how long, how often and for how much."""

    entries: dict[str, Entry]
    use: Annotated[list[str], Field(min_length=1)]
    """The entries that are asked, in turn, until one has answered."""
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
    max_tokens: Tokens
    """An answer that is not done with so many tokens does not count."""
    timeout_seconds: Seconds
    """So long a model may be silent, before its answer and within it."""
    deadline_seconds: Seconds
    """So long a request may take, over all entries and attempts."""
    retries: Annotated[int, Field(ge=0, le=5)]
    """So often one entry is asked again, where what went wrong may pass."""
    patience_seconds: Seconds
    """A provider that asks for a longer pause than this is left for the next entry."""
    pause_seconds: Seconds
    """An entry that failed is left out so long, and twice as long each time that it fails again."""
    budget: Budget

    @field_validator("use")
    @classmethod
    def _are_entries(cls, use: list[str], info: ValidationInfo) -> list[str]:
        # Where the entries are wrong themselves, that is said.
        entries = info.data.get("entries", use)
        for name in use:
            if name not in entries:
                raise ValueError(f"there is no entry {name!r}, only {', '.join(entries)}")
        return use


def missing_key(variable: str) -> str:
    """What is said of a key that is nowhere."""
    return f"{variable} is not set; set it in the environment or in .env"


def api_key(entry: Entry) -> SecretStr | None:
    """The key of an entry's provider, from the environment or else from .env; None where it has none there."""
    if entry.api_key_variable is None:
        return None
    given = os.environ.get(entry.api_key_variable)
    file = Settings.model_config.get("env_file")
    if not given and isinstance(file, str | Path) and Path(file).is_file():
        from dotenv import dotenv_values

        given = dotenv_values(file).get(entry.api_key_variable)
    return SecretStr(given) if given else None
