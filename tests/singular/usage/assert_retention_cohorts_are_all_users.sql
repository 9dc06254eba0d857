-- Every user who signed up until the last month with an event is in one cohort, and
-- every cohort starts with month 0. One row per month of sign-up that disagrees.
with retention as (
    select * from {{ ref("fct_user_retention_monthly") }}
    where months_since_signup = 0
),

dim_users as (
    select * from {{ ref("dim_users") }}
),

last_months as (
    select max(usage_month) as last_month from {{ ref("fct_usage_monthly") }}
),

signups as (
    select
        dim_users.signup_month,
        count(*) as signed_up_users
    from dim_users
    inner join last_months on dim_users.signup_month <= last_months.last_month
    group by dim_users.signup_month
)

select
    coalesce(signups.signup_month, retention.cohort_month) as cohort_month,
    signups.signed_up_users,
    retention.cohort_users
from signups
full outer join retention on signups.signup_month = retention.cohort_month
where
    signups.signed_up_users is null
    or retention.cohort_users is null
    or signups.signed_up_users != retention.cohort_users
