"""Requirements of commands, checked before a command changes the database."""

from psycopg2.extensions import connection as Connection

from saas_analytics.errors import UserError
from saas_analytics.settings import Settings


def has_source(connection: Connection, configuration: Settings) -> bool:
    """Whether the source schema has a relation named as a source table."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select exists (select from pg_class where relname in "
            "('users', 'usage_events') "
            "and relnamespace = to_regnamespace(quote_ident(%s)))",
            (configuration.source_schema,),
        )
        return cursor.fetchone() == (True,)


def require_source(connection: Connection, configuration: Settings) -> None:
    """Refuse a source schema without the OLTP tables.

    Raises:
        UserError: the schema has none of them; the message names a schema that has.
    """
    if has_source(connection, configuration):
        return
    if misplaced := misplaced_source(connection, configuration):
        raise UserError(misplaced)
    schema = configuration.source_schema
    raise UserError(
        f'schema "{schema}" has no source tables: run `saas migrate` first, or name '
        "another schema in DB_SCHEMA"
    )


def misplaced_source(connection: Connection, configuration: Settings) -> str | None:
    """An error message if another schema has the OLTP tables; None otherwise."""
    others = schemas_with_source(connection)
    if not others or has_source(connection, configuration):
        return None
    return (
        f'schema "{configuration.source_schema}" has no source tables, but '
        f"{' and '.join(others)}: correct DB_SCHEMA"
    )


def schemas_with_source(connection: Connection) -> list[str]:
    """The schemas that have the OLTP tables, quoted."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select 'schema \"' || relnamespace::regnamespace::text || '\" has them' "
            "from pg_class where relname in ('users', 'usage_events', 'licenses') "
            "and relkind in ('r', 'p') group by relnamespace having count(*) = 3 "
            "order by 1"
        )
        return [schema for (schema,) in cursor.fetchall()]


def require_owner(connection: Connection, configuration: Settings) -> None:
    """Refuse a user who does not own the OLTP tables.

    Raises:
        UserError: another role owns them.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select current_user::text, pg_get_userbyid(relowner)::text from pg_class "
            "where relname in ('usage_events', 'alembic_version') "
            "and relnamespace = to_regnamespace(quote_ident(%s)) "
            "and not pg_has_role(relowner, 'usage') limit 1",
            (configuration.source_schema,),
        )
        found = cursor.fetchone()
    if found is not None:
        user, owner = found
        raise UserError(
            f'user "{user}" may not change the source tables, which belong to '
            f'"{owner}": set OWNER_DATABASE_URL to the owner\'s connection'
        )


def require_unicode(connection: Connection) -> None:
    """Refuse a database that can't store every character.

    Raises:
        UserError: its encoding is not UTF8.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8"):
        raise UserError(
            f'database "{connection.info.dbname}" has the encoding {encoding}, but the '
            "marts need UTF8: create one with `createdb --encoding=UTF8 "
            "--template=template0 NAME`, and name it in DATABASE_URL"
        )


def require_builder(connection: Connection, configuration: Settings) -> None:
    """Refuse a user who can't build the marts.

    Raises:
        UserError: the server is read-only, or the user may not create tables in the
            marts' schemas.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select current_user::text, current_database()::text, array("
            "select schema from unnest(%s) as schema where not case "
            "when to_regnamespace(quote_ident(schema)) is null "
            "then has_database_privilege(current_database(), 'create') "
            "else has_schema_privilege(schema, 'create') end), "
            "current_setting('transaction_read_only')",
            (configuration.dbt_schemas(),),
        )
        user, database, closed, is_read_only = cursor.fetchone() or ("", "", [], "off")
    if is_read_only == "on":
        raise UserError(
            f'the marts can\'t be built in "{database}", which is a standby or '
            "read-only: name the primary server in DATABASE_URL"
        )
    if closed:
        raise UserError(
            f'user "{user}" may not create tables in schema "{closed[0]}": name the '
            "user who builds the marts in DATABASE_URL, for example "
            f"{configuration.transformer_role}"
        )
