{%- set shop = 'thelook' -%}
{{ config(enabled=shop in shops()) }}

-- The source has no tree: department and category of its products make one of two levels, those of earlier days included.
with named as (
    select
        nullif(department, '') as department,
        nullif(category, '') as category
    from {{ source('thelook', 'products') }}

    union

    select
        nullif(product_department, '') as department,
        nullif(product_category, '') as category
    from {{ source('thelook', 'inventory_items') }}
),

tree as (
    select
        concat_ws('/', department, category) as category_id,
        case when category is not null then department end as parent_id,
        coalesce(category, department) as name
    from named
    where department is not null or category is not null

    union

    select
        department as category_id,
        null as parent_id,
        department as name
    from named
    where department is not null
)

select
    category_id,
    parent_id,
    concat_ws(' > ', parent_id, name) as path,
    case when parent_id is null then 1 else 2 end as depth
from tree
