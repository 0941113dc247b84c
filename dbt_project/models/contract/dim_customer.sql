{{ config(
    incremental_strategy='by_key',
    meta={'key_column': 'customer_id'},
    indexes=[{'columns': ['shop', 'customer_id']}]
) }}

with stated as (
    {{ staged('customers') }}
),

mentions as (
    select shop, customer_id, min(ordered_at) as seen_at
    from {{ changed(ref('fct_orders'), key='customer_id') }} as orders
    group by shop, customer_id

    union all

    select shop, customer_id, min(ordered_at) as seen_at
    from {{ changed(ref('fct_order_items'), key='customer_id') }} as items
    group by shop, customer_id

    union all

    select shop, customer_id, min(occurred_at) as seen_at
    from {{ changed(ref('fct_events'), key='customer_id') }} as events
    group by shop, customer_id

    union all

    select shop, customer_id, min(created_at) as seen_at
    from {{ changed(ref('fct_reviews'), key='customer_id') }} as reviews
    group by shop, customer_id
),

inferred as (
    select
        mentions.shop,
        mentions.customer_id,
        min(mentions.seen_at) as first_seen_at
    from mentions
    left join stated on stated.shop = mentions.shop and stated.customer_id = mentions.customer_id
    where mentions.customer_id is not null and stated.customer_id is null
    group by mentions.shop, mentions.customer_id
)

select
    shop,
    customer_id,
    first_seen_at,
    country,
    false as is_inferred
from stated

union all

select
    shop,
    customer_id,
    first_seen_at,
    null as country,
    true as is_inferred
from inferred
