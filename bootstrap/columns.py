"""The columns of the source, classified as personal or open to every role.

An unlisted column of the contract's tables counts as personal.
"""

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from psycopg2.extensions import cursor as Cursor

from saas_analytics.errors import UserError

CONTRACT = Path(__file__).with_name("contract") / "columns.csv"

# Columns that may identify a person, or are a secret. dbt reads none of them. It reads
# two other columns that may identify a person: the staging view extracts a number from
# usage_events.event_data, and a test compares payment_transactions.stripe_invoice_id.
PRIVATE_COLUMNS = {
    "affiliate_clicks": (
        *("ip_address", "user_agent", "referrer_url", "landing_page"),
        *("utm_source", "utm_medium", "utm_content", "utm_term", "metadata"),
    ),
    "affiliate_commissions": ("notes", "metadata"),
    "affiliate_payouts": ("payment_reference", "failed_reason", "metadata"),
    "affiliate_referrals": (
        *("referral_source", "ip_address", "user_agent"),
        *("utm_source", "utm_medium", "utm_content", "utm_term", "metadata"),
    ),
    "affiliates": ("affiliate_code", "payment_details", "metadata"),
    "api_usage": ("ip_address", "user_agent", "error_message", "metadata"),
    "audit_logs": (
        *("resource_id", "changes", "ip_address", "user_agent"),
        *("failure_reason", "metadata"),
    ),
    "error_logs": (
        *("error_message", "error_stack", "ip_address", "user_agent", "metadata"),
    ),
    "feature_usage": ("metadata",),
    "licenses": ("license_key", "metadata"),
    "payment_transactions": ("stripe_payment_intent_id", "failure_reason", "metadata"),
    "subscriptions": ("stripe_subscription_id", "stripe_customer_id", "metadata"),
    "teams": ("name", "slug", "metadata"),
    "usage_aggregates_daily": ("metadata",),
    "usage_aggregates_monthly": ("metadata",),
    "usage_events": ("ip_address", "user_agent", "client_version", "metadata"),
    "users": ("email", "password_hash", "full_name", "metadata"),
}

# Those two columns. dbt may read them, but no table may store a copy of them.
PERSONAL_COLUMNS: dict[str, tuple[str, ...]] = {
    "payment_transactions": ("stripe_invoice_id",),
    "usage_events": ("event_data",),
}

# Your own columns that hold no personal data. The contract doesn't have them.
OPEN_COLUMNS: dict[str, tuple[str, ...]] = {}

# The column that migrations add to every captured table.
ADDED_COLUMNS = ("change_xid",)

# The place to classify a column, for messages.
HOME = "bootstrap/columns.py"


@cache
def contract() -> dict[str, tuple[str, ...]]:
    """The columns that the application uses, by table."""
    found: dict[str, tuple[str, ...]] = {}
    with CONTRACT.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row["table"]] = (*found.get(row["table"], ()), row["column"])
    return found


def each(columns: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Pairs of table and column."""
    for table, names in columns.items():
        for name in names:
            yield table, name


def personal(table: str) -> set[str]:
    """The columns of a table that may hold personal data."""
    return {*PRIVATE_COLUMNS.get(table, ()), *PERSONAL_COLUMNS.get(table, ())}


def of_source(cursor: Cursor, schema: str) -> dict[str, list[str]]:
    """The columns of each table and view in the source's schema, except partitions."""
    cursor.execute(
        "select relname::text, array_agg(attname::text order by attnum) "
        "from pg_class inner join pg_attribute on pg_class.oid = attrelid "
        "where relnamespace = to_regnamespace(quote_ident(%s)) "
        "and relkind in ('r', 'p', 'v', 'm', 'f') and not relispartition "
        "and attnum > 0 and not attisdropped group by relname order by relname",
        (schema,),
    )
    return dict(cursor.fetchall())


def unclassified(source: dict[str, list[str]]) -> list[tuple[str, str]]:
    """The unlisted columns of the contract's tables."""
    return [
        (table, column)
        for table, names in contract().items()
        for column in source.get(table, ())
        if column not in names
        and column not in ADDED_COLUMNS
        and column not in OPEN_COLUMNS.get(table, ())
        and column not in personal(table)
    ]


def readable(table: str, present: list[str]) -> list[str] | None:
    """The columns of a table that are open to dbt; None for all, also future ones."""
    closed = {*PRIVATE_COLUMNS.get(table, ())}
    if table not in contract() and not closed:
        return None
    closed |= {column for _, column in unclassified({table: present})}
    return [column for column in present if column not in closed]


def refuse_missing(source: dict[str, list[str]]) -> None:
    """Refuse a schema that lacks a listed table or column, which may be renamed.

    Raises:
        UserError: one is missing.
    """
    # Alembic is slow to import.
    from bootstrap import migrate

    made = migrate.tables_by_file()
    files = {made[table] for table in source if table in made}
    for table, column in (*each(PRIVATE_COLUMNS), *each(PERSONAL_COLUMNS)):
        if table not in source and made.get(table, "") not in files:
            # A later migration creates the table.
            continue
        if table not in source:
            missing, home = f"table {table}", f"{HOME} and {CONTRACT.name}"
        elif column not in source[table]:
            missing, home = f"column {table}.{column}", HOME
        else:
            continue
        raise UserError(
            f"{missing} may hold personal data and is missing: replace it by its "
            f"present name in {home}, or remove it from the list if it was dropped"
        )


def refuse_personal(
    cursor: Cursor, schema: str, table: str, wanted: tuple[str, ...]
) -> None:
    """Refuse columns that may hold personal data, by the lists or after a rename.

    Raises:
        UserError: one of them may.
    """
    for column in wanted:
        if column in personal(table):
            raise UserError(
                f"{table}.{column} may hold personal data, which before-images must "
                "not store: use another column in the model, or derive one that holds "
                "none"
            )
    source = of_source(cursor, schema)
    if wanted:
        refuse_missing(source)
    for column in wanted:
        if (table, column) in unclassified(source):
            raise UserError(
                f"{table}.{column} is not classified, so it may hold personal data: if "
                f"it holds none, add it to OPEN_COLUMNS in {HOME}"
            )
