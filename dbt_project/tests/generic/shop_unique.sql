{#- No two rows have the same values of `columns`, which begin with shop. -#}
{% test shop_unique(model, columns) %}
{% call failures() %}
    select
        {% if 'shop' not in columns %}null::text as shop, {% endif %}{{ columns | join(', ') }},
        count(*) as n_rows
    from {{ tested_groups(model, columns) }} as tested
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endcall %}
{% endtest %}
