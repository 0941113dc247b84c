{#- At most the share `at_most` of a shop's rows meets `condition`: a statistic, so its tests warn. One row per shop. -#}
{% test shop_share_at_most(model, condition, at_most) %}
{% call failures() %}
    select
        shop,
        count(*) filter (where {{ condition }}) as n_rows,
        round(avg(case when {{ condition }} then 1 else 0 end), 4) as share
    from {{ tested_shops(model) }} as tested
    group by shop
    having avg(case when {{ condition }} then 1 else 0 end) > {{ at_most }}
{% endcall %}
{% endtest %}
