-- A month's events, time and active days are the sums of its days. Its sessions are at
-- least those of the busiest day and at most those of all days together. One row per
-- group that differs.
with days as (
    select
        {{ month_start_of("usage_date") }} as usage_month,
        user_id,
        license_id,
        team_id,
        event_type,
        event_count,
        unique_sessions,
        1 as days_active,
        total_duration_seconds,
        0 as months_found
    from {{ ref("fct_usage_daily") }}
),

months as (
    select
        usage_month,
        user_id,
        license_id,
        team_id,
        event_type,
        -event_count as event_count,
        -unique_sessions as unique_sessions,
        -unique_days_active as days_active,
        -total_duration_seconds as total_duration_seconds,
        1 as months_found
    from {{ ref("fct_usage_monthly") }}
),

differences as (
    select * from days
    union all
    select * from months
)

select
    usage_month,
    user_id,
    license_id,
    team_id,
    event_type,
    sum(event_count) as missing_events,
    sum(days_active) as missing_days,
    sum(total_duration_seconds) as missing_seconds,
    sum(unique_sessions) as sessions_counted_twice_by_days,
    sum(months_found) as months_found
from differences
group by
    usage_month,
    user_id,
    license_id,
    team_id,
    event_type
having
    sum(months_found) != 1
    or sum(event_count) != 0
    or sum(days_active) != 0
    or sum(total_duration_seconds) != 0
    or sum(unique_sessions) < 0
    or max(unique_sessions) > -min(unique_sessions)
