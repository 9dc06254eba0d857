"""How long a run may take, and that it ends with its client.

Each limit is a setting of one transaction, so it works behind a pooler too.
"""

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection

# A statement ends so many seconds after the connection of its client was closed.
CLIENT_CHECK_SECONDS = 5

# Where the machine of the client is gone, no answer to four packets shows it.
_KEEPALIVES = (
    "set local tcp_keepalives_idle = 60; set local tcp_keepalives_interval = 10; "
    "set local tcp_keepalives_count = 3"
)
_CLIENT_CHECK = (
    f"set local client_connection_check_interval = '{CLIENT_CHECK_SECONDS}s'"
)


def statements(connection: Connection, seconds: float) -> sql.Composed:
    """The statements that limit the transaction that they are run in.

    They are plain SET, which takes no snapshot: a run locks before it takes its own.

    Args:
        connection: it may be in a transaction.
        seconds: the most that a statement may take; 0 for as long as it needs. A
            shorter statement_timeout of the server, database or role stays.
    """
    parts = [_KEEPALIVES]
    with connection.cursor() as cursor:
        cursor.execute("savepoint client_check")
        try:
            cursor.execute(_CLIENT_CHECK)
            parts.append(_CLIENT_CHECK)
        except errors.InvalidParameterValue:
            # A server on a system that can't tell, such as Windows.
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
