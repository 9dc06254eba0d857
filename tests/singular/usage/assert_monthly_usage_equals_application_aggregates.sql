-- The application's usage_aggregates_monthly and fct_usage_monthly mean the same, so
-- every month whose aggregate is up to date has the same groups and figures in both.
-- One row per group that differs; `fix` is the statement that recreates an aggregate
-- whose events were deleted or corrected since.
{{ config(
    enabled=var("reporting_timezone", "UTC") == "UTC",
    meta={"has_fixes": true},
    store_failures=true
) }}

with comparable_months as (
    {{ comparable_usage_periods("month") }}
),

application_aggregates as (
    select
        make_date(year, month, 1) as usage_month,
        user_id,
        license_id,
        team_id,
        event_type,
        event_count,
        unique_sessions,
        unique_days_active,
        total_duration_seconds
    from {{ source("saas", "usage_aggregates_monthly") }}
),

both_sides as (
    select
        'mart' as side,
        usage_month,
        user_id,
        license_id,
        team_id,
        event_type,
        event_count,
        unique_sessions,
        unique_days_active,
        total_duration_seconds
    from {{ ref("fct_usage_monthly") }}
    where usage_month in (select comparable_months.period_start from comparable_months)
    union all
    select
        'application' as side,
        usage_month,
        user_id,
        license_id,
        team_id,
        event_type,
        event_count,
        unique_sessions,
        unique_days_active,
        total_duration_seconds
    from application_aggregates
    where usage_month in (select comparable_months.period_start from comparable_months)
)

select
    usage_month,
    user_id,
    license_id,
    team_id,
    event_type,
    {{ aggregation_statement("month", "usage_month") }} as fix,
    {{ count_if("side = 'mart'") }} as rows_in_mart,
    {{ count_if("side = 'application'") }} as rows_in_application,
    min(event_count) as smaller_event_count,
    max(event_count) as larger_event_count,
    min(unique_sessions) as smaller_unique_sessions,
    max(unique_sessions) as larger_unique_sessions,
    min(unique_days_active) as smaller_unique_days_active,
    max(unique_days_active) as larger_unique_days_active,
    min(total_duration_seconds) as smaller_duration_seconds,
    max(total_duration_seconds) as larger_duration_seconds
from both_sides
group by
    usage_month,
    user_id,
    license_id,
    team_id,
    event_type
having
    {{ count_if("side = 'mart'") }} != 1
    or {{ count_if("side = 'application'") }} != 1
    or min(event_count) != max(event_count)
    or min(unique_sessions) != max(unique_sessions)
    or min(unique_days_active) != max(unique_days_active)
    or min(total_duration_seconds) != max(total_duration_seconds)
