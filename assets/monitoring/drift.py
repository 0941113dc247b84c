"""A look at a shop for drift, its record in the schema `monitoring`, and what several windows in a row say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from assets.monitoring import windows
from assets.monitoring.statistics import (
    Finding,
    Profile,
    Rules,
    compare,
    compare_volume,
    contrast,
    verdict,
)

if TYPE_CHECKING:
    import psycopg

    from resources.tracking import ModelVersion
    from resources.warehouse import Warehouse


COOL_DOWN = timedelta(days=7)
"""Of the shop's days: while drift lasts, a model is trained again after so many. Sooner it would see the same data."""


class DriftError(RuntimeError):
    """A shop cannot be looked at; the message says why and what to do."""


@dataclass(frozen=True)
class Window:
    """What was found in one window of a shop."""

    shop: str
    model: str
    model_version: int
    as_of: date
    span: windows.Span | None
    """None where there is no window yet."""
    is_drifted: bool
    is_enough: bool
    severity: float
    """The worst effect as a share of its threshold."""
    reason: str
    findings: tuple[Finding, ...] = ()
    fingerprint: str = ""
    """Of the rows looked at and of the rules: the same window is not written twice."""


_DDL = """
create schema if not exists monitoring;
create table if not exists monitoring.drift (
    shop text not null,
    model text not null,
    as_of date not null,
    kind text not null check (kind in ('input', 'prediction')),
    feature text not null,
    n_reference bigint not null,
    n_current bigint not null,
    statistic double precision,
    p_value double precision,
    effect double precision,
    threshold double precision,
    is_enough boolean not null,
    is_drifted boolean not null,
    reason text not null,
    profile jsonb not null,
    window_start date not null,
    window_end date not null,
    model_version integer not null,
    made_at timestamptz not null default now(),
    primary key (shop, model, as_of, kind, feature)
);
create table if not exists monitoring.drift_windows (
    shop text not null,
    model text not null,
    as_of date not null,
    model_version integer not null,
    is_drifted boolean not null,
    is_enough boolean not null,
    severity double precision not null,
    reason text not null,
    fingerprint text not null,
    made_at timestamptz not null default now(),
    primary key (shop, model, as_of)
);
create table if not exists monitoring.prediction_profiles (
    shop text not null,
    model text not null,
    model_version integer not null,
    feature text not null,
    profile jsonb not null,
    made_at timestamptz not null default now(),
    primary key (shop, model, model_version, feature)
);
"""
_LOCK = "monitoring tables"


def ensure_monitoring(connection: psycopg.Connection) -> None:
    """Make the tables of this module where they are not there."""
    row = connection.execute("select to_regclass('monitoring.prediction_profiles')").fetchone()
    if row is not None and row[0] is not None:
        return
    # `if not exists` alone fails where two make the same table at once.
    connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [_LOCK])
    connection.execute(_DDL)


# Looking


def look(warehouse: Warehouse, shop: str, champion: ModelVersion, as_of: date, rules: Rules | None = None) -> Window:
    """Compare the last closed days of a shop with the days that its champion was trained on. Writes nothing.

    Args:
        champion: its tag `trained_to` says where the reference ends.
        as_of: the last closed day.
        rules: the default rules, where none are given.

    Raises:
        DriftError: the champion does not say up to when it was trained, or the shop has no clock.
    """
    rules = rules or Rules()
    found = Window(shop, champion.name, champion.version, as_of, None, False, False, 0.0, "")
    with warehouse.connect() as connection:
        ensure_monitoring(connection)
        zone, first_day = clock(connection, shop)[1:]
        if first_day is None:
            return _nothing(found, "the shop has no day yet")
        span = windows.span_of(trained_to(champion), first_day, as_of, ZoneInfo(zone), rules)
        if isinstance(span, str):
            return _nothing(found, span)
        mark = windows.fingerprint(connection, shop, span, rules, champion.version)
        touches = windows.read_touches(connection, shop, span, rules, zone)
        payments = windows.read_payments(connection, shop, span, rules)
        made = windows.inputs(windows.derive(touches, payments, rules), span, rules)
        findings = compare_inputs(made, rules) + _compare_predictions(connection, shop, champion, rules)
        findings = [_named(connection, shop, finding, made.names) for finding in findings]
    judged = verdict(findings, rules)
    return replace(
        found,
        span=span,
        is_drifted=judged.is_drifted,
        is_enough=judged.is_enough,
        severity=judged.severity,
        reason=judged.reason,
        findings=tuple(judged.findings),
        fingerprint=mark,
    )


