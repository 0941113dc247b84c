{{ config(
    incremental_strategy='by_shop',
    indexes=[{'columns': ['shop', 'category_id']}]
) }}

with items as (
    select * from {{ changed(ref('fct_order_items')) }} as items
    where is_sale
),

products as (
    select * from {{ changed(ref('dim_product')) }} as products
),

categories as (
    select * from {{ changed(ref('dim_category')) }} as categories
),

-- Counted in two steps: a count of distinct texts sorts its rows, and there are far fewer orders than lines.
orders as (
    select
        items.shop,
        -- Part of the key, so never null.
        coalesce(products.category_id, '(none)') as category_id,
        items.currency,
        items.order_id,
        items.customer_id,
        sum(items.quantity) as units,
        sum(items.amount) as sales
    from items
    left join products on products.shop = items.shop and products.product_id = items.product_id
    group by items.shop, coalesce(products.category_id, '(none)'), items.currency, items.order_id, items.customer_id
),

sold as (
    select
        shop,
        category_id,
        currency,
        count(distinct order_id) as orders,
        count(distinct customer_id) as customers,
        sum(units)::bigint as units,
        sum(sales)::numeric(18,4) as sales
    from orders
    group by shop, category_id, currency
)

select
    sold.shop,
    sold.category_id,
    coalesce(categories.path, sold.category_id) as path,
    sold.currency,
    sold.orders,
    sold.customers,
    sold.units,
    sold.sales
from sold
left join categories on categories.shop = sold.shop and categories.category_id = sold.category_id
