{#-
    No raw row of `shop` waits for the row of another table that its `column` names: the model cannot file it as long as `field`
    of `to` lacks the value. A failure is a missing value, however many rows have it (`n_rows`). For warnings: late is not wrong.
-#}
{% test shop_waiting(model, shop, rows, column, to, field=none) %}
{% set field = field or column %}
{% call failures() %}
    select
        '{{ shop }}'::text as shop,
        waiting.{{ column }},
        waiting.n_rows
    from (
        select {{ column }}, count(*) as n_rows
        from {{ rows }}
        group by {{ column }}
    ) as waiting
    where not exists (select from {{ to }} as awaited where awaited.{{ field }} = waiting.{{ column }})
{% endcall %}
{% endtest %}
