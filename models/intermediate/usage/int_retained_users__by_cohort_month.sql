{{ config(
    meta={"exact": {
        "renamed_from": "int_cohorts_retained_monthly",
        "keys": ["cohort_month", "activity_month"],
        "inputs": {
            "int_user_activity__by_month_user": {"delta": {"count": "retained_users"}},
        },
    }},
) }}

-- One row per month of sign-up and month in which any of those users were active: how
-- many of them.
with active_months as (
    select * from {{ ref("int_user_activity__by_month_user") }}
)

select
    signup_month as cohort_month,
    activity_month,
    count(*) as retained_users
from active_months
where signup_month is not null
group by signup_month, activity_month
