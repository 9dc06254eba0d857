"""The marts against a second implementation of their meaning, in two reporting zones.

Both start from the same awkward source rows and must agree in every value, whatever the
session's TimeZone.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import psycopg2.extensions
import pytest

from tests.python import company, mrr_reference
from tests.python.references import REFERENCES, mismatch, reference
from tests.python.support import ROOT, Database, DbtProject, dbt, new_database

MARTS = (*REFERENCES, "fct_mrr_movements_monthly", "fct_mrr_monthly")
DOMAINS = ("usage", "adoption", "affiliates", "revenue", "operations")
NAME = f"saas_marts_test_{os.getpid()}"

# The reporting zone, the TimeZone of dbt's sessions and what is built: the marts' data
# tests run in the harder zone.
IN_UTC = ("UTC", "Pacific/Auckland", ("model", "seed"))
IN_AUCKLAND = ("Pacific/Auckland", "America/New_York", ("model", "seed", "test"))


@dataclass(frozen=True)
class Built:
    """A company whose marts were built in a reporting zone."""

    rows: dict[str, list[company.Row]]
    zone: str
    database: Database

    def variables(self) -> tuple[str, str]:
        """dbt's option for the zone and the time."""
        return variables(self.zone)


def variables(zone: str) -> tuple[str, str]:
    now = company.NOW.isoformat()
    return "--vars", json.dumps({"reporting_timezone": zone, "as_of": now})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project, without tests of the source: random rows fail many."""
    return DbtProject.copy(tmp_path_factory.mktemp("marts"), DOMAINS)


@pytest.fixture(scope="module", params=[IN_UTC, IN_AUCKLAND], ids=lambda case: case[0])
def built(
    request: pytest.FixtureRequest,
    server_url: str,
    template_database: str,
    project: DbtProject,
) -> Iterator[Built]:
    """The marts as built; those of an empty source are empty."""
    zone, session_zone, resource_types = request.param
    drawn = company.draw(20260415, ZoneInfo(zone))

    def build() -> None:
        failures = project.dbt(
            *("build", "--select", *(f"+{mart}" for mart in MARTS), "+dim_dates"),
            *("stg_saas__affiliates", "--resource-types", *resource_types),
            *("--indirect-selection", "buildable", *variables(zone)),
            database=made,
            PGTZ=session_zone,
        )
        assert failures == ""

    # Of one name: with another one dbt would parse the whole project again.
    with new_database(server_url, template=template_database, name=NAME) as made:
        if request.param is IN_UTC:
            build()
            for mart in MARTS:
                assert made.execute(f"select from analytics.{mart}") == [], mart
        drawn.insert(made)
        aggregate(made)
        build()
        yield Built(drawn.rows, zone, made)


def aggregate(database: Database) -> None:
    """Fill the application's own aggregates of all days and months with an event."""
    database.execute(
        "select aggregate_daily_usage(day) from (select distinct"
        " (occurred_at at time zone 'UTC')::date as day from usage_events) as days"
    )
    database.execute(
        "select aggregate_monthly_usage(extract(year from month)::integer,"
        " extract(month from month)::integer) from (select distinct date_trunc("
        "'month', occurred_at at time zone 'UTC') as month from usage_events) as months"
    )


@pytest.mark.parametrize("mart", REFERENCES)
def test_a_mart_means_what_it_says(built: Built, mart: str) -> None:
    with closing(built.database.connect()) as connection:
        wrong = mismatch(connection.cursor(), mart, reference(mart, built.zone))
    assert wrong == []
    assert built.database.execute(f"select exists (select from analytics.{mart})")[0][0]


def test_recurring_revenue_is_that_of_every_subscription_looked_at(
    built: Built,
) -> None:
    marts = mrr_reference.mrr(built.database, ZoneInfo(built.zone), company.NOW)
    movements = marts["fct_mrr_movements_monthly"]
    # Every kind of movement is there, at another and at an equal price.
    assert {row["movement_type"] for row in movements} == set(mrr_reference.MOVEMENTS)
    assert {
        row["movement_type"]
        for row in movements
        if row["license_opening_mrr_cents"] == row["license_closing_mrr_cents"]
    } == {"expansion", "contraction"}
    with closing(built.database.connect()) as connection:
        for mart, rows in marts.items():
            query = mrr_reference.as_query(rows)
            assert mismatch(connection.cursor(), mart, query) == []


