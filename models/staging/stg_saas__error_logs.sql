select
    id as error_log_id,
    user_id,
    license_id,
    {{ name_of("error_type") }} as error_type,
    {{ name_of("severity") }} as severity,
    {{ name_of("source") }} as source,
    {{ name_of("endpoint", "link") }} as endpoint,
    {{ name_of("method") }} as method,
    occurred_at,
    created_at
from {{ source("saas", "error_logs") }}
where {{ plausible_time("occurred_at", "created_at") }} is not null
