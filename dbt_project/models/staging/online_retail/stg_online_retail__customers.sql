{%- set shop = 'online_retail' -%}
{{ config(enabled=shop in shops()) }}

with orders as (
    select
        customer_id,
        order_id,
        ordered_at,
        country
    from {{ ref('stg_online_retail__orders') }}
    where customer_id is not null
),

first_seen as (
    select
        customer_id,
        min(ordered_at) as first_seen_at
    from orders
    group by customer_id
),

latest as (
    select distinct on (customer_id)
        customer_id,
        country
    from orders
    order by customer_id, ordered_at desc, order_id collate "C" desc
)

select
    first_seen.customer_id,
    first_seen.first_seen_at,
    latest.country
from first_seen
inner join latest on latest.customer_id = first_seen.customer_id
