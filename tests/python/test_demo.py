"""The demo company: believable, the same for the same arguments, all or nothing."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql
from rich.console import Console

from bootstrap.demo import Summary, load_demo
from bootstrap.demo.arguments import check_arguments, end_of_day
from bootstrap.demo.load import EMPTY_TABLES
from saas_analytics.errors import UserError
from saas_analytics.server.embedded import EmbeddedServer
from tests.python.contract import EVENT_TABLES, columns
from tests.python.support import (
    ROOT,
    Database,
    command,
    kill_9,
    new_database,
    refusal,
    run,
)

UNTIL = dt.date(2026, 3, 10)
MOMENT = end_of_day(UNTIL)
SCALE = 0.05
SEED = 7

# What the database itself stamps: everything else follows from the arguments.
STAMPED = {
    "affiliates": {"updated_at"},
    "usage_aggregates_daily": {"id", "created_at", "updated_at"},
    "usage_aggregates_monthly": {"id", "created_at", "updated_at"},
}


def quiet() -> Console:
    return Console(file=StringIO())


def load(database: Database, **changes: Any) -> Summary:
    arguments = {"scale": SCALE, "seed": SEED, "until": UNTIL, **changes}
    return load_demo(database.url, console=quiet(), **arguments)


@pytest.fixture(scope="module")
def summary(module_database: Database) -> Summary:
    return load(module_database)


@pytest.fixture(scope="module")
def company(module_database: Database, summary: Summary) -> Database:
    return module_database


@pytest.fixture
def other_database(server_url: str, template_database: str) -> Iterator[Database]:
    with new_database(server_url, template=template_database) as made:
        yield made


def one(database: Database, query: str, parameters: Any = None) -> Any:
    """The only value of a query."""
    return database.execute(query, parameters)[0][0]


def contents(database: Database) -> dict[str, str]:
    """A hash of each table's rows, without what the database stamps."""
    hashes = {}
    connection = database.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("set timezone to 'UTC'")
        for table in EMPTY_TABLES:
            names = [
                column.name
                for column in columns()
                if column.table == table and column.name not in STAMPED.get(table, ())
            ]
            cursor.execute(
                sql.SQL(
                    "select md5(string_agg(line, '' order by line)) from ("
                    "select md5(row({})::text) as line from {}) as lines"
                ).format(
                    sql.SQL(", ").join(map(sql.Identifier, names)),
                    sql.Identifier(table),
                )
            )
            (hashes[table],) = cursor.fetchone() or ("",)
    connection.close()
    return hashes


# Arguments ---------------------------------------------------------------------------


def test_same_arguments_give_the_same_rows(
    company: Database, summary: Summary, other_database: Database
) -> None:
    again = load(other_database)
    assert again.rows == summary.rows
    assert contents(other_database) == contents(company)


def test_an_older_server_gets_the_same_rows(
    company: Database, empty_database_15: Database
) -> None:
    run("migrate", env=empty_database_15.environment()).check_returncode()
    load(empty_database_15)
    assert contents(empty_database_15) == contents(company)


def test_another_seed_gives_another_company(
    company: Database, other_database: Database
) -> None:
    load(other_database, seed=SEED + 1, scale=0.02)
    mine, other = contents(company), contents(other_database)
    assert all(mine[table] != other[table] for table in EMPTY_TABLES)


def test_every_table_is_filled_and_counted(company: Database, summary: Summary) -> None:
    for table in EMPTY_TABLES:
        assert one(company, f"select count(*) from {table}") == summary.rows[table] > 0


def test_events_are_as_many_as_the_scale_says(summary: Summary) -> None:
    assert summary.rows["usage_events"] == pytest.approx(275_000 * SCALE, rel=0.25)
    assert summary.rows["api_usage"] == pytest.approx(120_000 * SCALE, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 0.0}, "--scale must be above 0"),
        ({"scale": -1.0}, "--scale must be above 0"),
        ({"scale": float("nan")}, "--scale must be above 0"),
        ({"scale": float("inf")}, "--scale must be above 0"),
        ({"scale": 1e9}, "at most 1000"),
        ({"seed": -1}, "--seed must be 0 or more"),
        ({"until": dt.date(1999, 12, 31)}, "--until must be 2000-01-01 or later"),
        ({"until": dt.date(2026, 3, 11)}, "--until must be a complete day"),
        ({"until": dt.date(9999, 12, 31)}, "--until must be a complete day"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"scale": 1.0, "seed": 1, "until": None, **changes}
    now = dt.datetime(2026, 3, 11, 12, 34, tzinfo=dt.timezone.utc)
    with pytest.raises(UserError, match=message):
        check_arguments(**arguments, now=now)


