{% call failures() %}
    select *
    from (
        select
            shop,
            product_id,
            valid_from,
            valid_to,
            lead(valid_from) over (partition by shop, product_id order by valid_from) as next_from
        from {{ tested(ref('dim_product_history')) }} as tested
    ) as spans
    where valid_to is distinct from next_from
{% endcall %}
