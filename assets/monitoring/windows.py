"""What is looked at: the rows of a reference and of a current window, as arrays, and the features made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from assets.monitoring.statistics import (
    MISSING,
    Feature,
    Floats,
    Ints,
    Profile,
    Rules,
    Sample,
    Units,
    bins_of,
    independent_profile,
    pair,
    trailing,
)

if TYPE_CHECKING:
    import psycopg

EPOCH = date(1970, 1, 1)
KINDS = ("view", "cart", "purchase")
"""Kinds of interactions by their id."""
HOURS = 3
"""Hours of the day that are put together."""
RANKS = 10
"""So many of each actor's recommendations are looked at."""
PREDICTED_ACTORS = 100_000
"""Above about so many actors with recommendations a fixed share of them is looked at."""


def number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


@dataclass(frozen=True)
class Span:
    """The days of both windows, ends included."""

    reference_start: date
    reference_end: date
    start: date
    end: date
    first_day: date
    """Of the shop: before it there is nothing to look back to."""

    def in_reference(self, day: Ints) -> NDArray[np.bool_]:
        return (day >= number(self.reference_start)) & (day <= number(self.reference_end))

    def in_current(self, day: Ints) -> NDArray[np.bool_]:
        return (day >= number(self.start)) & (day <= number(self.end))


