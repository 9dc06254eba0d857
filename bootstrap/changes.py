"""Tombstones: before-images of source rows, kept until every run has read them."""

import datetime

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

DAYS_KEPT = 14

TABLES = ("change_tombstones", "change_tombstones_cleared", "erasures_to_forget")


def clear_tombstones(
    connection: Connection, schema: str, days_kept: int = DAYS_KEPT
) -> int | None:
    """Delete older tombstones. A mart that was not refreshed for so long is rebuilt.

    Returns:
        The number of deleted rows; None before the tables exist.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select to_regproc("
            "format('%%I.clear_change_tombstones', %s::text)) is null",
            (schema,),
        )
        if (cursor.fetchone() or (True,))[0]:
            return None
        cursor.execute(
            sql.SQL("select {}.clear_change_tombstones({})").format(
                sql.Identifier(schema), sql.Literal(datetime.timedelta(days_kept))
            )
        )
        (cleared,) = cursor.fetchone() or (0,)
    return int(cleared)
