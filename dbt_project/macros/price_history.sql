{#-
    The rows of a shop's `product_history` where only its sales tell prices: spans of days with one price, by the day of the
    order. Of prices with equally many lines on a day the lowest counts.
-#}
{% macro price_history(shop, items) %}
with prices as (
    select
        product_id,
        order_date,
        unit_price,
        count(*) as lines
    from {{ items }}
    where is_sale
    group by product_id, order_date, unit_price
),

-- The price of a day is the one of most lines: single lines are sold at other prices.
daily as (
    select distinct on (product_id, order_date)
        product_id,
        order_date,
        unit_price
    from prices
    order by product_id, order_date, lines desc, unit_price
),

compared as (
    select
        *,
        lag(unit_price) over (partition by product_id order by order_date) as price_before
    from daily
),

changes as (
    select
        product_id,
        order_date,
        unit_price,
        lead(order_date) over (partition by product_id order by order_date) as next_date
    from compared
    where unit_price is distinct from price_before
)

select
    product_id,
    order_date::timestamp at time zone '{{ shop_setting(shop, "timezone") }}' as valid_from,
    next_date::timestamp at time zone '{{ shop_setting(shop, "timezone") }}' as valid_to,
    -- The source tells the history of prices alone.
    null::text as title,
    null::text as category_id,
    unit_price as price,
    '{{ shop_setting(shop, "currency") }}'::text as currency
from changes
{% endmacro %}
