"""Each notebook runs from top to bottom for every shop, and its numbers are those of a recount in plain Python."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import nbformat
import pytest

from tests.notebooks.conftest import NOTEBOOKS, SEARCHED, SHOPS, Run

Runner = Callable[[str, str, dict[str, str]], Run]

EXPLORE = {
    "rows": "tables['rows'].to_dict()",
    "missing": "{f'{table}.{column}': share for (table, column), share in missing.items()}",
    "customers": "maps['Customers'].corr('spearman').loc['frequency', 'monetary'] if 'Customers' in maps else None",
    "most": "MOST_ROWS",
}
PROFILE = {
    "columns": "{f'{table}.{column}': [row['missing'], row['distinct'], row.get('median')]"
    " for table, summary in summaries.items() for column, row in summary.iterrows()}",
    "broken": "broken.values.tolist()",
    "checked": "len(checked)",
    "agree": "list(map(bool, sums['agree'])) if len(sums) else []",
    "warned": "{f'{table}.{column}': row['warning'] for (table, column), row in warned.iterrows()}",
}
CLEAN = {
    "steps": "steps.values.tolist() if sells else None",
    "cut": "str(cut.date()) if sells else None",
    "horizon": "horizon.days if sells else None",
    "known": "known.reset_index()[['customer_id', 'recency_days', 'frequency', 'monetary', 'basket_lines',"
    " 'weekend_share', 'reduced_share']].values.tolist() if sells else None",
    "favourites": "known['favourite_category'].dropna().to_dict() if sells and 'favourite_category' in known else {}",
    "bought": "int(target.sum()) if sells and len(known) else None",
    "leak": "float(auc(-leaking, target)) if sells and len(known) else None",
    "honest": "float(auc(-known['recency_days'], target)) if sells and len(known) else None",
    "inferred": "inferred.reset_index().values.tolist()",
    "actors": "[len(actors), int(returned.sum()), str(day.date()), int(actors['views'].sum())] if browses else None",
}
SALES = {
    "totals": "{name: float(value) for name, value in totals.items()} if sells else None",
    "months": "{str(month): float(amount) for month, amount in"
    " daily['net_sales'].groupby(daily.index.to_period('M')).sum().items()} if sells else None",
    "days": "len(daily) if sells else None",
    "baskets": "[len(baskets), float(baskets['amount'].median()), int(baskets['lines'].max())]"
    " if sells and len(value) else None",
    "steps": "{name: int(value) for name, value in steps.items()} if browses else None",
    "score": "float(monthly['stars'].sum() / monthly['reviews'].sum()) if reviewed else None",
}
SEARCH = {
    "collection": "[manifest.name, manifest.points, len(products), list(vectors.shape)] if shop.has_text else None",
    "nearest": "[product, [point.payload['product_id'] for point in nearest], [point.score for point in nearest]]"
    " if shop.has_text else None",
    "exact": "products.index[np.argsort(-(vectors @ vectors[products.index.get_loc(product)]))][:11].tolist()"
    " if shop.has_text else None",
    "fitting": "fitting if shop.has_text else None",
    "lists": "found if shop.has_text else None",
    "fused": "[point.payload['product_id'] for point in fused] if shop.has_text else None",
    "counts": "[field, counts.to_dict()] if shop.has_text and field else None",
    "payloads": "[record.payload for record in records] if shop.has_text else None",
    "kept": "float(kept) if shop.has_text else None",
}
ASKED = {"01_explore": EXPLORE, "02_profile": PROFILE, "03_clean_and_features": CLEAN, "04_sales": SALES}

ITEMS = (
    "select item.*, is_merchandise from contract.fct_order_items as item"
    " join contract.dim_product as product using (shop, product_id) where shop = %s"
)


@pytest.fixture(params=SHOPS)
def shop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# As they are committed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_output_is_committed_and_the_parameters_come_first(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count is not None] == []
    assert code[0].metadata["tags"] == ["parameters"]
    assert re.findall(r"^(\w+) =", code[0].source, re.M) == ["SHOP", "HOME"]
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path.stem in ASKED], ids=lambda path: path.stem)
def test_only_contract_and_marts_are_read(path: Path) -> None:
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    for way in ("raw_", "staging", "ledger", "read_csv", "read_parquet", "read_excel", "open(", "psycopg", ".connect"):
        assert way not in code, way
    imported = re.findall(r"^(?:from|import) ([\w.]+)", code, re.M)
    assert {name for name in imported if name.startswith(("assets", "resources", "orchestration"))} == {
        "assets.marts.frames",
        "resources.settings",
    }


def test_search_opens_collections_by_connect_alone() -> None:
    """So that its cells are the same in folders and on a server."""
    [path] = [path for path in NOTEBOOKS if path.stem == "05_search"]
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    assert "connect(SHOP, settings)" in code
    for way in ("QdrantClient", "qdrant_edge", "FolderStore", "ServerStore", "open_store", "open(", "qdrant_url="):
        assert way not in code, way


# As they are run


@pytest.mark.parametrize("name", ASKED)
def test_it_runs_from_top_to_bottom_and_shows_figures(run: Runner, name: str, shop: str) -> None:
    done = run(name, shop, ASKED[name])
    no_trouble(done)
    least = 1
    if name == "04_sales":
        least = 8 * done.has("orders") + 3 * done.has("events") + done.has("reviews") + done.has("categories")
    elif name == "01_explore":
        least = 2 + 3 * done.has("orders") + done.has("events") + done.has("reviews")
    assert done.figures >= least


@pytest.mark.parametrize("name", ["01_explore", "03_clean_and_features", "04_sales"])
def test_what_the_shop_does_not_have_is_said(run: Runner, name: str, shop: str) -> None:
    done = run(name, shop, ASKED[name])
    for capability in ("orders", "events"):
        missing = done.found["lacks"][capability]
        assert (missing is None) == (f"{missing} This part is left out." not in done.text)
        assert missing is None or capability in missing


def test_explore_counts_and_correlates(run: Runner, shop: str) -> None:
    done = run("01_explore", shop, EXPLORE)
    for table, rows in done.found["rows"].items():
        schema = "marts" if table.startswith("mart_") else "contract"
        assert done.rows(f"select count(*) from {schema}.{table} where shop = %s") == [(rows,)], table
    products = done.rows(
        "select title, description, brand, category_id, price from contract.dim_product where shop = %s"
    )
    assert len(products) <= done.found["most"]
    for at, column in enumerate(("title", "description", "brand", "category_id", "price")):
        share = sum(row[at] is None for row in products) / max(len(products), 1)
        assert done.found["missing"].get(f"dim_product.{column}", 0) == pytest.approx(share), column
    if done.has("orders"):
        [(currency,)] = done.rows("select currency from contract.shop_clock where shop = %s")
        value = done.rows("select frequency, monetary, currency from marts.mart_customer_value where shop = %s")
        pairs = [(row.frequency, row.monetary) for row in value if row.currency == currency]
        orders, spend = (ranks([pair[side] for pair in pairs]) for side in (0, 1))
        assert done.found["customers"] == pytest.approx(pearson(orders, spend))


def test_profile_describes_and_finds_no_violation(run: Runner, shop: str) -> None:
    done = run("02_profile", shop, PROFILE)
    assert done.found["broken"] == [] and done.found["checked"] >= 1
    assert all(done.found["agree"]) and (done.found["agree"] or not done.has("orders"))
    if titles := [row[0] for row in done.rows("select title from contract.dim_product where shop = %s")]:
        missing, distinct, _ = done.found["columns"]["dim_product.title"]
        assert missing == pytest.approx(titles.count(None) / len(titles))
        present = [title for title in titles if title is not None]
        assert distinct == len(set(present))
        is_text = distinct > 50 and distinct > len(present) / 2
        expected = "many values" if is_text else None if present else "empty"
        assert done.found["warned"].get("dim_product.title") == expected
    if done.has("orders"):
        amounts = [row[0] for row in done.rows("select amount from contract.fct_orders where shop = %s")]
        _, distinct, middle = done.found["columns"]["fct_orders.amount"]
        assert distinct == len(set(amounts)) and middle == pytest.approx(float(median(amounts)))
    assert done.text.count("<details>") == sum(count > 0 for count in count_tables(done).values())


def test_cleaning_takes_away_what_it_says(run: Runner, shop: str) -> None:
    done = run("03_clean_and_features", shop, CLEAN)
    for dimension, stated, inferred, _ in done.found["inferred"]:
        counted = Counter(row[0] for row in done.rows(f"select is_inferred from contract.{dimension} where shop = %s"))
        assert (stated, inferred) == (counted[False], counted[True]), dimension
    if not done.has("orders"):
        return
    [(currency,)] = done.rows("select currency from contract.shop_clock where shop = %s")
    left = [row for row in done.rows(ITEMS) if row.currency == currency]
    conditions: list[Callable[[Any], bool]] = [
        lambda row: True,
        lambda row: not row.is_cancellation,
        lambda row: row.quantity > 0,
        lambda row: row.unit_price > 0,
        lambda row: row.is_merchandise,
        lambda row: row.customer_id is not None,
    ]
    for (name, lines, orders, customers, amount, _), condition in zip(done.found["steps"], conditions, strict=True):
        left = [row for row in left if condition(row)]
        assert (lines, orders) == (len(left), len({row.order_id for row in left})), name
        assert customers == len({row.customer_id for row in left if row.customer_id is not None}), name
        assert amount == pytest.approx(float(sum(row.amount for row in left))), name
        if "is_sale" in name:
            assert all(row.is_sale for row in left)


def test_features_hold_nothing_of_the_future(run: Runner, shop: str) -> None:
    done = run("03_clean_and_features", shop, CLEAN)
    if not done.has("orders"):
        return
    [(as_of, first_day, currency)] = done.rows(
        "select as_of, first_day, currency from contract.shop_clock where shop = %s"
    )
    horizon = min(90, (as_of - first_day).days // 4)
    cut = as_of - timedelta(days=horizon)
    assert (done.found["cut"], done.found["horizon"]) == (str(cut), horizon)
    sales = [row for row in done.rows(ITEMS) if row.is_sale and row.customer_id and row.currency == currency]
    past: dict[str, list[Any]] = defaultdict(list)
    prices: dict[str, list[Decimal]] = defaultdict(list)
    for row in sales:
        if row.order_date <= cut:
            past[row.customer_id].append(row)
            prices[row.product_id].append(row.unit_price)
    usual = {product: median(found) for product, found in prices.items()}
    assert len(done.found["known"]) == len(past)
    for customer, recency, frequency, monetary, lines, weekend, reduced in done.found["known"]:
        mine = past[customer]
        assert recency == (cut - max(row.order_date for row in mine)).days, customer
        assert frequency == len({row.order_id for row in mine}), customer
        assert monetary == pytest.approx(float(sum(row.amount for row in mine))), customer
        assert lines == pytest.approx(len(mine) / frequency), customer
        assert weekend == pytest.approx(sum(row.order_date.isoweekday() >= 6 for row in mine) / len(mine)), customer
        below = sum(float(row.unit_price) <= 0.9 * float(usual[row.product_id]) for row in mine)
        assert reduced == pytest.approx(below / len(mine)), customer
    buyers = {row.customer_id for row in sales if cut < row.order_date <= as_of} & past.keys()
    assert done.found["bought"] == len(buyers)
    if 0 < len(buyers) < len(past):
        assert done.found["leak"] == 1.0 and done.found["honest"] < 1.0
    if done.has("categories"):
        favourites_are_the_largest(done, past)


def favourites_are_the_largest(done: Run, past: dict[str, list[Any]]) -> None:
    """No category at the top of the tree has more of a customer's spend than the favourite."""
    paths = dict(done.rows("select category_id, path from contract.dim_category where shop = %s"))
    of = dict(done.rows("select product_id, category_id from contract.dim_product where shop = %s"))
    for customer, favourite in done.found["favourites"].items():
        spend: dict[str, Decimal] = defaultdict(Decimal)
        for row in past[customer]:
            if of[row.product_id] is not None:
                spend[paths[of[row.product_id]].split(" > ")[0]] += row.amount
        assert float(spend[favourite]) == pytest.approx(float(max(spend.values()))), customer


