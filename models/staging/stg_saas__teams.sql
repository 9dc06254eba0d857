select
    id as team_id,
    license_id,
    owner_id as owner_user_id,
    is_active,
    created_at,
    updated_at
from {{ source("saas", "teams") }}
