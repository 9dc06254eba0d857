"""Least-privilege roles: one that dbt runs as, one that reads the marts.

Both are made without a login; an administrator gives them one, or members:

    alter role saas_transformer login password '…';
    create role ada login password '…' in role saas_analyst;
"""

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from bootstrap.errors import UserError
from bootstrap.settings import Settings


def create(connection: Connection, settings: Settings) -> None:
    """Make the roles and grant them what they need, all or nothing; safe to repeat.

    Raises:
        UserError: the user may not make roles.
    """
    with connection, connection.cursor() as cursor:
        for role in (settings.transformer_role, settings.analyst_role):
            cursor.execute("select from pg_roles where rolname = %s", (role,))
            if cursor.fetchone() is None:
                try:
                    cursor.execute(
                        sql.SQL("create role {} nologin").format(sql.Identifier(role))
                    )
                except errors.InsufficientPrivilege:
                    raise UserError(
                        f'this user may not make the role "{role}": ask an '
                        f'administrator to run `create role "{role}"`, or skip this '
                        "step; it is optional"
                    ) from None
        cursor.execute("select current_user, current_database()")
        user, database = cursor.fetchone() or ("", "")
        names = {
            "database": sql.Identifier(database),
            "source": sql.Identifier(settings.source_schema),
            "marts": sql.Identifier(settings.marts_schema),
            "transformer": sql.Identifier(settings.transformer_role),
            "analyst": sql.Identifier(settings.analyst_role),
            "user": sql.Identifier(user),
        }

        def run(statement: str) -> None:
            cursor.execute(sql.SQL(statement).format(**names))

        # To hand schemas over to the role, one must belong to it.
        cursor.execute("select rolsuper from pg_roles where rolname = current_user")
        if not (cursor.fetchone() or (False,))[0] and user != settings.transformer_role:
            run("grant {transformer} to {user}")

        run("grant connect, temporary on database {database} to {transformer}")
        run("grant usage on schema {source} to {transformer}")
        run("grant select on all tables in schema {source} to {transformer}")
        run(
            "alter default privileges in schema {source} "
            "grant select on tables to {transformer}"
        )

        for schema in settings.dbt_schemas():
            _hand_over(cursor, schema, settings.transformer_role)

        run("grant connect on database {database} to {analyst}")
        run("grant usage on schema {marts} to {analyst}")
        run("grant select on all tables in schema {marts} to {analyst}")
        # For marts to come, whether the transformer or this user builds them.
        for builder in ("transformer", "user"):
            run(
                f"alter default privileges for role {{{builder}}} in schema {{marts}} "
                "grant select on tables to {analyst}"
            )


def _hand_over(cursor: Cursor, schema: str, owner: str) -> None:
    """Make a schema, and whatever is in it already, the owner's."""
    identifiers = {"schema": sql.Identifier(schema), "owner": sql.Identifier(owner)}
    cursor.execute("select to_regnamespace(quote_ident(%s)) is null", (schema,))
    if (cursor.fetchone() or (True,))[0]:
        cursor.execute(
            sql.SQL("create schema {schema} authorization {owner}").format(
                **identifiers
            )
        )
        return
    cursor.execute(
        sql.SQL("alter schema {schema} owner to {owner}").format(**identifiers)
    )
    cursor.execute(
        "select relname from pg_class "
        "where relnamespace = to_regnamespace(quote_ident(%s)) "
        "and relkind in ('r', 'p', 'v', 'm') and relowner "
        "<> (select oid from pg_roles where rolname = %s)",
        (schema, owner),
    )
    for (name,) in cursor.fetchall():
        cursor.execute(
            sql.SQL("alter table {relation} owner to {owner}").format(
                relation=sql.Identifier(schema, name), **identifiers
            )
        )