def test_without_a_day_the_company_lives_until_now() -> None:
    zone = dt.timezone(dt.timedelta(hours=5))
    now = dt.datetime(2026, 3, 11, 2, 34, 56, tzinfo=zone)
    arguments = check_arguments(1.0, 1, None, now)
    assert arguments.until.isoformat() == "2026-03-10T21:30:00+00:00"
    assert arguments.begin.isoformat() == "2024-09-08T00:00:00+00:00"


def test_the_default_is_fresh(other_database: Database) -> None:
    load(other_database, until=None, scale=0.02)
    for table in EVENT_TABLES:
        age = one(other_database, f"select now() - max(created_at) from {table}")
        assert dt.timedelta(0) < age < dt.timedelta(hours=1), table


# Time --------------------------------------------------------------------------------


def test_nothing_lies_after_the_end(company: Database) -> None:
    """But for planned ends, and what the database stamps with its own clock."""
    planned = {
        "expires_at",
        "trial_ends_at",
        "trial_end",
        "current_period_end",
    }
    for column in columns():
        if column.type != "timestamp with time zone" or column.name in planned:
            continue
        if column.name in STAMPED.get(column.table, ()):
            continue
        latest = one(company, f"select max({column.name}) from {column.table}")
        assert latest is None or latest <= MOMENT, column


def test_everything_happens_after_it_began(company: Database, summary: Summary) -> None:
    for table, column in (
        ("users", "created_at"),
        ("usage_events", "occurred_at"),
        ("api_usage", "occurred_at"),
        ("error_logs", "occurred_at"),
        ("audit_logs", "occurred_at"),
        ("affiliate_clicks", "clicked_at"),
    ):
        assert one(company, f"select min({column}) from {table}") >= summary.begin


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("users", "updated_at >= created_at and last_login_at >= created_at"),
        ("licenses", "updated_at >= created_at and started_at >= created_at"),
        ("licenses", "cancelled_at >= started_at and expires_at >= started_at"),
        ("teams", "updated_at >= created_at"),
        ("subscriptions", "updated_at >= created_at and canceled_at >= created_at"),
        ("subscriptions", "current_period_end > current_period_start"),
        ("payment_transactions", "updated_at >= created_at"),
        ("payment_transactions", "processed_at > created_at"),
        ("affiliate_referrals", "updated_at >= created_at"),
        ("affiliate_referrals", "converted_at >= qualified_at"),
        ("affiliate_referrals", "qualified_at >= created_at"),
        ("affiliate_commissions", "updated_at >= created_at"),
        ("affiliate_commissions", "paid_at > approved_at"),
        ("affiliate_commissions", "approved_at > created_at"),
        ("affiliate_payouts", "completed_at > processed_at"),
        ("affiliate_payouts", "processed_at > created_at"),
        ("usage_events", "created_at >= occurred_at"),
        ("api_usage", "created_at >= occurred_at"),
        ("error_logs", "created_at >= occurred_at"),
        ("audit_logs", "created_at >= occurred_at"),
    ],
)
def test_times_follow_each_other(company: Database, table: str, rule: str) -> None:
    assert one(company, f"select count(*) from {table} where not ({rule})") == 0


def test_events_lie_in_monthly_partitions(company: Database) -> None:
    for table in EVENT_TABLES:
        assert one(company, f"select count(*) from {table}_default") == 0


