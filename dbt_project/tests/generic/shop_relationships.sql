{#- Each value of `column` that is not null stands in `field` of `to`, for the same shop unless `to` has none (dim_date). A failure
    is a missing value, however many rows have it (`n_rows`). -#}
{% test shop_relationships(model, column, to, field, by_shop=true) %}
{% call failures() %}
    select
        child.shop,
        child.{{ column }},
        child.n_rows
    from (
        select shop, {{ column }}, count(*) as n_rows
        from {{ model }}
        where {{ column }} is not null
        group by shop, {{ column }}
    ) as child
    left join {{ to }} as parent
        on parent.{{ field }} = child.{{ column }}
        {%- if by_shop %} and parent.shop = child.shop{% endif %}
    where parent.{{ field }} is null
{% endcall %}
{% endtest %}
