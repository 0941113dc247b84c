{{ config(incremental_strategy='by_shop') }}

with shops (shop, timezone, currency) as (
    values
    {%- for shop in shops() %}
        (
            '{{ shop }}'::text,
            '{{ shop_setting(shop, "timezone") }}'::text,
            '{{ shop_setting(shop, "currency") }}'::text
        ){{ ',' if not loop.last }}
    {%- endfor %}
),

facts as (
    select shop, order_date as day, 'extract' as origin
    from {{ changed(ref('fct_order_items')) }} as items

    union all

    select shop, event_date as day, origin
    from {{ changed(ref('fct_events')) }} as events

    union all

    select shop, review_date as day, 'extract' as origin
    from {{ changed(ref('fct_reviews')) }} as reviews
),

spans as (
    select
        shop,
        min(day) as first_day,
        max(day) as last_day,
        -- What the API hears today closes no day that the shop's extract has not brought.
        coalesce(max(day) filter (where origin is distinct from 'api'), max(day)) as last_known_day,
        count(*) as facts
    from facts
    group by shop
)

select
    shops.shop,
    -- The day that is going on is not closed. Null as long as the shop has no fact.
    case
        when spans.shop is not null
            then least(spans.last_known_day, ({{ wall_clock() }} at time zone shops.timezone)::date - 1)
    end as as_of,
    shops.timezone,
    shops.currency,
    spans.first_day,
    spans.last_day,
    coalesce(spans.facts, 0) as facts
from shops
left join spans on spans.shop = shops.shop
{%- if is_incremental() %}
where shops.shop in (select pending.shop from pending where pending.everything)
{%- endif %}
