"""Erases a person: no remaining row identifies them, and no amount of money changes.

The SQL files hold the changes of each table. mixing.py hides which rows one erasure has
changed. docs/reference/personal-data.md explains the reasons.
"""

import io
import random
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from psycopg2 import errors, sql
from psycopg2.extensions import ISOLATION_LEVEL_READ_COMMITTED
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from bootstrap.erase import mixing
from saas_analytics.database.interrupts import copying
from saas_analytics.errors import UserError

FOLDER = Path(__file__).parent

# How often a transaction restarts after a conflict with other sessions.
ATTEMPTS = 5
LOCK_SECONDS = 10

PHASES = ("activity", "account")

# Tables of the transaction with the ids and times of the person.
OWN_TABLES = """
create temporary table own_user (id uuid not null, email text) on commit drop;
create temporary table own_licenses (id uuid not null) on commit drop;
create temporary table own_teams (id uuid not null) on commit drop;
create temporary table own_subscriptions (id uuid not null) on commit drop;
create temporary table own_affiliates (id uuid not null) on commit drop;
create temporary table own_referrals (id uuid not null) on commit drop;
create temporary table own_things (name text) on commit drop;
create temporary table own_times (moment timestamptz) on commit drop;
create temporary table own_sessions (session_id text not null) on commit drop;
create temporary table own_days (first_day date, last_day date) on commit drop
"""

# Replaces a time that equals one of the account's by another one of the same quarter of
# an hour. Outside these years some time zones can't represent the quarters of a day.
MOMENT = """case
        when {column} in (select own_times.moment from own_times)
            and {column} >= '1900-01-01' and {column} < '9999-01-01'
            then date_bin('15 minutes', {column}, '2000-01-01 00:00:00+00')
            + {place}
        else {column}
    end"""
MOMENTS = {
    "other_moment": "random() * interval '15 minutes'",
    "end_of_quarter": "interval '14 minutes 59.999 seconds'",
}

NOTE = """
select {schema}.note_erasure(array(
    select id from own_user union all select id from own_licenses
    union all select id from own_teams union all select id from own_affiliates
))
"""

STILL_OPEN = """
select
    (
        select count(*) from {schema}.subscriptions
        where id = any (array(select id from own_subscriptions))
        and status in ('active', 'past_due', 'trialing')
    ),
    (
        select count(*) from {schema}.affiliate_commissions
        where affiliate_id = any (array(select id from own_affiliates))
        and status = 'approved'
    ) + (
        select count(*) from {schema}.affiliate_payouts
        where affiliate_id = any (array(select id from own_affiliates))
        and status in ('pending', 'processing')
    )
"""


@dataclass(frozen=True)
class Erasure:
    """The changes of an erasure, or of a dry run."""

    rows: dict[str, int]
    """The number of changed rows of every table, in the order of the work."""

    live_subscriptions: int
    """Subscriptions that may still be charged."""

    open_payouts: int
    """Approved commissions and payouts that the person has not received."""


def statements(schema: str = "public") -> dict[str, list[tuple[str, str]]]:
    """Each table and statement of the SQL files, by the name of the file."""
    quoted = '"' + schema.replace('"', '""') + '"'
    found = {}
    for part in ("person", *PHASES):
        text = (FOLDER / f"{part}.sql").read_text(encoding="utf-8")
        text = re.sub(rf"\b({'|'.join(MOMENTS)})\((\w+)\)(?=,\n)", _moment, text)
        found[part] = _blocks(text.replace("this_schema.", f"{quoted}."))
    return found


def _moment(found: re.Match[str]) -> str:
    """The expression that replaces a call in the SQL files."""
    return MOMENT.format(column=found[2], place=MOMENTS[found[1]])


def _blocks(text: str) -> list[tuple[str, str]]:
    blocks = re.split(r"^-- (\w+): .*\n", text, flags=re.MULTILINE)
    return list(zip(blocks[1::2], blocks[2::2], strict=True))


