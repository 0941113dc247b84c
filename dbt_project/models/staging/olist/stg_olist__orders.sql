{%- set shop = 'olist' -%}
{{ config(enabled=shop in shops()) }}

-- Of several versions of a key the newest extract's counts; two in one extract both stay, and the key tests name them.
with orders as (
    select *
    from {{ source('olist', 'orders') }} as found
    where not exists (
        select from {{ source('olist', 'orders') }} as newer
        where newer.order_id = found.order_id and newer._extract_id > found._extract_id
    )
),

customers as (
    select *
    from {{ source('olist', 'customers') }} as found
    where not exists (
        select from {{ source('olist', 'customers') }} as newer
        where newer.customer_id = found.customer_id and newer._extract_id > found._extract_id
    )
),

items as (
    select
        order_id,
        sum(price) as amount
    from {{ source('olist', 'order_items') }} as found
    where not exists (
        select from {{ source('olist', 'order_items') }} as newer
        where newer.order_id = found.order_id
            and newer.order_item_id = found.order_item_id
            and newer._extract_id > found._extract_id
    )
    group by order_id
)

select
    orders.order_id,
    customers.customer_unique_id as customer_id,
    orders.order_purchase_timestamp at time zone '{{ shop_setting(shop, "timezone") }}' as ordered_at,
    orders.order_purchase_timestamp::date as order_date,
    case orders.order_status
        when 'created' then 'placed'
        when 'approved' then 'processing'
        when 'invoiced' then 'processing'
        when 'canceled' then 'cancelled'
        else orders.order_status
    end as status,
    '{{ shop_setting(shop, "currency") }}'::text as currency,
    -- The marketplace sells in its own country alone.
    'Brazil'::text as country,
    coalesce(items.amount, 0)::numeric(18,4) as amount,
    orders.order_status in ('canceled', 'unavailable') as is_cancellation
from orders
left join customers on customers.customer_id = orders.customer_id
left join items on items.order_id = orders.order_id
