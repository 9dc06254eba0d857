-- The application's usage_aggregates_daily and fct_usage_daily mean the same, so every
-- day whose aggregate is up to date has the same groups and figures in both. One row
-- per group that differs; `fix` is the statement that recreates an aggregate whose
-- events were deleted or corrected since.
{{ config(
    enabled=var("reporting_timezone", "UTC") == "UTC",
    meta={"has_fixes": true},
    store_failures=true
) }}

with comparable_days as (
    {{ comparable_usage_periods("day") }}
),

both_sides as (
    select
        'mart' as side,
        usage_date,
        user_id,
        license_id,
        team_id,
        event_type,
        event_count,
        unique_sessions,
        total_duration_seconds
    from {{ ref("fct_usage_daily") }}
    where usage_date in (select comparable_days.period_start from comparable_days)
    union all
    select
        'application' as side,
        date as usage_date,
        user_id,
        license_id,
        team_id,
        event_type,
        event_count,
        unique_sessions,
        total_duration_seconds
    from {{ source("saas", "usage_aggregates_daily") }}
    where date in (select comparable_days.period_start from comparable_days)
)

select
    usage_date,
    user_id,
    license_id,
    team_id,
    event_type,
    {{ aggregation_statement("day", "usage_date") }} as fix,
    {{ count_if("side = 'mart'") }} as rows_in_mart,
    {{ count_if("side = 'application'") }} as rows_in_application,
    min(event_count) as smaller_event_count,
    max(event_count) as larger_event_count,
    min(unique_sessions) as smaller_unique_sessions,
    max(unique_sessions) as larger_unique_sessions,
    min(total_duration_seconds) as smaller_duration_seconds,
    max(total_duration_seconds) as larger_duration_seconds
from both_sides
group by
    usage_date,
    user_id,
    license_id,
    team_id,
    event_type
having
    {{ count_if("side = 'mart'") }} != 1
    or {{ count_if("side = 'application'") }} != 1
    or min(event_count) != max(event_count)
    or min(unique_sessions) != max(unique_sessions)
    or min(total_duration_seconds) != max(total_duration_seconds)
