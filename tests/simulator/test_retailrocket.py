"""The simulated RetailRocket shop: its public files, its growth, its faults, and what is planted in it."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv

from simulator import retailrocket as shop
from simulator.plan import Drift, Plan

START = date(2025, 5, 5)
LONG = Plan(seed=11, scale=0.06, start=START, until=START + timedelta(days=137))
SHORT = Plan(seed=5, scale=0.03, start=START, until=START + timedelta(days=59))

HEADERS = {
    "events": "timestamp,visitorid,event,itemid,transactionid",
    "item_properties": "timestamp,itemid,property,value",
    "category_tree": "categoryid,parentid",
}


def run(folder: Path, plan: Plan, after: date | None = None) -> list[str]:
    """Write, and return the names of the files written."""
    return [file.path.name for file in shop.write(folder / "shop", folder / "truth", plan, after, lambda _: None)]


def lines(folder: Path, table: str) -> Counter[str]:
    """All lines of a table's files below the header, with how often they are there."""
    found: Counter[str] = Counter()
    for path in sorted((folder / "shop").glob(f"{table}*")):
        header, *rest = path.read_text().splitlines()
        assert header == HEADERS[table]
        found.update(rest)
    return found


def events(folder: Path) -> pd.DataFrame:
    frame = pd.concat([pd.read_csv(path) for path in sorted((folder / "shop").glob("events*"))], ignore_index=True)
    frame["day"] = pd.to_datetime(frame.timestamp, unit="ms").dt.date
    return frame


def properties(folder: Path) -> pd.DataFrame:
    texts = csv.ConvertOptions(column_types={"property": pa.string(), "value": pa.string()})
    paths = sorted((folder / "shop").glob("item_properties*"))
    return pa.concat_tables([csv.read_csv(path, convert_options=texts) for path in paths]).to_pandas()


def truth(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "truth" / f"{name}.parquet")


def milliseconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 86_400_000


def until(plan: Plan, day: date, *drifts: Drift) -> Plan:
    return Plan(plan.seed, plan.scale, plan.start, day, drifts)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long")
    run(folder, LONG)
    return folder


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("short")
    run(folder, SHORT)
    return folder


@pytest.fixture(scope="module")
def log(long: Path) -> pd.DataFrame:
    return events(long)


@pytest.fixture(scope="module")
def known(long: Path) -> pd.DataFrame:
    return properties(long)


@pytest.fixture(scope="module")
def steps(log: pd.DataFrame, long: Path) -> pd.DataFrame:
    """Views by visitor and time, cut into sessions by a gap of 30 minutes, with what is planted in item and visitor."""
    views = log[log.event == "view"].drop_duplicates().sort_values(["visitorid", "timestamp"], ignore_index=True)
    before = views.groupby("visitorid")[["timestamp", "itemid"]].shift()
    views["inside"] = views.timestamp - before.timestamp <= 1_800_000
    views["session"] = (~views.inside).cumsum()
    views["previous"] = before.itemid.where(views.inside)
    views = views.merge(truth(long, "items"), on="itemid", how="left", validate="m:1")
    visitors = truth(long, "visitors")[["visitorid", "taste_group", "segment", "home_categoryid", "first_day"]]
    return views.merge(visitors, on="visitorid", suffixes=("", "_visitor"), validate="m:1")


def test_files_have_the_public_names_headers_and_formats(short: Path) -> None:
    names = ["category_tree.csv", "events.csv", "item_properties_part1.csv", "item_properties_part2.csv"]
    assert sorted(path.name for path in (short / "shop").iterdir()) == names
    event = re.compile(r"\d{13},\d+,(view,\d+,|addtocart,\d+,|transaction,\d+,\d+)")
    value = r"(n-?\d+\.\d{3}|\d+)( (n-?\d+\.\d{3}|\d+))*"
    row = re.compile(rf"\d{{13}},\d+,(categoryid,\d+|available,[01]|790,n\d+\.\d{{3}}|\d+,{value})")
    for line in lines(short, "events"):
        assert event.fullmatch(line), line
    for line in lines(short, "item_properties"):
        assert row.fullmatch(line), line
    for line in lines(short, "category_tree"):
        assert re.fullmatch(r"\d+,\d*", line), line
    share = len((short / "shop" / names[2]).read_bytes()) / sum(
        len((short / "shop" / name).read_bytes()) for name in names[2:]
    )
    assert share == pytest.approx(11 / 20.28, abs=0.02)


