{{ config(
    meta={"exact": {
        "keys": ["user_id", "feature_name"],
        "inputs": {"int_features_used_monthly": {}},
    }},
    indexes=[
        {"columns": ["feature_name", "first_used_at"]},
        {"columns": ["feature_name", "last_used_at"]},
    ],
) }}

-- One row per user, licence and feature: when it was first and last used and how often.
-- Null ids are groups of their own. Made from the events, not from the application's
-- own table feature_usage.
with feature_uses as (
    select * from {{ ref("int_features_used_monthly") }}
)

select
    user_id,
    license_id,
    feature_name,
    cast(sum(total_uses) as bigint) as total_uses,
    min(first_used_at) as first_used_at,
    max(last_used_at) as last_used_at
from feature_uses
group by
    user_id,
    license_id,
    feature_name
