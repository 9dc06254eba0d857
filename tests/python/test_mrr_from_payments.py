"""Recurring revenue where a payment provider's columns and the payments disagree.

Each case is one licence with its subscriptions and payments, as a provider writes them.
All of them are built in one database, and read from fct_mrr_movements_monthly.
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.python.support import Database, DbtProject

AS_OF = "2026-11-15T12:00:00Z"


def at(text: str) -> datetime:
    """A time of UTC from its ISO text."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def month_later(moment: datetime, months: int) -> datetime:
    """The moment some months later; the last day of a month that is too short."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = moment.day
    while True:
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            day -= 1


@dataclass
class Case:
    """A licence: its subscriptions, payments and, if it ended, its end."""

    subscriptions: list[dict[str, Any]]
    payments: list[dict[str, Any]] = field(default_factory=list)
    license: dict[str, Any] = field(default_factory=dict)


def subscription(created: str, **columns: Any) -> dict[str, Any]:
    """A subscription of 5000 a month; the columns that matter are named."""
    return {
        "id": str(uuid.uuid4()),
        "plan_type": "pro",
        "billing_cycle": "monthly",
        "amount_cents": 5000,
        "currency": "USD",
        "status": "active",
        "cancel_at_period_end": False,
        "created_at": at(created),
        **columns,
    }


def paid(
    entry: dict[str, Any], *times: str | datetime, **columns: Any
) -> list[dict[str, Any]]:
    """Payments of a subscription that were taken at these times and kept."""
    moments = [at(time) if isinstance(time, str) else time for time in times]
    return [
        {
            "subscription_id": entry["id"],
            "amount_cents": entry["amount_cents"],
            "currency": entry["currency"],
            "status": "succeeded",
            "processed_at": moment + timedelta(seconds=9),
            "created_at": moment,
            **columns,
        }
        for moment in moments
    ]


def monthly(first: str, number: int) -> list[datetime]:
    """The times of so many monthly payments."""
    return [month_later(at(first), index) for index in range(number)]


CASES: dict[str, Case] = {}


def case(name: str, *subscriptions: dict[str, Any], **license_columns: Any) -> Case:
    """Register a case of these subscriptions."""
    CASES[name] = Case(list(subscriptions), [], license_columns)
    return CASES[name]


# A trial that a payer was given in August.
_trial = {"trial_start": at("2026-08-10"), "trial_end": at("2026-09-10")}
_free_months: dict[str, dict[str, Any]] = {
    "free month over": {},
    "free month running": {"status": "trialing"},
    "free month cancelled": {
        "status": "canceled",
        "canceled_at": at("2026-08-20"),
        "current_period_start": at("2026-08-10"),
        "current_period_end": at("2026-09-10"),
        "updated_at": at("2026-08-20"),
    },
}
for _name, _more in _free_months.items():
    _one = subscription("2026-01-10", **_trial, **_more)
    case(_name, _one).payments = paid(_one, *monthly("2026-01-10", 7))
_one = subscription(
    "2026-01-10", trial_start=at("2026-01-10"), trial_end=at("2026-02-10")
)
case("first trial", _one).payments = paid(_one, *monthly("2026-02-10", 9))

# Unpaid since June; the provider's current period moves on from month to month.
for _day in ("05", "31"):
    for _moved in range(7):
        _first = f"2026-03-{_day}"
        _one = subscription(
            _first,
            status="unpaid",
            current_period_start=month_later(at(_first), 3 + _moved),
            current_period_end=month_later(at(_first), 4 + _moved),
        )
        case(f"unpaid {_day} {_moved}", _one).payments = paid(_one, *monthly(_first, 3))
_one = subscription("2026-03-05", status="unpaid")
case("unpaid without a period", _one).payments = paid(_one, *monthly("2026-03-05", 3))
_one = subscription("2026-03-05", status="active")
case("unpaid and back", _one).payments = [
    *paid(_one, *monthly("2026-03-05", 3)),
    *paid(_one, "2026-10-05"),
]
case(
    "unpaid, never paid",
    subscription("2026-03-05", status="unpaid", current_period_start=at("2026-08-05")),
)
_one = subscription(
    "2026-03-05", status="unpaid", current_period_start=at("2026-08-05")
)
case("unpaid, given back", _one).payments = paid(
    _one, "2026-03-05", status="refunded", refunded_amount_cents=5000
)
_old = subscription(
    "2026-03-05",
    status="canceled",
    canceled_at=at("2026-03-20"),
    updated_at=at("2026-03-20"),
    current_period_end=at("2026-04-05"),
)
_one = subscription(
    "2026-03-20",
    amount_cents=1000,
    status="unpaid",
    current_period_start=at("2026-09-20"),
)
case("unpaid, first period credited", _old, _one).payments = paid(_old, "2026-03-05")
# The cycle doesn't begin on the day of the subscription.
_one = subscription(
    "2026-03-20", status="unpaid", current_period_start=at("2026-09-01")
)
case("unpaid on another day", _one).payments = paid(
    _one, "2026-03-20", "2026-04-01", "2026-05-01"
)

# Cancelled by the customer's portal: `canceled_at` is the request.
_yearly = {
    "billing_cycle": "yearly",
    "amount_cents": 60000,
    "status": "canceled",
    "canceled_at": at("2025-08-20"),
    "current_period_start": at("2025-07-15"),
    "current_period_end": at("2026-07-15"),
}
for _name, _more, _license in (
    ("portal", {}, {}),
    ("portal, not written to since", {"updated_at": at("2025-08-20")}, {}),
    ("portal, licence ended", {}, {"cancelled_at": at("2025-09-10")}),
    ("ended at once", {}, {"cancelled_at": at("2025-08-20")}),
):
    _one = subscription("2025-07-15", **{**_yearly, **_more})
    case(_name, _one, **_license).payments = paid(_one, "2025-07-15")
_one = subscription("2025-07-15", **_yearly)
_two = subscription("2025-08-20T00:00:04")
case("portal, replaced", _one, _two).payments = [
    *paid(_one, "2025-07-15"),
    *paid(_two, *monthly("2025-08-20T00:00:04", 15)),
]
case("portal, never paid", subscription("2025-07-15", **_yearly))
for _name, _more in {
    "no time of the end": {},
    "no time of the end of its period": {"cancel_at_period_end": True},
}.items():
    _one = subscription("2026-01-10", status="canceled", **_more)
    case(_name, _one).payments = paid(_one, *monthly("2026-01-10", 3))
_one = subscription("2026-01-10", status="canceled")
case("no time of the end, given back", _one).payments = paid(
    _one, "2026-02-10", status="refunded", refunded_amount_cents=5000
)
_one = subscription("2025-07-15", **_yearly)
case("portal, given back", _one).payments = paid(
    _one, "2025-07-15", status="refunded", refunded_amount_cents=60000
)
_one = subscription(
    "2025-06-10",
    status="canceled",
    canceled_at=at("2025-06-10"),
    current_period_start=at("2026-05-10"),
    current_period_end=at("2026-06-10"),
)
case("term of twelve months", _one).payments = paid(_one, *monthly("2025-06-10", 12))
_one = subscription(
    "2026-02-10",
    billing_cycle="yearly",
    amount_cents=60000,
    status="canceled",
    cancel_at_period_end=True,
    canceled_at=at("2026-04-15"),
    current_period_start=at("2026-02-10"),
    current_period_end=at("2027-02-10"),
)
case("cancelled and given back", _one).payments = paid(
    _one, "2026-02-10", status="refunded", refunded_amount_cents=60000
)
_one = {**_one, "id": str(uuid.uuid4())}
case("cancelled and given back in part", _one).payments = paid(
    _one, "2026-02-10", refunded_amount_cents=30000
)

# One subscription follows another: after seconds, and after more than an hour.
for _name, _next in {
    "a gap of seconds": "2026-06-01T00:00:03",
    "a gap of hours": "2026-06-01T01:00:03",
}.items():
    _one = subscription(
        "2026-01-31T23:59:58",
        status="canceled",
        canceled_at=at("2026-05-31T23:59:58"),
        updated_at=at("2026-05-31T23:59:58"),
    )
    _two = subscription(_next)
    case(_name, _one, _two).payments = [
        *paid(_one, *monthly("2026-01-31T23:59:58", 4)),
        *paid(_two, *monthly(_next, 6)),
    ]

# Collected still, though nothing comes in.
_one = subscription(
    "2025-03-05", status="past_due", current_period_start=at("2026-11-05")
)
case("past due for months", _one).payments = paid(_one, *monthly("2025-03-05", 2))


Movements = dict[str, list[tuple[date, str]]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project with the models of revenue."""
    return DbtProject.copy(tmp_path_factory.mktemp("mrr"), ("revenue",))


