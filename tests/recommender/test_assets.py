"""The four assets over a small contract: trained, compared, promoted, published; in vain never, and never worse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.recommender.assets import CHAMPION, INTERACTIONS, MODEL, RECOMMENDATIONS, build_recommender_assets
from assets.recommender.config import load_recommender_config
from assets.recommender.features import read
from assets.recommender.interactions import Interactions
from assets.recommender.model import Recommender
from assets.recommender.predictions import lookup
from assets.recommender.training import register, window_of
from resources.dagster_resources import LakeResource, TrackingResource, WarehouseResource
from resources.lake import Lake
from resources.shops import load_shops
from resources.tracking import model_name
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.recommender.made import BEGIN, two_tastes

SHOP = "online_retail"
NAME = model_name("recommender", SHOP)
DAYS = 120


class Loop:
    """A shop's contract tables, and the assets that stand on them."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self.warehouse, self.lake = warehouse, Lake(str(folder / "lake"))
        self.instance = dg.DagsterInstance.ephemeral()
        home = str(warehouse.settings.home)
        self.resources = {
            "warehouse": WarehouseResource(home=home),
            "lake": LakeResource(location=self.lake.location),
            "tracking": TrackingResource(home=home),
        }
        self.tracking = self.resources["tracking"].client()
        self.assets = build_recommender_assets(load_shops(ALL_SHOPS))

    def put(self, interactions: Interactions, as_of: date | None) -> None:
        """Put these rows in place of what the contract holds."""
        rows = [
            (SHOP, row["actor_id"], row["product_id"], row["kind"], row["occurred_at"], row["quantity"])
            for row in interactions.to_table().to_pylist()
        ]
        products = [(SHOP, product, True, False) for product in interactions.product_ids.to_pylist()]
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.execute("truncate contract.fct_interactions, contract.dim_product, contract.shop_clock")
            cursor.executemany("insert into contract.fct_interactions values (%s, %s, %s, %s, %s, %s)", rows)
            cursor.executemany("insert into contract.dim_product values (%s, %s, %s, %s, null)", products)
            cursor.execute("insert into contract.shop_clock values (%s, %s, 'UTC')", [SHOP, as_of])

    def run(self, *keys: dg.AssetKey) -> dict[str, dict[str, Any]]:
        """Materialize; the metadata of each asset, by the last part of its key."""
        result = dg.materialize(
            self.assets,
            selection=dg.AssetSelection.assets(*keys) | dg.AssetSelection.checks_for_assets(*keys),
            partition_key=SHOP,
            resources=self.resources,
            instance=self.instance,
        )
        assert result.success
        assert all(check.passed for check in result.get_asset_check_evaluations())
        return {
            event.asset_key.path[-1]: {name: value.value for name, value in event.materialization.metadata.items()}
            for event in result.get_asset_materialization_events()
            if event.asset_key is not None
        }

    def everything(self) -> dict[str, dict[str, Any]]:
        return self.run(INTERACTIONS, MODEL, CHAMPION, RECOMMENDATIONS)

    def champion(self) -> int | None:
        held = self.tracking.champion(NAME)
        return None if held is None else held.version

    def audit(self) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(
                "select action, from_version, to_version, figures ->> 'code' from monitoring.promotions"
                " where model = %s order by id",
                [NAME],
            ).fetchall()


@pytest.fixture
def loop(warehouse: Warehouse, tmp_path: Path) -> Iterator[Loop]:
    with warehouse.connect() as connection:
        connection.execute("create schema if not exists contract")
        connection.execute(
            "create table contract.fct_interactions (shop text, actor_id text, product_id text, kind text,"
            " occurred_at timestamptz, quantity bigint)"
        )
        connection.execute(
            "create table contract.dim_product (shop text, product_id text, is_merchandise bool, is_inferred bool,"
            " category_id text)"
        )
        connection.execute("create table contract.shop_clock (shop text, as_of date, timezone text)")
    made = Loop(warehouse, tmp_path)
    yield made
    with made.tracking.client() as client:
        if any(found.name == NAME for found in client.search_registered_models()):
            client.delete_registered_model(NAME)
    with warehouse.connect() as connection:
        connection.execute("drop table contract.fct_interactions, contract.dim_product, contract.shop_clock")
        for name in ("features.interactions", "predictions.recommendations", "predictions.generations"):
            connection.execute(f"drop table if exists {name}")  # type: ignore[arg-type]
        connection.execute("drop schema if exists monitoring cascade")


def last_day(days: int = DAYS) -> date:
    return BEGIN.date() + timedelta(days=days - 1)


