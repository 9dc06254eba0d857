{{ config(
    meta={"exact": {
        "renamed_from": "int_subscriptions_plans",
        "keys": ["subscription_id"],
        "inputs": {"stg_saas__subscriptions": {}},
    }},
) }}

-- One row per subscription with its current plan. A renewal, which the source writes to
-- the same row, changes nothing here.
with subscriptions as (
    select * from {{ ref("stg_saas__subscriptions") }}
)

select
    subscription_id,
    plan_type
from subscriptions
