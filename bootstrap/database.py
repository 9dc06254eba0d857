"""Connections, and what a database error means to a user."""

import contextlib
from collections.abc import Iterator

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from bootstrap import embedded, settings
from bootstrap.errors import UserError

APPLICATION_NAME = "saas_analytics"
CONNECT_SECONDS = 10


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
    url = url_in_use(configuration)
    parameters = parse_dsn(url)
    parameters.setdefault("application_name", APPLICATION_NAME)
    parameters.setdefault("connect_timeout", str(CONNECT_SECONDS))
    try:
        connection: Connection = psycopg2.connect(**parameters)
    except psycopg2.OperationalError as error:
        raise UserError(_why_no_connection(str(error), parse_dsn(url))) from None
    major = connection.server_version // 10000
    if major < settings.OLDEST_SERVER:
        connection.close()
        raise UserError(
            f"the server is PostgreSQL {major}: version {settings.OLDEST_SERVER} or "
            "later is needed"
        )
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("set search_path to {}").format(
                sql.Identifier(configuration.source_schema)
            )
        )
    connection.commit()
    return connection


@contextlib.contextmanager
def connected(configuration: settings.Settings) -> Iterator[Connection]:
    """A connection that is closed at the end; what was not committed is rolled back."""
    connection = connect(configuration)
    try:
        yield connection
    finally:
        connection.close()


def _why_no_connection(message: str, parameters: dict[str, str]) -> str:
    host = parameters.get("host", "localhost")
    where = f"{host}:{parameters.get('port', '5432')}"
    user = parameters.get("user", "")
    database = parameters.get("dbname", "")
    if "password authentication failed" in message or "no password supplied" in message:
        return (
            f'the server at {where} refused the password of user "{user}": correct it '
            "in DATABASE_URL or DB_PASSWORD"
        )
    if "database" in message and "does not exist" in message:
        return (
            f'there is no database "{database}" at {where}: create it (createdb '
            f"{database}), or correct DATABASE_URL or DB_NAME"
        )
    if "role" in message and "does not exist" in message:
        return (
            f'there is no user "{user}" at {where}: create it, or correct DATABASE_URL '
            "or DB_USER"
        )
    if "permission denied for database" in message:
        return (
            f'user "{user}" may not connect to "{database}": grant connect on database '
            f'"{database}" to "{user}"'
        )
    if "too many" in message and ("clients" in message or "connections" in message):
        return f"the server at {where} has no connection left: close some, or try later"
    if "pg_hba.conf" in message or "SSL" in message or "certificate" in message:
        return f"the server at {where} refused the connection: {_last_line(message)}"
    return (
        f"no PostgreSQL server answers at {where} ({_last_line(message)}): start it, "
        "or correct DATABASE_URL or DB_HOST and DB_PORT"
    )


def _last_line(message: str) -> str:
    """The reason, without libpq's hints on the lines after it."""
    first = message.strip().splitlines()[0]
    return first.rsplit("failed: ", 1)[-1].removeprefix("FATAL:").strip()


def explain(error: psycopg2.Error) -> str:
    """A database error in one line, with what to do where that is known."""
    message = " ".join((error.diag.message_primary or str(error)).split())
    if error.pgcode == "42501":
        return f"{message}: ask the owner for the privilege, or connect as the owner"
    if error.pgcode == "53100":
        return f"the server's disk is full ({message}): make room and run it again"
    if error.pgcode in ("55P03", "57014"):
        return f"{message}: somebody holds a lock; run it again"
    if error.pgcode is None and isinstance(
        error, (psycopg2.OperationalError, psycopg2.InterfaceError)
    ):
        return f"the connection to the server was lost ({message}): run it again"
    return message
