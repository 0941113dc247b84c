"""The champion's moves: the alias in the registry, and the audit of every decision in the warehouse.

The two lie in different stores, so no transaction holds both. A move is therefore written down before it is made:

1. the audit row is committed, with `applied_at` empty;
2. the alias is moved;
3. `applied_at` is set.

A process that dies in between leaves a row that says so, and `settle`, with which every decision and rollback begins,
completes the move. An alias that somebody moved in MLflow itself, or that is gone with its version, is found there too,
and written down as such. All of it happens under a lock of the model, so that two moves are made one after the other.

A version that is champion, or was given up by a rollback, is no longer the challenger: it would be compared again, and
win as it did before. And a registry that was made anew counts its versions from one again, so a row is of a version
only where it is not older than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from assets.promotion.rules import Decision
from resources.failpoints import failpoint
from resources.tracking import CHALLENGER, CHAMPION, ModelVersion, Tracking

if TYPE_CHECKING:
    import psycopg

DDL = """
create schema if not exists monitoring;

create table if not exists monitoring.promotions (
    id bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    model text not null,
    shop text not null,
    action text not null,
    from_version int,
    to_version int,
    reason text not null,
    figures jsonb not null default '{}',
    actor text not null,
    applied_at timestamptz
);
create index if not exists promotions_by_model on monitoring.promotions (model, id);

-- A table of before 'lost' was an action has a narrower constraint, and demands a version that became champion.
alter table monitoring.promotions
    alter column to_version drop not null,
    drop constraint if exists promotions_action_check,
    drop constraint if exists promotions_known_action,
    drop constraint if exists promotions_lost_has_no_successor,
    add constraint promotions_known_action check (action in ('promote', 'refuse', 'rollback', 'lost')),
    add constraint promotions_lost_has_no_successor check ((action = 'lost') = (to_version is null));

comment on table monitoring.promotions is
    'One row is one decision about a champion: from which version to which, why, on what figures, and by whom.';
comment on column monitoring.promotions.from_version is 'The champion at the time; null where there was none.';
comment on column monitoring.promotions.to_version is
    'The version that became champion or, refused, did not; null where the registry lost the champion.';
comment on column monitoring.promotions.applied_at is
    'When the alias in the registry was seen to agree; null while it is being moved, or after a crash in between.';
"""

OUTSIDE = "outside Cartograph"
"""The actor of a move that was found in the registry and that nobody had written down."""


class PromotionError(RuntimeError):
    """The champion cannot be moved as asked; the message says why, and what to do."""


@dataclass(frozen=True)
class Move:
    """The champion of a model went from one version to another, or was that one already."""

    model: str
    shop: str
    from_version: int | None
    to_version: int


@dataclass(frozen=True)
class _Settled:
    """The champion's version, and the rollback that was written down before and is made only now."""

    champion: int | None
    completed: Move | None = None


def ensure_promotions(connection: psycopg.Connection) -> None:
    """Make the audit of promotions where it is missing, in the caller's transaction."""
    # What is made last: a table of before it was there is altered.
    exists = connection.execute(
        "select exists(select from pg_constraint where conrelid = to_regclass('monitoring.promotions')"
        " and conname = 'promotions_lost_has_no_successor')"
    ).fetchone()
    if exists is None or not exists[0]:
        with connection.transaction():
            # Two processes that make a schema at once would fail on each other.
            connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph monitoring', 0))")
            connection.execute(DDL)


def settle(tracking: Tracking, connection: psycopg.Connection, model: str) -> None:
    """Make the registry and the audit of a model agree, before its champion is asked for.

    Completes a move that a process did not live to complete, and writes down one that was made in MLflow itself and the
    loss of a champion that the registry no longer holds. Commits on the connection, which must not be in a transaction
    block.

    Raises:
        TrackingError: the registry is away or refuses.
    """
    with _alone(connection, model):
        _settle(tracking, connection, model)


def apply(
    tracking: Tracking,
    connection: psycopg.Connection,
    decision: Decision,
    challenger: ModelVersion,
    champion: ModelVersion | None,
    actor: str,
) -> None:
    """Carry out a decision, and write it down: the alias `champion` goes to the challenger, or stays.

    A decision that is carried out already is not carried out again. Commits on the connection, which must not be in a
    transaction block.

    Args:
        champion: the version that the challenger was compared with; None where there was none.
        actor: who decided: an asset and its run, or a person.

    Raises:
        TrackingError: the registry is away or refuses. A promotion that was written down is completed by the next call.
        PromotionError: the champion is no longer the one that the challenger was compared with, or the challenger was
            champion in the meantime and a rollback gave it up.
    """
    from_version = champion.version if champion is not None else None
    shop = _shop(challenger)
    with _alone(connection, challenger.name):
        current = _settle(tracking, connection, challenger.name).champion
        if not decision.promote:
            _write(connection, challenger.name, shop, "refuse", from_version, challenger.version, decision, actor, True)
            return
        if current == challenger.version:
            return
        if current != from_version:
            raise PromotionError(
                f"{challenger.name}: the decision was made against {_called(from_version)}, but the champion is now"
                f" {_called(current)}. Decide anew."
            )
        why_not = given_up(connection, challenger)
        if why_not is not None:
            raise PromotionError(f"{challenger.name}: version {challenger.version} was {why_not}.")
        row = _write(connection, challenger.name, shop, "promote", current, challenger.version, decision, actor, False)
        _move(tracking, connection, row, "promote", challenger.name, challenger.version)


