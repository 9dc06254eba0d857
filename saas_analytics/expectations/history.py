"""The values of earlier runs: a table with one row per measure, part and run date.

A run replaces the values of an earlier run on the same day, so values from before a
correction do not remain.
"""

import datetime as dt
from collections.abc import Iterable

import pandas as pd
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import execute_values

from saas_analytics.database import locks
from saas_analytics.errors import UserError
from saas_analytics.settings import Settings

COLUMNS = ["run_date", "measure", "part", "value"]

# Applies also to measures that no suite has any more.
KEPT = "100 days"

_LOCK = 7226003

_CREATE = """
    create table {table} (
        run_date date not null,
        measure text not null,
        part text not null,
        value double precision not null,
        measured_at timestamptz not null default now(),
        primary key (measure, part, run_date)
    )
"""

_REPLACE = """
    insert into {table} (run_date, measure, part, value) values %s
    on conflict (measure, part, run_date)
    do update set value = excluded.value, measured_at = excluded.measured_at
"""


def schema(settings: Settings) -> str:
    """The name of the table's schema."""
    return f"{settings.marts_schema}_expectations"


def table(settings: Settings) -> sql.Identifier:
    """The table's name, quoted."""
    return sql.Identifier(schema(settings), "measurements")


def install(connection: Connection, settings: Settings) -> None:
    """Create the table if it is missing.

    Raises:
        UserError: its schema is missing, and this user may not create it.
    """
    home = schema(settings)
    with connection, connection.cursor() as cursor:
        # Two first runs could create the table at the same time.
        locks.take(cursor, _LOCK, "another run of the expectations")
        cursor.execute("select to_regnamespace(quote_ident(%s)) is null", (home,))
        if (cursor.fetchone() or (True,))[0]:
            _create_schema(cursor, home)
        if not _is_there(cursor, settings):
            cursor.execute(sql.SQL(_CREATE).format(table=table(settings)))


def _is_there(cursor: Cursor, settings: Settings) -> bool:
    name = table(settings).as_string(cursor)
    cursor.execute("select to_regclass(%s) is not null", (name,))
    return bool((cursor.fetchone() or (False,))[0])


def _create_schema(cursor: Cursor, name: str) -> None:
    try:
        cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))
    except errors.InsufficientPrivilege:
        raise UserError(
            f'schema "{name}" does not exist and this user may not create it: run '
            "`saas roles` as the owner of the source"
        ) from None


def read(cursor: Cursor, settings: Settings, run_date: dt.date) -> pd.DataFrame:
    """The values of earlier days; empty before the first run."""
    rows = []
    if _is_there(cursor, settings):
        query = "select run_date, measure, part, value from {table} where run_date < %s"
        cursor.execute(sql.SQL(query).format(table=table(settings)), (run_date,))
        rows = cursor.fetchall()
    return pd.DataFrame(rows, columns=COLUMNS)


def write(
    connection: Connection,
    settings: Settings,
    run_date: dt.date,
    values: Iterable[tuple[str, str, float]],
) -> None:
    """Record this run's values (measure, part, value) and delete expired ones."""
    name = table(settings)
    with connection, connection.cursor() as cursor:
        # Sorted: two runs that lock rows in one order can't deadlock.
        rows = [(run_date, *value) for value in sorted(values)]
        execute_values(cursor, sql.SQL(_REPLACE).format(table=name), rows)
        cursor.execute(
            sql.SQL("delete from {table} where run_date < %s - %s::interval").format(
                table=name
            ),
            (run_date, KEPT),
        )
