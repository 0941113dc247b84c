{#- Schemas are exactly the configured ones (staging, contract, marts, test_failures), with no prefix of a target. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
