{%- set shop = 'retailrocket' -%}
{{ config(enabled=shop in shops()) }}

with recursive stated as (
    select distinct on (categoryid)
        categoryid as category_id,
        parentid as parent_id
    from {{ source('retailrocket', 'category_tree') }}
    order by categoryid, _extract_id desc, parentid collate "C" nulls last
),

-- From the top down, so that a circle is never entered. A parent that is not in the tree is a top: the contract infers it.
tree as (
    select
        top.category_id,
        concat_ws(' > ', top.parent_id, top.category_id) as path,
        case when top.parent_id is null then 1 else 2 end as depth
    from stated as top
    left join stated as parent on parent.category_id = top.parent_id
    where parent.category_id is null

    union all

    select
        child.category_id,
        tree.path || ' > ' || child.category_id as path,
        tree.depth + 1 as depth
    from tree
    inner join stated as child on child.parent_id = tree.category_id
)

select
    stated.category_id,
    stated.parent_id,
    -- What hangs on a circle has no way to the top: it stays, alone, and a test names it.
    coalesce(tree.path, stated.category_id) as path,
    coalesce(tree.depth, 1) as depth
from stated
left join tree on tree.category_id = stated.category_id
