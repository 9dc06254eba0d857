select
    id as team_member_id,
    team_id,
    user_id,
    role,
    joined_at,
    created_at,
    updated_at
from {{ source("saas", "team_members") }}
