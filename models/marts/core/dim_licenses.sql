{{ config(
    meta={"exact": {
        "keys": ["license_id"],
        "inputs": {
            "stg_saas__licenses": {"moments": ["started_at", "cancelled_at", "expires_at"]},
        },
        "clock": "none",
    }},
) }}

-- One row per license with its plan, seats and dates, as they are now.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
)

select
    license_id,
    user_id as owner_user_id,
    plan_type,
    status,
    seats_total,
    seats_used,
    started_at is not null
    and started_at <= {{ reporting_now() }}
    and (cancelled_at is null or cancelled_at > {{ reporting_now() }})
    and (expires_at is null or expires_at > {{ reporting_now() }}) as is_live,
    {{ reporting_date("started_at") }} as started_date,
    started_at,
    trial_ends_at,
    expires_at,
    cancelled_at
from licenses
