{{ config(
    meta={"exact": {
        "renamed_from": "int_licenses_eligible_changes",
        "keys": ["plan_type", "change_month"],
        "inputs": {
            "int_eligible_span__by_license": {"delta": {"count": "counted_changes"}},
        },
    }},
) }}

-- One row per plan and month in which the number of its live licenses changes: those
-- that begin, less those that were last live in the month before.
with eligible_months as (
    select * from {{ ref("int_eligible_span__by_license") }}
),

changes as (
    select
        plan_type,
        first_eligible_month as change_month,
        count(*) as license_change,
        count(*) as counted_changes
    from eligible_months
    group by plan_type, first_eligible_month
    union all
    select
        plan_type,
        {{ add_months("last_eligible_month", 1) }} as change_month,
        -count(*) as license_change,
        count(*) as counted_changes
    from eligible_months
    where last_eligible_month is not null
    group by plan_type, last_eligible_month
)

select
    plan_type,
    change_month,
    sum(license_change) as license_change,
    sum(counted_changes) as counted_changes
from changes
group by plan_type, change_month
