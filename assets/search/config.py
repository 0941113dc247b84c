"""The settings of search, from the section `search` of `config/models.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from resources.models import MODELS_FILE, load_model_config
from resources.vectors.collection import BM25, DENSE

Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Weights(_Strict):
    """What a hit of each kind counts where both are fused; chosen anew where there are judged queries."""

    dense: Weight
    bm25: Weight

    def of_vectors(self) -> dict[str, float]:
        return {DENSE: self.dense, BM25: self.bm25}


class SearchConfig(_Strict):
    """How one shop's products are embedded and found."""

    embedder: str
    """A model of fastembed; those other than all-MiniLM-L6-v2 are fetched from the hub."""
    candidates: Annotated[int, Field(ge=10, le=1000)]
    """So many products of each kind of search are fused."""
    weights: Weights
    seed: Annotated[int, Field(ge=0, lt=2**32)]


def load_search_config(shop: str, path: Path = MODELS_FILE) -> SearchConfig:
    """The settings for a shop.

    Raises:
        ModelsError: the file is missing or cannot be used.
    """
    return load_model_config("search", SearchConfig, shop, path)
