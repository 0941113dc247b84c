{{ config(
    incremental_strategy='by_shop',
    indexes=[{'columns': ['shop', 'review_date']}]
) }}

with reviews as (
    select * from {{ changed(ref('fct_reviews')) }} as reviews
)

select
    shop,
    review_date,
    count(*) as reviews,
    avg(score)::numeric(18,4) as average_score,
    count(*) filter (where btrim(text) != '') as with_text,
    count(*) filter (where score <= 2) as low_scores
from reviews
group by shop, review_date
