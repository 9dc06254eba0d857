select
    id as license_id,
    user_id,
    {{ name_of("plan_type") }} as plan_type,
    {{ name_of("status") }} as status,
    seats_total,
    seats_used,
    {{ plausible_time("trial_ends_at") }} as trial_ends_at,
    {{ plausible_time("started_at") }} as started_at,
    {{ plausible_time("expires_at") }} as expires_at,
    {{ plausible_time("cancelled_at") }} as cancelled_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "licenses") }}
