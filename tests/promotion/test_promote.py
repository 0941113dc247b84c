"""The champion's moves on a real registry: promoted, refused, rolled back, killed in between; and their audit."""

from __future__ import annotations

import getpass
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from assets.promotion.promote import (
    OUTSIDE,
    Move,
    PromotionError,
    Standing,
    apply,
    ensure_promotions,
    rollback,
    settle,
    standings,
)
from assets.promotion.rules import Decision
from assets.recommender.champion import decided
from orchestration.cli.rollback import run_rollback
from orchestration.cli.session import CommandError, console, explain
from resources.failpoints import PROMOTION
from resources.settings import get_settings, load_settings
from resources.tracking import ModelVersion, Tracking, TrackingError
from resources.warehouse import Warehouse
from tests.tracking.models import new_version

# A process forked from one that has imported MLflow starts in no time.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("mlflow", "mlflow.pyfunc", "pandas", "psycopg", "psycopg2", __name__),
        *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    ]
)
YES = Decision(True, "better", "better by much", {"over_champion": 0.5})
NO = Decision(False, "not_better", "not better", {"over_champion": 0.0})
NUMBERS = itertools.count()


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    with warehouse.connect() as opened:
        yield opened


@pytest.fixture
def name() -> str:
    return f"moved{next(NUMBERS)}-testshop"


@pytest.fixture
def versions(tracking: Tracking, name: str) -> list[ModelVersion]:
    """Four versions of a model, of which `versions[0]` is version 1."""
    return [new_version(tracking, name) for _ in range(4)]


def audit(connection: psycopg.Connection, model: str) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select action, from_version, to_version, applied_at is not null from monitoring.promotions"
        " where model = %s order by id",
        [model],
    ).fetchall()


def champion(tracking: Tracking, name: str) -> int | None:
    found = tracking.champion(name)
    return None if found is None else found.version


def challenger(tracking: Tracking, name: str) -> int | None:
    found = tracking.version_by_alias(name, "challenger")
    return None if found is None else found.version


def standing(connection: psycopg.Connection, name: str) -> Standing:
    return next(found for found in standings(connection) if found.model == name)


def promote(tracking: Tracking, connection: psycopg.Connection, *line: ModelVersion) -> None:
    for version in line:
        apply(tracking, connection, YES, version, tracking.champion(version.name), "test")


