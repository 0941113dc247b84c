{% call failures() %}
    select null::text as shop, days.date
    from (select generate_series('1990-01-01'::timestamp, '2049-12-31', '1 day')::date as date) as days
    left join {{ ref('dim_date') }} as calendar on calendar.date = days.date
    where calendar.date is null
{% endcall %}
