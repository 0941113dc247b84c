{{ config(
    incremental_strategy='by_day',
    meta={'day_column': 'order_date'},
    indexes=[{'columns': ['shop', 'order_date']}, {'columns': ['shop', 'customer_id']}, {'columns': ['shop', 'order_id']}]
) }}

with orders as (
    {{ staged('orders') }}
)

select
    shop,
    order_id,
    customer_id,
    ordered_at,
    order_date,
    status,
    currency,
    country,
    amount,
    is_cancellation
from orders
