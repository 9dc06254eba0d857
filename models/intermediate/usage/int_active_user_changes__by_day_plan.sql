{{ config(
    meta={"exact": {
        "renamed_from": "int_active_users_changes",
        "keys": ["change_date", "plan_type"],
        "inputs": {
            "int_user_activity__by_day_user_plan": {
                "delta": {
                    "count": "window_edges",
                    "neighbors": [
                        {"same": ["user_id", "activity_date"]},
                        {"same": ["user_id"], "next_to": "activity_date"},
                        {
                            "same": ["user_id", "plan_type"],
                            "next_to": "activity_date",
                        },
                    ],
                },
            },
        },
    }},
) }}

-- One row per day and plan on which the users active within the last 1, 7 or 30 days
-- change. A user counts from an active day until the window after the last one closes;
-- a day within or next to the former window opens none. Each active day is read once,
-- so the cost is linear. A join of days to windows would make 30 rows of each day.
with active_days as (
    select * from {{ ref("int_user_activity__by_day_user_plan") }}
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
        user_id,
        plan_type,
        lag(activity_date) over (
            partition by user_id, plan_type
            order by activity_date
        ) as previous_date,
        lead(activity_date) over (
            partition by user_id, plan_type
            order by activity_date
        ) as next_date
    from with_all_plans
),

windows as (
    select
        activity_date,
        plan_type,
        count(*) as active_groups,
        count(user_id) as active_users,
        {{ count_if(
            "user_id is not null and (previous_date is null or previous_date < "
            ~ add_days("activity_date", -7) ~ ")"
        ) }} as opening_weeks,
        {{ count_if(
            "user_id is not null and (next_date is null or next_date > "
            ~ add_days("activity_date", 7) ~ ")"
        ) }} as closing_weeks,
        {{ count_if(
            "user_id is not null and (previous_date is null or previous_date < "
            ~ add_days("activity_date", -30) ~ ")"
        ) }} as opening_months,
        {{ count_if(
            "user_id is not null and (next_date is null or next_date > "
            ~ add_days("activity_date", 30) ~ ")"
        ) }} as closing_months
    from neighbours
    group by activity_date, plan_type
),

changes as (
    select
        activity_date as change_date,
        plan_type,
        active_groups,
        active_users as daily_active_users,
        opening_weeks as weekly_change,
        opening_months as monthly_change,
        active_groups as window_edges
    from windows
    union all
    select
        {{ add_days("activity_date", 7) }} as change_date,
        plan_type,
        0 as active_groups,
        0 as daily_active_users,
        -closing_weeks as weekly_change,
        0 as monthly_change,
        closing_weeks as window_edges
    from windows
    where closing_weeks > 0
    union all
    select
        {{ add_days("activity_date", 30) }} as change_date,
        plan_type,
        0 as active_groups,
        0 as daily_active_users,
        0 as weekly_change,
        -closing_months as monthly_change,
        closing_months as window_edges
    from windows
    where closing_months > 0
)

select
    change_date,
    plan_type,
    sum(active_groups) as active_groups,
    sum(daily_active_users) as daily_active_users,
    sum(weekly_change) as weekly_change,
    sum(monthly_change) as monthly_change,
    sum(window_edges) as window_edges
from changes
group by change_date, plan_type
