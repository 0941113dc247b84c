"""A look at a shop in the warehouse: what is compared with what, what is written, and when windows in a row fire."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from assets.monitoring.drift import (
    DriftError,
    Past,
    State,
    Window,
    is_drifted,
    look,
    past_windows,
    remember_predictions,
    state_of,
    write,
)
from assets.monitoring.statistics import Finding, Rules
from assets.monitoring.windows import Span, span_of
from tests.monitoring.conftest import CUT, FIRST, ZONE, Shops, made_up

RULES = Rules()
DAY = timedelta(days=1)


def by_name(window: Window) -> dict[str, Finding]:
    return {finding.feature.name: finding for finding in window.findings}


# The windows


def test_the_reference_ends_where_the_training_did_and_the_window_where_the_shop_is() -> None:
    cut = datetime(2026, 3, 16, tzinfo=ZoneInfo(ZONE))
    span = span_of(cut, date(2026, 1, 1), date(2026, 4, 1), ZoneInfo(ZONE), RULES)
    assert span == Span(date(2026, 1, 19), date(2026, 3, 15), date(2026, 3, 26), date(2026, 4, 1), date(2026, 1, 1))
    short = span_of(cut, date(2026, 2, 20), date(2026, 4, 1), ZoneInfo(ZONE), RULES)
    assert isinstance(short, Span) and short.reference_start == date(2026, 2, 23)  # three whole weeks


def test_days_that_the_champion_was_trained_on_are_not_looked_at() -> None:
    zone = ZoneInfo(ZONE)
    midnight, noon = datetime(2026, 3, 16, tzinfo=zone), datetime(2026, 3, 16, 12, tzinfo=zone)
    ready = span_of(midnight, date(2026, 1, 1), date(2026, 3, 22), zone, RULES)
    assert isinstance(ready, Span) and ready.start == date(2026, 3, 16)
    assert span_of(noon, date(2026, 1, 1), date(2026, 3, 22), zone, RULES) == (
        "6 days closed since the champion was trained, 7 needed"
    )
    assert "a reference needs a week" in str(span_of(noon, date(2026, 3, 14), date(2026, 4, 22), zone, RULES))


# Looking at a shop


def test_a_quiet_shop_is_quiet(shops: Shops) -> None:
    shops.open("quiet")
    window = look(shops.warehouse, "quiet", made_up("quiet"), FIRST + 76 * DAY)
    assert (window.is_drifted, window.is_enough) == (False, True), window.reason
    found = by_name(window)
    assert {"kind", "product", "category", "hour", "activity", "own_category", "price", "volume"} <= set(found)
    assert found["kind"].n_current == 7 * 60 and found["kind"].n_reference == 56 * 60
    assert found["category"].labels[0].startswith("Things > Kind ")
    assert found["kind"].labels == ("view", "purchase")


def test_other_kinds_and_other_tastes_are_drift_and_postage_is_not_looked_at(shops: Shops) -> None:
    shops.open("moving", days=70)
    shops.add("moving", 70, 7, buys=0.4, moved=3)
    with shops.warehouse.connect() as connection:
        connection.execute(
            "insert into contract.fct_interactions"
            " select shop, actor_id, 'postage', 'purchase', occurred_at, interaction_date,"
            " 1, 'extract' from contract.fct_interactions where shop = 'moving' and interaction_date >= %s",
            [CUT],
        )
    window = look(shops.warehouse, "moving", made_up("moving"), FIRST + 76 * DAY)
    drifted = {name for name, finding in by_name(window).items() if finding.is_drifted}
    # Who likes what has changed hands, while as many like each category as before.
    assert {"kind", "own_category"} <= drifted and "category" not in drifted
    assert window.is_drifted and window.severity > 1 and "kind of interaction" in window.reason


def test_prices_are_those_of_their_time(shops: Shops) -> None:
    """All prices rose by a quarter on the day of the cut; `dim_product` has the new ones alone."""
    shops.open("dear")
    with shops.warehouse.connect() as connection:
        connection.execute(
            "insert into contract.dim_product_history"
            " select shop, product_id, %s, %s, price from contract.dim_product where shop = 'dear'",
            [FIRST - DAY, CUT],
        )
        connection.execute(
            "insert into contract.dim_product_history"
            " select shop, product_id, %s, null, price * 1.25 from contract.dim_product where shop = 'dear'",
            [CUT],
        )
        connection.execute("update contract.dim_product set price = price * 1.25 where shop = 'dear'")
    found = by_name(look(shops.warehouse, "dear", made_up("dear"), FIRST + 76 * DAY))
    assert found["price_change"].is_drifted, found["price_change"]


def test_what_is_recommended_is_compared_with_what_the_same_version_recommended_first(shops: Shops) -> None:
    shops.open("shown")
    shops.recommend("shown", 1)
    with shops.warehouse.connect() as connection:
        assert remember_predictions(connection, "shown", "recommender-shown", 1)
    same = by_name(look(shops.warehouse, "shown", made_up("shown"), FIRST + 76 * DAY))
    assert same["top_product"].effect == 0 and not same["top_product"].is_drifted
    shops.recommend("shown", 1, first=20)
    with shops.warehouse.connect() as connection:
        assert not remember_predictions(connection, "shown", "recommender-shown", 1)
    found = by_name(look(shops.warehouse, "shown", made_up("shown"), FIRST + 76 * DAY))
    assert found["top_product"].is_drifted and found["top_product"].feature.kind == "prediction"
    assert not found["score_fall"].is_drifted
    # Another version has nothing to be compared with.
    assert "top_product" not in by_name(look(shops.warehouse, "shown", made_up("shown", 2), FIRST + 76 * DAY))


def test_a_shop_with_a_handful_of_rows_is_not_called_quiet(shops: Shops) -> None:
    shops.open("tiny", actors=1)
    window = look(shops.warehouse, "tiny", made_up("tiny"), FIRST + 76 * DAY)
    assert (window.is_drifted, window.is_enough) == (False, False)
    assert window.reason.startswith("not enough data")


def test_a_cut_off_that_cannot_be_read_is_an_error_that_names_it(shops: Shops) -> None:
    shops.open("untold", days=7, actors=1)
    for told in ("", "yesterday", "2026-03-16T00:00:00"):
        with pytest.raises(DriftError, match="trained_to"):
            look(shops.warehouse, "untold", made_up("untold", trained_to=told), FIRST + 6 * DAY)
    with pytest.raises(DriftError, match="shop_clock"):
        look(shops.warehouse, "nobody", made_up("nobody"), FIRST)


# Writing


def test_a_window_is_written_once_and_again_where_its_rows_changed(shops: Shops) -> None:
    shops.open("kept", days=77)
    champion, as_of = made_up("kept"), FIRST + 76 * DAY
    first, again = (look(shops.warehouse, "kept", champion, as_of) for _ in range(2))
    assert first.fingerprint == again.fingerprint
    with shops.warehouse.connect() as connection:
        assert write(connection, first)
        assert not write(connection, again)
        made = connection.execute("select count(*), min(made_at) from monitoring.drift where shop = 'kept'").fetchone()
        assert made is not None and made[0] == len(first.findings)
        connection.execute(
            "delete from contract.fct_interactions where shop = 'kept' and interaction_date = %s", [as_of]
        )
    changed = look(shops.warehouse, "kept", champion, as_of)
    assert changed.fingerprint != first.fingerprint
    with shops.warehouse.connect() as connection:
        assert write(connection, changed)
        rows = connection.execute(
            "select count(*), count(distinct feature) from monitoring.drift where shop = 'kept' and window_end = %s",
            [as_of],
        ).fetchone()
        assert rows is not None and rows[0] == rows[1] == len(changed.findings)
        assert len(past_windows(connection, "kept", champion.name, 1)) == 1


def test_windows_that_cannot_be_yet_are_recorded_as_not_enough(shops: Shops) -> None:
    shops.open("early", days=72)
    window = look(shops.warehouse, "early", made_up("early"), FIRST + 71 * DAY)
    assert window.reason == "not enough data: 2 days closed since the champion was trained, 7 needed"
    with shops.warehouse.connect() as connection:
        assert write(connection, window) and not write(connection, window)
        assert past_windows(connection, "early", window.model, 1) == [Past(FIRST + 71 * DAY, False, False, 0.0)]


# Windows in a row


def past(*severities: float | None, every: int = 1) -> list[Past]:
    return [
        Past(FIRST + number * every * DAY, (each or 0.0) >= 1, each is not None, each or 0.0)
        for number, each in enumerate(severities)
    ]


def test_one_window_does_not_fire_and_the_same_days_twice_do_not_either() -> None:
    assert state_of(past(2.0), RULES).fired is None
    assert state_of(past(2.0, 2.0, 2.0), RULES).fired is None  # two days apart
    assert state_of(past(2.0, 2.0, every=3), RULES) == State(FIRST + 3 * DAY, FIRST, FIRST + 3 * DAY)
    assert state_of(past(2.0, 2.0, 2.0, 2.0), RULES).fired == FIRST + 3 * DAY


def test_a_quiet_window_between_begins_the_count_anew() -> None:
    assert state_of(past(2.0, 0.9, 2.0, every=3), RULES).fired is None
    assert state_of(past(2.0, 0.9, 2.0, 2.0, every=3), RULES).fired == FIRST + 9 * DAY


def test_what_fired_ends_below_a_lower_threshold_only() -> None:
    fired = past(2.0, 2.0, 0.9, every=3)
    assert state_of(fired, RULES).fired == FIRST + 3 * DAY
    assert state_of([*fired, *past(*[0.0] * 3, 0.79, every=3)[3:]], RULES).fired is None


def test_windows_without_enough_data_say_nothing_neither_way() -> None:
    assert state_of(past(2.0, None, 2.0, every=3), RULES).fired == FIRST + 6 * DAY
    assert state_of(past(2.0, 2.0, None, every=3), RULES).fired == FIRST + 3 * DAY
    assert state_of(past(None, None), RULES) == State()


def test_drift_is_that_of_one_champion(shops: Shops) -> None:
    shops.open("asked", days=7, actors=1)
    base = Window("asked", "recommender-asked", 1, FIRST, None, True, True, 1.5, "made up", (), "")
    with shops.warehouse.connect() as connection:
        for number in range(0, 9, 3):
            window = replace(base, as_of=FIRST + number * DAY, fingerprint=str(number))
            assert write(connection, window)
            assert is_drifted(connection, "asked", base.model, 1) == (number >= 3)
        assert not is_drifted(connection, "asked", base.model, 2)
        assert not is_drifted(connection, "other", base.model, 1)
