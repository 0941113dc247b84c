"""Drift: false alarms in simulated quiet months, and days until each kind of drift fires.

    python -m benchmarks.drift [--months 200] [--trials 20] [--actors 100]

Arrays in, no database, by the functions of `assets/monitoring`. A simulated shop has weekdays with volumes and
categories of their own, volume and categories that wander, days with price cuts that pull customers, and actors who
return, keep to their tastes and act in bursts of up to hundreds of rows. Each month is a shop of its own: its last
weeks before the month are the reference, and it is looked at every day of the month.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from assets.monitoring.drift import Past, State, compare_inputs, state_of
from assets.monitoring.statistics import Floats, Ints, Rules, verdict
from assets.monitoring.windows import Span, Touches, derive, inputs, number

KINDS = ("tastes", "prices", "volume", "mix of kinds")
GROUPS, CATEGORIES, PRODUCTS = 6, 36, 720
FIRST = date(2026, 1, 5)
MONTH = 30


@dataclass(frozen=True)
class Shop:
    """A simulated shop: a seed, how many actors come a day, and a drift from a day on."""

    seed: int
    actors: int
    drift: str | None = None
    start: int = 0
    """Day of the drift, from the shop's first."""

    def rows(self, days: int) -> Touches:
        """All interactions of the first days."""
        draw = np.random.default_rng([self.seed, 1])
        pool = 12 * self.actors
        group = draw.integers(GROUPS, size=pool)
        loyalty = draw.pareto(1.5, pool) + 0.2
        zeal = draw.beta(2.0, 16.0, pool)
        popular = draw.dirichlet(np.full(CATEGORIES, 3.0))
        owner = np.arange(CATEGORIES) % GROUPS
        rank = 1.0 / (3.0 + np.arange(PRODUCTS // CATEGORIES))
        base = np.exp(draw.normal(3.0, 0.9, PRODUCTS))
        dearer = draw.random(PRODUCTS) < 0.4
        weekday = np.exp(draw.normal(0.0, 0.25, 7))
        by_weekday = np.exp(draw.normal(0.0, 0.25, (7, CATEGORIES)))
        hours = np.exp(-0.5 * ((np.arange(24) - 15.0) / 5.0) ** 2)
        level, taste = 0.0, np.zeros(CATEGORIES)
        columns: list[list[np.ndarray]] = [[] for _ in range(7)]
        for day in range(days):
            today = np.random.default_rng([self.seed, 2, day])
            on = self.drift is not None and day >= self.start
            # Volume and the pull of categories wander about their usual level.
            level = 0.8 * level + today.normal(0.0, 0.06)
            taste = 0.95 * taste + today.normal(0.0, 0.03, CATEGORIES)
            cut = np.isin(np.arange(CATEGORIES) % 9, today.integers(9)) & (today.random() < 0.1)
            volume = self.actors * weekday[day % 7] / weekday.mean() * np.exp(level + today.normal(0.0, 0.05))
            volume *= 1.8 if on and self.drift == "volume" else 1.0
            come = today.choice(pool, size=min(pool, today.poisson(volume)), replace=False, p=loyalty / loyalty.sum())
            # Bursts: half of the actors leave one or two rows, some of them hundreds.
            many = np.minimum(500, 1 + (today.pareto(1.3, len(come)) * 1.2).astype(np.int64))
            actor = np.repeat(come, many)
            likes = (group[come] + GROUPS // 2) % GROUPS if on and self.drift == "tastes" else group[come]
            pull = popular * by_weekday[day % 7] * np.exp(taste) * np.where(cut, 1.5, 1.0)
            chances = pull * np.where(owner == np.arange(GROUPS)[:, None], 8.0, 1.0)
            sums = np.cumsum(chances / chances.sum(axis=1, keepdims=True), axis=1)
            # An actor keeps to one category for most of a day.
            home = _pick(sums[likes], today)
            stray = today.random(len(actor)) < 0.25
            category = np.where(stray, _pick(sums[np.repeat(likes, many)], today), np.repeat(home, many))
            place = np.searchsorted(np.cumsum(rank / rank.sum()), today.random(len(actor)))
            product = category * len(rank) + place
            price = base[product] * np.where(cut[category], 0.8, 1.0)
            price *= np.where(dearer[product], 1.25, 1.0) if on and self.drift == "prices" else 1.0
            carts = np.repeat(zeal[come], many) * (2.0 if on and self.drift == "mix of kinds" else 1.0)
            draws = today.random(len(actor))
            kind = np.where(draws < 0.4 * carts, 2, np.where(draws < carts, 1, 0))
            hour = np.repeat(today.choice(24, len(come), p=hours / hours.sum()), many)
            day_of = np.full(len(actor), number(FIRST) + day)
            for column, values in zip(columns, (day_of, actor, kind, product, category, hour, price), strict=True):
                column.append(values)
        *ids, prices = (np.concatenate(column) for column in columns)
        made: list[Ints] = [each.astype(np.int64) for each in ids]
        return Touches(*made, price=prices.astype(np.float64))


def _pick(sums: Floats, draw: np.random.Generator) -> Ints:
    """A column for each row of running sums."""
    return np.minimum((sums < draw.random((len(sums), 1))).sum(axis=1), sums.shape[1] - 1)


def month(shop: Shop, rules: Rules, days: int = MONTH) -> tuple[list[Past], Counter[str]]:
    """The windows of each day of a month behind the champion's cut-off, and which features drifted in how many."""
    trained = rules.lookback_days + 7 * rules.reference_weeks
    cut = FIRST + timedelta(days=trained)
    # Later rows change nothing of what is before them, so that all can be made at once.
    derived = derive(shop.rows(trained + rules.window_days - 1 + days), None, rules)
    past, blamed = [], Counter[str]()
    for later in range(days):
        as_of = cut + timedelta(days=rules.window_days - 1 + later)
        span = Span(
            cut - timedelta(days=7 * rules.reference_weeks),
            cut - timedelta(days=1),
            as_of - timedelta(days=rules.window_days - 1),
            as_of,
            FIRST,
        )
        found = verdict(compare_inputs(inputs(derived, span, rules), rules), rules)
        past.append(Past(as_of, found.is_drifted, found.is_enough, found.severity))
        blamed.update(each.feature.name for each in found.findings if each.is_drifted)
    return past, blamed


def fires(past: list[Past], rules: Rules) -> list[date]:
    """The days on which drift fires, each time anew after it had ended."""
    days, before = [], State()
    for last in range(1, len(past) + 1):
        now = state_of(past[:last], rules)
        if now.fired and now.fired != before.fired:
            days.append(now.fired)
        before = now
    return days


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--months", type=int, default=200)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--actors", type=int, nargs="+", default=[100])
    chosen = parser.parse_args()
    rules = Rules()
    print("| actors a day | quiet months | drifted windows | fired alarms | a month | CPU seconds |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for actors in chosen.actors:
        began, alarms, drifted, blamed = time.process_time(), 0, 0, Counter[str]()
        for seed in range(chosen.months):
            past, names = month(Shop(seed, actors), rules)
            alarms += len(fires(past, rules))
            drifted += sum(window.is_drifted for window in past)
            blamed += names
        spent = time.process_time() - began
        share = drifted / (chosen.months * MONTH)
        print(f"| {actors} | {chosen.months} | {share:.2%} | {alarms} | {alarms / chosen.months:.3f} | {spent:.0f} |")
        if blamed:
            print(f"\nDrifted windows by feature: {dict(blamed.most_common())}\n")
    print("\n| drift | actors a day | fired within the month | days from its begin: median | slowest |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for kind in KINDS:
        for actors in chosen.actors:
            # It begins with the eighth day behind the cut-off, so that the first window is quiet.
            begin = rules.lookback_days + 7 * rules.reference_weeks + rules.window_days
            took, names = [], Counter[str]()
            for seed in range(1_000, 1_000 + chosen.trials):
                past, blame = month(Shop(seed, actors, kind, begin), rules)
                names += blame
                first = FIRST + timedelta(days=begin)
                took += [(day - first).days + 1 for day in fires(past, rules) if day >= first][:1]
            shown = f"{np.median(took):.0f} | {max(took)}" if took else "- | -"
            print(f"| {kind} | {actors} | {len(took)} of {chosen.trials} | {shown} |", flush=True)
            print(f"\nby feature: {dict(names.most_common(5))}\n")


if __name__ == "__main__":
    main()
