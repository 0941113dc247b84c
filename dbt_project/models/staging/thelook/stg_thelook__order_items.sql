{%- set shop = 'thelook' -%}
{{ config(enabled=shop in shops()) }}

with orders as (
    select
        *,
        (created_at at time zone '{{ shop_setting(shop, "timezone") }}')::date as order_date
    from {{ source('thelook', 'orders') }}
),

items as (
    select
        *,
        -- Single precision numbers in the source: 49.99 comes as 49.990001678466797.
        round(sale_price::numeric, 4)::numeric(18,4) as unit_price
    from {{ source('thelook', 'order_items') }}
),

-- A line whose order is not there yet waits: its day is that of the order.
lines as (
    select
        items.*,
        orders.user_id as ordered_by,
        orders.created_at as ordered_at,
        orders.order_date,
        'Cancelled' in (orders.status, items.status) as is_cancellation
    from items
    inner join orders on orders.order_id = items.order_id
)

select
    lines.order_id::text as order_id,
    lines.id as line_no,
    lines.product_id::text as product_id,
    lines.ordered_by::text as customer_id,
    lines.ordered_at,
    lines.order_date,
    -- Each piece is a row of the source.
    1::bigint as quantity,
    lines.unit_price,
    lines.unit_price as amount,
    '{{ shop_setting(shop, "currency") }}'::text as currency,
    nullif(users.country, '') as country,
    lines.is_cancellation,
    lines.unit_price > 0 and not lines.is_cancellation as is_sale
from lines
left join {{ source('thelook', 'users') }} as users on users.id = lines.ordered_by
