"""Which columns of the source may hold personal data, and rows with a mark in each.

The list is what the catalogue has, less what a rule or a reason below takes out: a new
column counts as personal, and tests fail, until a developer has listed it.
"""

import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg2 import sql
from psycopg2.extras import Json

from tests.python.support import Database

# Ids, numbers, yes or no, and times say nothing by themselves.
HARMLESS_TYPES = (
    *("uuid", "int4", "int8", "numeric", "bool", "timestamptz", "date", "xid8"),
)

# Words of the software's own, which marts group by.
LABELS = {
    "affiliate_clicks.utm_campaign": "the name of a campaign",
    "affiliate_commissions.currency": "a code of ISO 4217",
    "affiliate_payouts.currency": "a code of ISO 4217",
    "affiliate_referrals.utm_campaign": "the name of a campaign",
    "api_usage.endpoint": "a route of the API, without its values",
    "audit_logs.action": "the name of a kind of action",
    "audit_logs.resource_type": "the name of a kind of thing",
    "error_logs.endpoint": "a route of the API, without its values",
    "error_logs.error_type": "the name of a kind of error",
    "error_logs.method": "a verb of HTTP",
    "error_logs.source": "the name of a part of the software",
    "feature_usage.feature_category": "the name of a kind of feature",
    "feature_usage.feature_name": "the name of a feature",
    "payment_transactions.currency": "a code of ISO 4217",
    "payment_transactions.payment_method": "the name of a kind of payment",
    "subscriptions.currency": "a code of ISO 4217",
    "usage_aggregates_daily.event_type": "the name of a kind of event",
    "usage_aggregates_monthly.event_type": "the name of a kind of event",
    "usage_events.event_name": "the name of a kind of event",
    "usage_events.event_type": "the name of a kind of event",
    "usage_events.session_id": "a random name, and another one after an erasure",
}

# By these the books refer to the payment service's: the law has them kept.
VOUCHERS = {
    "affiliate_payouts.payment_reference": "the number of a transfer",
    "payment_transactions.stripe_invoice_id": "the number of an invoice",
    "payment_transactions.stripe_payment_intent_id": "the number of a payment",
    "subscriptions.stripe_subscription_id": "the number of a contract",
}

# What the database keeps for itself; the tests search these like any other table.
BOOKKEEPING = (
    *("alembic_version", "migration_checksums"),
    *("change_tombstones", "change_tombstones_cleared", "erasures_to_forget"),
    *("usage_aggregate_runs", "usage_aggregate_stale_periods"),
)

MARK = re.compile(r"planted\d{4}x|2001:db8:7a31::[0-9a-f]+")


def personal_columns(database: Database) -> dict[str, dict[str, str]]:
    """Of each table of the source, the columns to be marked, with their types."""
    found: dict[str, dict[str, str]] = {}
    for table, column, type_name in database.execute(
        """
        select relname::text, attname::text, typname::text
        from pg_attribute
        inner join pg_class on attrelid = pg_class.oid
        inner join pg_type on atttypid = pg_type.oid
        where relnamespace = 'public'::regnamespace
            and relkind in ('r', 'p') and not relispartition
            and attnum > 0 and not attisdropped
            and typname <> all (%s) and relname <> all (%s)
            -- A constraint lists the words that it may hold.
            and not exists (
                select from pg_constraint
                where conrelid = attrelid and contype = 'c' and conkey = array[attnum]
                    and pg_get_constraintdef(pg_constraint.oid) like '%%ANY%%ARRAY[%%'
            )
        order by 1, attnum
        """,
        (list(HARMLESS_TYPES), list(BOOKKEEPING)),
    ):
        if f"{table}.{column}" not in LABELS:
            found.setdefault(table, {})[column] = type_name
    return found


@dataclass(frozen=True)
class Row:
    """A row to be planted: what is given, and a mark in every other personal column."""

    table: str
    values: dict[str, Any] = field(default_factory=dict)
    goes: bool | frozenset[str] = False
    """Whether its marks go when the person is erased, or which of them do."""


@dataclass(frozen=True)
class Mark:
    """Where a mark was planted."""

    column: str
    """With its table's name."""
    goes: bool


