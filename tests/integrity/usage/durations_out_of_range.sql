-- depends_on: {{ ref("fct_active_users_daily") }}
select
    id as usage_event_id,
    event_type,
    case
        when event_data @? '$."duration_seconds" ? (@ < 0)' then 'negative'
        else 'too_large'
    end as reason,
    occurred_at,
    created_at
from {{ source("saas", "usage_events") }}
where
    event_data @? 'strict $."duration_seconds" ? (@ < 0 || @ >= 1e100)'
