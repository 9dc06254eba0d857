"""Erasing a person: nothing stays that leads to them, and no money moves.

The SQL files say what happens to each table, mixing.py what keeps its traces apart, and
docs/reference/personal-data.md why.
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

# How often it starts again after others stood in its way.
ATTEMPTS = 5
LOCK_SECONDS = 10

PHASES = ("activity", "account")

# What is known of the person, for the transaction alone.
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

# A time that is exactly one of the account's, as another one of its quarter of an hour.
# Beyond these years a day has no quarters that every zone can show.
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
    """What erasing a person changed, or would change."""

    rows: dict[str, int]
    """How many rows of each table, none left out, in the order of the work."""

    live_subscriptions: int
    """Those that may still be charged for."""

    open_payouts: int
    """Commissions and payouts that were approved and not yet paid to the person."""


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
    """The expression that a call in the SQL files is short for."""
    return MOMENT.format(column=found[2], place=MOMENTS[found[1]])


def _blocks(text: str) -> list[tuple[str, str]]:
    blocks = re.split(r"^-- (\w+): .*\n", text, flags=re.MULTILINE)
    return list(zip(blocks[1::2], blocks[2::2], strict=True))


def erase(
    connection: Connection, user_id: uuid.UUID, *, dry_run: bool, schema: str = "public"
) -> Erasure:
    """Erase a person: what they did, then their account; safe to repeat.

    These are two transactions: nothing that both bear may join one to the other.
    Rows that others are writing at the same time are waited for, and erased too.

    Args:
        connection: it must not be in a transaction.
        user_id: users.id.
        dry_run: undo it all at the end.
        schema: of the OLTP tables.

    Raises:
        UserError: there is no such user, or others stay in its way.
    """
    # Each statement has to see what was committed while the one before waited.
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
            failure=f"what user {user_id} did is erased, and the account is not yet"
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
    """Do a transaction, from its start where others were in its way."""
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
    raise UserError(f"{failure}, as others kept writing to their rows: run it again")


def give(cursor: Cursor, user_id: uuid.UUID) -> None:
    """Give the server the id of the user: COPY's rows are in no log of statements.

    For this transaction alone: a pooler gives the next one another session.
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
    """One transaction of an erasure: the rows of each table, and what is still open."""
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
        # That it was done must be accounted for, and no more: the time of it would
        # join the person to what they did.
        cursor.execute(
            sql.SQL(
                "insert into {}.audit_logs (action, resource_type, status) "
                "values ('user.erased', 'user', 'success')"
            ).format(home)
        )
        mixing.mix_accounts(cursor, schema)
    return rows, (live_subscriptions, open_payouts)


def find_person(cursor: Cursor, schema: str = "public") -> None:
    """Put into tables of this transaction what the SQL files know of the person.

    Their own rows are locked on the way: whoever writes a row that refers to them has
    ended, and is seen from now on, or waits.

    Raises:
        UserError: there is no such user.
    """
    cursor.execute("set local lock_timeout = %s", (f"{LOCK_SECONDS}s",))
    cursor.execute("set local search_path = pg_catalog, pg_temp")
    cursor.execute(OWN_TABLES)
    for table, statement in statements(schema)["person"]:
        cursor.execute(statement)
        if table == "own_user" and cursor.rowcount == 0:
            cursor.execute("select user_id::text from given")
            (user_id,) = cursor.fetchone() or ("",)
            raise UserError(
                f"there is no user {user_id}: give an id as users.id has it"
            )