def test_public_sizes_scale(log: pd.DataFrame, known: pd.DataFrame, long: Path) -> None:
    counts = log.event.value_counts()
    for kind, size in {"view": 2_664_312, "addtocart": 69_332, "transaction": 22_457}.items():
        assert counts[kind] == pytest.approx(size * LONG.scale, rel=0.15), kind
    assert log.visitorid.nunique() == pytest.approx(1_407_580 * LONG.scale, rel=0.1)
    assert log.itemid.nunique() == pytest.approx(235_061 * LONG.scale, rel=0.15)
    assert known.itemid.nunique() == pytest.approx(417_053 * LONG.scale, rel=0.03)
    assert len(known) == pytest.approx(20_275_902 * LONG.scale, rel=0.1)
    assert (known.property == "categoryid").sum() == pytest.approx(788_214 * LONG.scale, rel=0.2)
    smallest = Plan(1, 0.001, START, START)
    assert len(shop._Tree(smallest).ids) == 60


def test_transactions_hold_items_of_one_visitor_that_were_in_the_cart(log: pd.DataFrame) -> None:
    bought = log[log.event == "transaction"]
    assert bought.transactionid.notna().all()
    of_one = bought.groupby("transactionid").agg(
        visitors=("visitorid", "nunique"), instants=("timestamp", "nunique"), items=("itemid", "size")
    )
    assert (of_one.visitors == 1).all() and (of_one.instants == 1).all()
    assert 0.02 < (of_one["items"] > 1).mean() < 0.4
    carts = log[log.event == "addtocart"].groupby(["visitorid", "itemid"]).timestamp.min().rename("put")
    joined = bought.join(carts, on=["visitorid", "itemid"])
    # The cart event of a late transaction may not have come yet, and the other way round.
    assert (joined.put < joined.timestamp).mean() > 0.98


def test_sessions_have_the_public_shape(steps: pd.DataFrame, log: pd.DataFrame) -> None:
    lengths = steps.groupby("session").size()
    assert len(lengths) == pytest.approx(1_756_275 * LONG.scale, rel=0.1)
    assert (lengths > 1).mean() == pytest.approx(367_652 / 1_756_275, abs=0.02)
    pairs = steps[steps.inside]
    assert (pairs.itemid == pairs.previous).mean() == pytest.approx(0.2383, abs=0.02)
    assert (log.groupby("visitorid").size() == 1).mean() > 0.55
    crossing = steps.groupby("session").day.nunique()
    assert (crossing > 1).sum() > 20


def test_faults_of_the_real_set(log: pd.DataFrame, known: pd.DataFrame, long: Path) -> None:
    copies = log[log.duplicated()]
    assert 5 <= len(copies) <= 60 and (copies.event == "addtocart").mean() > 0.6
    listed = known.loc[known.property == "categoryid", "itemid"]
    assert (~log.itemid.isin(listed)).mean() == pytest.approx(0.09, abs=0.02)
    tree = pd.read_csv(long / "shop" / "category_tree.csv")
    used = known.loc[known.property == "categoryid", "value"].astype(int)
    assert 1 <= used[~used.isin(tree.categoryid)].nunique() <= 6
    assert tree.categoryid.is_unique
    assert tree.parentid.dropna().isin(tree.categoryid).all()
    assert 4 <= tree.parentid.isna().sum() <= 8
    assert tree.parentid.nunique() > 8
    seen = set(tree.categoryid[tree.parentid.isna()])
    for _ in range(6):
        seen |= set(tree.categoryid[tree.parentid.isin(seen)])
    assert seen == set(tree.categoryid)


