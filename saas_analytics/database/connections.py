"""Connections that resolve names only in schemas where no other role may create."""

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
    """A connection whose transactions set their own search_path and role.

    It sets nothing for the session, because a pooler in transaction mode shares
    sessions between clients. Only the statement that notices it reports a lost
    connection.
    """

    search_path: sql.Composable = sql.SQL("pg_catalog, pg_temp")
    role: str | None = None

    def rollback(self) -> None:
        """Roll back, unless the connection is lost: then the server has rolled back."""
        if not self.closed:
            super().rollback()


class _Cursor(extensions.cursor):
    """A cursor that sets search_path and role in each transaction that it begins."""

    connection: _Connection

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002
        """Run a statement, in a transaction with the search_path and role."""
        state = self.connection.info.transaction_status
        if state == extensions.TRANSACTION_STATUS_IDLE:
            path = self.connection.search_path
            super().execute(sql.SQL("set local search_path to {}").format(path))
            if self.connection.role is not None:
                role = sql.Identifier(self.connection.role)
                super().execute(sql.SQL("set local role {}").format(role))
        super().execute(query, vars)


def url_in_use(configuration: settings.Settings) -> str:
    """The configured libpq URL, or that of the embedded server, which it starts."""
    if configuration.database_url is not None:
        return configuration.database_url
    server = embedded.default_server()
    server.start()
    return server.url()


def connect(configuration: settings.Settings, user: str | None = None) -> Connection:
    """A connection whose search_path is pg_catalog.

    Statements name the schema of the project's tables and functions, or call
    use_source() first.

    Raises:
        UserError: the server refuses the connection, does not answer or is too old.
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
            f"the server is PostgreSQL {major}: name a server of version "
            f"{settings.OLDEST_SERVER} or later in DATABASE_URL"
        )
    return connection


def use_source(connection: Connection, configuration: settings.Settings) -> None:
    """Set search_path to the OLTP schema, for statements that name no schema.

    Call trust.py's check of that schema first.
    """
    assert isinstance(connection, _Connection)
    connection.rollback()
    connection.search_path = sql.Identifier(configuration.source_schema)


def act_as(connection: Connection, role: str | None) -> None:
    """Make the next transactions of a connection act as a role."""
    assert isinstance(connection, _Connection)
    connection.role = role


def place(connection: Connection) -> str:
    """Host and port of a connection."""
    info = connection.info
    port = "" if info.host.startswith("/") else f":{info.port}"
    return f"{info.host}{port}"


def name_of(connection: Connection, configuration: settings.Settings) -> str:
    """A name of the database for messages, without the user."""
    if configuration.database_url is None:
        return "the embedded server"
    return f"{connection.info.dbname} at {place(connection)}"


@contextlib.contextmanager
def connected(
    configuration: settings.Settings, user: str | None = None
) -> Iterator[Connection]:
    """A connection that is closed at the end, which rolls back an open transaction."""
    connection = connect(configuration, user)
    try:
        yield connection
    finally:
        connection.close()
