"""How far each shard of a stream was read: kept in the ledger, held against what the stream has, gaps written down."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from resources.streams import Description, Shard

if TYPE_CHECKING:
    import psycopg

BEGINNING = timedelta(hours=1)
"""So long may a first read, which begins at the horizon, take to come away from it: what expires until then is not held
to be lost."""
WHOLE_STREAM = "*"
"""In place of a shard, where a loss is of all of them."""


@dataclass(frozen=True)
class Position:
    """How far one shard was read."""

    sequence: str | None
    """That of the last record; None before the first."""
    has_ended: bool
    read_to: datetime
    """All that arrived before this instant was read."""
    begun_at: datetime
    """When its reading began, or that of the shards of which it was made, or was begun anew after a gap."""


@dataclass(frozen=True)
class Positions:
    """How far a stream was read."""

    created_at: datetime | None
    """Which stream of this name that was; None where none was read yet."""
    of: dict[str, Position]

    def of_child(self, shard: Shard) -> Position | None:
        """Where a shard begins that was not read yet, by what is known of its parents; None: at the horizon.

        Its first record came after its parents' last, and no instant between the two is known.
        """
        parents = [self.of[parent] for parent in shard.parents if parent in self.of]
        if not parents:
            return None
        return Position(None, False, max(item.read_to for item in parents), max(item.begun_at for item in parents))


@dataclass(frozen=True)
class Loss:
    """Records that a stream may have had, and does not have any more, and that were not read."""

    shard: str
    since: datetime | None
    """Up to when all was read."""
    until: datetime
    """From when on all can be read."""
    problem: str

    @property
    def place(self) -> str:
        """The shard, as it follows the name of the stream in messages."""
        return "" if self.shard == WHOLE_STREAM else f", shard {self.shard}"


def read_positions(connection: psycopg.Connection, shop: str, table: str) -> Positions:
    rows = connection.execute(
        "select created_at, shard, sequence, has_ended, read_to, begun_at from ledger.shards"
        " where shop = %s and table_name = %s order by shard",
        [shop, table],
    ).fetchall()
    return Positions(rows[0][0] if rows else None, {shard: Position(*rest) for _, shard, *rest in rows})


def write_position(
    connection: psycopg.Connection,
    shop: str,
    table: str,
    created_at: datetime,
    shard: str,
    before: Position | None,
    after: Position,
) -> bool:
    """Move a shard on; False where it was not where it is believed to be, for another process has moved it."""
    values = {
        "shop": shop,
        "table": table,
        "created_at": created_at,
        "shard": shard,
        "sequence": after.sequence,
        "has_ended": after.has_ended,
        "read_to": after.read_to,
        "begun_at": after.begun_at,
    }
    if before is None:
        done = connection.execute(
            "insert into ledger.shards (shop, table_name, created_at, shard, sequence, has_ended, read_to, begun_at)"
            " values (%(shop)s, %(table)s, %(created_at)s, %(shard)s, %(sequence)s, %(has_ended)s, %(read_to)s,"
            " %(begun_at)s) on conflict do nothing",
            values,
        )
    else:
        done = connection.execute(
            "update ledger.shards set sequence = %(sequence)s, has_ended = %(has_ended)s, read_to = %(read_to)s,"
            " begun_at = %(begun_at)s where shop = %(shop)s and table_name = %(table)s and shard = %(shard)s"
            " and created_at = %(created_at)s and sequence is not distinct from %(before)s::text",
            values | {"before": before.sequence},
        )
    return done.rowcount == 1


def version(positions: Positions) -> str:
    """A hash of what was read of a stream."""
    lines = [f"{shard} {at.sequence}" for shard, at in sorted(positions.of.items()) if at.sequence is not None]
    return hashlib.sha256("\n".join([str(positions.created_at) if lines else "", *lines]).encode()).hexdigest()[:16]


def expired(position: Position, retention: timedelta | None, now: datetime) -> bool:
    """Whether records behind a position may have expired before they were read."""
    if retention is None or position.has_ended or now - position.begun_at <= BEGINNING:
        return False
    return position.read_to < now - retention


def losses(held: Positions, found: Description, shards: list[Shard]) -> list[Loss]:
    """What was lost since a stream was last read.

    Args:
        held: how far it was read.
        found: the stream as it is now.
        shards: all that it still has.
    """
    if held.created_at is None:
        return []
    since = min((at.read_to for at in held.of.values() if not at.has_ended), default=None)
    if held.created_at != found.created_at:
        return [
            Loss(
                WHOLE_STREAM,
                since,
                found.created_at,
                f"it was made anew: what was read is of one that was made at {instant(held.created_at)}, and this one "
                f"was made at {instant(found.created_at)}",
            )
        ]
    horizon = found.created_at if found.retention is None else max(found.now - found.retention, found.created_at)
    listed = {shard.id for shard in shards}
    lost = [
        Loss(
            shard,
            at.read_to,
            horizon,
            f"it is not there any more, and was read to {instant(at.read_to)} only; the stream holds what came since "
            f"{instant(horizon)}",
        )
        for shard, at in held.of.items()
        if shard not in listed and not at.has_ended
    ]
    unknown = sorted({parent for shard in shards for parent in shard.parents} - listed - set(held.of))
    lost += [
        Loss(
            parent,
            since,
            horizon,
            "it came and went since the stream was last read, at "
            f"{instant(max(at.read_to for at in held.of.values()))}; the stream holds what came since "
            f"{instant(horizon)}",
        )
        for parent in unknown
    ]
    for shard in shards:
        at = held.of.get(shard.id) or held.of_child(shard)
        if at is None or at.has_ended:
            continue
        if expired(at, found.retention, found.now):
            lost.append(Loss(shard.id, at.read_to, horizon, expiry(at, horizon)))
        elif at.sequence is not None and shard.first is not None and int(shard.first) > int(at.sequence) + 1:
            lost.append(
                Loss(
                    shard.id,
                    at.read_to,
                    horizon,
                    f"it was read to number {at.sequence}, at {instant(at.read_to)}, and begins with {shard.first} now",
                )
            )
    return lost


def expiry(position: Position, horizon: datetime) -> str:
    return (
        f"it was read to {instant(position.read_to)}, and the stream holds what came since {instant(horizon)}: what "
        "came between the two may be lost"
    )


def accept(
    connection: psycopg.Connection,
    shop: str,
    table: str,
    lost: list[Loss],
    found: Description,
    shards: list[Shard],
) -> None:
    """Write losses down as gaps, and move on to what the stream still has; in the caller's transaction."""
    held = read_positions(connection, shop, table)
    firsts = {shard.id: shard.first for shard in shards}
    for loss in lost:
        connection.execute(
            "insert into ledger.gaps (shop, table_name, shard, since, until, problem) values (%s, %s, %s, %s, %s, %s)",
            [shop, table, loss.shard, loss.since, loss.until, loss.problem],
        )
        if loss.shard == WHOLE_STREAM:
            connection.execute("delete from ledger.shards where shop = %s and table_name = %s", [shop, table])
            continue
        before = held.of.get(loss.shard)
        sequence, first = before.sequence if before else None, firsts.get(loss.shard)
        if sequence is not None and first is not None:
            sequence = str(max(int(sequence), int(first) - 1))
        # One that is not there any more has ended, as far as anybody will know.
        after = Position(sequence, loss.shard not in firsts, loss.until, found.now)
        moved = write_position(connection, shop, table, found.created_at, loss.shard, before, after)
        assert moved, "the table's lock is held"


def gaps(connection: psycopg.Connection, shop: str, table: str) -> list[dict[str, Any]]:
    """The gaps of a table that somebody accepted, oldest first."""
    rows = connection.execute(
        "select shard, since, until, problem, accepted_at from ledger.gaps where shop = %s and table_name = %s"
        " order by gap_id",
        [shop, table],
    )
    names = ("shard", "read to", "goes on from", "what happened", "accepted")
    return [dict(zip(names, row, strict=True)) for row in rows]


def instant(at: datetime) -> str:
    """An instant as it stands in messages."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
