"""The processes that hold the locks for which a command waits."""

from collections.abc import Collection

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import connection as Connection

from saas_analytics import database, settings
from saas_analytics.errors import UserError

# The lock modes that block a session that reads, writes, or waits for another run.
READ = ("AccessExclusiveLock",)
WRITE = (
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
QUEUE = ("ShareUpdateExclusiveLock", *WRITE)
# The lock modes that block a change of a table's definition.
ALL = ("AccessShareLock", "RowShareLock", "RowExclusiveLock", *QUEUE)

# A process that itself waits is not a cause, but the processes it waits for are. The
# start of other roles' transactions is visible only with pg_read_all_stats.
_HOLDERS = """
with recursive blocking (pid) as (
    select coalesce(locks.pid, 0)
    from pg_catalog.pg_locks as locks
    inner join pg_catalog.pg_database on locks.database = pg_database.oid
    where pg_database.datname = pg_catalog.current_database()
        and locks.pid is distinct from pg_catalog.pg_backend_pid()
        and locks.relation in (
            select pg_catalog.to_regclass(wanted.name)
            from pg_catalog.unnest(%(relations)s::text[]) as wanted (name)
        )
        and locks.mode = any (%(modes)s)
    union
    select pg_catalog.unnest(pg_catalog.pg_blocking_pids(blocking.pid))
    from blocking where blocking.pid > 0
)

select
    blocking.pid, activity.usename, nullif(activity.application_name, ''),
    activity.state, pg_catalog.to_char(
        activity.xact_start at time zone 'UTC',
        '"in a transaction since" YYYY-MM-DD HH24:MI:SS "UTC"'
    )
from blocking
left join pg_catalog.pg_stat_activity as activity on blocking.pid = activity.pid
where not exists (
    select from pg_catalog.pg_locks as waited
    where waited.pid = blocking.pid and not waited.granted
)
order by blocking.pid
"""


def holders(
    connection: Connection, wanted: Collection[tuple[Collection[str], Collection[str]]]
) -> str | None:
    """The processes that hold conflicting locks, as text; None if there is none.

    Args:
        connection: it must be able to run a statement.
        wanted: quoted relations, each with the conflicting lock modes.
    """
    found: dict[int, str] = {}
    with connection.cursor() as cursor:
        for relations, modes in wanted:
            cursor.execute(
                _HOLDERS, {"relations": sorted(relations), "modes": list(modes)}
            )
            for pid, *details in cursor.fetchall():
                known = ", ".join(detail for detail in details if detail)
                found[pid] = (
                    f"process {pid} ({known})"
                    if pid
                    else "a prepared transaction (pg_prepared_xacts)"
                )
    return " and ".join(found[pid] for pid in sorted(found)) or None


def in_the_way(error: BaseException) -> str:
    """The users of the source's tables, as a suffix of the error of a lock timeout.

    The suffix is empty for other errors. The command's transaction must have ended.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, errors.LockNotAvailable):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return ""
    configuration = settings.load().for_owner()
    try:
        with database.connected(configuration) as connection:
            with connection.cursor() as cursor:
                cursor.execute(
                    "select oid::regclass::text from pg_class where relnamespace = "
                    "to_regnamespace(quote_ident(%s)) and relkind in ('r', 'p')",
                    (configuration.source_schema,),
                )
                tables = [name for (name,) in cursor.fetchall()]
            who = holders(connection, [(tables, ALL)])
    except (psycopg2.Error, UserError):
        return ""
    return f" (in use by {who})" if who else ""