def erase(
    connection: Connection, user_id: uuid.UUID, *, dry_run: bool, schema: str = "public"
) -> Erasure:
    """Erase a person: first their activity, then their account; safe to repeat.

    These are two transactions, so that no transaction id joins activity and account.
    The erasure waits for rows that other sessions write, and erases them, too.

    Args:
        connection: it must not be in a transaction.
        user_id: users.id.
        dry_run: roll back at the end.
        schema: of the OLTP tables.

    Raises:
        UserError: the user does not exist, or conflicts with other sessions continue.
    """
    # Each statement must see commits made while the previous one waited.
    connection.set_session(isolation_level=ISOLATION_LEVEL_READ_COMMITTED)
    if dry_run:
        phases: list[tuple[str, ...]] = [PHASES]
    else:
        phases = [(phase,) for phase in PHASES]
    rows: dict[str, int] = {}
    still_open = (0, 0)
    for names in phases:
        counts, still_open = _again(
            connection,
            partial(_erase, schema, user_id, names, is_continued=any(rows.values())),
            dry_run=dry_run,
            failure=f"the activity of user {user_id} is erased, but not the account"
            if rows
            else f"nothing of user {user_id} was erased",
        )
        for table, count in counts.items():
            rows[table] = rows.get(table, 0) + count
    return Erasure(rows, *still_open)


Counts = tuple[dict[str, int], tuple[int, int]]


def _again(
    connection: Connection,
    work: Callable[[Cursor], Counts],
    *,
    dry_run: bool,
    failure: str,
) -> Counts:
    """Run a transaction, and restart it after conflicts with other sessions."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with connection.cursor() as cursor:
                outcome = work(cursor)
            if dry_run:
                connection.rollback()
            else:
                connection.commit()
            return outcome
        except (errors.DeadlockDetected, errors.SerializationFailure):
            connection.rollback()
            time.sleep(random.uniform(0, 0.1 * 2**attempt))
    raise UserError(
        f"{failure}, because other sessions kept writing to their rows: run it again"
    )


def give(cursor: Cursor, user_id: uuid.UUID) -> None:
    """Send the id of the user by COPY, whose rows no statement log contains.

    The table is of this transaction, because a pooler may change the session after it.
    """
    cursor.execute(
        "create temporary table given (user_id uuid not null, salt text not null "
        "default gen_random_uuid()::text || gen_random_uuid()::text) on commit drop"
    )
    with copying():
        cursor.copy_expert(
            "copy pg_temp.given (user_id) from stdin", io.StringIO(f"{user_id}\n")
        )


def _erase(
    schema: str,
    user_id: uuid.UUID,
    phases: tuple[str, ...],
    cursor: Cursor,
    *,
    is_continued: bool,
) -> Counts:
    """Run one transaction of an erasure. Returns changed rows and open payments."""
    give(cursor, user_id)
    find_person(cursor, schema)
    parts = statements(schema)
    rows: dict[str, int] = {}
    for phase in phases:
        for table, statement in parts[phase]:
            cursor.execute(statement)
            rows[table] = rows.get(table, 0) + cursor.rowcount
    home = sql.Identifier(schema)
    cursor.execute(sql.SQL(STILL_OPEN).format(schema=home))
    live_subscriptions, open_payouts = cursor.fetchone() or (0, 0)
    if any(rows.values()):
        cursor.execute(sql.SQL(NOTE).format(schema=home))
    if "activity" in phases:
        mixing.mix_activity(cursor, schema)
    if "account" in phases and (is_continued or any(rows.values())):
        # The record of an erasure has no time of day, which would join the person
        # to their activity.
        cursor.execute(
            sql.SQL(
                "insert into {}.audit_logs (action, resource_type, status) "
                "values ('user.erased', 'user', 'success')"
            ).format(home)
        )
        mixing.mix_accounts(cursor, schema)
    return rows, (live_subscriptions, open_payouts)


def find_person(cursor: Cursor, schema: str = "public") -> None:
    """Fill the tables of this transaction with the ids and times of the person.

    It locks the person's rows. A session that writes a row which refers to them has
    either committed, and is visible now, or waits.

    Raises:
        UserError: the user does not exist.
    """
    cursor.execute("set local lock_timeout = %s", (f"{LOCK_SECONDS}s",))
    cursor.execute("set local search_path = pg_catalog, pg_temp")
    cursor.execute(OWN_TABLES)
    for table, statement in statements(schema)["person"]:
        cursor.execute(statement)
        if table == "own_user" and cursor.rowcount == 0:
            cursor.execute("select user_id::text from given")
            (user_id,) = cursor.fetchone() or ("",)
            raise UserError(f"there is no user {user_id}: give an id of users.id")
