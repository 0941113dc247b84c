{%- set shop = 'olist' -%}
{{ config(enabled=shop in shops()) }}

with products as (
    select *
    from {{ source('olist', 'products') }} as found
    where not exists (
        select from {{ source('olist', 'products') }} as newer
        where newer.product_id = found.product_id and newer._extract_id > found._extract_id
    )
),

prices as (
    select distinct on (product_id)
        product_id,
        unit_price
    from {{ ref('stg_olist__order_items') }}
    where is_sale
    order by product_id, ordered_at desc, order_id collate "C" desc, unit_price desc
)

select
    products.product_id,
    null::text as title,
    null::text as description,
    null::text as keywords,
    null::text as brand,
    products.product_category_name as category_id,
    prices.unit_price as price,
    '{{ shop_setting(shop, "currency") }}'::text as currency,
    true as is_merchandise
from products
left join prices on prices.product_id = products.product_id
