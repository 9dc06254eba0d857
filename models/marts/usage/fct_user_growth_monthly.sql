-- One row per month, without gaps from the first to the last event: where the month's
-- active users came from and how many of the month before stayed away. Judged by events
-- alone, not by sign-up: `new` is the first month with an event.
with usage_months as (
    select
        min(usage_month) as first_month,
        max(usage_month) as last_month
    from {{ ref("fct_usage_monthly") }}
),

active_months as (
    select * from {{ ref("int_users_active_months") }}
),

months as (
    select date_month
    from {{ month_spine(
        "(select first_month from usage_months)",
        "(select last_month from usage_months)"
    ) }} as spine
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
            as resurrected_users
    from neighbours
    group by activity_month
),

departures as (
    select
        {{ add_months("activity_month", 1) }} as departure_month,
        count(*) as churned_users
    from neighbours
    where next_month is null or next_month > {{ add_months("activity_month", 1) }}
    group by activity_month
)

select
    months.date_month as activity_month,
    coalesce(arrivals.active_users, 0) as active_users,
    coalesce(arrivals.new_users, 0) as new_users,
    coalesce(arrivals.returning_users, 0) as returning_users,
    coalesce(arrivals.resurrected_users, 0) as resurrected_users,
    coalesce(departures.churned_users, 0) as churned_users
from months
left join arrivals on months.date_month = arrivals.activity_month
left join departures on months.date_month = departures.departure_month
