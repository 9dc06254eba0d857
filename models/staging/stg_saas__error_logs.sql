select
    id as error_log_id,
    user_id,
    license_id,
    error_type,
    severity,
    source,
    endpoint,
    method,
    occurred_at,
    created_at
from {{ source("saas", "error_logs") }}
where {{ plausible_time("occurred_at", "created_at") }} is not null
