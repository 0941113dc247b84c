{{ config(
    incremental_strategy='by_shop',
    indexes=[{'columns': ['shop', 'review_date']}, {'columns': ['shop', 'order_id']}]
) }}

-- Made shop by shop: who wrote a review comes with its order, which may arrive days before or after it.
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
