"""What Product analytics counts on in the usage marts."""

import great_expectations.expectations as gxe

from saas_analytics.expectations.datasets import ByWeekday, Measured, Rows, Shares
from saas_analytics.expectations.suites import Check, Suite, as_usual

EVENTS_BY_DAY = ByWeekday("""
    select usage_date as day, sum(event_count) as amount
    from {marts}.fct_usage_daily
    where usage_date < (now() at time zone {zone})::date
    group by usage_date
""")

ACTIVE_USERS_BY_DAY = ByWeekday("""
    select activity_date as day, daily_active_users as amount
    from {marts}.fct_active_users_daily
    where plan_type = 'all' and activity_date < (now() at time zone {zone})::date
""")

# The last four weeks. The application goes on writing: the rows that came in since the
# build are few.
MART_AND_SOURCE = Rows("""
    with last_day as (
        select max(usage_date) as day from {marts}.fct_usage_daily
    ),

    source as (
        select (occurred_at at time zone {zone})::date as day, count(*) as events
        from {source}.usage_events
        where case
            -- No zone has a date for the first and the last of all times.
            when occurred_at >= '1970-01-01 00:00+00' and occurred_at < (
                select (day + 2)::timestamp at time zone 'UTC' from last_day
            ) then created_at >= occurred_at - interval '24 hours'
                and (occurred_at at time zone {zone})::date between
                (select day - 28 from last_day) and (select day from last_day)
            else false
        end
            -- Partitions are found by the time alone, a day more for the zone.
            and occurred_at >= (
                select (day - 29)::timestamp at time zone 'UTC' from last_day
            )
        group by 1
    ),

    mart as (
        select usage_date as day, sum(event_count) as events
        from {marts}.fct_usage_daily
        where usage_date >= (select day from last_day) - 28
        group by usage_date
    )

    select
        day::text as day,
        coalesce(source.events, 0) as source_events,
        coalesce(mart.events, 0) as mart_events,
        1 - coalesce(mart.events, 0) / greatest(source.events, 1) as lost_share
    from source
    full join mart using (day)
    order by day
""")

EVENT_TYPES = Shares(
    measure="usage: share of each event type",
    margin=0.01,
    query="""
        select
            event_type as part,
            sum(event_count) / nullif(sum(sum(event_count)) over (), 0) as value
        from {marts}.fct_usage_daily
        where usage_date > (select max(usage_date) - 28 from {marts}.fct_usage_daily)
        group by event_type
    """,
)

SESSIONS = Measured(
    measure="usage: what a session is like",
    margin=0.05,
    query="""
        with sums as (
            select
                sum(event_count) as events,
                sum(unique_sessions) as sessions,
                sum(total_duration_seconds) as seconds
            from {marts}.fct_usage_daily
            where usage_date > (
                select max(usage_date) - 28 from {marts}.fct_usage_daily
            )
        )

        select 'events per session' as part, events / nullif(sessions, 0) as value
        from sums
        union all
        select 'seconds per event', seconds / nullif(events, 0)
        from sums
    """,
)

CLOSED_MONTHS = Measured(
    measure="usage: events of closed months",
    margin=0.0025,
    enough_runs=1,
    query="""
        with last_month as (
            select max(usage_month) as usage_month from {marts}.fct_usage_monthly
        )

        select to_char(usage_month, 'YYYY-MM') as part, sum(event_count) as value
        from {marts}.fct_usage_monthly
        where usage_month < (select usage_month from last_month)
            and usage_month >= (
                select usage_month from last_month
            ) - interval '3 months'
        group by usage_month
    """,
)

ACTIVE_AND_SIGNED_UP = Rows("""
    with sign_ups as (
        select (created_at at time zone {zone})::date as day, count(*) as users
        from {staging}.stg_saas__users
        group by 1
    )

    select
        activity_date::text as day,
        daily_active_users as active_users,
        (select sum(users) from sign_ups where day <= activity_date) as users_so_far
    from {marts}.fct_active_users_daily
    where plan_type = 'all'
        and activity_date > (
            select max(activity_date) - 28 from {marts}.fct_active_users_daily
        )
    order by activity_date
""")

SUITE = Suite(
    owner="Product analytics",
    checks=[
        Check(
            "A day brings as many events as its weekday usually does",
            EVENTS_BY_DAY,
            as_usual(),
            severity="warn",
        ),
        Check(
            "As many people are active on a day as usually on its weekday",
            ACTIVE_USERS_BY_DAY,
            as_usual(),
            severity="warn",
        ),
        Check(
            "The mart counts the source's events of each day",
            MART_AND_SOURCE,
            gxe.ExpectColumnValuesToBeBetween(
                column="lost_share", min_value=-0.01, max_value=0.01
            ),
            severity="error",
        ),
        Check(
            "Every active user has signed up",
            ACTIVE_AND_SIGNED_UP,
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="users_so_far", column_B="active_users", or_equal=True
            ),
            severity="warn",
        ),
        Check(
            "Events are divided among their types as in earlier runs",
            EVENT_TYPES,
            as_usual(),
            severity="warn",
        ),
        Check(
            "Sessions are as long and as busy as in earlier runs",
            SESSIONS,
            as_usual(),
            severity="warn",
        ),
        Check(
            "A month that is over keeps its events: within 1% of earlier runs",
            CLOSED_MONTHS,
            as_usual(),
            severity="error",
        ),
    ],
)
