{%- set shop = 'online_retail' -%}
{{ config(enabled=shop in shops()) }}

-- Not materialized: written out, half a million lines cost more than being read twice.
with lines as not materialized (
    select
        stock_code,
        invoice_no,
        invoice_date,
        unit_price,
        quantity > 0 and unit_price > 0 and invoice_no not like 'C%' as is_sale,
        nullif(btrim(description, e' \t\r\n'), '') as title
    from {{ ref('stg_online_retail__lines') }}
),

-- Read once, down to the few texts of each code.
texts as (
    select
        stock_code,
        title,
        count(*) as lines,
        max(invoice_date) as last_at,
        count(*) filter (where is_sale) as sale_lines,
        max(invoice_date) filter (where is_sale) as last_sale_at
    from lines
    group by stock_code, title
),

products as (
    select
        stock_code,
        max(last_sale_at) as last_sale_at
    from texts
    group by stock_code
),

-- Texts are written by hand ('damaged', '?' on stock adjustments), so those of sales come first.
titles as (
    select distinct on (stock_code)
        stock_code,
        title
    from texts
    where title is not null
    order by
        stock_code,
        sale_lines desc,
        last_sale_at desc nulls last,
        case when sale_lines = 0 then lines end desc,
        case when sale_lines = 0 then last_at end desc,
        title collate "C"
),

prices as (
    select distinct on (lines.stock_code)
        lines.stock_code,
        lines.unit_price
    from lines
    inner join products
        on products.stock_code = lines.stock_code
        and products.last_sale_at = lines.invoice_date
    where lines.is_sale
    order by lines.stock_code, lines.invoice_no collate "C" desc, lines.unit_price desc
)

select
    products.stock_code as product_id,
    titles.title,
    null::text as description,
    null::text as keywords,
    null::text as brand,
    null::text as category_id,
    prices.unit_price as price,
    '{{ shop_setting(shop, "currency") }}'::text as currency,
    -- Articles have codes of five digits with a suffix, or DCGS...; the others are postage (POST, DOT), fees (AMAZONFEE,
    -- BANK CHARGES), corrections (M, D, S, B), carriage (C2), samples, vouchers (gift_0001_...), donations (CRUK).
    products.stock_code ~ '^([0-9]{5}|DCGS)' as is_merchandise
from products
left join titles on titles.stock_code = products.stock_code
left join prices on prices.stock_code = products.stock_code
