"""A private server for benchmarks, or scratch databases on the one in DATABASE_URL."""

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn, parse_dsn

from bootstrap import migrate
from saas_analytics import settings
from saas_analytics.server import embedded
from saas_analytics.urls import build_url

# PostgreSQL's defaults, except settings that keep the server private and plans stable.
CONFIGURATION = (
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("timezone", "UTC"),
    ("jit", "off"),
)


@dataclass(frozen=True)
class Server:
    """A server on which the benchmark may create databases."""

    url: str
    """URL of the database from which others are created and dropped."""

    databases: list[str] = field(default_factory=list)

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make a database, empty or a copy of one, and return its connection string."""
        database = self._database(name)
        source = template if template == "template1" else self._database(template)
        self._run("create database {} template {}", database, source)
        self.databases.append(database)
        return make_dsn(self.url, dbname=database)

    def drop_databases(self) -> None:
        """Drop every database that was made."""
        while self.databases:
            self._run("drop database if exists {} with (force)", self.databases.pop())

    def describe(self) -> str:
        """Version and the settings that matter for these figures, in one line."""
        names = ("server_version", "shared_buffers", "max_wal_size", "fsync")
        with contextlib.closing(connect(self.url)) as connection:
            values = []
            for name in (*names, "synchronous_commit"):
                with connection.cursor() as cursor:
                    cursor.execute("select current_setting(%s)", (name,))
                    values.append((name, *(cursor.fetchone() or ())))
        (_, version), *rest = values
        return f"PostgreSQL {version}, " + ", ".join(f"{k} = {v}" for k, v in rest)

    def _database(self, name: str) -> str:
        return f"saas_benchmark_{os.getpid()}_{name}"

    def _run(self, statement: str, *databases: str) -> None:
        with (
            contextlib.closing(connect(self.url)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, databases)))


def url_of(dsn: str) -> str:
    """The URL of a connection string."""
    parameters = parse_dsn(dsn)
    return build_url(
        host=parameters["host"],
        port=int(parameters.get("port", 5432)),
        database=parameters["dbname"],
        user=parameters.get("user"),
        password=parameters.get("password"),
    )


def connect(dsn: str) -> Connection:
    """A connection where each statement is a transaction."""
    connection: Connection = psycopg2.connect(dsn)
    connection.autocommit = True
    return connection


def apply_migrations(dsn: str, up_to: str = "head") -> None:
    """Run the migrations in order, each file as one transaction, as `psql -f` does."""
    revisions = migrate.revisions()
    if up_to != "head":
        revisions = revisions[: revisions.index(up_to) + 1]
    with contextlib.closing(connect(dsn)) as connection:
        for revision in revisions:
            run_file(connection, migrate.FOLDER / f"{revision}.sql")


def run_file(connection: Connection, path: Path) -> None:
    """Run a file of SQL."""
    with connection.cursor() as cursor:
        cursor.execute(path.read_text(encoding="utf-8"))


@contextlib.contextmanager
def scratch_server() -> Iterator[Server]:
    """The server of DATABASE_URL, or a private embedded one, removed at the end."""
    configured = settings.load().database_url
    if configured is not None:
        server = Server(configured)
        try:
            yield server
        finally:
            server.drop_databases()
        return
    # A terminated benchmark must not leave its server behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="saas-benchmark-") as folder:
        private = embedded.EmbeddedServer(Path(folder, "server"), CONFIGURATION)
        private.start()
        try:
            yield Server(private.url("postgres"))
        finally:
            private.stop()
