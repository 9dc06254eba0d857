select
    id as user_id,
    role,
    is_active,
    email_verified as is_email_verified,
    email_verified_at,
    last_login_at,
    created_at,
    updated_at
from {{ source("saas", "users") }}
