{{ config(
    access="protected",
    meta={"exact": {
        "renamed_from": "int_features_active_monthly",
        "keys": ["usage_month", "feature_name", "plan_type"],
        "inputs": {
            "int_uses_on_plan__by_month_feature_license_user": {
                "delta": {
                    "count": "usage_groups",
                    "neighbors": [
                        {
                            "same": ["license_id", "usage_month", "feature_name"],
                            "where": "license_id is not null",
                        },
                        {
                            "same": ["user_id", "usage_month", "feature_name"],
                            "where": "user_id is not null",
                        },
                    ],
                },
            },
        },
    }},
    indexes=[{"columns": ["feature_name"]}],
) }}

-- One row per month, feature and plan with an event of a live license, and one of `all`
-- plans for each month and feature with any event: the number of its licenses, of its
-- users, of licenses that used it for the first time, and of uses.
with uses as (
    select * from {{ ref("int_uses_on_plan__by_month_feature_license_user") }}
),

with_all_plans as (
    select
        usage_month,
        feature_name,
        plan_type,
        license_id,
        user_id,
        is_first_month,
        total_uses
    from uses
    where plan_type is not null
    union all
    select
        usage_month,
        feature_name,
        'all' as plan_type,
        case when plan_type is not null then license_id end as license_id,
        case when plan_type is not null then user_id end as user_id,
        is_first_month,
        case when plan_type is not null then total_uses else 0 end as total_uses
    from uses
)

select
    usage_month,
    feature_name,
    plan_type,
    count(*) as usage_groups,
    count(distinct license_id) as active_licenses,
    count(distinct license_id) filter (where is_first_month) as new_licenses,
    count(distinct user_id) as active_users,
    cast(sum(total_uses) as bigint) as total_uses
from with_all_plans
group by usage_month, feature_name, plan_type