def rollback(
    tracking: Tracking,
    connection: psycopg.Connection,
    model: str,
    actor: str,
    to: int | None = None,
) -> Move:
    """Give a model its previous champion back, by the audit, or a version that is named.

    The previous one is that which the present one followed: after 1, 2, 3 a rollback gives 2, and a second one 1. Where
    the registry lost the champion, it is the last that is left. Versions that the registry no longer holds are passed
    over. Commits on the connection, which must not be in a transaction block.

    Returns:
        The move. Where a killed process left a rollback unfinished, that one: it is completed, and no further one made,
        unless `to` asks for it. Where `to` is the champion already, one from it to itself, which is not written down.

    Raises:
        TrackingError: the registry is away or refuses. A rollback that was written down is completed by the next call.
        PromotionError: there is no champion to go back from or to, or no such version.
    """
    with _alone(connection, model):
        settled = _settle(tracking, connection, model)
        if settled.completed is not None and to in (None, settled.completed.to_version):
            return settled.completed
        current = settled.champion
        held = {version.version: version for version in tracking.versions(model)}
        known = ", ".join(map(str, sorted(held))) or "none"
        if to is None:
            line = _succession(connection, model, held.values())
            earlier = [version for version in line if version in held and version != current]
            if not earlier:
                lack = (
                    f"has no earlier champion than version {current}"
                    if current is not None
                    else "has lost its champion, and none of those before it is left"
                    if line
                    else "has no champion yet, so there is nothing to go back from"
                )
                raise PromotionError(f"{model} {lack}. Name one of its versions with --to: {known}.")
            to = earlier[-1]
        if to not in held:
            raise PromotionError(f"{model} has no version {to}; it has {known}.")
        shop = _shop(held[to])
        if to != current:
            reason = f"rolled back from {_called(current)} to version {to}"
            decision = Decision(True, "rolled_back", reason, {})
            row = _write(connection, model, shop, "rollback", current, to, decision, actor, False)
            _move(tracking, connection, row, "rollback", model, to)
        return Move(model, shop, current, to)


def given_up(connection: psycopg.Connection, version: ModelVersion) -> str | None:
    """Why a version is not to become champion by itself: it was, and a rollback went away from it; else None."""
    last = connection.execute(
        "select reason, at, action = 'rollback' and from_version = %s from monitoring.promotions"
        " where model = %s and at >= %s and action in ('promote', 'rollback')"
        " and (to_version = %s or (action = 'rollback' and from_version = %s)) order by id desc limit 1",
        [version.version, version.name, version.created_at, version.version, version.version],
    ).fetchone()
    if last is None or not last[2]:
        return None
    reason, at, _ = last
    return f"given up on {at:%Y-%m-%d}: {reason}; `cartograph rollback --to {version.version}` makes it champion again"


@contextmanager
def _alone(connection: psycopg.Connection, model: str) -> Iterator[None]:
    """Hold the lock of a model over the transactions of a block; the server drops it when the process dies."""
    connection.commit()
    ensure_promotions(connection)
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [f"promote {model}"])
    connection.commit()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    finally:
        # A connection that is lost has dropped the lock, and its own error is on the way.
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [f"promote {model}"])
            connection.commit()


def _settle(tracking: Tracking, connection: psycopg.Connection, model: str) -> _Settled:
    """As `settle`, under the lock."""
    last = connection.execute(
        "select id, at, action, shop, from_version, to_version, applied_at is not null from monitoring.promotions"
        " where model = %s and action in ('promote', 'rollback', 'lost') order by id desc limit 1",
        [model],
    ).fetchone()
    connection.commit()
    row, at, action, shop, before, written, is_applied = last or (0, None, "", "", None, None, True)
    if not is_applied:
        if any(version.version == written and at >= version.created_at for version in tracking.versions(model)):
            _move(tracking, connection, row, action, model, written)
            return _Settled(written, Move(model, shop, before, written) if action == "rollback" else None)
        connection.execute(
            "update monitoring.promotions set action = 'refuse', applied_at = clock_timestamp(),"
            " reason = reason || '; not carried out, for the registry no longer holds the version' where id = %s",
            [row],
        )
        connection.commit()
        return _settle(tracking, connection, model)
    champion = tracking.champion(model)
    if champion is None:
        if written is not None:
            words = f"the registry has no champion any more: the alias or version {written} itself was deleted there"
            lost = Decision(False, "lost", words)
            _write(connection, model, shop, "lost", written, None, lost, OUTSIDE, True)
        return _Settled(None)
    if champion.version != written or at < champion.created_at:
        words = f"the alias was found on version {champion.version}, moved by other means"
        found = Decision(True, "moved_outside", words)
        # One of the same number, in a registry that was made anew, did not follow itself.
        before = written if champion.version != written else None
        _write(connection, model, _shop(champion), "promote", before, champion.version, found, OUTSIDE, True)
    _retire(tracking, model, {champion.version: champion.created_at})
    return _Settled(champion.version)


