"""Migrations: plain SQL files, run and tracked by Alembic.

A migration is `NAME.sql` with the way back in `NAME.down.sql`, and a revision in
`versions/NAME.py` that only gives its place in the order. A table of checksums beside
Alembic's own tells when a file was edited after it ran.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from psycopg2 import sql
from sqlalchemy import Connection, text

from bootstrap import database, settings
from bootstrap.errors import UserError

FOLDER = Path(__file__).resolve().parent / "migrations"
VERSION_TABLE = "alembic_version"
CHECKSUM_TABLE = "migration_checksums"

# Any number that nothing else in the database locks.
LOCK_NUMBER = 7_226_001

Step = Callable[[], None]


@dataclass(frozen=True)
class MigrationState:
    """One migration and what the database knows of it."""

    revision: str
    is_applied: bool
    is_edited: bool


def config() -> Config:
    """Alembic's configuration."""
    return Config(settings.ROOT / "alembic.ini")


def upgrade(revision: str = "head") -> None:
    """Apply what is missing up to a revision."""
    command.upgrade(config(), _existing(revision))


def downgrade(revision: str = "-1") -> None:
    """Take back one step, or down to a revision (`base`: everything)."""
    command.downgrade(config(), _existing(revision))


def stamp(revision: str = "head") -> None:
    """Note that the database is at a revision, and the files as they are now."""
    # Purged first, so that the files' checksums are noted anew at the same revision too.
    command.stamp(config(), _existing(revision), purge=True)


def _existing(revision: str) -> str:
    if revision in ("head", "base") or re.fullmatch(r"[+-]\d+", revision):
        return revision
    names = [name for name in revisions() if name.startswith(revision)]
    if len(names) != 1:
        raise UserError(
            f"there is no migration {revision}: give one of {', '.join(revisions())}, "
            "head or base"
        )
    return names[0]


def revisions() -> list[str]:
    """All revisions, the oldest first."""
    scripts = ScriptDirectory.from_config(config())
    return [script.revision for script in scripts.walk_revisions()][::-1]


def states(configuration: settings.Settings) -> list[MigrationState]:
    """What the database knows of each migration, the oldest first."""
    schema = configuration.source_schema
    with database.connected(configuration) as connection:
        current = _read_column(connection, schema, VERSION_TABLE, "version_num")
        recorded = dict(
            _read_rows(connection, schema, CHECKSUM_TABLE, ("revision", "sha256"))
        )
    applied = set(_ancestors(current))
    return [
        MigrationState(
            revision=revision,
            is_applied=revision in applied,
            is_edited=revision in applied
            and recorded.get(revision, checksum(revision)) != checksum(revision),
        )
        for revision in revisions()
    ]


def sql_files(revision: str) -> tuple[Step, Step]:
    """The two functions of an Alembic revision: apply its file, take it back."""

    def apply() -> None:
        path = FOLDER / f"{revision}.sql"
        _refuse_foreign_tables(path)
        _run_file(path)

    def take_back() -> None:
        _run_file(FOLDER / f"{revision}.down.sql")

    return apply, take_back


def statements(path: Path) -> str:
    """A migration without its begin and commit: Alembic brings the transaction.

    Raises:
        UserError: the file is missing or isn't one transaction.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"migration {path.name} can't be read: {error.strerror}"
        ) from None
    opened, begins = re.subn(r"^begin;$", "", content, flags=re.MULTILINE)
    closed, commits = re.subn(r"^commit;\s*\Z", "", opened, flags=re.MULTILINE)
    if begins != 1 or commits != 1:
        raise UserError(
            f"migration {path.name} must be one transaction: a line `begin;` before "
            "its first statement and a line `commit;` at its end"
        )
    return closed


def checksum(revision: str) -> str:
    """SHA-256 of a migration's file, in hex."""
    return hashlib.sha256((FOLDER / f"{revision}.sql").read_bytes()).hexdigest()


def prepare(connection: Connection, configuration: settings.Settings) -> None:
    """Make a connection ready for Alembic: alone, in the schema, with nothing edited.

    The lock belongs to the session, so it needs a direct connection, not one through a
    pooler in transaction mode; it goes when the connection is closed.

    Raises:
        UserError: the database is not fit for the migrations.
    """
    schema = configuration.source_schema
    connection.execute(
        text("select pg_advisory_lock(:number)"), {"number": LOCK_NUMBER}
    )
    raw = _raw(connection)
    with raw.cursor() as cursor:
        _ensure_schema(cursor, schema)
        cursor.execute(
            sql.SQL(
                "create table if not exists {} (revision text primary key, "
                "sha256 text not null, applied_at timestamptz not null default now())"
            ).format(sql.Identifier(schema, CHECKSUM_TABLE))
        )
    current = _read_column(raw, schema, VERSION_TABLE, "version_num")
    recorded = dict(_read_rows(raw, schema, CHECKSUM_TABLE, ("revision", "sha256")))
    connection.info["applied"] = _ancestors(current)
    connection.info["recorded"] = recorded
    connection.commit()


