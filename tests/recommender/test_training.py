"""When a recommender is trained again, up to when, and on what."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from assets.recommender.features import Snapshot, fingerprint
from assets.recommender.model import Recommender
from assets.recommender.split import split
from assets.recommender.training import reason_to_train, window_of
from resources.models import config_hash
from resources.tracking import ModelVersion
from tests.recommender.made import day, made, small_config, two_tastes

CONFIG = small_config(retrain_days=7, test_days=5)
AS_OF = date(2026, 3, 1)
SNAPSHOT = Snapshot("shop", "d2", AS_OF, datetime(2026, 3, 2, tzinfo=UTC), "lake", 10, 5, 5)


def version(**tags: Any) -> ModelVersion:
    known = {
        "as_of": AS_OF.isoformat(),
        "data_version": "d1",
        "config": config_hash(CONFIG),
        "code": str(Recommender.FORMAT),
        **tags,
    }
    return ModelVersion("recommender-shop", 3, "run", known, datetime(2026, 3, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("newest", "drifted_at", "should", "why"),
    [
        (None, None, True, "there is no model yet"),
        (version(data_version="d2"), None, False, "nothing changed since version 3"),
        (version(data_version="d2"), AS_OF + timedelta(days=1), False, "nothing changed"),
        (version(), None, False, "0 days of the shop passed"),
        (version(as_of=str(AS_OF - timedelta(days=6))), None, False, "6 days of the shop passed"),
        (version(as_of=str(AS_OF - timedelta(days=7))), None, True, "it is trained every 7"),
        (version(as_of=str(AS_OF - timedelta(days=2))), AS_OF - timedelta(days=1), True, "drift fired"),
        (version(as_of=str(AS_OF - timedelta(days=2))), AS_OF - timedelta(days=2), False, "2 days"),
        (ModelVersion("recommender-shop", 3, "run", {}, datetime(2026, 3, 2, tzinfo=UTC)), None, True, "no tag as_of"),
        (version(config="other", data_version="d2"), None, True, "the settings changed"),
        (version(code="0", data_version="d2"), None, True, "has format 0, and the code makes"),
    ],
)
def test_it_is_trained_for_a_reason_and_not_without(
    newest: ModelVersion | None, drifted_at: date | None, should: bool, why: str
) -> None:
    told, reason = reason_to_train(SNAPSHOT, CONFIG, [] if newest is None else [newest], drifted_at)
    assert told is should
    assert why in reason


def test_drift_that_lasts_is_a_reason_each_week_whatever_the_settings_say() -> None:
    rarely = small_config(retrain_days=28, test_days=5)

    def told(days: int, drifted_at: date | None) -> bool:
        newest = version(as_of=str(AS_OF - timedelta(days=days)), config=config_hash(rarely))
        return reason_to_train(SNAPSHOT, rarely, [newest], drifted_at)[0]

    fired = AS_OF - timedelta(days=20)
    assert (told(7, fired), told(6, fired), told(7, None)) == (True, False, False)


def test_where_nothing_happened_nothing_is_trained() -> None:
    nothing = Snapshot("shop", "d2", AS_OF, SNAPSHOT.until, "lake", 0, 0, 0)
    assert reason_to_train(nothing, CONFIG, [], None) == (False, "nothing happened in the shop yet")


def test_of_a_young_shop_two_thirds_are_left_to_learn_from() -> None:
    rows = two_tastes(actors=60, days=12)
    snapshot = Snapshot("shop", "d", date(2026, 1, 12), day(12), "lake", len(rows), 60, 40)
    assert window_of(snapshot, rows, small_config(test_days=60, min_sample=10)) >= day(8)


def test_another_setting_is_another_hash() -> None:
    assert config_hash(CONFIG) == config_hash(small_config(retrain_days=7, test_days=5))
    assert config_hash(CONFIG) != config_hash(small_config(retrain_days=7, test_days=6))


def test_the_test_window_grows_until_it_holds_enough_queries_and_leaves_two_thirds_to_learn_from() -> None:
    rows = two_tastes(actors=60, days=90)
    snapshot = Snapshot("shop", "d", date(2026, 3, 31), day(90), "lake", len(rows), 60, 40)
    few = small_config(test_days=5, min_sample=5, repeats=True)
    assert window_of(snapshot, rows, few) == day(85)
    more = window_of(snapshot, rows, small_config(test_days=5, min_sample=50, repeats=True))
    assert day(60) <= more < day(85)
    # However many are asked for, a third of the history is the most.
    assert window_of(snapshot, rows, small_config(test_days=5, min_sample=10_000, repeats=True)) == day(70)
    assert window_of(snapshot, made([]), few) == day(85)


def test_after_drift_the_test_window_is_as_short_as_the_evidence_allows() -> None:
    rows = two_tastes(actors=60, days=90)
    snapshot = Snapshot("shop", "d", date(2026, 3, 31), day(90), "lake", len(rows), 60, 40)
    config = small_config(test_days=20, min_sample=10, repeats=True)
    assert window_of(snapshot, rows, config) == day(70)
    short = window_of(snapshot, rows, config, is_drifted=True)
    assert day(70) < short < day(90)
    queries = split(rows, config, short, snapshot.until)[1]
    assert len(queries) >= 40
    # Where even the whole window holds too few, drift makes it no shorter.
    scarce = small_config(test_days=20, min_sample=10_000, repeats=True)
    assert window_of(snapshot, rows, scarce, is_drifted=True) == window_of(snapshot, rows, scarce)


def test_a_snapshot_has_the_version_of_its_rows() -> None:
    rows = two_tastes(actors=10)
    assert fingerprint(rows, day(60)) == fingerprint(two_tastes(actors=10), day(60))
    assert fingerprint(rows, day(60)) != fingerprint(rows, day(61))
    assert fingerprint(rows, day(60)) != fingerprint(two_tastes(actors=10, seed=6), day(60))
    assert fingerprint(made([]), day(60)) == fingerprint(made([]), day(60))
    # Texts one behind the other are told apart.
    one, other = made([("a", "bc", "view", 1.0)]), made([("ab", "c", "view", 1.0)])
    assert fingerprint(one, day(2)) != fingerprint(other, day(2))