def _move(tracking: Tracking, connection: psycopg.Connection, row: int, action: str, model: str, version: int) -> None:
    failpoint("promotion.written")
    tracking.set_alias(model, CHAMPION, version)
    failpoint("promotion.moved")
    # A promotion ends the trial of its own version alone; after a rollback no former champion comes back by itself.
    champions = connection.execute(
        "select to_version, max(at) from monitoring.promotions"
        " where model = %s and action in ('promote', 'rollback') and (id = %s or %s) group by to_version",
        [model, row, action == "rollback"],
    ).fetchall()
    connection.commit()
    _retire(tracking, model, dict(champions))
    connection.execute("update monitoring.promotions set applied_at = clock_timestamp() where id = %s", [row])
    connection.commit()


def _retire(tracking: Tracking, model: str, champions: Mapping[int, datetime]) -> None:
    """Drop the alias `challenger` where it names one of these versions, each champion at an instant.

    Whoever registers a new challenger does not hold the lock, and MLflow drops an alias whatever it names: one that is
    registered between the look and the drop loses it. Nothing is done in between.
    """
    waiting = tracking.version_by_alias(model, CHALLENGER)
    if waiting is not None and waiting.version in champions and champions[waiting.version] >= waiting.created_at:
        tracking.drop_alias(model, CHALLENGER)


def _write(
    connection: psycopg.Connection,
    model: str,
    shop: str,
    action: str,
    from_version: int | None,
    to_version: int | None,
    decision: Decision,
    actor: str,
    is_applied: bool,
) -> int:
    from psycopg.types.json import Jsonb

    row = connection.execute(
        "insert into monitoring.promotions"
        " (model, shop, action, from_version, to_version, reason, figures, actor, applied_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, case when %s then clock_timestamp() end) returning id",
        [
            *(model, shop, action, from_version, to_version, decision.reason),
            *(Jsonb({"code": decision.code, **decision.figures}), actor, is_applied),
        ],
    ).fetchone()
    connection.commit()
    assert row is not None
    return int(row[0])


def _succession(connection: psycopg.Connection, model: str, held: Iterable[ModelVersion]) -> list[int]:
    """The champions of a model, each behind the one that it followed, the present or lost one last.

    Args:
        held: the versions of the registry: rows that are older than the version of that number are of another one.
    """
    made = {version.version: version.created_at for version in held}
    line: list[int] = []
    for action, version, at in connection.execute(
        "select action, to_version, at from monitoring.promotions"
        " where model = %s and action in ('promote', 'rollback') and applied_at is not null order by id",
        [model],
    ):
        if version in made and at < made[version]:
            continue
        if action == "rollback" and version in line:
            # What came after it was given up.
            del line[line.index(version) + 1 :]
        else:
            line.append(version)
    return line


def _shop(version: ModelVersion) -> str:
    """The shop of a version: that of its tag, else what stands behind the domain in the model's name."""
    return version.tags.get("shop") or version.name.partition("-")[2]


def _called(version: int | None) -> str:
    return "no champion" if version is None else f"version {version}"


@dataclass(frozen=True)
class Standing:
    """What the audit says of one model: its champion, and the last decision about it."""

    model: str
    shop: str
    champion: int | None
    """None where no version was promoted yet, or the registry lost it."""
    since: datetime | None
    decision: str
    """The last action: promote, refuse, rollback or lost."""
    reason: str


def standings(connection: psycopg.Connection) -> list[Standing]:
    """One for each model that was decided on, by shop and name. The registry is not asked, which takes seconds."""
    ensure_promotions(connection)
    rows = connection.execute(
        """
        select last.model, last.shop, held.to_version, held.at, last.action, last.reason
        from (select distinct on (model) * from monitoring.promotions order by model, id desc) as last
        left join (
            select distinct on (model) *
            from monitoring.promotions
            where action in ('promote', 'rollback', 'lost') and applied_at is not null
            order by model, id desc
        ) as held on held.model = last.model
        order by last.shop, last.model
        """
    ).fetchall()
    return [Standing(*row) for row in rows]
