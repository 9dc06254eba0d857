-- One row per month of sign-up and whole months since, up to the last month with an
-- event of anybody: how many of those who signed up used the product then. Users who
-- are deleted leave their cohort; erased ones stay, and nothing they did is theirs.
with users as (
    select * from {{ ref("stg_saas__users") }}
    where {{ is_finite("created_at") }}
),

active_months as (
    select * from {{ ref("int_users_active_months") }}
),

usage as (
    select * from {{ ref("fct_usage_monthly") }}
),

signups as (
    select
        user_id,
        {{ reporting_month("created_at") }} as cohort_month
    from users
),

cohorts as (
    select
        cohort_month,
        count(*) as cohort_users
    from signups
    group by cohort_month
),

months as (
    select date_month
    from {{ month_spine(
        "(select min(cohort_month) from cohorts)",
        "(select max(usage_month) from usage)"
    ) }} as spine
),

retained as (
    select
        signups.cohort_month,
        active_months.activity_month,
        count(*) as retained_users
    from signups
    inner join active_months on signups.user_id = active_months.user_id
    group by signups.cohort_month, active_months.activity_month
)

select
    cohorts.cohort_month,
    {{ months_between("cohorts.cohort_month", "months.date_month") }}
        as months_since_signup,
    cohorts.cohort_users,
    coalesce(retained.retained_users, 0) as retained_users,
    {{ safe_ratio("coalesce(retained.retained_users, 0)", "cohorts.cohort_users") }}
        as retention_rate
from cohorts
inner join months on cohorts.cohort_month <= months.date_month
left join retained
    on
        cohorts.cohort_month = retained.cohort_month
        and months.date_month = retained.activity_month
