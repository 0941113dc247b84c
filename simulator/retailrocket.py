"""The simulated RetailRocket shop: views, carts and transactions, weekly item properties and the category tree, as CSV.

Written are `events.csv`, `item_properties_part1.csv`, `item_properties_part2.csv` and `category_tree.csv`; later calls
add `events_<until>.csv` and, where a snapshot is new, `item_properties_part2_<until>.csv`. Instants are milliseconds
(UTC). Ids, property numbers and hashed values are made up.

What is planted, and where its truth stands (in the truth folder, rewritten by each call):

- `visitors.parquet`: taste group, segment, first day. A session begins in the visitor's home category (half of them),
  in another category of the group (three of ten) or anywhere. `categories.parquet` says which group owns a category.
- Within a session the next view is of the same item (`REPEAT_SHARE`), else of the same cluster of some eight items
  (55 %), the same category (25 %), the group's categories (15 %) or anywhere. `items.parquet` has category and cluster.
- Segments: `regular` and `returning` visitors come again and put more into the cart than those who come `once`.
- Popularity falls as 1 / (20 + rank) ** 0.75. Half of the listed items are never looked at; three of ten come to the
  shop later, on a Sunday.
- Property 790 is the price. One week a month is a promotion: a third of the departments (trees of the category tree)
  has a cut and more views. The rate of carts follows the price by the elasticity in `departments.parquet`. What is not
  available is not put into a cart.
- `world.json`: weekdays, months, trend, promotions, drifts, shares.
- Drift: `tastes` (each group takes over another's), `prices` (x 1.25 on four items of ten, from the next snapshot on),
  `volume` (x 1.8).

The faults of the real set: exact duplicates, mostly of carts; items with events and without properties
(`UNLISTED_VIEW_SHARE`); categories that items have and the tree lacks; sessions across midnight; events that land one
to three days late (`LATE_SHARE`): they stand out of order, or in a later file than their day's.

The volume of a day does not depend on the plan's end. Memory holds the items and categories (some 150 MB at scale 1),
one day of events, and a part of a snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from simulator.plan import Plan, Say, Written
from simulator.world import (
    Calendar,
    Choice,
    Floats,
    Ints,
    Promotion,
    check_plan,
    counting,
    csv_file,
    days,
    drifted,
    long_tail,
    parquet_file,
    price_shift,
    promotion_of_month,
    stream,
    taste_groups,
    tastes_after_drift,
    uniform,
    volume,
    whole,
)

SHOP = "retailrocket"
PUBLIC_DAYS = 138
DRIFTS = ("tastes", "prices", "volume")

EVENT_COLUMNS = ("timestamp", "visitorid", "event", "itemid", "transactionid")
PROPERTY_COLUMNS = ("timestamp", "itemid", "property", "value")
TREE_COLUMNS = ("categoryid", "parentid")
EVENTS = ("view", "addtocart", "transaction")

# Of the public set.
VISITORS, RETURNS, ITEMS, CATEGORIES = 1_407_580, 355_000, 417_053, 1_669
ROOT_SHARE, PARENT_SHARE, UNKNOWN_SHARE = 25 / 1_669, 362 / 1_669, 30 / 1_669  # of the categories
UNLISTED_SHARE, UNLISTED_VIEW_SHARE = 0.12, 0.09  # items beside the listed ones, and their share of views
FIRST_PART_SHARE = 0.5425  # of the property rows

WEEKDAYS = (1.07, 1.09, 1.08, 1.06, 1.0, 0.83, 0.87)  # Monday first
MONTHS = (0.98, 0.94, 0.96, 0.97, 1.0, 0.99, 1.03, 0.97, 0.96, 1.0, 1.11, 1.09)  # at mid-month, January first
TREND = 0.15  # a year, of the volume at the start
CALENDAR = Calendar(WEEKDAYS, MONTHS, TREND)
_HOURS = (8, 8, 8, 8, 7, 6, 4, 2, 2, 1, 1, 1, 2, 3, 5, 7, 8, 9, 10, 10, 10, 10, 9, 9)

GROUPS, CLUSTER = 8, 8
MANY_VIEWS_SHARE = 0.209  # of the sessions
REPEAT_SHARE = 0.225  # of the steps from view to view; chance adds one in eighty
_STEPS = Choice((0.55, 0.25, 0.15, 0.05))  # of the other steps: within cluster, category, group, anywhere
_LONGEST = 60
CART_RATE, BUY_SHARE = 0.0285, 0.37
_INTENT = (0.15, 4.0, 0.47)  # share of sessions with a mind to buy, their inclination, and that of the others
LATE_SHARE = 0.005
CART_COPY_SHARE, VIEW_COPY_SHARE, FEWEST_COPIES = 0.003, 0.00002, 12
AVAILABLE_SHARE, DORMANT_SHARE, LATER_SHARE, WANDERING_SHARE = 0.8, 0.52, 0.3, 0.25
PROMOTION_PULL = 1.6

# Segment: share of a day's new visitors, the first ones to return, and their inclination to put into the cart.
SEGMENTS = {"regular": (0.03, 2.6), "returning": (0.17, 1.6), "once": (0.80, 0.7)}
_SEGMENT_BOUNDS = np.cumsum([share for share, _ in SEGMENTS.values()])[:-1]
_CART_LIKING = np.array([liking for _, liking in SEGMENTS.values()])

PRICE, TEXT = "790", "888"
_COMMON = ("6", "112", "159", "202", "227", "283", "364", "678", "764", "776")
_OWN = 14  # properties that a category has beside the common ones
_SLOTS = 4 + len(_COMMON) + _OWN
# How often a slot's value changes: times in weeks.
_TEXT_CHANGES, _PRICE_CHANGES, _CATEGORY_CHANGES, _OTHER_CHANGES = (2, 5), (1, 20), (1, 5), (1, 47)
_POOL, _NUMBERS = 20_000, 4_000

_HOUR, _DAY = 3_600_000, 86_400_000  # in milliseconds
_TIME_OF_DAY = Choice(_HOURS)


def _midnight(day: date) -> int:
    """Milliseconds since 1970 at which the day begins in UTC."""
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * _DAY


def _week(day: date) -> int:
    """A number for the weeks that begin on Sunday."""
    return day.toordinal() // 7


def _sunday(day: date) -> date:
    """The first Sunday that is not before `day`."""
    return day + timedelta(days=-day.toordinal() % 7)


def snapshots(start: date, until: date) -> list[date]:
    """Days at whose hour of 3 the items' properties are taken: the first day, and each Sunday after it."""
    return [day for day in days(start, until) if day == start or day.toordinal() % 7 == 0]


