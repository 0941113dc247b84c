{%- set shop = 'retailrocket' -%}
{{ config(enabled=shop in shops()) }}

select
    product_id,
    valid_from,
    valid_to,
    -- The source tells the history of categories alone.
    null::text as title,
    category_id,
    null::numeric(18,4) as price,
    null::text as currency
from {{ ref('stg_retailrocket__item_categories') }}
where valid_from is not null
