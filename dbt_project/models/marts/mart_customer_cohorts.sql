{{ config(
    incremental_strategy='by_shop',
    indexes=[{'columns': ['shop', 'cohort_month']}]
) }}

with clocks as (
    select * from {{ changed(ref('shop_clock')) }} as clocks
),

-- Counted in steps: a count of distinct texts sorts its rows, and there are far fewer orders than lines.
orders as (
    select
        items.shop,
        items.customer_id,
        items.currency,
        items.order_id,
        date_trunc('month', min(items.order_date)::timestamp)::date as month,
        sum(items.amount) as sales
    from {{ changed(ref('fct_order_items')) }} as items
    inner join clocks on clocks.shop = items.shop
    -- The day that is going on is not closed.
    where items.is_sale and items.customer_id is not null and items.order_date <= clocks.as_of
    group by items.shop, items.customer_id, items.currency, items.order_id
),

customers as (
    select
        shop,
        customer_id,
        currency,
        month,
        min(month) over (partition by shop, customer_id, currency) as cohort_month,
        count(*) as orders,
        sum(sales) as sales
    from orders
    group by shop, customer_id, currency, month
),

active as (
    select
        shop,
        currency,
        cohort_month,
        month,
        count(*) as customers,
        sum(orders)::bigint as orders,
        sum(sales) as sales
    from customers
    group by shop, currency, cohort_month, month
),

-- Every month up to as_of, so that one in which nobody came back is there as a zero.
months as (
    select
        cohorts.shop,
        cohorts.currency,
        cohorts.cohort_month,
        cohorts.customers as cohort_customers,
        clocks.as_of,
        each.month::date as month
    from active as cohorts
    inner join clocks on clocks.shop = cohorts.shop
    cross join generate_series(
        cohorts.cohort_month::timestamp, clocks.as_of::timestamp, interval '1 month'
    ) as each (month)
    where cohorts.month = cohorts.cohort_month
)

select
    months.shop,
    months.currency,
    months.cohort_month,
    (
        12 * (extract(year from months.month) - extract(year from months.cohort_month))
        + extract(month from months.month) - extract(month from months.cohort_month)
    )::integer as months_since,
    months.cohort_customers,
    coalesce(active.customers, 0) as customers,
    coalesce(active.orders, 0) as orders,
    coalesce(active.sales, 0)::numeric(18,4) as sales,
    (coalesce(active.customers, 0)::numeric / months.cohort_customers)::numeric(18,4) as retained_share,
    months.as_of >= (months.month + interval '1 month' - interval '1 day')::date as is_whole_month
from months
left join active
    on active.shop = months.shop
    and active.currency = months.currency
    and active.cohort_month = months.cohort_month
    and active.month = months.month