def test_earnings_equal_the_counters(built: Built) -> None:
    """For affiliates of a single currency the sums are the trigger-kept counters."""
    different = built.database.execute(
        "select affiliates.id from affiliates inner join ("
        "select affiliate_id from affiliate_commissions group by 1"
        " having count(distinct upper(currency)) = 1) as single on id = affiliate_id"
        " inner join analytics.fct_affiliate_earnings as mart using (affiliate_id)"
        " where commissions > 0 and (affiliates.total_earnings_cents, paid_out_cents,"
        " pending_payout_cents) <> (mart.total_earnings_cents, paid_cents,"
        " approved_cents)"
    )
    assert different == []


def test_the_awkward_rows_are_there(built: Built) -> None:
    """What the comparison is worth: marts have rows of each interesting kind."""
    assert built.database.execute(
        """
        select
            (select bool_or(user_id is null) and bool_or(license_id is null)
                and bool_or(team_id is null) from analytics.fct_usage_daily),
            (select sum(unique_sessions) from analytics.fct_usage_daily)
                > (select sum(unique_sessions) from analytics.fct_usage_monthly),
            (select bool_or(stickiness is null) or min(daily_active_users) = 0
                from analytics.fct_active_users_daily),
            (select min(active_users) = 0 and sum(resurrected_users) > 0
                and sum(churned_users) > 0 from analytics.fct_user_growth_monthly),
            (select bool_or(adopted_licenses > active_licenses)
                and bool_or(eligible_licenses > adopted_licenses)
                from analytics.fct_feature_adoption_monthly),
            (select count(*) >= 5 from (select affiliate_id from affiliate_commissions
                group by 1 having count(distinct upper(currency)) = 1) as single)
        """
    ) == [(True,) * 6]


