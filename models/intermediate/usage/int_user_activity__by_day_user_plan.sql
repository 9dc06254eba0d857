{{ config(
    access="protected",
    meta={"exact": {
        "renamed_from": "int_users_active_days",
        "keys": ["activity_date", "user_id"],
        "inputs": {
            "fct_usage_daily": {"keys": {"activity_date": "usage_date"}},
            "int_plan__by_license": {
                "lookup": {
                    "in": "fct_usage_daily",
                    "by": "license_id",
                    "changed": "plan_type",
                },
            },
        },
    }},
    indexes=[{"columns": ["user_id", "activity_date"]}],
) }}

-- One row per day, user and plan with an event, the plan being the current one of the
-- event's license or 'none'. Events without a user make a row with a null user: the day
-- and the plan had an event.
with usage as (
    select * from {{ ref("fct_usage_daily") }}
),

licenses as (
    select * from {{ ref("int_plan__by_license") }}
)

select distinct
    usage.usage_date as activity_date,
    usage.user_id,
    coalesce(licenses.plan_type, 'none') as plan_type
from usage
left join licenses on usage.license_id = licenses.license_id
