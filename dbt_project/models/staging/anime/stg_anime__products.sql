{%- set shop = 'anime' -%}
{{ config(enabled=shop in shops()) }}

-- Of several versions of a title the newest extract's counts; two in one extract both stay, and the key test names them.
with titles as (
    select *
    from {{ source('anime', 'titles') }} as found
    where not exists (
        select from {{ source('anime', 'titles') }} as newer
        where newer.mal_id = found.mal_id and newer._extract_id > found._extract_id
    )
)

select
    mal_id::text as product_id,
    btrim(name) as title,
    -- The note that there is no synopsis says nothing of the title.
    case when synopsis ~ '\S' and synopsis !~* '^\s*(there is )?no synopsis' then synopsis end as description,
    nullif(nullif(regexp_replace(btrim(genres), '\s*,\s*', ', ', 'g'), ''), 'Unknown') as keywords,
    null::text as brand,
    -- A product of the contract has one category: the genre that is named first.
    nullif(nullif(btrim(split_part(genres, ',', 1)), ''), 'Unknown') as category_id,
    null::numeric(18,4) as price,
    null::text as currency,
    true as is_merchandise
from titles
