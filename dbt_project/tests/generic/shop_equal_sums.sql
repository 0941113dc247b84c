{#- The sum of `value` for each `key` is that of `to_value` in `to` (rows that `to_only` names). Missing on one side is 0. -#}
{% test shop_equal_sums(model, key, value, to, to_value, to_key=none, to_only='true', only='true') %}
{% set to_key = to_key or key %}
{% call failures() %}
    select
        {{ key | join(', ') }},
        sum(here) as here,
        sum(there) as there
    from (
        select {{ key | join(', ') }}, sum({{ value }}) as here, 0 as there
        from {{ tested_sums(model, model, to) }} as tested
        where {{ only }}
        group by {{ key | join(', ') }}

        union all

        select {{ to_key | join(', ') }}, 0 as here, sum({{ to_value }}) as there
        from {{ tested_sums(to, model, to) }} as tested
        where {{ to_only }}
        group by {{ to_key | join(', ') }}
    ) as sides
    group by {{ key | join(', ') }}
    having sum(here) != sum(there)
{% endcall %}
{% endtest %}
