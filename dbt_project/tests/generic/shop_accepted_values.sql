{#- Each value of `column` that is not null is one of `values`. -#}
{% test shop_accepted_values(model, column, values) %}
{% call failures() %}
    select shop, {{ column }}, count(*) as n_rows
    from {{ tested(model) }} as tested
    where {{ column }} not in ('{{ values | join("', '") }}')
    group by shop, {{ column }}
{% endcall %}
{% endtest %}
