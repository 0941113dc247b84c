"""The assets of search over a small contract: what changed is made again, the rest is not, and it can be found."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.search.assess import assess, queries_of
from assets.search.assets import COLLECTION, DOCUMENTS, EMBEDDINGS, EVALUATION, build_search_assets
from assets.search.config import Weights, load_search_config
from assets.search.documents import kept
from assets.search.publishing import publish
from assets.search.retrieve import Searcher, SearchError
from assets.search.where import WhereError, parse
from resources.dagster_resources import EmbedderResource, VectorsResource, WarehouseResource
from resources.embedder import Embedder
from resources.settings import load_settings
from resources.shops import load_shops
from resources.vectors.collection import CollectionError
from resources.vectors.folder import FolderStore
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.serving.rig import wait_until

SHOP = "online_retail"
DDL = """
create schema if not exists contract;
create schema if not exists marts;
create table contract.dim_product (
    shop text, product_id text, title text, description text, keywords text, brand text, category_id text,
    price numeric(18,4), currency text, is_merchandise boolean, is_inferred boolean
);
create table contract.dim_category (shop text, category_id text, parent_id text, path text, depth int);
create table contract.fct_order_items (
    shop text, product_id text, country text, is_sale boolean, order_id text
);
create table contract.shop_clock (shop text, as_of date, timezone text);
create table marts.mart_product_sales (
    shop text, product_id text, currency text, units bigint, orders bigint, sales numeric(18,4),
    first_sold_at timestamptz, last_sold_at timestamptz
);
insert into contract.shop_clock values ('online_retail', '2026-01-31', 'Europe/London');
insert into contract.dim_category values ('online_retail', 'g', 'h', 'Home > Garden', 2);
"""
TITLES = {
    "1": "ceramic mug with a robin",
    "2": "garden spade with an ash handle",
    "3": "watering can, zinc",
    "4": "pack of 20 paper napkins",
    "5": "hot water bottle in a knitted cover",
    "6": "alarm clock, bakelike, green",
    "7": "string of 40 fairy lights",
    "8": "picture frame, white wash",
}


class Catalogue:
    """A shop's contract tables, and the assets that stand on them."""

    def __init__(self, warehouse: Warehouse, home: Path) -> None:
        self.warehouse, self.home = warehouse, home
        self.instance = dg.DagsterInstance.ephemeral()
        self.resources = {
            "warehouse": WarehouseResource(home=str(warehouse.settings.home)),
            "embedder": EmbedderResource(home=str(home)),
            "vectors": VectorsResource(home=str(home)),
        }
        self.assets = build_search_assets(load_shops(ALL_SHOPS))
        self.put(TITLES)

    def put(self, titles: Mapping[str, str], price: float = 3.5) -> None:
        """Let the shop sell these products, two of them in the garden, one of them in France."""
        rows = [
            (SHOP, product, title, "g" if product in "23" else None, price + int(product), True, False)
            for product, title in titles.items()
        ]
        rows.append((SHOP, "POST", "postage", None, 1.0, False, False))
        rows.append((SHOP, "seen", None, None, None, True, True))
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.execute("truncate contract.dim_product, contract.fct_order_items, marts.mart_product_sales")
            cursor.executemany(
                "insert into contract.dim_product (shop, product_id, title, category_id, price, currency,"
                " is_merchandise, is_inferred) values (%s, %s, %s, %s, %s, 'GBP', %s, %s)",
                rows,
            )
            cursor.execute("insert into contract.fct_order_items values (%s, '2', 'France', true, 'a')", [SHOP])
            cursor.execute(
                "insert into marts.mart_product_sales values (%s, '2', 'GBP', 7, 3, 24.5, '2026-01-02', '2026-01-30'),"
                " (%s, '2', 'EUR', 1, 1, 4, '2026-01-03', '2026-01-03')",
                [SHOP, SHOP],
            )

    def make(self, *keys: dg.AssetKey) -> dict[str, Any]:
        """Materialize; the metadata of the last of the keys, and its data version as `version`."""
        done = dg.materialize(
            self.assets,
            selection=[key.to_user_string() for key in keys],
            partition_key=SHOP,
            resources=self.resources,
            instance=self.instance,
        )
        [event] = done.asset_materializations_for_node("__".join(keys[-1].path))
        tags = event.tags or {}
        return {name: value.value for name, value in event.metadata.items()} | {"version": tags["dagster/data_version"]}

    def searcher(self) -> Searcher:
        reader = FolderStore(self.home / "vectors").reader(SHOP)
        return Searcher(reader, Embedder.of(reader.manifest.embedder), 50)


ALL = (DOCUMENTS, EMBEDDINGS, COLLECTION)


