"""Migrations: plain SQL files, run and tracked by Alembic.

A migration is `NAME.sql` with the way back in `NAME.down.sql`, and a revision in
`versions/NAME.py` that only gives its place in the order. A table of checksums beside
Alembic's own tells when a file was edited after it ran.
"""

import contextlib
import hashlib
import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from alembic import command, context, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg2 import sql
from sqlalchemy import Connection, text

from bootstrap import adopt, changes, database, locks, settings, trust
from bootstrap.errors import UserError

FOLDER = Path(__file__).resolve().parent / "migrations"
VERSION_TABLE = "alembic_version"
CHECKSUM_TABLE = "migration_checksums"

# Tables that hold no data of the application, but what the project notes of it.
NOTES = (
    *("change_tombstones", "change_tombstones_cleared"),
    *("usage_aggregate_runs", "usage_aggregate_stale_periods"),
)

# Any number that nothing else in the database locks.
LOCK_NUMBER = 7_226_001

Step = Callable[[], None]


@dataclass(frozen=True)
class MigrationState:
    """One migration and what the database knows of it."""

    revision: str
    is_applied: bool
    is_edited: bool
    """Whether its file has changed since it ran."""


@dataclass(frozen=True)
class WayBack:
    """What a downgrade would do."""

    target: str
    rows: dict[str, int]
    """How many rows each table has that it would drop, and that holds any."""


def config(wait_seconds: float = locks.WAIT_SECONDS) -> Config:
    """Alembic's configuration, and how long to wait for another migration."""
    made = Config(settings.ROOT / "alembic.ini")
    made.attributes["wait_seconds"] = wait_seconds
    return made


def upgrade(
    revision: str = "head", *, wait_seconds: float = locks.WAIT_SECONDS
) -> None:
    """Apply what is missing up to a revision.

    Raises:
        UserError: the server, the database or a file doesn't allow it.
    """
    with _alembic_errors():
        command.upgrade(config(wait_seconds), _existing(revision))


def downgrade(revision: str = "-1") -> None:
    """Take back one step, or down to a revision (`base`: everything), or nothing.

    Raises:
        UserError: the server, the database or a file doesn't allow it.
    """
    target = plan_way_back(revision).target
    with _alembic_errors():
        command.downgrade(config(), target)


def plan_way_back(revision: str) -> WayBack:
    """What a downgrade would do, checked before it does anything.

    Raises:
        UserError: there is nothing to take back, or something would keep it from that.
    """
    target = _existing(revision)
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        schema = configuration.source_schema
        database.require_owner(connection, configuration)
        known = states(connection, schema)
        applied = [state.revision for state in known if state.is_applied]
        if not applied:
            raise UserError("there is no migration to take back")
        if target in revisions() and target not in applied:
            raise UserError(
                f"migration {target} is not applied, nor is any after it: there is "
                "nothing to take back"
            )
        _refuse_edited(known)
        tables = _tables_dropped(_after(target, applied))
        with connection.cursor() as cursor:
            _refuse_dependents(cursor, configuration, tables)
            rows = {
                table: count
                for table in tables
                if table not in NOTES and (count := _count(cursor, schema, table))
            }
    return WayBack(target=target, rows=rows)


def _after(target: str, applied: list[str]) -> list[str]:
    """The applied revisions that are taken back on the way to a target."""
    if target == "base":
        return applied
    if target in applied:
        return applied[applied.index(target) + 1 :]
    return applied[int(target) :] if target.startswith("-") else []


def _tables_dropped(taken_back: list[str]) -> list[str]:
    """The tables that the ways back of these migrations drop."""
    texts = [statements(FOLDER / f"{each}.down.sql") for each in taken_back]
    return re.findall(r"^drop table (\w+);$", "\n".join(texts), flags=re.MULTILINE)


def _count(cursor: Any, schema: str, table: str) -> int:
    cursor.execute(
        sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
    )
    return int(cursor.fetchone()[0])


