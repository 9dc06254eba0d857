select
    id as audit_log_id,
    user_id,
    team_id,
    action,
    resource_type,
    status,
    occurred_at,
    created_at
from {{ source("saas", "audit_logs") }}
where {{ plausible_time("occurred_at", "created_at") }} is not null
