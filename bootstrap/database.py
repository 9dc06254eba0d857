"""Connections, and what a database error means to a user."""

import contextlib
import select
from collections.abc import Iterator

import psycopg2
from psycopg2 import extensions, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from bootstrap import embedded, settings
from bootstrap.errors import UserError

APPLICATION_NAME = "saas_analytics"
CONNECT_SECONDS = 10


class _Connection(Connection):
    """A connection whose loss is reported once, by the statement that noticed it."""

    def rollback(self) -> None:
        """Roll back; nothing is left to undo once the connection is gone."""
        if not self.closed:
            super().rollback()


def url_in_use(configuration: settings.Settings) -> str:
    """The libpq URL: the configured one, or the embedded server's, which it starts."""
    if configuration.database_url is not None:
        return configuration.database_url
    server = embedded.default_server()
    server.start()
    return server.url()


def connect(configuration: settings.Settings) -> Connection:
    """A connection whose search_path is the OLTP schema.

    Raises:
        UserError: it can't be had, or the server is too old.
    """
    parameters = parse_dsn(url_in_use(configuration))
    defaults = {
        "application_name": APPLICATION_NAME,
        "connect_timeout": str(CONNECT_SECONDS),
    }
    try:
        connection: Connection = psycopg2.connect(
            **{**defaults, **parameters}, connection_factory=_Connection
        )
    except psycopg2.OperationalError as error:
        raise UserError(_why_no_connection(str(error), parameters)) from None
    major = connection.server_version // 10000
    if major < settings.OLDEST_SERVER:
        connection.close()
        raise UserError(
            f"the server is PostgreSQL {major}: version {settings.OLDEST_SERVER} or "
            "later is needed"
        )
    with connection, connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("set search_path to {}").format(
                sql.Identifier(configuration.source_schema)
            )
        )
    return connection


def name_of(connection: Connection, configuration: settings.Settings) -> str:
    """Which database this is, for people: without who connects."""
    if configuration.database_url is None:
        return "the embedded server"
    place = connection.info
    port = "" if place.host.startswith("/") else f":{place.port}"
    return f"{place.dbname} at {place.host}{port}"


@contextlib.contextmanager
def connected(configuration: settings.Settings) -> Iterator[Connection]:
    """A connection that is closed at the end; what was not committed is rolled back."""
    connection = connect(configuration)
    try:
        yield connection
    finally:
        connection.close()


def has_source(connection: Connection, configuration: settings.Settings) -> bool:
    """Whether there is any table that the marts are made of, or one by its name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select exists (select from pg_class where relname in "
            "('users', 'usage_events') "
            "and relnamespace = to_regnamespace(quote_ident(%s)))",
            (configuration.source_schema,),
        )
        return cursor.fetchone() == (True,)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C cancel the statement that runs, on any connection.

    By itself psycopg2 waits for the server's answer first. COPY works outside only.
    """
    extensions.set_wait_callback(_wait)
    try:
        yield
    finally:
        extensions.set_wait_callback(None)


def _wait(connection: Connection) -> None:
    try:
        while (state := connection.poll()) != extensions.POLL_OK:
            if state == extensions.POLL_READ:
                select.select([connection.fileno()], [], [])
            else:
                select.select([], [connection.fileno()], [])
    except KeyboardInterrupt:
        # psycopg2 closes the connection after this; the server must not work on.
        connection.cancel()
        raise


def _why_no_connection(message: str, parameters: dict[str, str]) -> str:
    """What a user can do about a refused connection: libpq gives no error code."""
    host = parameters.get("host", "localhost")
    port = parameters.get("port", "5432")
    where = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"
    user = parameters.get("user", "")
    database = parameters.get("dbname", "")
    # One such line per address that was tried; the last one counts.
    lines = message.splitlines()
    tried = [line for line in lines if " failed: " in line] or lines[:1] or [""]
    reason = tried[-1].rsplit(" failed: ", 1)[-1]
    refusal = reason.removeprefix("FATAL:").strip()

    if "password authentication failed" in reason or "no password supplied" in reason:
        return (
            f'the server at {where} refused the password of user "{user}": correct it '
            "in DATABASE_URL or DB_PASSWORD"
        )
    if f'database "{database}" does not exist' in reason:
        return (
            f'there is no database "{database}" at {where}: create it (createdb '
            f"{database}), or correct DATABASE_URL or DB_NAME"
        )
    if f'role "{user}" does not exist' in reason:
        return (
            f'there is no user "{user}" at {where}: create it, or correct DATABASE_URL '
            "or DB_USER"
        )
    if "permission denied for database" in reason:
        return (
            f'user "{user}" may not connect to "{database}": grant connect on database '
            f'"{database}" to "{user}"'
        )
    if "too many clients" in reason or "connection slots are reserved" in reason:
        return f"the server at {where} has no connection left: close some, or try later"
    if "starting up" in reason or "shutting down" in reason or "recovery" in reason:
        return f"the server at {where} is not ready ({refusal}): try again in a moment"
    if reason.startswith("invalid"):
        return f"DATABASE_URL has an option that can't be used: {reason}"
    if "FATAL" in reason or "SSL" in reason or "certificate" in reason:
        return (
            f"the server at {where} refused the connection ({refusal}): correct "
            "DATABASE_URL, or the server's settings"
        )
    return (
        f"no PostgreSQL server answers at {where} ({reason}): start it, "
        "or correct DATABASE_URL or DB_HOST and DB_PORT"
    )


def explain(error: psycopg2.Error) -> str:
    """A database error in one line, with what to do where that is known."""
    code = error.pgcode or ""
    message = error.diag.message_primary or str(error).strip().partition("\n")[0]
    detail = (error.diag.message_detail or "").partition("\n")[0]
    if code.startswith("57P") or (
        not code and isinstance(error, psycopg2.OperationalError)
    ):
        return f"the connection to the server was lost ({message}): run it again"
    if code == "25006":
        return f"{message}: this server is a standby or read-only; name the primary one"
    if code == "2BP01":
        return f"{message} ({detail}): drop what depends on it first"
    if code in ("42501", "P0001") and error.diag.message_hint:
        return f"{message}: {error.diag.message_hint}"
    if code == "42501":
        return f"{message}: ask the owner for the privilege, or connect as the owner"
    if code == "53100":
        return f"the server's disk is full ({message}): make room and run it again"
    if code == "55P03":
        return f"{message}: somebody else uses the table; run it again"
    return message
