{#- The sum of `value` for each `key` is that of `to_value` in `to` (rows that `to_where` names). Missing on one side is 0. -#}
{% test shop_equal_sums(model, key, value, to, to_value, to_key=none, to_where='true', where='true') %}
{% set to_key = to_key or key %}
{% call failures() %}
    select
        {{ key | join(', ') }},
        sum(here) as here,
        sum(there) as there
    from (
        select {{ key | join(', ') }}, sum({{ value }}) as here, 0 as there
        from {{ model }}
        where {{ where }}
        group by {{ key | join(', ') }}

        union all

        select {{ to_key | join(', ') }}, 0 as here, sum({{ to_value }}) as there
        from {{ to }}
        where {{ to_where }}
        group by {{ to_key | join(', ') }}
    ) as sides
    group by {{ key | join(', ') }}
    having sum(here) != sum(there)
{% endcall %}
{% endtest %}
