{%- set shop = 'online_retail' -%}
{{ config(enabled=shop in shops()) }}
{#-
    A line of the stream that a file also holds is left out: of an invoice and a code the files hold n lines, and of the
    stream's those count that come after its n-th. Files and stream may give a line another day, so no day may be in this;
    and yet a condition on the day has to reach both raw tables. So nothing is numbered by a window: each line of the
    stream is joined with those that it is counted against, and grouped by all its columns again. Where the stream is
    empty, or has nothing on the day that is asked for, none of these joins reads the files.
-#}
{%- set columns -%}
    invoice_no, stock_code, description, quantity, invoice_date, unit_price, customer_id, country
{%- endset %}

with streamed as not materialized (
    select
        *,
        -- Where the stream had it.
        row(_arrived_at, _shard collate "C", _sequence::numeric, _line, _extract_id) as place
    from {{ source('online_retail', 'invoice_lines_stream') }}
),

-- A record that its producer sent twice, to be sure, has one name.
sent as (
    select {{ columns }}, place
    from streamed
    where not exists (
        select
        from streamed as earlier
        where earlier.record_id = streamed.record_id and earlier.place < streamed.place
    )
),

numbered as (
    select
        sent.*,
        -- Here, too, those of one name count once.
        count(distinct coalesce(earlier.record_id, earlier.place::text)) as occurrence
    from sent
    inner join streamed as earlier
        on earlier.invoice_no = sent.invoice_no
        and earlier.stock_code = sent.stock_code
        and earlier.place <= sent.place
    group by {% for name in columns.split(',') %}sent.{{ name | trim }}, {% endfor %}sent.place
),

unfiled as (
    select {% for name in columns.split(',') %}numbered.{{ name | trim }}{{ ', ' if not loop.last }}{% endfor %}
    from numbered
    left join {{ source('online_retail', 'invoice_lines') }} as filed
        on filed.invoice_no = numbered.invoice_no and filed.stock_code = numbered.stock_code
    group by {% for name in columns.split(',') %}numbered.{{ name | trim }}, {% endfor %}numbered.place, numbered.occurrence
    having count(filed.invoice_no) < numbered.occurrence
)

select {{ columns }}
from {{ source('online_retail', 'invoice_lines') }}

union all

select {{ columns }}
from unfiled
