"""The settings of answers, from the section `answers` of `config/models.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from resources.models import MODELS_FILE, load_model_config


class AnswersConfig(BaseModel):
    """How questions on the products of one shop are answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
    """A product that fits a question less than this (`assets/search/relevance.py`) is none to answer from."""
    products: Annotated[int, Field(ge=1, le=20)]
    """At most so many are given to the model."""
    turns: Annotated[int, Field(ge=0, le=20)]
    """So many of the last questions and answers are looked at; the rest is forgotten."""


def load_answers_config(shop: str, path: Path = MODELS_FILE) -> AnswersConfig:
    """The settings for a shop.

    Raises:
        ModelsError: the file is missing or cannot be used.
    """
    return load_model_config("answers", AnswersConfig, shop, path)
