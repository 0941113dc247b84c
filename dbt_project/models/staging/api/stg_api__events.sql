with events as (
    select
        *,
        (
            occurred_at at time zone case shop
                {%- for shop in shops() %}
                when '{{ shop }}' then '{{ shop_setting(shop, "timezone") }}'
                {%- endfor %}
            end
        )::date as event_date
    from {{ source('api', 'events') }}
    -- A shop that is no more has its rows there still.
    where shop in ({% for shop in shops() %}'{{ shop }}'{{ ', ' if not loop.last }}{% endfor %})
),

-- An event is there twice where the table of the API was put back as it was once, and read anew.
counted as (
    select distinct on (shop, event_date, record_id) *
    from events
    order by shop, event_date, record_id, _extract_id
),

linked as (
    select
        *,
        -- Within the day: what links the past too would make all of a visitor's days again whenever one logs in. Of
        -- several customers the one whose id is the smallest has what nobody was logged in for.
        coalesce(
            customer_id,
            case when visitor_id is not null then min(customer_id) over (partition by shop, event_date, visitor_id) end
        ) as linked_customer_id
    from counted
),

acted as (
    select
        shop,
        record_id,
        coalesce(linked_customer_id, visitor_id) as actor_id,
        linked_customer_id,
        session_id as own_session_id,
        event_type,
        product_id,
        occurred_at,
        event_date
    from linked
),

sessions as (
    {{ cut_sessions('acted', actor='actor_id', day='event_date', instant='occurred_at', within='shop') }}
)

select
    shop,
    -- Marked, for the extract of the shop may give the same ids to others.
    'api:' || record_id as event_id,
    actor_id,
    linked_customer_id as customer_id,
    coalesce(own_session_id, 'api:' || session_id) as session_id,
    event_type,
    product_id,
    occurred_at,
    event_date,
    'api'::text as origin
from sessions
