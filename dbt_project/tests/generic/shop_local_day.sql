{#- `day` is the day of `instant` in the shop's timezone. -#}
{% test shop_local_day(model, instant, day, key) %}
{% call failures() %}
    select
        {% for column in (key + [instant, day]) | unique %}checked.{{ column }}, {% endfor %}
        zones.timezone
    from {{ tested(model) }} as checked
    inner join (
        values
        {%- for shop in shops() %}
            ('{{ shop }}', '{{ shop_setting(shop, "timezone") }}'){{ ',' if not loop.last }}
        {%- endfor %}
    ) as zones (shop, timezone) on zones.shop = checked.shop
    where (checked.{{ instant }} at time zone zones.timezone)::date is distinct from checked.{{ day }}
{% endcall %}
{% endtest %}
