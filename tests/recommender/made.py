"""Interactions made for tests, from rows that can be read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from assets.recommender.config import RecommenderConfig, load_recommender_config
from assets.recommender.interactions import Interactions

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

Row = tuple[str, str, str, float]
"""Actor, product, kind, and days after `BEGIN`."""


def made(rows: Iterable[Row], unlisted: Iterable[str] = ()) -> Interactions:
    without = set(unlisted)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("actor_id", "product_id", "kind", "occurred_at", "quantity", "is_listed")
    }
    for actor, product, kind, day in rows:
        values = (actor, product, kind, BEGIN + timedelta(days=day), 1, product not in without)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    types = (pa.string(), pa.string(), pa.string(), pa.timestamp("us", "UTC"), pa.int64(), pa.bool_())
    arrays = [pa.array(column, kind) for column, kind in zip(columns.values(), types, strict=True)]
    return Interactions.from_table(pa.table(dict(zip(columns, arrays, strict=True))))


def day(number: float) -> datetime:
    return BEGIN + timedelta(days=number)


def small_config(**over: Any) -> RecommenderConfig:
    """The defaults, cut down to what a few hundred rows need."""
    als = {"factors": 8, "regularization": 1.0, "alpha": 1.0, "iterations": 5}
    values = load_recommender_config("none").model_dump()
    values |= {"als": als, "neighbours": 20, "candidates": 50, "top_n": 10, "validation_days": 10, "min_sample": 20}
    return RecommenderConfig(**(values | over))


def two_tastes(actors: int = 120, products: int = 40, days: int = 60, seed: int = 5) -> Interactions:
    """Actors a* touch products a* and actors b* products b*, but for one row in twenty."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for number in range(actors):
        taste = "ab"[number % 2]
        for _ in range(12):
            other = "ba"[number % 2] if random.random() < 0.05 else taste
            product = f"{other}{int(products / 2 * random.random() ** 2):02d}"
            rows.append((f"{taste}{number:03d}", product, "view", float(random.random() * days)))
    return made(rows)
