-- The products of a shop that can be searched: their slow text, and what filters use.
with sold as (
    -- Sales in one currency, that of most orders: amounts of several are not added up.
    select distinct on (product_id)
        product_id,
        units,
        orders,
        sales,
        currency,
        first_sold_at,
        last_sold_at
    from marts.mart_product_sales
    where shop = %(shop)s
    order by product_id, orders desc, currency
),

countries as (
    select product_id, array_agg(distinct country order by country) as countries
    from contract.fct_order_items
    where shop = %(shop)s and is_sale and country is not null
    group by product_id
)

select
    products.product_id,
    products.title,
    products.description,
    products.keywords,
    products.brand,
    categories.path as category,
    products.price::float8 as price,
    products.currency,
    countries.countries,
    sold.units,
    sold.orders,
    sold.sales::float8 as sales,
    sold.currency as sales_currency,
    sold.first_sold_at,
    sold.last_sold_at
from contract.dim_product as products
left join contract.dim_category as categories
    on categories.shop = products.shop and categories.category_id = products.category_id
left join sold on sold.product_id = products.product_id
left join countries on countries.product_id = products.product_id
where
    products.shop = %(shop)s
    and products.is_merchandise
    and not products.is_inferred
    and coalesce(products.title, products.description) is not null
order by products.product_id
