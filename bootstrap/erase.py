"""Erasing a person: nothing stays that leads to them, and no money moves.

erase.sql says what happens to each table, docs/operations.md why.
"""

import random
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from psycopg2 import errors
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from bootstrap.errors import UserError

FILE = Path(__file__).with_suffix(".sql")

# How often it starts again after others stood in its way.
ATTEMPTS = 5
LOCK_SECONDS = 10

# The rows that are a person's own, each found by those before.
OWN_ROWS = {
    "licenses": "select id::text from licenses where user_id = %(user)s::uuid "
    "order by id for update",
    "teams": "select id::text from teams where owner_id = %(user)s::uuid "
    "or license_id = any (%(licenses)s::uuid[]) order by id for update",
    "subscriptions": "select id::text from subscriptions "
    "where license_id = any (%(licenses)s::uuid[]) order by id for update",
    "payments": "select id::text from payment_transactions "
    "where subscription_id = any (%(subscriptions)s::uuid[])",
    "affiliates": "select id::text from affiliates where user_id = %(user)s::uuid "
    "order by id for update",
    "referrals": "select id::text from affiliate_referrals "
    "where referred_user_id = %(user)s::uuid order by id for update",
}


@dataclass(frozen=True)
class Erasure:
    """What erasing a person changed, or would change."""

    rows: dict[str, int]
    """How many rows of each table, none left out, in the order of the work."""

    live_subscriptions: int
    """Those that may still be charged for."""

    open_payouts: int
    """Commissions and payouts that were approved and not yet paid to the person."""


def statements() -> list[tuple[str, str]]:
    """Each table and statement of erase.sql, in order."""
    blocks = re.split(
        r"^-- (\w+): .*\n", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    return list(zip(blocks[1::2], blocks[2::2], strict=True))


def erase(connection: Connection, user_id: uuid.UUID, *, dry_run: bool) -> Erasure:
    """Erase a person, in one transaction; safe to repeat.

    Rows that others are writing at the same time are waited for, and erased too.

    Args:
        connection: it must not be in a transaction.
        user_id: users.id.
        dry_run: undo it all at the end.

    Raises:
        UserError: there is no such user, or others stay in its way.
    """
    # Each statement has to see what was committed while the one before waited.
    connection.set_session(isolation_level=ISOLATION_LEVEL_READ_COMMITTED)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with connection.cursor() as cursor:
                erasure = _erase(cursor, str(user_id))
            if dry_run:
                connection.rollback()
            else:
                connection.commit()
            return erasure
        except (errors.DeadlockDetected, errors.SerializationFailure):
            connection.rollback()
            time.sleep(random.uniform(0, 0.1 * 2**attempt))
    raise UserError(
        f"nothing was erased, for others kept writing to rows of user {user_id}: "
        "run it again"
    )


def _erase(cursor: Cursor, user_id: str) -> Erasure:
    cursor.execute("set local lock_timeout = %s", (f"{LOCK_SECONDS}s",))
    person = find_person(cursor, user_id)
    rows: dict[str, int] = {}
    for table, statement in statements():
        cursor.execute(statement, person)
        rows[table] = rows.get(table, 0) + cursor.rowcount
    if any(rows.values()):
        # That it was done must be accounted for; it names a row that says nothing.
        cursor.execute(
            "insert into audit_logs (action, resource_type, resource_id, status) "
            "values ('user.erased', 'user', %(user)s, 'success')",
            person,
        )
    cursor.execute(
        "select (select count(*) from subscriptions "
        "where id = any (%(subscriptions)s::uuid[]) "
        "and status in ('active', 'past_due', 'trialing')), "
        "(select count(*) from affiliate_commissions "
        "where affiliate_id = any (%(affiliates)s::uuid[]) and status = 'approved') "
        "+ (select count(*) from affiliate_payouts "
        "where affiliate_id = any (%(affiliates)s::uuid[]) "
        "and status in ('pending', 'processing'))",
        person,
    )
    live_subscriptions, open_payouts = cursor.fetchone() or (0, 0)
    return Erasure(rows, live_subscriptions, open_payouts)


def find_person(cursor: Cursor, user_id: str) -> dict[str, object]:
    """What erase.sql knows of a person.

    Their own rows are locked on the way: whoever writes a row that refers to them has
    ended, and is seen from now on, or waits.

    Raises:
        UserError: there is no such user.
    """
    cursor.execute("select email from users where id = %s for update", (user_id,))
    found = cursor.fetchone()
    if found is None:
        raise UserError(f"there is no user {user_id}: give an id as users.id has it")
    person: dict[str, object] = {
        "user": user_id,
        "email": found[0],
        # Known to nobody when this is over.
        "salt": secrets.token_hex(16),
    }
    things = [user_id, found[0]]
    for name, query in OWN_ROWS.items():
        cursor.execute(query, person)
        ids = [identifier for (identifier,) in cursor.fetchall()]
        person[name] = ids
        things += ids
    person["things"] = things
    cursor.execute(
        "select coalesce(array_agg(distinct session_id), '{}'), "
        "((min(occurred_at) at time zone 'UTC')::date - 1)::text, "
        "((max(occurred_at) at time zone 'UTC')::date + 2)::text "
        "from usage_events where user_id = %(user)s::uuid and session_id is not null",
        person,
    )
    sessions, sessions_from, sessions_to = cursor.fetchone() or ([], None, None)
    return {
        **person,
        "sessions": sessions,
        "sessions_from": sessions_from,
        "sessions_to": sessions_to,
    }
