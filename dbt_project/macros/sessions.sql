{#-
    Sessions, for sources that have none of their own: a session ends where its actor does nothing for more than 30 minutes,
    and at the end of the shop's day, so that a late row cuts only that actor's day again.

    A query: the columns of `rows` (a relation or CTE) and `session_id`, which is `<actor>-<yyyymmdd>-<n-th of the day>`.
    `actor`, `day` and `instant` are columns of `rows`; the two first partition each window, so that a condition on days
    passes through; so does `within`, the shop, where `rows` are of several. What happens at one instant is in one session, in
    whatever order the rows come.
-#}
{% macro cut_sessions(rows, actor, day, instant, within=none) -%}
    {%- set parts = [within, actor, day] | select | join(', ') %}
    select
        *,
        {{ actor }} || '-' || to_char({{ day }}::timestamp, 'YYYYMMDD') || '-'
        || sum(begins_session) over (partition by {{ parts }} order by {{ instant }}) as session_id
    from (
        select
            *,
            case
                when {{ instant }} - lag({{ instant }}) over (partition by {{ parts }} order by {{ instant }})
                    <= interval '30 minutes'
                    then 0
                else 1
            end as begins_session
        from {{ rows }}
    ) as followed
{%- endmacro %}
