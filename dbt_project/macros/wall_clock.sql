{#- The present instant, for shop_clock alone: everything else asks shop_clock. A macro so that unit tests can set it. -#}
{% macro wall_clock() -%}
    now()
{%- endmacro %}
