{%- set shop = 'thelook' -%}
{{ config(enabled=shop in shops()) }}

select
    id::text as customer_id,
    created_at as first_seen_at,
    nullif(country, '') as country
from {{ source('thelook', 'users') }}
