{%- set shop = 'retailrocket' -%}
{{ config(enabled=shop in shops()) }}

with events as (
    select
        *,
        (events.timestamp at time zone '{{ shop_setting(shop, "timezone") }}')::date as event_date
    from {{ source('retailrocket', 'events') }} as events
),

sessions as (
    {{ cut_sessions('events', actor='visitorid', day='event_date', instant='timestamp') }}
),

numbered as (
    select
        *,
        -- Exact duplicates are events like any other. The day in the partition lets a condition on days pass through.
        row_number() over (
            partition by visitorid, event_date, sessions.timestamp, itemid, event, transactionid
        ) as copy_no
    from sessions
)

select
    -- The source has no key: its columns are one. Milliseconds in double precision, which is faster and holds them exactly.
    visitorid || '-' || (date_part('epoch', numbered.timestamp) * 1000)::bigint || '-' || itemid || '-' || event
    || coalesce('-' || transactionid, '')
    || case when copy_no > 1 then '#' || copy_no else '' end as event_id,
    visitorid::text as actor_id,
    null::text as customer_id,
    session_id,
    case event when 'addtocart' then 'cart' when 'transaction' then 'purchase' else event end as event_type,
    itemid::text as product_id,
    numbered.timestamp as occurred_at,
    event_date,
    'extract'::text as origin
from numbered
