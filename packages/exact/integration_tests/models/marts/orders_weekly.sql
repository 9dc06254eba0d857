-- Keys by the week of a timestamp.
{{ config(meta={"exact": {
    "keys": ["order_week"],
    "inputs": {"stg_orders": {"keys": {"order_week": "week of ordered_at"}}},
}}) }}

select
    {{ exact.week_of("ordered_at") }} as order_week,
    count(*) as orders
from {{ ref("stg_orders") }}
group by 1
