"""The settings of the recommender, from the section `recommender` of `config/models.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from resources.models import MODELS_FILE, load_model_config

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KindWeights(_Strict):
    """What one interaction of each kind counts."""

    view: Positive
    cart: Positive
    purchase: Positive


class AlsConfig(_Strict):
    """Weighted matrix factorisation by alternating least squares (Hu, Koren, Volinsky 2008)."""

    factors: Annotated[int, Field(ge=1, le=1024)]
    regularization: Positive
    alpha: Positive
    """Confidence of a pair: 1 + alpha x weight."""
    iterations: Annotated[int, Field(ge=1, le=1000)]


class RecommenderConfig(_Strict):
    """How one shop's recommender is fitted, evaluated and promoted."""

    weights: KindWeights
    half_life_days: Positive
    """An interaction counts half as much with every so many days that it is old."""
    popularity_days: Annotated[int, Field(ge=1, le=3650)]
    """Popular is what had most interactions, by weight, in so many last days."""
    als: AlsConfig
    neighbours: Annotated[int, Field(ge=1, le=1000)]
    """So many nearest products are kept of each product, by common actors and by visits one after the other."""
    candidates: Annotated[int, Field(ge=1, le=1000)]
    """So many products of each source are ranked together."""
    top_n: Annotated[int, Field(ge=1, le=1000)]
    """So many products are recommended to each actor."""
    repeats: bool
    """Whether what an actor already has may be recommended."""
    test_days: Annotated[int, Field(ge=1, le=3650)]
    """The last days before `as_of`, on which models are compared."""
    validation_days: Annotated[int, Field(ge=1, le=3650)]
    """The days before those, on which the weights of the blend are chosen."""
    retrain_days: Annotated[int, Field(ge=1, le=3650)]
    """A model is trained again when so many of the shop's days have passed and its data changed."""
    tuning_queries: Annotated[int, Field(ge=1)]
    """At most so many actors of the validation days are asked for."""
    min_sample: Annotated[int, Field(ge=1)]
    """With fewer queries than this nothing is chosen or promoted: there is not enough evidence."""
    margin: Annotated[float, Field(ge=0, le=1)]
    """After drift, so much worse than the champion is still good enough."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    @model_validator(mode="after")
    def _enough_candidates(self) -> RecommenderConfig:
        if self.candidates < self.top_n:
            raise ValueError(f"candidates: {self.candidates} of a source cannot fill top_n: {self.top_n}; raise it")
        return self


def load_recommender_config(shop: str, path: Path = MODELS_FILE) -> RecommenderConfig:
    """The settings for a shop.

    Raises:
        ModelsError: the file is missing or cannot be used.
    """
    return load_model_config("recommender", RecommenderConfig, shop, path)