def _refuse_dependents(
    cursor: Any, configuration: settings.Settings, tables: list[str]
) -> None:
    """Stop before anything is dropped, where views or foreign keys need the tables."""
    cursor.execute(
        """
        with doomed as (
            select oid from pg_class
            where
                relnamespace = to_regnamespace(quote_ident(%s))
                and (
                    relname = any (%s) and relkind in ('r', 'p')
                    or pg_partition_root(oid) in (
                        select oid from pg_class
                        where
                            relnamespace = to_regnamespace(quote_ident(%s))
                            and relname = any (%s)
                    )
                )
        ),

        needed as (
            select ev_class as relation, refobjid as needed
            from pg_depend inner join pg_rewrite on pg_rewrite.oid = objid
            where classid = 'pg_rewrite'::regclass and refclassid = 'pg_class'::regclass
            union
            select conrelid, confrelid from pg_constraint where contype = 'f'
        )

        select
            relnamespace::regnamespace::text,
            case relkind when 'v' then 'view' when 'm' then 'materialized view'
                else 'table' end,
            format('%%I.%%I', relnamespace::regnamespace, relname),
            needed::regclass::text
        from needed inner join pg_class on pg_class.oid = relation
        where
            needed in (select oid from doomed)
            and relation not in (select oid from doomed)
        order by 3, 4
        """,
        (configuration.source_schema, tables) * 2,
    )
    found = cursor.fetchall()
    if not found:
        return
    _, kind, name, table = found[0]
    more = len({row[2] for row in found}) - 1
    others = f" (and {more} more depend on such tables)" if more else ""
    schemas = {row[0] for row in found} & set(configuration.dbt_schemas())
    drop = "".join(f", dbt's by `drop schema {each} cascade`" for each in schemas)
    raise UserError(
        f"{kind} {name} depends on table {table}{others}: drop what depends on it "
        f"first{drop}; nothing was taken back"
    )


def stamp(revision: str = "head") -> None:
    """Note that the database is at a revision, and the files as they are now.

    Raises:
        UserError: the server doesn't allow it, or the database lacks its tables.
    """
    with _alembic_errors():
        # Purged first, so that the checksums are noted anew at the same revision too.
        command.stamp(config(), _existing(revision), purge=True)


@contextlib.contextmanager
def _alembic_errors() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise UserError(str(error)) from None


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


def states(connection: Any, schema: str) -> list[MigrationState]:
    """What the database knows of each migration, the oldest first.

    Raises:
        UserError: it is at a migration that this project doesn't have.
    """
    known = revisions()
    heads, recorded = _noted(connection, schema)
    if former := adopt.former_revision(heads, recorded):
        adopt.refuse(former)
    for head in heads:
        if head not in known:
            raise UserError(
                f"the database is at migration {head}, which this project does not "
                "have: update the project, or if another program's Alembic shares the "
                f'schema "{schema}", name another one in DB_SCHEMA'
            )
    applied = _up_to(heads)
    return [
        MigrationState(
            revision=revision,
            is_applied=revision in applied,
            is_edited=revision in applied
            and recorded.get(revision, checksum(revision)) != checksum(revision),
        )
        for revision in known
    ]


def _noted(connection: Any, schema: str) -> tuple[list[str], dict[str, str]]:
    """The revisions that a database is at, and the checksum of each that it has."""
    heads = [row[0] for row in _rows(connection, schema, VERSION_TABLE, "version_num")]
    return heads, dict(_rows(connection, schema, CHECKSUM_TABLE, "revision", "sha256"))


def _up_to(heads: Collection[str]) -> list[str]:
    """The revisions that a database at these heads has, the oldest first."""
    known = revisions()
    return known[: max((known.index(head) + 1 for head in heads), default=0)]


def checksum(revision: str) -> str:
    """SHA-256 of a migration's file, in hex."""
    return hashlib.sha256(_read(FOLDER / f"{revision}.sql").encode()).hexdigest()


# --- What Alembic calls: versions/*.py and env.py -------------------------------------


def sql_files(revision: str) -> tuple[Step, Step]:
    """The two functions of an Alembic revision: apply its file, take it back."""
    return (
        lambda: _run_file(FOLDER / f"{revision}.sql", "applying"),
        lambda: _run_file(FOLDER / f"{revision}.down.sql", "taking back"),
    )


