{{ config(
    incremental_strategy='append',
    indexes=[{'columns': ['date'], 'unique': True}]
) }}

-- A fixed calendar, so that no run has to wonder how far it reaches.
with days as (
    select generate_series('1990-01-01'::timestamp, '2049-12-31', '1 day')::date as date
)

select
    date,
    extract(year from date)::integer as year,
    extract(quarter from date)::integer as quarter,
    extract(month from date)::integer as month,
    extract(day from date)::integer as day,
    extract(isoyear from date)::integer as iso_year,
    extract(week from date)::integer as week,
    extract(isodow from date)::integer as day_of_week,
    extract(doy from date)::integer as day_of_year,
    extract(isodow from date) >= 6 as is_weekend,
    -- Not to_char: the names must not depend on the server's language.
    (array[
        'January', 'February', 'March', 'April', 'May', 'June',
        'July', 'August', 'September', 'October', 'November', 'December'
    ])[extract(month from date)::integer] as month_name,
    (array[
        'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'
    ])[extract(isodow from date)::integer] as day_name
from days
{%- if is_incremental() %}
where date not in (select date from {{ this }})
{%- endif %}
