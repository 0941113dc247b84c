"""The simulated theLook shop: its public schema, its growth, its faults, and what is planted in it."""

from __future__ import annotations

import json
import tracemalloc
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from simulator import thelook
from simulator.plan import Drift, Plan

START = date(2025, 3, 3)
LONG = Plan(seed=11, scale=0.5, start=START, until=START + timedelta(days=399))
SHORT = Plan(seed=5, scale=1.0, start=START, until=START + timedelta(days=119))

AT = pa.timestamp("us", tz="UTC")
COLUMNS = {
    "users": "id:i first_name:s last_name:s email:s age:i gender:s state:s street_address:s postal_code:s city:s "
    "country:s latitude:f longitude:f traffic_source:s created_at:t",
    "orders": "order_id:i user_id:i status:s gender:s created_at:t returned_at:t shipped_at:t delivered_at:t "
    "num_of_item:i",
    "order_items": "id:i order_id:i user_id:i product_id:i inventory_item_id:i status:s created_at:t shipped_at:t "
    "delivered_at:t returned_at:t sale_price:f",
    "products": "id:i cost:f category:s name:s brand:s retail_price:f department:s sku:s distribution_center_id:i",
    "inventory_items": "id:i product_id:i created_at:t sold_at:t cost:f product_category:s product_name:s "
    "product_brand:s product_retail_price:f product_department:s product_sku:s product_distribution_center_id:i",
    "distribution_centers": "id:i name:s latitude:f longitude:f",
    "events": "id:i user_id:i sequence_number:i session_id:s created_at:t ip_address:s city:s state:s postal_code:s "
    "browser:s traffic_source:s uri:s event_type:s",
}
TYPES = {"i": pa.int64(), "s": pa.string(), "f": pa.float64(), "t": AT}
KEYS = {table: "order_id" if table == "orders" else "id" for table in COLUMNS}


def run(folder: Path, plan: Plan, after: date | None = None) -> dict[str, set[str]]:
    """Write, and return the names of the files written by table."""
    written = thelook.write(folder / "shop", folder / "truth", plan, after, lambda _: None)
    names: dict[str, set[str]] = {}
    for file in written:
        assert pq.read_metadata(file.path).num_rows == file.rows
        names.setdefault(file.table, set()).add(file.path.name)
    return names


def table(folder: Path, name: str) -> pd.DataFrame:
    frame = ds.dataset(folder / "shop" / name, format="parquet").to_table().to_pandas()
    return frame.sort_values(KEYS[name], ignore_index=True)


def until(plan: Plan, day: date, *drifts: Drift) -> Plan:
    return Plan(plan.seed, plan.scale, plan.start, day, drifts)


def instant(day: date) -> pd.Timestamp:
    return pd.Timestamp(day, tz="UTC")


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
def views(long: Path) -> pd.DataFrame:
    """Product pages that known users looked at, with product, user and truth."""
    events = table(long, "events")
    seen = events[(events.event_type == "product") & events.user_id.notna()].copy()
    seen["product_id"] = seen.uri.str.removeprefix("/product/").astype(int)
    seen["day"] = seen.created_at.dt.date
    products = pd.read_parquet(long / "truth" / "products.parquet")
    categories = pd.read_parquet(long / "truth" / "categories.parquet").rename(columns={"taste_group": "owner"})
    users = pd.read_parquet(long / "truth" / "users.parquet").rename(columns={"style": "own_style"})
    return seen.merge(products, on="product_id").merge(categories, on="category").merge(users, on="user_id")


def test_columns_and_types_are_those_of_bigquery(short: Path) -> None:
    for name, columns in COLUMNS.items():
        expected = [(column[:-2], TYPES[column[-1]]) for column in columns.split()]
        files = sorted((short / "shop" / name).iterdir())
        assert files, name
        for file in files:
            schema = pq.read_schema(file)
            assert list(zip(schema.names, schema.types, strict=True)) == expected, file
    assert {path.name for path in (short / "shop").iterdir()} == set(COLUMNS)
    for name, key in KEYS.items():
        assert table(short, name)[key].is_unique, name


def test_a_file_holds_one_month_of_created_at(short: Path) -> None:
    for name in ("users", "orders", "order_items", "inventory_items", "events"):
        files = {path.stem: pd.read_parquet(path) for path in (short / "shop" / name).iterdir()}
        assert sorted(files) == ["2025-03", "2025-04", "2025-05", "2025-06"], name
        for month, frame in files.items():
            assert set(frame.created_at.dt.strftime("%Y-%m")) == {month}
    assert [path.name for path in (short / "shop" / "products").iterdir()] == ["products.parquet"]
    assert len(table(short, "distribution_centers")) == 10


