"""Connections, and what a database error means to a user."""

import contextlib
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
from psycopg2 import extensions, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from bootstrap import embedded, settings
from bootstrap.errors import UserError

APPLICATION_NAME = "saas_analytics"
CONNECT_SECONDS = 10

# How often a pooler is asked whether it shares sessions; the first answer is mostly it.
POOLER_TRIES = 5


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
        raise UserError(_why_no_connection(str(error), parameters)) from None
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


def refuse_shared_sessions(
    connection: Connection, configuration: settings.Settings
) -> None:
    """Stop where a pooler gives each transaction another session of the server.

    Raises:
        UserError: it does, and a lock of the session would be another client's.
    """
    # A pooler makes up the process id that it gives a client at the start.
    if _session(connection) == connection.info.backend_pid:
        return
    for _ in range(POOLER_TRIES):
        own = _session(connection)
        with closing(connect(configuration)) as other, other.cursor() as cursor:
            # Its transaction stays open: it keeps a session that was given up.
            cursor.execute("select pg_backend_pid()")
            is_shared = cursor.fetchone() == (own,)
            if is_shared or _session(connection) != own:
                raise UserError(
                    f"{_place(connection)} is a pooler in transaction mode, where the "
                    "lock that keeps migrations apart does not hold: name PostgreSQL "
                    "itself in OWNER_DATABASE_URL"
                )


def _session(connection: Connection) -> int:
    """The server process of a transaction of its own."""
    with connection, connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (process,) = cursor.fetchone() or (0,)
    return int(process)


def _place(connection: Connection) -> str:
    """Host and port of a connection."""
    place = connection.info
    port = "" if place.host.startswith("/") else f":{place.port}"
    return f"{place.host}{port}"


def name_of(connection: Connection, configuration: settings.Settings) -> str:
    """Which database this is, for people: without who connects."""
    if configuration.database_url is None:
        return "the embedded server"
    return f"{connection.info.dbname} at {_place(connection)}"


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


def has_source(connection: Connection, configuration: settings.Settings) -> bool:
    """Whether there is any table that the marts are made of, or one by its name."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select exists (select from pg_class where relname in "
            "('users', 'usage_events') "
            "and relnamespace = to_regnamespace(quote_ident(%s)))",
            (configuration.source_schema,),
        )
        return cursor.fetchone() == (True,)


def require_source(connection: Connection, configuration: settings.Settings) -> None:
    """Stop where the schema in the settings is not that of the OLTP tables.

    Raises:
        UserError: it holds none of them; where another schema does, it names that.
    """
    if has_source(connection, configuration):
        return
    if misplaced := misplaced_source(connection, configuration):
        raise UserError(misplaced)
    schema = configuration.source_schema
    raise UserError(
        f'the source tables are not there, in schema "{schema}": run '
        "`python -m bootstrap migrate` first, or name another in DB_SCHEMA"
    )


def misplaced_source(
    connection: Connection, configuration: settings.Settings
) -> str | None:
    """What is wrong with DB_SCHEMA, where only another schema has the OLTP tables."""
    others = schemas_with_source(connection)
    if not others or has_source(connection, configuration):
        return None
    return (
        "the source tables are not there, in schema "
        f'"{configuration.source_schema}": {" and ".join(others)}; correct DB_SCHEMA'
    )


def schemas_with_source(connection: Connection) -> list[str]:
    """The schemas that have the OLTP tables, quoted."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select 'schema \"' || relnamespace::regnamespace::text || '\" has them' "
            "from pg_class where relname in ('users', 'usage_events', 'licenses') "
            "and relkind in ('r', 'p') group by relnamespace having count(*) = 3 "
            "order by 1"
        )
        return [schema for (schema,) in cursor.fetchall()]


def require_owner(connection: Connection, configuration: settings.Settings) -> None:
    """Stop where the OLTP tables belong to another role than the connected user.

    Raises:
        UserError: they do; it says which setting names the owner's connection.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select current_user::text, pg_get_userbyid(relowner)::text from pg_class "
            "where relname in ('usage_events', 'alembic_version') "
            "and relnamespace = to_regnamespace(quote_ident(%s)) "
            "and not pg_has_role(relowner, 'usage') limit 1",
            (configuration.source_schema,),
        )
        found = cursor.fetchone()
    if found is not None:
        user, owner = found
        raise UserError(
            f'user "{user}" may not change the source tables, which belong to '
            f'"{owner}": set OWNER_DATABASE_URL to the owner\'s connection'
        )


def require_unicode(connection: Connection) -> None:
    """Stop where the database can't hold every text.

    Raises:
        UserError: its encoding is another one than UTF8.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8"):
        raise UserError(
            f'database "{connection.info.dbname}" has the encoding {encoding}, but the '
            "marts need UTF8: make one with `createdb --encoding=UTF8 "
            "--template=template0 NAME`, and name it in DATABASE_URL"
        )


def require_builder(connection: Connection, configuration: settings.Settings) -> None:
    """Stop where the connected user could build no mart.

    Raises:
        UserError: the user may not read the source, or make tables for the marts.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select current_user::text, current_database()::text, array("
            "select schema from unnest(%s) as schema where not case "
            "when to_regnamespace(quote_ident(schema)) is null "
            "then has_database_privilege(current_database(), 'create') "
            "else has_schema_privilege(schema, 'create') end), "
            "current_setting('transaction_read_only')",
            (configuration.dbt_schemas(),),
        )
        user, database, closed, is_read_only = cursor.fetchone() or ("", "", [], "off")
    if is_read_only == "on":
        raise UserError(
            f'the marts can\'t be built in "{database}", which is a standby or '
            "read-only: name the primary server in DATABASE_URL"
        )
    if closed:
        raise UserError(
            f'user "{user}" may not make tables in schema "{closed[0]}": name the '
            f"user who builds the marts, {configuration.transformer_role} say, in "
            "DATABASE_URL"
        )


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM cancel the statement that runs, on any connection.

    By itself psycopg2 waits for the server's answer first. COPY works outside only.
    """
    extensions.set_wait_callback(_wait)
    former = signal.getsignal(signal.SIGTERM)
    is_main = threading.current_thread() is threading.main_thread()
    if is_main:
        # A scheduler or container ends a process so.
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, former)
        extensions.set_wait_callback(None)


def _terminate(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


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
    if "unsupported startup parameter" in reason:
        return (
            f"the pooler at {where} refused an option of DATABASE_URL ({refusal}): "
            "remove it there, or name it in the pooler's ignore_startup_parameters"
        )
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
    if code == "53400":
        return (
            f"{message}: the statement needed more temporary space than the server "
            "allows; give it more with `alter role … set temp_file_limit`"
        )
    if code == "53100":
        return f"the server's disk is full ({message}): make room and run it again"
    if code == "55P03":
        return f"{message}: another session uses the table; run it again"
    return message
