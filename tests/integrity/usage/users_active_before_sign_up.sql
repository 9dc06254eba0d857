-- depends_on: {{ ref("fct_user_retention_monthly") }}
-- By days of the reporting zone, as the retention of a cohort counts. An hour is left
-- for a client whose clock is slow.
with users as (
    select * from {{ ref("stg_saas__users") }}
),

activity as (
    select * from {{ ref("dim_users") }}
)

select
    users.user_id,
    'active_before_sign_up' as reason,
    activity.first_active_date,
    users.created_at as signed_up_at
from users
inner join activity on users.user_id = activity.user_id
where
    activity.first_active_date
    < {{ reporting_date("(users.created_at - interval '1 hour')") }}
