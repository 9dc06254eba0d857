{{ config(
    meta={"exact": {
        "keys": ["license_id", "feature_name"],
        "inputs": {
            "int_features_used_monthly": {},
            "int_licenses_eligible_months": {"lookup": {"in": "int_features_used_monthly", "by": "license_id"}},
        },
    }},
) }}

-- One row per licence and feature that it ever used, with the month of its first event
-- and the months in which the licence counts as one that adopted the feature: live, and
-- not before that first event. A licence that was no longer live by then has none.
with feature_uses as (
    select * from {{ ref("int_features_used_monthly") }}
),

eligible_months as (
    select * from {{ ref("int_licenses_eligible_months") }}
),

first_uses as (
    select
        license_id,
        feature_name,
        min(usage_month) as first_use_month
    from feature_uses
    where license_id is not null
    group by license_id, feature_name
)

select
    first_uses.license_id,
    first_uses.feature_name,
    eligible_months.plan_type,
    first_uses.first_use_month,
    eligible_months.first_eligible_month,
    eligible_months.last_eligible_month,
    case
        when
            eligible_months.last_eligible_month is null
            or first_uses.first_use_month <= eligible_months.last_eligible_month
            then
                greatest(
                    first_uses.first_use_month, eligible_months.first_eligible_month
                )
    end as first_adopted_month
from first_uses
inner join eligible_months on first_uses.license_id = eligible_months.license_id
