-- One row per day and plan, without gaps from the first to the last event: users active
-- on the day, in the 7 and in the 30 days that end with it. `all` counts a user of
-- several plans once, so plans don't add up to it.
with changes as (
    select * from {{ ref("int_active_user_changes__by_day_plan") }}
),

active_days as (
    select
        change_date as activity_date,
        plan_type
    from changes
    where active_groups > 0
),

days as (
    select date_day
    from {{ date_spine(
        "(select min(activity_date) from active_days)",
        "(select max(activity_date) from active_days)"
    ) }} as spine
),

plans as (
    select distinct plan_type from active_days
),

running_totals as (
    select
        days.date_day as activity_date,
        plans.plan_type,
        coalesce(changes.daily_active_users, 0) as daily_active_users,
        sum(coalesce(changes.weekly_change, 0)) over (
            partition by plans.plan_type
            order by days.date_day
        ) as weekly_active_users,
        sum(coalesce(changes.monthly_change, 0)) over (
            partition by plans.plan_type
            order by days.date_day
        ) as monthly_active_users
    from days
    cross join plans
    left join changes
        on
            days.date_day = changes.change_date
            and plans.plan_type = changes.plan_type
)

select
    activity_date,
    plan_type,
    cast(daily_active_users as bigint) as daily_active_users,
    cast(weekly_active_users as bigint) as weekly_active_users,
    cast(monthly_active_users as bigint) as monthly_active_users,
    {{ safe_ratio("daily_active_users", "monthly_active_users") }} as stickiness
from running_totals
