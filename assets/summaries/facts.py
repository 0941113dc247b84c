"""The facts of a shop's day: named figures, products and dates, the only ones that a summary may state."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assets.summaries.trend import POISSON_SCALE, WEEKS, Expected, expected
from resources.shops import Shop

if TYPE_CHECKING:
    import psycopg

Kind = Literal["count", "money", "percent", "points", "rating", "difference", "product", "country", "date"]
Against = Literal["day_before", "week_before", "trend"]
Family = Literal["orders", "events", "reviews"]

AGAINST: dict[Against, str] = {
    "day_before": "the day before",
    "week_before": "the same weekday a week before",
    "trend": "what was to be expected",
}
"""What a day is compared with, in words."""
SHOWN_DECIMALS: dict[Kind, int] = {"percent": 3, "points": 3, "rating": 2, "difference": 2, "money": 2}
"""So many decimals of a value are shown, none of other numbers. Of fractions three: 0.123 is 12.3 %."""
RANKED = 3
"""So many products rise, fall and lead."""


@dataclass(frozen=True)
class Metric:
    """A figure that a shop has each day.

    Attributes:
        family: what a shop has to provide for it.
        said: what it is, in English.
        mean_of: the count of what it is a share or a mean of.
    """

    name: str
    family: Family
    kind: Kind
    said: str
    mean_of: str | None = None

    @property
    def change_kind(self) -> Kind:
        """How a change of it is measured: a share is not changed by a share, nor a score."""
        return {"percent": "points", "rating": "difference"}.get(self.kind, "percent")  # type: ignore[return-value]


METRICS: tuple[Metric, ...] = (
    Metric("orders", "orders", "count", "orders"),
    Metric("revenue", "orders", "money", "revenue"),
    Metric("customers", "orders", "count", "known customers who bought"),
    Metric("basket", "orders", "money", "average order value"),
    Metric("units", "orders", "count", "units sold"),
    Metric("products_sold", "orders", "count", "different products sold"),
    Metric("sessions", "events", "count", "sessions on the site"),
    Metric("views", "events", "count", "views of products"),
    Metric("carts", "events", "count", "additions to a cart"),
    Metric("purchases", "events", "count", "purchases on the site"),
    Metric("view_to_cart", "events", "percent", "share of the views that went on to a cart", "views"),
    Metric("cart_to_purchase", "events", "percent", "share of the carts that went on to a purchase", "carts"),
    Metric("reviews", "reviews", "count", "reviews"),
    Metric("rating", "reviews", "rating", "average rating, from one to five", "reviews"),
)
BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}


@dataclass(frozen=True)
class Fact:
    """One thing that is known of a day.

    Attributes:
        id: what a text writes in braces.
        value: of a change, signed: percent and points are fractions, 0.12 is 12 %.
        metric: the metric that it is of; None for products, countries and dates.
        against: what a change, or an earlier value, is of.
        currency: of money.
        said: what it is, in English.
        product_id: of a product, and of what is said of one.
        anomaly: of a metric: that its value lies outside its seasonal band.
    """

    id: str
    kind: Kind
    value: int | float | Decimal | str | date
    metric: str | None
    against: Against | None
    currency: str | None
    said: str
    product_id: str | None = None
    anomaly: Literal["high", "low"] | None = None

    @property
    def is_change(self) -> bool:
        """Whether the value is a change, whose sign words say."""
        return "_vs_" in self.id or self.id.endswith("_change")

    @property
    def sign(self) -> int:
        """1 or -1 as the value is above or below zero; 0 where it is shown as zero, or is no number."""
        if isinstance(self.value, str | date):
            return 0
        shown = round(float(self.value), SHOWN_DECIMALS.get(self.kind, 0))
        return (shown > 0) - (shown < 0)


@dataclass(frozen=True)
class DayFacts:
    """The facts of one day of a shop, by id.

    Attributes:
        language: the shop's, as an ISO 639-1 code.
        title: the shop's name.
    """

    shop: str
    day: date
    language: str
    currency: str
    title: str
    facts: Mapping[str, Fact]

    @property
    def hash(self) -> str:
        """12 hex digits over all that is in it."""
        rows = [
            (
                fact.id,
                fact.kind,
                str(fact.value),
                fact.metric,
                fact.against,
                fact.currency,
                fact.said,
                fact.product_id,
                fact.anomaly,
            )
            for _, fact in sorted(self.facts.items())
        ]
        held = [self.shop, self.day.isoformat(), self.language, self.currency, self.title, rows]
        return hashlib.sha256(json.dumps(held, ensure_ascii=False).encode()).hexdigest()[:12]

    def of(self, metric: str) -> Fact | None:
        """The value of a metric on the day; None where it has none."""
        return self.facts.get(metric)

    def change(self, metric: str, against: Against) -> Fact | None:
        """How a metric changed; None where there is nothing to compare it with."""
        return self.facts.get(f"{metric}_vs_{against}")

    @property
    def main(self) -> str | None:
        """The metric that says most of the day; None where none is known."""
        if "orders" in self.facts and "revenue" in self.facts:
            return "revenue"
        return next((name for name in ("sessions", "reviews") if name in self.facts), None)


@dataclass(frozen=True)
class Snapshot:
    """The facts of a shop's days.

    Attributes:
        first, last: the days that were looked at.
        days: those of which something is known, the earliest first.
        usual: each of those -> what was to be expected of its main metric.
    """

    shop: str
    first: date
    last: date
    days: tuple[DayFacts, ...]
    usual: Mapping[date, Expected | None]


def closed_days(connection: psycopg.Connection, shop: str, days: int) -> tuple[date, date] | None:
    """The first and last of a shop's last closed days, at most so many; None where nothing of it is dated."""
    row = connection.execute(
        "select greatest(first_day, as_of - %s::int + 1), as_of from contract.shop_clock where shop = %s",
        [days, shop],
    ).fetchone()
    return None if row is None or row[1] is None else (row[0], row[1])


