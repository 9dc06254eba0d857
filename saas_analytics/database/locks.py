"""Advisory locks with a time limit; the error names the holder.

Every role may take any advisory lock of a database, including an analyst.
"""

from psycopg2 import errors
from psycopg2.extensions import cursor as Cursor

from saas_analytics.errors import UserError

# In seconds: how long a command waits for another one.
WAIT_SECONDS = 60.0

_HOLDER = """
select format(
    '%%s (process %%s%%s)', quote_ident(usename), activity.pid,
    coalesce(', ' || nullif(application_name, ''), '')
)
from pg_locks
inner join pg_stat_activity as activity on pg_locks.pid = activity.pid
where locktype = 'advisory' and granted and objsubid = 1
    and (classid::bigint << 32 | objid::bigint) = %(number)s
    and pg_locks.database = (
        select oid from pg_database where datname = current_database()
    )
limit 1
"""


def take(
    cursor: Cursor,
    number: int,
    purpose: str,
    *,
    wait_seconds: float = WAIT_SECONDS,
    is_of_session: bool = False,
) -> None:
    """Take an advisory lock until the transaction or the session ends.

    Args:
        cursor: it must be in a transaction.
        number: of the lock.
        purpose: the usual holder, such as "another migration".
        wait_seconds: the time limit.
        is_of_session: whether the lock outlasts the transaction.

    Raises:
        UserError: another session held it for longer.
    """
    cursor.execute("select current_setting('lock_timeout')")
    (former,) = cursor.fetchone() or ("0",)
    cursor.execute("savepoint before_the_lock")
    try:
        cursor.execute(
            "select set_config('lock_timeout', %s, true)",
            (f"{max(1, wait_seconds * 1000):.0f}ms",),
        )
        if is_of_session:
            cursor.execute("select pg_advisory_lock(%s)", (number,))
        else:
            cursor.execute("select pg_advisory_xact_lock(%s)", (number,))
        cursor.execute("select set_config('lock_timeout', %s, true)", (former,))
    except errors.LockNotAvailable:
        cursor.execute("rollback to savepoint before_the_lock")
        cursor.execute(_HOLDER, {"number": number})
        (holder,) = cursor.fetchone() or ("a session that has ended",)
        raise UserError(
            f"{purpose} has held its lock for {wait_seconds:g} s, as {holder}: wait "
            "until it ends, or end it with `select pg_terminate_backend(pid)`"
        ) from None
