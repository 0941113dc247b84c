{% call failures() %}
    select
        shop,
        currency,
        sum(valued) as valued,
        sum(sold) as sold
    from (
        select shop, currency, sum(monetary) as valued, 0 as sold
        from {{ tested_shops(ref('mart_customer_value'), also=ref('fct_order_items')) }} as customers
        group by shop, currency

        union all

        select items.shop, items.currency, 0 as valued, sum(items.amount) as sold
        from {{ tested_shops(ref('fct_order_items'), also=ref('mart_customer_value')) }} as items
        inner join {{ ref('shop_clock') }} as clocks on clocks.shop = items.shop
        where items.is_sale and items.customer_id is not null and items.order_date <= clocks.as_of
        group by items.shop, items.currency
    ) as sides
    group by shop, currency
    having sum(valued) != sum(sold)
{% endcall %}