def test_dates_know_their_week(built: Built) -> None:
    dates = built.database.execute(
        "select date_day, week_start, day_of_week, day_name, is_weekend, month_start,"
        " quarter_number from analytics.dim_dates"
    )
    assert len(dates) >= 365
    for day, *found in dates:
        week_start = day - dt.timedelta(days=day.weekday())
        names = [week_start, day.isoweekday(), day.strftime("%A"), day.weekday() > 4]
        assert found == [*names, day.replace(day=1), (day.month + 2) // 3]


# --- The data tests of the marts ------------------------------------------------------

# What makes each singular test fail, one row each: the mart, the row and its change.
FAULTS = {
    "assert_affiliate_ledger_is_payouts_plus_balance": (
        "fct_affiliate_earnings",
        "payouts_completed_cents > 0",
        "payouts_completed_cents = payouts_completed_cents - 1,"
        " unreconciled_cents = unreconciled_cents + 1",
    ),
    "assert_affiliate_earnings_equal_counters": (
        "fct_affiliate_earnings",
        "affiliate_id in (select affiliate_id from analytics.fct_affiliate_earnings"
        " where commissions > 0 group by affiliate_id having count(*) = 1)"
        " and commissions > 0",
        "approved_cents = approved_cents + 1",
    ),
    "assert_monthly_earnings_add_up_to_totals": (
        "fct_affiliate_earnings_monthly",
        "true",
        "disputed_cents = disputed_cents + 1",
    ),
    "assert_funnel_counts_every_click_and_referral": (
        "fct_affiliate_funnel_daily",
        "clicks > 0",
        "clicks = clicks - 1",
    ),
    "assert_revenue_adds_up_to_payments": (
        "fct_revenue_monthly",
        "true",
        "gross_cents = gross_cents + 1, refunded_cents = refunded_cents + 1",
    ),
    "assert_mrr_opens_with_the_closing_before": (
        "fct_mrr_monthly",
        "mrr_month = '2026-01-01'",
        "opening_mrr_cents = opening_mrr_cents + 1, new_mrr_cents = new_mrr_cents - 1",
    ),
    "assert_mrr_movements_add_up_to_months": (
        "fct_mrr_movements_monthly",
        "movement_type = 'expansion'",
        "movement_type = 'contraction'",
    ),
    "assert_mrr_is_the_sum_of_live_subscriptions": (
        "fct_mrr_monthly",
        "customers > 0",
        "customers = customers + 1",
    ),
    "assert_a_customer_is_new_once": (
        "fct_mrr_movements_monthly",
        "movement_type = 'reactivation'",
        "movement_type = 'new'",
    ),
    "assert_api_usage_counts_every_call": (
        "fct_api_usage_daily",
        "true",
        "requests = requests + 1",
    ),
    "assert_errors_count_every_error": ("fct_errors_daily", "true", "errors = 0"),
    "assert_audit_counts_every_action": ("fct_audit_daily", "true", "events = 0"),
    "assert_every_license_has_its_seats": (
        "fct_license_seats",
        "true",
        "seats_total = seats_total + 1",
    ),
}


@pytest.mark.parametrize("built", [IN_AUCKLAND], ids=["Auckland"], indirect=True)
def test_singular_tests_notice_a_wrong_row(
    built: Built, server_url: str, project: DbtProject
) -> None:
    """Each singular test, green on the marts as built, fails for one wrong row."""
    built_in = psycopg2.extensions.parse_dsn(built.database.url)["dbname"]
    with new_database(server_url, template=built_in) as spoilt:
        for mart, condition, change in FAULTS.values():
            spoilt.execute(
                f"update analytics.{mart} set {change} where ctid ="
                f" (select min(ctid) from analytics.{mart} where {condition})"
            )
        statuses = project.statuses(
            *("test", "--select", *FAULTS, *built.variables()), database=spoilt
        )
        # And so does the comparison above.
        with closing(spoilt.connect()) as connection:
            for mart in REFERENCES.keys() & {mart for mart, *_ in FAULTS.values()}:
                query = reference(mart, built.zone)
                assert mismatch(connection.cursor(), mart, query), mart
    assert statuses == dict.fromkeys(FAULTS, "fail")


def test_every_singular_test_has_its_fault() -> None:
    """Warnings aside, which find faults of the source: test_integrity.py has those."""
    folders = {"affiliates", "revenue", "operations"}
    tests = {
        test.stem: test.parent.name
        for test in (ROOT / "tests/singular").rglob("*.sql")
        if 'severity="warn"' not in test.read_text()
    }
    assert set(FAULTS) <= tests.keys()
    assert {name for name, folder in tests.items() if folder in folders} <= set(FAULTS)


DAILY, MONTHLY = (
    f"assert_{period}_usage_equals_application_aggregates"
    for period in ("daily", "monthly")
)


@pytest.mark.parametrize("built", [IN_UTC], ids=["UTC"], indirect=True)
def test_a_wrong_aggregate_of_the_application_is_found(
    built: Built, project: DbtProject
) -> None:
    """All of them equal the marts; then some are wrong, and some are out of date."""
    database = built.database
    test = ("test", "--select", DAILY, MONTHLY, *built.variables())
    assert project.dbt(*test, database=database) == ""
    days = sorted({row["occurred_at"].date() for row in built.rows["usage_events"]})
    wrong, lost, late = days[0], days[1], days[-1]
    groups = database.execute(
        "update usage_aggregates_daily set event_count = event_count + 1"
        " where date = %s returning 1",
        (wrong,),
    )
    database.execute(
        "insert into usage_aggregates_monthly (year, month, event_type, event_count)"
        " select %(year)s, %(month)s, 'doubled', 0 from generate_series(1, 2)",
        {"year": wrong.year, "month": wrong.month},
    )
    # What is known to be out of date is no fault: rows that an erasure deleted, and an
    # event from after the aggregation.
    database.execute("delete from usage_aggregates_daily where date = %s", (lost,))
    database.execute(
        "insert into usage_events (event_type, event_category, event_name, occurred_at)"
        " values ('late', 'system', 'late', %s)",
        (dt.datetime.combine(late, dt.time(12), dt.timezone.utc),),
    )

    here = str(project.root)
    failed = dbt(
        *(*test, "--project-dir", here, "--profiles-dir", here),
        database=database,
        target=project.root / "target",
    )

    assert failed.returncode == 1
    assert database.execute(
        f"select (select count(*) from analytics_test_failures.{DAILY}),"
        f" (select count(*) from analytics_test_failures.{MONTHLY})"
    ) == [(len(groups), 1)]

    # What it prints is what to run: some statements, and where the others are.
    for name in (DAILY, MONTHLY):
        assert f"{name} failed. To fix it, run:" in failed.stdout
    fix = r'select "public"\.aggregate_(?:daily|monthly)_usage\(.*?\);'
    statements = re.findall(fix, failed.stdout)
    for query in re.findall(r"select distinct fix from .*$", failed.stdout, re.M):
        statements += [statement for (statement,) in database.execute(query)]
    for statement in statements:
        database.execute(statement)
    assert project.dbt(*test, database=database) == ""
