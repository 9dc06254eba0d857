"""What the marts mean: queries over the source tables, in other words than the models.

Each is written in UTC. `reference` gives it for another reporting zone.
"""

from __future__ import annotations

from typing import Any

from psycopg2 import sql

# Only plausible times count, in other words than the macro's.
EVENTS = """(
    select * from usage_events where case
        when occurred_at between '1970-01-01 00:00+00' and '2099-12-31 23:59:59.999999Z'
        then occurred_at - interval '24 hours' <= created_at end
) as usage_events"""
LICENSES = """(
    select id, plan_type,
        case when started_at <@ plausible then started_at end as started_at,
        case when cancelled_at <@ plausible then cancelled_at end as cancelled_at,
        case when expires_at <@ plausible then expires_at end as expires_at
    from licenses,
        tstzrange('1970-01-01 00:00Z', '2100-01-01 00:00Z') as plausible
) as licenses"""
SECONDS = """coalesce(sum(
    case when jsonb_typeof(event_data -> 'duration_seconds') = 'number' then
        case when (event_data ->> 'duration_seconds')::numeric >= 0
            and (event_data ->> 'duration_seconds')::numeric < 1e100
        then (event_data ->> 'duration_seconds')::numeric end
    end
), 0) as total_duration_seconds"""


def day(moment: str) -> str:
    """The calendar day of a time, as SQL."""
    return f"({moment} at time zone 'UTC')::date"


def month(moment: str) -> str:
    """The first day of a time's calendar month, as SQL."""
    return f"date_trunc('month', {moment} at time zone 'UTC')::date"


def cents(column: str, condition: str, amount: str = "amount_cents") -> str:
    """A sum of the amounts that meet a condition, as a column."""
    return f"coalesce(sum({amount}) filter (where {condition}), 0)::bigint as {column}"


def number(column: str, condition: str) -> str:
    """The number of rows that meet a condition, as a column."""
    return f"count(*) filter (where {condition}) as {column}"


def percentile(percent: int) -> str:
    """Between two values by their distance; `times` holds all of them in order."""
    place = f"({percent} * (cardinality(times) - 1))"
    lower, upper = f"times[1 + {place} / 100]", f"times[1 + ({place} + 99) / 100]"
    between = f"{place} % 100 / 100.0 * ({upper} - {lower})"
    return f"{lower} + {between} as p{percent}_response_ms"


USAGE = "user_id, license_id, team_id, event_type::text"
PAID = "payments.status in ('succeeded', 'refunded')"
VALID = "status not in ('cancelled', 'refunded')"

