select
    id as api_usage_id,
    user_id,
    license_id,
    api_key_id,
    {{ name_of("endpoint", "link") }} as endpoint,
    {{ name_of("method") }} as method,
    status_code,
    response_time_ms,
    request_size_bytes,
    response_size_bytes,
    occurred_at,
    created_at
from {{ source("saas", "api_usage") }}
where {{ plausible_time("occurred_at", "created_at") }} is not null
