{{ config(
    meta={"exact": {
        "keys": ["usage_date", "user_id"],
        "inputs": {
            "stg_saas__usage_events": {"keys": {"usage_date": "day of occurred_at"}},
        },
    }},
    indexes=[{"columns": ["license_id", "usage_date"]}],
) }}

-- One row per day, user, license, team and event type: the usage that other models
-- read. Null ids are groups of their own. An event counts on the day it occurred,
-- however late it arrived.
with events as (
    select * from {{ ref("stg_saas__usage_events") }}
)

select
    {{ reporting_date("events.occurred_at") }} as usage_date,
    events.user_id,
    events.license_id,
    events.team_id,
    events.event_type,
    count(*) as event_count,
    count(distinct events.session_id) as unique_sessions,
    sum(events.duration_seconds) as total_duration_seconds
from events
group by
    {{ reporting_date("events.occurred_at") }},
    events.user_id,
    events.license_id,
    events.team_id,
    events.event_type
