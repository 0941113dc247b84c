"""What is there of the real Olist, RetailRocket, anime and theLook loads and passes its tests; what is not is said."""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.embedded_postgres import release
from tests.conftest import ALL_SHOPS
from tests.orchestration.command import cartograph

pytestmark = pytest.mark.real_data

FILES = {
    "olist": [
        "olist/olist_products_dataset.csv",
        "olist/olist_sellers_dataset.csv",
        "olist/olist_order_reviews_dataset.csv",
        "olist/olist_order_payments_dataset.parquet",
        "olist/product_category_name_translation.csv",
    ],
    "retailrocket": ["retailrocket/category_tree.csv"],
    "anime": ["anime/anime_with_synopsis.csv"],
    "thelook": ["thelook/distribution_centers.csv"],
}


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def home(real_data_folder: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cgr-"))
    folder.chmod(0o755)
    made = folder / "home"
    for shop, files in FILES.items():
        put = cartograph(
            made, "upload", shop, *(real_data_folder / file for file in files), CARTOGRAPH_SHOPS_FILE=str(ALL_SHOPS)
        )
        assert put.returncode == 0, put.stderr
    result = cartograph(made, "materialize", CARTOGRAPH_SHOPS_FILE=str(ALL_SHOPS))
    assert result.returncode == 0, result.stdout + result.stderr
    yield made
    release(made)
    shutil.rmtree(folder, ignore_errors=True)


def counts(home: Path, table: str) -> dict[str, int]:
    query = f"select shop, count(*) as n from {table} where not is_inferred group by shop"
    query = query.replace("where not is_inferred ", "") if table.startswith("fct") else query
    result = cartograph(home, "sql", query, "--format", "json", CARTOGRAPH_SHOPS_FILE=str(ALL_SHOPS))
    assert result.returncode == 0, result.stderr
    return {row["shop"]: row["n"] for row in json.loads(result.stdout)}


def test_every_line_of_the_files_is_in_the_contract(home: Path, real_data_folder: Path) -> None:
    products = len(lines(real_data_folder / "olist" / "olist_products_dataset.csv"))
    titles = len(lines(real_data_folder / "anime" / "anime_with_synopsis.csv"))
    assert counts(home, "dim_product") == {"olist": products, "anime": titles}
    reviews = lines(real_data_folder / "olist" / "olist_order_reviews_dataset.csv")
    assert counts(home, "fct_reviews") == {"olist": len({(row["review_id"], row["order_id"]) for row in reviews})}
    tree = lines(real_data_folder / "retailrocket" / "category_tree.csv")
    assert counts(home, "dim_category")["retailrocket"] == len(tree)


def test_the_status_says_what_is_missing_and_crashes_on_none_of_it(home: Path) -> None:
    result = cartograph(home, "status", "--json", CARTOGRAPH_SHOPS_FILE=str(ALL_SHOPS))
    assert result.returncode == 0, result.stderr
    shops = json.loads(result.stdout)["shops"]
    assert {name: shop["state"] for name, shop in shops.items()} == {
        "thelook": "ready",
        "retailrocket": "ready",
        "online_retail": "no data",
        "olist": "ready",
        "anime": "ready",
    }
    missing = {
        name: {table for table, held in shop["tables"].items() if held["state"] == "missing"}
        for name, shop in shops.items()
    }
    assert missing["olist"] == {"orders", "order_items", "customers", "geolocation"}
    assert missing["retailrocket"] == {"events", "item_properties"}
    assert missing["anime"] == set()
    assert missing["thelook"] == {"users", "orders", "order_items", "products", "inventory_items", "events"}
    said = cartograph(home, "status", CARTOGRAPH_SHOPS_FILE=str(ALL_SHOPS)).stdout
    assert "nothing in the source for events, item_properties: `cartograph upload retailrocket FILE`" in said