def test_a_promotion_moves_the_alias_and_is_written_down(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    tracking.set_alias(name, "challenger", 1)
    apply(tracking, connection, YES, versions[0], None, "an asset")
    assert champion(tracking, name) == 1
    assert challenger(tracking, name) is None
    row = connection.execute(
        "select shop, action, from_version, to_version, reason, figures, actor, applied_at >= at"
        " from monitoring.promotions where model = %s",
        [name],
    ).fetchall()
    figures = {"code": "better", "over_champion": 0.5}
    assert row == [("testshop", "promote", None, 1, "better by much", figures, "an asset", True)]


def test_a_promotion_leaves_a_challenger_that_came_meanwhile(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    tracking.set_alias(name, "challenger", 2)
    promote(tracking, connection, versions[0])
    assert challenger(tracking, name) == 2


def test_a_refusal_moves_nothing_and_is_written_down(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, versions[0])
    tracking.set_alias(name, "challenger", 2)
    apply(tracking, connection, NO, versions[1], versions[0], "test")
    assert champion(tracking, name) == 1
    assert challenger(tracking, name) == 2
    assert audit(connection, name) == [("promote", None, 1, True), ("refuse", 1, 2, True)]


def test_a_decision_is_carried_out_once(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    for _ in range(2):
        apply(tracking, connection, YES, versions[0], None, "test")
    assert audit(connection, name) == [("promote", None, 1, True)]


def test_a_decision_against_another_champion_is_not_carried_out(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, versions[0], versions[1])
    with pytest.raises(PromotionError, match=r"version 1, but the champion is now version 2"):
        apply(tracking, connection, YES, versions[2], versions[0], "test")
    assert champion(tracking, name) == 2
    assert len(audit(connection, name)) == 2


def test_a_move_made_in_mlflow_is_found_and_written_down(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, versions[0])
    tracking.set_alias(name, "champion", 3)
    settle(tracking, connection, name)
    settle(tracking, connection, name)
    assert audit(connection, name) == [("promote", None, 1, True), ("promote", 1, 3, True)]
    actor = connection.execute("select actor from monitoring.promotions where model = %s order by id desc", [name])
    assert actor.fetchone() == (OUTSIDE,)
    assert rollback(tracking, connection, name, "test").to_version == 1


def test_a_registry_that_is_away_raises_and_writes_nothing(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion], tmp_path: Path
) -> None:
    away = Tracking(load_settings(home=tmp_path, mlflow_tracking_uri="http://127.0.0.1:1", environment="test"))
    with pytest.raises(TrackingError):
        apply(away, connection, YES, versions[0], None, "test")
    assert audit(connection, name) == []
    # The lock is free again.
    promote(tracking, connection, versions[0])
    assert champion(tracking, name) == 1


def test_the_audit_is_made_once(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        ensure_promotions(connection)
        ensure_promotions(connection)
    with warehouse.connect() as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "insert into monitoring.promotions (model, shop, action, to_version, reason, actor)"
            " values ('a', 'b', 'retire', 1, 'c', 'd')"
        )


# ---- Killed in between


def die(home: Path, failpoint: str, action: str, name: str) -> None:
    tracking = Tracking(load_settings(_env_file=None, home=home, environment="test"))
    with Warehouse(tracking.settings).connect() as connection:
        current, newest = tracking.champion(name), tracking.versions(name)[0]
        os.environ["CARTOGRAPH_FAILPOINT"] = failpoint
        if action == "promote":
            apply(tracking, connection, YES, newest, current, "dying")
        else:
            rollback(tracking, connection, name, "dying")


def kill(tracking: Tracking, failpoint: str, action: str, name: str) -> None:
    process = CONTEXT.Process(target=die, args=(tracking.settings.home, failpoint, action, name))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("failpoint", "action"), [(PROMOTION[0], "promote"), (PROMOTION[1], "promote"), (PROMOTION[0], "rollback")]
)
def test_a_move_that_a_killed_process_began_is_completed(
    tracking: Tracking,
    connection: psycopg.Connection,
    name: str,
    versions: list[ModelVersion],
    failpoint: str,
    action: str,
) -> None:
    promote(tracking, connection, versions[0], versions[1])
    kill(tracking, failpoint, action, name)
    begun = (action, 2, 4 if action == "promote" else 1)
    assert audit(connection, name)[-1] == (*begun, False)  # it is not silent about it
    settle(tracking, connection, name)
    assert champion(tracking, name) == begun[2]
    assert audit(connection, name)[2:] == [(*begun, True)]


@pytest.mark.parametrize("failpoint", PROMOTION)
def test_a_rollback_that_a_killed_process_began_is_not_made_twice(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion], failpoint: str
) -> None:
    promote(tracking, connection, *versions[:3])
    kill(tracking, failpoint, "rollback", name)
    assert rollback(tracking, connection, name, "me") == Move(name, "testshop", 3, 2)
    assert champion(tracking, name) == 2
    assert audit(connection, name)[3:] == [("rollback", 3, 2, True)]
    assert rollback(tracking, connection, name, "me") == Move(name, "testshop", 2, 1)


def test_a_rollback_to_another_version_than_the_one_begun_is_made_after_it(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, *versions[:3])
    kill(tracking, PROMOTION[0], "rollback", name)
    assert rollback(tracking, connection, name, "me", 1) == Move(name, "testshop", 2, 1)
    assert audit(connection, name)[3:] == [("rollback", 3, 2, True), ("rollback", 2, 1, True)]
    assert champion(tracking, name) == 1


def test_a_move_to_a_version_that_is_gone_is_given_up(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, versions[0])
    # As a process leaves it that was killed before it moved the alias.
    connection.execute(
        "insert into monitoring.promotions (model, shop, action, from_version, to_version, reason, actor)"
        " values (%s, 'testshop', 'promote', 1, 4, 'better', 'killed')",
        [name],
    )
    connection.commit()
    with tracking.client() as client:
        client.delete_model_version(name, "4")
    settle(tracking, connection, name)
    assert champion(tracking, name) == 1
    assert audit(connection, name) == [("promote", None, 1, True), ("refuse", 1, 4, True)]
    promote(tracking, connection, versions[1])
    assert champion(tracking, name) == 2


# ---- Back


