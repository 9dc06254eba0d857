"""The marts of affiliates, revenue and operations against a plain Python program.

Both start from the same source rows and must agree in every value, whatever the
reporting zone and the session's TimeZone.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2.extensions
import pytest
from psycopg2.extras import RealDictCursor

from tests.python.reference import affiliates, operations, revenue
from tests.python.reference.calendar import months_through
from tests.python.reference.rows import Rows, random_rows
from tests.python.support import ROOT, Database, DbtProject, new_database

MONTHS = months_through(date(2025, 1, 1), date(2026, 5, 1))
# In the middle of the last month but one: what comes later isn't shown yet.
NOW = datetime(2026, 4, 15, 12, tzinfo=timezone.utc)

MARTS = {
    "fct_affiliate_earnings": ("affiliate_id", "currency"),
    "fct_affiliate_earnings_monthly": (
        "earnings_month",
        "affiliate_id",
        "currency",
        "commission_type",
    ),
    "fct_affiliate_funnel_daily": ("funnel_date", "affiliate_id", "utm_campaign"),
    "fct_revenue_monthly": ("revenue_month", "currency", "plan_type"),
    "fct_mrr_movements_monthly": (
        "movement_month",
        "license_id",
        "currency",
        "plan_type",
    ),
    "fct_mrr_monthly": ("mrr_month", "currency", "plan_type"),
    "fct_api_usage_daily": ("usage_date", "endpoint", "method"),
    "fct_errors_daily": ("error_date", "severity", "error_type", "source"),
    "fct_audit_daily": ("audit_date", "action", "resource_type", "status"),
    "fct_license_seats": ("license_id",),
}


@dataclass(frozen=True)
class Built:
    """A company and the database in which its marts are built."""

    rows: Rows
    zone: ZoneInfo
    database: Database

    def mart(self, name: str) -> affiliates.Mart:
        """A mart's rows by its grain, decimals as they are."""
        connection = self.database.connect(cursor_factory=RealDictCursor)
        with connection.cursor() as cursor:
            cursor.execute(f"select * from analytics.{name}")
            found: list[Any] = cursor.fetchall()
        connection.close()
        grain = MARTS[name]
        mart = {
            tuple(row[column] for column in grain): {
                column: value for column, value in row.items() if column not in grain
            }
            for row in found
        }
        assert len(mart) == len(found), f"{name} is not unique in {grain}"
        return mart


