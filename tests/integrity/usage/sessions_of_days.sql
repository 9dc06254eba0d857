-- depends_on: {{ ref("fct_active_users_daily") }}
-- Two users may have the same session number, where a client counts its own.
with events as (
    select * from {{ ref("stg_saas__usage_events") }}
    where session_id is not null
)

select
    session_id,
    user_id,
    'longer_than_a_day' as reason,
    count(*) as events,
    min(occurred_at) as first_event_at,
    max(occurred_at) as last_event_at
from events
group by session_id, user_id
having max(occurred_at) - min(occurred_at) > interval '24 hours'
