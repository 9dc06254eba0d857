"""Writes the company into the database, in one transaction.

COPY writes the rows into the application's tables, with constraints and triggers. While
the server reads one batch, a second thread makes the next one.
"""

from __future__ import annotations

import datetime as dt
import io
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psycopg2
from psycopg2 import extensions, sql
from rich.console import Console

from bootstrap.demo.api import incident
from bootstrap.demo.arguments import HISTORY_DAYS, Arguments, check_arguments
from bootstrap.demo.catalogue import FEATURES
from bootstrap.demo.company import Company, events, found, tables
from bootstrap.demo.progress import Step, Steps
from bootstrap.demo.rows import Row
from bootstrap.demo.text_copy import column_names, copy_text
from bootstrap.demo.threads import ahead, check
from saas_analytics.database import explain, locks
from saas_analytics.database.interrupts import (
    lost_connection_named,
    run_interruptibly,
)
from saas_analytics.errors import UserError

Connection = extensions.connection
Cursor = extensions.cursor

EMPTY_TABLES = (
    "users",
    "licenses",
    "teams",
    "team_members",
    "subscriptions",
    "payment_transactions",
    "affiliates",
    "affiliate_referrals",
    "affiliate_commissions",
    "affiliate_payouts",
    "affiliate_clicks",
    "usage_events",
    "usage_aggregates_daily",
    "usage_aggregates_monthly",
    "feature_usage",
    "api_usage",
    "error_logs",
    "audit_logs",
)
"""The tables that the demo fills. They must be empty."""

# The key of an advisory lock, which no other program of the database uses.
LOCK_NUMBER = 7_226_004

EVENT_TABLES = ("usage_events", "api_usage", "error_logs", "audit_logs")

_SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # Compiling thousands of small statements takes longer than running them.
    "jit": "off",
    # A day's events are adjacent on disk. By default the planner expects them to be
    # scattered, and each day's aggregation reads the whole month.
    "random_page_cost": "1.1",
    # So the groups of feature_usage fit into memory.
    "work_mem": "64MB",
}
"""Settings of the load's transaction, which override the server's."""

INTEGER_BYTES = {"smallint": 2, "integer": 4, "bigint": 8}


@dataclass(frozen=True, slots=True)
class Summary:
    """The outcome of a load: rows by table, and the time of the incident."""

    rows: dict[str, int]
    begin: dt.datetime
    until: dt.datetime
    incident: tuple[dt.datetime, dt.datetime]
    scale: float
    seed: int
    seconds: float

    def __str__(self) -> str:
        events = sum(self.rows[table] for table in EVENT_TABLES)
        return (
            f"{self.rows['users']:,} users, {self.rows['licenses']:,} licenses and "
            f"{events:,} events up to {self.until:%Y-%m-%d %H:%M} UTC, "
            f"loaded in {self.seconds:.1f} s"
        )


def load_demo(
    connection_or_dsn: Connection | str,
    *,
    scale: float = 1.0,
    seed: int = 1,
    until: dt.date | None = None,
    console: Console | None = None,
) -> Summary:
    """Fill an empty database with a plausible company, in one transaction.

    Equal arguments give equal rows, except values that the database sets:
    `affiliates.updated_at` (the counters' trigger) and, in the two usage aggregates,
    `id`, `created_at` and `updated_at`. The connection's search_path names the schema.

    Raises:
        UserError: a bad argument, tables that are missing or not empty, or an error of
            the database.
        KeyboardInterrupt: Ctrl-C, which also cancels the running statement.
    """
    now = dt.datetime.now(dt.timezone.utc)
    arguments = check_arguments(scale, seed, until, now)
    console = console or Console(stderr=True)
    if not isinstance(connection_or_dsn, str):
        return _load(connection_or_dsn, arguments, console)
    connection = psycopg2.connect(connection_or_dsn)
    try:
        return _load(connection, arguments, console)
    finally:
        connection.close()


