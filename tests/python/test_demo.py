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
from bootstrap.demo.load import EMPTY_TABLES, EVENT_TABLES
from saas_analytics.errors import UserError
from tests.python.contract import columns
from tests.python.support import (
    ROOT,
    Database,
    command,
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


def test_every_table_is_filled_and_events_are_as_many_as_the_scale_says(
    company: Database, summary: Summary
) -> None:
    for table in EMPTY_TABLES:
        assert one(company, f"select count(*) from {table}") == summary.rows[table] > 0
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


# What is true of every row, and what there is some of ---------------------------------


def test_nothing_lies_after_the_end(company: Database) -> None:
    """Except planned ends, and what the database stamps with its own clock."""
    planned = {"expires_at", "trial_ends_at", "trial_end", "current_period_end"}
    for column in columns():
        if column.type != "timestamp with time zone" or column.name in planned:
            continue
        if column.name in STAMPED.get(column.table, ()):
            continue
        latest = one(company, f"select max({column.name}) from {column.table}")
        assert latest is None or latest <= MOMENT, column


# No row may be otherwise. What contradicts itself: the findings, in test_integrity.py.
ALWAYS = {
    "users": "email ~ '@example\\.(com|org)$' and last_login_at >= created_at "
    "and updated_at >= created_at",
    "licenses": "updated_at >= created_at and started_at >= created_at",
    "subscriptions": "updated_at >= created_at",
    "payment_transactions": "updated_at >= created_at and amount_cents > 0 "
    "and (status = 'failed') = (failure_reason is not null)",
    "affiliate_commissions": "approved_at > created_at and paid_at > approved_at",
    "affiliate_payouts": "processed_at > created_at and completed_at > processed_at",
    **dict.fromkeys(
        EVENT_TABLES, "created_at >= occurred_at and occurred_at >= %(begin)s"
    ),
}
RESERVED = " or ".join(
    f"ip_address << '{net}'"
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)


def test_every_row_keeps_its_rules_and_names_no_real_person_or_machine(
    company: Database, summary: Summary
) -> None:
    for table, rule in ALWAYS.items():
        broken = f"select count(*) from {table} where not ({rule})"
        assert one(company, broken, {"begin": summary.begin}) == 0, table
    for table in ("usage_events", "api_usage", "error_logs", "affiliate_clicks"):
        real = f"select count(*) from {table} where not ({RESERVED})"
        assert one(company, real) == 0, table
    for table in EVENT_TABLES:
        assert one(company, f"select count(*) from {table}_default") == 0, table


VALUES = {
    "users role": "user admin super_admin",
    "licenses plan_type": "free starter pro enterprise",
    "licenses status": "active suspended cancelled expired",
    "team_members role": "owner admin member",
    "subscriptions status": "active past_due unpaid canceled incomplete "
    "incomplete_expired trialing",
    "subscriptions billing_cycle": "monthly yearly",
    "subscriptions currency": "USD EUR JPY",
    "payment_transactions status": "pending succeeded failed refunded canceled",
    "payment_transactions currency": "USD EUR JPY",
    "affiliates status": "pending active suspended banned",
    "affiliate_payouts status": "completed failed cancelled",
    "affiliate_commissions status": "pending approved paid cancelled",
    "affiliate_commissions commission_type": "initial recurring",
    "usage_events event_category": "license api feature auth billing team system",
    "error_logs severity": "debug info warning error critical",
    "error_logs source": "api web mobile worker scheduler",
    "audit_logs status": "success failure pending",
    "api_usage method": "GET POST PUT PATCH DELETE",
    "api_usage status_code / 100": "2 4 5",
}


def test_the_smallest_company_has_every_kind_of_row(company: Database) -> None:
    for place, values in VALUES.items():
        table, _, column = place.partition(" ")
        found = company.execute(f"select distinct ({column})::text from {table}")
        assert set(values.split()) <= {value for (value,) in found}, place


SWITCHED = """
subscriptions as old join subscriptions as new
on new.license_id = old.license_id and new.created_at = old.canceled_at
where old.status = 'canceled' and """
SOME = [
    SWITCHED + "new.amount_cents > old.amount_cents and new.plan_type <> old.plan_type",
    SWITCHED + "new.amount_cents > old.amount_cents and new.plan_type = old.plan_type",
    SWITCHED + "new.amount_cents < old.amount_cents and new.amount_cents > 0",
    SWITCHED + "new.amount_cents = 0",
    SWITCHED + "old.amount_cents = 0",
    "subscriptions as old join subscriptions as new on new.license_id = old.license_id "
    "and new.created_at > old.canceled_at + interval '10 days'",
    "subscriptions where cancel_at_period_end and status = 'active'",
    "subscriptions where cancel_at_period_end and status = 'canceled'",
    "subscriptions where trial_end is not null and status = 'active'",
    "subscriptions where canceled_at < trial_end",
    "subscriptions where amount_cents = 0 and status = 'active'",
    "payment_transactions where subscription_id is null",
    "payment_transactions where status = 'succeeded' and refunded_amount_cents > 0",
    "payment_transactions where currency = 'JPY' and status = 'succeeded'",
    "affiliate_payouts where status in ('pending', 'processing')",
    "licenses where seats_used > 5",
    "usage_events where license_id is null and team_id is null and user_id is null",
    "usage_events where user_id is null and license_id is not null "
    "and session_id is null",
    "usage_events where user_id is null and license_id is not null "
    "and session_id is not null",
    "usage_events where user_id is not null and team_id is null",
    "usage_events where user_id is not null and team_id is not null",
    "(select from usage_events group by session_id having session_id is not null "
    "and count(distinct (occurred_at at time zone 'UTC')::date) > 1) as over_midnight",
]


def test_the_smallest_company_has_every_turn_of_a_customers_life(
    company: Database,
) -> None:
    assert [
        rows for rows in SOME if not one(company, f"select count(*) from {rows}")
    ] == []


USES = """
with counted as (
    select user_id, license_id, event_name, count(*) as uses, min(occurred_at) as first,
        max(occurred_at) as last
    from usage_events where event_category = 'feature' group by 1, 2, 3
), stored as (
    select user_id, license_id, feature_name, total_uses, first_used_at, last_used_at
    from feature_usage
)
"""
# Rows that disagree with other rows: there are none.
DISAGREEING = {
    "an event of another license's team": """
        usage_events as event join teams on teams.id = event.team_id
        where teams.license_id is distinct from event.license_id""",
    "an event outside the license's life": """
        usage_events as event join licenses on licenses.id = event.license_id
        where event.occurred_at < licenses.started_at
        or (licenses.status <> 'active' and event.occurred_at > licenses.expires_at)""",
    "a feature of another plan": """
        usage_events as event where event_name in ('sso', 'audit_export') and not exists
        (select from subscriptions where license_id = event.license_id
            and plan_type = 'enterprise')""",
    "uses that are not the events": """
        ((table counted except all table stored)
        union all (table stored except all table counted)) as different""",
    "a failed call that is no error": """
        api_usage as call left join error_logs as error
        on error.occurred_at = call.occurred_at and error.endpoint = call.endpoint
        and error.method = call.method
        and error.license_id is not distinct from call.license_id
        and error.user_id is not distinct from call.user_id
        where call.status_code >= 500 and error.id is null""",
    "a subscription that was not audited": """
        subscriptions where id::text not in (select resource_id from audit_logs
            where action = 'subscription.created')""",
    "a click after its referral, or of another campaign": """
        affiliate_referrals as referral left join affiliate_clicks as click
        on click.referral_id = referral.id and click.clicked_at <= referral.created_at
        and click.utm_campaign is not distinct from referral.utm_campaign
        where click.id is null""",
}


def test_rows_agree_with_each_other(company: Database) -> None:
    for name, rows in DISAGREEING.items():
        assert one(company, f"{USES} select count(*) from {rows}") == 0, name
    logins = """
    select count(*) from users left join (
        select user_id, max(occurred_at) as last_login from usage_events
        where event_type = 'login' group by user_id
    ) as logins on logins.user_id = users.id
    where last_login_at is distinct from last_login
    """
    # The very last login may not have arrived yet.
    assert one(company, logins) <= 1


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


# How believable it is: a figure, and between which it lies ----------------------------

FIGURES = {
    "share of clicks that lead to a customer": (
        *(0.01, 0.1),
        "select avg(converted::integer) from affiliate_clicks",
    ),
    "a weekend's events to those of two weekdays": (
        *(0, 0.33),
        "select sum((day in (6, 7))::integer) / sum((day in (2, 3))::integer)::float "
        "from (select extract(isodow from occurred_at at time zone 'UTC') as day "
        "from usage_events where user_id is not null) as events",
    ),
    "share of events in office hours": (
        *(0.5, 0.85),
        "select avg((hour between 9 and 16)::integer) from ("
        "select extract(hour from occurred_at at time zone 'UTC' + "
        "case users.metadata ->> 'region' when 'us-west' then interval '-8 hours' "
        "when 'europe' then interval '1 hour' when 'japan' then interval '9 hours' "
        "else interval '-5 hours' end) as hour "
        "from usage_events join users on users.id = usage_events.user_id "
        "where users.metadata ? 'region') as local",
    ),
    "share of licenses of the second half": (
        *(0.55, 1),
        "select avg((created_at > %(middle)s)::integer) from licenses",
    ),
    "share of events of the second half": (
        *(0.55, 1),
        "select avg((occurred_at > %(middle)s)::integer) from usage_events",
    ),
    "share of what the busiest fifth does": (
        *(0.45, 1),
        "select sum(events) filter (where place <= 0.2) / sum(events) from ("
        "select count(*) as events, percent_rank() over (order by count(*) desc) "
        "as place from usage_events where user_id is not null group by user_id"
        ") as ranked",
    ),
    "share of events that are late": (
        *(0.005, 0.015),
        "select avg((created_at > occurred_at + interval '5 min')::integer) "
        "from usage_events",
    ),
    "days that the latest event is late": (
        *(15, 30),
        "select extract(epoch from max(created_at - occurred_at)) / 86400 "
        "from usage_events",
    ),
    # A row now and then fits into an earlier page.
    "share of events stored before an earlier one": (
        *(0, 0.01),
        "select avg(is_earlier::integer) from (select created_at < lag(created_at) "
        "over (order by ctid) as is_earlier from usage_events_y2026m02) as stored",
    ),
    "share of events with a duration": (
        *(0.5, 0.95),
        "select avg((jsonb_typeof(event_data -> 'duration_seconds') is not distinct "
        "from 'number')::integer) from usage_events",
    ),
    "share of durations that are text": (
        *(0.00001, 0.01),
        "select avg((jsonb_typeof(event_data -> 'duration_seconds') is not distinct "
        "from 'string')::integer) from usage_events",
    ),
    "features": (
        *(10, 100),
        "select count(distinct event_name) from usage_events "
        "where event_category = 'feature'",
    ),
    "days from the oldest feature to the newest": (
        *(300, 800),
        "select extract(epoch from min(occurred_at) "
        "filter (where event_name = 'ai_assistant') - min(occurred_at) "
        "filter (where event_name = 'dashboard')) / 86400 "
        "from usage_events where event_category = 'feature'",
    ),
    "kinds of actions": (*(13, 100), "select count(distinct action) from audit_logs"),
}


def test_the_company_is_believable(company: Database, summary: Summary) -> None:
    parameters = {"middle": summary.begin + (MOMENT - summary.begin) / 2}
    for name, (lowest, highest, query) in FIGURES.items():
        assert lowest <= one(company, query, parameters) <= highest, name


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
    select (occurred_at at time zone 'UTC')::date from api_usage
    where endpoint = '/v1/reports' group by 1 having count(*) >= 5 order by {} desc
    limit 1
    """
    for measure in (
        "avg((status_code >= 500)::integer)",
        "percentile_cont(0.99) within group (order by response_time_ms)",
    ):
        assert one(company, worst.format(measure)) == start.date(), measure
    critical = """
    select (occurred_at at time zone 'UTC')::date from error_logs
    where severity = 'critical' group by 1 order by count(*) desc limit 1
    """
    assert one(company, critical) == start.date()
    failed = """
    select count(*), count(distinct endpoint) from api_usage
    where status_code >= 500 and occurred_at between %s and %s
    """
    ((calls, endpoints),) = company.execute(failed, (start, end))
    assert calls > 20
    assert endpoints >= 3


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
    [(("--scale", "nan"), 1), (("--scale", "much"), 2), (("--until", "2026-02-30"), 2)],
)
def test_bad_options_are_refused_in_one_line(
    company: Database, option: tuple[str, str], code: int
) -> None:
    said = refusal(run("demo", *option, env=company.environment()), code)
    assert option[0] in said


def test_the_command_loads_into_the_schema_that_is_set_and_says_so(
    empty_database: Database,
) -> None:
    env = empty_database.environment(DB_SCHEMA="product")
    empty_database.execute("create schema product")
    run("migrate", env=env).check_returncode()
    result = run("demo", "--scale", "0.02", "--until", "2026-01-31", env=env)
    assert result.returncode == 0, result.stderr
    # One line per step where there is no terminal, and no escape codes.
    assert "usage_events" in result.stdout
    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) < 12
    assert one(empty_database, "select count(*) from product.usage_events") > 0
    assert one(empty_database, "select to_regclass('public.users')") is None


@pytest.mark.parametrize("moment", ["waiting", "events", "aggregates"])
def test_interrupted_it_leaves_nothing(database: Database, moment: str) -> None:
    """Ctrl-C while it waits for a lock, in the middle of the events and late."""
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
    if moment == "events":
        assert load(database, scale=0.02).rows["usage_events"] > 0


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
def demo_process(database: Database) -> Iterator[subprocess.Popen[str]]:
    """The command under way, killed at the end if it still is."""
    process = subprocess.Popen(
        command("demo", "--scale", "0.3", "--until", "2026-01-31"),
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
