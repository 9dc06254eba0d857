{{ config(
    meta={"exact": {
        "keys": ["user_id"],
        "inputs": {
            "stg_saas__users": {},
            "stg_saas__licenses": {},
            "int_user_activity__by_day_user_plan": {},
        },
    }},
) }}

-- One row per user, without personal data: role, dates, and first and last activity.
with users as (
    select * from {{ ref("stg_saas__users") }}
),

licenses as (
    select * from {{ ref("stg_saas__licenses") }}
),

active_days as (
    select * from {{ ref("int_user_activity__by_day_user_plan") }}
),

activity as (
    select
        user_id,
        min(activity_date) as first_active_date,
        max(activity_date) as last_active_date,
        count(distinct activity_date) as active_days
    from active_days
    where user_id is not null
    group by user_id
),

owned as (
    select
        user_id,
        count(*) as owned_licenses
    from licenses
    group by user_id
)

select
    users.user_id,
    users.role,
    users.is_active,
    users.is_email_verified,
    coalesce(owned.owned_licenses, 0) as owned_licenses,
    coalesce(activity.active_days, 0) as active_days,
    {{ reporting_date("users.created_at") }} as signup_date,
    {{ reporting_month("users.created_at") }} as signup_month,
    activity.first_active_date,
    activity.last_active_date,
    users.created_at as signed_up_at,
    users.last_login_at
from users
left join activity on users.user_id = activity.user_id
left join owned on users.user_id = owned.user_id
