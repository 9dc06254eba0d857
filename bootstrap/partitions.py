"""Monthly partitions of the event tables, created in advance."""

import datetime

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

EVENT_TABLES = ("usage_events", "api_usage", "error_logs", "audit_logs")
MONTHS_AHEAD = 3

# Events of a wrong clock get no month, and remain in the default partition. The marts
# omit the same events (macros/time.sql, plausible_time).
PLAUSIBLE = """
    case
        when occurred_at >= '1970-01-01 00:00:00+00'
            and occurred_at < '2100-01-01 00:00:00+00'
            then created_at >= occurred_at - interval '24 hours'
        else false
    end
"""


def create_ahead(
    connection: Connection, schema: str, months_ahead: int = MONTHS_AHEAD
) -> int | None:
    """Create the partitions from this month on, and those for waiting events.

    Events without a partition for their month are in a default partition, and move to
    the new one. Each month is one transaction, so that locks are short. Concurrent runs
    queue.

    Returns:
        The number of created partitions; None before the event tables exist.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "select to_regproc("
            "format('%%I.create_event_partitions', %s::text)) is null",
            (schema,),
        )
        if (cursor.fetchone() or (True,))[0]:
            return None
        cursor.execute("select (now() at time zone 'UTC')::date")
        (today,) = cursor.fetchone() or (datetime.date.today(),)
        months = {_add_months(today, ahead) for ahead in range(months_ahead + 1)}
        for table in EVENT_TABLES:
            cursor.execute(
                sql.SQL(
                    "select distinct "
                    "date_trunc('month', occurred_at at time zone 'UTC')::date "
                    "from {} where {}"
                ).format(sql.Identifier(schema, f"{table}_default"), sql.SQL(PLAUSIBLE))
            )
            months |= {month for (month,) in cursor.fetchall()}
        connection.commit()
        created = 0
        for month in sorted(months):
            cursor.execute(
                sql.SQL("select {}.create_event_partitions({}, {})").format(
                    sql.Identifier(schema), sql.Literal(month), sql.Literal(month)
                )
            )
            created += (cursor.fetchone() or (0,))[0]
            connection.commit()
    return created


def _add_months(day: datetime.date, months: int) -> datetime.date:
    """The first day of the month that is so many months later."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return datetime.date(year, month + 1, 1)
