-- A delta: each row of the input counts by itself.
{{ config(meta={"exact": {
    "keys": ["visit_date"],
    "inputs": {"visit_days": {"delta": {"count": "visitor_groups"}}},
}}) }}

select
    visit_date,
    count(*) as visitor_groups,
    count(customer_id) as visitors,
    sum(visits) as visits
from {{ ref("visit_days") }}
group by visit_date
