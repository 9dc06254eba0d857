{{ config(
    meta={"exact": {
        "renamed_from": "int_features_used_by_plan",
        "keys": ["usage_month", "user_id"],
        "inputs": {
            "int_feature_uses__by_month_feature_license_user": {},
            "int_feature_adoption__by_license_feature": {
                "lookup": {
                    "in": "int_feature_uses__by_month_feature_license_user",
                    "by": ["license_id", "feature_name"],
                },
            },
        },
    }},
    indexes=[
        {"columns": ["license_id", "usage_month"]},
        {"columns": ["user_id", "usage_month"]},
    ],
) }}

-- The rows of int_feature_uses__by_month_feature_license_user, with the plan of the
-- license where it was live.
with feature_uses as (
    select * from {{ ref("int_feature_uses__by_month_feature_license_user") }}
),

licenses_features as (
    select * from {{ ref("int_feature_adoption__by_license_feature") }}
)

select
    feature_uses.usage_month,
    feature_uses.feature_name,
    feature_uses.license_id,
    feature_uses.user_id,
    licenses_features.plan_type,
    feature_uses.usage_month = licenses_features.first_use_month as is_first_month,
    feature_uses.total_uses
from feature_uses
left join licenses_features
    on
        feature_uses.license_id = licenses_features.license_id
        and feature_uses.feature_name = licenses_features.feature_name
        and feature_uses.usage_month >= licenses_features.first_eligible_month
        and (
            licenses_features.last_eligible_month is null
            or feature_uses.usage_month <= licenses_features.last_eligible_month
        )
