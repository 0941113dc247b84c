{{ config(
    incremental_strategy='by_shop',
    indexes=[{'columns': ['shop', 'country']}]
) }}

-- Counted in two steps: a count of distinct texts sorts its rows, and there are far fewer orders than lines.
with orders as (
    select
        shop,
        -- Part of the key, so never null.
        coalesce(country, '(unknown)') as country,
        currency,
        order_id,
        customer_id,
        sum(quantity) as units,
        sum(amount) as sales
    from {{ changed(ref('fct_order_items')) }} as items
    where is_sale
    group by shop, coalesce(country, '(unknown)'), currency, order_id, customer_id
)

select
    shop,
    country,
    currency,
    count(distinct order_id) as orders,
    count(distinct customer_id) as customers,
    sum(units)::bigint as units,
    sum(sales)::numeric(18,4) as sales
from orders
group by shop, country, currency
