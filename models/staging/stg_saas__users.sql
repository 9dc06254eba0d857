select
    id as user_id,
    {{ name_of("role") }} as role,
    is_active,
    email_verified as is_email_verified,
    {{ plausible_time("email_verified_at") }} as email_verified_at,
    {{ plausible_time("last_login_at") }} as last_login_at,
    {{ plausible_time("created_at") }} as created_at,
    {{ plausible_time("updated_at") }} as updated_at
from {{ source("saas", "users") }}
