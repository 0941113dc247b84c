{{ config(
    incremental_strategy='by_shop',
    indexes=[{'columns': ['shop', 'category_id']}]
) }}

with stated as (
    {{ staged('categories') }}
),

-- Not dim_product, whose inferred rows have no category: so no event has this table made again.
products as (
    {{ staged('products') }}
),

mentions as (
    select shop, category_id
    from products

    union

    select shop, category_id
    from {{ changed(ref('dim_product_history')) }} as history

    union

    select shop, parent_id as category_id
    from stated
),

inferred as (
    select
        mentions.shop,
        mentions.category_id
    from mentions
    left join stated on stated.shop = mentions.shop and stated.category_id = mentions.category_id
    where mentions.category_id is not null and stated.category_id is null
)

select
    shop,
    category_id,
    parent_id,
    path,
    depth,
    false as is_inferred
from stated

union all

select
    shop,
    category_id,
    null as parent_id,
    category_id as path,
    1 as depth,
    true as is_inferred
from inferred