def plant(database: Database, rows: Iterable[Row]) -> dict[str, Mark]:
    """Insert rows; each mark in them and where it is."""
    columns = personal_columns(database)
    marks: dict[str, Mark] = {}
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        for row in rows:
            values = {"id": str(uuid.uuid4()), **row.values}
            for column, type_name in columns.get(row.table, {}).items():
                if column not in values:
                    mark, values[column] = _mark(len(marks), type_name)
                    name = f"{row.table}.{column}"
                    goes = (
                        row.goes if isinstance(row.goes, bool) else column in row.goes
                    )
                    marks[mark] = Mark(name, goes and name not in VOUCHERS)
            cursor.execute(
                sql.SQL("insert into {} ({}) values ({})").format(
                    sql.Identifier(row.table),
                    sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(map(sql.Literal, values.values())),
                )
            )
        connection.commit()
    return marks


def _mark(number: int, type_name: str) -> tuple[str, Any]:
    """A mark that is like no other, and the value of a column that holds it."""
    if type_name == "inet":
        mark = f"2001:db8:7a31::{number + 1:x}"
        return mark, mark
    mark = f"planted{number:04}x"
    if type_name == "jsonb":
        # Also where a mart looks into it.
        return mark, Json({"duration_seconds": mark, "note": mark, mark: [mark]})
    return mark, mark


def marks_in_tables(
    database: Database, schemas: Iterable[str]
) -> dict[tuple[str, str], set[str]]:
    """The marks in each table and view of some schemas, whatever column holds them."""
    found: dict[tuple[str, str], set[str]] = {}
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select nspname::text, relname::text from pg_class "
            "inner join pg_namespace on relnamespace = pg_namespace.oid "
            "where nspname = any (%s) and relkind in ('r', 'p', 'v', 'm') "
            "and not relispartition",
            (list(schemas),),
        )
        for schema, name in cursor.fetchall():
            cursor.execute(
                sql.SQL(
                    "select distinct found[1] from {} as searched, "
                    "regexp_matches(searched::text, {}, 'g') as found"
                ).format(sql.Identifier(schema, name), sql.Literal(MARK.pattern))
            )
            if marks := {mark for (mark,) in cursor.fetchall()}:
                found[schema, name] = marks
    return found


def marks_in_files(paths: Iterable[Path]) -> dict[Path, set[str]]:
    """The marks in files, text or not."""
    pattern = re.compile(MARK.pattern.encode())
    found = {path: set(pattern.findall(path.read_bytes())) for path in paths}
    return {
        path: {mark.decode() for mark in marks}
        for path, marks in found.items()
        if marks
    }


# --- A person, and others they have to do with ----------------------------------------


