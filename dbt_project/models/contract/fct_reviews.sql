{{ config(
    incremental_strategy='by_day',
    meta={'day_column': 'review_date'},
    indexes=[{'columns': ['shop', 'review_date']}, {'columns': ['shop', 'order_id']}]
) }}

with reviews as (
    {{ staged('reviews') }}
)

select
    shop,
    review_id,
    order_id,
    customer_id,
    score,
    title,
    text,
    language,
    created_at,
    review_date
from reviews
