"""Functions that Alembic calls, from migrations/env.py and migrations/versions/*.py."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import psycopg2
from alembic import context, op
from alembic.runtime.migration import MigrationContext, MigrationInfo
from psycopg2 import sql
from sqlalchemy import Connection, text

from bootstrap import adopt, changes
from bootstrap.migrate.files import FOLDER, checksum, statements, up_to
from bootstrap.migrate.objects import refuse_foreign_objects, refuse_missing_objects
from bootstrap.migrate.state import (
    CHECKSUM_TABLE,
    VERSION_TABLE,
    noted,
    refuse_edited,
    states,
)
from saas_analytics import database, settings
from saas_analytics.database import locks, trust
from saas_analytics.errors import UserError

# The key of an advisory lock, which no other program of the database uses.
LOCK_NUMBER = 7_226_001

Step = Callable[[], None]


def sql_files(revision: str) -> tuple[Step, Step]:
    """The functions of an Alembic revision: one applies its file, one reverts it."""
    return (
        lambda: _run_file(FOLDER / f"{revision}.sql", "applying"),
        lambda: _run_file(FOLDER / f"{revision}.down.sql", "taking back"),
    )


def prepare(
    connection: Connection, configuration: settings.Settings, task: str
) -> None:
    """Lock, create the schema if needed, set search_path, and refuse edited files.

    The lock belongs to the session, and ends with the connection.

    Raises:
        UserError: the server, the schema or a file doesn't allow the task.
    """
    raw = _raw(connection)
    database.refuse_shared_sessions(raw, configuration)
    lock = {"number": LOCK_NUMBER}
    if not connection.scalar(text("select pg_try_advisory_lock(:number)"), lock):
        context.config.print_stdout("waiting for another migration to end")
        with raw.cursor() as cursor:
            locks.take(
                cursor,
                LOCK_NUMBER,
                "another migration",
                wait_seconds=context.config.attributes.get(
                    "wait_seconds", locks.WAIT_SECONDS
                ),
                is_of_session=True,
            )
    schema = configuration.source_schema
    database.require_owner(raw, configuration)
    if task == "upgrade":
        database.require_unicode(raw)
    with raw.cursor() as cursor:
        _ensure_schema(cursor, raw, schema)
        if task == "upgrade":
            # The statements of a file name no schema.
            trust.refuse(cursor, schema)
            _adopt(cursor, raw, schema)
        former = adopt.former_revision(*noted(raw, schema))
        context.config.attributes["stamped_over"] = (
            [adopt.SAME_AS] if former == adopt.LAST else []
        )
    if task != "stamp":
        known = states(raw, schema)
        refuse_edited(known)
        if task == "upgrade":
            missing = [state.revision for state in known if not state.is_applied]
            refuse_foreign_objects(raw, schema, missing)
    connection.commit()


def record_checksums(
    ctx: MigrationContext,
    step: MigrationInfo,
    heads: Collection[Any],
    run_args: Mapping[str, Any],
) -> None:
    """Update the checksums with the revision, in the migration's transaction."""
    assert ctx.connection is not None
    applied = up_to(heads)
    # A stamp declares that the database has all files in their present form.
    fresh = applied if step.is_stamp else list(step.up_revision_ids)
    if step.is_stamp:
        # The owner declares that the differences of a database from before 0.1.0 are
        # deliberate.
        exempt = up_to(context.config.attributes["stamped_over"])
        refuse_missing_objects(
            _raw(ctx.connection),
            str(ctx.version_table_schema),
            [revision for revision in applied if revision not in exempt],
        )
    with _raw(ctx.connection).cursor() as cursor:
        _record(cursor, str(ctx.version_table_schema), applied, fresh)
        _close_bookkeeping(cursor, str(ctx.version_table_schema))


def _record(
    cursor: Any, schema: str, applied: Collection[str], fresh: Collection[str]
) -> None:
    """Keep the checksums of applied migrations, and record those in `fresh` again."""
    # No %s below: psycopg2 would read a % in the schema's name as another one.
    table = sql.Identifier(schema, CHECKSUM_TABLE)
    cursor.execute(
        sql.SQL(
            "create table if not exists {} (revision text primary key, "
            "sha256 text not null, applied_at timestamptz not null default now())"
        ).format(table)
    )
    cursor.execute(
        sql.SQL(
            "delete from {} where revision <> all ({}) or revision = any ({})"
        ).format(table, sql.Literal(list(applied)), sql.Literal(list(fresh)))
    )
    for revision in applied:
        cursor.execute(
            sql.SQL(
                "insert into {} (revision, sha256) values ({}, {}) "
                "on conflict (revision) do nothing"
            ).format(table, sql.Literal(revision), sql.Literal(checksum(revision)))
        )


