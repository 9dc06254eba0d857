{{ config(
    meta={"exact": {
        "keys": ["usage_month", "user_id"],
        "inputs": {
            "stg_saas__usage_events": {"keys": {"usage_month": "month of occurred_at"}},
        },
    }},
    indexes=[{"columns": ["user_id"]}],
) }}

-- One row per month, user, license, team and event type, counted from the events and
-- not from the days: a session that spans midnight is one session of the month. An
-- event counts in the month it occurred, however late it arrived.
with events as (
    select * from {{ ref("stg_saas__usage_events") }}
)

select
    {{ reporting_month("events.occurred_at") }} as usage_month,
    events.user_id,
    events.license_id,
    events.team_id,
    events.event_type,
    count(*) as event_count,
    count(distinct events.session_id) as unique_sessions,
    count(distinct {{ reporting_date("events.occurred_at") }}) as unique_days_active,
    sum(events.duration_seconds) as total_duration_seconds
from events
group by
    {{ reporting_month("events.occurred_at") }},
    events.user_id,
    events.license_id,
    events.team_id,
    events.event_type
