{{ config(
    meta={"exact": {
        "renamed_from": "int_features_adopted_changes",
        "keys": ["feature_name", "plan_type", "change_month"],
        "inputs": {
            "int_feature_adoption__by_license_feature": {
                "delta": {"count": "counted_changes"},
            },
        },
    }},
) }}

-- One row per feature, plan and month in which the number of licenses that have adopted
-- the feature changes: those that adopt it, less those that were last live in the month
-- before. The running total is the number of adopted licenses of a month.
with licenses_features as (
    select * from {{ ref("int_feature_adoption__by_license_feature") }}
    where first_adopted_month is not null
),

changes as (
    select
        feature_name,
        plan_type,
        first_adopted_month as change_month,
        count(*) as license_change,
        count(*) as counted_changes
    from licenses_features
    group by feature_name, plan_type, first_adopted_month
    union all
    select
        feature_name,
        plan_type,
        {{ add_months("last_eligible_month", 1) }} as change_month,
        -count(*) as license_change,
        count(*) as counted_changes
    from licenses_features
    where last_eligible_month is not null
    group by feature_name, plan_type, last_eligible_month
),

with_all_plans as (
    select
        feature_name,
        plan_type,
        change_month,
        license_change,
        counted_changes
    from changes
    union all
    select
        feature_name,
        'all' as plan_type,
        change_month,
        license_change,
        counted_changes
    from changes
)

select
    feature_name,
    plan_type,
    change_month,
    sum(license_change) as license_change,
    sum(counted_changes) as counted_changes
from with_all_plans
group by feature_name, plan_type, change_month