def prepare(
    connection: Connection, configuration: settings.Settings, task: str
) -> None:
    """Make a connection ready for Alembic's task: alone, in the schema, nothing edited.

    The lock belongs to the session, and goes when the connection is closed.

    Raises:
        UserError: the database is not fit for the task.
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
            # A file's own statements look names up there.
            trust.refuse(cursor, schema)
            _adopt(cursor, raw, schema)
        former = adopt.former_revision(*_noted(raw, schema))
        context.config.attributes["stamped_over"] = (
            [adopt.SAME_AS] if former == adopt.LAST else []
        )
    if task != "stamp":
        known = states(raw, schema)
        _refuse_edited(known)
        if task == "upgrade":
            missing = [state.revision for state in known if not state.is_applied]
            _refuse_foreign_objects(raw, schema, missing)
    connection.commit()


def record_checksums(
    ctx: MigrationContext,
    step: MigrationInfo,
    heads: Collection[Any],
    run_args: Mapping[str, Any],
) -> None:
    """Keep the checksums in step with the revision, in the migration's transaction."""
    assert ctx.connection is not None
    applied = _up_to(heads)
    # A stamp says that the database is as all the files are now.
    fresh = applied if step.is_stamp else list(step.up_revision_ids)
    if step.is_stamp:
        # Its owner says that a database of before 0.1.0 differs on purpose.
        exempt = _up_to(context.config.attributes["stamped_over"])
        _refuse_missing_objects(
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
    """Keep the checksums of what is applied, noted again of what is fresh."""
    # No %s below: psycopg2 would take a % in the schema's name for another.
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
    """Note a database of the migrations before 0.1.0 as one of the present ones.

    Raises:
        UserError: its schema is not theirs.
    """
    heads, recorded = _noted(connection, schema)
    if adopt.former_revision(heads, recorded) != adopt.LAST:
        return
    applied = _up_to([adopt.SAME_AS])
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
        "%s is %s now: the schema is the same, and nothing else was changed",
        *(adopt.LAST, adopt.SAME_AS),
    )


