-- Active users of a day, of the last 30 days and of a month equal the distinct users of
-- the usage marts, and so do new users. One row per period that differs.
with usage_daily as (
    select * from {{ ref("fct_usage_daily") }}
),

usage_monthly as (
    select * from {{ ref("fct_usage_monthly") }}
),

active_users as (
    select * from {{ ref("fct_active_users_daily") }}
    where plan_type = 'all'
),

growth as (
    select * from {{ ref("fct_user_growth_monthly") }}
),

last_days as (
    select max(usage_date) as last_date from usage_daily
),

first_months as (
    select
        user_id,
        min(usage_month) as first_month
    from usage_monthly
    where user_id is not null
    group by user_id
),

counted as (
    select
        'day' as period,
        usage_date as period_date,
        count(distinct user_id) as user_count
    from usage_daily
    group by usage_date
    union all
    select
        'last 30 days' as period,
        last_days.last_date as period_date,
        count(distinct usage_daily.user_id) as user_count
    from last_days
    inner join usage_daily
        on usage_daily.usage_date > {{ add_days("last_days.last_date", -30) }}
    group by last_days.last_date
    union all
    select
        'month' as period,
        usage_month as period_date,
        count(distinct user_id) as user_count
    from usage_monthly
    group by usage_month
    union all
    select
        'new in the month' as period,
        first_month as period_date,
        count(*) as user_count
    from first_months
    group by first_month
),

published as (
    select
        'day' as period,
        activity_date as period_date,
        daily_active_users as user_count
    from active_users
    where daily_active_users > 0
    union all
    select
        'last 30 days' as period,
        active_users.activity_date as period_date,
        active_users.monthly_active_users as user_count
    from active_users
    inner join last_days on active_users.activity_date = last_days.last_date
    union all
    select
        'month' as period,
        activity_month as period_date,
        active_users as user_count
    from growth
    where active_users > 0
    union all
    select
        'new in the month' as period,
        activity_month as period_date,
        new_users as user_count
    from growth
    where new_users > 0
)

select
    coalesce(counted.period, published.period) as period,
    coalesce(counted.period_date, published.period_date) as period_date,
    coalesce(counted.user_count, 0) as users_of_usage,
    coalesce(published.user_count, 0) as active_users
from counted
full outer join published
    on
        counted.period = published.period
        and counted.period_date = published.period_date
where coalesce(counted.user_count, 0) != coalesce(published.user_count, 0)
