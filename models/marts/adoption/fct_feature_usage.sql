{{ config(
    meta={"exact": {
        "keys": ["user_id", "feature_name"],
        "inputs": {"int_feature_uses__by_month_feature_license_user": {}},
    }},
) }}

-- One row per user, license and feature: first use, last use and number of uses. Null
-- ids are groups of their own. It reads the events, not the application's table
-- feature_usage.
with feature_uses as (
    select * from {{ ref("int_feature_uses__by_month_feature_license_user") }}
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
