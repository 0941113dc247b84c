"""The settings of summaries, from the section `summaries` of `config/models.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from resources.models import MODELS_FILE, load_model_config


class SummariesConfig(BaseModel):
    """Which days of a shop are summarised, and how often a model is asked for one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[int, Field(ge=1, le=366)]
    """So many of the shop's last closed days have facts and a summary; those of earlier days stay as they are."""
    at_once: Annotated[int, Field(ge=1, le=32)]
    """So many days are written at the same time."""
    attempts: Annotated[int, Field(ge=1, le=5)]
    """So often a model is asked for one day: again with what was wrong, at last the narrator's text is published."""


def load_summaries_config(shop: str, path: Path = MODELS_FILE) -> SummariesConfig:
    """The settings for a shop.

    Raises:
        ModelsError: the file is missing or cannot be used.
    """
    return load_model_config("summaries", SummariesConfig, shop, path)