def build(project: DbtProject, database: Database) -> None:
    """Build the marts of recurring revenue and what they rest on."""
    failures = project.dbt(
        *("build", "--select", "+fct_mrr_monthly"),
        *("--resource-types", "model", "seed"),
        *("--vars", json.dumps({"as_of": AS_OF})),
        database=database,
    )
    assert failures == ""


@pytest.fixture(scope="module")
def movements(module_database: Database, project: DbtProject) -> Movements:
    """The movements of each case, month and type, as the marts have them."""
    database = module_database
    database.execute("truncate users cascade")
    licenses = {}
    with database.connect() as connection, connection.cursor() as cursor:
        user = str(uuid.uuid4())
        insert(cursor, "users", {"id": user, "email": user, "password_hash": "-"})
        for name, each in CASES.items():
            licenses[name] = str(uuid.uuid4())
            insert(
                cursor,
                "licenses",
                {
                    "id": licenses[name],
                    "user_id": user,
                    "license_key": name,
                    "plan_type": "pro",
                    "seats_total": 1,
                    **each.license,
                },
            )
            for entry in each.subscriptions:
                insert(cursor, "subscriptions", {**entry, "license_id": licenses[name]})
            for entry in each.payments:
                insert(cursor, "payment_transactions", entry)
    build(project, database)
    found = database.execute(
        "select license_id::text, movement_month, movement_type"
        " from analytics.fct_mrr_movements_monthly order by 1, 2"
    )
    return {
        name: [(month, kind) for license_id, month, kind in found if license_id == each]
        for name, each in licenses.items()
    }