def test_snapshots_are_weekly_and_hold_changes_alone(known: pd.DataFrame) -> None:
    taken = pd.to_datetime(known.timestamp, unit="ms")
    days = sorted(set(taken.dt.date))
    assert days == [START, *(START + timedelta(days=6 + 7 * week) for week in range(19))]
    assert set(taken.dt.hour) == {3}
    ordered = known.sort_values(["itemid", "property", "timestamp"])
    same = ordered.groupby(["itemid", "property"]).value.shift() == ordered.value
    assert not same.any()
    assert not ordered.duplicated(["itemid", "property", "timestamp"]).any()
    first = known[known.timestamp == known.timestamp.min()]
    assert 0.35 < len(first) / len(known) < 0.6
    assert first.itemid.nunique() / known.itemid.nunique() == pytest.approx(0.7, abs=0.05)
    per_item = known.drop_duplicates(["itemid", "property"]).groupby("itemid").size()
    assert (per_item == 28).all()


def test_equal_plans_give_equal_bytes(tmp_path: Path) -> None:
    plan = Plan(3, 0.01, START, START + timedelta(days=20))
    for place, made in (("a", plan), ("b", plan), ("c", Plan(4, 0.01, START, plan.until))):
        run(tmp_path / place, made)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 9
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert lines(tmp_path / "a", "events") != lines(tmp_path / "c", "events")


def test_growth_ends_where_one_write_does(short: Path, tmp_path: Path) -> None:
    middle, later = START + timedelta(days=41), START + timedelta(days=44)
    run(tmp_path, until(SHORT, middle))
    base = {path: path.read_bytes() for path in (tmp_path / "shop").iterdir()}
    # The middle is Sunday, 15 June: the next snapshot is on the 22nd.
    assert run(tmp_path, until(SHORT, later), middle) == ["events_2025-06-18.csv"]
    assert run(tmp_path, SHORT, later) == ["events_2025-07-03.csv", "item_properties_part2_2025-07-03.csv"]
    for table in HEADERS:
        assert lines(tmp_path, table) == lines(short, table), table
    for path, content in base.items():
        assert path.read_bytes() == content
    assert run(tmp_path, SHORT, SHORT.until) == []
    for name in ("visitors", "items"):
        pd.testing.assert_frame_equal(truth(tmp_path, name), truth(short, name))


def test_a_drift_may_be_added_from_a_new_day_on(tmp_path: Path) -> None:
    middle = START + timedelta(days=20)
    next_day = middle + timedelta(days=1)
    drifts = (Drift("volume", next_day), Drift("tastes", next_day), Drift("prices", next_day))
    plan = Plan(9, 0.02, START, START + timedelta(days=34), drifts)
    run(tmp_path / "grown", until(plan, middle))
    run(tmp_path / "grown", plan, middle)
    run(tmp_path / "once", plan)
    for table in HEADERS:
        assert lines(tmp_path / "grown", table) == lines(tmp_path / "once", table), table


def test_late_events_stand_in_a_later_file(short: Path, tmp_path: Path) -> None:
    middle = START + timedelta(days=44)
    run(tmp_path, until(SHORT, middle))
    assert max(events(tmp_path).timestamp) < milliseconds(middle + timedelta(days=1))
    part, full = lines(tmp_path, "events"), lines(short, "events")
    assert not part - full
    behind = [int(line.split(",")[0]) for line in (full - part).elements()]
    late = [at for at in behind if at < milliseconds(middle + timedelta(days=1))]
    assert late and min(late) >= milliseconds(middle - timedelta(days=2))
    recent = [at for at in map(int, events(short).timestamp) if 0 <= at - min(late) < 3 * 86_400_000]
    assert len(late) / len(recent) < 0.01


def test_tastes_clusters_and_homes_show_in_views(steps: pd.DataFrame) -> None:
    own = (steps.taste_group == steps.taste_group_visitor).mean()
    assert own > 4 / shop.GROUPS
    matrix = pd.crosstab(steps.taste_group_visitor, steps.taste_group)
    assert (matrix.to_numpy().argmax(axis=1) == np.arange(shop.GROUPS)).all()
    assert (steps.categoryid == steps.home_categoryid).mean() > 0.4
    clusters = steps.drop_duplicates("itemid").set_index("itemid")[["cluster", "categoryid"]]
    moved = steps[steps.inside & (steps.itemid != steps.previous)]
    before = clusters.loc[moved.previous]
    assert (moved.cluster.to_numpy() == before.cluster.to_numpy()).mean() > 0.35
    assert (moved.categoryid.to_numpy() == before.categoryid.to_numpy()).mean() > 0.6


