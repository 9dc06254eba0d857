{{ config(
    meta={"exact": {
        "renamed_from": "int_cohorts_signed_up",
        "keys": ["cohort_month"],
        "inputs": {"int_signup_month__by_user": {"delta": {"count": "cohort_users"}}},
    }},
) }}

-- One row per month of sign-up: the users who signed up in it and were not deleted.
with users as (
    select * from {{ ref("int_signup_month__by_user") }}
    where signup_month is not null
)

select
    signup_month as cohort_month,
    count(*) as cohort_users
from users
group by signup_month