REFERENCES: dict[str, str] = {
    "fct_usage_daily": f"""
        select {day("occurred_at")} as usage_date, {USAGE}, count(*) as event_count,
            count(distinct session_id) as unique_sessions, {SECONDS}
        from {EVENTS} group by 1, 2, 3, 4, 5
    """,
    "fct_usage_monthly": f"""
        select {month("occurred_at")} as usage_month, {USAGE}, count(*) as event_count,
            count(distinct session_id) as unique_sessions,
            count(distinct {day("occurred_at")}) as unique_days_active, {SECONDS}
        from {EVENTS} group by 1, 2, 3, 4, 5
    """,
    "fct_feature_usage": f"""
        select user_id, license_id, event_name::text as feature_name,
            min(occurred_at) as first_used_at, max(occurred_at) as last_used_at,
            count(*) as total_uses
        from {EVENTS} where event_category = 'feature' group by 1, 2, 3
    """,
    "fct_active_users_daily": f"""
        with active as materialized (
            select distinct {day("occurred_at")} as day,
                usage_events.user_id, coalesce(plan_type, 'none') as plan
            from {EVENTS} left join {LICENSES} on licenses.id = license_id
        ),
        plans as (select distinct plan from active union select 'all' from active),
        days as (
            select generate_series(min(day), max(day), '1 day')::date as day from active
        )
        select days.day as activity_date, plans.plan::text as plan_type,
            count(distinct user_id) filter (where active.day = days.day)
                as daily_active_users,
            count(distinct user_id) filter (where active.day > days.day - 7)
                as weekly_active_users,
            count(distinct user_id) as monthly_active_users,
            count(distinct user_id) filter (where active.day = days.day)
                ::numeric / nullif(count(distinct user_id), 0) as stickiness
        from days cross join plans
        left join active on active.day between days.day - 29 and days.day
            and (plans.plan = 'all' or plans.plan = active.plan)
        group by 1, 2
    """,
    "fct_user_retention_monthly": f"""
        with cohorts as (select id, {month("created_at")} as cohort from users),
        active as (
            select distinct user_id, {month("occurred_at")} as month from {EVENTS}
        ),
        months as (
            select generate_series(min(cohort), (select max(month) from active),
                '1 month')::date as month from cohorts
        )
        select cohort as cohort_month,
            count(distinct id) as cohort_users,
            (extract(year from age(months.month, cohort)) * 12
                + extract(month from age(months.month, cohort)))::integer
                as months_since_signup,
            count(distinct user_id) as retained_users,
            count(distinct user_id)::numeric / count(distinct id) as retention_rate
        from cohorts inner join months on cohort <= month
        left join active on id = user_id and months.month = active.month
        group by cohort, months.month
    """,
    "fct_user_growth_monthly": f"""
        with active as materialized (
            select distinct user_id, {month("occurred_at")} as month from {EVENTS}
        ),
        months as (
            select generate_series(min(month), max(month), '1 month')::date as month
            from active
        ),
        people as (
            select months.month,
                bool_or(active.month = months.month) as here,
                bool_or(active.month = months.month - interval '1 month') as before,
                bool_or(active.month < months.month) as earlier
            from months inner join active
                on active.month <= months.month and user_id is not null
            group by months.month, user_id
        )
        select months.month as activity_month, {number("active_users", "here")},
            {number("new_users", "here and not earlier")},
            {number("returning_users", "here and before")},
            {number("resurrected_users", "here and earlier and not before")},
            {number("churned_users", "before and not here")}
        from months left join people using (month) group by 1
    """,
    "fct_feature_adoption_monthly": f"""
        with uses as materialized (
            select {month("occurred_at")} as month,
                event_name::text as feature, license_id, user_id, count(*) as uses
            from {EVENTS} where event_category = 'feature' group by 1, 2, 3, 4
        ),
        features as (select feature, min(month) as first_month from uses group by 1),
        first_uses as materialized (
            select license_id, feature, min(month) as month from uses group by 1, 2
        ),
        months as (
            select generate_series(min(month), (
                select max(occurred_at at time zone 'UTC') from {EVENTS}
            ), '1 month')::date as month from uses
        ),
        plans as (select distinct plan_type::text as plan from {LICENSES}
            union all select 'all'),
        live as materialized (
            select month, plan, id from months cross join plans left join {LICENSES}
                on (plan = 'all' or plan = plan_type)
                -- In local time: the midnight that begins a month may come twice.
                and started_at at time zone 'UTC' < month + interval '1 month'
                and (cancelled_at at time zone 'UTC' < month) is not true
                and (expires_at at time zone 'UTC' < month) is not true
        )
        select live.month as adoption_month, features.feature as feature_name,
            plan as plan_type,
            count(distinct id) as eligible_licenses,
            count(distinct id) filter (where uses > 0) as active_licenses,
            count(distinct id) filter (where uses > 0 and first_uses.month = live.month)
                as new_licenses,
            count(distinct id) filter (where first_uses.month <= live.month)
                as adopted_licenses,
            count(distinct user_id) as active_users,
            coalesce(sum(uses), 0)::bigint as total_uses,
            count(distinct id) filter (where uses > 0)
                ::numeric / nullif(count(distinct id), 0) as adoption_rate
        from live inner join features on first_month <= live.month
        left join first_uses on id = first_uses.license_id
            and features.feature = first_uses.feature
        left join uses on id = uses.license_id and live.month = uses.month
            and features.feature = uses.feature
        group by 1, 2, 3
    """,
    "fct_affiliate_earnings": f"""
        select affiliate_id, upper(currency) as currency,
            {number("commissions", "kind = 'c'")},
            {cents("pending_cents", "kind = 'c' and status = 'pending'")},
            {cents("approved_cents", "kind = 'c' and status = 'approved'")},
            {cents("paid_cents", "kind = 'c' and status = 'paid'")},
            {cents("cancelled_cents", "kind = 'c' and status = 'cancelled'")},
            {cents("disputed_cents", "kind = 'c' and status = 'disputed'")},
            {cents("total_earnings_cents", "kind = 'c' and status ~ 'approved|paid'")},
            {cents("payouts_completed_cents", "kind = 'p' and status = 'completed'")},
            {cents("payouts_in_flight_cents", "kind = 'p' and status ~ 'ing$'")},
            {
        cents(
            "unreconciled_cents",
            "kind || status in ('cpaid', 'pcompleted')",
            "case kind when 'p' then -amount_cents else amount_cents end",
        )
    }
        from (
            select 'c' as kind, affiliate_id, currency, status, amount_cents
            from affiliate_commissions
            union all
            select 'p', affiliate_id, currency, status, amount_cents
            from affiliate_payouts
        ) as entries
        group by 1, 2
    """,
    "fct_affiliate_earnings_monthly": f"""
        select {month("created_at")} as earnings_month, affiliate_id,
            upper(currency) as currency, commission_type, count(*) as commissions,
            {cents("earned_cents", "status in ('approved', 'paid')")},
            {cents("pending_cents", "status = 'pending'")},
            {cents("cancelled_cents", "status = 'cancelled'")},
            {cents("disputed_cents", "status = 'disputed'")}
        from affiliate_commissions group by 1, 2, 3, 4
    """,
    "fct_affiliate_funnel_daily": f"""
        with steps as (
            select clicked_at as at, affiliate_id, utm_campaign, 'click' as step
            from affiliate_clicks
            union all
            select clicked_at, affiliate_id, utm_campaign, 'converted click'
            from affiliate_clicks where converted
            union all
            select created_at, affiliate_id, utm_campaign, 'referral'
            from affiliate_referrals
            union all
            select qualified_at, affiliate_id, utm_campaign, 'qualified'
            from affiliate_referrals where {VALID}
            union all
            select converted_at, affiliate_id, utm_campaign, 'converted'
            from affiliate_referrals where {VALID}
        )
        select {day("at")} as funnel_date, affiliate_id, utm_campaign,
            {number("clicks", "step = 'click'")},
            {number("converted_clicks", "step = 'converted click'")},
            {number("referrals", "step = 'referral'")},
            {number("qualified_referrals", "step = 'qualified'")},
            {number("converted_referrals", "step = 'converted'")},
            count(*) filter (where step = 'converted')::numeric
                / nullif(count(*) filter (where step = 'click'), 0) as conversion_rate
        from steps where at is not null group by 1, 2, 3
    """,
    "fct_revenue_monthly": f"""
        select {month("coalesce(processed_at, payments.created_at)")} as revenue_month,
            upper(payments.currency) as currency,
            coalesce(plan_type, 'none') as plan_type, {number("payments", PAID)},
            {number("failed_payments", "payments.status = 'failed'")},
            {number("pending_payments", "payments.status = 'pending'")},
            {number("canceled_payments", "payments.status = 'canceled'")},
            {cents("gross_cents", PAID, "payments.amount_cents")},
            {cents("refunded_cents", PAID, "refunded_amount_cents")},
            {
        cents(
            "net_cents",
            PAID,
            "payments.amount_cents - coalesce(refunded_amount_cents, 0)",
        )
    }
        from payment_transactions as payments
        left join subscriptions on subscriptions.id = subscription_id group by 1, 2, 3
    """,
    "fct_api_usage_daily": f"""
        select usage_date, endpoint, method, requests, client_errors, server_errors,
            server_errors::numeric / requests as error_rate,
            {percentile(50)}, {percentile(95)}, {percentile(99)}
        from (
            select {day("occurred_at")} as usage_date, endpoint, method,
                count(*) as requests,
                {number("client_errors", "status_code / 100 = 4")},
                {number("server_errors", "status_code / 100 = 5")},
                array_agg(response_time_ms order by response_time_ms)
                    filter (where response_time_ms is not null) as times
            from api_usage group by 1, 2, 3
        ) as days
    """,
    "fct_errors_daily": f"""
        select {day("occurred_at")} as error_date, severity, error_type, source,
            count(*) as errors, count(distinct user_id) as affected_users
        from error_logs group by 1, 2, 3, 4
    """,
    "fct_audit_daily": f"""
        select {day("occurred_at")} as audit_date, action, resource_type, status,
            count(*) as events, count(distinct user_id) as actors
        from audit_logs group by 1, 2, 3, 4
    """,
    "fct_license_seats": f"""
        select id as license_id, plan_type, status, seats_total, seats_used,
            seats_used::numeric / seats_total as seat_utilization,
            (select count(distinct user_id) from team_members
                where team_id in (select teams.id from teams
                    where license_id = licenses.id)) as team_members,
            (select count(distinct user_id) from {EVENTS}
                where license_id = licenses.id and {day("occurred_at")} > (
                    select max({day("occurred_at")}) - 30 from {EVENTS}
                )) as active_users_30d
        from licenses
    """,
}

