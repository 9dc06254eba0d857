"""Row-level security, whose hidden rows a command would take for deleted ones."""

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from saas_analytics.errors import UserError


def refuse_hidden_rows(connection: Connection, schema: str) -> None:
    """Refuse a schema in which row-level security hides rows.

    Raises:
        UserError: row-level security of a table applies to this user.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "select relname, current_user from pg_class "
            "where relnamespace = to_regnamespace(quote_ident(%s)) and relrowsecurity "
            "and row_security_active(oid) order by relname limit 1",
            (schema,),
        )
        found = cursor.fetchone()
        if found is not None:
            table = sql.Identifier(schema, found[0]).as_string(cursor)
            user = sql.Identifier(found[1]).as_string(cursor)
            raise UserError(
                f"row-level security hides rows of {table} from role {user}: as its "
                f"owner `alter table {table} disable row level security`, or as "
                f"administrator `alter role {user} bypassrls`"
            )
