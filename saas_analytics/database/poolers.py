"""Poolers in transaction mode, which assign a session to each transaction."""

from contextlib import closing

from psycopg2.extensions import connection as Connection

from saas_analytics.database.connections import connect, place
from saas_analytics.errors import UserError
from saas_analytics.settings import Settings

# How many transactions test a pooler. Usually the first one shows shared sessions.
POOLER_TRIES = 5


def refuse_shared_sessions(connection: Connection, configuration: Settings) -> None:
    """Refuse a pooler in transaction mode.

    Raises:
        UserError: it is one, and another client could get the session with its locks.
    """
    # A pooler invents the process id that it gives a client at the start.
    if _session(connection) == connection.info.backend_pid:
        return
    for _ in range(POOLER_TRIES):
        own = _session(connection)
        with closing(connect(configuration)) as other, other.cursor() as cursor:
            # Its open transaction occupies the session that the pooler would reuse.
            cursor.execute("select pg_backend_pid()")
            is_shared = cursor.fetchone() == (own,)
            if is_shared or _session(connection) != own:
                raise UserError(
                    f"{place(connection)} is a pooler in transaction mode, where the "
                    "lock that keeps migrations apart does not hold: name PostgreSQL "
                    "itself in OWNER_DATABASE_URL"
                )


def _session(connection: Connection) -> int:
    """The server process that runs a new transaction."""
    with connection, connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (process,) = cursor.fetchone() or (0,)
    return int(process)