# Accounts and billing ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("users", "role", "user admin super_admin"),
        ("licenses", "plan_type", "free starter pro enterprise"),
        ("licenses", "status", "active suspended cancelled expired"),
        ("team_members", "role", "owner admin member"),
        (
            "subscriptions",
            "status",
            "active past_due unpaid canceled incomplete incomplete_expired trialing",
        ),
        ("subscriptions", "billing_cycle", "monthly yearly"),
        ("subscriptions", "currency", "USD EUR JPY"),
        (
            "payment_transactions",
            "status",
            "pending succeeded failed refunded canceled",
        ),
        ("payment_transactions", "currency", "USD EUR JPY"),
        ("affiliates", "status", "pending active suspended banned"),
        ("affiliate_payouts", "status", "completed failed cancelled"),
        ("affiliate_commissions", "status", "pending approved paid cancelled"),
        ("affiliate_commissions", "commission_type", "initial recurring"),
        (
            "usage_events",
            "event_category",
            "license api feature auth billing team system",
        ),
        ("error_logs", "severity", "debug info warning error critical"),
        ("error_logs", "source", "api web mobile worker scheduler"),
        ("audit_logs", "status", "success failure pending"),
        ("api_usage", "method", "GET POST PUT PATCH DELETE"),
        ("api_usage", "status_code / 100", "2 4 5"),
    ],
)
def test_the_smallest_company_has_every(
    company: Database, table: str, column: str, values: str
) -> None:
    found = company.execute(f"select distinct ({column})::text from {table}")
    assert set(values.split()) <= {value for (value,) in found}


def test_a_license_has_one_live_subscription_at_any_time(company: Database) -> None:
    overlapping = """
    with lives as (
        select id, license_id, tstzrange(
            created_at,
            case
                when status <> 'canceled' then null
                when cancel_at_period_end then current_period_end
                else canceled_at
            end
        ) as life
        from subscriptions where status not in ('incomplete', 'incomplete_expired')
    )
    select count(*) from lives as one
    join lives as other using (license_id)
    where one.id < other.id and one.life && other.life
    """
    assert one(company, overlapping) == 0
    assert one(company, "select count(*) from licenses") == one(
        company, "select count(distinct license_id) from subscriptions"
    )


def test_licenses_agree_with_their_last_subscription(company: Database) -> None:
    disagreeing = """
    with last as (
        select distinct on (license_id) * from subscriptions
        order by license_id, created_at desc
    )
    select licenses.status, last.status, count(*)
    from licenses join last on last.license_id = licenses.id
    where licenses.plan_type <> last.plan_type or licenses.status <> case
        when last.status in ('active', 'trialing', 'past_due') then 'active'
        when last.status in ('unpaid', 'incomplete') then 'suspended'
        when last.status = 'incomplete_expired' then 'expired'
        when last.canceled_at < last.trial_end then 'expired'
        else 'cancelled'
    end
    or (licenses.status = 'cancelled') <> (licenses.cancelled_at is not null)
    or (licenses.status = 'active' and licenses.expires_at <= %s)
    group by 1, 2
    """
    assert company.execute(disagreeing, (MOMENT,)) == []


def test_plans_change_at_one_instant(company: Database) -> None:
    switched = """
    select count(*) from subscriptions as old
    join subscriptions as new
        on new.license_id = old.license_id and new.created_at = old.canceled_at
    where old.status = 'canceled' and {}
    """
    for kind in (
        "new.amount_cents > old.amount_cents and new.plan_type <> old.plan_type",
        "new.amount_cents > old.amount_cents and new.plan_type = old.plan_type",
        "new.amount_cents < old.amount_cents and new.amount_cents > 0",
        "new.amount_cents = 0",
        "old.amount_cents = 0",
    ):
        assert one(company, switched.format(kind)) > 0, kind


def test_customers_leave_return_and_ask_to_leave(company: Database) -> None:
    def count(condition: str) -> int:
        query = f"select count(*) from subscriptions as old where {condition}"
        return int(one(company, query))

    left = "old.status = 'canceled' and old.current_period_end < %s - interval '1 day'"
    back = """
    select count(*) from subscriptions as old join subscriptions as new
        on new.license_id = old.license_id
        and new.created_at > old.canceled_at + interval '10 days'
    where old.status = 'canceled'
    """
    assert one(
        company, f"select count(*) from subscriptions as old where {left}", (MOMENT,)
    )
    assert one(company, back) > 0
    assert count("cancel_at_period_end and status = 'active'") > 0
    assert count("cancel_at_period_end and status = 'canceled'") > 0
    assert count("trial_end is not null and status = 'active'") > 0
    assert count("canceled_at < trial_end") > 0
    assert count("amount_cents = 0 and status = 'active'") > 0


