{%- set shop = 'thelook' -%}
{{ config(enabled=shop in shops()) }}

select
    id::text as product_id,
    nullif(name, '') as title,
    -- The source has no text beyond the name.
    null::text as description,
    null::text as keywords,
    nullif(brand, '') as brand,
    nullif(concat_ws('/', nullif(department, ''), nullif(category, '')), '') as category_id,
    round(retail_price::numeric, 4)::numeric(18,4) as price,
    '{{ shop_setting(shop, "currency") }}'::text as currency,
    true as is_merchandise
from {{ source('thelook', 'products') }}