def refuse_edited(connection: Connection) -> None:
    """Raise a UserError that names the migrations which were edited after they ran."""
    recorded: dict[str, str] = connection.info["recorded"]
    edited = [
        revision
        for revision in connection.info["applied"]
        if recorded.get(revision, checksum(revision)) != checksum(revision)
    ]
    if edited:
        raise UserError(
            f"migration {', '.join(f'{name}.sql' for name in edited)} was edited after "
            "it ran: restore the file and write a new migration, or, if the database "
            "already has what it says now, run `python -m bootstrap stamp`"
        )


def record_checksums(
    ctx: MigrationContext,
    step: MigrationInfo,
    heads: Collection[Any],
    run_args: Mapping[str, Any],
) -> None:
    """Keep the checksums in step with the revision, in the migration's transaction."""
    assert ctx.connection is not None
    applied = _ancestors(heads)
    table = sql.Identifier(str(ctx.version_table_schema), CHECKSUM_TABLE)
    # A stamp says that the database is as the files are now.
    condition = "true" if step.is_stamp else "false"
    with _raw(ctx.connection).cursor() as cursor:
        cursor.execute(
            sql.SQL("delete from {} where revision <> all (%s)").format(table),
            (applied,),
        )
        cursor.executemany(
            sql.SQL(
                "insert into {} (revision, sha256) values (%s, %s) "
                "on conflict (revision) do update set sha256 = excluded.sha256 "
                "where {}"
            ).format(table, sql.SQL(condition)),
            [(revision, checksum(revision)) for revision in applied],
        )


def _run_file(path: Path) -> None:
    connection = op.get_bind()
    refuse_edited(connection)
    content = statements(path)
    raw = _raw(connection)
    try:
        # Without parameters psycopg2 sends the text as it is: % and : stay.
        with raw.cursor() as cursor:
            cursor.execute(content)
    except psycopg2.Error as error:
        line = _line(content, error)
        raise UserError(
            f"migration {path.name} failed{line}: {database.explain(error)} "
            "(nothing of it was applied)"
        ) from None


def _line(content: str, error: psycopg2.Error) -> str:
    position = error.diag.statement_position
    if position is None:
        return ""
    return f" at line {content.count(chr(10), 0, int(position)) + 1}"


def _ensure_schema(cursor: Any, schema: str) -> None:
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
                f'there is no schema "{schema}" and user "{user}" may not make one: '
                f'create it, or grant create on database "{name}" to "{user}"'
            )
        cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    cursor.execute("select has_schema_privilege(%s, 'create')", (schema,))
    if not cursor.fetchone()[0]:
        raise UserError(
            f'user "{user}" may not make tables in schema "{schema}": grant create on '
            f'schema "{schema}" to "{user}", or name another schema in DB_SCHEMA'
        )


def _refuse_foreign_tables(path: Path) -> None:
    """Stop before a migration whose tables are there already, made by somebody else."""
    wanted = re.findall(r"^create table (\w+)", statements(path), flags=re.MULTILINE)
    with _raw(op.get_bind()).cursor() as cursor:
        cursor.execute(
            "select relname, nspname from pg_class "
            "join pg_namespace on pg_namespace.oid = relnamespace "
            "where nspname = current_schema() and relname = any (%s) order by relname",
            (wanted,),
        )
        found = cursor.fetchall()
    if found:
        names = ", ".join(name for name, _ in found[:5]) + (" …" if found[5:] else "")
        raise UserError(
            f'schema "{found[0][1]}" already has tables that {path.name} makes: '
            f"{names}: name another schema in DB_SCHEMA, or if psql made them from "
            "these files, run `python -m bootstrap stamp REVISION`"
        )


def _raw(connection: Connection) -> Any:
    """psycopg2's connection below SQLAlchemy's."""
    return connection.connection.dbapi_connection


def _ancestors(heads: Any) -> list[str]:
    """The revisions that a database at these heads has, the oldest first."""
    known = revisions()
    unknown = [head for head in heads if head not in known]
    if unknown:
        raise UserError(
            f"the database is at migration {unknown[0]}, which this project does not "
            "have: update the project"
        )
    last = max((known.index(head) for head in heads), default=-1)
    return known[: last + 1]


def _read_column(connection: Any, schema: str, table: str, column: str) -> list[str]:
    return [row[0] for row in _read_rows(connection, schema, table, (column,))]


def _read_rows(
    connection: Any, schema: str, table: str, columns: tuple[str, ...]
) -> Iterator[Any]:
    """The rows of a table of ours, none where it isn't there yet."""
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
