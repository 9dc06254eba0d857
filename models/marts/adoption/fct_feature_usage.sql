-- One row per user, licence and feature: when it was first and last used and how often.
-- Null ids are groups of their own. Made from the events, not from the application's
-- own table feature_usage.
with events as (
    select * from {{ ref("stg_saas__usage_events") }}
    where event_category = 'feature'
)

select
    events.user_id,
    events.license_id,
    events.event_name as feature_name,
    count(*) as total_uses,
    min(events.occurred_at) as first_used_at,
    max(events.occurred_at) as last_used_at
from events
group by
    events.user_id,
    events.license_id,
    events.event_name