def test_payments_fit_their_subscriptions(company: Database) -> None:
    wrong = """
    select count(*) from payment_transactions as payment
    left join subscriptions as subscription
        on subscription.id = payment.subscription_id
    where payment.refunded_amount_cents > payment.amount_cents
    or payment.amount_cents = 0
    or payment.amount_cents > subscription.amount_cents
    or payment.currency <> subscription.currency
    or payment.created_at < subscription.created_at
    or (payment.status in ('succeeded', 'refunded'))
        <> (payment.processed_at is not null)
    or (payment.status = 'refunded')
        <> (payment.refunded_amount_cents = payment.amount_cents)
    or (payment.status = 'failed') <> (payment.failure_reason is not null)
    """
    assert one(company, wrong) == 0
    for kind in (
        "subscription_id is null",
        "status = 'succeeded' and refunded_amount_cents > 0",
        "status = 'failed'",
        "currency = 'JPY' and status = 'succeeded'",
    ):
        query = f"select count(*) from payment_transactions where {kind}"
        assert one(company, query) > 0, kind


def test_seats_are_taken_by_members(company: Database) -> None:
    wrong = """
    select count(*) from licenses
    left join lateral (
        select count(distinct user_id) as members from teams
        join team_members on team_members.team_id = teams.id
        where teams.license_id = licenses.id
    ) as counted on true
    where seats_used > seats_total or seats_used <> greatest(members, 1)
    """
    assert one(company, wrong) == 0
    assert one(company, "select max(seats_used) from licenses") > 5


def test_nobody_is_real(company: Database) -> None:
    emails = "select count(*) from users where email !~ '@example\\.(com|org)$'"
    assert one(company, emails) == 0
    for table in ("usage_events", "api_usage", "error_logs", "affiliate_clicks"):
        foreign = f"""
        select count(*) from {table} where not (
            ip_address << '192.0.2.0/24' or ip_address << '198.51.100.0/24'
            or ip_address << '203.0.113.0/24' or ip_address << '2001:db8::/32'
        )
        """
        assert one(company, foreign) == 0
        assert one(company, f"select count(distinct ip_address) from {table}") > 3


# The affiliates' ledger --------------------------------------------------------------


def test_payouts_equal_the_commissions_they_pay(company: Database) -> None:
    wrong = """
    select payout.id from affiliate_payouts as payout
    left join affiliate_commissions as commission
        on commission.payout_id = payout.id
        and commission.affiliate_id = payout.affiliate_id
        and commission.currency = payout.currency
        and commission.status = case payout.status
            when 'completed' then 'paid' else 'approved' end
    where payout.status in ('completed', 'pending', 'processing')
    group by payout.id
    having payout.amount_cents is distinct from sum(commission.amount_cents)
    or payout.commission_count <> count(commission.id)
    """
    assert company.execute(wrong) == []


def test_the_ledger_balances_per_currency(company: Database) -> None:
    sums = """
    select currency,
        coalesce(sum(amount) filter (where entry = 'paid'), 0),
        coalesce(sum(amount) filter (where entry = 'completed'), 0)
    from (
        select affiliate_id, currency, status as entry, amount_cents as amount
        from affiliate_commissions
        union all
        select affiliate_id, currency, status, amount_cents from affiliate_payouts
    ) as entries
    group by affiliate_id, currency
    """
    balances = company.execute(sums)
    assert all(paid == completed for _, paid, completed in balances)
    assert {currency for currency, *_ in balances} == {"USD", "EUR", "JPY"}
    assert any(paid > 0 for _, paid, _ in balances)
    stray = "select count(*) from affiliate_commissions where {}"
    for condition in (
        "status = 'paid' and (payout_id is null or paid_at is null)",
        "status in ('pending', 'cancelled', 'disputed') and payout_id is not null",
        "payout_id is not null and payout_id not in (select id from affiliate_payouts)",
    ):
        assert one(company, stray.format(condition)) == 0, condition


def test_payouts_are_under_way(company: Database) -> None:
    under_way = """
    select count(*) from affiliate_payouts where status in ('pending', 'processing')
    """
    assert one(company, under_way) > 0


def test_counters_equal_the_ledger(company: Database) -> None:
    wrong = """
    select count(*) from affiliates
    where (total_earnings_cents, paid_out_cents, pending_payout_cents) <> (
        select coalesce(
                sum(amount_cents) filter (where status in ('approved', 'paid')), 0
            ),
            coalesce(sum(amount_cents) filter (where status = 'paid'), 0),
            coalesce(sum(amount_cents) filter (where status = 'approved'), 0)
        from affiliate_commissions where affiliate_id = affiliates.id
    )
    or total_referrals <> (
        select count(*) from affiliate_referrals
        where affiliate_id = affiliates.id and status in ('qualified', 'converted')
    )
    """
    assert one(company, wrong) == 0