def _adopt(cursor: Any, connection: Any, schema: str) -> None:
    """Record a database of the migrations before 0.1.0 as one of the present ones.

    Raises:
        UserError: its schema differs.
    """
    heads, recorded = noted(connection, schema)
    if adopt.former_revision(heads, recorded) != adopt.LAST:
        return
    applied = up_to([adopt.SAME_AS])
    adopt.prove(
        cursor,
        schema,
        {revision: statements(FOLDER / f"{revision}.sql") for revision in applied},
    )
    cursor.execute(
        sql.SQL("update {} set version_num = {}").format(
            sql.Identifier(schema, VERSION_TABLE), sql.Literal(adopt.SAME_AS)
        )
    )
    _record(cursor, schema, applied, applied)
    context.config.print_stdout(
        "%s is recorded as %s: the schema is the same, and nothing else was changed",
        *(adopt.LAST, adopt.SAME_AS),
    )


def _close_bookkeeping(cursor: Any, schema: str) -> None:
    """Revoke default privileges on the tables that only migrations write.

    `roles` lets the application write every future table. The rights on these tables
    must not depend on whether `roles` or `migrate` runs first.
    """
    cursor.execute(
        "select distinct relname, grantee, pg_get_userbyid(grantee) "
        "from pg_class cross join aclexplode(relacl) "
        "where relnamespace = to_regnamespace(quote_ident(%s)) "
        "and relname = any (%s) and grantee <> relowner and privilege_type = 'INSERT'",
        (schema, [VERSION_TABLE, CHECKSUM_TABLE, *changes.TABLES]),
    )
    for name, oid, role in cursor.fetchall():
        cursor.execute(
            sql.SQL("revoke all on {} from {}").format(
                sql.Identifier(schema, name),
                sql.Identifier(role) if oid else sql.SQL("public"),
            )
        )


def _run_file(path: Path, verb: str) -> None:
    content = statements(path)
    context.config.print_stdout("%s %s", verb, path.name)
    schema = str(op.get_context().version_table_schema)
    try:
        with _raw(op.get_bind()).cursor() as cursor:
            # The previous file may have set another one in the same transaction.
            cursor.execute(
                sql.SQL("set local search_path to {}").format(sql.Identifier(schema))
            )
            # Without parameters psycopg2 sends the text unchanged, with its % and :.
            cursor.execute(content)
    except psycopg2.Error as error:
        where = ""
        if error.diag.statement_position is not None:
            before = content[: int(error.diag.statement_position) - 1]
            where = f" at line {before.count(chr(10)) + 1}"
        raise UserError(
            f"migration {path.name} failed{where}: {database.explain(error)} "
            "(it was rolled back)"
        ) from None


def _ensure_schema(cursor: Any, connection: Any, schema: str) -> None:
    cursor.execute(
        "select to_regnamespace(quote_ident(%(schema)s)) is not null, "
        "has_database_privilege(current_database(), 'create'), "
        "current_user, current_database()",
        {"schema": schema},
    )
    exists, may_create, user, name = cursor.fetchone()
    if not exists:
        if not may_create:
            raise UserError(
                f'schema "{schema}" does not exist, and "{user}" may not create it: '
                f'create it, or grant create on database "{name}" to "{user}"'
            )
        if others := database.schemas_with_source(connection):
            context.config.print_stdout(
                'creating schema "%s", though %s', schema, " and ".join(others)
            )
        cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    cursor.execute("select has_schema_privilege(%s, 'create')", (schema,))
    if not cursor.fetchone()[0]:
        raise UserError(
            f'user "{user}" may not create tables in schema "{schema}": grant create '
            f'on schema "{schema}" to "{user}", or name another schema in DB_SCHEMA'
        )


def _raw(connection: Connection) -> Any:
    """The psycopg2 connection of a SQLAlchemy connection."""
    return connection.connection.dbapi_connection