def test_public_sizes_scale(short: Path) -> None:
    assert len(table(short, "products")) == 29_120
    factor = [thelook.CALENDAR.factor(START + timedelta(days=day), START) for day in range(120)]
    share = sum(factor) / thelook.CALENDAR.mean(START, thelook.PUBLIC_DAYS) / thelook.PUBLIC_DAYS
    sizes = {"users": 100_000, "orders": 125_000, "order_items": 181_000, "events": 2_430_000}
    for name, size in sizes.items():
        assert len(table(short, name)) == pytest.approx(size * share, rel=0.12), name


def test_equal_plans_give_equal_bytes(tmp_path: Path) -> None:
    plan = Plan(3, 0.05, START, START + timedelta(days=40))
    for place in ("a", "b"):
        run(tmp_path / place, plan)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) > 12
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    run(tmp_path / "c", Plan(4, 0.05, START, START + timedelta(days=40)))
    assert not table(tmp_path / "a", "orders").equals(table(tmp_path / "c", "orders"))


def test_growth_ends_where_one_write_does(short: Path, tmp_path: Path) -> None:
    middle, later = date(2025, 4, 30), date(2025, 5, 31)
    run(tmp_path, until(SHORT, middle))
    names = run(tmp_path, until(SHORT, later), middle)
    run(tmp_path, SHORT, later)
    for name in COLUMNS:
        pd.testing.assert_frame_equal(table(tmp_path, name), table(short, name), obj=name)
    # Late events and changed orders of the months before are written again, and no other month.
    assert names["events"] == {"2025-04.parquet", "2025-05.parquet"}
    assert names["users"] == {"2025-05.parquet"}
    assert {"2025-04.parquet", "2025-05.parquet"} <= names["orders"]
    assert "distribution_centers" not in names
    assert run(tmp_path, SHORT, SHORT.until) == {}


def test_a_drift_may_be_added_from_a_new_day_on(tmp_path: Path) -> None:
    middle = START + timedelta(days=50)
    drifts = (Drift("volume", middle + timedelta(days=1)), Drift("tastes", middle + timedelta(days=8)))
    plan = Plan(9, 0.2, START, START + timedelta(days=70), drifts)
    run(tmp_path / "grown", until(plan, middle))
    run(tmp_path / "grown", plan, middle)
    run(tmp_path / "once", plan)
    for name in COLUMNS:
        pd.testing.assert_frame_equal(table(tmp_path / "grown", name), table(tmp_path / "once", name), obj=name)


def test_days_do_not_depend_on_the_end_and_only_late_rows_come_behind(short: Path, tmp_path: Path) -> None:
    middle = START + timedelta(days=99)
    run(tmp_path, until(SHORT, middle))
    end = instant(middle + timedelta(days=1))
    for name, still in (
        ("users", list(table(short, "users").columns)),
        ("orders", ["order_id", "user_id", "gender", "created_at", "num_of_item"]),
        ("order_items", ["id", "order_id", "product_id", "inventory_item_id", "created_at", "sale_price"]),
        ("inventory_items", ["id", "product_id", "created_at", "cost", "product_retail_price"]),
    ):
        full, part = table(short, name), table(tmp_path, name)
        assert part.created_at.max() < end
        pd.testing.assert_frame_equal(full.loc[full.created_at < end, still].reset_index(drop=True), part[still])
    full, part = table(short, "events"), table(tmp_path, "events")
    full = full[full.created_at < end]
    known = full.id.isin(part.id)
    pd.testing.assert_frame_equal(full[known].reset_index(drop=True), part)
    late = full[~known]
    assert late.created_at.min() >= end - pd.Timedelta(days=2)
    recent = full[full.created_at >= end - pd.Timedelta(days=1)]
    assert 0 < (~recent.id.isin(part.id)).mean() < 0.03


