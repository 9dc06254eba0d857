"""Amounts beyond 2,147,483,647 minor units."""

from contextlib import closing

import psycopg2
import pytest

from tests.python.rows import Rows
from tests.python.support import Database
from tests.python.workload import refresh

LIMIT = 10**15
# The most amounts at the limit of which a sum fits into bigint.
MOST_AT_LIMIT = (2**63 - 1) // LIMIT

AMOUNTS = (
    ("subscriptions", "amount_cents"),
    ("payment_transactions", "amount_cents"),
    ("payment_transactions", "refunded_amount_cents"),
    ("affiliate_commissions", "amount_cents"),
    ("affiliate_payouts", "amount_cents"),
)
PAY = (
    "insert into payment_transactions (amount_cents, currency, status, processed_at, "
    "stripe_invoice_id) select %s, 'IDR', 'succeeded', '2026-03-01', 'many' "
    "from generate_series(1, %s)"
)


@pytest.mark.parametrize(("table", "column"), AMOUNTS)
def test_an_amount_beyond_the_limit_is_refused_by_name(
    database: Database, table: str, column: str
) -> None:
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        make = Rows(cursor).make
        assert make(table, **{column: LIMIT})[column] == LIMIT
        for beyond in (LIMIT + 1, 2**63 - 1):
            cursor.execute("savepoint before")
            with pytest.raises(psycopg2.errors.CheckViolation) as refused:
                make(table, **{column: beyond})
            assert refused.value.diag.constraint_name == (
                f"{table}_{column}_at_most_10_to_15"
            )
            cursor.execute("rollback to before")


def test_sums_of_thousands_of_the_largest_amounts_are_exact_or_refused(
    marts: Database,
) -> None:
    revenue = (
        "select payments, gross_cents, net_cents from analytics.fct_revenue_monthly "
        "where currency = 'IDR'"
    )
    assert MOST_AT_LIMIT == 9223
    marts.execute(PAY, (LIMIT, MOST_AT_LIMIT))
    refresh(marts)
    most = [(MOST_AT_LIMIT, MOST_AT_LIMIT * LIMIT, MOST_AT_LIMIT * LIMIT)]
    assert marts.execute(revenue) == most

    # One more, and the sum is too large for the column: no mart says anything else.
    marts.execute(PAY, (LIMIT, 1))
    with pytest.raises(psycopg2.Error, match="bigint out of range"):
        refresh(marts)
    assert marts.execute(revenue) == most

    marts.execute(
        "delete from payment_transactions where id = (select id from "
        "payment_transactions where stripe_invoice_id = 'many' limit 1)"
    )
    refresh(marts)
    assert marts.execute(revenue) == most


def test_counters_of_thousands_of_the_largest_commissions_are_exact_or_refused(
    database: Database,
) -> None:
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        commission = Rows(cursor).make(
            "affiliate_commissions", amount_cents=LIMIT, status="approved"
        )
        add = (
            "insert into affiliate_commissions (affiliate_id, referral_id, "
            "commission_type, amount_cents, commission_rate, status) "
            "select affiliate_id, referral_id, commission_type, amount_cents, "
            "commission_rate, status from affiliate_commissions, "
            "generate_series(1, %s) where id = %s"
        )
        cursor.execute(add, (MOST_AT_LIMIT - 1, commission["id"]))
        counters = (
            "select total_earnings_cents, pending_payout_cents from affiliates "
            "where id = %s"
        )
        cursor.execute(counters, (commission["affiliate_id"],))
        assert cursor.fetchall() == [(MOST_AT_LIMIT * LIMIT, MOST_AT_LIMIT * LIMIT)]
        with pytest.raises(psycopg2.errors.NumericValueOutOfRange):
            cursor.execute(add, (1, commission["id"]))