def test_commissions_are_a_rate_of_their_payment(company: Database) -> None:
    wrong = """
    select count(*) from affiliate_commissions as commission
    join affiliate_referrals as referral on referral.id = commission.referral_id
    join affiliates as affiliate on affiliate.id = commission.affiliate_id
    left join payment_transactions as payment
        on payment.id = commission.payment_transaction_id
    left join subscriptions as subscription
        on subscription.id = payment.subscription_id
    where commission.affiliate_id <> referral.affiliate_id
    or commission.currency <> payment.currency
    or commission.amount_cents
        <> round(payment.amount_cents * commission.commission_rate / 100)
    or commission.commission_rate
        <> case when payment.id is null then 0 else affiliate.commission_rate end
    or subscription.license_id <> referral.license_id
    or (commission.payment_transaction_id is null)
        <> (commission.commission_type in ('bonus', 'adjustment'))
    or affiliate.user_id = referral.referred_user_id
    """
    assert one(company, wrong) == 0


def test_refunds_are_clawed_back_before_a_payout(company: Database) -> None:
    clawed_back = """
    select referral.status, commission.status, commission.payout_id
    from payment_transactions as payment
    join affiliate_commissions as commission
        on commission.payment_transaction_id = payment.id
    join affiliate_referrals as referral on referral.id = commission.referral_id
    where payment.refunded_amount_cents > 0
    """
    found = company.execute(clawed_back)
    assert found
    assert set(found) == {("refunded", "cancelled", None)}


def test_referrals_come_from_clicks(company: Database) -> None:
    wrong = """
    select count(*) from affiliate_referrals as referral
    left join affiliate_clicks as click on click.referral_id = referral.id
    where click.id is null or not click.converted
    or click.clicked_at > referral.created_at
    or click.affiliate_id <> referral.affiliate_id
    or click.utm_campaign is distinct from referral.utm_campaign
    """
    assert one(company, wrong) == 0
    rate = "select avg(converted::integer) from affiliate_clicks"
    assert 0.01 < one(company, rate) < 0.1


# Usage -------------------------------------------------------------------------------


def test_weekdays_and_hours_have_a_rhythm(company: Database) -> None:
    weekdays = dict(
        company.execute(
            "select extract(isodow from occurred_at at time zone 'UTC')::integer,"
            " count(*) from usage_events where user_id is not null group by 1"
        )
    )
    assert sum(weekdays[day] for day in (6, 7)) * 3 < sum(
        weekdays[day] for day in (2, 3)
    )
    hours = """
    select count(*) filter (where hour between 9 and 16) * 1.0 / count(*) from (
        select extract(hour from occurred_at at time zone 'UTC'
            + case users.metadata ->> 'region'
                when 'us-west' then interval '-8 hours'
                when 'europe' then interval '1 hour'
                when 'japan' then interval '9 hours'
                else interval '-5 hours' end) as hour
        from usage_events join users on users.id = usage_events.user_id
        where users.metadata ? 'region'
    ) as local
    """
    assert 0.5 < one(company, hours) < 0.85


def test_the_company_grows(company: Database, summary: Summary) -> None:
    middle = summary.begin + (MOMENT - summary.begin) / 2
    for table, column in (("licenses", "created_at"), ("usage_events", "occurred_at")):
        later = f"select avg(({column} > %s)::integer) from {table}"
        assert one(company, later, (middle,)) > 0.55, table


def test_a_few_users_do_most_of_the_work(company: Database) -> None:
    share = """
    select sum(events) filter (where place <= 0.2) / sum(events) from (
        select count(*) as events,
            percent_rank() over (order by count(*) desc) as place
        from usage_events where user_id is not null group by user_id
    ) as ranked
    """
    assert one(company, share) > 0.45


def test_one_event_in_a_hundred_is_late(company: Database) -> None:
    late = """
    select avg((created_at > occurred_at + interval '5 min')::integer) from usage_events
    """
    assert 0.005 < one(company, late) < 0.015
    latest = one(company, "select max(created_at - occurred_at) from usage_events")
    assert dt.timedelta(days=15) < latest <= dt.timedelta(days=30)