def test_rows_are_as_of_the_last_day(long: Path) -> None:
    end = instant(LONG.until + timedelta(days=1))
    orders, units = table(long, "orders"), table(long, "inventory_items")
    for frame in (orders, units, table(long, "events")):
        for column in frame.columns[frame.dtypes.astype(str).str.startswith("datetime")]:
            assert not (frame[column] >= end).any(), column
    filled = orders[["shipped_at", "delivered_at", "returned_at"]].notna()
    for status, there in {
        "Processing": (False, False, False),
        "Cancelled": (False, False, False),
        "Shipped": (True, False, False),
        "Complete": (True, True, False),
        "Returned": (True, True, True),
    }.items():
        assert (filled[orders.status == status] == list(there)).all(axis=None), status
    old = orders[orders.created_at < end - pd.Timedelta(days=110)]
    for status, share in old.status.value_counts(normalize=True).items():
        assert share == pytest.approx(thelook.STATUS_SHARES[status], abs=0.025)
    newest = orders[orders.created_at >= end - pd.Timedelta(days=1)]
    assert (newest.status == "Processing").mean() > 0.5


def test_some_rows_change_after_more_than_sixty_days(long: Path) -> None:
    orders, units = table(long, "orders"), table(long, "inventory_items")
    days = pd.Timedelta(days=60)
    assert ((orders.returned_at - orders.created_at) > days).sum() > 5
    sold = units[units.sold_at.notna()]
    assert 0.01 < ((sold.sold_at - sold.created_at) > days).mean() < 0.15
    assert (sold.sold_at >= sold.created_at).all()


def test_orders_items_units_and_users_fit_together(long: Path) -> None:
    orders, items = table(long, "orders"), table(long, "order_items")
    users, products = table(long, "users"), table(long, "products")
    units = table(long, "inventory_items").set_index("id")
    per_order = items.groupby("order_id").size()
    assert per_order.reindex(orders.order_id).tolist() == orders.num_of_item.tolist()
    joined = items.merge(orders, on="order_id", suffixes=("", "_order"))
    assert len(joined) == len(items)
    assert (joined.status == joined.status_order).all() and (joined.user_id == joined.user_id_order).all()
    assert (orders.created_at.to_numpy() > users.set_index("id").created_at.loc[orders.user_id].to_numpy()).all()
    assert items.inventory_item_id.is_unique
    taken = units.loc[items.inventory_item_id]
    assert (taken.product_id.to_numpy() == items.product_id.to_numpy()).all()
    assert (taken.sold_at.to_numpy() == items.created_at.to_numpy()).all()
    assert units.sold_at.notna().sum() == len(items)
    moved = units.product_retail_price.to_numpy() != products.set_index("id").retail_price.loc[units.product_id]
    assert 0.2 < moved.mean() < 0.95
    assert products.brand.isna().sum() >= 2 and products.name.isna().sum() >= 1
    assert (users.city == "null").mean() == pytest.approx(0.009, abs=0.006)
    shares = users.country.value_counts(normalize=True)
    assert shares["China"] == pytest.approx(0.34, abs=0.03) and len(shares) >= 12


def test_sessions_and_orders_fit_together(long: Path) -> None:
    events, orders = table(long, "events"), table(long, "orders")
    assert set(events.event_type) == {"home", "department", "product", "cart", "purchase", "cancel"}
    form = {"home": "/home", "cart": "/cart", "purchase": "/purchase", "cancel": "/cancel", "product": r"/product/\d+"}
    form["department"] = r"/department/(men|women)/category/[a-z&]+/brand/[a-z]+"
    for kind, uris in events.groupby("event_type").uri:
        assert uris.str.fullmatch(form[kind]).all(), kind
    assert events.session_id.str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()

    ordered = events.sort_values(["session_id", "sequence_number"])
    sessions = ordered.groupby("session_id")
    number = sessions.cumcount() + 1
    missing = ordered.sequence_number != number
    # A late event leaves a gap in sessions of the last two days alone.
    assert ordered[missing].created_at.min() > instant(LONG.until - timedelta(days=3))
    assert (sessions.created_at.diff().dropna() >= pd.Timedelta(0)).all()
    assert (sessions.user_id.nunique() <= 1).all()
    crossing = sessions.created_at.agg(["min", "max"])
    assert (crossing["min"].dt.date != crossing["max"].dt.date).sum() > 5

    purchases = events[events.event_type == "purchase"].merge(orders, on="user_id", suffixes=("", "_order"))
    gap = (purchases.created_at - purchases.created_at_order).dt.total_seconds()
    close = purchases[gap.between(-91, 5)]
    assert close.order_id.is_unique and len(close) / len(orders) > 0.99
    assert 0.3 < (close.created_at < close.created_at_order).mean() < 0.5

    buying = ordered[ordered.session_id.isin(close.session_id)]
    unknown = buying.groupby("session_id").user_id.apply(lambda users: users.isna().any())
    assert 0.1 < unknown.mean() < 0.25
    assert ordered[~ordered.session_id.isin(close.session_id)].user_id.isna().mean() > 0.95
    # What is bought was looked at and put into the cart before.
    items = table(long, "order_items").merge(close[["order_id", "session_id"]], on="order_id")
    looked = set(zip(buying.session_id, buying.uri, strict=True))
    seen = [(session, f"/product/{p}") in looked for session, p in zip(items.session_id, items.product_id, strict=True)]
    assert np.mean(seen) > 0.98


