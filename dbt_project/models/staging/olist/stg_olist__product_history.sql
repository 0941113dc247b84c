{%- set shop = 'olist' -%}
{{ config(enabled=shop in shops()) }}

-- Prices differ within a day: sellers may ask different prices for one product.
{{ price_history(shop, ref('stg_olist__order_items')) }}