def _nothing(window: Window, reason: str) -> Window:
    return replace(
        window, reason=f"not enough data: {reason}", fingerprint=hashlib.sha256(reason.encode()).hexdigest()[:16]
    )


def clock(connection: psycopg.Connection, shop: str) -> tuple[date | None, str, date | None]:
    """(last closed day, timezone, first day) of a shop; no days where it has no facts.

    Raises:
        DriftError: the shop is not in the contract.
    """
    row = connection.execute(
        "select as_of, timezone, first_day from contract.shop_clock where shop = %s", [shop]
    ).fetchone()
    if row is None:
        raise DriftError(f"{shop} has no row in contract.shop_clock: materialize the contract first.")
    return row[0], row[1], row[2]


def trained_to(champion: ModelVersion) -> datetime:
    """The instant at and after which nothing was trained on.

    Raises:
        DriftError: the tag is missing, is no instant, or has no timezone.
    """
    told = champion.tags.get("trained_to")
    try:
        found = datetime.fromisoformat(str(told))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise DriftError(
            f"{champion.name} version {champion.version}: its tag trained_to is {told!r}, not an instant with a "
            "timezone: register it with one, such as 2026-03-01T00:00:00+00:00."
        )
    return found


def compare_inputs(made: windows.Inputs, rules: Rules) -> list[Finding]:
    """The features of the inputs, not yet judged."""
    return [*(compare(*sample, rules) for sample in made.samples), compare_volume(*made.volume, rules)]


def _compare_predictions(
    connection: psycopg.Connection, shop: str, champion: ModelVersion, rules: Rules
) -> list[Finding]:
    remembered = _remembered(connection, shop, champion.name, champion.version)
    if not remembered:
        return []
    samples = windows.read_predictions(connection, shop, champion.version)
    present = windows.prediction_profiles(samples, rules, remembered)
    return [
        contrast(feature, remembered[feature.name], present[feature.name], rules)
        for feature in windows.features(list(present))
    ]


def _remembered(connection: psycopg.Connection, shop: str, model: str, version: int) -> dict[str, Profile]:
    rows = connection.execute(
        "select feature, profile from monitoring.prediction_profiles"
        " where shop = %s and model = %s and model_version = %s",
        [shop, model, version],
    )
    return {feature: Profile.from_json(content) for feature, content in rows}


def remember_predictions(
    connection: psycopg.Connection, shop: str, model: str, version: int, rules: Rules | None = None
) -> bool:
    """Keep what a version recommends first, as what its later recommendations are compared with.

    To be called after each publication: only the first of a version is kept.

    Returns:
        Whether it was kept now.
    """
    rules = rules or Rules()
    ensure_monitoring(connection)
    if _remembered(connection, shop, model, version):
        return False
    profiles = windows.prediction_profiles(windows.read_predictions(connection, shop, version), rules)
    for feature, profile in profiles.items():
        connection.execute(
            "insert into monitoring.prediction_profiles (shop, model, model_version, feature, profile)"
            " values (%s, %s, %s, %s, %s) on conflict do nothing",
            [shop, model, version, feature, json.dumps(profile.as_json())],
        )
    return bool(profiles)


def _named(connection: psycopg.Connection, shop: str, finding: Finding, names: dict[str, dict[int, str]]) -> Finding:
    """The finding with names in place of ids."""
    if finding.feature.scale != "category" or not finding.labels:
        return finding
    ids = [int(label) for label in finding.labels if label.lstrip("-").isdigit()]
    known = names.get(finding.feature.name)
    if known is None:
        known = windows.names_of(connection, shop, finding.feature.name, ids)
    shown = {str(each): name for each, name in known.items()}
    return replace(finding, labels=tuple(shown.get(label, label) for label in finding.labels))


# Writing


