-- The retained users of a cohort in a month are its distinct users of the usage mart.
-- One row per cohort and month that differs.
with retention as (
    select
        cohort_month,
        {{ add_months("cohort_month", "months_since_signup") }} as activity_month,
        retained_users
    from {{ ref("fct_user_retention_monthly") }}
),

usage as (
    select * from {{ ref("fct_usage_monthly") }}
),

dim_users as (
    select * from {{ ref("dim_users") }}
    where signed_up_at is not null
),

counted as (
    select
        dim_users.signup_month as cohort_month,
        usage.usage_month as activity_month,
        count(distinct usage.user_id) as retained_users
    from usage
    inner join dim_users
        on
            usage.user_id = dim_users.user_id
            and usage.usage_month >= dim_users.signup_month
    group by dim_users.signup_month, usage.usage_month
)

select
    coalesce(counted.cohort_month, retention.cohort_month) as cohort_month,
    coalesce(counted.activity_month, retention.activity_month) as activity_month,
    coalesce(counted.retained_users, 0) as users_of_usage,
    coalesce(retention.retained_users, 0) as retained_users
from counted
full outer join retention
    on
        counted.cohort_month = retention.cohort_month
        and counted.activity_month = retention.activity_month
where coalesce(counted.retained_users, 0) != coalesce(retention.retained_users, 0)
