-- A looked-up value: an order counts in its customer's present region.
{{ config(meta={"exact": {
    "keys": ["order_month"],
    "inputs": {
        "stg_orders": {"keys": {"order_month": "month of ordered_at"}},
        "customers_kept": {
            "lookup": {"in": "stg_orders", "by": "customer_id", "changed": "region"},
        },
    },
}}) }}

select
    {{ exact.month_of("orders.ordered_at") }} as order_month,
    customers.region,
    count(*) as orders
from {{ ref("stg_orders") }} as orders
left join {{ ref("customers_kept") }} as customers
    on orders.customer_id = customers.customer_id
group by 1, 2