def test_tastes_and_styles_show_in_views(views: pd.DataFrame) -> None:
    share = (views.owner == views.taste_group).mean()
    assert share > 2.2 / thelook.GROUPS
    assert (views.own_style == views["style"]).mean() == pytest.approx(0.7 + 0.3 / thelook.STYLES, abs=0.05)
    matrix = pd.crosstab(views.taste_group, views.owner, normalize="index")
    assert (matrix.to_numpy().argmax(axis=1) == np.arange(thelook.GROUPS)).all()


def test_popularity_has_a_long_tail(long: Path) -> None:
    sold = table(long, "order_items").product_id.value_counts()
    known = pd.read_parquet(long / "truth" / "products.parquet").set_index("product_id").popularity
    top = known.nlargest(len(known) // 10).index
    assert sold.reindex(top).sum() / sold.sum() > 0.25


def test_segments_differ_in_frequency_and_basket(long: Path) -> None:
    orders = table(long, "orders")
    users = pd.read_parquet(long / "truth" / "users.parquet")
    assert users.segment.value_counts(normalize=True)["loyal"] == pytest.approx(0.06, abs=0.02)
    count = orders.groupby("user_id").size().reindex(users.user_id, fill_value=0).to_numpy()
    mean = pd.Series(count).groupby(users.segment).mean()
    assert mean["loyal"] > 1.8 * mean["regular"] > 2.5 * mean["occasional"] > 0
    size = orders.merge(users, on="user_id").groupby("segment").num_of_item.mean()
    assert size["loyal"] > 1.2 * size["regular"] > 1.25 * size["occasional"]


def test_season_weekday_and_trend_show(long: Path) -> None:
    days = table(long, "events").created_at.dt.date.value_counts()
    index = pd.DatetimeIndex(days.index)
    expected = np.array([thelook.CALENDAR.factor(day, START) for day in days.index])
    month = pd.Series(days.to_numpy(), index).groupby([index.year, index.month]).mean()
    assert month[2025, 12] / month[2025, 6] == pytest.approx(1.32 / 0.96 * 1.37 / 1.15, rel=0.12)
    assert month[2026, 3] / month[2025, 3] == pytest.approx(1.5 * 1.0, rel=0.15)
    # Against the calendar without its weekdays, Saturday and Tuesday are what remains.
    rest = days.to_numpy() / (expected / np.array(thelook.WEEKDAYS)[index.dayofweek])
    by_day = pd.Series(rest).groupby(index.dayofweek).median()
    assert by_day[5] / by_day[1] == pytest.approx(1.12 / 0.92, rel=0.07)


def test_promotions_and_elasticities_can_be_found_again(long: Path) -> None:
    """Poisson counts by category: the log of promoted beside ordinary days against log(1 - cut) x elasticity."""
    events = table(long, "events")
    events = events[events.event_type == "product"]
    events = events.assign(product_id=events.uri.str.removeprefix("/product/").astype(int))
    products = pd.read_parquet(long / "truth" / "products.parquet")
    events = events.merge(products, on="product_id")
    elasticity = pd.read_parquet(long / "truth" / "categories.parquet").set_index("category").elasticity
    counts = pd.crosstab(events.created_at.dt.date, events.category)
    share = counts.sum() / counts.to_numpy().sum()
    points = []
    for promotion in json.loads((long / "truth" / "world.json").read_text())["promotions"]:
        first, last = date.fromisoformat(promotion["first"]), date.fromisoformat(promotion["last"])
        now = counts[(counts.index >= first) & (counts.index <= last)].sum()
        if not now.sum():
            continue
        held = now.drop(promotion["categories"]).sum() / share.drop(promotion["categories"]).sum()
        for name in promotion["categories"]:
            usual = share[name] * held
            points.append((np.log(1 - promotion["cut"]) * elasticity[name], np.log(now[name] / usual), usual))
    x, y, weight = np.array(points).T
    slope = np.sum(weight * x * y) / np.sum(weight * x * x)
    assert len(points) > 80
    assert slope == pytest.approx(1.0, abs=0.25)
    elastic = x > np.median(x)
    assert np.average(y[elastic], weights=weight[elastic]) > np.average(y[~elastic], weights=weight[~elastic]) + 0.15


def test_what_is_paid_in_a_promotion_is_cut(long: Path) -> None:
    items = table(long, "order_items").merge(table(long, "inventory_items"), left_on="inventory_item_id", right_on="id")
    items = items[items.created_at_x.dt.date == items.created_at_y.dt.date]
    promotion = json.loads((long / "truth" / "world.json").read_text())["promotions"][9]
    first, last = date.fromisoformat(promotion["first"]), date.fromisoformat(promotion["last"])
    day = items.created_at_x.dt.date
    now = items[(day >= first) & (day <= last)]
    ratio = now.sale_price / now.product_retail_price
    cut = now.product_category.isin(promotion["categories"])
    assert cut.sum() > 20 and (~cut).sum() > 20
    assert ratio[cut].to_numpy() == pytest.approx(1 - promotion["cut"], abs=0.002)
    assert (ratio[~cut] == 1.0).all()


@pytest.mark.parametrize("kind", ["tastes", "prices", "volume"])
def test_a_drift_shows_from_its_day_on_and_not_before(kind: str, short: Path, tmp_path: Path) -> None:
    day = START + timedelta(days=60)
    run(tmp_path, until(SHORT, SHORT.until, Drift(kind, day)))
    start = instant(day)
    for name in ("users", "orders", "order_items", "inventory_items", "events"):
        plain, drifted = table(short, name), table(tmp_path, name)
        columns = [column for column in plain.columns if not column.endswith("_at") and column != "status"]
        before = [frame[frame.created_at < start] for frame in (plain, drifted)]
        pd.testing.assert_frame_equal(*(frame[[*columns, "created_at"]].reset_index(drop=True) for frame in before))
    plain, drifted = table(short, "events"), table(tmp_path, "events")
    assert not plain.uri.equals(drifted.uri)
    if kind == "volume":
        ratio = (drifted.created_at >= start).sum() / (plain.created_at >= start).sum()
        assert ratio == pytest.approx(1.8, rel=0.05)
    if kind == "prices":
        ratio = table(tmp_path, "products").retail_price / table(short, "products").retail_price
        assert ((ratio - 1.25).abs() < 0.01).mean() == pytest.approx(0.4, abs=0.02)
        assert (ratio == 1.0).mean() == pytest.approx(0.6, abs=0.02)
    if kind == "tastes":
        share = {}
        for folder in (short, tmp_path):
            items = table(folder, "order_items").merge(pd.read_parquet(folder / "truth" / "users.parquet"))
            items = items.merge(pd.read_parquet(folder / "truth" / "products.parquet")[["product_id", "category"]])
            owners = pd.read_parquet(folder / "truth" / "categories.parquet").set_index("category").taste_group
            items = items[items.created_at >= start]
            share[folder] = (items.category.map(owners) == items.taste_group).mean()
        assert share[short] > 2.2 / thelook.GROUPS and share[tmp_path] < 0.9 / thelook.GROUPS


def test_a_plan_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for plan, after, message in (
        (until(SHORT, SHORT.until, Drift("wording", START)), None, "thelook cannot show the drift 'wording': .*prices"),
        (until(SHORT, START - timedelta(days=1)), None, "is before the first"),
        (Plan(1, 0.0, START, START), None, "above 0"),
        (SHORT, START - timedelta(days=1), "is not within"),
    ):
        with pytest.raises(ValueError, match=message):
            thelook.write(tmp_path / "shop", tmp_path / "truth", plan, after, lambda _: None)
    assert not list(tmp_path.rglob("*"))


def test_an_error_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)
    with pytest.raises(OSError, match="no space"):
        run(tmp_path, Plan(3, 0.05, START, START + timedelta(days=5)))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_memory_follows_the_month_and_not_the_length(tmp_path: Path) -> None:
    peaks = []
    for number, length in enumerate((31, 184)):
        plan = Plan(3, 0.2, date(2025, 5, 1), date(2025, 5, 1) + timedelta(days=length - 1))
        tracemalloc.start()
        run(tmp_path / str(number), plan)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    rows = [len(table(tmp_path / name, "events")) for name in ("0", "1")]
    assert rows[1] > 5 * rows[0]
    assert peaks[1] < 1.7 * peaks[0]