# The reporting zone, the TimeZone of dbt's sessions and what is built: the marts' data
# tests run in the zone that is the harder one.
IN_NEW_YORK = ("America/New_York", "Asia/Kolkata", ("model", "seed", "test"))
IN_UTC = ("UTC", "UTC", ("model", "seed"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project, without tests of the source: random rows fail many."""
    domains = ("usage", "adoption", "affiliates", "revenue", "operations")
    return DbtProject.copy(tmp_path_factory.mktemp("money"), domains)


@pytest.fixture(
    scope="module", params=[IN_NEW_YORK, IN_UTC], ids=["new_york_from_kolkata", "utc"]
)
def built(
    request: pytest.FixtureRequest, module_database: Database, project: DbtProject
) -> Built:
    """The marts, built for a reporting zone in a session of another TimeZone."""
    reporting_zone, session_zone, resource_types = request.param
    zone = ZoneInfo(reporting_zone)
    rows = random_rows(seed=20260415, zone=zone, months=MONTHS)
    module_database.execute("truncate users cascade")
    connection = module_database.connect()
    rows.insert(connection)
    connection.close()
    selection = [f"+{name}" for name in MARTS]
    failures = project.dbt(
        *("build", "--select", *selection, "stg_saas__affiliates"),
        *("--indirect-selection", "buildable", "--vars", variables(reporting_zone)),
        *("--resource-types", *resource_types),
        database=module_database,
        PGTZ=session_zone,
    )
    assert failures == ""
    return Built(rows, zone, module_database)


def variables(reporting_timezone: str) -> str:
    """dbt's variables as it takes them."""
    return json.dumps(
        {"reporting_timezone": reporting_timezone, "as_of": NOW.isoformat()}
    )


def assert_same(found: affiliates.Mart, expected: affiliates.Mart) -> None:
    """Equal rows; decimals equal to 12 digits."""
    assert expected, "the company has nothing that this mart shows"
    missing = sorted(expected.keys() - found.keys(), key=str)
    surplus = sorted(found.keys() - expected.keys(), key=str)
    assert not missing, f"{len(missing)} rows are missing, the first: {missing[0]}"
    assert not surplus, f"{len(surplus)} rows too many, the first: {surplus[0]}"
    for key, row in expected.items():
        assert rounded(found[key]) == rounded(row), key


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its decimals cut to what both sides can hold."""
    return {
        name: value.quantize(Decimal("1e-12")) if isinstance(value, Decimal) else value
        for name, value in row.items()
    }


# What is to be made wrong for each singular test to fail, one row each.
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
    "assert_errors_count_every_error": (
        "fct_errors_daily",
        "true",
        "errors = errors + 1",
    ),
    "assert_audit_counts_every_action": (
        "fct_audit_daily",
        "true",
        "events = events + 1",
    ),
    "assert_every_license_has_its_seats": (
        "fct_license_seats",
        "true",
        "seats_total = seats_total + 1",
    ),
}


@pytest.mark.parametrize("built", [IN_NEW_YORK], indirect=True)
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
            *("test", "--select", *FAULTS, "--vars", variables(built.zone.key)),
            database=spoilt,
        )
    assert statuses == dict.fromkeys(FAULTS, "fail")


def test_every_singular_test_has_its_fault() -> None:
    """Warnings aside, which find faults of the source: test_integrity.py has those."""
    folders = ("affiliates", "revenue", "operations")
    tests = [
        test
        for folder in folders
        for test in (ROOT / "tests/singular" / folder).glob("*.sql")
        if 'severity="warn"' not in test.read_text()
    ]
    seats = "assert_every_license_has_its_seats"
    assert {seats, *(test.stem for test in tests)} == set(FAULTS)


def test_earnings(built: Built) -> None:
    """Commissions by status, payouts and the balance per affiliate and currency."""
    assert_same(built.mart("fct_affiliate_earnings"), affiliates.earnings(built.rows))


def test_earnings_equal_the_counters(built: Built) -> None:
    """For affiliates of a single currency the sums are the trigger-kept counters."""
    found = built.mart("fct_affiliate_earnings")
    currencies: dict[str, set[str]] = {}
    for commission in built.rows.commissions:
        currency = commission.currency.upper()
        currencies.setdefault(commission.affiliate_id, set()).add(currency)
    single = {
        affiliate: used.pop()
        for affiliate, used in currencies.items()
        if len(used) == 1
    }
    assert len(single) >= 5
    for affiliate, currency in single.items():
        row = found[affiliate, currency]
        counters = built.database.execute(
            "select total_earnings_cents, paid_out_cents, pending_payout_cents"
            " from affiliates where id = %s",
            (affiliate,),
        )
        assert counters == [
            (row["total_earnings_cents"], row["paid_cents"], row["approved_cents"])
        ]


def test_earnings_monthly(built: Built) -> None:
    """Commissions by month of creation, type and outcome."""
    assert_same(
        built.mart("fct_affiliate_earnings_monthly"),
        affiliates.earnings_monthly(built.rows, built.zone),
    )


def test_funnel_daily(built: Built) -> None:
    """Clicks and referrals, each step on its own day."""
    assert_same(
        built.mart("fct_affiliate_funnel_daily"),
        affiliates.funnel_daily(built.rows, built.zone),
    )


def test_revenue_monthly(built: Built) -> None:
    """Payments by the month in which they were processed."""
    assert_same(
        built.mart("fct_revenue_monthly"),
        revenue.revenue_monthly(built.rows, built.zone),
    )


def test_mrr_movements(built: Built) -> None:
    """What moved each licence's recurring revenue; every kind of movement is there."""
    expected, _ = revenue.mrr(built.rows, built.zone, NOW)
    types = {row["movement_type"] for row in expected.values()}
    assert types == set(revenue.MOVEMENTS)
    moves_at_equal_price = {
        row["movement_type"]
        for row in expected.values()
        if row["license_opening_mrr_cents"] == row["license_closing_mrr_cents"]
    }
    assert moves_at_equal_price == {"expansion", "contraction"}
    assert_same(built.mart("fct_mrr_movements_monthly"), expected)


def test_mrr_monthly(built: Built) -> None:
    """Recurring revenue at each month's end, by looking at every subscription."""
    _, expected = revenue.mrr(built.rows, built.zone, NOW)
    assert_same(built.mart("fct_mrr_monthly"), expected)


def test_api_usage_daily(built: Built) -> None:
    """Calls, errors and percentiles."""
    assert_same(
        built.mart("fct_api_usage_daily"),
        operations.api_usage_daily(built.rows, built.zone),
    )


def test_errors_daily(built: Built) -> None:
    """Errors and the users who met them."""
    assert_same(
        built.mart("fct_errors_daily"),
        operations.errors_daily(built.rows, built.zone),
    )


def test_audit_daily(built: Built) -> None:
    """Audited actions and the users who took them."""
    assert_same(
        built.mart("fct_audit_daily"), operations.audit_daily(built.rows, built.zone)
    )


def test_license_seats(built: Built) -> None:
    """Seats, members and recent users."""
    assert_same(
        built.mart("fct_license_seats"),
        operations.license_seats(built.rows, built.zone),
    )
