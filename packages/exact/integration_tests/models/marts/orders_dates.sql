-- A row that belongs to several keys.
{{ config(meta={"exact": {
    "keys": ["event_month"],
    "inputs": {
        "stg_orders": {"keys": [
            {"event_month": "month of ordered_at"},
            {"event_month": "month of due_at or none"},
        ]},
    },
}}) }}

with events as (
    select
        {{ exact.month_of("ordered_at") }} as event_month,
        1 as ordered,
        0 as due
    from {{ ref("stg_orders") }}
    union all
    select
        {{ exact.month_of("due_at") }} as event_month,
        0 as ordered,
        1 as due
    from {{ ref("stg_orders") }}
)

select
    event_month,
    sum(ordered) as ordered,
    sum(due) as due
from events
group by event_month
