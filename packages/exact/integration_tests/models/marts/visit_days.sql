-- Keys over partitions.
{{ config(meta={"exact": {
    "keys": ["visit_date", "customer_id"],
    "inputs": {"stg_visits": {"keys": {"visit_date": "day of visited_at"}}},
}}) }}

select
    {{ exact.day_of("visited_at") }} as visit_date,
    customer_id,
    count(*) as visits
from {{ ref("stg_visits") }}
group by 1, 2
