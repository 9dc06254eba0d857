"""Connections that look names up where no other role may create."""

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
from psycopg2 import extensions, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from saas_analytics import settings
from saas_analytics.database.messages import why_no_connection
from saas_analytics.errors import UserError
from saas_analytics.server import embedded

APPLICATION_NAME = "saas_analytics"
CONNECT_SECONDS = 10


class _Connection(Connection):
    """A connection whose transactions look names up where no other role may create.

    Nothing is set for the session: a pooler in transaction mode gives each transaction
    another one, and what is set there reaches other clients. Its loss is reported
    once, by the statement that noticed it.
    """

    search_path: sql.Composable = sql.SQL("pg_catalog, pg_temp")
    role: str | None = None

    def rollback(self) -> None:
        """Roll back; nothing is left to undo once the connection is gone."""
        if not self.closed:
            super().rollback()


class _Cursor(extensions.cursor):
    """A cursor that sets search_path and role of each transaction that it begins."""

    connection: _Connection

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002
        """Run a statement."""
        state = self.connection.info.transaction_status
        if state == extensions.TRANSACTION_STATUS_IDLE:
            path = self.connection.search_path
            super().execute(sql.SQL("set local search_path to {}").format(path))
            if self.connection.role is not None:
                role = sql.Identifier(self.connection.role)
                super().execute(sql.SQL("set local role {}").format(role))
        super().execute(query, vars)


def url_in_use(configuration: settings.Settings) -> str:
    """The libpq URL: the configured one, or the embedded server's, which it starts."""
    if configuration.database_url is not None:
        return configuration.database_url
    server = embedded.default_server()
    server.start()
    return server.url()


def connect(configuration: settings.Settings, user: str | None = None) -> Connection:
    """A connection that looks names up where no other role may create.

    Tables and functions of ours are named with their schema; see use_source().

    Raises:
        UserError: it can't be had, or the server is too old.
    """
    parameters = parse_dsn(url_in_use(configuration))
    if user is not None:
        parameters["user"] = user
    defaults = {
        "application_name": APPLICATION_NAME,
        "connect_timeout": str(CONNECT_SECONDS),
    }
    try:
        connection: _Connection = psycopg2.connect(
            **{**defaults, **parameters},
            connection_factory=_Connection,
            cursor_factory=_Cursor,
        )
    except psycopg2.OperationalError as error:
        raise UserError(why_no_connection(str(error), parameters)) from None
    major = connection.server_version // 10000
    if major < settings.OLDEST_SERVER:
        connection.close()
        raise UserError(
            f"the server is PostgreSQL {major}: version {settings.OLDEST_SERVER} or "
            "later is needed"
        )
    return connection


def use_source(connection: Connection, configuration: settings.Settings) -> None:
    """Look names up in the OLTP schema, for what names its tables alone.

    Make sure first that it is safe: see trust.py.
    """
    assert isinstance(connection, _Connection)
    connection.rollback()
    connection.search_path = sql.Identifier(configuration.source_schema)


def act_as(connection: Connection, role: str | None) -> None:
    """Let the transactions of a connection, from the next one on, act as a role."""
    assert isinstance(connection, _Connection)
    connection.role = role


def place(connection: Connection) -> str:
    """Host and port of a connection."""
    info = connection.info
    port = "" if info.host.startswith("/") else f":{info.port}"
    return f"{info.host}{port}"


def name_of(connection: Connection, configuration: settings.Settings) -> str:
    """Which database this is, for people: without who connects."""
    if configuration.database_url is None:
        return "the embedded server"
    return f"{connection.info.dbname} at {place(connection)}"


@contextlib.contextmanager
def connected(
    configuration: settings.Settings, user: str | None = None
) -> Iterator[Connection]:
    """A connection that is closed at the end; what was not committed is rolled back."""
    connection = connect(configuration, user)
    try:
        yield connection
    finally:
        connection.close()