# Those that hold whatever is written, impossible times included.
OF_ANY_VALUES = (
    *("fct_usage_daily", "fct_usage_monthly", "fct_feature_usage"),
    *("fct_active_users_daily", "fct_feature_adoption_monthly"),
    "fct_affiliate_earnings",
)


def reference(mart: str, zone: str = "UTC") -> str:
    """The query of a mart's rows in a reporting zone."""
    return REFERENCES[mart].replace("'UTC'", f"'{zone}'")


def mismatch(cursor: Any, mart: str, query: str | sql.Composable) -> list[str]:
    """The first rows by which a mart and a query differ; decimals to 12 digits.

    The query has the mart's columns, and in the answer `surplus` says which side has
    the row once more: 1 the query, -1 the mart.
    """
    expected = query if isinstance(query, sql.Composable) else sql.SQL(query)
    cursor.execute(sql.SQL("select * from analytics.{} limit 0").format(_name(mart)))
    columns = [
        sql.SQL("round({}::numeric, 12)" if column.type_code == 1700 else "{}").format(
            sql.Identifier(column.name)
        )
        for column in cursor.description
    ]
    cursor.execute(
        sql.SQL(
            "select row_to_json(rows)::text from ("
            "select {columns}, sum(sign) as surplus from ("
            "select *, 1 as sign from (select {names} from ({expected}) as reference)"
            " as reference union all select *, -1 from analytics.{mart}) as both_sides"
            " group by {columns} having sum(sign) <> 0 limit 3) as rows"
        ).format(
            columns=sql.SQL(", ").join(columns),
            names=sql.SQL(", ").join(_name(each.name) for each in cursor.description),
            expected=expected,
            mart=_name(mart),
        )
    )
    return [row for (row,) in cursor.fetchall()]


def _name(name: str) -> sql.Identifier:
    return sql.Identifier(name)