def insert(cursor: Any, table: str, row: dict[str, Any]) -> None:
    """One row of a source table."""
    names = ", ".join(row)
    places = ", ".join(["%s"] * len(row))
    cursor.execute(
        f"insert into {table} ({names}) values ({places})", tuple(row.values())
    )


def expected(**months: str) -> list[tuple[date, str]]:
    """Movements by the month: new="2026-01", churn="2026-06"."""
    return [(date.fromisoformat(f"{month}-01"), kind) for kind, month in months.items()]


@pytest.mark.parametrize("name", ["free month over", "free month running"])
def test_a_free_month_for_a_payer_does_not_move_the_start(
    movements: Movements, name: str
) -> None:
    assert movements[name] == expected(new="2026-01")


def test_a_payer_who_cancels_within_a_free_month_keeps_the_months_paid(
    movements: Movements,
) -> None:
    assert movements["free month cancelled"] == expected(new="2026-01", churn="2026-08")


def test_a_first_trial_still_counts_from_its_end(movements: Movements) -> None:
    assert movements["first trial"] == expected(new="2026-02")


@pytest.mark.parametrize("moved", range(7))
@pytest.mark.parametrize("day", ["05", "31"])
def test_an_unpaid_subscription_churns_when_what_was_paid_ends_whenever_it_is_read(
    movements: Movements, day: str, moved: int
) -> None:
    assert movements[f"unpaid {day} {moved}"] == expected(
        new="2026-03", churn="2026-06"
    )


def test_an_unpaid_subscription_needs_no_current_period(movements: Movements) -> None:
    assert movements["unpaid without a period"] == expected(
        new="2026-03", churn="2026-06"
    )


