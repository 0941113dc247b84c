"""The tables of summaries: the facts of each day, its summary, and the texts of models that were refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from assets.summaries.facts import DayFacts, Fact, Kind, Snapshot
from resources.shops import Shop

if TYPE_CHECKING:
    import psycopg

    from assets.summaries.writing import Written

FACTS, SUMMARIES = "features.daily_facts", "serving.daily_summaries"

DDL_FACTS = """
create schema if not exists features;
create table if not exists features.daily_facts (
    shop text not null,
    day date not null,
    place integer not null,             -- in the order in which people read them
    fact_id text not null,              -- as a text writes it in braces
    kind text not null,
    value text not null,                -- changes signed, shares as fractions, dates in ISO 8601
    metric text,
    against text,                       -- day_before, week_before or trend
    currency text,
    said text not null,                 -- what it is, in English
    product_id text,
    anomaly text,                       -- high or low: outside the seasonal band
    facts_hash text not null,           -- of all facts of the day
    primary key (shop, day, fact_id)
);
comment on table features.daily_facts is 'One row is one fact of one day of a shop.';
"""

DDL_SUMMARIES = """
create schema if not exists serving;
create table if not exists serving.daily_summaries (
    shop text not null,
    day date not null,
    language text not null,             -- in which it is written
    text text not null,                 -- with the ids of facts in braces
    rendered text not null,             -- with the facts
    entry text not null,                -- of the section llm of models.yaml, that wrote it
    model text not null,
    asked text not null,                -- the model that was to write it
    prompt_version text not null,
    rules_version text not null,        -- of the checker and the narrator
    facts_hash text not null,
    tokens_in bigint not null,
    tokens_out bigint not null,
    cost double precision,              -- in dollars; null where no price is known
    seconds double precision not null,
    attempts integer not null,          -- texts that models wrote for it
    is_grounded boolean not null,       -- false: no model's text passed, the narrator's stands in its place
    faults text[] not null,             -- what was wrong with the refused texts
    failure text,                       -- why no model answered
    run_id text,                        -- the run of Dagster that wrote it
    written_at timestamptz not null default clock_timestamp(),
    primary key (shop, day)
);
-- Warehouses of before these columns were told.
alter table serving.daily_summaries add column if not exists rules_version text not null default '';
alter table serving.daily_summaries add column if not exists run_id text;
comment on table serving.daily_summaries is 'One row is the summary of one day of a shop.';
create schema if not exists monitoring;
create table if not exists monitoring.summary_faults (
    id bigint generated always as identity primary key,
    shop text not null,
    day date not null,
    attempt integer not null,
    text text not null,                 -- as the model wrote it
    faults text[] not null,
    kinds text[] not null,
    entry text not null,
    model text not null,
    prompt_version text not null,
    facts_hash text not null,
    run_id text,
    refused_at timestamptz not null default clock_timestamp()
);
comment on table monitoring.summary_faults is 'One row is a text of a model that was refused.';
create index if not exists summary_faults_by_day on monitoring.summary_faults (shop, day);
"""


@dataclass(frozen=True)
class Changes:
    """How many days a snapshot changed in `features.daily_facts`."""

    new: int
    changed: int
    gone: int


@dataclass(frozen=True)
class Mark:
    """What a stored summary was made of, by which it is known whether another is due."""

    facts_hash: str
    prompt_version: str
    rules_version: str
    asked: str
    failure: str | None


@dataclass(frozen=True)
class Summary:
    """A stored summary.

    Attributes:
        language: in which it is written.
        text: with the ids of facts in braces.
        rendered: with the facts.
        rules_version: of the checker and the narrator.
        is_grounded: False where no model's text passed, and the narrator's stands in its place.
        faults: what was wrong with the refused texts.
        failure: why no model answered.
        run_id: of the run of Dagster that wrote it.
    """

    shop: str
    day: date
    language: str
    text: str
    rendered: str
    entry: str
    model: str
    prompt_version: str
    rules_version: str
    facts_hash: str
    tokens_in: int
    tokens_out: int
    cost: float | None
    seconds: float
    attempts: int
    is_grounded: bool
    faults: tuple[str, ...]
    failure: str | None
    run_id: str | None
    written_at: datetime


def ensure_facts(connection: psycopg.Connection) -> None:
    """Make the table of facts where it is absent; the caller commits."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph ddl features', 0))")
    connection.execute(DDL_FACTS)


