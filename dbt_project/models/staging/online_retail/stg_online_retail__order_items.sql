{%- set shop = 'online_retail' -%}
{{ config(enabled=shop in shops()) }}

with lines as (
    select
        *,
        invoice_date::date as order_date,
        invoice_no like 'C%' as is_cancellation
    from {{ ref('stg_online_retail__lines') }}
)

select
    invoice_no as order_id,
    -- From the content alone, so that it is the same whatever the order of loading; lines that tie here are true
    -- duplicates and may change places. The day in the partition lets a condition on days pass through the window.
    row_number() over (
        partition by invoice_no, order_date
        order by
            invoice_date,
            stock_code collate "C",
            quantity,
            unit_price,
            description collate "C",
            customer_id collate "C",
            country collate "C"
    ) as line_no,
    stock_code as product_id,
    nullif(customer_id, '') as customer_id,
    invoice_date at time zone '{{ shop_setting(shop, "timezone") }}' as ordered_at,
    order_date,
    quantity,
    unit_price,
    (quantity * unit_price)::numeric(18,4) as amount,
    '{{ shop_setting(shop, "currency") }}'::text as currency,
    nullif(country, '') as country,
    is_cancellation,
    quantity > 0 and unit_price > 0 and not is_cancellation as is_sale
from lines
