"""The columns of a source table that before-images of changed rows have."""

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from bootstrap import columns as classified
from saas_analytics.errors import UserError
from saas_analytics.settings import Settings

# In seconds: how long the change waits for a lock, while writes queue behind it.
LOCK_SECONDS = 10


def keep(
    connection: Connection, settings: Settings, table: str, columns: tuple[str, ...]
) -> list[str]:
    """Create the triggers of change capture on a table, for more columns.

    The former columns remain captured, under their present names.

    Returns:
        All columns that are captured from now on.

    Raises:
        UserError: the table or a column is missing, or one may hold personal data.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("set local lock_timeout = %s", (f"{LOCK_SECONDS}s",))
        classified.refuse_personal(cursor, settings.source_schema, table, columns)
        name = _relation(cursor, settings.source_schema, table)
        try:
            cursor.execute(
                sql.SQL("select {}.capture_changes({}::regclass, {}::text[])").format(
                    sql.Identifier(settings.source_schema),
                    sql.Literal(name),
                    sql.Literal(list(columns)),
                )
            )
        except errors.UndefinedFunction as error:
            if "capture_changes" not in (error.diag.message_primary or ""):
                # The values of some types, such as json, can't be compared.
                raise UserError(
                    f"{error.diag.message_primary}: name columns of another type"
                ) from None
            raise UserError(
                "the schema has no change capture: run `saas migrate` first"
            ) from None
        (kept,) = cursor.fetchone() or ([],)
    return list(kept)


def _relation(cursor: Cursor, schema: str, table: str) -> str:
    name = sql.Identifier(schema, table).as_string(cursor)
    cursor.execute("select to_regclass(%s) is null", (name,))
    if (cursor.fetchone() or (True,))[0]:
        raise UserError(
            f"there is no table {table} in schema {schema}: give its present name, or "
            "set DB_SCHEMA to its schema"
        )
    return name
