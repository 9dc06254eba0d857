-- One row per month of sign-up and whole months since, up to the last month with any
-- event: users of the cohort who used the product then. Deleted users leave their
-- cohort. Erased users stay, and their events no longer count for them.
with cohorts as (
    select * from {{ ref("int_cohort_users__by_cohort") }}
),

retained as (
    select * from {{ ref("int_retained_users__by_cohort_month") }}
),

last_day as (
    select * from {{ ref("int_last_usage_day__single_row") }}
),

months as (
    select date_month
    from {{ month_spine(
        "(select min(cohort_month) from cohorts)",
        "(select usage_date from last_day)"
    ) }} as spine
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
