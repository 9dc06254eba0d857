-- From an active day on, a user is a weekly user for 7 days and a monthly user for 30,
-- and counts once a day. So the sum over all days equals the days from each active day
-- to the next, at most 7 or 30. One row if it differs.
with active_days as (
    select distinct
        user_id,
        usage_date
    from {{ ref("fct_usage_daily") }}
    where user_id is not null
),

last_days as (
    select max(usage_date) as last_date from {{ ref("fct_usage_daily") }}
),

gaps as (
    select
        {{ days_between(
            "active_days.usage_date",
            "coalesce(lead(active_days.usage_date) over (
                partition by active_days.user_id
                order by active_days.usage_date
            ), " ~ add_days("last_days.last_date", 1) ~ ")"
        ) }} as days_until_next
    from active_days
    cross join last_days
),

counted as (
    select
        coalesce(sum(least(days_until_next, 7)), 0) as weekly_active_users,
        coalesce(sum(least(days_until_next, 30)), 0) as monthly_active_users
    from gaps
),

published as (
    select
        coalesce(sum(weekly_active_users), 0) as weekly_active_users,
        coalesce(sum(monthly_active_users), 0) as monthly_active_users
    from {{ ref("fct_active_users_daily") }}
    where plan_type = 'all'
)

select
    counted.weekly_active_users as weekly_in_usage,
    published.weekly_active_users as weekly_in_mart,
    counted.monthly_active_users as monthly_in_usage,
    published.monthly_active_users as monthly_in_mart
from counted
cross join published
where
    counted.weekly_active_users != published.weekly_active_users
    or counted.monthly_active_users != published.monthly_active_users