def identity(name: str) -> str:
    """The id of a planted row."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


PERSON = identity("user person")
OTHER = identity("user other")
THIRD = identity("user third")

SESSION = "a session of the person"
SIGNED_UP = "2026-01-05 09:00:00+00"
WHEN = "2026-03-02 10:00:00+00"


def rows_of_a_person() -> Iterator[Row]:
    """A person with rows in every table, and others with theirs.

    The person and the other one work on each other's licenses, and each brought the
    other as an affiliate; the other one also brought a third.
    """
    yield from _accounts()
    yield from _activity()
    yield from _programme()


def _accounts() -> Iterator[Row]:
    yield Row("users", {"id": THIRD, "created_at": SIGNED_UP})
    for name, goes in (("person", True), ("other", False)):
        user, license_id = identity(f"user {name}"), identity(f"license {name}")
        team, subscription = identity(f"team {name}"), identity(f"subscription {name}")
        yield Row(
            "users",
            {"id": user, "role": "admin", "last_login_at": WHEN}
            | {"email_verified_at": SIGNED_UP, "created_at": SIGNED_UP},
            goes,
        )
        yield Row(
            "licenses",
            {"id": license_id, "user_id": user, "plan_type": "pro"}
            | {"seats_total": 5, "seats_used": 2, "started_at": SIGNED_UP},
            goes,
        )
        yield Row(
            "teams", {"id": team, "license_id": license_id, "owner_id": user}, goes
        )
        # Nothing but its last change says when it ended.
        yield Row(
            "subscriptions",
            {"id": subscription, "license_id": license_id, "plan_type": "pro"}
            | {"status": "canceled", "billing_cycle": "monthly", "amount_cents": 4900}
            | {"created_at": SIGNED_UP, "updated_at": WHEN},
            goes,
        )
        yield Row(
            "payment_transactions",
            {"id": identity(f"payment {name}"), "subscription_id": subscription}
            | {"amount_cents": 4900, "status": "succeeded", "processed_at": WHEN},
            goes,
        )
    for name in ("person", "other"):
        for team in ("person", "other"):
            yield Row(
                "team_members",
                {
                    "team_id": identity(f"team {team}"),
                    "user_id": identity(f"user {name}"),
                },
            )


def _activity() -> Iterator[Row]:
    for user, place, session, goes in (
        ("person", "person", SESSION, True),
        ("person", "other", "another session of the person", True),
        # Of no user, on the person's license; and before they logged in.
        (None, "person", None, True),
        (None, None, SESSION, True),
        ("other", "other", "a session of the other", False),
        ("other", "person", "a session of the other", False),
        (None, "other", "a session without a user", False),
    ):
        by = {"user_id": user and identity(f"user {user}")}
        on_license = {"license_id": place and identity(f"license {place}")}
        in_team = {"team_id": place and identity(f"team {place}")}
        yield Row(
            "usage_events",
            {**by, **on_license, **in_team, "session_id": session}
            | {"event_type": "feature_used", "event_category": "feature"}
            | {"event_name": "alerts", "occurred_at": WHEN},
            goes,
        )
        if place is None:
            continue
        yield Row("feature_usage", {**by, **on_license, "feature_name": "alerts"}, goes)
        yield Row(
            "api_usage",
            {**by, **on_license, "endpoint": "/v1/reports", "method": "GET"}
            | {"status_code": 500, "response_time_ms": 20, "occurred_at": WHEN},
            goes,
        )
        yield Row(
            "error_logs",
            {**by, **on_license, "error_type": "Timeout", "severity": "error"}
            | {"occurred_at": WHEN},
            goes,
        )
        yield Row(
            "audit_logs",
            {**by, **in_team, "action": "report.shared", "resource_type": "report"}
            | {"status": "failure", "occurred_at": WHEN},
            goes,
        )
        yield Row(
            "usage_aggregates_daily",
            {**by, **on_license, **in_team, "date": "2026-03-02"}
            | {"event_type": "feature_used"},
            goes,
        )
        yield Row(
            "usage_aggregates_monthly",
            {**by, **on_license, **in_team, "year": 2026, "month": 3}
            | {"event_type": "feature_used"},
            goes,
        )
    # What was done to the person and to what is theirs, by the other one or no user.
    for name in ("user person", "license person", "payment person"):
        about = {"resource_id": identity(name), "resource_type": name.split()[0]}
        what = {"action": "changed", "status": "success", "occurred_at": WHEN}
        yield Row(
            "audit_logs",
            {**about, **what, "user_id": OTHER},
            frozenset({"changes", "failure_reason", "metadata"}),
        )
        yield Row("audit_logs", {**about, **what, "user_id": None}, goes=True)


def _programme() -> Iterator[Row]:
    for name, goes in (("person", True), ("other", False)):
        affiliate = identity(f"affiliate {name}")
        yield Row(
            "affiliates",
            {"id": affiliate, "user_id": identity(f"user {name}"), "status": "active"},
            goes,
        )
        yield Row(
            "affiliate_payouts",
            {"affiliate_id": affiliate, "amount_cents": 980}
            | {"payment_method": "paypal", "status": "pending"},
            goes,
        )
    for affiliate, referred, status, goes in (
        ("other", "person", "paid", True),
        ("person", "other", "approved", True),
        ("other", "third", "approved", False),
    ):
        by = {"affiliate_id": identity(f"affiliate {affiliate}")}
        referral = {"referral_id": identity(f"referral {referred}")}
        yield Row(
            "affiliate_referrals",
            {**by, "id": referral["referral_id"], "status": "converted"}
            | {"referred_user_id": identity(f"user {referred}")}
            | {"utm_campaign": "spring", "created_at": SIGNED_UP, "converted_at": WHEN},
            goes,
        )
        yield Row(
            "affiliate_commissions",
            {**by, **referral, "commission_type": "initial", "amount_cents": 980}
            | {"commission_rate": 20, "status": status, "created_at": WHEN},
            goes,
        )
        yield Row(
            "affiliate_clicks",
            {**by, **referral, "utm_campaign": "spring", "clicked_at": SIGNED_UP}
            | {"converted": True},
            goes,
        )
        yield Row(
            "affiliate_clicks",
            {**by, "utm_campaign": "spring", "clicked_at": WHEN},
            goes=affiliate == "person",
        )
