{{ config(
    scope=["license_id"],
    changes={"stg_saas__licenses": {"license_id": "license_id"}},
) }}

-- One row per licence that was live at some time: the first and the last month in which
-- it was. A month counts when the licence began before its end and was neither
-- cancelled nor expired before its start, whatever its status says now. An open licence
-- has no last one.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
),

lifetimes as (
    select
        license_id,
        plan_type,
        {{ reporting_month("started_at") }} as first_eligible_month,
        -- least() passes over nulls on some engines and not on others.
        case
            when cancelled_at is null or expires_at < cancelled_at
                then {{ reporting_month("expires_at") }}
            else {{ reporting_month("cancelled_at") }}
        end as last_eligible_month
    from licenses
)

select
    license_id,
    plan_type,
    first_eligible_month,
    last_eligible_month
from lifetimes
where last_eligible_month is null or first_eligible_month <= last_eligible_month