def test_events_are_stored_in_order_of_arrival(company: Database) -> None:
    """But for a row now and then that fits into an earlier page."""
    out_of_order = """
    select avg(is_earlier::integer) from (
        select created_at < lag(created_at) over (order by ctid) as is_earlier
        from usage_events_y2026m02
    ) as stored
    """
    assert one(company, out_of_order) < 0.01


def test_sessions_span_midnight(company: Database) -> None:
    spanning = """
    select count(*) from (
        select 1 from usage_events where session_id is not null group by session_id
        having count(distinct (occurred_at at time zone 'UTC')::date) > 1
    ) as sessions
    """
    assert one(company, spanning) > 0


def test_users_are_anonymous_erased_or_known(company: Database) -> None:
    events = "select count(*) from usage_events where {}"
    for kind in (
        "user_id is null and license_id is null and team_id is null",
        "user_id is null and license_id is not null and session_id is null",
        "user_id is null and license_id is not null and session_id is not null",
        "user_id is not null and team_id is null",
        "user_id is not null and team_id is not null",
    ):
        assert one(company, events.format(kind)) > 0, kind
    foreign = """
    select count(*) from usage_events as event
    join teams on teams.id = event.team_id
    where teams.license_id is distinct from event.license_id
    """
    assert one(company, foreign) == 0


def test_people_only_act_while_their_license_lives(company: Database) -> None:
    wrong = """
    select count(*) from usage_events as event
    left join users on users.id = event.user_id
    left join licenses on licenses.id = event.license_id
    where event.occurred_at < users.created_at
    or event.occurred_at < licenses.started_at
    or (licenses.status <> 'active' and event.occurred_at > licenses.expires_at)
    """
    assert one(company, wrong) == 0


def test_last_login_is_the_last_login_event(company: Database) -> None:
    wrong = """
    select count(*) from users
    left join (
        select user_id, max(occurred_at) as last_login from usage_events
        where event_type = 'login' group by user_id
    ) as logins on logins.user_id = users.id
    where last_login_at is distinct from last_login
    """
    # The very last login may not have arrived yet.
    assert one(company, wrong) <= 1


def test_many_events_have_a_duration_and_some_an_odd_one(company: Database) -> None:
    kinds = """
    select coalesce(jsonb_typeof(event_data -> 'duration_seconds'), 'none'),
        count(*) * 1.0 / sum(count(*)) over ()
    from usage_events group by 1
    """
    shares = dict(company.execute(kinds))
    assert 0.5 < shares["number"] < 0.95
    assert 0 < shares["string"] < 0.01
    assert shares["none"] > 0.05


def test_features_are_adopted_after_their_launch(company: Database) -> None:
    first_uses = dict(
        company.execute(
            "select event_name, min(occurred_at) from usage_events"
            " where event_category = 'feature' group by event_name"
        )
    )
    assert len(first_uses) >= 10
    newest, oldest = first_uses["ai_assistant"], first_uses["dashboard"]
    assert newest - oldest > dt.timedelta(days=300)
    too_high = """
    select count(*) from usage_events as event
    join licenses on licenses.id = event.license_id
    where event.event_name in ('sso', 'audit_export')
    and not exists (
        select from subscriptions as subscription
        where subscription.license_id = licenses.id
        and subscription.plan_type = 'enterprise'
    )
    """
    assert one(company, too_high) == 0


def test_feature_usage_equals_the_events(company: Database) -> None:
    different = """
    with counted as (
        select user_id, license_id, event_name, count(*) as uses,
            min(occurred_at) as first_used_at, max(occurred_at) as last_used_at
        from usage_events where event_category = 'feature' group by 1, 2, 3
    ),
    stored as (
        select user_id, license_id, feature_name, total_uses, first_used_at,
            last_used_at from feature_usage
    )
    select count(*) from (
        (table counted except all table stored)
        union all (table stored except all table counted)
    ) as differences
    """
    assert one(company, different) == 0


def test_aggregates_equal_the_events(company: Database) -> None:
    counts = """
    select (select count(*) from usage_events),
        (select sum(event_count) from usage_aggregates_daily),
        (select sum(event_count) from usage_aggregates_monthly)
    """
    ((events, daily, monthly),) = company.execute(counts)
    assert events == daily == monthly
    company.execute("select aggregate_daily_usage(%s)", (UNTIL,))
    assert one(company, "select sum(event_count) from usage_aggregates_daily") == events


# Operations --------------------------------------------------------------------------


