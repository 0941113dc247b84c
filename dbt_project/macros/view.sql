{#-
    Views in place of dbt's own way, which makes each view anew in every run and drops the old one with all that stands on
    it: a run of one staging model took the views above it away, and readers met a missing view.

    Here a view is touched only where its text changed (its hash stands in the view's comment), and replaced in place
    unless its columns changed; then the views above it go too, and a run of `<model>+` makes them again.
-#}
{% materialization view, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='view') -%}
    {%- set mark = 'sha ' ~ local_md5(sql) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {#- Asked of the database, not of dbt's cache: a cascade may have taken the view a moment ago. -#}
    {%- set found = run_query("select obj_description(to_regclass('" ~ target ~ "'), 'pg_class')").rows[0][0] -%}

    {% call statement('main') %}
        {%- if found == mark and not should_full_refresh() %}
        select 'unchanged'
        {%- else %}
        {{ get_assert_columns_equivalent(sql) if config.get('contract').enforced }}
        {%- if existing is not none and not existing.is_view %}
        drop {{ existing.type }} if exists {{ existing }} cascade;
        {%- endif %}
        do $view$
        begin
            create or replace view {{ target }} as (
                {{ sql }}
            );
        exception when invalid_table_definition then
            -- Other columns or types than before.
            drop view {{ target }} cascade;
            create view {{ target }} as (
                {{ sql }}
            );
        end
        $view$;
        comment on view {{ target }} is '{{ mark }}';
        {%- endif %}
    {% endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}
