{{ config(
    incremental_strategy='by_day',
    meta={'day_column': 'interaction_date'},
    indexes=[
        {'columns': ['shop', 'interaction_date']},
        {'columns': ['shop', 'actor_id']},
        {'columns': ['shop', 'product_id']}
    ]
) }}

with items as (
    select * from {{ changed(ref('fct_order_items'), day='order_date') }} as items
),

events as (
    select * from {{ changed(ref('fct_events'), day='event_date') }} as events
),

happened as (
    select
        shop,
        customer_id as actor_id,
        product_id,
        'purchase' as kind,
        ordered_at as occurred_at,
        order_date as interaction_date,
        quantity,
        'extract' as origin
    from items
    where is_sale and customer_id is not null

    union all

    select
        shop,
        actor_id,
        product_id,
        event_type as kind,
        occurred_at,
        event_date as interaction_date,
        1 as quantity,
        origin
    from events
    where product_id is not null
        and (
            event_type in ('view', 'cart')
            -- Where there are orders they tell the purchases; the events would count them twice.
            or event_type = 'purchase'
            {%- for shop in shops_providing(['orders']) %}
            and shop != '{{ shop }}'
            {%- endfor %}
        )
)

select
    shop,
    actor_id,
    product_id,
    kind,
    occurred_at,
    interaction_date,
    sum(quantity)::bigint as quantity,
    -- 'extract' beats 'api' where both tell of the same instant.
    max(origin) as origin
from happened
group by shop, actor_id, product_id, kind, occurred_at, interaction_date
