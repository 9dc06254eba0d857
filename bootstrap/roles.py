"""Least-privilege roles: of dbt, of those who read the marts, and of the application.

All are made without a login; an administrator gives them one, or members:

    alter role saas_transformer login password '…';
    create role ada login password '…' in role saas_analyst;
"""

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from bootstrap import changes
from bootstrap.errors import UserError
from bootstrap.settings import Settings


def create(connection: Connection, settings: Settings) -> None:
    """Make the roles and grant them what they need, all or nothing; safe to repeat.

    It also hands marts over to the transformer that the user built before.

    Raises:
        UserError: the user may not make roles, or doesn't own the source.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("select current_user, current_database()")
        user, database = cursor.fetchone() or ("", "")
        # To hand schemas over to the transformer, one must belong to it.
        missing = _missing_role(cursor, settings.transformer_role, member=user)
        missing += _missing_role(cursor, settings.analyst_role)
        missing += _missing_role(cursor, settings.application_role)
        _make_roles(cursor, missing)
        names = {
            "database": sql.Identifier(database),
            "source": sql.Identifier(settings.source_schema),
            "marts": sql.Identifier(settings.marts_schema),
            "transformer": sql.Identifier(settings.transformer_role),
            "analyst": sql.Identifier(settings.analyst_role),
            "application": sql.Identifier(settings.application_role),
            "user": sql.Identifier(user),
        }

        def run(statement: str) -> None:
            cursor.execute(sql.SQL(statement).format(**names))

        run("grant connect, temporary on database {database} to {transformer}")
        run("grant usage on schema {source} to {transformer}")
        run("grant select on all tables in schema {source} to {transformer}")
        run(
            "alter default privileges in schema {source} "
            "grant select on tables to {transformer}"
        )
        _check_source(cursor, settings.transformer_role, user)

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

        write = "select, insert, update, delete"
        run("grant connect on database {database} to {application}")
        run("grant usage on schema {source} to {application}")
        run(f"grant {write} on all tables in schema {{source}} to {{application}}")
        run(
            "alter default privileges in schema {source} "
            f"grant {write} on tables to {{application}}"
        )
        _keep_from(cursor, settings)


def _keep_from(cursor: Cursor, settings: Settings) -> None:
    """Keep from the application what migrations and runs note of the source."""
    # Alembic takes long to import.
    from bootstrap import migrate

    for table in (migrate.VERSION_TABLE, migrate.CHECKSUM_TABLE, *changes.TABLES):
        cursor.execute("select to_regclass(%s) is not null", (table,))
        if (cursor.fetchone() or (False,))[0]:
            revoke = "revoke all on {table} from {application}"
            cursor.execute(
                sql.SQL(revoke).format(
                    table=sql.Identifier(settings.source_schema, table),
                    application=sql.Identifier(settings.application_role),
                )
            )


def _missing_role(
    cursor: Cursor, role: str, member: str | None = None
) -> list[sql.Composed]:
    """The statements that make a role where it is missing, and a member one of it."""
    names = {"role": sql.Identifier(role), "member": sql.Identifier(member or "")}
    cursor.execute("select from pg_roles where rolname = %s", (role,))
    missing = ["create role {role}"] if cursor.fetchone() is None else []
    if member is not None:
        # A superuser, and the role itself, count as members.
        cursor.execute(
            "select not exists (select from pg_roles where rolname = %(role)s "
            "and pg_has_role(oid, 'usage'))",
            {"role": role},
        )
        if (cursor.fetchone() or (True,))[0]:
            missing.append("grant {role} to {member}")
    return [sql.SQL(each).format(**names) for each in missing]


def _make_roles(cursor: Cursor, statements: list[sql.Composed]) -> None:
    try:
        for statement in statements:
            cursor.execute(statement)
    except errors.InsufficientPrivilege:
        wanted = "; ".join(each.as_string(cursor) for each in statements)
        raise UserError(
            "this user may not make the roles or belong to them: ask an "
            f"administrator to run `{wanted}`, or skip this step; it is optional"
        ) from None


def _check_source(cursor: Cursor, transformer: str, user: str) -> None:
    """Make sure that the grants took effect: PostgreSQL only warns if they did not."""
    cursor.execute(
        "select has_table_privilege(%s, to_regclass('users'), 'select')", (transformer,)
    )
    if (cursor.fetchone() or (None,))[0] is False:
        raise UserError(
            f'user "{user}" may not grant others the right to read the source: run '
            "this as the user who migrates it"
        )


def _hand_over(cursor: Cursor, schema: str, owner: str) -> None:
    """Make a schema, and whatever is in it already, the owner's."""
    names = {"schema": sql.Identifier(schema), "owner": sql.Identifier(owner)}
    cursor.execute("select to_regnamespace(quote_ident(%s)) is null", (schema,))
    if (cursor.fetchone() or (True,))[0]:
        create = "create schema {schema} authorization {owner}"
        cursor.execute(sql.SQL(create).format(**names))
        return
    alter = "alter schema {schema} owner to {owner}"
    cursor.execute(sql.SQL(alter).format(**names))
    cursor.execute(
        "select relname from pg_class "
        "where relnamespace = to_regnamespace(quote_ident(%s)) "
        "and relkind in ('r', 'p', 'v', 'm') "
        "and pg_get_userbyid(relowner) <> %s",
        (schema, owner),
    )
    alter = "alter table {schema}.{relation} owner to {owner}"
    for (relation,) in cursor.fetchall():
        cursor.execute(
            sql.SQL(alter).format(relation=sql.Identifier(relation), **names)
        )
