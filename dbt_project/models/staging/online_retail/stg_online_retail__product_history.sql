{%- set shop = 'online_retail' -%}
{{ config(enabled=shop in shops()) }}

-- Prices differ within a day: single lines are sold at other prices by quantity.
{{ price_history(shop, ref('stg_online_retail__order_items')) }}
