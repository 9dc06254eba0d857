select
    id as usage_event_id,
    user_id,
    license_id,
    team_id,
    session_id,
    {{ name_of("event_type") }} as event_type,
    {{ name_of("event_category") }} as event_category,
    {{ name_of("event_name") }} as event_name,
    coalesce(
        {{ json_number("event_data", "duration_seconds", 0, "1e100") }}, 0
    ) as duration_seconds,
    occurred_at,
    created_at
from {{ source("saas", "usage_events") }}
where {{ plausible_time("occurred_at", "created_at") }} is not null
