{#-
    Which rows a data test reads: where only changes are asked for, those that were made again since they were last tested, and
    such others as a change may have made wrong. Else all.

    ledger.made      written by the models (macros/pending.sql): what they made again; emptied when all tests have been run
    ledger.failing   the tests that found failing rows of a shop the last time, or are new: they read all of it again

    Cartograph asks for changes by DBT_ENV_CUSTOM_ENV_CARTOGRAPH_TESTS=changed, a variable that dbt reads at run time alone.
    `cartograph dbt test` reads all.
-#}
{% macro tested_node(relation) %}
    {#- While dbt parses there is no graph. -#}
    {% if not execute or dbt_metadata_envs.get('CARTOGRAPH_TESTS') != 'changed' %}{% do return(none) %}{% endif %}
    {% for node in graph.nodes.values() if node.name == relation.identifier and is_tracked(node) %}
        {% do return(node) %}
    {% endfor %}
    {% do return(none) %}
{% endmacro %}


{#-
    The shops of which a test reads all rows, an array: those made again whole in one of the models, or at all (`any`).

    All conditions are on values that Postgres computes once before it scans: for no shop it does not scan, for a few days it
    uses an index. A day or key that was made again in one shop is therefore read of every shop with changes.
-#}
{% macro whole_shops(nodes, any=false) -%}
    array(
        select made.shop
        from ledger.made
        where made.model in ('{{ nodes | map(attribute="name") | join("', '") }}')
            {%- if not any %} and made.everything{% endif %}
        union
        select failing.shop
        from ledger.failing
        where failing.test = '{{ model.name }}'
    )
{%- endmacro %}


{#- All rows of some shops: `shops` is an array. -#}
{% macro rows_of_shops(relation, shops) -%}
    select found.*
    from {{ relation }} as found
    where cardinality({{ shops }}) > 0 and found.shop = any({{ shops }})
{%- endmacro %}


{#- The days or keys that were made again in any of the models, of shops that are not read whole: a query. -#}
{% macro made_values(nodes, whole) -%}
    select unnest(made.{{ 'days' if nodes[0].config.incremental_strategy == 'by_day' else 'keys' }})
    from ledger.made
    where made.model in ('{{ nodes | map(attribute="name") | join("', '") }}') and made.shop != all({{ whole }})
{%- endmacro %}


{#- The rows of `relation` that `condition` names, of the shops with changes that are not read whole. -#}
{% macro rows_of_changes(relation, condition, whole) -%}
    select found.*
    from {{ relation }} as found
    where {{ condition }}
        and found.shop = any(array(select made.shop from ledger.made where made.shop != all({{ whole }})))
{%- endmacro %}


{#-
    The rows of `relation` that a test of each row by itself reads. `also` is the table that the rows are held against: where it
    was made again, so are read the rows that stand on it. Two tables by day file what belongs together under one day.
-#}
{% macro tested(relation, also=none) -%}
    {%- set node = tested_node(relation) -%}
    {%- set nodes = [node, tested_node(also) if also else none] | select | list -%}
    {%- if not node -%}
    {{ relation }}
    {%- else -%}
    (
        {{ rows_of_shops(relation, whole_shops(nodes)) }}
        {%- if node.config.incremental_strategy != 'by_shop' %}
        union all
        {{ remade(relation, nodes) }}
        {%- endif %}
    )
    {%- endif -%}
{%- endmacro %}


{#- The rows of `relation`, a table by day or by key, that were made again, of shops that are not read whole. -#}
{% macro remade(relation, nodes) -%}
    {%- set strategy = nodes[0].config.incremental_strategy -%}
    {%- set alike = nodes | selectattr('config.incremental_strategy', 'equalto', strategy) | list -%}
    {%- set whole = whole_shops(nodes) -%}
    {%- set values = made_values(alike, whole) -%}
    {%- if strategy == 'by_day' -%}
        {%- set condition = 'found.' ~ nodes[0].config.meta.day_column ~ ' = any(array(' ~ values ~ '))' -%}
    {%- else -%}
        {#- Not an array: keys may be so many that an index is the longer way. -#}
        {%- set condition = 'found.' ~ nodes[0].config.meta.key_column ~ ' in (' ~ values ~ ')' -%}
    {%- endif -%}
    {{ rows_of_changes(relation, condition, whole) }}
{%- endmacro %}


{#- The rows of `relation` of the shops of which anything was made again: for tests that say something of a whole shop. -#}
{% macro tested_shops(relation, also=none) -%}
    {%- set nodes = [tested_node(relation), tested_node(also) if also else none] | select | list -%}
    {%- if not nodes -%}
    {{ relation }}
    {%- else -%}
    ({{ rows_of_shops(relation, whole_shops(nodes, any=true)) }})
    {%- endif -%}
{%- endmacro %}


{#- The rows of `relation` that have the same values of `columns` as a row that was made again. -#}
{% macro tested_groups(relation, columns) -%}
    {%- set node = tested_node(relation) -%}
    {%- if not node or node.config.incremental_strategy == 'by_shop' -%}
    {{ tested(relation) }}
    {%- else -%}
    (
        {{ rows_of_shops(relation, whole_shops([node])) }}
        union all
        select found.*
        from {{ relation }} as found
        where ({{ columns | join(', ') }}) in (
            select {{ columns | join(', ') }}
            from ({{ remade(relation, [node]) }}) as remade
        )
    )
    {%- endif -%}
{%- endmacro %}


{#- Shop and `column` of the rows of `relation` that name a row of `to`, a table by key, that was made again and is no more. -#}
{% macro tested_lost(relation, column, to, field) -%}
    {%- set node = tested_node(relation) -%}
    {%- set other = tested_node(to) -%}
    {%- if node and other and other.config.incremental_strategy == 'by_key' and other.config.meta.key_column == field %}
        union all
        select found.shop, found.{{ column }}
        from (
            select made.shop, unnest(made.keys) as key
            from ledger.made
            where made.model = '{{ other.name }}' and made.shop != all({{ whole_shops([node, other]) }})
            except
            select kept.shop, kept.{{ field }}
            from {{ to }} as kept
        ) as lost
        inner join {{ relation }} as found on found.shop = lost.shop and found.{{ column }} = lost.key
    {%- endif -%}
{%- endmacro %}


{#-
    The rows of `relation` that a test reads which holds sums of `of` against sums of `to`; `relation` is one of the two. Of two
    tables by day those of the days that were made again in either; of a table by key and one by day those of its keys
    and of those that the days tell of.
-#}
{% macro tested_sums(relation, of, to) -%}
    {%- set node = tested_node(of) -%}
    {%- set other = tested_node(to) -%}
    {%- set strategies = [node.config.incremental_strategy, other.config.incremental_strategy] if node and other else [] -%}
    {%- if strategies == ['by_day', 'by_day'] -%}
    {{ tested(relation, also=to if relation == of else of) }}
    {%- elif strategies == ['by_key', 'by_day'] -%}
    {%- set key = node.config.meta.key_column -%}
    {%- set whole = whole_shops([node, other]) -%}
    {%- set condition -%}
        found.{{ key }} in (
            {{ made_values([node], whole) }}
            union
            select told.{{ key }} from ({{ remade(to, [other, node]) }}) as told
        )
    {%- endset -%}
    (
        {{ rows_of_shops(relation, whole) }}
        union all
        {{ rows_of_changes(relation, condition, whole) }}
    )
    {%- else -%}
    {{ tested_shops(relation, also=to if relation == of else of) }}
    {%- endif -%}
{%- endmacro %}
