-- One row per feature that is listed or was ever used: what it is called, and when it
-- was first and last used by anybody. A feature that only events know keeps its own
-- name.
with features as (
    select * from {{ ref("features") }}
),

feature_usage as (
    select * from {{ ref("fct_feature_usage") }}
),

used as (
    select
        feature_name,
        min(first_used_at) as first_used_at,
        max(last_used_at) as last_used_at
    from feature_usage
    group by feature_name
)

select
    coalesce(features.feature_name, used.feature_name) as feature_name,
    coalesce(features.feature_label, used.feature_name) as feature_label,
    features.feature_area,
    features.minimum_plan_type,
    features.feature_name is not null as is_listed,
    used.first_used_at,
    used.last_used_at
from features
full outer join used on features.feature_name = used.feature_name
