"""The tour on a terminal of 80 columns, with few currencies and with all there are."""

import io
import itertools
import re
import string
from contextlib import closing

import pytest
from rich.console import Console

from saas_analytics import settings, tour
from tests.python.support import Database

WIDTH = 80
CODES = ["".join(code) for code in itertools.product(string.ascii_uppercase, repeat=3)]

# The columns that the tour reads.
MARTS = """
create schema analytics;
create table analytics.fct_active_users_daily (activity_date date, plan_type text,
    daily_active_users bigint, weekly_active_users bigint, monthly_active_users bigint,
    stickiness numeric);
create table analytics.fct_feature_adoption_monthly (adoption_month date,
    feature_name text, plan_type text, active_licenses bigint, eligible_licenses bigint,
    adoption_rate numeric);
create table analytics.fct_api_usage_daily (usage_date date, endpoint text, method text,
    requests bigint, error_rate numeric, p99_response_ms numeric);
create table analytics.dim_currencies (currency text, minor_digits int);
create table analytics.fct_mrr_monthly (mrr_month date, currency text, plan_type text,
    opening_mrr_cents bigint, new_mrr_cents bigint, expansion_mrr_cents bigint,
    contraction_mrr_cents bigint, churn_mrr_cents bigint,
    reactivation_mrr_cents bigint, closing_mrr_cents bigint, customers bigint);
create table analytics.fct_affiliate_earnings (affiliate_id uuid, currency text,
    total_earnings_cents bigint, paid_cents bigint, payouts_completed_cents bigint,
    unreconciled_cents bigint);
"""
# The last currency has the most customers, the one before it a balance.
ROWS = """
insert into analytics.dim_currencies
select code, 2 from unnest(%(codes)s::text[]) as code;
insert into analytics.fct_mrr_monthly
select month, code, 'pro', %(cents)s, 0, 0, 0, 0, 0, %(cents)s, number
from unnest(%(codes)s::text[]) with ordinality as currency (code, number),
    unnest(array['2026-09-01', '2026-10-01']::date[]) as month;
insert into analytics.fct_affiliate_earnings
select gen_random_uuid(), code, %(cents)s, %(cents)s, %(cents)s,
    case when number = cardinality(%(codes)s::text[]) - 1 then 7 else 0 end
from unnest(%(codes)s::text[]) with ordinality as currency (code, number);
"""


@pytest.fixture
def marts(database: Database) -> Database:
    """A database with the tables of the marts that the tour reads, and no rows."""
    database.execute(MARTS)
    return database


def tables_of(marts: Database, codes: list[str], cents: int) -> list[list[str]]:
    """The lines of the two tables of money, with these currencies."""
    marts.execute(ROWS, {"codes": codes, "cents": cents})
    screen = io.StringIO()
    connection = marts.connect()
    try:
        tour.show(connection, settings.load({}), Console(file=screen, width=WIDTH))
    finally:
        connection.close()
    revenue, ledger = re.split("Affiliate ledger", screen.getvalue())
    return [
        revenue.split("Monthly recurring revenue")[1].splitlines(),
        ledger.split("Next commands")[0].splitlines(),
    ]


@pytest.mark.parametrize("currencies", [1, 3, 18, 170])
@pytest.mark.parametrize("cents", [123_456, 2**53 - 1 + 100])
def test_a_terminal_of_80_columns_shows_whole_amounts_of_any_number_of_currencies(
    marts: Database, currencies: int, cents: int
) -> None:
    codes = CODES[:currencies]
    amount = tour.money(cents, 2)
    for lines in tables_of(marts, codes, cents):
        assert max(map(len, lines)) <= WIDTH
        assert len(lines) <= 16
        header = next(line.split() for line in lines[1:] if line.strip())
        assert set(header) <= set(codes)
        # Every figure is whole: no cell was cut.
        whole = [line.split() for line in lines if amount in line]
        assert whole
        assert all(line.count(amount) == len(header) for line in whole)
        named = [line for line in lines if " more in fct_" in line]
        hidden = len(codes) - len(header)
        assert len(named) == (1 if hidden else 0)
        if hidden:
            assert f"and {hidden} more in" in named[0]


def test_three_currencies_of_everyday_amounts_are_all_shown(marts: Database) -> None:
    for lines in tables_of(marts, CODES[:3], 123_456_789):
        assert " ".join(CODES[:3]) in [" ".join(line.split()) for line in lines]


def test_the_most_used_currency_and_one_with_a_balance_are_always_shown(
    marts: Database,
) -> None:
    codes = CODES[:170]
    revenue, ledger = tables_of(marts, codes, 2**53)
    assert codes[-1] in " ".join(revenue[1:4]).split()
    assert codes[-2] in " ".join(ledger[1:4]).split()


def test_a_tour_of_marts_without_rows_says_so(marts: Database) -> None:
    screen = io.StringIO()
    with closing(marts.connect()) as connection:
        tour.show(connection, settings.load({}), Console(file=screen, width=WIDTH))
    assert (
        "The marts are built and hold no complete day or month yet."
        in screen.getvalue()
    )