def test_a_shop_gets_a_champion_and_everybody_a_list_and_a_second_run_trains_nothing(loop: Loop) -> None:
    loop.put(two_tastes(actors=400, days=DAYS), last_day())
    first = loop.everything()
    assert first["model"]["trained"] and first["model"]["reason"] == "there is no model yet"
    told = first["champion"]
    assert (told["promoted"], told["decision"], told["champion"]) == (True, "first_champion", "version 1")
    assert told["challenger (NDCG@10)"] > told["baseline (NDCG@10)"] > 0
    assert loop.champion() == 1
    assert first["recommendations"]["dagster/partition_row_count"] == 400
    with loop.warehouse.connect() as connection:
        for actor in ("a000", "b001"):
            found = lookup(connection, SHOP, actor)
            assert found is not None and not found.is_fallback and found.model_version == 1
            # Nearly all of what it did is of its own taste.
            assert np.mean([product[0] == actor[0] for product in found.product_ids[:10]]) >= 0.8

    second = loop.everything()
    assert (second["model"]["trained"], second["model"]["version"]) == (False, 1)
    assert "nothing changed" in second["model"]["reason"]
    assert (second["champion"]["promoted"], second["champion"]["reason"]) == (False, "there is no challenger")
    assert len(loop.tracking.versions(NAME)) == 1
    assert loop.audit() == [("promote", None, 1, "first_champion")]


def test_a_version_whose_process_died_before_it_became_challenger_is_compared_all_the_same(loop: Loop) -> None:
    loop.put(two_tastes(actors=400, days=DAYS), last_day())
    loop.run(INTERACTIONS, MODEL)
    loop.tracking.drop_alias(NAME, "challenger")
    told = loop.run(MODEL)["model"]
    assert not told["trained"] and "was left without the alias challenger" in told["reason"]
    assert loop.run(CHAMPION)["champion"]["decision"] == "first_champion"
    # One that was decided about is not brought up again.
    assert "left without" not in loop.run(MODEL)["model"]["reason"]
    assert loop.run(CHAMPION)["champion"]["reason"] == "there is no challenger"


def test_what_the_shop_took_from_its_shelves_is_recommended_to_nobody(loop: Loop) -> None:
    rows = two_tastes(actors=400, days=DAYS)
    loop.put(rows, last_day())
    loop.everything()
    count = "select count(*) from predictions.recommendations where %s = any (product_ids)"
    with loop.warehouse.connect() as connection:
        (gone, times) = connection.execute(
            "select product_id, count(*) from predictions.recommendations, unnest(product_ids) as listed (product_id)"
            " group by 1 order by 2 desc, 1 limit 1"
        ).fetchone() or ("", 0)
        assert times > 100
        connection.execute("update contract.dim_product set is_inferred = true where product_id = %s", [gone])
    told = loop.everything()
    assert not told["model"]["trained"], "the champion is the one that knew the product"
    with loop.warehouse.connect() as connection:
        assert connection.execute(count, [gone]).fetchone() == (0,)
        assert connection.execute("select count(*) from predictions.recommendations").fetchone() == (400,)


def test_a_worse_challenger_is_refused_with_its_reason_and_not_tried_again(loop: Loop) -> None:
    loop.put(two_tastes(actors=400, days=DAYS), last_day())
    loop.everything()
    config = load_recommender_config(SHOP)
    snapshot, rows = read(loop.warehouse, loop.lake, SHOP)
    # The products are dealt out anew: what it learned is noise.
    shuffled = np.random.default_rng(1).permutation(rows.product).astype(np.int32)
    noise = Interactions(**{**vars(rows), "product": shuffled})
    worse = Recommender.fit(noise, config, window_of(snapshot, rows, config))
    with loop.tracking.client() as client:
        run = client.create_run(loop.tracking.experiment("recommender"))
    tracked = type("Run", (), {"run_id": run.info.run_id})()
    challenger = register(loop.tracking, tracked, worse, snapshot, config)
    assert challenger.version == 2

    told = loop.run(CHAMPION)["champion"]
    assert (told["promoted"], told["decision"], told["champion"]) == (False, "baseline_not_beaten", "version 1")
    assert "the baseline is not beaten" in told["reason"]
    assert told["challenger (NDCG@10)"] < told["champion (NDCG@10)"]
    assert loop.champion() == 1
    assert loop.audit()[-1] == ("refuse", 1, 2, "baseline_not_beaten")

    again = loop.run(CHAMPION)["champion"]
    assert again["reason"].startswith("refused on ") and len(loop.audit()) == 2


def test_a_shop_without_a_closed_day_fails_nothing_and_goes_on_when_it_has_one(loop: Loop) -> None:
    rows = two_tastes(actors=400, days=DAYS)
    loop.put(rows.take(np.arange(len(rows)) < 0), None)
    told = loop.everything()
    assert {each["reason"] for each in told.values()} == {"the shop has no closed day yet"}
    assert told["recommendations"]["dagster/partition_row_count"] == 0
    assert loop.champion() is None
    loop.put(rows, last_day())
    assert loop.everything()["champion"]["promoted"] is True


def test_a_shop_with_ten_interactions_has_no_champion_and_recommends_what_is_popular(loop: Loop) -> None:
    rows = two_tastes(actors=400, days=DAYS)
    few = rows.take(np.arange(len(rows)) < 10)
    loop.put(few, last_day())
    told = loop.everything()
    assert (told["champion"]["decision"], told["champion"]["champion"]) == ("not_enough_evidence", "none yet")
    assert (told["recommendations"]["model"], told["recommendations"]["version"]) == ("popularity", 0)
    with loop.warehouse.connect() as connection:
        found = lookup(connection, SHOP, "a000")
    assert found is not None and found.is_fallback and found.model_version == 0
    assert set(found.product_ids) <= set(few.product_ids.to_pylist())