def span_of(trained_to: datetime, first_day: date, as_of: date, zone: ZoneInfo, rules: Rules) -> Span | str:
    """The windows of a champion at a day; in words why there are none yet.

    The reference are the last whole weeks of whole days that the champion was trained on; the current window are the
    last closed days, none of which it was trained on.
    """
    cut = trained_to.astimezone(zone).date()
    weeks = min(rules.reference_weeks, (cut - first_day).days // 7)
    if weeks < 1:
        return f"the champion was trained on {max(0, (cut - first_day).days)} days, and a reference needs a week"
    # On the day of the cut itself it was trained on a part of the day, unless that part is empty.
    partly = trained_to.astimezone(zone).time() != datetime.min.time()
    fresh = (as_of - cut).days + (0 if partly else 1)
    if fresh < rules.window_days:
        return f"{max(0, fresh)} days closed since the champion was trained, {rules.window_days} needed"
    return Span(
        cut - timedelta(days=7 * weeks),
        cut - timedelta(days=1),
        as_of - timedelta(days=rules.window_days - 1),
        as_of,
        first_day,
    )


# Inputs


@dataclass(frozen=True)
class Touches:
    """Who touched what, each array [n]; the rows are those of both windows and of the days looked back to."""

    day: Ints
    """Since 1970-01-01, the shop's days."""
    actor: Ints
    kind: Ints
    """Places in `KINDS`."""
    product: Ints
    category: Ints
    """Ids, or `MISSING`."""
    hour: Ints
    """By the shop's clock."""
    price: Floats
    """Of the product at that instant, NaN where it is not known."""


@dataclass(frozen=True)
class Payments:
    """What known customers paid for a unit, each array [n]."""

    day: Ints
    actor: Ints
    product: Ints
    price: Floats


@dataclass(frozen=True)
class Inputs:
    """The features of what comes in, in both windows."""

    samples: list[tuple[Feature, Sample, Sample]]
    volume: tuple[Feature, dict[int, int], dict[int, int]]
    names: dict[str, dict[int, str]] = field(default_factory=dict)
    """Feature -> id -> name, of features whose ids are no products or categories."""


def _input(name: str, scale: Any, title: str) -> Feature:
    return Feature(name, "input", scale, title)


KIND = _input("kind", "category", "kind of interaction")
PRODUCT = _input("product", "category", "product touched")
CATEGORY = _input("category", "category", "category touched")
PRICE = _input("price", "numeric", "price")
PRICE_CHANGE = _input("price_change", "numeric", "price against the same product's before")
HOUR = _input("hour", "category", "hour of the day")
ACTIVITY = _input("activity", "numeric", "interactions of an actor on a day")
NEW_ACTOR = _input("new_actor", "category", "actors not seen before")
NEW_PRODUCT = _input("new_product", "category", "products not touched before")
OWN_CATEGORY = _input("own_category", "category", "known actors' category, touched by them before or not")
OWN_PRODUCT = _input("own_product", "category", "known actors' product, touched by them before or not")
VOLUME = _input("volume", "volume", "actors a day")
YES_NO = {0: "no", 1: "yes"}


@dataclass(frozen=True)
class Derived:
    """The rows with what was there before each of them; looking back only, so that later rows change nothing."""

    touches: Touches
    seen: NDArray[np.bool_]
    """[n] whether the actor was there on one of the days before; likewise the product, and what the actor touched."""
    known: NDArray[np.bool_]
    own_category: NDArray[np.bool_]
    own_product: NDArray[np.bool_]
    prices: Payments
    """Where a shop has payments they tell the prices, else the price that a product had when it was touched."""
    change: Floats
    """[prices] log of the price against the mean of the same product's before, NaN where there is none."""


def derive(touches: Touches, payments: Payments | None, rules: Rules) -> Derived:
    """Look back from each row."""
    day, back = touches.day, rules.lookback_days
    one = np.ones(len(day))

    def again(key: Ints) -> NDArray[np.bool_]:
        return trailing(key, day, one, back)[0] > 0

    prices = payments or Payments(day, touches.actor, touches.product, touches.price)
    logs = np.log(np.where(prices.price > 0, prices.price, np.nan))
    before = trailing(prices.product, prices.day, logs, back)[1]
    return Derived(
        touches,
        again(touches.actor),
        again(touches.product),
        again(pair(touches.actor, touches.category)),
        again(pair(touches.actor, touches.product)),
        prices,
        # Whole percents: a mean of equal prices differs from them in the last digit.
        np.round(logs - before, 2) + 0.0,
    )


def inputs(derived: Derived, span: Span, rules: Rules) -> Inputs:
    """The features of the rows of both windows.

    Marginal shares alone are blind to tastes that change hands between groups of equal size, and to prices that move
    by less than products differ by. So each row is also compared with what the same actor touched, and what the same
    product cost, on the days before; in the reference, only where all those days are within the shop's life.
    """
    touches, prices = derived.touches, derived.prices
    of = _Windows(touches.day, touches.actor, span, rules)
    paying = of if prices.day is touches.day else _Windows(prices.day, prices.actor, span, rules)
    told, known = touches.category != MISSING, derived.seen
    samples = [
        of.both(KIND, touches.kind),
        of.both(PRODUCT, touches.product),
        of.both(CATEGORY, touches.category),
        of.both(HOUR, touches.hour // HOURS),
        _activity(of),
        of.both(NEW_ACTOR, (~derived.seen).astype(np.int64), looks_back=True),
        of.both(NEW_PRODUCT, (~derived.known).astype(np.int64), looks_back=True),
        of.both(OWN_CATEGORY, derived.own_category.astype(np.int64), looks_back=True, only=known & told),
        of.both(OWN_PRODUCT, derived.own_product.astype(np.int64), looks_back=True, only=known),
        paying.both(PRICE, prices.price),
        paying.both(PRICE_CHANGE, derived.change, looks_back=True, only=~np.isnan(derived.change)),
    ]
    spans = [(span.reference_start, span.reference_end), (span.start, span.end)]
    counted = [_actors_a_day(units, *each) for units, each in zip(of.units, spans, strict=True)]
    hours = {place: f"{place * HOURS:02d}-{place * HOURS + HOURS:02d} h" for place in range(24 // HOURS)}
    names = {feature.name: YES_NO for feature in (NEW_ACTOR, NEW_PRODUCT, OWN_CATEGORY, OWN_PRODUCT)}
    names |= {KIND.name: dict(enumerate(KINDS)), HOUR.name: hours}
    return Inputs([sample for sample in samples if _is_told(sample)], (VOLUME, counted[0], counted[1]), names)


class _Windows:
    """Rows cut into both windows."""

    def __init__(self, day: Ints, actor: Ints, span: Span, rules: Rules) -> None:
        self.day, self.masks = day, (span.in_reference(day), span.in_current(day))
        self.units = [Units(actor[mask], day[mask]) for mask in self.masks]
        self.complete = number(span.first_day) + rules.lookback_days

    def both(
        self, feature: Feature, values: Ints | Floats, looks_back: bool = False, only: NDArray[np.bool_] | None = None
    ) -> tuple[Feature, Sample, Sample]:
        """
        Args:
            looks_back: leave out days that the shop's life is too short to look back from.
            only: the rows that count.
        """
        made = []
        for mask, units in zip(self.masks, self.units, strict=True):
            told = values[mask]
            kept = np.ones(len(told), bool) if only is None else only[mask]
            if looks_back:
                kept = kept & (units.day >= self.complete)
            made.append(Sample(units, told) if kept.all() else Sample(units.where(kept), told[kept]))
        return feature, made[0], made[1]


def _activity(of: _Windows) -> tuple[Feature, Sample, Sample]:
    made = []
    for units in of.units:
        index, count = units.actor_days
        first = np.unique(index, return_index=True)[1]
        made.append(
            Sample(Units(units.actor[first], units.day[first]), np.bincount(index, minlength=count).astype(np.float64))
        )
    return ACTIVITY, made[0], made[1]


def _actors_a_day(units: Units, first: date, last: date) -> dict[int, int]:
    """Day -> actors. Rows come in bursts; how many came says more of how busy the shop is."""
    day = units.day[np.unique(units.actor_days[0], return_index=True)[1]]
    counts = np.bincount(day - number(first), minlength=(last - first).days + 1)
    return {number(first) + place: int(count) for place, count in enumerate(counts)}


def _is_told(sample: tuple[Feature, Sample, Sample]) -> bool:
    """Whether the shop tells the feature at all."""
    for each in sample[1:]:
        values = each.values
        if len(values) and not (np.isnan(values) if values.dtype.kind == "f" else values == MISSING).all():
            return True
    return False


# Reading

_LOOKED_AT = """
    where {table}.shop = %(shop)s
        and ({day} between %(reference_from)s and %(reference_end)s or {day} between %(start_from)s and %(end)s)
"""

_TOUCHES = """copy (
    select
        (i.interaction_date - date '1970-01-01')::int4,
        hashtextextended(i.actor_id, 0),
        case i.kind when 'view' then 0 when 'cart' then 1 else 2 end::int4,
        hashtextextended(i.product_id, 0),
        coalesce(hashtextextended(p.category_id, 0), (%(missing)s)::int8),
        extract(hour from i.occurred_at at time zone %(zone)s)::int4,
        coalesce(h.price, p.price, 'NaN')::float8
    from contract.fct_interactions as i
    join contract.dim_product as p on p.shop = i.shop and p.product_id = i.product_id and p.is_merchandise
    left join lateral (
        select price from contract.dim_product_history as h
        where h.shop = i.shop and h.product_id = i.product_id and h.valid_from <= i.occurred_at
            and (h.valid_to is null or i.occurred_at < h.valid_to)
        order by h.valid_from desc limit 1
    ) as h on true
""" + _LOOKED_AT.format(table="i", day="i.interaction_date") + ") to stdout (format binary)"  # fmt: skip

_PAYMENTS = """copy (
    select
        (i.order_date - date '1970-01-01')::int4,
        hashtextextended(i.customer_id, 0),
        hashtextextended(i.product_id, 0),
        i.unit_price::float8
    from contract.fct_order_items as i
    join contract.dim_product as p on p.shop = i.shop and p.product_id = i.product_id and p.is_merchandise
""" + _LOOKED_AT.format(table="i", day="i.order_date") + """
        and i.is_sale and i.customer_id is not null
) to stdout (format binary)"""  # fmt: skip

_RECOMMENDED = """copy (
    select
        hashtextextended(r.actor_id, 0),
        listed.rank::int4,
        hashtextextended(listed.product_id, 0),
        coalesce(hashtextextended(p.category_id, 0), (%(missing)s)::int8),
        coalesce(listed.score, 'NaN')::float8
    from predictions.recommendations as r
    cross join lateral unnest(r.product_ids[:%(ranks)s], r.scores[:%(ranks)s])
        with ordinality as listed(product_id, score, rank)
    left join contract.dim_product as p on p.shop = r.shop and p.product_id = listed.product_id
    where r.shop = %(shop)s and r.model_version = %(version)s
        and (hashtextextended(r.actor_id, 1) & 1023) < %(share)s
) to stdout (format binary)"""

_HEADER, _TRAILER = 19, 2


def _fetch(connection: psycopg.Connection, query: str, values: Mapping[str, Any], columns: str) -> list[Any]:
    """The columns of a binary COPY whose fields all have the same width and are never null, as arrays.

    So millions of rows take the room of their numbers, and no Python object each.

    Args:
        columns: a letter each: i int4, q int8, d float8. The first two become int64.
    """
    kinds = {"i": ">i4", "q": ">i8", "d": ">f8"}
    names = [f"c{place}" for place in range(len(columns))]
    row = np.dtype([("fields", ">i2"), *((part, kind) for name, letter in zip(names, columns, strict=True)
                    for part, kind in ((f"{name}_bytes", ">i4"), (name, kinds[letter])))])  # fmt: skip
    buffer = bytearray()
    with connection.cursor() as cursor, cursor.copy(query.encode(), dict(values)) as copy:
        for block in copy:
            buffer += block
    body = memoryview(buffer)[_HEADER : len(buffer) - _TRAILER]
    if len(body) % row.itemsize:
        raise ValueError(f"{len(body)} bytes are no rows of {row.itemsize} bytes: a column that is read was null")
    rows = np.frombuffer(body, row)
    return [
        rows[name].astype(np.float64 if letter == "d" else np.int64)
        for name, letter in zip(names, columns, strict=True)
    ]


def _range(shop: str, span: Span, rules: Rules) -> dict[str, Any]:
    back = timedelta(days=rules.lookback_days)
    # What both windows look at is read once.
    return {
        "shop": shop,
        "reference_from": span.reference_start - back,
        "reference_end": span.reference_end,
        "start_from": span.start - back,
        "end": span.end,
    }


def read_touches(connection: psycopg.Connection, shop: str, span: Span, rules: Rules, zone: str) -> Touches:
    """The interactions of both windows and of the days that they look back to, merchandise alone."""
    values = {**_range(shop, span, rules), "zone": zone, "missing": MISSING}
    return Touches(*_fetch(connection, _TOUCHES, values, "iqiqqid"))


def read_payments(connection: psycopg.Connection, shop: str, span: Span, rules: Rules) -> Payments | None:
    """What was paid in the same days; None where the shop has no orders of known customers."""
    columns = _fetch(connection, _PAYMENTS, _range(shop, span, rules), "iqqd")
    return Payments(*columns) if len(columns[0]) else None


def fingerprint(connection: psycopg.Connection, shop: str, span: Span, rules: Rules, version: int) -> str:
    """A hash of all rows that a look would read: the same as long as nothing of them changed."""
    import hashlib

    from psycopg import sql

    parts: list[Any] = [span, rules, version]
    values = {**_range(shop, span, rules), "version": version}
    for table, alias, day in (
        ("contract.fct_interactions", "i", "interaction_date"),
        ("contract.fct_order_items", "i", "order_date"),
    ):
        query = sql.SQL("select count(*), sum(hashtextextended(i::text, 0)::numeric) from {} as i" + _LOOKED_AT.format(
            table=alias, day=day)).format(sql.Identifier(*table.split(".")))  # fmt: skip
        parts.append(connection.execute(query, values).fetchone())
    for table in ("contract.dim_product", "contract.dim_product_history"):
        query = sql.SQL(
            "select count(*), sum(hashtextextended(p::text, 0)::numeric) from {} as p where shop = %(shop)s"
        ).format(sql.Identifier(*table.split(".")))
        parts.append(connection.execute(query, values).fetchone())
    if has_predictions(connection):
        parts.append(
            connection.execute(
                "select count(*), sum(hashtextextended(actor_id || product_ids::text || scores::text, 0)::numeric)"
                " from predictions.recommendations where shop = %(shop)s and model_version = %(version)s",
                values,
            ).fetchone()
        )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def names_of(connection: psycopg.Connection, shop: str, feature: str, ids: Iterable[int]) -> dict[int, str]:
    """What a person calls the products or categories of these ids."""
    if "product" in feature:
        query = (
            "select hashtextextended(product_id, 0), coalesce(title, product_id) from contract.dim_product"
            " where shop = %s and hashtextextended(product_id, 0) = any(%s)"
        )
    else:
        query = (
            "select hashtextextended(category_id, 0), coalesce(path, category_id) from contract.dim_category"
            " where shop = %s and hashtextextended(category_id, 0) = any(%s)"
        )
    return dict(connection.execute(query, [shop, list(ids)]).fetchall())


# Predictions


TOP_PRODUCT = Feature("top_product", "prediction", "category", "product recommended first")
TOP_CATEGORIES = Feature("top_categories", "prediction", "category", f"categories of the first {RANKS} recommendations")
SCORE_FALL = Feature("score_fall", "prediction", "numeric", f"score of recommendation {RANKS} against the first's")
"""Scores are comparable within one actor's list alone, so that it is how they fall that is looked at."""
PREDICTED = (TOP_PRODUCT, TOP_CATEGORIES, SCORE_FALL)


def has_predictions(connection: psycopg.Connection) -> bool:
    row = connection.execute("select to_regclass('predictions.recommendations')").fetchone()
    return row is not None and row[0] is not None


def read_predictions(connection: psycopg.Connection, shop: str, version: int) -> dict[Feature, Sample]:
    """What a version recommends to actors at present, one vote each; empty where it recommends nothing."""
    if not has_predictions(connection):
        return {}
    asked = {"shop": shop, "version": version}
    row = connection.execute(
        "select count(*) from predictions.recommendations where shop = %(shop)s and model_version = %(version)s", asked
    ).fetchone()
    count = int(row[0]) if row else 0
    if not count:
        return {}
    share = min(1024, max(1, 1024 * PREDICTED_ACTORS // count))
    values = {**asked, "missing": MISSING, "ranks": RANKS, "share": share}
    actor, rank, product, category, score = _fetch(connection, _RECOMMENDED, values, "qiqqd")
    # By actor and rank, so that an actor's first and last stand at the ends of its rows.
    order = np.lexsort((rank, actor))
    actor, product, category, score = (column[order] for column in (actor, product, category, score))
    every = Units(actor, np.zeros_like(actor))
    first = np.r_[True, actor[1:] != actor[:-1]]
    last = np.r_[first[1:], True]
    best = every.where(first)
    made = {
        TOP_PRODUCT: Sample(best, product[first]),
        TOP_CATEGORIES: Sample(every, category),
        SCORE_FALL: Sample(best, score[last] / np.where(score[first] > 0, score[first], np.nan)),
    }
    return {feature: sample for feature, sample in made.items() if _is_told((feature, sample, sample))}


def prediction_profiles(
    samples: Mapping[Feature, Sample], rules: Rules, before: Mapping[str, Profile] | None = None
) -> dict[str, Profile]:
    """Profiles by feature, in the bins of those before, where there are such."""
    made = {}
    for feature, sample in samples.items():
        known = before.get(feature.name) if before is not None else None
        if before is None or known is not None:
            made[feature.name] = independent_profile(sample, known.bins if known else bins_of(sample, rules))
    return made


def features(names: Sequence[str]) -> list[Feature]:
    """The features of predictions by name."""
    return [feature for feature in PREDICTED if feature.name in names]
