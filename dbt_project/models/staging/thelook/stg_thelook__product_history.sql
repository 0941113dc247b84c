{%- set shop = 'thelook' -%}
{{ config(enabled=shop in shops()) }}

-- A piece of the stock keeps what its product was when it came; of two that came at one instant the last number counts.
with known as (
    select distinct on (product_id, created_at)
        product_id,
        created_at,
        nullif(product_name, '') as title,
        nullif(concat_ws('/', nullif(product_department, ''), nullif(product_category, '')), '') as category_id,
        round(product_retail_price::numeric, 4)::numeric(18,4) as price
    from {{ source('thelook', 'inventory_items') }}
    order by product_id, created_at, id desc
),

compared as (
    select
        *,
        row_number() over by_product = 1
        or (title, category_id, price) is distinct from (
            lag(title) over by_product,
            lag(category_id) over by_product,
            lag(price) over by_product
        ) as is_change
    from known
    window by_product as (partition by product_id order by created_at)
)

select
    product_id::text as product_id,
    created_at as valid_from,
    lead(created_at) over (partition by product_id order by created_at) as valid_to,
    title,
    category_id,
    price,
    '{{ shop_setting(shop, "currency") }}'::text as currency
from compared
where is_change
