"""When a shop's recommender is trained again, and how it is trained, compared with the baselines and registered."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.monitoring.drift import COOL_DOWN
from assets.promotion.promote import ensure_promotions
from assets.recommender.config import RecommenderConfig
from assets.recommender.evaluate import OURS, Evaluation, evaluate, fit_baselines
from assets.recommender.features import Snapshot
from assets.recommender.interactions import Interactions, instant
from assets.recommender.metrics import CUTOFFS
from assets.recommender.model import Recommender
from assets.recommender.split import split
from resources.far import Say
from resources.models import config_hash
from resources.tracking import CHALLENGER, ModelVersion, TrackedRun, Tracking, model_name

if TYPE_CHECKING:
    import psycopg

DOMAIN = "recommender"
LOADER = "assets.recommender.pyfunc"
METRICS = [f"{name}@{cutoff}" for name in ("hit", "recall", "ndcg", "mrr") for cutoff in CUTOFFS]


def reason_to_train(
    snapshot: Snapshot, config: RecommenderConfig, versions: Sequence[ModelVersion], drifted_at: date | None
) -> tuple[bool, str]:
    """Whether a model is to be trained now, and why, or why not.

    Args:
        versions: those of the registry, the newest first.
        drifted_at: the day of the window at which drift fired on the champion; None where it did not.
    """
    if not snapshot.rows:
        return False, "nothing happened in the shop yet"
    if not versions:
        return True, "there is no model yet"
    newest = versions[0]
    missing = [tag for tag in ("as_of", "code", "config", "data_version") if tag not in newest.tags]
    if missing:
        return True, f"version {newest.version} does not say what it was trained on: it has no tag {missing[0]}"
    trained = f"version {newest.version}, trained on data up to {newest.tags['as_of']}"
    if newest.tags["code"] != str(Recommender.FORMAT):
        return True, f"{trained}, has format {newest.tags['code']}, and the code makes {Recommender.FORMAT}"
    if newest.tags["config"] != config_hash(config):
        return True, f"the settings changed since {trained}"
    if newest.tags["data_version"] == snapshot.version:
        return False, f"nothing changed since {trained}"
    as_of = date.fromisoformat(newest.tags["as_of"])
    if drifted_at is not None and as_of < drifted_at:
        return True, f"drift fired on the champion on {drifted_at}, after {trained}"
    age = (snapshot.as_of - as_of).days
    if drifted_at is not None and age >= COOL_DOWN.days:
        return True, f"drift fired on the champion on {drifted_at} and lasts, {age} days after {trained}"
    if age >= config.retrain_days:
        return True, f"{age} days of the shop passed since {trained}; it is trained every {config.retrain_days}"
    return False, f"{age} days of the shop passed since {trained}; it is trained every {config.retrain_days}"


def window_of(
    snapshot: Snapshot, interactions: Interactions, config: RecommenderConfig, is_drifted: bool = False
) -> datetime:
    """The instant at which the test window of a new model begins, and up to which it is trained.

    `test_days` before the end of the snapshot; where these hold fewer queries than `min_sample`, twice as many days,
    and so on. Two thirds of the shop's history are left to learn from. After drift half as many, and so on,
    as long as they hold four times `min_sample`: what is to be learned stands in the last days, but to be shown no
    worse within a margin takes more queries than to be shown better.

    Args:
        is_drifted: whether drift fired on the champion.
    """
    if not len(interactions):
        return snapshot.until - timedelta(days=config.test_days)
    history = snapshot.until - instant(int(interactions.occurred_at.min()))
    days = max(1, min(config.test_days, history.days // 3))

    def queries(days: int) -> int:
        asked = split(interactions, config, snapshot.until - timedelta(days=days), snapshot.until)[1]
        return len(asked if config.repeats else asked.new_only())

    while queries(days) < config.min_sample and timedelta(days=2 * days) <= history / 3:
        days *= 2
    while is_drifted and days > 1 and queries(days // 2) >= 4 * config.min_sample:
        days //= 2
    return snapshot.until - timedelta(days=days)


def tags_of(snapshot: Snapshot, config: RecommenderConfig, model: Recommender) -> dict[str, str]:
    """What is written on a version: what it was trained on, up to when, and with which settings."""
    return {
        "shop": snapshot.shop,
        "domain": DOMAIN,
        "trained_to": model.trained_to.isoformat(),
        "as_of": snapshot.as_of.isoformat(),
        "data_version": snapshot.version,
        "config": config_hash(config),
        "code": str(Recommender.FORMAT),
    }


def parameters_of(config: RecommenderConfig) -> dict[str, Any]:
    """The settings as flat parameters: `als.factors` and the like."""
    flat: dict[str, Any] = {}
    for name, value in config.model_dump().items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": below for key, below in value.items()}
        else:
            flat[name] = value
    return flat


def register(
    tracking: Tracking, run: TrackedRun, model: Recommender, snapshot: Snapshot, config: RecommenderConfig
) -> ModelVersion:
    """Register a model as the next version of the shop's recommender, under the alias `challenger`.

    Raises:
        TrackingError: the registry is away or refuses, or the model cannot be loaded again.
    """
    import pandas as pd
    from mlflow.models import infer_signature

    from assets.recommender.pyfunc import SessionRecommender

    # One session of a product that the model knows, and one of a newcomer.
    known = [str(product) for product in model.product_ids[:1].to_pylist()]
    asked = pd.DataFrame({"session": [known, ["unknown"]], "top": [5, 5]})
    answered = SessionRecommender(model).predict(asked)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "recommender"
        model.save(folder)
        version = tracking.register(
            run.run_id,
            model_name(DOMAIN, snapshot.shop),
            folder,
            loader_module=LOADER,
            signature=infer_signature(asked, answered),
            input_example=asked,
            tags=tags_of(snapshot, config, model),
        )
    tracking.set_alias(version.name, CHALLENGER, version.version)
    return version


def adopt(tracking: Tracking, connection: psycopg.Connection, versions: Sequence[ModelVersion]) -> ModelVersion | None:
    """Make the newest version the challenger where the process that registered it died before it could.

    Args:
        versions: those of the registry, the newest first.

    Returns:
        The version, where there was one to adopt: newer than the champion, never decided about, while there is no
        challenger.
    """
    if not versions:
        return None
    newest = versions[0]
    champion, challenger = tracking.champion(newest.name), tracking.version_by_alias(newest.name, CHALLENGER)
    if challenger is not None or (champion is not None and newest.version <= champion.version):
        return None
    ensure_promotions(connection)
    decided = connection.execute(
        "select 1 from monitoring.promotions where model = %s and to_version = %s limit 1",
        [newest.name, newest.version],
    ).fetchone()
    if decided is not None:
        return None
    tracking.set_alias(newest.name, CHALLENGER, newest.version)
    return newest


@dataclass(frozen=True)
class Trained:
    """A model, and how it and the baselines did on days that none of them was trained on."""

    model: Recommender
    evaluation: Evaluation
    seconds: float
    """Of the fitting alone."""

    def rows(self, repeats: bool) -> list[dict[str, Any]]:
        """The rows of the evaluation as the shop is served: with repeats, or new products only."""
        items = "repeats allowed" if repeats else "new only"
        return [row for row in self.evaluation.rows() if row["items"] == items]


def train(
    snapshot: Snapshot,
    interactions: Interactions,
    config: RecommenderConfig,
    say: Say = print,
    is_drifted: bool = False,
) -> Trained:
    """Fit a model up to the test window, and compare it there with the baselines.

    Args:
        interactions: those of `snapshot`.
        is_drifted: whether drift fired on the champion; then the window is short (`window_of`).
    """
    trained_to = window_of(snapshot, interactions, config, is_drifted)
    say(f"fitting on what happened before {trained_to}")
    began = time.monotonic()
    model = Recommender.fit(interactions, config, trained_to)
    seconds = time.monotonic() - began
    days = (snapshot.until - trained_to).days
    say(f"fitted in {seconds:.1f} s; comparing with the baselines on the {days} days behind")
    past, queries = split(interactions, config, trained_to, snapshot.until)
    models = {OURS: model, **fit_baselines(past, config, trained_to)}
    return Trained(model, evaluate(models, queries, config.seed), seconds)


def log(run: TrackedRun, made: Trained, config: RecommenderConfig) -> None:
    """Log how a model did to its run: as the shop is served, each figure beside those of the baselines.

    Raises:
        TrackingError: the store is away or refuses.
    """
    figures: dict[str, float] = {"fit_seconds": made.seconds, "trained_on": float(made.model.trained_on)}
    for row in made.rows(config.repeats):
        of = f"{row['actors']}.{'' if row['model'] == OURS else _slug(row['model']) + '.'}"
        figures |= {f"{of}queries": float(row["queries"]), f"{of}candidate_recall": row["candidate_recall"]}
        figures |= {of + _slug(name): row[name] for name in METRICS}
    run.log_metrics(figures)
    run.log_figure(made.evaluation.figure(), "evaluation.png")
    run.log_dict({"rows": made.evaluation.rows()}, "evaluation.json")


def _slug(name: str) -> str:
    """A name as MLflow takes it in the name of a metric."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()