def test_a_rollback_gives_the_one_before(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, *versions[:3])
    move = rollback(tracking, connection, name, "me")
    assert (move.from_version, move.to_version, move.shop) == (3, 2, "testshop")
    assert champion(tracking, name) == 2
    assert rollback(tracking, connection, name, "me").to_version == 1  # and not 3 again
    with pytest.raises(PromotionError, match=r"no earlier champion than version 1.*1, 2, 3, 4"):
        rollback(tracking, connection, name, "me")
    promote(tracking, connection, versions[3])
    assert rollback(tracking, connection, name, "me").to_version == 1
    assert audit(connection, name)[3:5] == [("rollback", 3, 2, True), ("rollback", 2, 1, True)]


def test_a_rollback_to_a_version_by_name(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, *versions[:3])
    assert rollback(tracking, connection, name, "me", 1).to_version == 1
    with pytest.raises(PromotionError, match="no version 9; it has 1, 2, 3, 4"):
        rollback(tracking, connection, name, "me", 9)
    before = audit(connection, name)
    assert rollback(tracking, connection, name, "me", 1) == Move(name, "testshop", 1, 1)  # to be published anew
    assert champion(tracking, name) == 1
    assert audit(connection, name) == before


def test_a_rollback_passes_over_versions_that_are_gone(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, *versions[:3])
    with tracking.client() as client:
        client.delete_model_version(name, "2")
    assert rollback(tracking, connection, name, "me").to_version == 1


def test_there_is_nothing_to_go_back_from(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    with pytest.raises(PromotionError, match="no champion yet"):
        rollback(tracking, connection, name, "me")
    promote(tracking, connection, versions[0])
    with pytest.raises(PromotionError, match="no earlier champion than version 1"):
        rollback(tracking, connection, name, "me")
    assert champion(tracking, name) == 1


# ---- What was given up does not come back by itself


@pytest.mark.parametrize("how", ["killed", "outside"])
def test_a_champion_that_came_by_an_accident_is_no_challenger_after_a_rollback(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion], how: str
) -> None:
    promote(tracking, connection, versions[0])
    tracking.set_alias(name, "challenger", 4)
    if how == "killed":
        kill(tracking, PROMOTION[1], "promote", name)
    else:
        tracking.set_alias(name, "champion", 4)
    assert (champion(tracking, name), challenger(tracking, name)) == (4, 4)
    settle(tracking, connection, name)
    assert (champion(tracking, name), challenger(tracking, name)) == (4, None)
    assert rollback(tracking, connection, name, "me") == Move(name, "testshop", 4, 1)
    assert challenger(tracking, name) is None


def test_a_rollback_leaves_a_challenger_only_where_it_never_was_champion(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, *versions[:3])
    tracking.set_alias(name, "challenger", 4)
    rollback(tracking, connection, name, "me")
    assert challenger(tracking, name) == 4
    tracking.set_alias(name, "challenger", 3)
    rollback(tracking, connection, name, "me")
    assert challenger(tracking, name) is None


