{{ config(
    meta={"exact": {
        "renamed_from": "int_licenses_eligible_months",
        "keys": ["license_id"],
        "inputs": {"stg_saas__licenses": {}},
    }},
) }}

-- One row per license that was live at some time: the first and the last month in which
-- it was. A month counts when the license began before its end and was neither
-- cancelled nor expired before its start, whatever its status says now. An open license
-- has no last one; one without a plausible start was never live.
with licenses as (
    select * from {{ ref("stg_saas__licenses") }}
),

months as (
    select
        license_id,
        plan_type,
        {{ reporting_month("started_at") }} as first_month,
        {{ reporting_month("cancelled_at") }} as cancelled_month,
        {{ reporting_month("expires_at") }} as expired_month
    from licenses
),

lifetimes as (
    select
        license_id,
        plan_type,
        first_month as first_eligible_month,
        -- least() passes over nulls on some engines and not on others. Months are
        -- compared, not times: where clocks go back, the earlier time may be of the
        -- later month.
        case
            when cancelled_month is null or expired_month < cancelled_month
                then expired_month
            else cancelled_month
        end as last_eligible_month
    from months
)

select
    license_id,
    plan_type,
    first_eligible_month,
    last_eligible_month
from lifetimes
where
    first_eligible_month is not null
    and (last_eligible_month is null or first_eligible_month <= last_eligible_month)