def _load(connection: Connection, arguments: Arguments, console: Console) -> Summary:
    stop = threading.Event()
    had_autocommit = connection.autocommit
    if had_autocommit:
        connection.autocommit = False
    try:
        with Steps(console) as steps:
            summary = run_interruptibly(
                lambda: _in_one_transaction(connection, arguments, steps, stop),
                connection,
                stop,
            )
        console.print(str(summary), highlight=False, soft_wrap=True)
        return summary
    except psycopg2.Error as error:
        raise UserError(f"the demo was not loaded: {explain(error)}") from None
    finally:
        if had_autocommit and not connection.closed:
            connection.autocommit = True


def _in_one_transaction(
    connection: Connection, arguments: Arguments, steps: Steps, stop: threading.Event
) -> Summary:
    started = time.monotonic()
    rows: Counter[str] = Counter()
    try:
        with lost_connection_named(), connection.cursor() as cursor:
            for setting, value in _SETTINGS.items():
                cursor.execute(
                    sql.SQL("set local {} to %s").format(sql.Identifier(setting)),
                    (value,),
                )
            _require_empty(cursor)
            loader = _Loader(cursor, arguments, steps, rows, stop)
            loader.run()
        check(stop)
        connection.commit()
    except BaseException:
        with suppress(psycopg2.Error):
            connection.rollback()
        raise
    return Summary(
        rows=dict(rows),
        begin=arguments.begin,
        until=arguments.until,
        incident=incident(arguments),
        scale=arguments.scale,
        seed=arguments.seed,
        seconds=time.monotonic() - started,
    )


def _require_empty(cursor: Cursor) -> None:
    """Refuse a database without the tables or with rows; wait for another load."""
    locks.take(cursor, LOCK_NUMBER, "another load of the demo company")
    for table in EMPTY_TABLES:
        cursor.execute("select to_regclass(%s) is not null", (table,))
        if cursor.fetchone() != (True,):
            raise UserError(f"there is no table {table}: run `saas migrate` first")
        query = sql.SQL("select exists (select from {})")
        cursor.execute(query.format(sql.Identifier(table)))
        if cursor.fetchone() == (True,):
            raise UserError(
                f"{table} has rows, but the demo only fills an empty schema: name "
                "another database in DATABASE_URL or another schema in DB_SCHEMA"
            )


