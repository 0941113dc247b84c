{%- set shop = 'online_retail' -%}
{{ config(enabled=shop in shops()) }}

with items as (
    select * from {{ ref('stg_online_retail__order_items') }}
)

select
    order_id,
    -- Compared byte by byte, on any server; the column itself keeps the usual collation.
    min(customer_id collate "C") collate "default" as customer_id,
    min(ordered_at) as ordered_at,
    order_date,
    case
        when is_cancellation then 'cancelled'
        when order_id like 'A%' then 'adjustment'
        else 'completed'
    end as status,
    currency,
    min(country collate "C") collate "default" as country,
    sum(amount)::numeric(18,4) as amount,
    is_cancellation
from items
-- The day is a key here so that a condition on it passes through. An invoice of two days would be two rows with one
-- id, which the key test of fct_orders names.
group by order_id, order_date, currency, is_cancellation
