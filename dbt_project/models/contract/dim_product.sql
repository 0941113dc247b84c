{{ config(
    incremental_strategy='by_key',
    meta={'key_column': 'product_id'},
    indexes=[{'columns': ['shop', 'product_id']}]
) }}

with stated as (
    {{ staged('products') }}
),

mentions as (
    select distinct shop, product_id
    from {{ changed(ref('fct_order_items'), key='product_id') }} as items

    union

    select distinct shop, product_id
    from {{ changed(ref('fct_events'), key='product_id') }} as events

    union

    -- Stock of a product that has left the list, for one.
    select distinct shop, product_id
    from {{ changed(ref('dim_product_history'), key='product_id') }} as history
),

inferred as (
    select
        mentions.shop,
        mentions.product_id
    from mentions
    left join stated on stated.shop = mentions.shop and stated.product_id = mentions.product_id
    where mentions.product_id is not null and stated.product_id is null
)

select
    shop,
    product_id,
    title,
    description,
    keywords,
    brand,
    category_id,
    price,
    currency,
    is_merchandise,
    false as is_inferred
from stated

union all

select
    shop,
    product_id,
    null as title,
    null as description,
    null as keywords,
    null as brand,
    null as category_id,
    null::numeric(18,4) as price,
    null as currency,
    true as is_merchandise,
    true as is_inferred
from inferred