def test_latency_has_a_long_tail(company: Database) -> None:
    percentiles = """
    select percentile_cont(array[0.5, 0.95, 0.99])
        within group (order by response_time_ms)
    from api_usage where response_time_ms is not null
    """
    median, p95, p99 = one(company, percentiles)
    assert 30 < median < 200
    assert p95 > 5 * median
    assert p99 > 2 * p95


def test_the_incident_shows(company: Database, summary: Summary) -> None:
    start, end = summary.incident
    assert dt.timedelta(hours=1) < end - start < dt.timedelta(hours=4)
    worst = """
    select (occurred_at at time zone 'UTC')::date as day, endpoint,
        avg((status_code >= 500)::integer) as error_rate,
        percentile_cont(0.99) within group (order by response_time_ms) as p99
    from api_usage where endpoint = '/v1/reports'
    group by day, endpoint having count(*) >= 5 order by {} desc limit 1
    """
    for measure in ("error_rate", "p99"):
        ((day, *_),) = company.execute(worst.format(measure))
        assert day == start.date(), measure
    failed = """
    select count(*), count(distinct endpoint), min(occurred_at), max(occurred_at)
    from api_usage where status_code >= 500 and occurred_at between %s and %s
    """
    ((calls, endpoints, *_),) = company.execute(failed, (start, end))
    assert calls > 20
    assert endpoints >= 3


def test_every_failed_call_is_in_the_error_log(company: Database) -> None:
    unmatched = """
    select count(*) from api_usage as call
    left join error_logs as error
        on error.occurred_at = call.occurred_at and error.endpoint = call.endpoint
        and error.method = call.method
        and error.license_id is not distinct from call.license_id
        and error.user_id is not distinct from call.user_id
    where call.status_code >= 500 and error.id is null
    """
    assert one(company, unmatched) == 0
    critical = """
    select date_trunc('hour', occurred_at at time zone 'UTC') from error_logs
    where severity = 'critical' group by 1 order by count(*) desc limit 1
    """
    ((hour,),) = company.execute(critical)
    assert hour.date() == company_incident(company).date()


def company_incident(company: Database) -> dt.datetime:
    """The hour with the most failed calls."""
    hours = """
    select date_trunc('hour', occurred_at at time zone 'UTC') from api_usage
    where status_code >= 500 group by 1 order by count(*) desc limit 1
    """
    hour: dt.datetime = one(company, hours)
    return hour


def test_the_audit_trail_tells_what_happened(company: Database) -> None:
    untold = """
    select count(*) from subscriptions where id::text not in (
        select resource_id from audit_logs where action = 'subscription.created'
    )
    """
    assert one(company, untold) == 0
    assert one(company, "select count(distinct action) from audit_logs") > 12


# The command -------------------------------------------------------------------------


def test_a_database_with_rows_is_refused(company: Database) -> None:
    before = contents(company)
    with pytest.raises(UserError, match="users has rows"):
        load(company)
    assert contents(company) == before
    said = refusal(run("demo", "--scale", "0.05", env=company.environment()))
    assert "users has rows" in said


def test_a_company_that_is_there_stays_if_asked_so(company: Database) -> None:
    before = company.execute("select count(*), max(updated_at) from users")
    result = run("demo", "--if-empty", env=company.environment())

    assert result.returncode == 0, result.stderr
    assert "The schema already has users" in result.stdout
    assert company.execute("select count(*), max(updated_at) from users") == before


def test_a_database_without_tables_is_refused(empty_database: Database) -> None:
    said = refusal(run("demo", env=empty_database.environment()))
    assert "saas migrate" in said


@pytest.mark.parametrize(
    ("option", "code"),
    [
        (("--scale", "0"), 1),
        (("--scale", "nan"), 1),
        (("--scale", "much"), 2),
        (("--seed", "-3"), 1),
        (("--until", "1999-12-31"), 1),
        (("--until", "9999-12-31"), 1),
        (("--until", "2026-02-30"), 2),
        (("--until", "yesterday"), 2),
    ],
)
def test_bad_options_are_refused_in_one_line(
    database: Database, option: tuple[str, str], code: int
) -> None:
    said = refusal(run("demo", *option, env=database.environment()), code)
    assert option[0] in said
    assert one(database, "select count(*) from users") == 0


