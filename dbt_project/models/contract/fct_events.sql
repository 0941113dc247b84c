{{ config(
    incremental_strategy='by_day',
    meta={'day_column': 'event_date'},
    indexes=[{'columns': ['shop', 'event_date']}, {'columns': ['shop', 'product_id']}]
) }}

with events as (
    {{ staged('events') }}
)

select
    shop,
    event_id,
    actor_id,
    customer_id,
    session_id,
    event_type,
    product_id,
    occurred_at,
    event_date,
    origin
from events
