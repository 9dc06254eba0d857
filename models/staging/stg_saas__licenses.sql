select
    id as license_id,
    user_id,
    plan_type,
    status,
    seats_total,
    seats_used,
    trial_ends_at,
    started_at,
    expires_at,
    cancelled_at,
    created_at,
    updated_at
from {{ source("saas", "licenses") }}