@pytest.fixture
def catalogue(warehouse: Warehouse, tmp_path: Path) -> Iterator[Catalogue]:
    drop = "drop schema if exists contract, marts, features cascade"
    with warehouse.connect() as connection:
        connection.execute(drop)
        connection.execute(DDL)
    yield Catalogue(warehouse, tmp_path)
    with warehouse.connect() as connection:
        connection.execute(drop)


def found(searcher: Searcher, text: str, *where: str, top: int = 3) -> list[str]:
    return [hit.product_id for hit in searcher.search(text, parse(where), top)]


def test_merchandise_is_found_by_words_by_meaning_and_by_conditions(catalogue: Catalogue) -> None:
    made = catalogue.make(*ALL)
    assert made["dagster/partition_row_count"] == 8
    assert made["recall of the index"] == 1.0
    searcher = catalogue.searcher()
    assert found(searcher, "alarm clock")[0] == "6"
    assert found(searcher, "something to dig the flower beds with")[0] == "2"
    assert found(searcher, "something cosy that keeps me warm")[0] == "5"
    assert found(searcher, "garden", "category=Home", top=8) == ["2", "3"]
    assert found(searcher, "tool", "country=France") == ["2"]
    assert found(searcher, "tool", "country!=France", top=8) == [
        product for product in found(searcher, "tool", top=8) if product != "2"
    ]
    assert set(found(searcher, "anything", "price<6", top=8)) == {"1", "2"}
    assert found(searcher, "anything", "last_sold_at>=2026-01-15") == ["2"]
    [hit] = searcher.search("spade", top=1)
    assert hit.payload["orders"] == 3, "sales of several currencies are not one"
    assert hit.payload["sales_currency"] == "GBP"
    assert "POST" not in found(searcher, "postage", top=10)


def test_what_did_not_change_is_not_made_again(catalogue: Catalogue) -> None:
    first = catalogue.make(*ALL)
    again = catalogue.make(*ALL)
    assert (again["published"], again["version"]) == (False, first["version"])
    assert catalogue.make(DOCUMENTS)["version"] == catalogue.make(DOCUMENTS)["version"]
    assert catalogue.make(EMBEDDINGS)["embedded in this run"] == 0


def test_a_price_is_published_without_embedding_a_text_with_it_alone(catalogue: Catalogue) -> None:
    catalogue.make(*ALL)
    catalogue.put(TITLES, price=100.0)
    assert catalogue.make(DOCUMENTS)["changed"] == 8
    assert catalogue.make(EMBEDDINGS)["embedded in this run"] == 0
    assert catalogue.make(COLLECTION)["published"] is True
    assert found(catalogue.searcher(), "mug", "price>100")[0] == "1"
    catalogue.put({**TITLES, "6": "cuckoo clock from the Black Forest"}, price=100.0)
    catalogue.make(DOCUMENTS)
    made = catalogue.make(EMBEDDINGS)
    assert made["embedded in this run"] == 1
    assert made["forgotten, of texts that are gone"] == 1
    catalogue.make(COLLECTION)
    assert found(catalogue.searcher(), "a bird that tells the time")[0] == "6"


def test_a_product_that_is_gone_is_found_no_more(catalogue: Catalogue) -> None:
    catalogue.make(*ALL)
    catalogue.put({product: title for product, title in TITLES.items() if product != "6"})
    assert catalogue.make(DOCUMENTS)["gone"] == 1
    catalogue.make(EMBEDDINGS)
    assert catalogue.make(COLLECTION)["dagster/partition_row_count"] == 7
    assert "6" not in found(catalogue.searcher(), "alarm clock", top=10)


def test_a_shop_without_a_product_publishes_an_empty_collection(catalogue: Catalogue) -> None:
    catalogue.put({})
    assert catalogue.make(*ALL)["dagster/partition_row_count"] == 0
    assert found(catalogue.searcher(), "anything") == []


def test_texts_without_vectors_are_not_published(catalogue: Catalogue) -> None:
    catalogue.make(*ALL)
    catalogue.put({**TITLES, "9": "bird table"})
    catalogue.make(DOCUMENTS)
    with pytest.raises(
        CollectionError, match=r"1 texts have no vector, such as that of product '9'. Remedy: cartograph"
    ):
        catalogue.make(COLLECTION)
    assert found(catalogue.searcher(), "alarm clock")[0] == "6", "the version before answers"


