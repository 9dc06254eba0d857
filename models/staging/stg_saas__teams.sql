select
    id as team_id,
    license_id,
    owner_id as owner_user_id,
    is_active,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "teams") }}
