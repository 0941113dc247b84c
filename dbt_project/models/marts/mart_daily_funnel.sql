{{ config(
    incremental_strategy='by_day',
    meta={'day_column': 'event_date'},
    indexes=[{'columns': ['shop', 'event_date']}]
) }}

with events as (
    select * from {{ changed(ref('fct_events'), day='event_date') }} as events
),

days as (
    select
        shop,
        event_date,
        count(distinct session_id) as sessions,
        count(distinct actor_id) as actors,
        count(*) filter (where event_type = 'view') as views,
        count(*) filter (where event_type = 'cart') as carts,
        count(*) filter (where event_type = 'purchase') as purchases
    from events
    group by shop, event_date
)

select
    shop,
    event_date,
    sessions,
    actors,
    views,
    carts,
    purchases,
    (carts::numeric / nullif(views, 0))::numeric(18,4) as view_to_cart_rate,
    (purchases::numeric / nullif(carts, 0))::numeric(18,4) as cart_to_purchase_rate
from days
