"""News and faults put into the shops' files by hand, in each shop's own format."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from tests.world import files

Rows = list[dict[str, Any]]

ADDED = 10**12
"""Above every number that the simulator gives."""
EARLY, LATE = "thelook", "olist"
"""The shops that fail: the first in the order of building and declaring, and one behind most others."""
TEST = {EARLY: "dim_product_price_not_negative", LATE: "fct_reviews_score_1_to_5"}
"""The test of the contract that each of them then fails."""


def rewrite_parquet(path: Path, change: Callable[[Rows], None]) -> None:
    """Change the rows of a Parquet file in place, in its own schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def add_csv(source: Path, base: str, number: int, row: dict[str, Any]) -> None:
    """Add a later file of a table with one row, as growth does."""
    with (source / f"{base}_2049-01-{number:02d}.csv").open("w", encoding="utf-8", newline="") as text:
        out = csv.DictWriter(text, list(row))
        out.writeheader()
        out.writerow(row)


def put_price(inbox: Path, price: float) -> float:
    """Set the list price of theLook's first product; gives the one that it had."""
    had: list[float] = []

    def change(rows: Rows) -> None:
        had.append(rows[0]["retail_price"])
        rows[0]["retail_price"] = price

    rewrite_parquet(inbox / "thelook" / "products" / "products.parquet", change)
    return had[0]


def put_score(inbox: Path, day: date, number: int, score: int) -> None:
    """Add a review of Olist's first order; one of a larger number is its later version."""
    order = next(files.csv_records(inbox / "olist", "olist_orders_dataset.csv"))
    review = {"review_id": "added", "order_id": order["order_id"], "review_score": score, "review_comment_title": ""}
    review |= {"review_comment_message": "", "review_creation_date": f"{day} 00:00:00"}
    review |= {"review_answer_timestamp": f"{day} 12:00:00"}
    add_csv(inbox / "olist", "olist_order_reviews_dataset", number, review)


def add_title(inbox: Path) -> None:
    """Add a title: simulated ones do not grow."""
    title = {"MAL_ID": ADDED, "Name": "Added", "Score": "Unknown", "Genres": "Drama", "Synopsis": "What was added."}
    add_csv(inbox / "anime", "anime_with_synopsis", 1, title)


def add_lines_without_order(inbox: Path, day: date) -> None:
    """Add a line to theLook and one to Olist, each of an order that is not there."""

    def change(rows: Rows) -> None:
        rows.append({**rows[-1], "id": ADDED, "order_id": ADDED})

    rewrite_parquet(max((inbox / "thelook" / "order_items").glob("*.parquet")), change)
    line = {"order_id": "added", "order_item_id": 1, "product_id": "added", "seller_id": "added"}
    line |= {"shipping_limit_date": f"{day} 12:00:00", "price": "10.50", "freight_value": "1.00"}
    add_csv(inbox / "olist", "olist_order_items_dataset", 1, line)
