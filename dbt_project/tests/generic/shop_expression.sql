{#- `expression` is true in every row: null counts as a failure. The failures hold the `key` and the `columns` it names. -#}
{% test shop_expression(model, expression, key, columns=[]) %}
{% call failures() %}
    select {{ (key + columns) | unique | join(', ') }}
    from {{ tested(model) }} as tested
    where ({{ expression }}) is not true
{% endcall %}
{% endtest %}
