"""Checks of Platform engineering on the rows that the application writes.

Each row is checked, and most of them must pass: the application may write a few wrong
rows, which do no harm.
"""

import great_expectations.expectations as gxe

from saas_analytics.expectations.datasets import SourceRows
from saas_analytics.expectations.suites import Check, Suite

# The last 100,000 of the week that ends with the last event.
EVENTS = SourceRows("""
    select
        user_id is not null as has_user,
        session_id is not null as has_session,
        event_category is distinct from 'feature' or event_name in (
            select feature_name from {seeds}.features
        ) as is_known,
        extract(epoch from created_at - occurred_at) / 3600 as hours_late
    from {staging}.stg_saas__usage_events
    where (occurred_at at time zone {zone})::date >= (
            select max(usage_date) - 6 from {marts}.fct_usage_daily
        )
        and occurred_at >= (
            select (max(usage_date) - 7)::timestamp at time zone 'UTC'
            from {marts}.fct_usage_daily
        )
    order by occurred_at desc
    limit 100000
""")

CALLS = SourceRows("""
    select
        license_id is not null as has_license,
        response_time_ms is not null as is_timed,
        response_time_ms
    from {staging}.stg_saas__api_usage
    where (occurred_at at time zone {zone})::date >= (
            select max(usage_date) - 6 from {marts}.fct_api_usage_daily
        )
        and occurred_at >= (
            select (max(usage_date) - 7)::timestamp at time zone 'UTC'
            from {marts}.fct_api_usage_daily
        )
    order by occurred_at desc
    limit 100000
""")

PAYMENTS = SourceRows("""
    select subscription_id is not null as has_subscription
    from {staging}.stg_saas__payment_transactions
    order by created_at desc
    limit 1000
""")

SUITE = Suite(
    owner="Platform engineering",
    checks=[
        Check(
            "Most events have a user",
            EVENTS,
            gxe.ExpectColumnValuesToBeInSet(
                column="has_user", value_set=[True], mostly=0.8
            ),
            severity="warn",
        ),
        Check(
            "Nearly every event belongs to a session",
            EVENTS,
            gxe.ExpectColumnValuesToBeInSet(
                column="has_session", value_set=[True], mostly=0.9
            ),
            severity="error",
        ),
        Check(
            "Nearly every use is of a feature that the seed features knows",
            EVENTS,
            gxe.ExpectColumnValuesToBeInSet(
                column="is_known", value_set=[True], mostly=0.99
            ),
            severity="warn",
        ),
        Check(
            "Events are written within a day, by clocks that agree within a minute",
            EVENTS,
            gxe.ExpectColumnValuesToBeBetween(
                column="hours_late", min_value=-1 / 60, max_value=24, mostly=0.95
            ),
            severity="warn",
        ),
        Check(
            "Nearly every call is timed",
            CALLS,
            gxe.ExpectColumnValuesToBeInSet(
                column="is_timed", value_set=[True], mostly=0.98
            ),
            severity="warn",
        ),
        Check(
            "Nineteen calls in twenty are answered within three seconds",
            CALLS,
            gxe.ExpectColumnValuesToBeBetween(
                column="response_time_ms", min_value=0, max_value=3000, mostly=0.95
            ),
            severity="warn",
        ),
        Check(
            "Nearly every call is made for a license",
            CALLS,
            gxe.ExpectColumnValuesToBeInSet(
                column="has_license", value_set=[True], mostly=0.9
            ),
            severity="warn",
        ),
        Check(
            "Nearly every payment is for a subscription",
            PAYMENTS,
            gxe.ExpectColumnValuesToBeInSet(
                column="has_subscription", value_set=[True], mostly=0.9
            ),
            severity="warn",
        ),
    ],
)
