-- A delta with neighbors: a day counts by the customer's day before it.
{{ config(meta={"exact": {
    "keys": ["visit_date"],
    "inputs": {"visit_days": {"delta": {
        "count": "days",
        "neighbors": [
            {"same": ["customer_id", "visit_date"]},
            {"same": ["customer_id"], "next_to": "visit_date"},
        ],
    }}},
}}) }}

with days as (
    select
        visit_date,
        visit_date - lag(visit_date) over (
            partition by customer_id
            order by visit_date
        ) as gap
    from {{ ref("visit_days") }}
)

select
    visit_date,
    count(*) as days,
    coalesce(sum(gap), 0) as gap_days
from days
group by visit_date
