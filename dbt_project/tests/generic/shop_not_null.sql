{#- None of `columns` is null in any row (of those that `only` names); the failures hold the `key` and what is null. -#}
{% test shop_not_null(model, columns, key, only='true') %}
{% call failures() %}
    select
        {% if 'shop' not in key %}null::text as shop, {% endif %}{{ key | join(', ') }},
        concat_ws(
            ', '
            {%- for column in columns %},
            case when {{ column }} is null then '{{ column }}' end
            {%- endfor %}
        ) as null_columns
    from {{ tested(model) }} as tested
    where ({{ only }}) and num_nulls({{ columns | join(', ') }}) > 0
{% endcall %}
{% endtest %}
