-- depends_on: {{ ref("dim_features") }}
-- The table's unique key treats nulls as distinct.
with feature_usage as (
    select
        id,
        user_id,
        license_id,
        feature_name,
        total_uses,
        created_at
    from {{ source("saas", "feature_usage") }}
),

counted as (
    select
        *,
        count(*) over (partition by user_id, license_id, feature_name) as rows_of_group
    from feature_usage
)

select
    id as feature_usage_id,
    user_id,
    license_id,
    case
        when license_id is null then 'license_is_null'
        else 'user_is_null'
    end as reason,
    feature_name,
    total_uses,
    rows_of_group,
    created_at
from counted
where rows_of_group > 1
