{{ config(
    meta={"exact": {
        "keys": ["feature_name"],
        "inputs": {
            "int_feature_totals__by_month_feature_plan": {},
            "int_feature_uses__by_month_feature_license_user": {"lookup": {}},
        },
    }},
) }}

-- One row per feature that is listed or was ever used: its label, and its first and
-- last use by any user. A feature that only events name keeps that name.
with features as (
    select * from {{ ref("features") }}
),

feature_uses as (
    select * from {{ ref("int_feature_uses__by_month_feature_license_user") }}
),

active as (
    select distinct feature_name
    from {{ ref("int_feature_totals__by_month_feature_plan") }}
),

used as (
    select
        active.feature_name,
        times.first_used_at,
        times.last_used_at
    from active
    -- An index gives the first and the last use of each feature.
    cross join lateral (
        select
            min(feature_uses.first_used_at) as first_used_at,
            max(feature_uses.last_used_at) as last_used_at
        from feature_uses
        where feature_uses.feature_name = active.feature_name
    ) as times
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
