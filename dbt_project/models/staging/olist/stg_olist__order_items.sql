{%- set shop = 'olist' -%}
{{ config(enabled=shop in shops()) }}

with items as (
    select *
    from {{ source('olist', 'order_items') }} as found
    where not exists (
        select from {{ source('olist', 'order_items') }} as newer
        where newer.order_id = found.order_id
            and newer.order_item_id = found.order_item_id
            and newer._extract_id > found._extract_id
    )
),

-- Postgres leaves out the sum of the items behind `amount`, as nothing of it is asked for here.
orders as (
    select
        order_id,
        customer_id,
        ordered_at,
        order_date,
        country,
        is_cancellation
    from {{ ref('stg_olist__orders') }}
)

select
    items.order_id,
    items.order_item_id as line_no,
    items.product_id,
    orders.customer_id,
    orders.ordered_at,
    orders.order_date,
    1::bigint as quantity,
    items.price as unit_price,
    items.price as amount,
    '{{ shop_setting(shop, "currency") }}'::text as currency,
    orders.country,
    orders.is_cancellation,
    items.price > 0 and not orders.is_cancellation as is_sale
from items
-- A line has the day of its order, so one that came before its order waits for it.
inner join orders on orders.order_id = items.order_id
