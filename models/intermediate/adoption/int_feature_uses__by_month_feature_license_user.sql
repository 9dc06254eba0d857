{{ config(
    access="protected",
    meta={"exact": {
        "renamed_from": "int_features_used_monthly",
        "keys": ["usage_month", "user_id"],
        "inputs": {"int_feature_uses__by_day_feature_license_user": {}},
    }},
    indexes=[
        {
            "columns": [
                "user_id",
                "feature_name",
                "license_id",
                "total_uses",
                "first_used_at",
                "last_used_at",
            ],
        },
        {"columns": ["license_id", "feature_name", "usage_month"]},
        {"columns": ["feature_name", "first_used_at"]},
        {"columns": ["feature_name", "last_used_at"]},
    ],
) }}

-- One row per month, feature, license and user with an event of the feature. Null ids
-- are groups of their own. All months of a user or license come from an index, because
-- they are spread over the table.
with feature_uses as (
    select * from {{ ref("int_feature_uses__by_day_feature_license_user") }}
)

select
    usage_month,
    feature_name,
    license_id,
    user_id,
    cast(sum(total_uses) as bigint) as total_uses,
    min(first_used_at) as first_used_at,
    max(last_used_at) as last_used_at
from feature_uses
group by
    usage_month,
    feature_name,
    license_id,
    user_id
