-- Keys by the day of a timestamp, of the rows that count.
{{ config(meta={"exact": {
    "keys": ["order_date", "customer_id"],
    "inputs": {
        "stg_orders": {
            "keys": {"order_date": "day of ordered_at"}, "where": "status = 'paid'",
        },
    },
}}) }}

select
    {{ exact.day_of("ordered_at") }} as order_date,
    customer_id,
    count(*) as orders,
    sum(amount_cents) as amount_cents
from {{ ref("stg_orders") }}
where status = 'paid'
group by 1, 2
