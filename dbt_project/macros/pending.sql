{#-
    What changed, and for whom: incremental models by shop and day.

    ledger.changes   written by the extracts: one row per extract and day whose raw rows came or went (no day: any may have)
    ledger.builds    written here: up to which change, and with which code, a model was made for a shop

    The day of a change is the day, in the shop's timezone, under which the contract files the rows of that raw table. A raw
    table of which this cannot be said (rows without a date, rows whose order has another day) records no day.

    ledger.changes.day may be '-infinity': the table changed, and no day of the contract with it.

    A model with the strategy `by_day` or `by_shop` goes through four steps, all in the one transaction of the model:
    1. pending_begin (pre-hook) writes down what is to be done, in the temporary table `pending`
    2. the model's query reads only the rows that `pending` asks for: staged() from staging, changed() from other models
    3. the strategy deletes what `pending` asks for and inserts the query's rows
    4. pending_end (post-hook) writes from `pending` what has now been done

    `pending` is frozen before anything is read. A change that is committed in between may be read already, but is
    not counted as done, so that the next run does it again; never is one counted that was not read. Where nothing is
    pending nothing is written.

    pending: one row per shop with something to do
        shop, code, change_id   what pending_end will write
        remake                  the shop is new to the model, or its code is
        everything              all rows of the shop are made again
        days                    else the rows of these days; may be empty (then only the ledger moves on)
-#}


{#-
    Whether a node of the graph is an incremental model of this kind. A staging model may be one too, where its raw table is
    too large to be read again whenever another table changes: it then has a column `shop`, and its shop in `meta.shop`.
-#}
{% macro is_tracked(node) %}
    {% do return(node is not none and node.resource_type == 'model'
        and node.config.get('incremental_strategy') in ['by_day', 'by_shop']) %}
{% endmacro %}


{#-
    What this model stands on, from the manifest: `parents` are the nearest tracked models as [model, its only shop or
    none], `tables` all the raw tables below it as [shop, table]. The lists grow while they are walked.
-#}
{% macro pending_inputs() %}
    {% set parents = [] %}
    {% set near = [model.unique_id] %}
    {% for id in near %}
        {% for below in graph.nodes[id].depends_on.nodes if below in graph.nodes %}
            {% if is_tracked(graph.nodes[below]) %}
                {% set parent = [graph.nodes[below].name, graph.nodes[below].config.meta.get('shop')] %}
                {% if parent not in parents %}{% do parents.append(parent) %}{% endif %}
            {% elif below not in near %}
                {% do near.append(below) %}
            {% endif %}
        {% endfor %}
    {% endfor %}

    {% set tables = [] %}
    {% set all = [model.unique_id] %}
    {% for id in all %}
        {% if id in graph.sources %}
            {% do tables.append([graph.sources[id].source_name, graph.sources[id].name]) %}
        {% elif id in graph.nodes %}
            {% for below in graph.nodes[id].depends_on.nodes if below not in all %}
                {% do all.append(below) %}
            {% endfor %}
        {% endif %}
    {% endfor %}
    {% do return({'parents': parents, 'tables': tables}) %}
{% endmacro %}


{% macro pending_begin() %}
    {% if execute and is_tracked(model) %}
    {%- set inputs = pending_inputs() %}
-- Two runs of one model at once would both insert what both found pending: one waits for the other.
select pg_advisory_xact_lock(hashtextextended('{{ this.schema }}.{{ this.identifier }}', 0));

create temporary table pending on commit drop as
with shops (shop, code) as (
    values
    {%- for shop in ([model.config.meta.shop] if model.config.meta.get('shop') else shops()) %}
        ('{{ shop }}'::text, '{{ shop_setting(shop, 'code') }}'::text){{ ',' if not loop.last }}
    {%- endfor %}
),

raw_tables (shop, table_name) as (
    values
        (null::text, null::text)
    {%- for table in inputs.tables %},
        ('{{ table[0] }}', '{{ table[1] }}')
    {%- endfor %}
),

parents (model, only_shop) as (
    values
        (null::text, null::text)
    {%- for parent in inputs.parents %},
        ('{{ parent[0] }}', {% if parent[1] %}'{{ parent[1] }}'{% else %}null{% endif %})
    {%- endfor %}
),

reach as (
    -- How far this model can go, and whether what it reads was made by the present code.
    select
        shops.shop,
        case
            when count(parents.model) > 0 then min(coalesce(builds.change_id, 0))
            else coalesce((select max(changes.change_id) from ledger.changes where changes.shop = shops.shop), 0)
        end as change_id,
        coalesce(
            bool_and(builds.code is not distinct from shops.code) filter (where parents.model is not null), true
        ) as is_present_code
    from shops
    left join parents
        on parents.model is not null and (parents.only_shop is null or parents.only_shop = shops.shop)
    left join ledger.builds on builds.shop = shops.shop and builds.model = parents.model
    group by shops.shop
),

state as (
    select
        shops.shop,
        -- Made from rows of an older code, it has to be made again when those have been.
        case when reach.is_present_code then shops.code else 'behind its parents' end as code,
        reach.change_id,
        coalesce(builds.change_id, 0) as built_to,
        {{ 'builds.code is distinct from shops.code' if is_incremental() else 'true' }} as remake
    from shops
    inner join reach on reach.shop = shops.shop
    left join ledger.builds on builds.shop = shops.shop and builds.model = '{{ model.name }}'
),

changed as (
    select
        state.shop,
        bool_or(changes.day is null) as any_day,
        array_agg(distinct changes.day) filter (where changes.day is not null) as days
    from state
    inner join ledger.changes
        on changes.shop = state.shop
        and changes.change_id > state.built_to
        and changes.change_id <= state.change_id
    inner join raw_tables on raw_tables.shop = changes.shop and raw_tables.table_name = changes.table_name
    group by state.shop
)

select
    state.shop,
    state.code,
    state.change_id,
    state.remake,
    {%- if config.get('incremental_strategy') == 'by_shop' %}
    state.remake or changed.shop is not null as everything,
    '{}'::date[] as days
    {%- else %}
    state.remake or coalesce(changed.any_day, false) as everything,
    coalesce(changed.days, '{}') as days
    {%- endif %}
from state
left join changed on changed.shop = state.shop
where state.remake or state.change_id > state.built_to;

analyze pending;
    {%- endif %}
{% endmacro %}


{% macro pending_end() %}
    {% if execute and is_tracked(model) %}
insert into ledger.builds (shop, model, change_id, code, built_at)
select shop, '{{ model.name }}', change_id, code, clock_timestamp()
from pending
on conflict (shop, model) do update
    set change_id = excluded.change_id, code = excluded.code, built_at = excluded.built_at;

-- What reads this table next is planned before the server would look by itself at a shop that came all at once.
do $analyze$
begin
    if exists (select from pending where remake) then
        analyze {{ this }};
    end if;
end
$analyze$;
    {% endif %}
{% endmacro %}


{#-
    A condition for one shop's staging view: the day changed. It holds only a column and a value that is computed
    once, so that Postgres pushes it through groups and windows over that day, down to the raw table.
-#}
{% macro pending_days(shop, day) -%}
    {%- if is_incremental() -%}
        {{ day }} = any(array(select unnest(pending.days) from pending where pending.shop = '{{ shop }}'))
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}


{#-
    What a model reads of another model: its rows of the shops to be made again and, with `day`, of the changed days.
    On a first build or full refresh that is the table itself.
-#}
{% macro changed(relation, day=none) -%}
    {%- if is_incremental() -%}
    (
        select found.*
        from {{ relation }} as found
        inner join pending on pending.shop = found.shop
        where pending.everything
        {%- if day %}
        union all
        select found.*
        from (select pending.shop, unnest(pending.days) as day from pending where not pending.everything) as pending_day
        inner join {{ relation }} as found on found.shop = pending_day.shop and found.{{ day }} = pending_day.day
        {%- endif %}
    )
    {%- else -%}
    {{ relation }}
    {%- endif -%}
{%- endmacro %}


{#- Strategy of tables that are small for each shop: all rows of the pending shops are replaced. -#}
{% macro get_incremental_by_shop_sql(arg_dict) %}
delete from {{ arg_dict.target_relation }} as made
using pending
where pending.everything and made.shop = pending.shop;

{{ get_insert_into_sql(arg_dict.target_relation, arg_dict.temp_relation, arg_dict.dest_columns) }}
{% endmacro %}


{#- Strategy of tables that grow: the rows of the pending days are replaced; `day_column` is in the model's meta. -#}
{% macro get_incremental_by_day_sql(arg_dict) %}
delete from {{ arg_dict.target_relation }} as made
using (select shop, unnest(days) as day from pending where not everything) as pending_day
where made.shop = pending_day.shop and made.{{ model.config.meta.day_column }} = pending_day.day;

{{ get_incremental_by_shop_sql(arg_dict) }}
{% endmacro %}
