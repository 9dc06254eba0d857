"""Recurring revenue where a payment provider's columns and the payments disagree.

Each case is one license with its subscriptions and payments, as a provider writes them.
All of them are built in one database, and read from fct_mrr_movements_monthly.
"""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from psycopg2.extensions import cursor as Cursor

from bootstrap import erase
from tests.python.support import Database, DbtProject

AS_OF = "2026-11-15T12:00:00Z"
PROVIDERS_COLUMNS = (
    "update licenses set metadata = '{\"moved\": 1}';"
    " update subscriptions set metadata = '{\"moved\": 1}',"
    " stripe_customer_id = 'cus_' || id, stripe_subscription_id = 'sub_' || id;"
    " update payment_transactions set metadata = '{\"moved\": 1}',"
    " stripe_payment_intent_id = 'pi_' || id, stripe_invoice_id = 'in_' || id"
)


@dataclass(frozen=True)
class Subscription:
    """A subscription of 5000 a month, and when it was paid."""

    created_at: str
    payments: tuple[str, ...]
    """As "2026-01-10 7": seven months. "2026-01-10 1 5000": one, of which 5000 back."""
    columns: dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A license: its subscriptions, and the movements of its revenue."""

    movements: str
    subscriptions: tuple[Subscription, ...]
    license: dict[str, str] = field(default_factory=dict)


def sold(created_at: str, *payments: str, **columns: Any) -> Subscription:
    """A subscription; a time may be written as "2026-03-05 + 3 months"."""
    return Subscription(created_at, payments, columns)


def canceled(
    created_at: str, at: str | None, *payments: str, **columns: Any
) -> Subscription:
    """A canceled subscription; the time is of the end, or of the request."""
    return sold(created_at, *payments, status="canceled", canceled_at=at, **columns)


def yearly(*payments: str, **columns: Any) -> Subscription:
    """Bought for a year, and cancelled in the customer's portal a month later."""
    terms = {
        "billing_cycle": "yearly",
        "amount_cents": 60000,
        "status": "canceled",
        "canceled_at": "2025-08-20",
        "current_period_start": "2025-07-15",
        "current_period_end": "2026-07-15",
    }
    return Subscription("2025-07-15", payments, {**terms, **columns})


def given_back(*payments: str) -> Subscription:
    """Bought for a year, and cancelled to the end of the year two months later."""
    return yearly(
        *payments,
        created_at="2026-02-10",
        cancel_at_period_end=True,
        canceled_at="2026-04-15",
        current_period_start="2026-02-10",
        current_period_end="2027-02-10",
    )


# A trial that a payer was given in August.
TRIAL = {"trial_start": "2026-08-10", "trial_end": "2026-09-10"}
UNPAID = {"status": "unpaid"}
YEAR = "2025-07-15 1"
RUNS_OUT = "new 2025-07, churn 2026-07"
AT_ONCE = "new 2025-07, churn 2025-08"
LAST_WRITE = "without a time or a payment the last write says when it ended"
PAID_MONTHS = "new 2026-03, churn 2026-06"

