{%- set shop = 'anime' -%}
{{ config(enabled=shop in shops()) }}

with titles as (
    select genres
    from {{ source('anime', 'titles') }} as found
    where not exists (
        select from {{ source('anime', 'titles') }} as newer
        where newer.mal_id = found.mal_id and newer._extract_id > found._extract_id
    )
),

genres as (
    select distinct btrim(genre) as genre
    from titles
    cross join unnest(string_to_array(genres, ',')) as genre
)

select
    genre as category_id,
    null::text as parent_id,
    genre as path,
    1 as depth
from genres
where genre not in ('', 'Unknown')
