{{ config(
    incremental_strategy='by_key',
    meta={'key_column': 'product_id'},
    indexes=[{'columns': ['shop', 'product_id']}]
) }}

-- Read twice: groups of a product and an actor are nearly as many as interactions, and all measures by them would not fit
-- into memory.
with counts as (
    select
        shop,
        product_id,
        coalesce(sum(quantity) filter (where kind = 'view'), 0)::bigint as views,
        coalesce(sum(quantity) filter (where kind = 'cart'), 0)::bigint as carts,
        -- Not the units: someone who buys ten at once has bought once.
        count(*) filter (where kind = 'purchase') as purchases,
        min(occurred_at) as first_at,
        max(occurred_at) as last_at
    from {{ changed(ref('fct_interactions'), key='product_id') }} as interactions
    group by shop, product_id
),

-- Not count(distinct), which sorts all rows.
pairs as (
    select distinct
        shop,
        product_id,
        actor_id
    from {{ changed(ref('fct_interactions'), key='product_id') }} as interactions
),

reach as (
    select
        shop,
        product_id,
        count(*) as actors
    from pairs
    group by shop, product_id
)

select
    counts.shop,
    counts.product_id,
    counts.views,
    counts.carts,
    counts.purchases,
    reach.actors,
    (counts.carts::numeric / nullif(counts.views, 0))::numeric(18,4) as view_to_cart_rate,
    (counts.purchases::numeric / nullif(counts.views, 0))::numeric(18,4) as view_to_purchase_rate,
    counts.first_at,
    counts.last_at
from counts
inner join reach on reach.shop = counts.shop and reach.product_id = counts.product_id
