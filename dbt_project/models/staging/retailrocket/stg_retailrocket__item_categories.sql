{%- set shop = 'retailrocket' -%}
{{ config(
    enabled=shop in shops(),
    materialized='incremental',
    incremental_strategy='by_shop',
    on_schema_change='append_new_columns',
    meta={'shop': shop},
    pre_hook="{{ pending_begin() }}",
    post_hook="{{ pending_end() }}"
) }}

-- A table of its own: one property in twenty-five is a category, and new events must not have all of them read again.
with properties as not materialized (
    select * from {{ source('retailrocket', 'item_properties') }}
    {%- if is_incremental() %}
    where (select pending.everything from pending where pending.shop = '{{ shop }}') = true
    {%- endif %}
),

-- Of two that were stated for one instant the one that came last counts, then the greater.
stated as (
    select distinct on (itemid, stated_at)
        itemid,
        properties.timestamp as stated_at,
        value as category_id
    from properties
    where property = 'categoryid'
    order by itemid, stated_at, _extract_id desc, value collate "C" desc nulls last
),

compared as (
    select
        *,
        row_number() over by_item = 1
        or category_id is distinct from lag(category_id) over by_item as is_change
    from stated
    window by_item as (partition by itemid order by stated_at)
),

spans as (
    select
        itemid,
        stated_at as valid_from,
        lead(stated_at) over (partition by itemid order by stated_at) as valid_to,
        category_id
    from compared
    where is_change
),

-- Those of which other properties alone are told have one row without instants.
items as (
    select distinct itemid
    from properties
)

select
    '{{ shop }}'::text as shop,
    items.itemid::text as product_id,
    spans.valid_from,
    spans.valid_to,
    spans.category_id
from items
left join spans on spans.itemid = items.itemid