def read(connection: psycopg.Connection, shop: Shop, first: date, last: date) -> Snapshot:
    """The facts of a shop's days from `first` to `last` by its contract as it is now, in one query.

    A day without a row is a day of zeros where the shop had orders (events, reviews) before it and after it. Beyond the
    last of them nothing is known, and there are no such facts: the source may be late. Days of which no metric is known
    are left out.
    """
    query = Path(__file__).with_name("facts.sql").read_text(encoding="utf-8")
    asked = {
        "shop": shop.name,
        "history": first - timedelta(weeks=WEEKS),
        "first": first,
        "last": last,
        "ranked": RANKED,
    }
    found = _Found.of(connection.execute(query, asked).fetchall(), shop, last)
    made = [found.day(first + timedelta(days=number)) for number in range((last - first).days + 1)]
    known = tuple(one for one in made if one.main is not None)
    usual = {one.day: found.usual(BY_NAME[str(one.main)], one.day) for one in known}
    return Snapshot(shop.name, first, last, known, usual)


def version_of(days: Iterable[DayFacts]) -> str:
    """A hash of the facts of days, whatever their order."""
    lines = sorted(f"{one.day} {one.hash}" for one in days)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@dataclass
class _Found:
    """What `facts.sql` gave of a shop.

    Attributes:
        series: a metric -> its value by day.
        begins: a family -> the first day on which the shop had it.
        products: a day -> what moved and led: riser, faller or top_product, place, product, title, and two figures.
        countries: a day -> the country with the most revenue, that revenue and its share.
    """

    shop: Shop
    currency: str
    series: dict[str, dict[date, float | Decimal]]
    begins: dict[str, date] = field(default_factory=dict)
    products: dict[date, list[tuple[str, int, str, str, Decimal, Decimal]]] = field(default_factory=dict)
    countries: dict[date, tuple[str, Decimal, Decimal]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, ...]], shop: Shop, last: date) -> _Found:
        found = cls(shop, shop.currency, {metric.name: {} for metric in METRICS})
        ends: dict[str, date] = {}
        for part, day, name, place, product_id, title, value, more in rows:
            if part == "metric":
                found.series[name][day] = _rounded(BY_NAME[name].kind, value)
            elif part == "currency":
                found.currency = name
            elif part == "top_country":
                found.countries[day] = (name, value, more)
            elif place is not None:
                found.products.setdefault(day, []).append((part, place, product_id, title, value, more))
            elif day is not None:
                (found.begins if part == "begin" else ends)[name] = day
        for metric in METRICS:
            if metric.family in ends and metric.name not in _UNKNOWN_WITHOUT_ROWS:
                series, begin = found.series[metric.name], found.begins[metric.family]
                for number in range((min(ends[metric.family], last) - begin).days + 1):
                    series.setdefault(begin + timedelta(days=number), _rounded(metric.kind, 0))
        return found

    def day(self, day: date) -> DayFacts:
        made = [*self._dates(day), *self._metrics(day), *self._products(day), *self._country(day)]
        shop = self.shop
        return DayFacts(shop.name, day, shop.language, shop.currency, shop.title, {fact.id: fact for fact in made})

    def usual(self, metric: Metric, day: date) -> Expected | None:
        """What was to be expected of a metric on a day."""
        # Floats, for the band is of roots.
        series = {then: float(value) for then, value in self.series[metric.name].items()}
        scale = POISSON_SCALE if metric.kind == "count" else 0.0
        if metric.mean_of is not None:
            # The root of a share of n, or of a mean of n scores from one to five, varies by chance alone up to this.
            scale = 0.5 / math.sqrt(max(1.0, float(self.series[metric.mean_of].get(day, 0))))
        return expected(series, day, scale)

    def _dates(self, day: date) -> Iterator[Fact]:
        yield Fact("date", "date", day, None, None, None, "the day")
        for against, back in _BACK.items():
            said = f"date of {AGAINST[against]}"
            yield Fact(f"{against}_date", "date", day - timedelta(days=back), None, None, None, said)

    def _metrics(self, day: date) -> Iterator[Fact]:
        for metric in METRICS:
            if day in self.series[metric.name]:
                yield from self._metric(metric, day)

    def _metric(self, metric: Metric, day: date) -> Iterator[Fact]:
        name, kind, series, usual = metric.name, metric.kind, self.series[metric.name], self.usual(metric, day)
        value, currency = series[day], self.currency if kind == "money" else None
        band = None if usual is None or usual.band is None else _outward(kind, *usual.band)
        anomaly: Literal["high", "low"] | None = None
        if band is not None and not band[0] <= value <= band[1]:
            anomaly = "low" if value < band[0] else "high"
        yield Fact(name, kind, value, name, None, currency, metric.said, anomaly=anomaly)
        before: dict[Against, float | Decimal | None] = {
            against: series.get(day - timedelta(days=back)) for against, back in _BACK.items()
        }
        before["trend"] = None if usual is None else _rounded(kind, usual.value)
        for against, then in before.items():
            if then is None:
                continue
            said = f"{metric.said}, {AGAINST[against]}"
            yield Fact(f"{name}_{against}", kind, then, name, against, currency, said)
            if then:
                said = f"change of {metric.said} against {AGAINST[against]}"
                change = _change(metric.change_kind, float(value), float(then))
                yield Fact(f"{name}_vs_{against}", metric.change_kind, change, name, against, None, said)
        if anomaly is not None and band is not None:
            for end, bound in zip(("low", "high"), band, strict=True):
                said = f"{metric.said}, {end} end of the usual range"
                yield Fact(f"{name}_band_{end}", kind, bound, name, None, currency, said)

    def _products(self, day: date) -> Iterator[Fact]:
        can_compare = "orders" in self.begins and self.begins["orders"] <= day - timedelta(days=7)
        for part, place, product_id, title, value, more in self.products.get(day, ()):
            if part != "top_product" and not can_compare:
                continue
            name = f"{part}_{place}"
            figures: list[tuple[str, Kind, int | Decimal | str, str]] = [("", "product", title, _SAID[part])]
            if part == "top_product":
                figures.append(("_revenue", "money", _money(value), "revenue of {name}"))
                figures.append(("_units", "count", int(more), "units sold of {name}"))
            else:
                figures.append(("_change", "money", _money(value), f"revenue that {{name}} {_MOVED[part]}"))
                figures.append(("_revenue", "money", _money(more), "revenue of {name}"))
            for end, kind, figure, said in figures:
                currency = self.currency if kind == "money" else None
                yield Fact(
                    name + end, kind, figure, None, None, currency, said.format(name=name, place=place), product_id
                )

    def _country(self, day: date) -> Iterator[Fact]:
        if day in self.countries:
            name, revenue, share = self.countries[day]
            yield Fact("top_country", "country", name, None, None, None, "country with the most revenue")
            said = "revenue of top_country"
            yield Fact("top_country_revenue", "money", _money(revenue), None, None, self.currency, said)
            said = "share of top_country in the revenue"
            yield Fact("top_country_share", "percent", round(float(share), 3), None, None, None, said)


