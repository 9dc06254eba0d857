{{ config(
    meta={"exact": {
        "keys": ["cohort_month"],
        "inputs": {"dim_users": {"delta": {"count": "cohort_users"}}},
    }},
) }}

-- One row per month of sign-up: the users who signed up in it and were not deleted.
with users as (
    select * from {{ ref("dim_users") }}
    where signed_up_at is not null
)

select
    signup_month as cohort_month,
    count(*) as cohort_users
from users
group by signup_month