CASES: dict[str, Case] = {
    "a free month for a payer that is over does not move the start": Case(
        "new 2026-01", (sold("2026-01-10", "2026-01-10 7", **TRIAL),)
    ),
    "a free month for a payer that is running does not move the start": Case(
        "new 2026-01",
        (sold("2026-01-10", "2026-01-10 7", status="trialing", **TRIAL),),
    ),
    "a payer who cancels within a free month keeps the months paid": Case(
        "new 2026-01, churn 2026-08",
        (
            canceled(
                *("2026-01-10", "2026-08-20", "2026-01-10 7"),
                current_period_start="2026-08-10",
                current_period_end="2026-09-10",
                updated_at="2026-08-20",
                **TRIAL,
            ),
        ),
    ),
    "a first trial still counts from its end": Case(
        "new 2026-02",
        (
            sold(
                *("2026-01-10", "2026-02-10 9"),
                trial_start="2026-01-10",
                trial_end="2026-02-10",
            ),
        ),
    ),
    # Unpaid since June; the provider's current period moves on from month to month.
    **{
        f"an unpaid one of the {day}th churns when what was paid ends, "
        f"read {months} months later": Case(
            PAID_MONTHS,
            (
                sold(
                    *(f"2026-03-{day}", f"2026-03-{day} 3"),
                    current_period_start=f"2026-03-{day} + {3 + months} months",
                    current_period_end=f"2026-03-{day} + {4 + months} months",
                    **UNPAID,
                ),
            ),
        )
        for day in ("05", "31")
        for months in range(7)
    },
    "an unpaid one needs no current period": Case(
        PAID_MONTHS, (sold("2026-03-05", "2026-03-05 3", **UNPAID),)
    ),
    # The cycle doesn't begin on the day of the subscription.
    "an unpaid one keeps its own day of the month": Case(
        PAID_MONTHS,
        (
            sold(
                *("2026-03-20", "2026-03-20 1", "2026-04-01 2"),
                current_period_start="2026-09-01",
                **UNPAID,
            ),
        ),
    ),
    "one that is active again never left": Case(
        "new 2026-03", (sold("2026-03-05", "2026-03-05 3", "2026-10-05 1"),)
    ),
    "an unpaid one that was never paid never counts": Case(
        "", (sold("2026-03-05", current_period_start="2026-08-05", **UNPAID),)
    ),
    "an unpaid one whose payment was given back never counts": Case(
        "",
        (
            sold(
                *("2026-03-05", "2026-03-05 1 5000"),
                current_period_start="2026-08-05",
                **UNPAID,
            ),
        ),
    ),
    "a first period that was credited counts": Case(
        "new 2026-03, churn 2026-04",
        (
            canceled(
                *("2026-03-05", "2026-03-20", "2026-03-05 1"),
                updated_at="2026-03-20",
                current_period_end="2026-04-05",
            ),
            sold(
                "2026-03-20",
                amount_cents=1000,
                current_period_start="2026-09-20",
                **UNPAID,
            ),
        ),
    ),
    "a cancelled one churns when the paid period ends": Case(RUNS_OUT, (yearly(YEAR),)),
    "a cancelled one that was not written to since churns when it ends": Case(
        RUNS_OUT, (yearly(YEAR, updated_at="2025-08-20"),)
    ),
    "a cancelled one ends with its license": Case(
        "new 2025-07, churn 2025-09", (yearly(YEAR),), {"cancelled_at": "2025-09-10"}
    ),
    "one that was ended at once churns then": Case(
        AT_ONCE, (yearly(YEAR),), {"cancelled_at": "2025-08-20"}
    ),
    "one that was never paid churns when it is cancelled": Case(AT_ONCE, (yearly(),)),
    "one whose payment is given back churns when it is cancelled": Case(
        AT_ONCE, (yearly("2025-07-15 1 60000"),)
    ),
    "one that is replaced does not count twice": Case(
        "new 2025-07",
        (yearly(YEAR), sold("2025-08-20T00:00:04", "2025-08-20T00:00:04 15")),
    ),
    "without a time of its end it ends with what was paid": Case(
        "new 2026-01, churn 2026-04", (canceled("2026-01-10", None, "2026-01-10 3"),)
    ),
    "without a time of the end of its period it ends with what was paid": Case(
        "new 2026-01, churn 2026-04",
        (canceled("2026-01-10", None, "2026-01-10 3", cancel_at_period_end=True),),
    ),
    "without a time of its end it ends when its payment is given back": Case(
        "new 2026-01, churn 2026-02",
        (canceled("2026-01-10", None, "2026-02-10 1 5000"),),
    ),
    LAST_WRITE: Case(
        "new 2026-01, churn 2026-03",
        (canceled("2026-01-05", None, updated_at="2026-03-05"),),
    ),
    "a paid term counts its months, also if it was cancelled at once": Case(
        "new 2025-06, churn 2026-06",
        (
            canceled(
                *("2025-06-10", "2025-06-10", "2025-06-10 12"),
                current_period_start="2026-05-10",
                current_period_end="2026-06-10",
            ),
        ),
    ),
    "one is over when its payment is given back": Case(
        "new 2026-02, churn 2026-04", (given_back("2026-02-10 1 60000"),)
    ),
    "one goes on when its payment is given back in part": Case(
        "new 2026-02", (given_back("2026-02-10 1 30000"),)
    ),
    # One subscription follows another.
    "a gap of seconds is no movement": Case(
        "new 2026-01",
        (
            canceled(
                *("2026-01-31T23:59:58", "2026-05-31T23:59:58"),
                "2026-01-31T23:59:58 4",
                updated_at="2026-05-31T23:59:58",
            ),
            sold("2026-06-01T00:00:03", "2026-06-01T00:00:03 6"),
        ),
    ),
    "a gap of more than an hour is one": Case(
        "new 2026-01, churn 2026-05, reactivation 2026-06",
        (
            canceled(
                *("2026-01-31T23:59:58", "2026-05-31T23:59:58"),
                "2026-01-31T23:59:58 4",
                updated_at="2026-05-31T23:59:58",
            ),
            sold("2026-06-01T01:00:03", "2026-06-01T01:00:03 6"),
        ),
    ),
    "one that is past due counts on": Case(
        "new 2025-03",
        (
            sold(
                *("2025-03-05", "2025-03-05 2"),
                status="past_due",
                current_period_start="2026-11-05",
            ),
        ),
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project with the models of revenue."""
    return DbtProject.copy(tmp_path_factory.mktemp("mrr"), ("revenue",))


def movements(project: DbtProject, database: Database) -> dict[str, str]:
    """Build the marts; the movements of each license by its id, written as above."""
    failures = project.dbt(
        *("build", "--select", "+fct_mrr_monthly"),
        *("--resource-types", "model", "seed"),
        *("--vars", json.dumps({"as_of": AS_OF})),
        database=database,
    )
    assert failures == ""
    return dict(
        database.execute(
            "select id::text, coalesce(string_agg(movement_type || ' ' ||"
            " to_char(movement_month, 'yyyy-mm'), ', ' order by movement_month), '')"
            " from licenses left join analytics.fct_mrr_movements_monthly"
            " on id = license_id group by 1"
        )
    )


def insert(cursor: Cursor, table: str, row: dict[str, Any]) -> str:
    """One row of a source table; its id."""
    values = []
    for value in row.values():
        moment, _, interval = str(value).partition(" + ")
        sum_of_times = f"timestamptz '{moment}' + interval '{interval}'"
        literal = cursor.mogrify("%s", (value,)).decode()
        values.append(sum_of_times if interval else literal)
    cursor.execute(
        f"insert into {table} ({', '.join(row)}) values ({', '.join(values)})"
        " returning id::text"
    )
    ((made,),) = cursor.fetchall()
    return str(made)


@pytest.fixture(scope="module")
def company(module_database: Database) -> Database:
    """A customer with a license for each case."""
    with (
        closing(module_database.connect(options="-c timezone=UTC")) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        user = insert(cursor, "users", {"email": "payer", "password_hash": "-"})
        for name, case in CASES.items():
            terms = {"user_id": user, "license_key": name, "plan_type": "pro"}
            license_id = insert(cursor, "licenses", terms | case.license)
            for each in case.subscriptions:
                columns = {
                    "license_id": license_id,
                    "created_at": each.created_at,
                    "plan_type": "pro",
                    "billing_cycle": "monthly",
                    "amount_cents": 5000,
                    "status": "active",
                    **each.columns,
                }
                subscription = insert(cursor, "subscriptions", columns)
                for payment in each.payments:
                    first, number, *back = payment.split()
                    is_whole = back == [str(columns["amount_cents"])]
                    for month in range(int(number)):
                        at = f"{first} + {month} months"
                        payment_row = {
                            "subscription_id": subscription,
                            "amount_cents": columns["amount_cents"],
                            "status": "refunded" if is_whole else "succeeded",
                            "refunded_amount_cents": back[0] if back else None,
                            "processed_at": f"{at} 9 seconds",
                            "created_at": at,
                        }
                        insert(cursor, "payment_transactions", payment_row)
    return module_database


@pytest.fixture(scope="module")
def names(company: Database) -> dict[str, str]:
    """The case of each license. An erasure deletes its key, which is the name."""
    return dict(company.execute("select id::text, license_key from licenses"))


@pytest.fixture(scope="module")
def found(
    company: Database, project: DbtProject, names: dict[str, str]
) -> dict[str, str]:
    """The movements of each case, as the marts have them."""
    return {names[key]: each for key, each in movements(project, company).items()}


@pytest.mark.parametrize("name", CASES)
def test_revenue_moves_as_the_payments_say(found: dict[str, str], name: str) -> None:
    assert found[name] == CASES[name].movements


def test_a_write_that_changes_no_term_moves_nothing(
    found: dict[str, str],
    names: dict[str, str],
    company: Database,
    project: DbtProject,
) -> None:
    """An erasure moves nothing either, also if only updated_at shows the end."""
    ((payer,),) = company.execute("select id::text from users")
    with closing(company.connect()) as connection:
        erase.erase(connection, uuid.UUID(payer), dry_run=False)
    after = {names[key]: each for key, each in movements(project, company).items()}
    assert after == found

    company.execute(PROVIDERS_COLUMNS)
    after = {names[key]: each for key, each in movements(project, company).items()}
    assert {**after, LAST_WRITE: found[LAST_WRITE]} == found