def test_a_version_that_was_given_up_is_not_compared_again(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    first, second, third, _ = versions
    promote(tracking, connection, first, second)
    rollback(tracking, connection, name, "me")
    for is_drifted in (False, True):
        why = decided(connection, second, first, is_drifted)
        assert why is not None and "rolled back from version 2 to version 1" in why
    assert decided(connection, third, first, False) is None
    # Nor does a comparison that began before it was champion at all.
    with pytest.raises(PromotionError, match=r"version 2 was given up on .*--to 2"):
        apply(tracking, connection, YES, second, first, "test")
    assert champion(tracking, name) == 1
    # Given back by name, it is a champion like others.
    rollback(tracking, connection, name, "me", 2)
    promote(tracking, connection, third)
    assert decided(connection, second, third, False) is None


# ---- A registry that loses what it held


def test_a_champion_that_was_deleted_is_noted_and_the_one_before_comes_back(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, *versions[:3])
    assert standing(connection, name).champion == 3
    with tracking.client() as client:
        client.delete_model_version(name, "3")
    for _ in range(2):
        settle(tracking, connection, name)
    assert audit(connection, name)[3:] == [("lost", 3, None, True)]
    assert (standing(connection, name).champion, standing(connection, name).decision) == (None, "lost")
    assert rollback(tracking, connection, name, "me") == Move(name, "testshop", None, 2)
    assert (champion(tracking, name), standing(connection, name).champion) == (2, 2)
    assert audit(connection, name)[4:] == [("rollback", None, 2, True)]
    assert rollback(tracking, connection, name, "me") == Move(name, "testshop", 2, 1)


def test_a_champion_whose_alias_was_deleted_comes_back_itself(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, *versions[:3])
    tracking.drop_alias(name, "champion")
    assert rollback(tracking, connection, name, "me") == Move(name, "testshop", None, 3)
    tracking.drop_alias(name, "champion")
    settle(tracking, connection, name)
    tracking.set_alias(name, "champion", 3)
    assert rollback(tracking, connection, name, "me") == Move(name, "testshop", 3, 2)


def test_without_any_champion_left_a_version_is_to_be_named(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, versions[0])
    with tracking.client() as client:
        client.delete_model_version(name, "1")
    with pytest.raises(PromotionError, match=r"lost its champion.*--to: 2, 3, 4"):
        rollback(tracking, connection, name, "me")
    assert rollback(tracking, connection, name, "me", 2) == Move(name, "testshop", None, 2)
    assert champion(tracking, name) == 2


def test_verdicts_of_a_registry_before_do_not_hold_for_one_made_anew(
    tracking: Tracking, connection: psycopg.Connection, name: str, versions: list[ModelVersion]
) -> None:
    promote(tracking, connection, *versions[:2])
    apply(tracking, connection, NO, versions[2], versions[1], "test")
    promote(tracking, connection, versions[2])
    rollback(tracking, connection, name, "me")
    # As a process leaves it that was killed before it moved the alias.
    connection.execute(
        "insert into monitoring.promotions (model, shop, action, from_version, to_version, reason, actor)"
        " values (%s, 'testshop', 'promote', 2, 1, 'better', 'killed')",
        [name],
    )
    connection.commit()
    with tracking.client() as client:
        client.delete_registered_model(name)
    _, second, third = (new_version(tracking, name) for _ in range(3))
    settle(tracking, connection, name)
    assert champion(tracking, name) is None
    assert audit(connection, name)[-2:] == [("refuse", 2, 1, True), ("lost", 2, None, True)]
    assert decided(connection, third, None, False) is None
    promote(tracking, connection, second)
    assert decided(connection, third, second, False) is None
    with pytest.raises(PromotionError, match="no earlier champion than version 2"):
        rollback(tracking, connection, name, "me")
    tracking.set_alias(name, "challenger", 3)
    rollback(tracking, connection, name, "me", 1)
    assert challenger(tracking, name) == 3  # another 3 than the one that was champion


def test_a_champion_of_the_same_number_in_a_registry_made_anew_is_another(
    tracking: Tracking, connection: psycopg.Connection, name: str
) -> None:
    promote(tracking, connection, new_version(tracking, name))
    with tracking.client() as client:
        client.delete_registered_model(name)
    new_version(tracking, name)
    tracking.set_alias(name, "champion", 1)
    for _ in range(2):
        settle(tracking, connection, name)
    assert audit(connection, name) == [("promote", None, 1, True), ("promote", None, 1, True)]


def test_an_audit_of_before_champions_could_be_lost_is_altered(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        ensure_promotions(connection)
        connection.commit()
        connection.execute("drop table monitoring.promotions")
        connection.execute(
            "create table monitoring.promotions (id bigint generated always as identity primary key,"
            " at timestamptz not null default clock_timestamp(), model text not null, shop text not null,"
            " action text not null check (action in ('promote', 'refuse', 'rollback')), from_version int,"
            " to_version int not null, reason text not null, figures jsonb not null default '{}', actor text not null,"
            " applied_at timestamptz);"
            " create index promotions_by_model on monitoring.promotions (model, id)"
        )
        insert = (
            "insert into monitoring.promotions (model, shop, action, to_version, reason, actor, applied_at)"
            " values ('a-b', 'b', %s, %s, 'c', 'd', now())"
        )
        connection.execute(insert, ["promote", 1])
        ensure_promotions(connection)
        connection.execute(insert, ["lost", None])
        assert standing(connection, "a-b").champion is None
        for action, version in (("lost", 1), ("promote", None), ("retire", 1)):
            with pytest.raises(psycopg.errors.CheckViolation), connection.transaction():
                connection.execute(insert, [action, version])
        connection.rollback()


# ---- The command


@pytest.fixture
def on_home(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    monkeypatch.setenv("CARTOGRAPH_HOME", str(tracking.settings.home))
    for kept in (get_settings, console):
        kept.cache_clear()
    yield run_rollback
    for kept in (get_settings, console):
        kept.cache_clear()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the command publishes. That it does is seen in tests/loop/test_round.py; here, for which shops."""
    noted: list[tuple[str, str]] = []

    def note(selection: str, shop: str) -> int:
        noted.append((selection, shop))
        return 0

    monkeypatch.setattr("orchestration.cli.rollback.run_materialize", note)
    return noted


def test_the_command_rolls_back_one_shop_or_all(
    tracking: Tracking,
    connection: psycopg.Connection,
    on_home: Callable[..., int],
    published: list[tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    domain = f"command{next(NUMBERS)}"
    shops = {shop: [new_version(tracking, f"{domain}-{shop}") for _ in range(2)] for shop in ("online_retail", "other")}
    for line in shops.values():
        promote(tracking, connection, *line)
    assert on_home(domain, "online_retail", None) == 0
    assert champion(tracking, f"{domain}-online_retail") == 1
    assert published == [(f'key:"{domain}/champion"+ and group:{domain}', "online_retail")]
    assert champion(tracking, f"{domain}-other") == 2
    # One of the two has no earlier champion any more: it is said, and the other, which is not configured, is done.
    assert on_home(domain, None, None) == 1
    assert champion(tracking, f"{domain}-other") == 1
    assert len(published) == 1
    who = connection.execute(
        "select model, actor from monitoring.promotions where model like %s and action = 'rollback' order by id",
        [f"{domain}-%"],
    ).fetchall()
    assert who == [(f"{domain}-online_retail", getpass.getuser()), (f"{domain}-other", getpass.getuser())]
    with pytest.raises(CommandError, match=r"(?s)online_retail has no earlier champion.*other has no earlier champion"):
        on_home(domain, None, None)
    with pytest.raises(CommandError, match="--shop"):
        on_home(domain, None, 2)
    assert on_home(domain, "online_retail", 2) == 0
    assert champion(tracking, f"{domain}-online_retail") == 2
    # Killed before it published: the same call publishes.
    said = "version 2 is the champion of {}-online_retail already; published anew."
    assert said.format(domain) not in capsys.readouterr().out
    assert on_home(domain, "online_retail", 2) == 0
    assert said.format(domain) in capsys.readouterr().out
    assert [shop for _, shop in published] == ["online_retail"] * 3


def test_a_shop_that_was_moved_is_published_where_the_registry_fails_on_the_next(
    tracking: Tracking,
    warehouse: Warehouse,
    connection: psycopg.Connection,
    on_home: Callable[..., int],
    published: list[tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    domain = f"command{next(NUMBERS)}"
    mine, other = f"{domain}-online_retail", f"{domain}-other"
    for model in (mine, other):
        promote(tracking, connection, *(new_version(tracking, model) for _ in range(3)))
    with warehouse.connect("mlflow", autocommit=True) as registry:
        registry.execute(
            "create function refuse_alias() returns trigger language plpgsql as"
            " $$ begin raise 'the registry refuses'; end $$"
        )
        registry.execute(
            "create trigger refuse_alias before insert or update on registered_model_aliases for each row"
            f" when (new.name = '{other}') execute function refuse_alias()"
        )
        try:
            assert on_home(domain, None, None) == 1
        finally:
            registry.execute("drop function refuse_alias cascade")
    assert "the registry refuses" in capsys.readouterr().out
    assert (champion(tracking, mine), champion(tracking, other)) == (2, 3)
    assert [shop for _, shop in published] == ["online_retail"]
    # What was written down of the other is completed by the next call, which goes no further.
    assert on_home(domain, None, None) == 0
    assert (champion(tracking, mine), champion(tracking, other)) == (1, 2)


def test_the_command_says_what_there_is(
    tracking: Tracking, name: str, versions: list[ModelVersion], on_home: Callable[..., int]
) -> None:
    domain = name.partition("-")[0]
    with pytest.raises(CommandError, match=f"did you mean '{domain}'"):
        on_home(domain + "x", None, None)
    with pytest.raises(CommandError, match="no model is named 'zzzzzz'; there are: "):
        on_home("zzzzzz", None, None)
    with pytest.raises(CommandError, match="no shop is named 'nowhere'"):
        on_home(domain, "nowhere", None)
    with pytest.raises(CommandError, match=f"online_retail has no {domain}; these shops have one: testshop"):
        on_home(domain, "online_retail", None)


def test_a_registry_that_is_away_is_one_line(on_home: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    get_settings.cache_clear()
    with pytest.raises(TrackingError) as caught:
        on_home("recommender", None, None)
    said = explain(caught.value)
    assert said is not None and "MLFLOW_TRACKING_URI" in said and "\n" not in said