def test_actors_are_those_before_the_cut(run: Runner, shop: str) -> None:
    done = run("03_clean_and_features", shop, CLEAN)
    if not done.has("events"):
        return
    rows = done.rows("select actor_id, interaction_date, kind from contract.fct_interactions where shop = %s")
    [(as_of,)] = done.rows("select as_of from contract.shop_clock where shop = %s")
    count, returned, day, views = done.found["actors"]
    cut = date.fromisoformat(day)
    assert cut == as_of - timedelta(days=min(28, (as_of - min(row.interaction_date for row in rows)).days // 4))
    before = {row.actor_id for row in rows if row.interaction_date <= cut}
    assert count == len(before)
    assert returned == len(before & {row.actor_id for row in rows if cut < row.interaction_date <= as_of})
    assert views == sum(row.kind == "view" and row.interaction_date <= cut for row in rows)


def test_sales_are_those_of_the_lines(run: Runner, shop: str) -> None:
    done = run("04_sales", shop, SALES)
    [(as_of, first_day, currency)] = done.rows(
        "select as_of, first_day, currency from contract.shop_clock where shop = %s"
    )
    if done.has("orders"):
        until = [row for row in done.rows(ITEMS) if row.currency == currency and row.order_date <= as_of]
        sold = [row for row in until if row.is_sale]
        totals = done.found["totals"]
        assert totals["gross_sales"] == pytest.approx(float(sum(row.amount for row in sold)))
        assert totals["units"] == sum(row.quantity for row in sold)
        assert totals["orders"] == len({row.order_id for row in sold})
        assert done.found["days"] == (as_of - first_day).days + 1
        assert sum(done.found["months"].values()) == pytest.approx(totals["net_sales"])
        daily = done.rows("select order_date, net_sales, currency from marts.mart_daily_sales where shop = %s")
        net = [row for row in daily if row.currency == currency and row.order_date <= as_of]
        for month, amount in done.found["months"].items():
            of_month = [row.net_sales for row in net if f"{row.order_date:%Y-%m}" == month]
            assert amount == pytest.approx(float(sum(of_month)), abs=1e-6), month
        baskets: dict[str, list[Decimal]] = defaultdict(list)
        for row in sold:
            baskets[row.order_id].append(row.amount)
        middle = float(median(sum(amounts) for amounts in baskets.values()))
        assert done.found["baskets"] == [len(baskets), pytest.approx(middle), max(map(len, baskets.values()))]
    if done.has("events"):
        kinds = done.rows("select event_type, event_date from contract.fct_events where shop = %s")
        counted = Counter(kind for kind, day in kinds if day <= as_of)
        steps = done.found["steps"]
        assert (steps["views"], steps["carts"], steps["purchases"]) == tuple(
            counted[kind] for kind in ("view", "cart", "purchase")
        )
    if done.has("reviews"):
        scores = done.rows("select score, review_date from contract.fct_reviews where shop = %s")
        counted_scores = [score for score, day in scores if day <= as_of]
        # The daily means are rounded to four places.
        assert done.found["score"] == pytest.approx(sum(counted_scores) / len(counted_scores), abs=1e-4)


@pytest.mark.parametrize("shop", SEARCHED)
def test_search_agrees_with_a_recount_over_all_points(run: Runner, shop: str) -> None:
    done = run("05_search", shop, SEARCH)
    no_trouble(done)
    name, points, rows, shape = done.found["collection"]
    assert name.startswith(f"{shop}_products_") and points == rows == shape[0] > 20
    product, nearest, scores = done.found["nearest"]
    assert product not in nearest and scores == sorted(scores, reverse=True)
    exact = [other for other in done.found["exact"] if other != product][:10]
    assert len(set(nearest) & set(exact)) >= 9, "the index finds other products than brute force"
    lists = done.found["lists"]
    assert done.found["fused"] == lists["both"] and len({*map(tuple, lists.values())}) == 3
    payloads = done.found["payloads"]
    field, counts = done.found["counts"]
    has = [values if isinstance(values, list) else [values] for values in (one.get(field) or [] for one in payloads)]
    counted = Counter(value for values in has for value in set(values))
    assert counts == {value: counted[value] for value in counts} and max(counts.values()) == max(counted.values())
    fitting = done.found["fitting"]
    assert fitting["none of these"] <= points - max(
        count for name, count in fitting.items() if name not in ("all of these", "none of these")
    )
    for name, count in fitting.items():
        if name.startswith("price up to "):
            limit = median(one["price"] for one in payloads if "price" in one)
            assert count == sum(one["price"] <= limit for one in payloads if "price" in one)
    assert 0 < done.found["kept"] < 1 and done.figures == 2


def test_a_shop_without_text_has_nothing_to_search(run: Runner) -> None:
    without = [shop for shop in SHOPS if shop not in SEARCHED]
    if not without:
        pytest.skip("all shops of the given home have text")
    done = run("05_search", without[0], SEARCH)
    no_trouble(done)
    assert "provides no text of its products. There is nothing to search." in done.text and done.figures == 0


def count_tables(done: Run) -> dict[str, int]:
    """Table -> rows of the shop, of all tables with a shop."""
    names = done.rows(
        "select table_schema || '.' || table_name from information_schema.columns"
        " where table_schema in ('contract', 'marts') and column_name = 'shop' and %s <> ''"
    )
    return {name: done.rows(f"select count(*) from {name} where shop = %s")[0][0] for (name,) in names}


def no_trouble(done: Run) -> None:
    """No cell fails or complains."""
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []


def ranks(values: list[Any]) -> list[float]:
    """The rank of each value; equal ones share the mean of their places."""
    places: dict[Any, list[int]] = defaultdict(list)
    for place, value in enumerate(sorted(values), start=1):
        places[value].append(place)
    return [sum(places[value]) / len(places[value]) for value in values]


def pearson(left: list[float], right: list[float]) -> float:
    middle_left, middle_right = sum(left) / len(left), sum(right) / len(right)
    products = sum((a - middle_left) * (b - middle_right) for a, b in zip(left, right, strict=True))
    spread = sum((a - middle_left) ** 2 for a in left) * sum((b - middle_right) ** 2 for b in right)
    return float(products / spread**0.5)
