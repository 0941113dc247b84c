{#- Each value of `column` that is not null stands in `field` of `to`, for the same shop unless `to` has none (dim_date). A failure
    is a missing value, however many rows have it (`n_rows`). -#}
{% test shop_relationships(model, column, to, field, by_shop=true) %}
{% call failures() %}
    select
        child.shop,
        child.{{ column }},
        count(*) as n_rows
    from (
        select distinct
            told.shop,
            told.{{ column }} as value
        from (
            select shop, {{ column }} from {{ tested(model, also=to) }} as tested
            {{- tested_lost(model, column, to, field) }}
        ) as told
        left join {{ to }} as parent
            on parent.{{ field }} = told.{{ column }}
            {%- if by_shop %} and parent.shop = told.shop{% endif %}
        where told.{{ column }} is not null and parent.{{ field }} is null
    ) as missing
    inner join {{ model }} as child on child.shop = missing.shop and child.{{ column }} = missing.value
    group by child.shop, child.{{ column }}
{% endcall %}
{% endtest %}
