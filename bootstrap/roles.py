"""Least-privilege roles: of dbt, of the analysts and of the application.

They have no login. An administrator adds a login or members:

    alter role saas_transformer login password '…';
    create role ada login password '…' in role saas_analyst;
"""

from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from bootstrap import changes, columns
from saas_analytics.database import trust
from saas_analytics.errors import UserError
from saas_analytics.settings import Settings


def create(connection: Connection, settings: Settings) -> list[str]:
    """Create the roles and grant their rights, in one transaction; safe to repeat.

    The transformer becomes the owner of marts that the user has built.

    Returns:
        The columns of the source that stay closed because they are not classified.

    Raises:
        UserError: the user may not create roles or doesn't own the source, a private
            column is missing, or the transformer could still read private columns.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("select current_user, current_database()")
        user, database = cursor.fetchone() or ("", "")
        _refuse_greater(cursor, settings)
        # Only a member of the transformer may make it the owner of a schema.
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

        _close_schema(cursor, settings)
        run("grant connect, temporary on database {database} to {transformer}")
        run("grant usage on schema {source} to {transformer}")
        source = columns.of_source(cursor, settings.source_schema)
        columns.refuse_missing(source)
        closed = columns.unclassified(source)
        _open_source(cursor, settings, source)
        _check_source(cursor, settings.source_schema, settings.transformer_role, user)

        if settings.database_url is None:
            # The embedded server accepts only its own system user, as any role. With a
            # login for the transformer, code of the marts never runs as the superuser.
            run("alter role {transformer} login")
        for schema in settings.dbt_schemas():
            trust.refuse(cursor, schema, setting="DBT_SCHEMA")
            _hand_over(cursor, schema, settings.transformer_role)

        run("grant connect on database {database} to {analyst}")
        run("grant usage on schema {marts} to {analyst}")
        run("grant select on all tables in schema {marts} to {analyst}")
        # This covers future marts, built by the transformer or by this user.
        for builder in ("transformer", "user"):
            run(
                f"alter default privileges for role {{{builder}}} in schema {{marts}} "
                "grant select on tables to {analyst}"
            )

        write = "select, insert, update, delete"
        run("grant connect, temporary on database {database} to {application}")
        run("grant usage on schema {source} to {application}")
        run(f"grant {write} on all tables in schema {{source}} to {{application}}")
        run(
            "alter default privileges in schema {source} "
            f"grant {write} on tables to {{application}}"
        )
        _keep_from(cursor, settings)
        _let_forget(cursor, settings)
        trust.refuse(cursor, settings.source_schema)
        _check_private(cursor, settings, closed)
    return sorted(f"{table}.{column}" for table, column in closed)


def _refuse_greater(cursor: Cursor, settings: Settings) -> None:
    """Refuse a role that already has greater rights than its purpose needs."""
    # _refuse_open_columns checks the transformer's rights at the end.
    named = {
        "DB_ANALYST_ROLE": settings.analyst_role,
        "DB_APPLICATION_ROLE": settings.application_role,
    }
    for setting, role in named.items():
        cursor.execute(
            "select case when rolsuper then 'a superuser' "
            "when pg_has_role(roles.oid, nspowner, 'member') "
            "then 'the owner of the source''s schema' "
            "when pg_has_role(roles.oid, relowner, 'member') "
            "then 'the owner of the source' end "
            "from pg_roles as roles "
            "left join pg_namespace on nspname = %(schema)s "
            "left join pg_class on relnamespace = pg_namespace.oid "
            "and relname = 'users' where rolname = %(role)s",
            {"schema": settings.source_schema, "role": role},
        )
        (greater,) = cursor.fetchone() or (None,)
        if greater is not None:
            raise UserError(
                f'{setting} names the role "{role}", which is {greater}: name one with '
                "fewer rights"
            )


def _close_schema(cursor: Cursor, settings: Settings) -> None:
    """Let only the owners of the source's schema and tables create in it.

    PostgreSQL 14 lets every role create in the schema public.
    """
    cursor.execute(
        "select has_schema_privilege('public', oid, 'create') "
        "and pg_has_role(nspowner, 'usage'), pg_get_userbyid(coalesce((select relowner "
        "from pg_class where relnamespace = pg_namespace.oid and relname = 'users'), "
        "nspowner)) from pg_namespace where nspname = %s",
        (settings.source_schema,),
    )
    is_open, owner = cursor.fetchone() or (False, None)
    if is_open:
        names = {
            "source": sql.Identifier(settings.source_schema),
            "owner": sql.Identifier(owner),
        }
        for statement in (
            "grant create on schema {source} to {owner}",
            "revoke create on schema {source} from public",
        ):
            cursor.execute(sql.SQL(statement).format(**names))


def _open_source(
    cursor: Cursor, settings: Settings, source: dict[str, list[str]]
) -> None:
    """Let the transformer read the source except its private columns.

    Earlier versions granted whole tables and future tables; these grants are revoked.
    The transformer reads partitions through their table.
    """
    names = {
        "source": sql.Identifier(settings.source_schema),
        "transformer": sql.Identifier(settings.transformer_role),
    }
    revoke = "revoke select on all tables in schema {source} from {transformer}"
    cursor.execute(sql.SQL(revoke).format(**names))
    cursor.execute(
        "select distinct pg_get_userbyid(defaclrole) "
        "from pg_default_acl, aclexplode(defaclacl) as granted "
        "where defaclnamespace = to_regnamespace(quote_ident(%s)) "
        "and granted.grantee = to_regrole(quote_ident(%s)) and defaclobjtype = 'r'",
        (settings.source_schema, settings.transformer_role),
    )
    for (maker,) in cursor.fetchall():
        revoke = (
            "alter default privileges for role {maker} in schema {source} "
            "revoke select on tables from {transformer}"
        )
        cursor.execute(sql.SQL(revoke).format(maker=sql.Identifier(maker), **names))
    for table, present in source.items():
        readable = columns.readable(table, present)
        only = sql.SQL(", ").join(map(sql.Identifier, readable or []))
        grant = "grant select ({only}) on {table} to {transformer}"
        if readable is None:
            grant = "grant select on {table} to {transformer}"
        cursor.execute(
            sql.SQL(grant).format(
                only=only,
                table=sql.Identifier(settings.source_schema, table),
                **names,
            )
        )


def _keep_from(cursor: Cursor, settings: Settings) -> None:
    """Revoke the application's rights on the tables of migrations and runs."""
    # Alembic is slow to import.
    from bootstrap import migrate

    for table in (migrate.VERSION_TABLE, migrate.CHECKSUM_TABLE, *changes.TABLES):
        cursor.execute(
            "select to_regclass(format('%%I.%%I', %s::text, %s::text)) is not null",
            (settings.source_schema, table),
        )
        if (cursor.fetchone() or (False,))[0]:
            revoke = "revoke all on {table} from {application}"
            cursor.execute(
                sql.SQL(revoke).format(
                    table=sql.Identifier(settings.source_schema, table),
                    application=sql.Identifier(settings.application_role),
                )
            )


