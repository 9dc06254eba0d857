"""Time limits of a run, and its end when its client is lost.

Each limit is a setting of one transaction, so it works behind a pooler, too.
"""

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection

# In seconds: a statement ends so long after its client closed the connection.
CLIENT_CHECK_SECONDS = 5

# If the client's machine is lost, four unanswered packets end the connection.
_KEEPALIVES = (
    "set local tcp_keepalives_idle = 60; set local tcp_keepalives_interval = 10; "
    "set local tcp_keepalives_count = 3"
)
_CLIENT_CHECK = (
    f"set local client_connection_check_interval = '{CLIENT_CHECK_SECONDS}s'"
)


def statements(connection: Connection, seconds: float) -> sql.Composed:
    """The statements that limit the current transaction.

    They are plain SET, which takes no snapshot: a run locks tables before its snapshot.

    Args:
        connection: it may be in a transaction.
        seconds: the limit of a statement; 0 for none. A shorter statement_timeout of
            the server, database or role remains in force.
    """
    parts = [_KEEPALIVES]
    with connection.cursor() as cursor:
        cursor.execute("savepoint client_check")
        try:
            cursor.execute(_CLIENT_CHECK)
            parts.append(_CLIENT_CHECK)
        except errors.InvalidParameterValue:
            # Some systems, such as Windows, can't detect a closed connection.
            pass
        cursor.execute("rollback to savepoint client_check")
        cursor.execute(
            "select setting::bigint from pg_catalog.pg_settings "
            "where name = 'statement_timeout'"
        )
        (present,) = cursor.fetchone() or (0,)
    milliseconds = round(seconds * 1000)
    if milliseconds and (not present or present > milliseconds):
        parts.append(f"set local statement_timeout = {milliseconds}")
    return sql.SQL("; ").join(map(sql.SQL, parts))