_UNKNOWN_WITHOUT_ROWS = ("customers", "basket", "view_to_cart", "cart_to_purchase", "rating")
"""Metrics of which a day without rows has no value: a mean of nothing, and customers, who may be all unknown."""
_BACK: dict[Against, int] = {"day_before": 1, "week_before": 7}
_SAID = {
    "riser": "product number {place} by the revenue that it gained against the same weekday a week before",
    "faller": "product number {place} by the revenue that it lost against the same weekday a week before",
    "top_product": "product number {place} by revenue",
}
_MOVED = {
    "riser": "gained against the same weekday a week before",
    "faller": "lost against the same weekday a week before",
}


def _change(kind: Kind, now: float, then: float) -> float:
    """A change as it is measured; shares and scores by their difference, the rest as a share of what was before."""
    return round(now - then if kind in ("points", "difference") else now / then - 1, 6)


def _rounded(kind: Kind, value: float | Decimal) -> float | Decimal:
    """A value as it is shown, so that what is computed of it fits what is read."""
    if kind == "money":
        return _money(value)
    return round(float(value), SHOWN_DECIMALS[kind]) if kind in SHOWN_DECIMALS else round(value)


def _outward(kind: Kind, low: float, high: float) -> tuple[float | Decimal, float | Decimal]:
    """A band as it is shown, rounded so that it grows: no value is shown as its end and lies outside."""
    decimals = SHOWN_DECIMALS.get(kind, 0)
    ends = math.floor(low * 10**decimals) / 10**decimals, math.ceil(high * 10**decimals) / 10**decimals
    return _rounded(kind, ends[0]), _rounded(kind, ends[1])


def _money(value: float | Decimal) -> Decimal:
    return round(Decimal(value), 2)