def _version(base: Ints, week: int, changes: tuple[int, int]) -> Ints:
    """A number that grows `changes[0]` times in each `changes[1]` weeks, in weeks of each item's own."""
    return (base + week) * changes[0] // changes[1]


class _Tree:
    """The categories. Leaves have numbers from 0; the last `unknown` leaves are not in the tree."""

    def __init__(self, plan: Plan) -> None:
        draw = stream(plan.seed, SHOP, "tree")
        count = max(60, round(CATEGORIES * plan.scale))
        self.unknown = max(3, round(UNKNOWN_SHARE * count))
        parents = max(8, round(PARENT_SHARE * count))
        self.departments = max(4, round(ROOT_SHARE * count))
        ids = draw.permutation(count + self.unknown)
        self.ids = ids[:count]
        above = np.full(count, -1, dtype=np.int64)
        root, depth = np.arange(count), np.zeros(count, dtype=np.int64)
        for node in range(self.departments, count):
            # The first leaves go to one parent each, so that no parent is without a child.
            spare = node - parents
            parent = spare if 0 <= spare < parents else int(draw.integers(min(node, parents)))
            while depth[parent] > 3:
                parent = int(above[parent])
            above[node], root[node], depth[node] = parent, root[parent], depth[parent] + 1
        self.above = above
        self.leaf_ids = np.r_[self.ids[parents:], ids[count:]]
        self.leaves = len(self.leaf_ids)
        self.department = np.r_[root[parents:], draw.integers(0, self.departments, self.unknown)]
        self.owner = draw.permutation(np.arange(self.leaves) % GROUPS)
        self.elasticity = np.round(-0.6 - 1.8 * draw.permutation(np.linspace(0.0, 1.0, self.departments)), 2)
        # Where an item of a leaf is moved for a time: to the next leaf under the same parent.
        parent_of = np.r_[above[parents:], np.full(self.unknown, -2)]
        order = np.argsort(parent_of, kind="stable")
        following = np.roll(order, -1)
        related = parent_of[order] == parent_of[following]
        self.other = np.arange(self.leaves)
        self.other[order[related]] = following[related]

    def table(self) -> pa.Table:
        known = self.above >= 0
        parent = pa.array(np.where(known, self.ids[self.above], 0), mask=~known)
        return pa.table({"categoryid": self.ids, "parentid": parent})


