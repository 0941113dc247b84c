"""Whether a new recommender takes the champion's place: both, and the baseline, asked about the same days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from assets.promotion.promote import given_up
from assets.promotion.rules import Decision, decide, decide_first
from assets.recommender.baselines import Popular
from assets.recommender.config import RecommenderConfig
from assets.recommender.evaluate import evaluate
from assets.recommender.features import Snapshot
from assets.recommender.interactions import Interactions
from assets.recommender.model import Recommender
from assets.recommender.split import split
from resources.tracking import ModelVersion, Tracking

if TYPE_CHECKING:
    import psycopg

BASELINE = "popularity"
"""What a model must beat: the popular products of the last days, the same for everybody."""
RETRIED = ("not_enough_evidence", "window_overlaps_training")
"""Refusals that more days may change."""


@dataclass(frozen=True)
class Trial:
    """One comparison."""

    decision: Decision
    window_start: datetime
    queries: int
    warm: int


def compare(
    tracking: Tracking,
    snapshot: Snapshot,
    interactions: Interactions,
    config: RecommenderConfig,
    challenger: ModelVersion,
    champion: ModelVersion | None,
    is_drifted: bool,
) -> Trial:
    """Compare a challenger with the champion, or with the baseline where there is none, on days none was trained on.

    The window goes from the later of the two training cut-offs to the end of the last closed day; the baseline is
    fitted on what came before it. Compared is NDCG@10 a query, with repeats or without, as the shop is served.

    Args:
        interactions: those of `snapshot`.
        is_drifted: whether drift fired on the champion.

    Raises:
        TrackingError: the registry is away or refuses.
        ModelError: a model cannot be loaded.
    """
    recommenders = {"challenger": Recommender.load(tracking.download(challenger))}
    if champion is not None:
        recommenders["champion"] = Recommender.load(tracking.download(champion))
    start = max(model.trained_to for model in recommenders.values())
    past, queries = split(interactions, config, start, snapshot.until)
    baseline = Popular.fit(past, config, start, config.popularity_days)
    evaluation = evaluate({**recommenders, BASELINE: baseline}, queries, config.seed)
    figures = {name: evaluation.per_query(name, config.repeats) for name in (*recommenders, BASELINE)}
    if champion is None:
        decision = decide_first(
            figures["challenger"],
            figures[BASELINE],
            min_sample=config.min_sample,
            window_start=start,
            challenger_trained_to=recommenders["challenger"].trained_to,
        )
    else:
        decision = decide(
            figures["challenger"],
            figures["champion"],
            figures[BASELINE],
            window_start=start,
            challenger_trained_to=recommenders["challenger"].trained_to,
            champion_trained_to=recommenders["champion"].trained_to,
            is_drifted=is_drifted,
            margin=config.margin,
            min_sample=config.min_sample,
            challenger_version=challenger.version,
            champion_version=champion.version,
        )
    asked = evaluation.judged["challenger", config.repeats]
    return Trial(decision, start, len(asked.is_newcomer), int((~asked.is_newcomer).sum()))


def decided(
    connection: psycopg.Connection, challenger: ModelVersion, champion: ModelVersion | None, is_drifted: bool
) -> str | None:
    """Why a challenger need not be compared again with the same champion; None where it is to be compared.

    One that was refused is not tried on every new day until chance favours it. It is compared again only where there
    was not enough evidence, or where drift has fired on the champion since. One that was champion and was given up by a
    rollback is not tried at all: it would win as it did before. Rows that are older than a version are of another one
    of its number, in a registry that was made anew since.
    """
    why_given_up = given_up(connection, challenger)
    if why_given_up is not None:
        return why_given_up
    made = challenger.created_at if champion is None else max(challenger.created_at, champion.created_at)
    row = connection.execute(
        "select reason, figures ->> 'code', coalesce((figures ->> 'is_drifted')::int, 0), at from monitoring.promotions"
        " where model = %s and to_version = %s and action = 'refuse' and from_version is not distinct from %s"
        " and at >= %s order by id desc limit 1",
        [challenger.name, challenger.version, champion.version if champion is not None else None, made],
    ).fetchone()
    if row is None:
        return None
    reason, code, was_drifted, at = row
    if code in RETRIED or (is_drifted and not was_drifted):
        return None
    return f"refused on {at:%Y-%m-%d}: {reason}"


def over_all_shops(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """One row a shop: what is published, by which model, and how the last decision about its champion went."""
    rows = connection.execute(
        """
        select distinct on (generation.shop)
            generation.shop, generation.as_of, generation.model, generation.model_version, generation.actors,
            decision.action, decision.reason, decision.figures ->> 'challenger', decision.figures ->> 'baseline'
        from predictions.generations as generation
        left join monitoring.promotions as decision
            on decision.model = 'recommender-' || generation.shop
        order by generation.shop, decision.id desc
        """
    ).fetchall()
    names = ("shop", "as of", "model", "version", "actors", "last decision", "reason", "NDCG@10", "of the baseline")
    return [dict(zip(names, row, strict=True)) for row in rows]
