-- What products cost now, of those that the shop still has.
select product_id, price, currency
from contract.dim_product
where shop = %(shop)s and product_id = any(%(products)s) and is_merchandise and not is_inferred
