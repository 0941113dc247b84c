{%- set shop = 'thelook' -%}
{{ config(enabled=shop in shops()) }}

with events as (
    select
        *,
        (created_at at time zone '{{ shop_setting(shop, "timezone") }}')::date as event_date
    from {{ source('thelook', 'events') }}
),

-- Over all days: a session may cross midnight, and its customer log in behind it. Of two the older account has it.
-- Materialized: each parallel worker would make it for itself.
sessions as materialized (
    select
        session_id,
        min(user_id) as user_id
    from {{ source('thelook', 'events') }}
    where user_id is not null
    group by session_id
),

linked as (
    select
        events.*,
        coalesce(events.user_id, sessions.user_id)::text as customer_id
    from events
    left join sessions on events.user_id is null and sessions.session_id = events.session_id
)

select
    id::text as event_id,
    -- The address in the network would tell visitors apart too, but it is personal.
    coalesce(customer_id, session_id) as actor_id,
    customer_id,
    session_id,
    case when event_type = 'product' then 'view' else event_type end as event_type,
    -- '/product/<digits>'; a regular expression takes ten times as long.
    case
        when uri like '/product/%' and ltrim(substr(uri, 10), '0123456789') = '' then nullif(substr(uri, 10), '')
    end as product_id,
    created_at as occurred_at,
    event_date,
    'extract'::text as origin
from linked
