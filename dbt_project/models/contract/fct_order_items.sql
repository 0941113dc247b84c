{{ config(
    incremental_strategy='by_day',
    meta={'day_column': 'order_date'},
    indexes=[{'columns': ['shop', 'order_date']}, {'columns': ['shop', 'product_id']}]
) }}

with items as (
    {{ staged('order_items') }}
)

select
    shop,
    order_id,
    line_no,
    product_id,
    customer_id,
    ordered_at,
    order_date,
    quantity,
    unit_price,
    amount,
    currency,
    country,
    is_cancellation,
    is_sale
from items