def test_popularity_has_a_long_tail_and_dormant_items_are_not_looked_at(long: Path, steps: pd.DataFrame) -> None:
    counts = steps.itemid.value_counts()
    assert counts.head(len(counts) // 10).sum() / counts.sum() > 0.3
    items = truth(long, "items").set_index("itemid")
    assert (items.loc[counts.index].popularity > 0).mean() > 0.99
    launch = steps.launch_day - (pd.to_datetime(steps.day) - pd.Timestamp(START)).dt.days
    assert (launch <= 0).all()


def test_segments_differ_in_frequency_recency_and_carts(steps: pd.DataFrame, log: pd.DataFrame) -> None:
    by = steps.groupby("segment")
    sessions = by.session.nunique() / by.visitorid.nunique()
    assert sessions["regular"] > 1.5 * sessions["returning"] > 1.8 * sessions["once"]
    last = (pd.to_datetime(steps.day) - pd.Timestamp(START)).dt.days - steps.first_day
    span = last.groupby(steps.visitorid).max().groupby(steps.groupby("visitorid").segment.first()).mean()
    assert span["regular"] > span["returning"] > span["once"]
    carts = log[log.event == "addtocart"].merge(steps.drop_duplicates("visitorid")[["visitorid", "segment"]])
    rate = carts.segment.value_counts() / steps.segment.value_counts()
    assert rate["regular"] > 1.3 * rate["returning"] > 1.8 * rate["once"]


def test_weekdays_and_promotions_show(log: pd.DataFrame, steps: pd.DataFrame, long: Path) -> None:
    days = log.groupby("day").size()
    index = pd.DatetimeIndex(days.index)
    promotions = json.loads((long / "truth" / "world.json").read_text())["promotions"]
    assert len(promotions) >= 4
    promoted = np.zeros(len(days), dtype=bool)
    shares = []
    whole = steps.department.value_counts(normalize=True)
    for promotion in promotions:
        first, last = date.fromisoformat(promotion["first"]), date.fromisoformat(promotion["last"])
        promoted |= (days.index >= first) & (days.index <= last)
        now = steps[(steps.day >= first) & (steps.day <= last)].department.value_counts(normalize=True)
        shares.append(now[promotion["departments"]].sum() / whole[promotion["departments"]].sum())
    assert np.mean(shares) > 1.1
    plain = pd.Series(days.to_numpy()[~promoted]).groupby(index.dayofweek[~promoted]).mean()
    assert plain[1] / plain[5] == pytest.approx(1.09 / 0.83, rel=0.08)
    usual = np.array([shop.CALENDAR.factor(day, START) for day in days.index])
    level = days.to_numpy() / usual
    assert level[promoted].mean() > 1.05 * level[~promoted].mean()


def test_prices_follow_promotions(known: pd.DataFrame, long: Path) -> None:
    prices = known[known.property == "790"].assign(price=lambda rows: rows.value.str[1:].astype(float))
    day = pd.to_datetime(prices.timestamp, unit="ms").dt.date
    items = truth(long, "items").set_index("itemid")
    promotion = json.loads((long / "truth" / "world.json").read_text())["promotions"][2]
    now = prices[day == date.fromisoformat(promotion["first"])].set_index("itemid")
    before = (
        prices[day < date.fromisoformat(promotion["first"])].sort_values("timestamp").groupby("itemid").price.last()
    )
    ratio = (now.price / before.reindex(now.index)).dropna()
    cut = items.loc[ratio.index].department.isin(promotion["departments"])
    assert ratio[cut].median() == pytest.approx(1 - promotion["cut"], abs=0.01)
    assert cut.mean() > 0.7
    listed = items[items.listed & (items.launch_day == 0) & items.department.isin(promotion["departments"])]
    assert listed.index.isin(now.index).mean() > 0.95


def test_carts_answer_to_the_price_and_to_what_is_available(known: pd.DataFrame, log: pd.DataFrame, long: Path) -> None:
    items = truth(long, "items").set_index("itemid")
    elasticity = truth(long, "departments").set_index("department").elasticity

    def as_of(name: str) -> pd.DataFrame:
        rows = known[known.property == name].sort_values("timestamp")
        return pd.merge_asof(
            log[log.event != "transaction"].sort_values("timestamp"), rows, on="timestamp", by="itemid"
        ).dropna(subset=["value"])

    there = as_of("available")
    carts = there[there.event == "addtocart"]
    # The snapshot of 3 o'clock holds for its whole day in the shop.
    assert (carts.value == "1").mean() > 0.99
    assert (there[there.event == "view"].value == "1").mean() < 0.9
    priced = as_of("790")
    priced["ratio"] = np.log(priced.value.str[1:].astype(float) / items.loc[priced.itemid].usual_price.to_numpy())
    priced["answer"] = priced.ratio * elasticity.loc[items.loc[priced.itemid].department].to_numpy()
    bins = pd.qcut(priced.answer, 8)
    rate = priced.groupby(bins, observed=True).agg(
        answer=("answer", "mean"), put=("event", lambda e: (e != "view").mean())
    )
    slope = np.polyfit(rate.answer, np.log(rate.put), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.35)


@pytest.mark.parametrize("kind", ["tastes", "prices", "volume"])
def test_a_drift_shows_from_its_day_on_and_not_before(kind: str, short: Path, tmp_path: Path) -> None:
    day = START + timedelta(days=27)
    run(tmp_path, until(SHORT, SHORT.until, Drift(kind, day)))
    plain, drifted = events(short), events(tmp_path)
    start = milliseconds(day)
    before = [Counter(map(tuple, frame[frame.timestamp < start].fillna(-1).to_numpy())) for frame in (plain, drifted)]
    assert before[0] == before[1]
    if kind == "volume":
        ratio = (drifted.timestamp >= start).sum() / (plain.timestamp >= start).sum()
        assert ratio == pytest.approx(1.8, rel=0.04)
    if kind == "tastes":
        share = []
        for folder, frame in ((short, plain), (tmp_path, drifted)):
            later = frame[(frame.timestamp >= start) & (frame.event == "view")]
            later = later.merge(truth(folder, "items")[["itemid", "taste_group"]])
            later = later.merge(truth(folder, "visitors")[["visitorid", "taste_group"]], on="visitorid")
            share.append((later.taste_group_x == later.taste_group_y).mean())
        assert share[0] > 4 / shop.GROUPS and share[1] < 1.2 / shop.GROUPS
    if kind == "prices":
        rows = [properties(folder) for folder in (short, tmp_path)]
        rows = [frame[frame.property == "790"] for frame in rows]
        early = [Counter(map(tuple, frame[frame.timestamp < start].to_numpy())) for frame in rows]
        assert early[0] == early[1]
        last = [frame.sort_values("timestamp").groupby("itemid").value.last().str[1:].astype(float) for frame in rows]
        ratio = last[1] / last[0]
        assert ((ratio - 1.25).abs() < 0.02).mean() == pytest.approx(0.4, abs=0.02)
        assert (ratio == 1.0).mean() == pytest.approx(0.6, abs=0.02)


def test_a_plan_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for plan, after, message in (
        (until(SHORT, SHORT.until, Drift("wording", START)), None, "cannot show the drift 'wording': .*tastes, prices"),
        (until(SHORT, START - timedelta(days=1)), None, "is before the first"),
        (Plan(1, -1.0, START, START), None, "above 0"),
        (SHORT, SHORT.until + timedelta(days=1), "is not within"),
    ):
        with pytest.raises(ValueError, match=message):
            shop.write(tmp_path / "shop", tmp_path / "truth", plan, after, lambda _: None)
    assert not list(tmp_path.rglob("*"))


def test_an_error_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(shop._Visits, "events", fail)
    with pytest.raises(OSError, match="no space"):
        run(tmp_path, SHORT)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["category_tree.csv"]


def test_memory_follows_the_day_and_not_the_length(tmp_path: Path) -> None:
    peaks, rows = [], []
    for number, length in enumerate((14, 70)):
        tracemalloc.start()
        run(tmp_path / str(number), Plan(3, 0.02, START, START + timedelta(days=length - 1)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        rows.append(len(events(tmp_path / str(number))))
    assert rows[1] > 4.5 * rows[0]
    assert peaks[1] < 1.25 * peaks[0]
