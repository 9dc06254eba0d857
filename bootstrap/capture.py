"""Which columns of a source table the before-images of its changed rows keep."""

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from bootstrap import columns as classified
from saas_analytics.errors import UserError
from saas_analytics.settings import Settings

# Writers of the table wait for as long at most.
LOCK_SECONDS = 10


def keep(
    connection: Connection, settings: Settings, table: str, columns: tuple[str, ...]
) -> list[str]:
    """Make the triggers of change capture on a table, which keep more columns.

    What they kept stays kept, by the name that it has now.

    Returns:
        All columns that are kept from now on.

    Raises:
        UserError: the table or a column is not there, or one may hold personal data.
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
                # A column whose values can't be compared, as json.
                raise UserError(
                    f"{error.diag.message_primary}: keep columns of another type"
                ) from None
            raise UserError(
                "this schema can't do that yet: run `saas migrate` first"
            ) from None
        (kept,) = cursor.fetchone() or ([],)
    return list(kept)


def _relation(cursor: Cursor, schema: str, table: str) -> str:
    name = sql.Identifier(schema, table).as_string(cursor)
    cursor.execute("select to_regclass(%s) is null", (name,))
    if (cursor.fetchone() or (True,))[0]:
        raise UserError(
            f"there is no table {table} in schema {schema}: give its present name, or "
            "name its schema in DB_SCHEMA"
        )
    return name
