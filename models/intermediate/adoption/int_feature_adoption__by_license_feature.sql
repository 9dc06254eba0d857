{{ config(
    meta={"exact": {
        "renamed_from": "int_licenses_features_used",
        "keys": ["license_id", "feature_name"],
        "inputs": {
            "int_feature_uses__by_month_feature_license_user": {},
            "int_eligible_span__by_license": {
                "lookup": {
                    "in": "int_feature_uses__by_month_feature_license_user",
                    "by": "license_id",
                },
            },
        },
    }},
) }}

-- One row per license and feature that it ever used, with the month of its first event
-- and the months in which the license counts as one that adopted the feature: live, and
-- not before that first event. A license that was no longer live by then has no such
-- month.
with feature_uses as (
    select * from {{ ref("int_feature_uses__by_month_feature_license_user") }}
),

eligible_months as (
    select * from {{ ref("int_eligible_span__by_license") }}
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
