{%- set shop = 'olist' -%}
{{ config(enabled=shop in shops()) }}

with reviews as (
    select *
    from {{ source('olist', 'order_reviews') }} as found
    where not exists (
        select from {{ source('olist', 'order_reviews') }} as newer
        where newer.review_id = found.review_id
            and newer.order_id = found.order_id
            and newer._extract_id > found._extract_id
    )
),

orders as (
    select
        order_id,
        customer_id
    from {{ ref('stg_olist__orders') }}
)

select
    reviews.review_id,
    reviews.order_id,
    orders.customer_id,
    reviews.review_score as score,
    case when reviews.review_comment_title ~ '\S' then reviews.review_comment_title end as title,
    case when reviews.review_comment_message ~ '\S' then reviews.review_comment_message end as text,
    '{{ shop_setting(shop, "language") }}'::text as language,
    reviews.review_creation_date at time zone '{{ shop_setting(shop, "timezone") }}' as created_at,
    reviews.review_creation_date::date as review_date
from reviews
left join orders on orders.order_id = reviews.order_id
