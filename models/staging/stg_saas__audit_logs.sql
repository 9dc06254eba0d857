select
    id as audit_log_id,
    user_id,
    team_id,
    {{ name_of("action") }} as action,
    {{ name_of("resource_type") }} as resource_type,
    {{ name_of("status") }} as status,
    occurred_at,
    created_at
from {{ source("saas", "audit_logs") }}
where {{ plausible_time("occurred_at", "created_at") }} is not null
