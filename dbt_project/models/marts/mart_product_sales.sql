{{ config(
    incremental_strategy='by_key',
    meta={'key_column': 'product_id'},
    indexes=[{'columns': ['shop', 'product_id']}]
) }}

with items as (
    select * from {{ changed(ref('fct_order_items'), key='product_id') }} as items
    where is_sale
),

products as (
    select * from {{ changed(ref('dim_product'), key='product_id') }} as products
),

sales as (
    select
        shop,
        product_id,
        currency,
        count(distinct order_id) as orders,
        count(distinct customer_id) as customers,
        sum(quantity)::bigint as units,
        sum(amount)::numeric(18,4) as sales,
        min(ordered_at) as first_sold_at,
        max(ordered_at) as last_sold_at
    from items
    group by shop, product_id, currency
)

select
    sales.shop,
    sales.product_id,
    sales.currency,
    products.title,
    coalesce(products.is_merchandise, true) as is_merchandise,
    sales.orders,
    sales.customers,
    sales.units,
    sales.sales,
    sales.first_sold_at,
    sales.last_sold_at
from sales
left join products on products.shop = sales.shop and products.product_id = sales.product_id
