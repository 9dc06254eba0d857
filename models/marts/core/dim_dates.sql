{{ config(
    meta={"exact": {
        "clock": "day",
    }},
) }}

-- One row per day, in whole years from the first sign-up or event to the later of now
-- and the last event, with its week, month and year, and whether it is over.
with users as (
    select * from {{ ref("stg_saas__users") }}
),

active_days as (
    select
        min(activity_date) as first_date,
        max(activity_date) as last_date
    from {{ ref("int_user_activity__by_day_user_plan") }}
),

known_days as (
    select {{ reporting_date(reporting_now()) }} as known_day
    union all
    select {{ reporting_date("min(created_at)") }} as known_day from users
    union all
    select first_date as known_day from active_days
    union all
    select last_date as known_day from active_days
),

years as (
    select
        min(extract(year from known_day)) as first_year,
        max(extract(year from known_day)) as last_year
    from known_days
),

days as (
    select
        date_day,
        {{ iso_day_of_week("date_day") }} as day_of_week
    from {{ date_spine(
        "(select make_date(cast(first_year as integer), 1, 1) from years)",
        "(select make_date(cast(last_year as integer), 12, 31) from years)"
    ) }} as spine
)

select
    date_day,
    {{ month_start_of("date_day") }} as month_start,
    cast(extract(year from date_day) as integer) as year_number,
    cast(extract(quarter from date_day) as integer) as quarter_number,
    cast(extract(month from date_day) as integer) as month_number,
    {{ add_days("date_day", "1 - day_of_week") }} as week_start,
    day_of_week,
    case day_of_week
        when 1 then 'Monday'
        when 2 then 'Tuesday'
        when 3 then 'Wednesday'
        when 4 then 'Thursday'
        when 5 then 'Friday'
        when 6 then 'Saturday'
        when 7 then 'Sunday'
    end as day_name,
    day_of_week >= 6 as is_weekend,
    date_day < {{ reporting_date(reporting_now()) }} as is_complete_day,
    {{ month_start_of("date_day") }} < {{ reporting_month(reporting_now()) }}
        as is_complete_month
from days
