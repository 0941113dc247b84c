{#-
    What a shop's staging models must be: the one place that maps `provides` to entities.

    A shop whose `provides` holds all of `needs`, and one of `any` where there is such a list, has a model
    `stg_<shop>__<entity>` with exactly `columns`. These are the columns of the contract table less `shop` and
    `is_inferred`, which the contract adds. `day` is the column that holds the day (in the shop's timezone) of the row; a
    table with a day is made again day by day, one without shop by shop.

    provides       staging models                    columns that need it
    orders         customers, orders, order_items    all
    events         events                            all; product_id null where the event names no product
    reviews        reviews                           all
    products       products                          product_id, brand, category_id, is_merchandise; the others are null
                                                     unless one of the next three is provided too
    product_text   (adds to products)                title, description, keywords
    prices         (adds to products)                price, currency
    products with orders, events or prices:
                   product_history                   all; title, category_id, price are null where the source has no history of
                                                     them. A shop with none of the three has nothing that is dated.
    categories     categories; (adds to products)    all of the categories; category_id of products

    What a staging model must keep to, besides its columns and types:
    - no row of the source is dropped; what is no sale is flagged by is_sale (quantity > 0, price > 0, not cancelled)
    - booleans are never null; is_sale, is_cancellation and is_merchandise of an unknown thing are false, false, true
    - line_no comes from the content of a line, never from the order of loading
    - the day is a plain column of the rows, or of the group or window partition that makes them, so that Postgres
      can push the condition on changed days down to the raw table
    - where rows are filed under a day that another raw table tells, _sources.yml says so (`days_of`), so that a change of
      either table names it
    - of several rows with one key in objects that come one after the other the one of the newest extract counts

    `of_all` is one more staging model, with a column `shop`: rows that every shop may have, whatever it provides.
-#}
{% macro entities() %}
    {% do return({
        'customers': {
            'needs': ['orders'],
            'columns': {
                'customer_id': 'text',
                'first_seen_at': 'timestamptz',
                'country': 'text'
            }
        },
        'orders': {
            'needs': ['orders'],
            'day': 'order_date',
            'columns': {
                'order_id': 'text',
                'customer_id': 'text',
                'ordered_at': 'timestamptz',
                'order_date': 'date',
                'status': 'text',
                'currency': 'text',
                'country': 'text',
                'amount': 'numeric(18,4)',
                'is_cancellation': 'boolean'
            }
        },
        'order_items': {
            'needs': ['orders'],
            'day': 'order_date',
            'columns': {
                'order_id': 'text',
                'line_no': 'bigint',
                'product_id': 'text',
                'customer_id': 'text',
                'ordered_at': 'timestamptz',
                'order_date': 'date',
                'quantity': 'bigint',
                'unit_price': 'numeric(18,4)',
                'amount': 'numeric(18,4)',
                'currency': 'text',
                'country': 'text',
                'is_cancellation': 'boolean',
                'is_sale': 'boolean'
            }
        },
        'events': {
            'needs': ['events'],
            'of_all': 'stg_api__events',
            'day': 'event_date',
            'columns': {
                'event_id': 'text',
                'actor_id': 'text',
                'customer_id': 'text',
                'session_id': 'text',
                'event_type': 'text',
                'product_id': 'text',
                'occurred_at': 'timestamptz',
                'event_date': 'date',
                'origin': 'text'
            }
        },
        'reviews': {
            'needs': ['reviews'],
            'columns': {
                'review_id': 'text',
                'order_id': 'text',
                'customer_id': 'text',
                'score': 'integer',
                'title': 'text',
                'text': 'text',
                'language': 'text',
                'created_at': 'timestamptz',
                'review_date': 'date'
            }
        },
        'products': {
            'needs': ['products'],
            'columns': {
                'product_id': 'text',
                'title': 'text',
                'description': 'text',
                'keywords': 'text',
                'brand': 'text',
                'category_id': 'text',
                'price': 'numeric(18,4)',
                'currency': 'text',
                'is_merchandise': 'boolean'
            }
        },
        'product_history': {
            'needs': ['products'],
            'any': ['orders', 'events', 'prices'],
            'columns': {
                'product_id': 'text',
                'valid_from': 'timestamptz',
                'valid_to': 'timestamptz',
                'title': 'text',
                'category_id': 'text',
                'price': 'numeric(18,4)',
                'currency': 'text'
            }
        },
        'categories': {
            'needs': ['categories'],
            'columns': {
                'category_id': 'text',
                'parent_id': 'text',
                'path': 'text',
                'depth': 'integer'
            }
        }
    }) %}
{% endmacro %}


{#-
    The rows of one entity over all shops that have it, with `shop` before them; while a model is made incrementally
    only what `pending` asks for. Empty and typed where no shop provides the entity.

    The halves (all of a shop; its changed days, or the keys of these) exclude each other by conditions on `pending` alone,
    which Postgres evaluates once before it scans anything: a shop with nothing to do costs nothing, and a changed day
    can use an index.
-#}
{% macro staged(entity) %}
    {%- set spec = entities()[entity] -%}
    {%- set columns = spec.columns.keys() | join(', ') -%}
    {%- set found = [] -%}
    {%- for shop in shops_providing(spec.needs, spec.any) -%}
        {%- set staging = ref('stg_' ~ shop ~ '__' ~ entity) -%}
        {%- do found.append([shop, "select '" ~ shop ~ "'::text as shop, " ~ columns ~ " from " ~ staging ~ " where "]) -%}
    {%- endfor -%}
    {%- for shop in shops() if spec.of_all -%}
        {%- set rows = "select shop, " ~ columns ~ " from " ~ ref(spec.of_all) ~ " where shop = '" ~ shop ~ "' and " -%}
        {%- do found.append([shop, rows]) -%}
    {%- endfor -%}
    {%- set parts = [] -%}
    {%- for shop, rows in found -%}
        {%- set everything = "(select pending.everything from pending where pending.shop = '" ~ shop ~ "')" -%}
        {%- if not is_incremental() -%}
            {%- do parts.append(rows ~ "true") -%}
        {%- else -%}
            {%- do parts.append(rows ~ everything ~ " = true") -%}
            {%- if config.get('incremental_strategy') == 'by_key' -%}
                {%- do parts.append(rows ~ everything ~ " = false and " ~ model.config.meta.key_column
                    ~ " in (select pending_keys.key from pending_keys where pending_keys.shop = '" ~ shop ~ "')") -%}
            {%- elif spec.day -%}
                {%- do parts.append(rows ~ everything ~ " = false and " ~ pending_days(shop, spec.day)) -%}
            {%- endif -%}
        {%- endif -%}
    {%- else -%}
        {%- set nulls = [] -%}
        {%- for column, type in spec.columns.items() -%}
            {%- do nulls.append('null::' ~ type ~ ' as ' ~ column) -%}
        {%- endfor -%}
        {%- do parts.append('select null::text as shop, ' ~ nulls | join(', ') ~ ' where false') -%}
    {%- endfor -%}
    {{ parts | join('\n    union all\n    ') }}
{%- endmacro %}