class _Loader:
    """The steps of the load within its transaction."""

    def __init__(
        self,
        cursor: Cursor,
        arguments: Arguments,
        steps: Steps,
        rows: Counter[str],
        stop: threading.Event,
    ) -> None:
        self._cursor = cursor
        self._arguments = arguments
        self._steps = steps
        self._rows = rows
        self._stop = stop

    def run(self) -> None:
        """Load everything, parents first."""
        with self._steps.step("company", 1):
            company = found(self._arguments)
        self._copy_tables(company)
        self._make_partitions()
        self._copy_events(company)
        self._fill_feature_usage()
        self._aggregate()
        self._analyze()

    def _copy_tables(self, company: Company) -> None:
        contents = tables(company, self._arguments)
        with self._steps.step("accounts, billing", len(contents)) as step:
            for position, (row_type, rows) in enumerate(contents, start=1):
                check(self._stop)
                self._copy_rows(row_type, rows)
                self._wrote(step, row_type.TABLE, len(rows))
                step.reached(position)

    def _copy_rows(self, row_type: type[Row], rows: Iterable[Row]) -> None:
        command = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier(row_type.TABLE),
            sql.SQL(", ").join(map(sql.Identifier, column_names(row_type))),
        )
        text = "".join(copy_text(rows, row_type))
        self._cursor.copy_expert(command, io.StringIO(text), 1 << 16)

    def _make_partitions(self) -> None:
        self._cursor.execute(
            "select create_event_partitions(%s, %s)",
            (self._arguments.begin.date(), self._arguments.until.date()),
        )

    def _copy_events(self, company: Company) -> None:
        widths = self._integer_widths("api_usage")
        batches = events(company, widths, self._arguments)
        with self._steps.step("events", HISTORY_DAYS + 1) as step:
            for load in ahead(batches, self._stop):
                check(self._stop)
                command = sql.SQL("copy {} ({}) from stdin (format binary)").format(
                    sql.Identifier(load.table),
                    sql.SQL(", ").join(map(sql.Identifier, load.columns)),
                )
                self._cursor.copy_expert(command, io.BytesIO(load.payload), 1 << 20)
                self._wrote(step, load.table, load.rows)
                step.reached(load.day)

    def _integer_widths(self, table: str) -> dict[str, int]:
        """Return the widths in bytes of the table's integer columns.

        An application may have widened them, and the binary format requires the
        column's width.
        """
        self._cursor.execute(
            "select attname, format_type(atttypid, null) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            (table,),
        )
        return {
            column: INTEGER_BYTES[data_type]
            for column, data_type in self._cursor.fetchall()
            if data_type in INTEGER_BYTES
        }

    def _fill_feature_usage(self) -> None:
        """Fill feature_usage, as the application does at each use of a feature."""
        with self._steps.step("feature usage", 1) as step:
            check(self._stop)
            self._cursor.execute(
                _FEATURE_USAGE,
                (
                    [feature.name for feature in FEATURES],
                    [feature.category for feature in FEATURES],
                ),
            )
            self._wrote(step, "feature_usage", self._cursor.rowcount)

    def _aggregate(self) -> None:
        """Run the aggregation day by day, as a scheduler does."""
        first = self._arguments.begin.date()
        last = self._arguments.until.date()
        months = list(_months(first, last))
        with self._steps.step("aggregates", len(months)) as step:
            for position, month in enumerate(months, start=1):
                check(self._stop)
                following = (month + dt.timedelta(days=32)).replace(day=1)
                self._cursor.execute(
                    "select count(aggregate_daily_usage(day::date)) "
                    "from generate_series(%s::timestamp, %s, interval '1 day') as day",
                    (
                        max(month, first),
                        min(following - dt.timedelta(days=1), last),
                    ),
                )
                check(self._stop)
                self._cursor.execute(
                    "select aggregate_monthly_usage(%s, %s)", (month.year, month.month)
                )
                step.reached(position)
            for table in ("usage_aggregates_daily", "usage_aggregates_monthly"):
                query = sql.SQL("select count(*) from {}")
                self._cursor.execute(query.format(sql.Identifier(table)))
                counted = self._cursor.fetchone()
                self._wrote(step, table, counted[0] if counted else 0)

    def _analyze(self) -> None:
        """Analyze the tables, so that the planner has statistics at once."""
        self._cursor.execute("set local default_statistics_target to 20")
        with self._steps.step("statistics", len(EMPTY_TABLES)) as step:
            for position, table in enumerate(EMPTY_TABLES, start=1):
                check(self._stop)
                query = sql.SQL("analyze {}")
                self._cursor.execute(query.format(sql.Identifier(table)))
                step.reached(position)

    def _wrote(self, step: Step, table: str, rows: int) -> None:
        self._rows[table] += rows
        step.wrote(table, rows)


_FEATURE_USAGE = """
with uses as (
    select
        user_id,
        license_id,
        event_name,
        min(occurred_at) as first_used_at,
        max(occurred_at) as last_used_at,
        count(*) as total_uses,
        min(created_at) as created_at,
        max(created_at) as updated_at
    from usage_events
    where event_category = 'feature'
    group by user_id, license_id, event_name
)

insert into feature_usage (
    id, user_id, license_id, feature_name, feature_category,
    first_used_at, last_used_at, total_uses, created_at, updated_at
)
select
    md5(concat_ws('/', uses.user_id, uses.license_id, uses.event_name))::uuid,
    uses.user_id,
    uses.license_id,
    uses.event_name,
    feature.category,
    uses.first_used_at,
    uses.last_used_at,
    uses.total_uses,
    uses.created_at,
    uses.updated_at
from uses
left join unnest(%s::text[], %s::text[]) as feature (name, category)
    on uses.event_name = feature.name
"""


def _months(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = (month + dt.timedelta(days=32)).replace(day=1)