def write(connection: psycopg.Connection, window: Window) -> bool:
    """Record a window, in place of one of the same day.

    Returns:
        False where the same window is there already; nothing is written then.
    """
    ensure_monitoring(connection)
    if stored_fingerprint(connection, window) == window.fingerprint:
        return False
    key = [window.shop, window.model, window.as_of]
    with connection.transaction():
        connection.execute("delete from monitoring.drift where shop = %s and model = %s and as_of = %s", key)
        connection.execute("delete from monitoring.drift_windows where shop = %s and model = %s and as_of = %s", key)
        with connection.cursor() as cursor:
            cursor.executemany(
                "insert into monitoring.drift (shop, model, as_of, kind, feature, n_reference, n_current, statistic,"
                " p_value, effect, threshold, is_enough, is_drifted, reason, profile, window_start, window_end,"
                " model_version) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [_row(window, window.span, finding) for finding in window.findings if window.span],
            )
        connection.execute(
            "insert into monitoring.drift_windows (shop, model, as_of, model_version, is_drifted, is_enough, severity,"
            " reason, fingerprint) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                *key,
                window.model_version,
                window.is_drifted,
                window.is_enough,
                window.severity,
                window.reason,
                window.fingerprint,
            ],
        )
    return True


def _row(window: Window, span: windows.Span, finding: Finding) -> list[Any]:
    def number(value: float) -> float | None:
        return None if value != value else value

    profile = {"labels": finding.labels, "reference": finding.reference, "current": finding.current}
    return [
        *(window.shop, window.model, window.as_of, finding.feature.kind, finding.feature.name),
        *(finding.n_reference, finding.n_current, number(finding.statistic), number(finding.p_value)),
        *(number(finding.effect), number(finding.threshold), finding.is_enough, finding.is_drifted, finding.reason),
        *(json.dumps(profile), span.start, span.end, window.model_version),
    ]


def stored_fingerprint(connection: psycopg.Connection, window: Window) -> str | None:
    """The fingerprint of the window that is recorded for the same shop, model, version and day."""
    row = connection.execute(
        "select fingerprint from monitoring.drift_windows"
        " where shop = %s and model = %s and as_of = %s and model_version = %s",
        [window.shop, window.model, window.as_of, window.model_version],
    ).fetchone()
    return str(row[0]) if row else None


# Windows in a row


@dataclass(frozen=True)
class Past:
    """One recorded window, as far as it matters for those after it."""

    as_of: date
    is_drifted: bool
    is_enough: bool
    severity: float


@dataclass(frozen=True)
class State:
    """What the windows of a champion say together."""

    fired: date | None = None
    """The day of the window at which drift fired and has not ended since."""
    since: date | None = None
    """The day of the first of the drifted windows in a row, up to the last."""
    latest: date | None = None
    """The day of the last window with enough data."""


def state_of(past: Sequence[Past], rules: Rules) -> State:
    """Drift with hysteresis: it fires where windows in a row are drifted over at least `step_days`, and ends with one
    whose severity is below `clear_below`, which is less than not being drifted.

    Windows without enough data say nothing, neither way.

    Args:
        past: of one champion, by day.
    """
    state = State()
    for window in past:
        if not window.is_enough:
            continue
        state = replace(state, latest=window.as_of)
        if window.is_drifted:
            state = replace(state, since=state.since or window.as_of)
            if state.since and state.fired is None and window.as_of - state.since >= timedelta(days=rules.step_days):
                state = replace(state, fired=window.as_of)
        else:
            state = replace(state, since=None)
            if window.severity < rules.clear_below:
                state = replace(state, fired=None)
    return state


def past_windows(connection: psycopg.Connection, shop: str, model: str, model_version: int) -> list[Past]:
    """The recorded windows of a champion, oldest first."""
    ensure_monitoring(connection)
    rows = connection.execute(
        "select as_of, is_drifted, is_enough, severity from monitoring.drift_windows"
        " where shop = %s and model = %s and model_version = %s order by as_of",
        [shop, model, model_version],
    )
    return [Past(*row) for row in rows]


def is_drifted(
    connection: psycopg.Connection, shop: str, model: str, model_version: int, rules: Rules | None = None
) -> bool:
    """Whether drift fired on a champion and has not ended since: what promotion and the sensor ask."""
    return state_of(past_windows(connection, shop, model, model_version), rules or Rules()).fired is not None


def drifted_at(connection: psycopg.Connection, shop: str, champion: ModelVersion | None) -> date | None:
    """The day of the window at which drift fired on a champion and has not ended since; None where it did not."""
    if champion is None:
        return None
    return state_of(past_windows(connection, shop, champion.name, champion.version), Rules()).fired
