{{ config(
    incremental_strategy='by_shop',
    indexes=[{'columns': ['shop', 'customer_id']}]
) }}

with clocks as (
    select * from {{ changed(ref('shop_clock')) }} as clocks
),

-- Counted in two steps: a count of distinct texts sorts its rows, and there are far fewer orders than lines.
orders as (
    select
        shop,
        customer_id,
        currency,
        order_id,
        min(ordered_at) as first_at,
        max(ordered_at) as last_at,
        max(order_date) as order_date,
        sum(amount) as amount
    from {{ changed(ref('fct_order_items')) }} as items
    where is_sale and customer_id is not null
    group by shop, customer_id, currency, order_id
),

customers as (
    select
        orders.shop,
        orders.customer_id,
        orders.currency,
        min(orders.first_at) as first_order_at,
        max(orders.last_at) as last_order_at,
        max(clocks.as_of) - max(orders.order_date) as recency_days,
        count(*) as frequency,
        sum(orders.amount)::numeric(18,4) as monetary
    from orders
    inner join clocks on clocks.shop = orders.shop
    -- The day that is going on belongs to nobody's value yet.
    where orders.order_date <= clocks.as_of
    group by orders.shop, orders.customer_id, orders.currency
),

-- Fifths within a shop and currency; who ties is ordered by id, so that a score never depends on chance.
scored as (
    select
        *,
        ntile(5) over (
            partition by shop, currency order by recency_days desc, last_order_at, customer_id collate "C"
        ) as recency_score,
        ntile(5) over (
            partition by shop, currency order by frequency, customer_id collate "C"
        ) as frequency_score,
        ntile(5) over (
            partition by shop, currency order by monetary, customer_id collate "C"
        ) as monetary_score
    from customers
)

select
    shop,
    customer_id,
    currency,
    first_order_at,
    last_order_at,
    recency_days,
    frequency,
    monetary,
    recency_score,
    frequency_score,
    monetary_score,
    100 * recency_score + 10 * frequency_score + monetary_score as rfm_score
from scored
