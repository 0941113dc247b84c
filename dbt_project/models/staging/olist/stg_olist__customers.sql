{%- set shop = 'olist' -%}
{{ config(enabled=shop in shops()) }}

with customers as (
    select distinct customer_unique_id as customer_id
    from {{ source('olist', 'customers') }} as found
    where not exists (
        select from {{ source('olist', 'customers') }} as newer
        where newer.customer_id = found.customer_id and newer._extract_id > found._extract_id
    )
),

purchases as (
    select
        customer_id,
        min(ordered_at) as first_seen_at
    from {{ ref('stg_olist__orders') }}
    where customer_id is not null
    group by customer_id
)

select
    customers.customer_id,
    purchases.first_seen_at,
    'Brazil'::text as country
from customers
left join purchases on purchases.customer_id = customers.customer_id
