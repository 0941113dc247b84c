{% call failures() %}
    select
        shop,
        day,
        sum(bought) as bought,
        sum(sold) as sold
    from (
        select shop, order_date as day, 0 as bought, sum(quantity) as sold
        from {{ tested(ref('fct_order_items'), also=ref('fct_interactions')) }} as items
        where is_sale and customer_id is not null
        group by shop, order_date

        union all

        select shop, interaction_date as day, sum(quantity) as bought, 0 as sold
        from {{ tested(ref('fct_interactions'), also=ref('fct_order_items')) }} as interactions
        where kind = 'purchase' and shop in (
            null
            {%- for shop in shops_providing(['orders']) %}, '{{ shop }}'{% endfor %}
        )
        group by shop, interaction_date
    ) as sides
    group by shop, day
    having sum(bought) != sum(sold)
{% endcall %}
