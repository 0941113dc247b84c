-- What is known of a shop's days from %(first)s to %(last)s: its figures, with those of the weeks before (from
-- %(history)s), on which days each family of them begins and ends, what sold most, what moved against a week before.
with currencies as (
    -- Money in one currency, that of most orders: amounts of several are not added up.
    select currency
    from marts.mart_daily_sales
    where shop = %(shop)s and order_date between %(history)s and %(last)s
    group by currency
    order by sum(orders) desc, currency
    limit 1
),

items as (
    select
        items.order_date as day,
        items.product_id,
        items.customer_id,
        items.quantity,
        items.country,
        -- Null where the sale was in another currency.
        case when items.currency = currencies.currency then items.amount end as amount,
        products.is_merchandise,
        -- What has no title is called by what it is and the beginning of its id.
        coalesce(products.title, concat_ws(' ', categories.path, left(products.product_id, 8))) as title
    from contract.fct_order_items as items
    inner join contract.dim_product as products
        on products.shop = items.shop and products.product_id = items.product_id
    left join contract.dim_category as categories
        on categories.shop = products.shop and categories.category_id = products.category_id
    cross join currencies
    where items.shop = %(shop)s and items.is_sale and items.order_date between %(history)s and %(last)s
),

metrics as (
    select sales.order_date as day, named.name, named.value
    from marts.mart_daily_sales as sales
    inner join currencies on currencies.currency = sales.currency
    cross join lateral (
        values ('revenue', sales.gross_sales), ('basket', sales.average_order_value)
    ) as named (name, value)
    where sales.shop = %(shop)s and sales.order_date between %(history)s and %(last)s

    union all

    select sales.order_date as day, named.name, sum(named.value) as value
    from marts.mart_daily_sales as sales
    cross join lateral (values ('orders', sales.orders), ('units', sales.units)) as named (name, value)
    where sales.shop = %(shop)s and sales.order_date between %(history)s and %(last)s
    group by sales.order_date, named.name

    union all

    select day, 'customers' as name, count(distinct customer_id) as value
    from items
    group by day
    -- Where nobody is known there may have been many.
    having count(customer_id) > 0

    union all

    select day, 'products_sold' as name, count(distinct product_id) as value
    from items
    where is_merchandise
    group by day

    union all

    select funnel.event_date as day, named.name, named.value
    from marts.mart_daily_funnel as funnel
    cross join lateral (
        values
            ('sessions', funnel.sessions),
            ('views', funnel.views),
            ('carts', funnel.carts),
            ('purchases', funnel.purchases),
            ('view_to_cart', funnel.view_to_cart_rate),
            ('cart_to_purchase', funnel.cart_to_purchase_rate)
    ) as named (name, value)
    where funnel.shop = %(shop)s and funnel.event_date between %(history)s and %(last)s

    union all

    select reviews.review_date as day, named.name, named.value
    from marts.mart_daily_reviews as reviews
    cross join lateral (
        values ('reviews', reviews.reviews), ('rating', reviews.average_score)
    ) as named (name, value)
    where reviews.shop = %(shop)s and reviews.review_date between %(history)s and %(last)s
),

spans as (
    select 'orders' as name, min(order_date) as first_day, max(order_date) as last_day
    from marts.mart_daily_sales
    where shop = %(shop)s

    union all

    select 'events' as name, min(event_date) as first_day, max(event_date) as last_day
    from marts.mart_daily_funnel
    where shop = %(shop)s

    union all

    select 'reviews' as name, min(review_date) as first_day, max(review_date) as last_day
    from marts.mart_daily_reviews
    where shop = %(shop)s
),

sold as (
    select day, product_id, title, sum(amount) as revenue, sum(quantity) as units
    from items
    where is_merchandise and day >= %(first)s::date - 7 and amount is not null
    group by day, product_id, title
),

moved as (
    select day, product_id, title, sum(revenue) as revenue, sum(revenue) - sum(before) as change
    from (
        select day, product_id, title, revenue, 0 as before
        from sold

        union all

        select day + 7 as day, product_id, title, 0 as revenue, revenue as before
        from sold
    ) as both_days
    where day between %(first)s and %(last)s
    group by day, product_id, title
),

risers as (
    select
        *,
        row_number() over (partition by day order by change desc, product_id collate "C") as place
    from moved
    where change > 0
),

fallers as (
    select
        *,
        row_number() over (partition by day order by change, product_id collate "C") as place
    from moved
    where change < 0
),

leaders as (
    select
        *,
        row_number() over (partition by day order by revenue desc, product_id collate "C") as place
    from sold
    where day >= %(first)s
),

countries as (
    select
        day,
        country,
        sum(amount) as revenue,
        sum(amount) / sum(sum(amount)) over (partition by day) as share,
        row_number() over (partition by day order by sum(amount) desc, country collate "C") as place,
        count(*) over (partition by day) as countries
    from items
    where day >= %(first)s and amount is not null
    group by day, country
)

select
    'metric' as part,
    day,
    name,
    null::bigint as place,
    null as product_id,
    null as title,
    value,
    null::numeric as more
from metrics
where value is not null

union all

select 'begin' as part, first_day as day, name, null, null, null, null, null
from spans

union all

select 'end' as part, last_day as day, name, null, null, null, null, null
from spans

union all

select 'currency' as part, null as day, currency as name, null, null, null, null, null
from currencies

union all

select 'riser' as part, day, null as name, place, product_id, title, change, revenue
from risers
where place <= %(ranked)s

union all

select 'faller' as part, day, null as name, place, product_id, title, change, revenue
from fallers
where place <= %(ranked)s

union all

select 'top_product' as part, day, null as name, place, product_id, title, revenue, units
from leaders
where place <= %(ranked)s

union all

-- One country alone leads nobody.
select 'top_country' as part, day, country as name, place, null, null, revenue, share
from countries
where place = 1 and country is not null and countries > 1
