-- Time that passes: an order becomes overdue although no process writes to it.
{{ config(meta={"exact": {
    "keys": ["customer_id"],
    "inputs": {"stg_orders": {"moments": ["due_at"]}},
    "clock": "none",
}}) }}

select
    customer_id,
    count(*) as overdue_orders
from {{ ref("stg_orders") }}
where status = 'open' and due_at <= {{ exact.now() }}
group by customer_id
