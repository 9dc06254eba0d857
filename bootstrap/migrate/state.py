"""The records of migrations in a database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from bootstrap import adopt
from bootstrap.migrate.files import checksum, revisions, up_to
from bootstrap.migrate.objects import complete, objects
from saas_analytics.errors import UserError

VERSION_TABLE = "alembic_version"
CHECKSUM_TABLE = "migration_checksums"


@dataclass(frozen=True)
class MigrationState:
    """One migration and its record in the database."""

    revision: str
    is_applied: bool
    is_edited: bool
    """Whether its file has changed since it ran."""


def states(connection: Any, schema: str) -> list[MigrationState]:
    """The state of each migration in the database, the oldest first.

    Raises:
        UserError: it is at a migration that this project doesn't have.
    """
    known = revisions()
    heads, recorded = noted(connection, schema)
    if former := adopt.former_revision(heads, recorded):
        adopt.refuse(former)
    for head in heads:
        if head not in known:
            raise UserError(
                f"the database is at migration {head}, which this project does not "
                "have: update the project, or if another program's Alembic shares the "
                f'schema "{schema}", name another one in DB_SCHEMA'
            )
    applied = up_to(heads)
    return [
        MigrationState(
            revision=revision,
            is_applied=revision in applied,
            is_edited=revision in applied
            and recorded.get(revision, checksum(revision)) != checksum(revision),
        )
        for revision in known
    ]


def noted(connection: Any, schema: str) -> tuple[list[str], dict[str, str]]:
    """The heads of a database, and the checksum of each applied revision."""
    heads = [row[0] for row in _rows(connection, schema, VERSION_TABLE, "version_num")]
    return heads, dict(_rows(connection, schema, CHECKSUM_TABLE, "revision", "sha256"))


def unrecorded(connection: Any, schema: str) -> list[str]:
    """Migrations whose objects exist without a record, as after psql."""
    missing = [
        state.revision for state in states(connection, schema) if not state.is_applied
    ]
    return complete(missing, objects(connection, schema))


def refuse_edited(known: list[MigrationState]) -> None:
    edited = [f"{state.revision}.sql" for state in known if state.is_edited]
    if edited:
        raise UserError(
            f"migration {', '.join(edited)} was edited after it ran: restore the file "
            "and write a new migration, or, if the database already has its new "
            "content, run `saas stamp REVISION`"
        )


def _rows(connection: Any, schema: str, table: str, *columns: str) -> Iterator[Any]:
    """The rows of a table; none if it does not exist."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select to_regclass(format('%%I.%%I', %s::text, %s::text)) is not null",
            (schema, table),
        )
        if not cursor.fetchone()[0]:
            return
        cursor.execute(
            sql.SQL("select {} from {}").format(
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.Identifier(schema, table),
            )
        )
        yield from cursor.fetchall()
