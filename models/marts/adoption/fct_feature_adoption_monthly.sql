{{ config(
    meta={"exact": {
        "keys": ["feature_name"],
        "inputs": {
            "int_feature_totals__by_month_feature_plan": {},
            "int_adopted_license_changes__by_month_feature_plan": {},
        },
    }},
) }}

-- One row per month, feature and plan, without gaps from the feature's first event to
-- the last event of any kind: the number of licenses, live in the month, that used the
-- feature in it, for the first time in it, or up to its end.
with eligible as (
    select * from {{ ref("int_eligible_licenses__by_month_plan") }}
),

active as (
    select * from {{ ref("int_feature_totals__by_month_feature_plan") }}
),

adopted_changes as (
    select * from {{ ref("int_adopted_license_changes__by_month_feature_plan") }}
),

features as (
    select
        feature_name,
        min(usage_month) as first_month
    from active
    group by feature_name
),

joined as (
    select
        eligible.eligible_month as adoption_month,
        features.feature_name,
        eligible.plan_type,
        eligible.eligible_licenses,
        coalesce(active.active_licenses, 0) as active_licenses,
        coalesce(active.new_licenses, 0) as new_licenses,
        sum(coalesce(adopted_changes.license_change, 0)) over (
            partition by features.feature_name, eligible.plan_type
            order by eligible.eligible_month
        ) as adopted_licenses,
        coalesce(active.active_users, 0) as active_users,
        coalesce(active.total_uses, 0) as total_uses
    from features
    inner join eligible on features.first_month <= eligible.eligible_month
    left join active
        on
            eligible.eligible_month = active.usage_month
            and features.feature_name = active.feature_name
            and eligible.plan_type = active.plan_type
    left join adopted_changes
        on
            eligible.eligible_month = adopted_changes.change_month
            and features.feature_name = adopted_changes.feature_name
            and eligible.plan_type = adopted_changes.plan_type
)

select
    adoption_month,
    feature_name,
    plan_type,
    eligible_licenses,
    active_licenses,
    new_licenses,
    cast(adopted_licenses as bigint) as adopted_licenses,
    active_users,
    total_uses,
    {{ safe_ratio("active_licenses", "eligible_licenses") }} as adoption_rate
from joined