def ensure_summaries(connection: psycopg.Connection) -> None:
    """Make the tables of summaries where they are absent; the caller commits."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph ddl summaries', 0))")
    connection.execute(DDL_SUMMARIES)


def keep_facts(connection: psycopg.Connection, snapshot: Snapshot) -> Changes:
    """Put the days of a snapshot in the place of those that are kept, in the caller's transaction.

    Days outside of it stay as they are.
    """
    span = [snapshot.shop, snapshot.first, snapshot.last]
    before: dict[date, str] = dict(
        connection.execute(
            "select distinct day, facts_hash from features.daily_facts where shop = %s and day between %s and %s", span
        ).fetchall()
    )
    due = [one for one in snapshot.days if before.get(one.day) != one.hash]
    gone = before.keys() - {one.day for one in snapshot.days}
    connection.execute(
        "delete from features.daily_facts where shop = %s and day = any(%s)",
        [snapshot.shop, [*gone, *(one.day for one in due)]],
    )
    with connection.cursor().copy(
        "copy features.daily_facts (shop, day, place, fact_id, kind, value, metric, against, currency, said,"
        " product_id, anomaly, facts_hash) from stdin"
    ) as copy:
        for one in due:
            for place, fact in enumerate(one.facts.values()):
                copy.write_row(
                    (
                        *(one.shop, one.day, place, fact.id, fact.kind, str(fact.value), fact.metric, fact.against),
                        *(fact.currency, fact.said, fact.product_id, fact.anomaly, one.hash),
                    )
                )
    new = sum(one.day not in before for one in due)
    return Changes(new, len(due) - new, len(gone))


def kept_facts(connection: psycopg.Connection, shop: Shop, first: date, last: date) -> list[DayFacts]:
    """The facts of a shop's days as they were kept, the earliest day first."""
    rows = connection.execute(
        "select day, fact_id, kind, value, metric, against, currency, said, product_id, anomaly"
        " from features.daily_facts where shop = %s and day between %s and %s order by day, place",
        [shop.name, first, last],
    )
    days: dict[date, dict[str, Fact]] = {}
    for day, fact_id, kind, value, *rest in rows:
        days.setdefault(day, {})[fact_id] = Fact(fact_id, kind, _value(kind, value), *rest)
    return [DayFacts(shop.name, day, shop.language, shop.currency, shop.title, facts) for day, facts in days.items()]


def facts_of(connection: psycopg.Connection, shop: Shop, day: date) -> DayFacts | None:
    """The facts of one day; None where there are none."""
    if not _is_there(connection, FACTS):
        return None
    found = kept_facts(connection, shop, day, day)
    return found[0] if found else None


def marks(connection: psycopg.Connection, shop: str, first: date, last: date) -> dict[date, Mark]:
    """What the stored summaries of a shop's days were made of."""
    rows = connection.execute(
        "select day, facts_hash, prompt_version, rules_version, asked, failure from serving.daily_summaries"
        " where shop = %s and day between %s and %s",
        [shop, first, last],
    )
    return {day: Mark(*rest) for day, *rest in rows}


def keep_summaries(connection: psycopg.Connection, written: Iterable[Written], run_id: str | None = None) -> None:
    """Put summaries in the place of those of their days, with the texts that were refused; the caller commits."""
    for one in written:
        facts, refused = one.facts, one.refused
        connection.execute("delete from serving.daily_summaries where shop = %s and day = %s", [facts.shop, facts.day])
        connection.execute(
            "insert into serving.daily_summaries (shop, day, language, text, rendered, entry, model, asked,"
            " prompt_version, rules_version, facts_hash, tokens_in, tokens_out, cost, seconds, attempts, is_grounded,"
            " faults, failure, run_id)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                *(facts.shop, facts.day, one.language, one.text, one.rendered, one.entry, one.model, one.asked),
                *(one.prompt_version, one.rules_version, facts.hash, one.tokens_in, one.tokens_out, one.cost),
                *(one.seconds, one.attempts, one.is_grounded, [said for text in refused for said in text.said]),
                *(one.failure, run_id),
            ],
        )
        for attempt, text in enumerate(refused, 1):
            connection.execute(
                "insert into monitoring.summary_faults (shop, day, attempt, text, faults, kinds, entry, model,"
                " prompt_version, facts_hash, run_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    *(facts.shop, facts.day, attempt, text.text, text.said, text.kinds, text.entry, text.model),
                    *(one.prompt_version, facts.hash, run_id),
                ],
            )