def test_an_unpaid_subscription_keeps_its_own_day_of_the_month(
    movements: Movements,
) -> None:
    assert movements["unpaid on another day"] == expected(
        new="2026-03", churn="2026-06"
    )


def test_a_subscription_that_is_active_again_never_left(movements: Movements) -> None:
    assert movements["unpaid and back"] == expected(new="2026-03")


@pytest.mark.parametrize("name", ["unpaid, never paid", "unpaid, given back"])
def test_an_unpaid_subscription_that_was_never_paid_never_counts(
    movements: Movements, name: str
) -> None:
    assert movements[name] == []


def test_a_first_period_that_was_credited_counts(movements: Movements) -> None:
    assert movements["unpaid, first period credited"] == [
        (date(2026, 3, 1), "new"),
        (date(2026, 4, 1), "churn"),
    ]


@pytest.mark.parametrize("name", ["portal", "portal, not written to since"])
def test_a_cancelled_subscription_churns_when_the_paid_period_ends(
    movements: Movements, name: str
) -> None:
    assert movements[name] == expected(new="2025-07", churn="2026-07")


@pytest.mark.parametrize(
    "name", ["no time of the end", "no time of the end of its period"]
)
def test_a_cancelled_subscription_without_times_ends_with_what_was_paid(
    movements: Movements, name: str
) -> None:
    assert movements[name] == expected(new="2026-01", churn="2026-04")
    assert movements["no time of the end, given back"] == expected(
        new="2026-01", churn="2026-02"
    )


@pytest.mark.parametrize(
    "name",
    [
        "ended at once",
        "portal, never paid",
        "portal, given back",
    ],
)
def test_a_subscription_that_was_ended_at_once_churns_then(
    movements: Movements, name: str
) -> None:
    assert movements[name] == expected(new="2025-07", churn="2025-08")


def test_a_cancelled_subscription_ends_with_its_license(movements: Movements) -> None:
    assert movements["portal, licence ended"] == expected(
        new="2025-07", churn="2025-09"
    )


def test_a_subscription_that_is_replaced_does_not_count_twice(
    movements: Movements,
) -> None:
    assert movements["portal, replaced"] == expected(new="2025-07")


def test_a_paid_term_counts_its_months_though_it_was_cancelled_at_its_creation(
    movements: Movements,
) -> None:
    assert movements["term of twelve months"] == expected(
        new="2025-06", churn="2026-06"
    )


def test_a_cancelled_subscription_is_over_when_the_payment_is_given_back(
    movements: Movements,
) -> None:
    assert movements["cancelled and given back"] == expected(
        new="2026-02", churn="2026-04"
    )
    assert movements["cancelled and given back in part"] == expected(new="2026-02")


def test_a_gap_of_seconds_is_no_movement(movements: Movements) -> None:
    assert movements["a gap of seconds"] == expected(new="2026-01")


def test_a_gap_of_more_than_an_hour_is_one(movements: Movements) -> None:
    assert movements["a gap of hours"] == expected(
        new="2026-01", churn="2026-05", reactivation="2026-06"
    )


def test_a_past_due_subscription_counts_on(movements: Movements) -> None:
    assert movements["past due for months"] == expected(new="2025-03")


def test_a_write_that_changes_no_term_moves_nothing(
    movements: Movements, module_database: Database, project: DbtProject
) -> None:
    assert movements
    marts = {
        mart: f"select * from analytics.{mart} order by 1, 2, 3, 4, 5"
        for mart in ("fct_mrr_movements_monthly", "fct_mrr_monthly")
    }
    before = {mart: module_database.execute(query) for mart, query in marts.items()}
    module_database.execute(
        "update licenses set metadata = '{\"moved\": 1}';"
        " update subscriptions set metadata = '{\"moved\": 1}',"
        " stripe_customer_id = 'cus_' || id, stripe_subscription_id = 'sub_' || id;"
        " update payment_transactions set metadata = '{\"moved\": 1}',"
        " stripe_payment_intent_id = 'pi_' || id, stripe_invoice_id = 'in_' || id"
    )

    build(project, module_database)

    after = {mart: module_database.execute(query) for mart, query in marts.items()}
    assert after == before
