{{ config(
    meta={"exact": {
        "renamed_from": "int_users_arrivals_monthly",
        "keys": ["activity_month"],
        "inputs": {
            "int_user_activity__by_month_user": {
                "delta": {
                    "count": "arrivals_and_departures",
                    "neighbors": [
                        {"same": ["user_id", "activity_month"]},
                        {"same": ["user_id"], "next_to": "activity_month"},
                    ],
                },
            },
        },
    }},
) }}

-- One row per month with active users or after a month with active users: active users
-- by origin, and users of the month before who are not active.
with active_months as (
    select * from {{ ref("int_user_activity__by_month_user") }}
),

neighbours as (
    select
        activity_month,
        lag(activity_month) over (
            partition by user_id
            order by activity_month
        ) as previous_month,
        lead(activity_month) over (
            partition by user_id
            order by activity_month
        ) as next_month
    from active_months
),

arrivals as (
    select
        activity_month,
        count(*) as active_users,
        {{ count_if("previous_month is null") }} as new_users,
        {{ count_if("previous_month = " ~ add_months("activity_month", -1)) }}
            as returning_users,
        {{ count_if("previous_month < " ~ add_months("activity_month", -1)) }}
            as resurrected_users,
        0 as churned_users
    from neighbours
    group by activity_month
),

departures as (
    select
        {{ add_months("activity_month", 1) }} as activity_month,
        0 as active_users,
        0 as new_users,
        0 as returning_users,
        0 as resurrected_users,
        count(*) as churned_users
    from neighbours
    where next_month is null or next_month > {{ add_months("activity_month", 1) }}
    group by activity_month
),

both_ways as (
    select * from arrivals
    union all
    select * from departures
)

select
    activity_month,
    sum(active_users) as active_users,
    sum(new_users) as new_users,
    sum(returning_users) as returning_users,
    sum(resurrected_users) as resurrected_users,
    sum(churned_users) as churned_users,
    sum(active_users + churned_users) as arrivals_and_departures
from both_ways
group by activity_month
