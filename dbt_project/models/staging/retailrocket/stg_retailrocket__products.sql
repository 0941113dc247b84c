{%- set shop = 'retailrocket' -%}
{{ config(enabled=shop in shops()) }}

select
    product_id,
    -- Names, texts, brands and prices are hashed in the source.
    null::text as title,
    null::text as description,
    null::text as keywords,
    null::text as brand,
    category_id,
    null::numeric(18,4) as price,
    null::text as currency,
    true as is_merchandise
from {{ ref('stg_retailrocket__item_categories') }}
where valid_to is null
