{{ config(
    meta={"exact": {
        "renamed_from": "int_features_used_daily",
        "keys": ["usage_date", "user_id"],
        "inputs": {
            "stg_saas__usage_events": {
                "keys": {"usage_date": "day of occurred_at"},
                "where": "event_category = 'feature'",
            },
        },
    }},
    indexes=[{"columns": ["user_id", "usage_month"]}],
) }}

-- One row per day, feature, license and user with an event of the feature. Null ids are
-- groups of their own. A late event reads one day of its user from the events. Months
-- read these few rows.
with events as (
    select * from {{ ref("stg_saas__usage_events") }}
    where event_category = 'feature'
)

select
    {{ reporting_date("events.occurred_at") }} as usage_date,
    {{ reporting_month("events.occurred_at") }} as usage_month,
    events.event_name as feature_name,
    events.license_id,
    events.user_id,
    count(*) as total_uses,
    min(events.occurred_at) as first_used_at,
    max(events.occurred_at) as last_used_at
from events
group by
    {{ reporting_date("events.occurred_at") }},
    {{ reporting_month("events.occurred_at") }},
    events.event_name,
    events.license_id,
    events.user_id