def _let_forget(cursor: Cursor, settings: Settings) -> None:
    """Let the application erase, and the transformer delete tombstones."""
    for function, role in (
        ("note_erasure(uuid[])", settings.application_role),
        ("forget_erasures(xid8)", settings.transformer_role),
    ):
        cursor.execute(
            "select to_regprocedure(format('%%I.%%s', %s::text, %s::text))::text",
            (settings.source_schema, function),
        )
        (found,) = cursor.fetchone() or (None,)
        if found is not None:
            cursor.execute(
                sql.SQL("grant execute on function {}.{} to {}").format(
                    sql.Identifier(settings.source_schema),
                    sql.SQL(function),
                    sql.Identifier(role),
                )
            )


def _missing_role(
    cursor: Cursor, role: str, member: str | None = None
) -> list[sql.Composed]:
    """The statements that create a missing role, and grant it to a member."""
    names = {"role": sql.Identifier(role), "member": sql.Identifier(member or "")}
    cursor.execute("select from pg_roles where rolname = %s", (role,))
    missing = ["create role {role}"] if cursor.fetchone() is None else []
    if member is not None:
        # A superuser and the role itself count as members.
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
            "this user may not create the roles or join them: ask an administrator to "
            f"run `{wanted}`, or skip this step, which is optional"
        ) from None


def _check_source(cursor: Cursor, schema: str, transformer: str, user: str) -> None:
    """Check that the grants took effect, because PostgreSQL only warns otherwise."""
    cursor.execute(
        "select has_any_column_privilege("
        "%s, to_regclass(format('%%I.users', %s::text)), 'select')",
        (transformer, schema),
    )
    if (cursor.fetchone() or (None,))[0] is False:
        raise UserError(
            f'user "{user}" may not grant others the right to read the source: run '
            "this as the user that migrates it"
        )


def _check_private(
    cursor: Cursor, settings: Settings, closed: list[tuple[str, str]]
) -> None:
    """Refuse other rights that open closed columns, such as an owner's."""
    private = (*columns.each(columns.PRIVATE_COLUMNS), *closed)
    cursor.execute(
        "select tables.relname || '.' || attname "
        "from pg_class as tables "
        "inner join pg_class as roots "
        "on roots.oid = coalesce(pg_partition_root(tables.oid), tables.oid) "
        "inner join pg_attribute on tables.oid = attrelid "
        "where roots.relnamespace = to_regnamespace(quote_ident(%(schema)s)) "
        "and (roots.relname::text, attname::text) in %(private)s "
        "and exists (select from pg_roles where pg_has_role(%(role)s, oid, 'member') "
        "and has_column_privilege(oid, tables.oid, attnum, 'select')) "
        "order by 1 limit 1",
        {
            "schema": settings.source_schema,
            "role": settings.transformer_role,
            "private": private,
        },
    )
    if (found := cursor.fetchone()) is not None:
        raise UserError(
            f'role "{settings.transformer_role}" could still read {found[0]}, '
            "as a superuser, as the owner of the source, as a member of another role "
            "or by another role's grant: revoke that right, or name another role in "
            "DB_TRANSFORMER_ROLE"
        )


def _hand_over(cursor: Cursor, schema: str, owner: str) -> None:
    """Make a role the owner of a schema and of all objects in it."""
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
    cursor.execute(
        "select oid::regprocedure::text from pg_proc "
        "where pronamespace = to_regnamespace(quote_ident(%s)) "
        "and pg_get_userbyid(proowner) <> %s",
        (schema, owner),
    )
    alter = "alter routine {routine} owner to {owner}"
    for (routine,) in cursor.fetchall():
        cursor.execute(sql.SQL(alter).format(routine=sql.SQL(routine), **names))
