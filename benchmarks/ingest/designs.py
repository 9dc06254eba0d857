"""The two designs under test, each in its own database, and the rows for both."""

import contextlib
import datetime
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from benchmarks import server
from bootstrap import migrate

FOLDER = Path(__file__).resolve().parent

# Without change capture, whose cost benchmarks.capture measures.
BEFORE_CAPTURE = "003_analytics"

# The number of rows of each table for one usage event.
SHARES = {
    "usage_events": 1.0,
    "api_usage": 0.2,
    "error_logs": 0.05,
    "audit_logs": 0.05,
}


@dataclass(frozen=True)
class Design:
    """One design of the event tables."""

    name: str
    dsn: str
    connection: Connection


def in_turn(designs: Sequence[Design], turn: int) -> list[Design]:
    """The designs, another one going first in each turn."""
    first = turn % len(designs)
    return [*designs[first:], *designs[:first]]


@dataclass(frozen=True)
class Rows:
    """The source of the generated rows."""

    connection: Connection
    total: int
    until: datetime.datetime

    def count(self, table: str) -> int:
        """How many rows a table gets."""
        return int(self.total * SHARES[table])

    def values(self, table: str, column: str, start: int, stop: int) -> list[object]:
        """The values of one column in some rows of a table."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("select {} from ({}) as made_up").format(
                    sql.Identifier(column), self._query(table, start, stop)
                )
            )
            return [value for (value,) in cursor.fetchall()]

    def columns(self, table: str) -> list[str]:
        """The columns that the rows of a table have."""
        with self.connection.cursor() as cursor:
            cursor.execute(self._query(table, 0, 0))
            return [column.name for column in cursor.description or ()]

    def as_copy(self, table: str, start: int, stop: int) -> str:
        """Some rows of a table in COPY's text format."""
        lines = io.StringIO()
        with self.connection.cursor() as cursor:
            cursor.copy_expert(
                sql.SQL("copy ({}) to stdout").format(self._query(table, start, stop)),
                lines,
            )
        return lines.getvalue()

    def for_single_inserts(self, count: int) -> tuple[list[str], list[tuple[str, ...]]]:
        """Columns without occurred_at, and usage events as texts."""
        columns = [
            name for name in self.columns("usage_events") if name != "occurred_at"
        ]
        texts = (sql.SQL("{}::text").format(sql.Identifier(name)) for name in columns)
        with self.connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("select {} from ({}) as made_up").format(
                    sql.SQL(", ").join(texts),
                    self._query("usage_events", self.total, self.total + count),
                )
            )
            return columns, cursor.fetchall()

    def _query(self, table: str, start: int, stop: int) -> sql.Composed:
        return sql.SQL("select * from {}({}, {}, {}, {})").format(
            sql.Identifier(f"synthetic_{table}"),
            *map(sql.Literal, (start, stop, self.count(table), self.until)),
        )


@contextlib.contextmanager
def build(scratch: server.Server, total: int) -> Iterator[tuple[Design, Design, Rows]]:
    """Both designs with accounts and without events: the plain one and ours."""
    with (
        _plain(scratch) as plain,
        ours(scratch, "ours", up_to=BEFORE_CAPTURE) as design,
        made_up_rows(scratch, total) as rows,
    ):
        yield plain, design, rows


@contextlib.contextmanager
def _plain(scratch: server.Server) -> Iterator[Design]:
    dsn = scratch.create_database("plain")
    with contextlib.closing(server.connect(dsn)) as connection:
        server.run_file(connection, migrate.FOLDER / "001_initial_schema.sql")
        server.run_file(connection, FOLDER / "plain.sql")
        server.run_file(connection, FOLDER / "synthetic_accounts.sql")
        yield Design("plain", dsn, connection)


@contextlib.contextmanager
def ours(scratch: server.Server, name: str, *, up_to: str = "head") -> Iterator[Design]:
    """The migrations' design up to one of them, with accounts, in a new database."""
    dsn = scratch.create_database(name)
    server.apply_migrations(dsn, up_to)
    with contextlib.closing(server.connect(dsn)) as connection:
        server.run_file(connection, FOLDER / "synthetic_accounts.sql")
        with connection.cursor() as cursor:
            # The made-up year, and a month more for its first late rows.
            cursor.execute(
                "select create_event_partitions("
                "(now() - interval '13 months')::date, now()::date)"
            )
        yield Design(name, dsn, connection)


@contextlib.contextmanager
def made_up_rows(scratch: server.Server, total: int) -> Iterator[Rows]:
    """The source of so many usage events up to now, in its own database."""
    dsn = scratch.create_database("source")
    with (
        contextlib.closing(server.connect(dsn)) as connection,
        connection.cursor() as cursor,
    ):
        server.run_file(connection, FOLDER / "synthetic_events.sql")
        cursor.execute("select date_trunc('hour', now())")
        (until,) = cursor.fetchone() or ()
        yield Rows(connection, total, until)
