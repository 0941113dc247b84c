{{ config(
    incremental_strategy='by_day',
    meta={'day_column': 'order_date'},
    indexes=[{'columns': ['shop', 'order_date']}]
) }}

with items as (
    select * from {{ changed(ref('fct_order_items'), day='order_date') }} as items
),

days as (
    select
        shop,
        order_date,
        currency,
        count(distinct order_id) filter (where is_sale) as orders,
        count(distinct customer_id) filter (where is_sale) as customers,
        coalesce(sum(quantity) filter (where is_sale), 0)::bigint as units,
        count(*) as lines,
        coalesce(sum(amount) filter (where is_sale), 0)::numeric(18,4) as gross_sales,
        coalesce(sum(amount) filter (where is_cancellation), 0)::numeric(18,4) as cancelled_amount,
        -- A line of a cancelled order was never sold, so it takes nothing back; an entry that cancels an earlier sale does.
        coalesce(sum(amount) filter (where not is_cancellation or amount < 0), 0)::numeric(18,4) as net_sales
    from items
    group by shop, order_date, currency
)

select
    shop,
    order_date,
    currency,
    orders,
    customers,
    units,
    lines,
    gross_sales,
    cancelled_amount,
    net_sales,
    (gross_sales / nullif(orders, 0))::numeric(18,4) as average_order_value
from days
