{{ config(
    meta={"exact": {
        "keys": ["audit_date", "action", "resource_type", "status"],
        "inputs": {"stg_saas__audit_logs": {"keys": {"audit_date": "day of occurred_at"}}},
    }},
) }}

-- One row per day, action, type of resource and outcome: audited actions and the users
-- who acted. An action counts on its own day.
with actions as (
    select * from {{ ref("stg_saas__audit_logs") }}
)

select
    {{ reporting_date("occurred_at") }} as audit_date,
    action,
    resource_type,
    status,
    count(*) as events,
    count(distinct user_id) as actors
from actions
group by {{ reporting_date("occurred_at") }}, action, resource_type, status
