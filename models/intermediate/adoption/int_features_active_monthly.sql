{{ config(
    scope=["usage_month", "feature_name"],
    changes={
        "int_features_used_monthly": {
            "usage_month": "usage_month", "feature_name": "feature_name",
        },
        "int_licenses_features_used": """
            select distinct uses.usage_month, uses.feature_name
            from int_features_used_monthly as uses
            inner join changes
                on uses.license_id = changes.license_id
                and uses.feature_name = changes.feature_name
        """,
    },
) }}

-- One row per month, feature and plan with an event of a live licence: how many
-- licences and users used the feature, how many licences for the first time ever, and
-- how often.
with feature_uses as (
    select * from {{ ref("int_features_used_monthly") }}
),

licenses_features as (
    select * from {{ ref("int_licenses_features_used") }}
),

eligible_uses as (
    select
        feature_uses.usage_month,
        feature_uses.feature_name,
        licenses_features.plan_type,
        feature_uses.license_id,
        feature_uses.user_id,
        feature_uses.total_uses,
        feature_uses.usage_month = licenses_features.first_use_month as is_first_month
    from feature_uses
    inner join licenses_features
        on
            feature_uses.license_id = licenses_features.license_id
            and feature_uses.feature_name = licenses_features.feature_name
    where
        feature_uses.usage_month >= licenses_features.first_eligible_month
        and (
            licenses_features.last_eligible_month is null
            or feature_uses.usage_month <= licenses_features.last_eligible_month
        )
),

with_all_plans as (
    select * from eligible_uses
    union all
    select
        usage_month,
        feature_name,
        'all' as plan_type,
        license_id,
        user_id,
        total_uses,
        is_first_month
    from eligible_uses
)

select
    usage_month,
    feature_name,
    plan_type,
    count(distinct license_id) as active_licenses,
    count(distinct license_id) filter (where is_first_month) as new_licenses,
    count(distinct user_id) as active_users,
    cast(sum(total_uses) as bigint) as total_uses
from with_all_plans
group by usage_month, feature_name, plan_type
