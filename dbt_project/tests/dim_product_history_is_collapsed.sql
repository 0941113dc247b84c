{% call failures() %}
    select *
    from (
        select
            shop,
            product_id,
            valid_from,
            (title, category_id, price, currency) is not distinct from lag((title, category_id, price, currency)) over (
                partition by shop, product_id order by valid_from
            ) as is_repeated
        from {{ tested(ref('dim_product_history')) }} as tested
    ) as spans
    where is_repeated
{% endcall %}