def _close_bookkeeping(cursor: Any, schema: str) -> None:
    """Take back what default privileges gave on tables that only we write.

    `roles` lets the application write each table to come, these included: their rights
    must not depend on which of the two ran first.
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


# --- Files ----------------------------------------------------------------------------


def statements(path: Path) -> str:
    """A migration without its begin and commit: Alembic brings the transaction.

    Raises:
        UserError: the file is missing or isn't one transaction.
    """
    content = _read(path)
    begin_or_commit = r"^(?:begin|commit);$"
    found = re.findall(begin_or_commit, content, flags=re.MULTILINE)
    if found != ["begin;", "commit;"] or not content.endswith("\ncommit;\n"):
        raise UserError(
            f"migration {path.name} must be one transaction: a line `begin;` before "
            "its first statement and a line `commit;` at its end"
        )
    return re.sub(begin_or_commit, "", content, flags=re.MULTILINE)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"migration {path.name} can't be read: {reason}") from None


def _run_file(path: Path, verb: str) -> None:
    content = statements(path)
    context.config.print_stdout("%s %s", verb, path.name)
    schema = str(op.get_context().version_table_schema)
    try:
        with _raw(op.get_bind()).cursor() as cursor:
            # The file before it may have set another one in the same transaction.
            cursor.execute(
                sql.SQL("set local search_path to {}").format(sql.Identifier(schema))
            )
            # Without parameters psycopg2 sends the text as it is: % and : stay.
            cursor.execute(content)
    except psycopg2.Error as error:
        where = ""
        if error.diag.statement_position is not None:
            before = content[: int(error.diag.statement_position) - 1]
            where = f" at line {before.count(chr(10)) + 1}"
        raise UserError(
            f"migration {path.name} failed{where}: {database.explain(error)} "
            "(nothing of it was applied)"
        ) from None


# --- The database ---------------------------------------------------------------------


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
                f'there is no schema "{schema}" and user "{user}" may not make one: '
                f'create it, or grant create on database "{name}" to "{user}"'
            )
        if others := database.schemas_with_source(connection):
            context.config.print_stdout(
                'making schema "%s", though %s', schema, " and ".join(others)
            )
        cursor.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    cursor.execute("select has_schema_privilege(%s, 'create')", (schema,))
    if not cursor.fetchone()[0]:
        raise UserError(
            f'user "{user}" may not make tables in schema "{schema}": grant create on '
            f'schema "{schema}" to "{user}", or name another schema in DB_SCHEMA'
        )


def _refuse_edited(known: list[MigrationState]) -> None:
    edited = [f"{state.revision}.sql" for state in known if state.is_edited]
    if edited:
        raise UserError(
            f"migration {', '.join(edited)} was edited after it ran: restore the file "
            "and write a new migration, or, if the database already has what it says "
            "now, run `python -m bootstrap stamp REVISION`"
        )


def _refuse_foreign_objects(connection: Any, schema: str, missing: list[str]) -> None:
    """Stop before anything is made, where somebody else has these names in use."""
    makers = _objects_by_file(missing)
    present = _objects(connection, schema)
    found = sorted(present & set(makers))
    if found:
        files = _first_few(sorted({makers[name] for name in found}))
        if complete := _complete(missing, present):
            advice = f"these files, run `python -m bootstrap stamp {complete[-1]}`"
        else:
            advice = f"migrations before 0.1.0, {adopt.BRING}"
        raise UserError(
            f'schema "{schema}" already has what {files} would make: '
            f"{_first_few(found)}: name another schema in DB_SCHEMA, or if psql made "
            f"it from {advice}"
        )


def _refuse_missing_objects(connection: Any, schema: str, applied: list[str]) -> None:
    """Stop before a database is noted to have migrations that never ran there."""
    makers = _objects_by_file(applied)
    missing = sorted(set(makers) - _objects(connection, schema))
    if missing:
        files = ", ".join(sorted({makers[name] for name in missing}))
        raise UserError(
            f'schema "{schema}" lacks what {files} would make: '
            f"{_first_few(missing)}: stamp only what psql has run there, or run "
            "`python -m bootstrap migrate` instead"
        )


def unnoted(connection: Any, schema: str) -> list[str]:
    """Migrations that are all there though none is noted, as psql leaves it."""
    missing = [
        state.revision for state in states(connection, schema) if not state.is_applied
    ]
    return _complete(missing, _objects(connection, schema))


def _complete(missing: list[str], present: set[str]) -> list[str]:
    """The first migrations of which all is there, if nothing is there of the others."""
    made = {revision: set(_objects_by_file([revision])) for revision in missing}
    done = list(itertools.takewhile(lambda each: made[each] <= present, missing))
    while done and not made[done[-1]]:
        done.pop()
    others = set().union(*(made[each] for each in missing[len(done) :]))
    return [] if others & present else done


def tables_by_file() -> dict[str, str]:
    """The tables that migrations make, each with the name of its file."""
    return _objects_by_file(revisions())


_MADE = (
    "create (?:table|function) ",
    # An index that takes another's place is renamed last. A DO block lists others.
    r"create index |alter index \w+ rename to | +\('(?=\w+_idx')",
    "add constraint ",
)


def _objects_by_file(chosen: list[str]) -> dict[str, str]:
    """What migrations are known by, each with the name of its file.

    That is their tables and functions. Of one without any it is its indexes, or else
    its constraints: none of these may go again with a later migration. What several
    make is known as the first one's. Indexes of default partitions don't count: when
    PostgreSQL makes one again, it chooses another name.
    """
    makers: dict[str, str] = {}
    for revision in revisions():
        text = statements(FOLDER / f"{revision}.sql")
        for made in _MADE:
            names = re.findall(
                rf"^(?:{made})(?!\w+_default_)(\w+)", text, flags=re.MULTILINE
            )
            if names:
                makers = dict.fromkeys(names, revision) | makers
                break
    return {
        name: f"{revision}.sql"
        for name, revision in makers.items()
        if revision in chosen
    }


def _objects(connection: Any, schema: str) -> set[str]:
    """The names of all tables, indexes, functions and constraints of a schema."""
    with connection.cursor() as cursor:
        cursor.execute(
            "with place as (select to_regnamespace(quote_ident(%s)) as oid) "
            "select relname from pg_class, place where relnamespace = place.oid "
            "union select proname from pg_proc, place where pronamespace = place.oid "
            "union select conname from pg_constraint, place "
            "where connamespace = place.oid",
            (schema,),
        )
        return {name for (name,) in cursor.fetchall()}


def _first_few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if names[5:] else "")


def _raw(connection: Connection) -> Any:
    """psycopg2's connection below SQLAlchemy's."""
    return connection.connection.dbapi_connection


def _rows(connection: Any, schema: str, table: str, *columns: str) -> Iterator[Any]:
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
