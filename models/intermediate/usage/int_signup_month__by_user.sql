{{ config(
    meta={"exact": {
        "keys": ["user_id"],
        "inputs": {"stg_saas__users": {}},
    }},
) }}

-- One row per user with the month of the sign-up. A login, which the source writes to
-- the same row, changes nothing here.
with users as (
    select * from {{ ref("stg_saas__users") }}
)

select
    user_id,
    {{ reporting_month("created_at") }} as signup_month
from users
