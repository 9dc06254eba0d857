select
    id as team_member_id,
    team_id,
    user_id,
    {{ name_of("role") }} as role,
    {{ plausible_time("joined_at") }} as joined_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "team_members") }}