def forget_summaries(connection: psycopg.Connection, shop: str, days: Sequence[date]) -> None:
    """Remove the summaries of days of which nothing is known any more; the caller commits."""
    connection.execute("delete from serving.daily_summaries where shop = %s and day = any(%s)", [shop, list(days)])


def summary_of(connection: psycopg.Connection, shop: str, day: date | None = None) -> Summary | None:
    """The summary of a shop's day, without one of the last that has any; None where there is none."""
    found = summaries(connection, shop, day, day, 1)
    return found[0] if found else None


def summaries(
    connection: psycopg.Connection, shop: str, first: date | None, last: date | None, most: int
) -> list[Summary]:
    """The summaries of a shop's days, the last day first; None is no limit."""
    if not _is_there(connection, SUMMARIES):
        return []
    rows = connection.execute(
        "select shop, day, language, text, rendered, entry, model, prompt_version, rules_version, facts_hash,"
        " tokens_in, tokens_out, cost, seconds, attempts, is_grounded, faults, failure, run_id, written_at"
        " from serving.daily_summaries"
        " where shop = %s and day between coalesce(%s, '-infinity'::date) and coalesce(%s, 'infinity'::date)"
        " order by day desc limit %s",
        [shop, first, last, most],
    )
    found: list[Summary] = []
    for *before, faults, failure, run_id, written_at in rows:
        found.append(Summary(*before, tuple(faults), failure, run_id, written_at))  # type: ignore[call-arg]
    return found


def span_of(connection: psycopg.Connection, shop: str) -> tuple[date, date] | None:
    """The first and last day of which a shop has a summary; None where it has none."""
    if not _is_there(connection, SUMMARIES):
        return None
    row = connection.execute(
        "select min(day), max(day) from serving.daily_summaries where shop = %s", [shop]
    ).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def over_all_shops(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """What each shop's summaries are, a row a shop."""
    rows = connection.execute(
        "select shop, max(day), count(*), avg(is_grounded::int), sum(tokens_in + tokens_out), sum(cost),"
        " string_agg(distinct model, ', ' order by model), max(written_at)"
        " from serving.daily_summaries group by shop order by shop"
    )
    return [
        {
            "shop": shop,
            "last day": day,
            "days": days,
            "grounded": f"{float(share):.0%}",
            "tokens": tokens,
            "cost in dollars": None if cost is None else round(cost, 4),
            "written by": models,
            "last written": f"{written_at:%Y-%m-%d %H:%M}",
        }
        for shop, day, days, share, tokens, cost, models, written_at in rows
    ]


def unsummarised(connection: psycopg.Connection, shop: str, first: date, last: date) -> list[date]:
    """The days of a shop from `first` to `last` whose facts, as they are now, have no summary."""
    ensure_facts(connection)
    ensure_summaries(connection)
    rows = connection.execute(
        "select distinct facts.day from features.daily_facts as facts left join serving.daily_summaries as summary"
        " on summary.shop = facts.shop and summary.day = facts.day and summary.facts_hash = facts.facts_hash"
        " where facts.shop = %s and facts.day between %s and %s and summary.shop is null order by facts.day",
        [shop, first, last],
    )
    return [day for (day,) in rows]


def version_of(stored: Iterable[Summary]) -> str:
    """A hash of summaries, whatever their order and whenever they were written."""
    lines = sorted(f"{one.day} {one.facts_hash} {one.model} {one.rendered}" for one in stored)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _value(kind: Kind, written: str) -> Any:
    if kind == "count":
        return int(written)
    if kind == "money":
        return Decimal(written)
    if kind == "date":
        return date.fromisoformat(written)
    return written if kind in ("product", "country") else float(written)


def _is_there(connection: psycopg.Connection, table: str) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
    return row is not None and bool(row[0])
