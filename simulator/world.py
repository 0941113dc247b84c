"""What the simulated shops share: seeded streams, calendar, long tails, taste groups, drift, files written whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

    from simulator.plan import Drift, Plan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Name = str | int | date

PRICE_SHIFT = 1.25  # what the drift `prices` multiplies a price by
PRICE_SHIFT_SHARE = 0.4  # of the products
VOLUME_SHIFT = 1.8  # what the drift `volume` multiplies a day by

_YEAR = 365.25
_MASK = (1 << 64) - 1


def _digest(seed: int, names: Sequence[Name]) -> int:
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def stream(seed: int, *names: Name) -> np.random.Generator:
    """A generator of its own for a purpose, such as `stream(7, "thelook", "sessions", day)`.

    What it draws depends on the seed and the names alone, so that a day is the same however long the simulation runs.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(_digest(seed, names))))


def uniform(seed: int, name: str, ids: Ints) -> Floats:
    """One number in [0, 1) for each id, which it keeps for ever: properties of actors and products without a table.

    Args:
        seed: of the plan.
        name: of the property, with the shop, such as `thelook taste`.
        ids: any shape.

    Returns:
        The same shape. Method: splitmix64 (Steele, Lea, Flood 2014) of the id, keyed by seed and name.
    """
    key = np.uint64(_digest(seed, [name]) & _MASK)
    mixed = (np.asarray(ids, dtype=np.int64).astype(np.uint64) + key) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def days(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


@dataclass(frozen=True)
class Calendar:
    """How a shop's volume moves: weekday x season x trend, about 1 on an ordinary day of the first year."""

    weekdays: tuple[float, ...]
    """Seven factors, Monday first, with mean 1."""
    months: tuple[float, ...]
    """Twelve factors at mid-month, January first, with mean 1; straight lines between them."""
    trend: float = 0.0
    """Growth a year, as a share of the volume at the start."""

    def season(self, day: date) -> float:
        position = (day.month - 1 + (day.day - 15.5) / 31.0) % 12.0
        low = int(position)
        share = position - low
        return self.months[low] * (1.0 - share) + self.months[(low + 1) % 12] * share

    def factor(self, day: date, start: date) -> float:
        """The factor of `day` in a shop that opened on `start`."""
        growth = 1.0 + self.trend * (day - start).days / _YEAR
        return self.weekdays[day.weekday()] * self.season(day) * growth

    def mean(self, start: date, length: int) -> float:
        """The mean factor of the first `length` days, by which to divide where a public size is to be met."""
        return sum(self.factor(start + timedelta(days=number), start) for number in range(length)) / length


@dataclass(frozen=True)
class Promotion:
    """A price cut on some categories for some days of a month."""

    first: date
    last: date
    cut: float
    """The share taken off the price."""
    categories: tuple[int, ...]
    """Numbers of the categories with the cut."""


def promotion_of_month(seed: int, shop: str, month: date, categories: int) -> Promotion:
    """The one promotion of the month that holds `month`: three to five days, on about a third of the categories."""
    draw = stream(seed, shop, "promotion", month.year, month.month)
    first = month.replace(day=int(draw.integers(2, 23)))
    length = int(draw.integers(3, 6))
    cut = (0.15, 0.2, 0.25, 0.3)[int(draw.integers(4))]
    chosen = np.sort(draw.choice(categories, size=max(1, categories // 3), replace=False))
    return Promotion(first, first + timedelta(days=length - 1), cut, tuple(int(number) for number in chosen))


def promotion_on(seed: int, shop: str, day: date, categories: int) -> Promotion | None:
    """The promotion that runs on `day`, if one does. A promotion never leaves its month."""
    found = promotion_of_month(seed, shop, day, categories)
    return found if found.first <= day <= found.last else None


def long_tail(count: int, exponent: float = 1.0, shift: float = 10.0) -> Floats:
    """Popularity by rank, adding up to 1: 1 / (shift + rank) ** exponent, rank from 1 (Zipf and Mandelbrot)."""
    weights = (shift + np.arange(1, count + 1, dtype=np.float64)) ** -exponent
    return np.asarray(weights / weights.sum(), dtype=np.float64)


class Choice:
    """Draws indexes by weight, a million at a time; `pick` also takes uniforms that come from elsewhere."""

    def __init__(self, weights: Floats | Sequence[float]) -> None:
        sums = np.cumsum(np.asarray(weights, dtype=np.float64))
        self._sums = sums / sums[-1]

    def pick(self, uniforms: Floats) -> Ints:
        found = np.searchsorted(self._sums, uniforms, side="right")
        return np.minimum(found, len(self._sums) - 1).astype(np.int64)

    def draw(self, generator: np.random.Generator, size: int) -> Ints:
        return self.pick(generator.random(size))


def ranks(values: Ints) -> Ints:
    """For each element, how many equal ones stand before it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]] if len(values) else np.zeros(0, dtype=bool)
    positions = np.arange(len(values))
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = positions - np.maximum.accumulate(np.where(first, positions, 0))
    return ranks


def counting(lengths: Ints) -> Ints:
    """0, 1, .. for each group of these lengths, one after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - lengths, lengths)


def taste_groups(seed: int, shop: str, actors: Ints, groups: int) -> Ints:
    """The taste group, 0 to `groups` - 1, in which each actor is before any drift."""
    return (uniform(seed, f"{shop} taste", actors) * groups).astype(np.int64)


def tastes_after_drift(group: Ints, groups: int) -> Ints:
    """The group whose tastes an actor has after the drift `tastes`: never its own, and each has one successor."""
    return (group + max(1, groups // 2)) % groups


def drifted(drifts: Sequence[Drift], kind: str, day: date) -> bool:
    """Whether a drift of this kind holds on `day`."""
    return any(drift.kind == kind and drift.start <= day for drift in drifts)


def check_plan(shop: str, plan: Plan, after: date | None, shown: Sequence[str]) -> None:
    """Raises ValueError for a plan that cannot be written, or a drift that is none of those the shop can show."""
    if not plan.scale > 0:
        raise ValueError(f"{shop}: the scale must be above 0, not {plan.scale}; 1 is the public size")
    if plan.until < plan.start:
        raise ValueError(f"{shop}: the last day ({plan.until}) is before the first ({plan.start})")
    if after is not None and not plan.start <= after <= plan.until:
        raise ValueError(f"{shop}: {after}, up to which it is written, is not within {plan.start} to {plan.until}")
    check_drifts(shop, plan.drifts, shown)


def check_drifts(shop: str, drifts: Sequence[Drift], shown: Sequence[str]) -> None:
    """Raises ValueError for a drift that the shop cannot show."""
    for drift in drifts:
        if drift.kind not in shown:
            can = f"it can show {', '.join(shown)}" if shown else "it can show none"
            raise ValueError(f"{shop} cannot show the drift '{drift.kind}': {can}")


def volume(drifts: Sequence[Drift], day: date) -> float:
    """The factor of the drift `volume` on `day`."""
    return VOLUME_SHIFT if drifted(drifts, "volume", day) else 1.0


def price_shift(seed: int, shop: str, products: Ints) -> Floats:
    """The factor of each product's price once the drift `prices` holds: 1.25 for four products of ten, else 1."""
    moved = uniform(seed, f"{shop} price drift", products) < PRICE_SHIFT_SHARE
    return np.where(moved, PRICE_SHIFT, 1.0)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """`<name>.part` beside `path`: it takes the name of `path` at the end, and is removed after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def csv_file(path: Path, columns: Sequence[str], quoted: bool = True) -> Iterator[Callable[[pa.Table], None]]:
    """A CSV file with a header that takes tables one after the other and appears under its name when it is whole.

    Args:
        path: of the file.
        columns: their names, as the header has them.
        quoted: whether texts stand in quotes (a null is empty, an empty text is `""`). Without, no text may hold a
            comma, a quote or a line break: pyarrow refuses it with an ArrowInvalid.

    Yields:
        A function that appends a table with exactly these columns; ValueError for others.
    """
    from pyarrow import csv

    style: Any = "needed" if quoted else "none"
    options = csv.WriteOptions(include_header=False, quoting_style=style)
    with whole(path) as part, open(part, "wb") as out:
        out.write((",".join(columns) + "\n").encode())

        def append(table: pa.Table) -> None:
            if table.column_names != list(columns):
                raise ValueError(f"{path.name} has the columns {list(columns)}, not {table.column_names}")
            csv.write_csv(table, out, options)

        yield append


@contextmanager
def parquet_file(path: Path, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """A Parquet file that takes tables of this schema one after the other and appears when it is whole."""
    from pyarrow import parquet

    with whole(path) as part, parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        yield writer.write_table
