{{ config(
    meta={"exact": {
        "renamed_from": "int_users_active_months",
        "keys": ["user_id", "activity_month"],
        "inputs": {
            "fct_usage_monthly": {"keys": {"activity_month": "usage_month"}},
            "int_signup_month__by_user": {
                "lookup": {
                    "in": "fct_usage_monthly",
                    "by": "user_id",
                    "changed": "signup_month",
                },
            },
        },
    }},
) }}

-- One row per user and month with an event, with the month of the user's sign-up. A
-- null user has no row.
with usage as (
    select * from {{ ref("fct_usage_monthly") }}
),

users as (
    select * from {{ ref("int_signup_month__by_user") }}
)

select distinct
    usage.user_id,
    usage.usage_month as activity_month,
    users.signup_month
from usage
left join users on usage.user_id = users.user_id
where usage.user_id is not null
