"""A home of its own with small contract tables, a shop in them, and the champion of its recommender in MLflow."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from resources.settings import load_settings
from resources.tracking import ModelVersion, Tracking, model_name
from resources.warehouse import Warehouse

FIRST = date(2026, 1, 5)
CUT = FIRST + timedelta(days=70)
"""The champion is trained on the days before it."""
ZONE = "Europe/Lisbon"
PRODUCTS = 40

_CONTRACT = """
create schema contract;
create table contract.shop_clock (shop text, as_of date, timezone text, currency text, first_day date, last_day date,
    facts bigint);
create table contract.dim_category (shop text, category_id text, path text);
create table contract.dim_product (shop text, product_id text, title text, category_id text, price numeric,
    is_merchandise boolean);
create table contract.dim_product_history (shop text, product_id text, valid_from timestamptz, valid_to timestamptz,
    price numeric);
create table contract.fct_interactions (shop text, actor_id text, product_id text, kind text, occurred_at timestamptz,
    interaction_date date, quantity bigint, origin text);
create table contract.fct_order_items (shop text, product_id text, customer_id text, order_date date,
    unit_price numeric, is_sale boolean);
create schema predictions;
create table predictions.recommendations (shop text, actor_id text, product_ids text[], scores real[],
    model_version integer, made_at timestamptz default now(), primary key (shop, actor_id));
"""


class Shops:
    """Shops of a home: interactions of each day, the clock, what is recommended, champions."""

    def __init__(self, home: Path) -> None:
        self.settings = load_settings(home=home, environment="test")
        self.warehouse, self.tracking = Warehouse(self.settings), Tracking(self.settings)
        with self.warehouse.connect() as connection:
            connection.execute(_CONTRACT)  # type: ignore[call-overload]

    def open(self, shop: str, days: int = 77, actors: int = 60) -> None:
        """A shop with so many quiet days; each product has its category and a price."""
        self.drop(shop)
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "insert into contract.shop_clock values (%s, %s, %s, 'EUR', %s, %s, 1)",
                [shop, FIRST, ZONE, FIRST, FIRST],
            )
            cursor.executemany(
                "insert into contract.dim_category values (%s, %s, %s)",
                [(shop, f"c{number}", f"Things > Kind {number}") for number in range(8)],
            )
            cursor.executemany(
                "insert into contract.dim_product values (%s, %s, %s, %s, %s, %s)",
                [
                    *((shop, f"p{n}", f"Product {n} | <b>", f"c{n % 8}", 5 + n, True) for n in range(PRODUCTS)),
                    (shop, "postage", "Postage", None, 3, False),
                ],
            )
        self.add(shop, 0, days, actors=actors)

    def drop(self, shop: str) -> None:
        with self.warehouse.connect() as connection:
            tables = connection.execute(
                "select schemaname, tablename from pg_tables"
                " where schemaname in ('contract', 'predictions', 'monitoring')"
            ).fetchall()
            from psycopg import sql

            for table in tables:
                connection.execute(sql.SQL("delete from {} where shop = %s").format(sql.Identifier(*table)), [shop])

    def add(self, shop: str, first: int, days: int, actors: int = 60, buys: float = 0.1, moved: int = 0) -> None:
        """More days, and the clock goes on.

        Args:
            buys: share of purchases.
            moved: by how many places the tastes are moved.
        """
        rows, midnight = [], datetime.combine(FIRST, datetime.min.time(), UTC)
        for day in range(first, first + days):
            draw = np.random.default_rng([7, day])
            for actor in draw.choice(actors * 6, actors, replace=False):
                for _ in range(int(draw.integers(1, 4))):
                    likes = (int(actor) + moved) % 8
                    product = (
                        likes + 8 * int(draw.integers(0, 5)) if draw.random() < 0.8 else int(draw.integers(PRODUCTS))
                    )
                    at = midnight + timedelta(days=day, seconds=int(draw.integers(77_000)))
                    kind = "purchase" if draw.random() < buys else "view"
                    rows.append((shop, f"a{actor}", f"p{product}", kind, at, FIRST + timedelta(days=day), 1, "extract"))
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            with cursor.copy("copy contract.fct_interactions from stdin") as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(
                "update contract.shop_clock set as_of = %s where shop = %s",
                [FIRST + timedelta(days=first + days - 1), shop],
            )

    def recommend(self, shop: str, version: int, first: int = 0, actors: int = 300) -> None:
        """What a version recommends: ten products from a place on that depends on the actor."""
        scores = [1.0 / (rank + 1) for rank in range(10)]
        made = [
            (shop, f"a{n}", [f"p{(first + n % 7 + rank) % PRODUCTS}" for rank in range(10)], scores, version)
            for n in range(actors)
        ]
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.execute("delete from predictions.recommendations where shop = %s", [shop])
            cursor.executemany(
                "insert into predictions.recommendations (shop, actor_id, product_ids, scores, model_version)"
                " values (%s, %s, %s, %s, %s)",
                made,
            )

    def champion(self, shop: str, trained_to: str | None = None) -> ModelVersion:
        """A version in the registry, with the alias `champion`."""
        name = model_name("recommender", shop)
        tags = {"shop": shop, "trained_to": trained_to or f"{CUT}T00:00:00+00:00"}
        with self.tracking.client() as client:
            if not self.tracking.versions(name):
                client.create_registered_model(name)
            version = client.create_model_version(name, source=f"{self.settings.home}/nowhere", tags=tags)
        self.tracking.set_alias(name, "champion", int(version.version))
        found = self.tracking.champion(name)
        assert found is not None
        return found


@pytest.fixture(scope="session")
def shops() -> Iterator[Shops]:
    """The home that all tests of monitoring share."""
    from resources.embedded_postgres import release

    home = Path(tempfile.mkdtemp(prefix="cgm-"))
    home.chmod(0o755)
    try:
        yield Shops(home)
    finally:
        release(home)
        shutil.rmtree(home, ignore_errors=True)


def made_up(shop: str, version: int = 1, trained_to: str = f"{CUT}T00:00:00+00:00") -> ModelVersion:
    """A version that is in no registry."""
    tags = {"shop": shop, "trained_to": trained_to}
    return ModelVersion(model_name("recommender", shop), version, "run", tags, datetime(2026, 4, 1, tzinfo=UTC))
