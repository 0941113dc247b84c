{%- set shop = 'olist' -%}
{{ config(enabled=shop in shops()) }}

with translations as (
    select *
    from {{ source('olist', 'category_translation') }} as found
    where not exists (
        select from {{ source('olist', 'category_translation') }} as newer
        where newer.product_category_name = found.product_category_name and newer._extract_id > found._extract_id
    )
),

named as (
    select distinct category_id
    from {{ ref('stg_olist__products') }}
    where category_id is not null
)

select
    coalesce(translations.product_category_name, named.category_id) as category_id,
    null::text as parent_id,
    coalesce(translations.product_category_name_english, named.category_id) as path,
    1 as depth
from translations
full join named on named.category_id = translations.product_category_name
