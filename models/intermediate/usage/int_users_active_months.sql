{{ config(
    scope=["user_id", "activity_month"],
    changes={
        "fct_usage_monthly": {"activity_month": "usage_month", "user_id": "user_id"},
        "dim_users": "
            select distinct user_id, usage_month
            from fct_usage_monthly
            where user_id in (" ~ keys_of_other_value("user_id", "signup_month") ~ ")
        ",
    },
) }}

-- One row per user and month with an event, with the month of the user's sign-up. Users
-- without an id are nobody in particular and have no row.
with usage as (
    select * from {{ ref("fct_usage_monthly") }}
),

users as (
    select * from {{ ref("dim_users") }}
)

select distinct
    usage.user_id,
    usage.usage_month as activity_month,
    users.signup_month
from usage
left join users on usage.user_id = users.user_id
where usage.user_id is not null
