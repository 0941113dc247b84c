{{ config(
    incremental_strategy='by_shop',
    indexes=[{'columns': ['shop', 'product_id', 'valid_from']}]
) }}

with history as (
    {{ staged('product_history') }}
)

select
    shop,
    product_id,
    valid_from,
    valid_to,
    title,
    category_id,
    price,
    currency
from history
