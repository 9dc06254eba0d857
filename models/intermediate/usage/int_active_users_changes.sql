-- One row per day and plan on which the users active within the last 1, 7 or 30 days
-- change. A user counts from an active day until the window after the last one closes;
-- a day within or touching the window before opens none. Each active day is looked at
-- once: the cost is linear, where joining days to windows would make 30 rows of each.
with active_days as (
    select * from {{ ref("int_users_active_days") }}
    where user_id is not null
),

with_all_plans as (
    select
        activity_date,
        user_id,
        plan_type
    from active_days
    union all
    select distinct
        activity_date,
        user_id,
        'all' as plan_type
    from active_days
),

neighbours as (
    select
        activity_date,
        plan_type,
        lag(activity_date) over (
            partition by plan_type, user_id
            order by activity_date
        ) as previous_date,
        lead(activity_date) over (
            partition by plan_type, user_id
            order by activity_date
        ) as next_date
    from with_all_plans
),

window_starts as (
    select
        activity_date as change_date,
        plan_type,
        count(*) as daily_active_users,
        {{ count_if(
            "previous_date is null or previous_date < " ~ add_days("activity_date", -7)
        ) }} as weekly_change,
        {{ count_if(
            "previous_date is null or previous_date < " ~ add_days("activity_date", -30)
        ) }} as monthly_change
    from neighbours
    group by activity_date, plan_type
),

weekly_ends as (
    select
        {{ add_days("activity_date", 7) }} as change_date,
        plan_type,
        0 as daily_active_users,
        -count(*) as weekly_change,
        0 as monthly_change
    from neighbours
    where next_date is null or next_date > {{ add_days("activity_date", 7) }}
    group by activity_date, plan_type
),

monthly_ends as (
    select
        {{ add_days("activity_date", 30) }} as change_date,
        plan_type,
        0 as daily_active_users,
        0 as weekly_change,
        -count(*) as monthly_change
    from neighbours
    where next_date is null or next_date > {{ add_days("activity_date", 30) }}
    group by activity_date, plan_type
),

changes as (
    select * from window_starts
    union all
    select * from weekly_ends
    union all
    select * from monthly_ends
)

select
    change_date,
    plan_type,
    sum(daily_active_users) as daily_active_users,
    sum(weekly_change) as weekly_change,
    sum(monthly_change) as monthly_change
from changes
group by change_date, plan_type
