"""Poolers in transaction mode, which give each transaction another session."""

from contextlib import closing

from psycopg2.extensions import connection as Connection

from saas_analytics.database.connections import connect, place
from saas_analytics.errors import UserError
from saas_analytics.settings import Settings

# How often a pooler is asked whether it shares sessions; the first answer is mostly it.
POOLER_TRIES = 5


def refuse_shared_sessions(connection: Connection, configuration: Settings) -> None:
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
                    f"{place(connection)} is a pooler in transaction mode, where the "
                    "lock that keeps migrations apart does not hold: name PostgreSQL "
                    "itself in OWNER_DATABASE_URL"
                )


def _session(connection: Connection) -> int:
    """The server process of a transaction of its own."""
    with connection, connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (process,) = cursor.fetchone() or (0,)
    return int(process)
