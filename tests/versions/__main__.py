"""python -m tests.versions: are the marts the same on every PostgreSQL?

It needs no superuser's rights. On a server of each version it runs the migrations, the
roles, the demo company, a build with all tests, a refresh after writes, and the
rollback. It compares the marts with those of the first version, row by row.
"""

import io
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import click
import psycopg2
from psycopg2 import sql

from bootstrap import migrate
from saas_analytics import settings
from saas_analytics.errors import UserError
from saas_analytics.server import embedded
from tests import steps
from tests.python.servers import fast_server, server_folder
from tests.python.support import Database, new_database, with_login
from tests.versions import programs

# The same company and the same "now" on every server and day.
COMPANY = ("--scale", "0.05", "--seed", "1", "--until", "2026-06-30")
NOW = '{"as_of": "2026-06-30T23:59:59Z"}'
WRITES = Path(__file__).with_name("writes.sql")

SETTINGS = settings.load({})
OWNER = "owner"

# Both sort by code point. PostgreSQL 17 added the built-in provider.
LOCALES = {True: embedded.LOCALE, False: ("--locale=C.UTF-8",)}

CELLS = ("version", "migrate", "demo", "build", "tests", "refresh", "back", "marts")
WIDTH = 10

Marts = dict[str, list[str]]
"""The column names and the sorted rows of each mart."""


@click.command()
@click.argument("majors", nargs=-1, type=click.Choice(programs.MAJORS))
def main(majors: Sequence[str]) -> None:
    """Compare the marts on PostgreSQL MAJORS, all by default; exit 1 if any differ."""
    steps.leave_no_server()
    complaints: list[str] = []
    reference: tuple[str, list[Marts]] | None = None
    for cell in CELLS:
        _show(cell)
    with server_folder() as scratch:
        for major in majors or programs.MAJORS:
            click.echo()
            try:
                found = try_version(major, scratch)
                if reference is None:
                    reference = (major, found)
                else:
                    _compare(found, *reference)
            except (UserError, psycopg2.Error, subprocess.TimeoutExpired) as error:
                _show("FAILED")
                complaints.append(f"PostgreSQL {major}: {str(error).strip()}")
            else:
                is_first = reference[1] is found
                _show(f"{len(found[0])} {'read' if is_first else 'equal'}")
    click.echo()
    for complaint in complaints:
        click.echo(f"error: {complaint}", err=True)
    sys.exit(1 if complaints else 0)


def try_version(major: str, scratch: Path) -> list[Marts]:
    """Run all steps on one version. Returns the marts as built, and as refreshed.

    Raises:
        UserError: a step fails.
    """
    # All servers have the same address, so dbt parses the project once.
    folder = scratch / "server"
    locale = LOCALES[int(major) >= 17]
    server = fast_server(folder, programs.folder_of(major), locale)
    try:
        server.start()
        return _go(Database(server.url("postgres")), major, scratch / "target")
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _go(server: Database, major: str, target: Path) -> list[Marts]:
    version = str(server.execute("show server_version")[0][0]).split()[0]
    _show(version)
    if version.split(".")[0] != major:
        raise UserError(f"the server is PostgreSQL {version}")
    server.execute(f"create role {OWNER} login createrole")
    with new_database(server.url, name="company", owner=OWNER) as admin:
        owner = Database(with_login(admin.url, OWNER, ""))
        _timed(lambda: _migrate(owner))
        _timed(lambda: steps.bootstrap(owner, "demo", *COMPANY))
        admin.execute(f"alter role {SETTINGS.transformer_role} login")
        transformer = Database(with_login(admin.url, SETTINGS.transformer_role, ""))
        _timed(lambda: steps.build(transformer, NOW, target))
        _show(f"{_passed_tests(target):,}")
        built = _read_marts(admin)
        owner.execute(WRITES.read_text(encoding="utf-8"))
        _timed(lambda: steps.refresh(transformer))
        refreshed = _read_marts(admin)
        _timed(lambda: _take_back(admin, owner))
    return [built, refreshed]


# --- The steps ------------------------------------------------------------------------


def _migrate(owner: Database) -> None:
    steps.bootstrap(owner, "migrate")
    steps.bootstrap(owner, "roles")


def _take_back(admin: Database, owner: Database) -> None:
    for schema in SETTINGS.dbt_schemas():
        statement = sql.SQL("drop schema {} cascade").format(sql.Identifier(schema))
        admin.execute(statement)
    steps.bootstrap(owner, "rollback", "base", "--yes")
    left = admin.execute(
        "select relname::text from pg_class "
        "where relnamespace = 'public'::regnamespace and relkind <> 'i' "
        "union all "
        "select proname::text from pg_proc where pronamespace = 'public'::regnamespace"
    )
    kept = {migrate.VERSION_TABLE, migrate.CHECKSUM_TABLE}
    if extra := {name for (name,) in left} - kept:
        raise UserError(f"rollback leaves {', '.join(sorted(extra))}")


def _passed_tests(target: Path) -> int:
    results = json.loads((target / "run_results.json").read_text())["results"]
    tests = {
        result["unique_id"]: result["status"]
        for result in results
        if result["unique_id"].startswith(("test.", "unit_test."))
    }
    for name, status in tests.items():
        # The demo data deliberately contains findings, which are warnings.
        if status not in ("pass", "warn"):
            raise UserError(f"{name}: {status}")
    return len(tests)


# --- The marts ------------------------------------------------------------------------


def _read_marts(database: Database) -> Marts:
    marts: Marts = {}
    schema = SETTINGS.marts_schema
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select table_name::text, string_agg(column_name || ' ' || data_type, ', ' "
            "order by ordinal_position) from information_schema.columns "
            "where table_schema = %s group by 1 order by 1",
            (schema,),
        )
        for mart, columns in cursor.fetchall():
            rows = io.StringIO()
            command = sql.SQL("copy {} to stdout").format(sql.Identifier(schema, mart))
            cursor.copy_expert(command, rows)
            marts[mart] = [columns, *sorted(rows.getvalue().splitlines())]
            if len(marts[mart]) == 1:
                raise UserError(f"{mart} is empty")
    return marts


def _compare(found: list[Marts], other: str, expected: list[Marts]) -> None:
    for when, ours, theirs in zip(("built", "refreshed"), found, expected, strict=True):
        for mart in sorted(ours.keys() | theirs.keys()):
            here, there = Counter(ours.get(mart)), Counter(theirs.get(mart))
            if here != there:
                raise UserError(
                    f"{mart}, {when}, differs from {other}: "
                    f"{next(iter(here - there), 'nothing')} in place of "
                    f"{next(iter(there - here), 'nothing')}"
                )


# --- The table ------------------------------------------------------------------------


def _show(cell: str) -> None:
    click.echo(f"{cell:>{WIDTH}}", nl=False)
    sys.stdout.flush()


def _timed(step: Callable[[], None]) -> None:
    started = time.monotonic()
    step()
    _show(f"{time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