def test_a_pointer_that_was_cut_is_written_anew(catalogue: Catalogue) -> None:
    first = catalogue.make(*ALL)
    pointer = catalogue.home / "vectors" / f"{SHOP}_products" / "current.json"
    pointer.write_bytes(pointer.read_bytes()[: pointer.stat().st_size // 2])
    with pytest.raises(CollectionError, match=r"current\.json: this is no manifest"):
        catalogue.searcher()
    mended = catalogue.make(COLLECTION)
    assert (mended["published"], int(mended["version"])) == (True, int(first["version"]) + 1)
    assert mended["weights"] == load_search_config(SHOP).weights.of_vectors()
    assert found(catalogue.searcher(), "alarm clock")[0] == "6"
    assert catalogue.make(COLLECTION)["published"] is False


def test_publishers_of_one_shop_come_one_after_the_other(catalogue: Catalogue) -> None:
    catalogue.make(DOCUMENTS, EMBEDDINGS)
    store, config, said = FolderStore(catalogue.home / "vectors"), load_search_config(SHOP), list[str]()
    with catalogue.warehouse.connect() as connection:
        documents = kept(connection, SHOP)
    embedder, done = Embedder(), list[int]()

    def run() -> None:
        made, _ = publish(
            catalogue.warehouse, store, SHOP, "en", documents, None, embedder, config, lambda line: said.append(line)
        )
        done.append(made.version)

    with catalogue.warehouse.advisory_lock(f"search {SHOP}"):
        both = [threading.Thread(target=run) for _ in range(2)]
        for one in both:
            one.start()
        wait_until(lambda: said.count("waiting for another run that publishes") == 2)
        assert done == []
    for one in both:
        one.join()
    assert done == [1, 1], "the second finds that nothing is left to do"


def test_judged_queries_choose_the_weights_that_searches_use(catalogue: Catalogue) -> None:
    catalogue.make(*ALL)
    few = catalogue.make(EVALUATION)
    assert few["choice"].startswith("No weights were chosen: there are 0 judged queries")
    queries = catalogue.home / "queries" / f"{SHOP}.csv"
    queries.parent.mkdir()
    asked = [(f"{title} number {number}", product) for number in range(12) for product, title in TITLES.items()]
    lines = ["query,product_id,grade,kind", *(f'"{text}",{product},3,words' for text, product in asked)]
    queries.write_text("\n".join(lines), encoding="utf-8")
    made = catalogue.make(EVALUATION)
    assert "judged queries" in made["choice"]
    assert not made["choice"].startswith("No")
    assert made["version"] != few["version"]
    assert FolderStore(catalogue.home / "vectors").reader(SHOP).manifest.weights == made["weights"]
    with catalogue.warehouse.connect() as connection:
        asked_of = queries_of(load_settings(home=catalogue.home), SHOP, kept(connection, SHOP), 1)
    assert len(asked_of) > len(asked), "and such as the catalogue gives"


def test_other_weights_of_the_settings_are_used_from_the_next_evaluation_on(catalogue: Catalogue) -> None:
    before = catalogue.make(*ALL)
    settings, store = load_settings(home=catalogue.home), FolderStore(catalogue.home / "vectors")
    config = load_search_config(SHOP).model_copy(update={"weights": Weights(dense=3, bm25=1)})
    assert config.weights.of_vectors() != before["weights"]
    with catalogue.warehouse.connect() as connection:
        documents = kept(connection, SHOP)
    others = "select count(*) from pg_stat_activity where application_name = %s and wait_event = 'advisory'"

    def weights() -> Mapping[str, float]:
        with store.reader(SHOP) as reader:
            return reader.manifest.weights

    def waiting() -> bool:
        with catalogue.warehouse.connect() as connection:
            return connection.execute(others, [f"cartograph lock search {SHOP}"]).fetchone() == (1,)

    evaluating = threading.Thread(
        target=assess, args=(catalogue.warehouse, store, settings, SHOP, documents, config), daemon=True
    )
    with catalogue.warehouse.advisory_lock(f"search {SHOP}"):
        evaluating.start()
        wait_until(waiting)
        assert weights() == before["weights"], "another publishes"
    evaluating.join(120)
    assert weights() == {"dense": 3.0, "bm25": 1.0}
    assert store.manifest(SHOP).version == int(before["version"])


def test_wrong_judgements_name_their_line(catalogue: Catalogue) -> None:
    catalogue.make(*ALL)
    queries = catalogue.home / "queries" / f"{SHOP}.csv"
    queries.parent.mkdir()
    queries.write_text("query,product_id,grade,kind\nmug,1,7,words\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"online_retail\.csv, line 2: the grade is '7'"):
        catalogue.make(EVALUATION)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "the query is empty"), (" \x00\n\t", "the query is empty"), ("word " * 10_000, "may have 1,000; shorten it")],
)
def test_what_is_no_query_is_refused(catalogue: Catalogue, text: str, message: str) -> None:
    catalogue.make(*ALL)
    with pytest.raises(SearchError, match=message):
        catalogue.searcher().search(text)


def test_odd_queries_are_answered(catalogue: Catalogue) -> None:
    catalogue.make(*ALL)
    searcher = catalogue.searcher()
    for text in ("\x07robin\x00 mug", "the of and", "😀", "Blumengießkanne", "x" * 1000, "half \ud83d mug"):
        assert len(searcher.search(text, top=8)) > 0, text
    with pytest.raises(WhereError, match="'prise' is no field; did you mean 'price'"):
        searcher.search("mug", {"prise": 3})
