{#-
    The form of every data test: `{% call failures() %} select shop, ... the failing rows {% endcall %}`.

    A failure belongs to a shop, so that one shop's bad day does not stop the others. Stored are at most 100 rows a shop,
    each with the whole count of its shop's failures in `shop_failures`; the test's own count (fail_calc) sums these.
    Per shop:  select shop, max(shop_failures) from test_failures.<test> group by shop
    A null shop means all shops (dim_date).
-#}
{% macro failures() %}
with failing as (
    {{ caller() }}
),

numbered as (
    select
        *,
        row_number() over (partition by shop) as failure_no,
        count(*) over (partition by shop) as shop_failures
    from failing
)

select *
from numbered
where failure_no <= 100
{% endmacro %}
