{{ config(
    incremental_strategy='by_day',
    meta={'day_column': 'activity_date'},
    indexes=[{'columns': ['shop', 'activity_date']}]
) }}

with clocks (shop, timezone, currency) as (
    values
    {%- for shop in shops() %}
        (
            '{{ shop }}'::text,
            '{{ shop_setting(shop, "timezone") }}'::text,
            '{{ shop_setting(shop, "currency") }}'::text
        ){{ ',' if not loop.last }}
    {%- endfor %}
),

events as (
    select
        clocks.shop,
        events.event_date as activity_date,
        extract(hour from events.occurred_at at time zone clocks.timezone)::integer as hour,
        -- Events have no currency: they stand in the row of the shop's own, once.
        clocks.currency,
        count(*) as events,
        count(distinct events.actor_id) as actors
    from {{ changed(ref('fct_events'), day='event_date') }} as events
    inner join clocks on clocks.shop = events.shop
    group by clocks.shop, events.event_date, 3, clocks.currency
),

orders as (
    select
        clocks.shop,
        items.order_date as activity_date,
        extract(hour from items.ordered_at at time zone clocks.timezone)::integer as hour,
        items.currency,
        count(distinct items.order_id) as orders,
        sum(items.quantity)::bigint as units,
        sum(items.amount)::numeric(18,4) as sales
    from {{ changed(ref('fct_order_items'), day='order_date') }} as items
    inner join clocks on clocks.shop = items.shop
    where items.is_sale
    group by clocks.shop, items.order_date, 3, items.currency
)

select
    shop,
    activity_date,
    extract(isodow from activity_date)::integer as day_of_week,
    hour,
    currency,
    coalesce(events.events, 0) as events,
    coalesce(events.actors, 0) as actors,
    coalesce(orders.orders, 0) as orders,
    coalesce(orders.units, 0) as units,
    coalesce(orders.sales, 0)::numeric(18,4) as sales
from events
full join orders using (shop, activity_date, hour, currency)
