"""A shop's contract tables and marts as far as summaries read them, filled by a few sales, visits and reviews."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal

from assets.summaries.facts import DayFacts, Snapshot, closed_days, read
from resources.shops import load_shops
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS

SHOPS = load_shops(ALL_SHOPS)
SHOP = "thelook"
MONDAY = date(2026, 3, 2)
DDL = """
create schema if not exists contract;
create schema if not exists marts;
create table contract.shop_clock (shop text, as_of date, timezone text, currency text, first_day date);
create table contract.dim_category (shop text, category_id text, path text);
create table contract.dim_product (
    shop text, product_id text, title text, category_id text, is_merchandise boolean
);
create table contract.fct_order_items (
    shop text, order_id text, product_id text, customer_id text, order_date date, quantity bigint,
    amount numeric(18,4), currency text, country text, is_sale boolean
);
create table marts.mart_daily_sales (
    shop text, order_date date, currency text, orders bigint, units bigint, gross_sales numeric(18,4),
    average_order_value numeric(18,4)
);
create table marts.mart_daily_funnel (
    shop text, event_date date, sessions bigint, views bigint, carts bigint, purchases bigint,
    view_to_cart_rate numeric(18,4), cart_to_purchase_rate numeric(18,4)
);
create table marts.mart_country_sales (shop text, country text);
create table marts.mart_daily_reviews (shop text, review_date date, reviews bigint, average_score numeric(18,4));
"""
_SALES = """
truncate marts.mart_daily_sales, marts.mart_country_sales;
insert into marts.mart_country_sales select distinct shop, country from contract.fct_order_items where is_sale;
insert into marts.mart_daily_sales
select
    shop, order_date, currency, count(distinct order_id) filter (where is_sale),
    coalesce(sum(quantity) filter (where is_sale), 0), coalesce(sum(amount) filter (where is_sale), 0),
    sum(amount) filter (where is_sale) / nullif(count(distinct order_id) filter (where is_sale), 0)
from contract.fct_order_items
group by shop, order_date, currency
"""
_DROP = "drop schema if exists contract, marts, features, serving, monitoring cascade"


class Books:
    """What a shop sold and who came, in a warehouse."""

    def __init__(self, warehouse: Warehouse, shop: str = SHOP) -> None:
        self.warehouse, self.shop = warehouse, SHOPS[shop]
        self.orders = 0

    def product(
        self, product_id: str, title: str | None, category: str | None = None, merchandise: bool = True
    ) -> None:
        with self.warehouse.connect() as connection:
            connection.execute("delete from contract.dim_product where product_id = %s", [product_id])
            connection.execute(
                "insert into contract.dim_product values (%s, %s, %s, %s, %s)",
                [self.shop.name, product_id, title, category, merchandise],
            )

    def sell(
        self,
        day: date,
        *lines: tuple[str, int, str],
        customer: str | None = "c1",
        country: str | None = "Germany",
        currency: str | None = None,
        is_sale: bool = True,
    ) -> None:
        """One order of lines of product, quantity and price of one."""
        self.orders += 1
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "insert into contract.fct_order_items values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (
                        *(self.shop.name, str(self.orders), product, customer, day, quantity),
                        *(quantity * Decimal(price), currency or self.shop.currency, country, is_sale),
                    )
                    for product, quantity, price in lines
                ],
            )

    def visit(self, day: date, sessions: int, views: int, carts: int = 0, purchases: int = 0) -> None:
        with self.warehouse.connect() as connection:
            connection.execute(
                "insert into marts.mart_daily_funnel values (%(shop)s, %(day)s, %(sessions)s, %(views)s, %(carts)s,"
                " %(purchases)s, %(carts)s::numeric / nullif(%(views)s, 0),"
                " %(purchases)s::numeric / nullif(%(carts)s, 0))",
                {
                    "shop": self.shop.name,
                    "day": day,
                    "sessions": sessions,
                    "views": views,
                    "carts": carts,
                    "purchases": purchases,
                },
            )

    def review(self, day: date, reviews: int, score: str) -> None:
        with self.warehouse.connect() as connection:
            connection.execute(
                "insert into marts.mart_daily_reviews values (%s, %s, %s, %s)", [self.shop.name, day, reviews, score]
            )

    def close(self, as_of: date | None) -> None:
        """Make the marts of what was sold, and let this be the last closed day."""
        with self.warehouse.connect() as connection:
            connection.execute(_SALES)
            connection.execute("delete from contract.shop_clock")
            connection.execute(
                "insert into contract.shop_clock select %s, %s, 'UTC', %s, least("
                "(select min(order_date) from marts.mart_daily_sales), (select min(event_date) from"
                " marts.mart_daily_funnel), (select min(review_date) from marts.mart_daily_reviews))",
                [self.shop.name, as_of, self.shop.currency],
            )

    def snapshot(self, days: int = 14) -> Snapshot:
        with self.warehouse.connect() as connection:
            span = closed_days(connection, self.shop.name, days)
            assert span is not None
            return read(connection, self.shop, *span)

    def last(self) -> DayFacts:
        """The facts of the last closed day."""
        return self.snapshot(1).days[-1]


@contextmanager
def books(warehouse: Warehouse, shop: str = SHOP) -> Iterator[Books]:
    """Empty tables for a block."""
    with warehouse.connect() as connection:
        connection.execute(_DROP)
        connection.execute(DDL)
    yield Books(warehouse, shop)
    with warehouse.connect() as connection:
        connection.execute(_DROP)


def three_weeks(made: Books, last: date = MONDAY + timedelta(days=20)) -> None:
    """Three weeks of sales and visits up to a day: two mugs and a hat a day, on the last one mugs alone."""
    made.product("m", "Blue mug")
    made.product("h", "Felt hat")
    for back in range(21):
        day = last - timedelta(days=back)
        made.sell(day, ("m", 2, "10.00"), customer="anna@example.com")
        if back:
            made.sell(day, ("h", 1, "35.00"), customer=f"c{back % 3}")
        made.visit(day, 40 + back % 5, 100, 20, 5)
    made.close(last)
