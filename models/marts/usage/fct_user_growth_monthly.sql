-- One row per month, without gaps from the first to the last event: active users by
-- origin, and users of the month before who are not active. Events alone decide, not
-- the sign-up: `new` is the first month with an event.
with usage_months as (
    select
        min(usage_month) as first_month,
        max(usage_month) as last_month
    from {{ ref("fct_usage_monthly") }}
),

arrivals as (
    select * from {{ ref("int_user_arrivals__by_month") }}
),

months as (
    select date_month
    from {{ month_spine(
        "(select first_month from usage_months)",
        "(select last_month from usage_months)"
    ) }} as spine
)

select
    months.date_month as activity_month,
    cast(coalesce(arrivals.active_users, 0) as bigint) as active_users,
    cast(coalesce(arrivals.new_users, 0) as bigint) as new_users,
    cast(coalesce(arrivals.returning_users, 0) as bigint) as returning_users,
    cast(coalesce(arrivals.resurrected_users, 0) as bigint) as resurrected_users,
    cast(coalesce(arrivals.churned_users, 0) as bigint) as churned_users
from months
left join arrivals on months.date_month = arrivals.activity_month
