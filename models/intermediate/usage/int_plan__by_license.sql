{{ config(
    meta={"exact": {
        "keys": ["license_id"],
        "inputs": {"stg_saas__licenses": {}},
    }},
) }}

-- One row per license with its current plan. The source writes seats and status to the
-- same row; they change nothing here.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
)

select
    license_id,
    plan_type
from licenses