def test_the_command_loads_and_says_so(database: Database) -> None:
    result = run(
        *("demo", "--scale", "0.02", "--seed", "3", "--until", "2026-01-31"),
        env=database.environment(),
    )
    assert result.returncode == 0, result.stderr
    # One line per step where nobody looks, and no escape codes.
    assert "usage_events" in result.stdout
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) < 12


def test_a_schema_of_its_own_is_used(empty_database: Database) -> None:
    env = empty_database.environment(DB_SCHEMA="product")
    empty_database.execute("create schema product")
    run("migrate", env=env).check_returncode()
    result = run("demo", "--scale", "0.02", "--until", "2026-01-31", env=env)
    assert result.returncode == 0, result.stderr
    assert one(empty_database, "select count(*) from product.usage_events") > 0
    assert one(empty_database, "select to_regclass('public.users')") is None


@pytest.mark.parametrize("moment", ["waiting", "events", "aggregates"])
def test_interrupted_it_leaves_nothing(database: Database, moment: str) -> None:
    """Ctrl-C before, in the middle of the events and late: no row of any table stays.

    Also while it waits for another session's lock.
    """
    other = database.connect()
    if moment == "waiting":
        other.cursor().execute("lock table users")
    with demo_process(database) as process:
        _wait_for_statement(database, moment)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, errors = process.communicate(timeout=300)
    other.close()
    assert process.returncode == 130, errors
    assert time.monotonic() - started < 20
    assert errors.strip().startswith("error: interrupted")
    assert len(errors.strip().splitlines()) == 1, errors
    _assert_empty(database)


def test_interrupted_it_can_be_run_again(database: Database) -> None:
    with demo_process(database) as process:
        _wait_for_statement(database, "events")
        process.send_signal(signal.SIGINT)
        process.wait(timeout=300)
    assert load(database, scale=0.02).rows["usage_events"] > 0


def test_killed_it_leaves_nothing(database: Database) -> None:
    with demo_process(database):
        _wait_for_statement(database, "events")
    _assert_empty(database)


def test_a_lost_connection_is_one_line(database: Database) -> None:
    with demo_process(database) as process:
        pid = _wait_for_statement(database, "events")
        database.execute("select pg_terminate_backend(%s)", (pid,))
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("error: the demo was not loaded: ")
    assert "terminating connection" in errors
    _assert_empty(database)


def test_a_killed_server_has_nothing_of_it(
    doomed_server: EmbeddedServer, doomed_database: Database
) -> None:
    run("migrate", env=doomed_database.environment()).check_returncode()
    with demo_process(doomed_database, scale=0.1) as process:
        _wait_for_statement(doomed_database, "events")
        kill_9(doomed_server)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("error: the demo was not loaded: ")
    doomed_server.start()
    _assert_empty(doomed_database)
    assert load(doomed_database, scale=0.02).rows["usage_events"] > 0


def test_two_at_once_give_one_company(database: Database) -> None:
    outcomes: list[object] = []

    def fill(seed: int) -> None:
        try:
            outcomes.append(load(database, scale=0.02, seed=seed))
        except UserError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=fill, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(outcomes) == 2
    assert len(refused) == 1
    assert "users has rows" in refused[0]


@contextmanager
def demo_process(
    database: Database, scale: float = 0.3
) -> Iterator[subprocess.Popen[str]]:
    """The command under way, killed at the end if it still is."""
    process = subprocess.Popen(
        command("demo", "--scale", str(scale), "--until", "2026-01-31"),
        env={**database.environment(), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _wait_for_statement(database: Database, moment: str) -> int:
    """Wait until the demo has come that far; its server process."""
    running = """
    select pid from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
    and {}
    """.format(
        {
            "waiting": "wait_event_type = 'Lock'",
            "events": """query like 'copy "usage_events"%'""",
            "aggregates": "query like '%aggregate_daily_usage%'",
        }[moment]
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if found := database.execute(running):
            return int(found[0][0])
        time.sleep(0.01)
    raise AssertionError(f"the demo never came to the {moment}")


def _assert_empty(database: Database) -> None:
    # A killed client's transaction ends once the server notices.
    connection = psycopg2.connect(database.url)
    with connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext('saas_analytics demo'))")
        for table in EMPTY_TABLES:
            query = sql.SQL("select count(*) from {}")
            cursor.execute(query.format(sql.Identifier(table)))
            assert cursor.fetchone() == (0,), table
    connection.close()
