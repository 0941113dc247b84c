{#-
    What changed, and for whom: incremental models by shop, day and key.

    ledger.changes   written by the extracts: one row per extract and day whose raw rows came or went (no day: any may have)
    ledger.builds    written here: up to which change, and with which code, a model was made for a shop
    ledger.made      written here: which rows were made again, for the tests (macros/tested.sql)
    ledger.vanished  written here: products and customers that a changed day no longer tells of

    The day of a change is the day, in the shop's timezone, under which the contract files the rows of that raw table. A raw
    table of which this cannot be said (rows without a date, rows whose order has another day) records no day.

    ledger.changes.day may be '-infinity': the table changed, and no day of the contract with it.

    A model has one of three strategies:
    by_day     a table that grows: the rows of the changed days are made again
    by_key     one that sums up all days of a product or customer (`key_column` in its meta): the rows of those that the changed
               days of its facts tell of, or told of, are made again; all of the shop where something else changed that it reads
    by_shop    a small one, or one in which each row depends on all: all rows of the shop are made again

    It goes through four steps, all in the one transaction of the model:
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
    pending_keys: of a model by key, one row per shop and key to be made again
-#}


{#-
    Whether a node of the graph is an incremental model of this kind. A staging model may be one too, where its raw table is
    too large to be read again whenever another table changes: it then has a column `shop`, and its shop in `meta.shop`.
-#}
{% macro is_tracked(node) %}
    {% do return(node is not none and node.resource_type == 'model'
        and node.config.get('incremental_strategy') in ['by_day', 'by_key', 'by_shop']) %}
{% endmacro %}


{#-
    What this model stands on, from the manifest. The lists grow while they are walked.

    parents   the nearest tracked models: [model, its only shop or none]
    facts     of a model by key: the tables by day that tell of its keys, as [model, relation, day column]
    tables    all the raw tables below it: [shop, table, whether a change of it concerns all rows of the shop]. Of a model by
              key these are the tables that it reaches otherwise than through `facts`. The source `api` is of every shop (no
              shop): the ledger has its changes under the table of the shop, `api_events`.
-#}
{% macro pending_inputs() %}
    {% set strategy = config.get('incremental_strategy') %}
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

    {% set facts = [] %}
    {% set whole = [model.unique_id] %}
    {% for id in whole if strategy != 'by_day' and id in graph.nodes %}
        {% for below in graph.nodes[id].depends_on.nodes if below not in whole %}
            {% set node = graph.nodes.get(below) %}
            {% if strategy == 'by_key' and node and node.config.get('incremental_strategy') == 'by_day'
                and model.config.meta.key_column in node.columns %}
                {% set fact = [node.name, node.relation_name, node.config.meta.day_column] %}
                {% if fact not in facts %}{% do facts.append(fact) %}{% endif %}
            {% else %}
                {% do whole.append(below) %}
            {% endif %}
        {% endfor %}
    {% endfor %}

    {% set tables = [] %}
    {% set all = [model.unique_id] %}
    {% for id in all %}
        {% if id in graph.sources %}
            {% set source = graph.sources[id] %}
            {% set of_all = source.source_name == 'api' %}
            {% do tables.append(
                [none if of_all else source.source_name, ('api_' if of_all else '') ~ source.name, id in whole]
            ) %}
        {% elif id in graph.nodes %}
            {% for below in graph.nodes[id].depends_on.nodes if below not in all %}
                {% do all.append(below) %}
            {% endfor %}
        {% endif %}
    {% endfor %}
    {% do return({'parents': parents, 'facts': facts, 'tables': tables}) %}
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

raw_tables (shop, table_name, is_whole) as (
    values
        (null::text, null::text, null::boolean)
    {%- for table in inputs.tables %},
        ({% if table[0] %}'{{ table[0] }}'{% else %}null{% endif %}, '{{ table[1] }}', {{ table[2] | string | lower }})
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
        bool_or(raw_tables.is_whole or changes.day is null) as everything,
        array_agg(distinct changes.day) filter (where changes.day is not null) as days
    from state
    inner join ledger.changes
        on changes.shop = state.shop
        and changes.change_id > state.built_to
        and changes.change_id <= state.change_id
    inner join raw_tables
        on coalesce(raw_tables.shop, changes.shop) = changes.shop and raw_tables.table_name = changes.table_name
    group by state.shop
)

select
    state.shop,
    state.code,
    state.change_id,
    state.built_to,
    state.remake,
    state.remake or coalesce(changed.everything, false) as everything,
    case when state.remake or changed.everything then '{}' else coalesce(changed.days, '{}') end as days
from state
left join changed on changed.shop = state.shop
where state.remake or state.change_id > state.built_to;

analyze pending;
    {%- if config.get('incremental_strategy') == 'by_key' and is_incremental() %}

create temporary table pending_keys on commit drop as
    {%- for name, relation, day in inputs.facts %}
select told.shop, told.{{ model.config.meta.key_column }} as key
from (select shop, unnest(days) as day from pending) as pending_day
inner join {{ relation }} as told on told.shop = pending_day.shop and told.{{ day }} = pending_day.day
where told.{{ model.config.meta.key_column }} is not null
union
select vanished.shop, vanished.key
from pending
inner join ledger.vanished on vanished.shop = pending.shop and vanished.change_id > pending.built_to
where not pending.everything
    and vanished.model = '{{ name }}'
    and vanished.key_column = '{{ model.config.meta.key_column }}'
{{ 'union' if not loop.last }}
    {%- endfor %};

analyze pending_keys;
    {%- endif %}
    {%- endif %}
{% endmacro %}


{% macro pending_end() %}
    {% if execute and is_tracked(model) %}
insert into ledger.builds (shop, model, change_id, code, built_at)
select shop, '{{ model.name }}', change_id, code, clock_timestamp()
from pending
on conflict (shop, model) do update
    set change_id = excluded.change_id, code = excluded.code, built_at = excluded.built_at;
{%- set by_key = config.get('incremental_strategy') == 'by_key' and is_incremental() %}

insert into ledger.made (shop, model, everything, days, keys)
select shop, '{{ model.name }}', everything, days, keys
from (
    select
        shop,
        everything,
        {{ "'{}'::date[]" if by_key else 'days' }} as days,
        {{ 'array(select pending_keys.key from pending_keys where pending_keys.shop = pending.shop)' if by_key
            else "'{}'::text[]" }} as keys
    from pending
) as done
where everything or cardinality(days) + cardinality(keys) > 0;

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
    What a model reads of another model: its rows of the shops to be made again and, in a model by day or by key, those of the
    changed days (`day` is the column) or of the keys of these (`key`). On a first build or full refresh the table itself.

    The shops are a value that is computed once, not a join, so that Postgres may scan with several workers; and where
    there are none it does not scan at all.
-#}
{% macro changed(relation, day=none, key=none) -%}
    {%- if is_incremental() -%}
    (
        select found.*
        from {{ relation }} as found
        where exists (select from pending where pending.everything)
            and found.shop = any(array(select pending.shop from pending where pending.everything))
        {%- if day %}
        union all
        select found.*
        from (select pending.shop, unnest(pending.days) as day from pending) as pending_day
        inner join {{ relation }} as found on found.shop = pending_day.shop and found.{{ day }} = pending_day.day
        {%- elif key %}
        union all
        select found.*
        from pending_keys
        inner join {{ relation }} as found on found.shop = pending_keys.shop and found.{{ key }} = pending_keys.key
        {%- endif %}
    )
    {%- else -%}
    {{ relation }}
    {%- endif -%}
{%- endmacro %}


{#- All rows of the pending shops are replaced. -#}
{% macro get_incremental_by_shop_sql(arg_dict) %}
delete from {{ arg_dict.target_relation }} as made
using pending
where pending.everything and made.shop = pending.shop;

{{ get_insert_into_sql(arg_dict.target_relation, arg_dict.temp_relation, arg_dict.dest_columns) }}
{% endmacro %}


{#- The rows of the pending keys are replaced; `key_column` is in the model's meta. -#}
{% macro get_incremental_by_key_sql(arg_dict) %}
delete from {{ arg_dict.target_relation }} as made
using pending_keys
where made.shop = pending_keys.shop and made.{{ model.config.meta.key_column }} = pending_keys.key;

{{ get_incremental_by_shop_sql(arg_dict) }}
{% endmacro %}


{#-
    The rows of the pending days are replaced; `day_column` is in the model's meta. What is made by key from this table
    finds the keys to be made again in the new rows of the days; those that only the old rows had are written down.
-#}
{% macro get_incremental_by_day_sql(arg_dict) %}
{%- set day = model.config.meta.day_column %}
{%- set keys = [] %}
{%- for node in graph.nodes.values() if node.config.get('incremental_strategy') == 'by_key' %}
    {%- set key = node.config.meta.key_column %}
    {%- if key in model.columns and key not in keys %}{% do keys.append(key) %}{% endif %}
{%- endfor %}
{%- for key in keys %}
insert into ledger.vanished (shop, model, key_column, key, change_id)
select distinct made.shop, '{{ model.name }}', '{{ key }}', made.{{ key }}, pending_day.change_id
from (select shop, change_id, unnest(days) as day from pending) as pending_day
inner join {{ arg_dict.target_relation }} as made on made.shop = pending_day.shop and made.{{ day }} = pending_day.day
where made.{{ key }} is not null
    and not exists (
        select from {{ arg_dict.temp_relation }} as remade
        where remade.shop = made.shop and remade.{{ key }} = made.{{ key }}
    );
{% endfor %}
delete from {{ arg_dict.target_relation }} as made
using (select shop, unnest(days) as day from pending) as pending_day
where made.shop = pending_day.shop and made.{{ day }} = pending_day.day;

{{ get_incremental_by_shop_sql(arg_dict) }}
{% endmacro %}