class _Items:
    """All items of a seed and scale, ordered by leaf and cluster; their properties of any week."""

    def __init__(self, plan: Plan, tree: _Tree) -> None:
        self.plan, self.tree = plan, tree
        draw = stream(plan.seed, SHOP, "items")
        listed = max(6 * tree.leaves, round(ITEMS * plan.scale))
        unlisted = max(20, round(UNLISTED_SHARE * listed))
        self.count = count = listed + unlisted
        sizes = long_tail(tree.leaves, 0.6, 10.0)[draw.permutation(tree.leaves)]
        sizes[-tree.unknown :] *= 0.5
        leaf = np.sort(np.r_[np.repeat(np.arange(tree.leaves), 4), Choice(sizes).draw(draw, count - 4 * tree.leaves)])
        self.leaf = leaf
        self.bounds = np.searchsorted(leaf, np.arange(tree.leaves + 1)).astype(np.int64)
        position = np.arange(count) - self.bounds[leaf]
        self.first = position == 0
        new_cluster = position % CLUSTER == 0
        self.cluster = np.cumsum(new_cluster) - 1
        self.cluster_bounds = np.r_[np.flatnonzero(new_cluster), count]
        self.listed = np.ones(count, dtype=bool)
        self.listed[draw.choice(np.flatnonzero(~self.first), unlisted, replace=False)] = False
        self.dormant = (draw.random(count) < DORMANT_SHARE) & self.listed & ~self.first
        pull = np.where(self.dormant, 0.0, long_tail(count, 0.75, 20.0)[draw.permutation(count)])
        share = UNLISTED_VIEW_SHARE / (1.0 - UNLISTED_VIEW_SHARE)
        pull[~self.listed] *= share * pull[self.listed].sum() / pull[~self.listed].sum()
        self.pull = pull / pull.sum()
        self.sums = np.r_[0.0, np.cumsum(self.pull)]
        self.leaf_pull = np.diff(self.sums[self.bounds])
        # Day of the shop on which an item comes: 0, or a Sunday.
        later = (draw.random(count) < LATER_SHARE) & ~self.first
        offset = np.where(later, draw.integers(1, PUBLIC_DAYS, count), 0)
        self.launch = np.where(offset > 0, offset + (-(offset + plan.start.toordinal()) % 7), 0)
        self.ids = draw.permutation(round(count * 1.02))[:count]
        self.usual = np.maximum(10.0, np.round(np.exp(draw.normal(9.2, 1.1, count)), -1))
        self._base = (uniform(plan.seed, "retailrocket phase", np.arange(count)) * 1_000_000).astype(np.int64)
        self._shift = price_shift(plan.seed, SHOP, np.arange(count))
        self._wanders = uniform(plan.seed, "retailrocket wandering", np.arange(count)) < WANDERING_SHARE
        self._weights: dict[tuple[int, ...], Floats] = {}
        numbers = np.array([str(number) for number in range(1_200)])
        numbers = numbers[~np.isin(numbers, [*_COMMON, PRICE, TEXT])]
        kinds = max(_OWN, min(1_090, round(1_090 * plan.scale**0.5)))
        self._property_names = [*_COMMON, *draw.permutation(numbers)[:kinds].tolist()]
        own = len(_COMMON) + np.argsort(draw.random((tree.leaves, kinds)), axis=1)[:, :_OWN]
        self._properties = np.c_[np.broadcast_to(np.arange(len(_COMMON)), (tree.leaves, len(_COMMON))), own]
        self._words = _pool(draw, 1, 3)
        self._texts = _pool(draw, 4, 12)
        tenths = draw.integers(1, 100_000, _NUMBERS)
        self._numbers = pa.array([f"n{tenth // 10}.{tenth % 10}00" for tenth in tenths.tolist()])

    def _rows(self, promoted: tuple[int, ...]) -> Floats:
        """Running sums over the leaves by taste group, and last for all; each row from its own number to the next."""
        boost = np.where(np.isin(self.tree.department, promoted), PROMOTION_PULL, 1.0)
        own = self.tree.owner == np.arange(GROUPS)[:, None]
        rows = np.vstack([own, np.ones((1, self.tree.leaves))]) * (self.leaf_pull * boost)
        running = np.cumsum(rows, axis=1)
        result: Floats = (running / running[:, -1:] + np.arange(GROUPS + 1)[:, None]).ravel()
        return result

    def leaves(self, uniforms: Floats, row: Ints, promoted: tuple[int, ...]) -> Ints:
        """A leaf for each number; `row` is a taste group, or `GROUPS` for any."""
        if promoted not in self._weights:
            self._weights[promoted] = self._rows(promoted)
        found = np.searchsorted(self._weights[promoted], row + uniforms, side="right")
        return np.minimum(found - row * self.tree.leaves, self.tree.leaves - 1)

    def choose(self, draw: np.random.Generator, low: Ints, high: Ints, leaf: Ints, today: int) -> Ints:
        """Items by popularity out of [low, high), or of the leaf where none of these is in the shop today."""
        items = self._pick(draw.random(len(low)), low, high)
        for _ in range(2):
            absent = (self.launch[items] > today) | (self.pull[items] == 0)
            if not absent.any():
                return items
            where = leaf[absent]
            items[absent] = self._pick(draw.random(len(where)), self.bounds[where], self.bounds[where + 1])
        absent = self.launch[items] > today
        items[absent] = self.bounds[leaf[absent]]
        return items

    def _pick(self, uniforms: Floats, low: Ints, high: Ints) -> Ints:
        begin, end = self.sums[low], self.sums[high]
        found = np.searchsorted(self.sums, begin + uniforms * (end - begin), side="right") - 1
        return np.clip(found, low, high - 1)

    def price(self, items: Ints, day: date) -> Ints:
        """Prices as of a snapshot, in tenths."""
        level = _version(self._base[items], _week(day), _PRICE_CHANGES)
        price = self.usual[items] * (
            0.88 + 0.24 * uniform(self.plan.seed, "retailrocket level", items * 65_536 + level)
        )
        promotion = promotion_of(self.plan, day, self.tree.departments)
        if promotion is not None:
            cut = np.isin(self.tree.department[self.leaf[items]], promotion.categories)
            price = np.where(cut, price * (1.0 - promotion.cut), price)
        if drifted(self.plan.drifts, "prices", day):
            price = price * self._shift[items]
        return np.round(price * 10.0).astype(np.int64)

    def available(self, items: Ints, day: date) -> NDArray[np.bool_]:
        chance = np.where(self.dormant[items], 0.04, AVAILABLE_SHARE)
        found: NDArray[np.bool_] = (
            uniform(self.plan.seed, "retailrocket available", items * 65_536 + _week(day)) < chance
        )
        return found

    def category(self, items: Ints, day: date) -> Ints:
        """Ids of categories as of a snapshot. Some items are moved to a leaf nearby and back."""
        away = self._wanders[items] & (_version(self._base[items], _week(day), _CATEGORY_CHANGES) % 2 == 1)
        leaf = self.leaf[items]
        return self.tree.leaf_ids[np.where(away, self.tree.other[leaf], leaf)]

    def _other(self, items: Ints, slot: int, day: date) -> Ints:
        """Which value a hashed property has. Most values are common to a category."""
        changes = _TEXT_CHANGES if slot == 3 else _OTHER_CHANGES
        version = _version(self._base[items] + slot * 7_919, _week(day), changes)
        kind = uniform(self.plan.seed, "retailrocket value", (items * 64 + slot) * 1_048_576 + version)
        if slot == 3:
            return (self.leaf[items] * 48 + (kind * 48).astype(np.int64)) % _POOL
        return (self.leaf[items] * 6 + slot * 1_009 + (kind * 6).astype(np.int64)) % (
            _NUMBERS if slot % 3 == 0 else _POOL
        )

    def _texts_of(self, slot: int, values: Ints) -> pa.Array:
        if slot == 2:
            whole_part, tenth = pa.array(values // 10).cast(pa.string()), pa.array(values % 10).cast(pa.string())
            return pc.binary_join_element_wise(
                pc.binary_join_element_wise("n", whole_part, ""), pc.binary_join_element_wise(tenth, "00", ""), "."
            )
        if slot < 2:
            return pa.array(values).cast(pa.string())
        pool = self._texts if slot == 3 else self._numbers if slot % 3 == 0 else self._words
        return pool.take(pa.array(values))

    def _values(self, slot: int, items: Ints, day: date) -> Ints:
        if slot == 0:
            return self.category(items, day)
        if slot == 1:
            return self.available(items, day).astype(np.int64)
        return self.price(items, day) if slot == 2 else self._other(items, slot, day)

    def snapshot(self, day: date, before: date | None) -> Iterator[pa.Table]:
        """The property rows of a snapshot, in parts: all of new items, and what changed since the snapshot before."""
        number = (day - self.plan.start).days
        there = np.flatnonzero(self.listed & (self.launch <= number))
        since = (before - self.plan.start).days if before else -1
        at = _midnight(day) + 3 * _HOUR
        names = pa.array(self._property_names)
        draw = stream(self.plan.seed, SHOP, "snapshot", day)
        for part in np.array_split(there, max(1, len(there) // 40_000)):
            ids, properties, texts = [], [], []
            fresh = self.launch[part] > since
            for slot in range(_SLOTS):
                rows, values = part, self._values(slot, part, day)
                if before is not None:
                    changed = fresh | (values != self._values(slot, part, before))
                    rows, values = part[changed], values[changed]
                ids.append(self.ids[rows])
                texts.append(self._texts_of(slot, values))
                if slot < 4:
                    properties.append(pa.repeat(("categoryid", "available", PRICE, TEXT)[slot], len(rows)))
                else:
                    properties.append(names.take(pa.array(self._properties[self.leaf[rows], slot - 4])))
            item = np.concatenate(ids)
            order = pa.array(draw.permutation(len(item)))
            columns = (np.full(len(item), at), item, pa.concat_arrays(properties), pa.concat_arrays(texts))
            yield pa.table(dict(zip(PROPERTY_COLUMNS, map(pa.array, columns), strict=True))).take(order)


def _pool(draw: np.random.Generator, fewest: int, most: int) -> pa.Array:
    """Hashed texts: words as numbers, and here and there a number as it is."""
    lengths = draw.integers(fewest, most + 1, _POOL)
    words = draw.integers(1, 1_400_000, int(lengths.sum())).tolist()
    plain = (draw.random(len(words)) < 0.08).tolist()
    tokens = [f"n{word % 5_000}.000" if number else str(word) for word, number in zip(words, plain, strict=True)]
    ends = np.cumsum(lengths)
    return pa.array([" ".join(tokens[end - length : end]) for end, length in zip(ends, lengths, strict=True)])


def promotion_of(plan: Plan, day: date, departments: int) -> Promotion | None:
    """The promotion of the week that holds `day`: the first whole week after the month's promotion is called."""
    sunday = day - timedelta(days=day.toordinal() % 7)
    found = promotion_of_month(plan.seed, SHOP, sunday, departments)
    first = _sunday(found.first)
    return Promotion(first, first + timedelta(days=6), found.cut, found.categories) if first == sunday else None


class _Events(NamedTuple):
    """Events as columns; `lands` is the day, as days since 1970, at whose end the event is there."""

    at: Ints
    visitor: Ints
    kind: Ints
    item: Ints
    transaction: Ints  # -1: none
    lands: Ints


class _Visits:
    """The visitors of a plan, and the sessions of any of its days."""

    def __init__(self, plan: Plan, items: _Items) -> None:
        self.plan, self.items = plan, items
        # One week a month, a third of the shop is looked at more.
        promoted = 1.0 + (PROMOTION_PULL - 1.0) / 3.0 * 12 * 7 / 365.25
        self._usual = plan.scale / PUBLIC_DAYS / CALENDAR.mean(plan.start, PUBLIC_DAYS) / promoted
        counts = [
            int(stream(plan.seed, SHOP, "visitors", day).poisson(self._expected(VISITORS, day)))
            for day in days(plan.start, plan.until)
        ]
        self.until = np.r_[0, np.cumsum(counts)].astype(np.int64)
        """How many visitors had come by the end of each day, from 0 before the first."""

    def _expected(self, rows: int, day: date) -> float:
        promotion = promotion_of(self.plan, day, self.items.tree.departments)
        if promotion is None:
            pull = 1.0
        else:
            promoted = np.isin(self.items.tree.department, promotion.categories)
            pull = 1.0 + (PROMOTION_PULL - 1.0) * float(self.items.leaf_pull[promoted].sum())
        factor = CALENDAR.factor(day, self.plan.start) * volume(self.plan.drifts, day)
        return rows * self._usual * factor * pull

    def segment(self, visitor: Ints, came: Ints) -> Ints:
        """By the visitor's place among those who came on the same day: the first ones return."""
        place = (visitor - self.until[came]) / np.maximum(1, self.until[came + 1] - self.until[came])
        return np.searchsorted(_SEGMENT_BOUNDS, place, side="right").astype(np.int64)

    def group(self, visitor: Ints, day: date) -> Ints:
        group = taste_groups(self.plan.seed, SHOP, visitor, GROUPS)
        return tastes_after_drift(group, GROUPS) if drifted(self.plan.drifts, "tastes", day) else group

    def home(self, visitor: Ints, group: Ints) -> Ints:
        """The leaf that a visitor likes best."""
        return self.items.leaves(uniform(self.plan.seed, "retailrocket home", visitor), group, ())

    def events(self, day: date) -> _Events:
        """All events of the sessions that begin on a day, and so some of the night after."""
        plan, items = self.plan, self.items
        today = (day - plan.start).days
        draw = stream(plan.seed, SHOP, "sessions", day)
        new = int(self.until[today + 1] - self.until[today])
        returns = int(draw.poisson(self._expected(RETURNS, day)))
        came = today - np.floor(np.exp(draw.random(returns) * np.log(61.0)) - 1.0).astype(np.int64)
        came = np.where(came < 0, today, came)
        crowd = self.until[came + 1] - self.until[came]
        # A day without any new visitor has nobody to return.
        place, came = np.floor(crowd * draw.random(returns) ** 3)[crowd > 0].astype(np.int64), came[crowd > 0]
        visitor = np.r_[self.until[today] + np.arange(new), self.until[came] + place]
        came = np.r_[np.full(new, today), came]
        count = len(visitor)
        views = self._views(draw, day, visitor)
        session = np.repeat(np.arange(count), views.lengths)
        item = views.items

        gap = np.minimum(1_500.0, 8.0 + np.exp(draw.normal(4.2, 0.9, len(session))))
        step = counting(views.lengths)
        passed = np.cumsum(np.where(step == 0, 0.0, gap))
        begins = _midnight(day) + ((_TIME_OF_DAY.draw(draw, count) + draw.random(count)) * _HOUR).astype(np.int64)
        passed -= passed[np.cumsum(views.lengths) - views.lengths][session] if count else 0.0
        at = begins[session] + (passed * 1000).astype(np.int64)

        snapshot = max(plan.start, day - timedelta(days=day.toordinal() % 7))
        ratio = items.price(item, snapshot) / (10.0 * items.usual[item])
        elasticity = items.tree.elasticity[items.tree.department[items.leaf[item]]]
        keen, much, little = _INTENT
        liking = _CART_LIKING[self.segment(visitor, came)] * np.where(draw.random(count) < keen, much, little)
        chance = CART_RATE * liking[session] * ratio**elasticity * items.available(item, snapshot)
        carted = np.flatnonzero(draw.random(len(session)) < chance)
        cart_at = at[carted] + (1000 * (4 + 50 * draw.random(len(carted)))).astype(np.int64)

        # A session buys each item of its cart once, but one in ten stays behind.
        key, where = np.unique(session[carted] * items.count + item[carted], return_index=True)
        buyers = draw.random(count) < BUY_SHARE
        kept = (draw.random(len(key)) < 0.9) & buyers[key // items.count]
        buyer, bought, where = (key // items.count)[kept], (key % items.count)[kept], carted[where[kept]]
        pays = np.zeros(count, dtype=np.int64)
        np.maximum.at(pays, buyer, at[where])
        pays += (1000 * (70 + 400 * draw.random(count))).astype(np.int64)
        _, number = np.unique(buyer, return_inverse=True)
        transaction = today * 100_000 + number

        sizes = (len(session), len(carted), len(buyer))
        found = _Events(
            np.r_[at, cart_at, pays[buyer]],
            np.r_[visitor[session], visitor[session[carted]], visitor[buyer]],
            np.repeat(np.arange(3), sizes),
            np.r_[item, item[carted], bought],
            np.r_[np.full(sizes[0] + sizes[1], -1), transaction],
            np.zeros(sum(sizes), dtype=np.int64),
        )
        return self._with_faults(draw, found)

    class _Views(NamedTuple):
        lengths: Ints  # of each session
        items: Ints  # one session after the other

    def _views(self, draw: np.random.Generator, day: date, visitor: Ints) -> _Views:
        """Items that are looked at: a walk that tends to stay where it is."""
        items, today, count = self.items, (day - self.plan.start).days, len(visitor)
        promotion = promotion_of(self.plan, day, items.tree.departments)
        promoted = promotion.categories if promotion else ()
        long = draw.random(count) < MANY_VIEWS_SHARE
        some = draw.geometric(0.5, count)
        many = draw.geometric(0.2, count)
        lengths = np.where(long, 1 + np.where(draw.random(count) < 0.85, some, many), 1)
        lengths = np.minimum(lengths, _LONGEST).astype(np.int64)
        group = self.group(visitor, day)
        kind = draw.random(count)
        leaf = items.leaves(draw.random(count), np.where(kind < 0.8, group, GROUPS), promoted)
        leaf = np.where(kind < 0.5, self.home(visitor, group), leaf)
        ends = np.cumsum(lengths)
        walked = np.empty(int(ends[-1]) if count else 0, dtype=np.int64)
        active = np.arange(count)
        item = items.choose(draw, items.bounds[leaf], items.bounds[leaf + 1], leaf, today)
        step = 0
        while len(active):
            walked[(ends - lengths)[active] + step] = item
            step += 1
            goes_on = lengths[active] > step
            active, item = active[goes_on], item[goes_on]
            item = self._next(draw, item, group[active], promoted, today)
        return self._Views(lengths, walked)

    def _next(self, draw: np.random.Generator, item: Ints, group: Ints, promoted: tuple[int, ...], today: int) -> Ints:
        items, count = self.items, len(item)
        moves = draw.random(count) >= REPEAT_SHARE
        how = _STEPS.draw(draw, count)
        far = items.leaves(draw.random(count), np.where(how == 2, group, GROUPS), promoted)
        leaf = np.where(how < 2, items.leaf[item], far)
        cluster = items.cluster[item]
        low = np.where(how == 0, items.cluster_bounds[cluster], items.bounds[leaf])
        high = np.where(how == 0, items.cluster_bounds[cluster + 1], items.bounds[leaf + 1])
        there = items.choose(draw, low, high, leaf, today)
        # Who is to move does not stay: chosen again from there, and at last from the whole category.
        for whole_leaf in (False, False, True):
            same = np.flatnonzero(moves & (there == item))
            near = leaf[same]
            first = items.bounds[near] if whole_leaf else low[same]
            last = items.bounds[near + 1] if whole_leaf else high[same]
            there[same] = items.choose(draw, first, last, near, today)
        return np.where(moves, there, item)

    def _with_faults(self, draw: np.random.Generator, found: _Events) -> _Events:
        """With copies of some events, late ones, and true ids."""
        carts = FEWEST_COPIES / (69_332 * self.plan.scale)
        share = np.array([VIEW_COPY_SHARE, max(CART_COPY_SHARE, carts), 0.0])[found.kind]
        times = 1 + (draw.random(len(share)) < share)
        columns = _Events(*(np.repeat(column, times) for column in found))
        late = np.where(draw.random(len(columns.at)) < LATE_SHARE, draw.integers(1, 4, len(columns.at)), 0)
        return columns._replace(item=self.items.ids[columns.item], lands=columns.at // _DAY + late)


def _landing(visits: _Visits, after: date | None) -> Iterator[pa.Table]:
    """The events by the day on which they land: those after `after`, or all."""
    plan = visits.plan
    # An event lands at most four days after its session began.
    first = max(plan.start, after - timedelta(days=4)) if after else plan.start
    kinds = pa.array(EVENTS)
    held: list[_Events] = []
    for day in days(first, plan.until):
        held.append(visits.events(day))
        today = _midnight(day) // _DAY
        known = _Events(*map(np.concatenate, zip(*held, strict=True)))
        lands = known.lands <= today
        held = [_Events(*(column[~lands] for column in known))]
        if after is not None and day <= after:
            continue
        now = _Events(*(column[lands] for column in known))
        order = np.argsort(now.at, kind="stable")
        transaction = now.transaction[order]
        yield pa.table(
            {
                "timestamp": now.at[order],
                "visitorid": now.visitor[order],
                "event": kinds.take(pa.array(now.kind[order])),
                "itemid": now.item[order],
                "transactionid": pa.array(transaction, mask=transaction < 0),
            }
        )


def write(folder: Path, truth: Path, plan: Plan, after: date | None, say: Say) -> list[Written]:
    """Write the shop's files up to the end of `plan.until`; see `simulator.plan.Writer`.

    What lands after `after` goes into files of its own; nothing that is there is written again. Raises ValueError for
    a plan that cannot be.
    """
    check_plan(SHOP, plan, after, DRIFTS)
    if after == plan.until:
        return []
    tree = _Tree(plan)
    items = _Items(plan, tree)
    visits = _Visits(plan, items)
    written = []
    suffix = f"_{plan.until}" if after else ""
    if after is None:
        path = folder / "category_tree.csv"
        with csv_file(path, TREE_COLUMNS, quoted=False) as append:
            append(tree.table())
        written.append(Written("category_tree", path, len(tree.ids)))
    path, rows = folder / f"events{suffix}.csv", 0
    with csv_file(path, EVENT_COLUMNS, quoted=False) as append:
        for table in _landing(visits, after):
            append(table)
            rows += table.num_rows
    written.append(Written("events", path, rows))
    say(f"{SHOP}: {rows:,} events")
    written += _write_properties(folder, items, plan, after, say)
    _write_truth(truth, plan, items, visits)
    return written


def _write_properties(folder: Path, items: _Items, plan: Plan, after: date | None, say: Say) -> list[Written]:
    taken = snapshots(plan.start, plan.until)
    new = [number for number, day in enumerate(taken) if after is None or day > after]
    if not new:
        return []
    names = ["item_properties_part1.csv", "item_properties_part2.csv"]
    paths = [folder / name for name in names] if after is None else [folder / f"item_properties_part2_{plan.until}.csv"]
    counts = [0] * len(paths)
    with ExitStack() as stack:
        files = [stack.enter_context(csv_file(path, PROPERTY_COLUMNS, quoted=False)) for path in paths]
        for number in new:
            for table in items.snapshot(taken[number], taken[number - 1] if number else None):
                split = round(FIRST_PART_SHARE * table.num_rows) if after is None else table.num_rows
                parts = [table.slice(0, split), table.slice(split)]
                for place, (append, part) in enumerate(zip(files, parts, strict=False)):
                    append(part)
                    counts[place] += part.num_rows
            say(f"{SHOP}: {sum(counts):,} rows of properties up to {taken[number]}")
    return [Written("item_properties", path, count) for path, count in zip(paths, counts, strict=True)]


def _write_truth(truth: Path, plan: Plan, items: _Items, visits: _Visits) -> None:
    def save(name: str, tables: Sequence[pa.Table]) -> None:
        with parquet_file(truth / f"{name}.parquet", tables[0].schema) as append:
            for table in tables:
                append(table)

    tree = items.tree
    save(
        "items",
        [
            pa.table(
                {
                    "itemid": items.ids,
                    "categoryid": tree.leaf_ids[items.leaf],
                    "cluster": items.cluster,
                    "taste_group": tree.owner[items.leaf],
                    "department": tree.department[items.leaf],
                    "listed": items.listed,
                    "popularity": items.pull,
                    "usual_price": items.usual,
                    "launch_day": items.launch,
                }
            )
        ],
    )
    save(
        "categories",
        [
            pa.table(
                {
                    "categoryid": tree.leaf_ids,
                    "taste_group": tree.owner,
                    "department": tree.department,
                    "in_tree": np.arange(tree.leaves) < tree.leaves - tree.unknown,
                }
            )
        ],
    )
    save(
        "departments",
        [pa.table({"department": np.arange(tree.departments), "elasticity": tree.elasticity})],
    )
    segments = pa.array(list(SEGMENTS))
    visitor = np.arange(int(visits.until[-1]), dtype=np.int64)
    came = np.searchsorted(visits.until, visitor, side="right") - 1
    group = taste_groups(plan.seed, SHOP, visitor, GROUPS)
    columns = {
        "visitorid": visitor,
        "taste_group": group,
        "home_categoryid": tree.leaf_ids[visits.home(visitor, group)],
        "segment": segments.take(pa.array(visits.segment(visitor, came))),
        "first_day": came,
    }
    save("visitors", [pa.table(columns)])
    weeks = {day - timedelta(days=day.toordinal() % 7) for day in days(plan.start, plan.until)}
    promotions = [found for week in sorted(weeks) if (found := promotion_of(plan, week, tree.departments))]
    world: dict[str, Any] = {
        "weekdays": WEEKDAYS,
        "months": MONTHS,
        "trend": TREND,
        "late_share": LATE_SHARE,
        "repeat_share": REPEAT_SHARE,
        "unlisted_view_share": UNLISTED_VIEW_SHARE,
        "promotions": [
            {
                "first": promotion.first.isoformat(),
                "last": promotion.last.isoformat(),
                "cut": promotion.cut,
                "departments": promotion.categories,
            }
            for promotion in promotions
        ],
        "drifts": [{"kind": drift.kind, "start": drift.start.isoformat()} for drift in plan.drifts],
    }
    with whole(truth / "world.json") as part:
        part.write_text(json.dumps(world, indent=1))
