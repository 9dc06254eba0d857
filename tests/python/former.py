"""Databases of the migrations before 0.1.0, and the ways to move them over.

The fixtures are dumps (pg_dump --no-owner) of databases that commit 4451698 migrated to
015_long_names on PostgreSQL 15 and 18. They have a small company: events in months and
in default partitions, before-images, counters, aggregates, and one erased person.
"""

import gzip
import subprocess
from collections.abc import Callable

import pytest

from bootstrap import adopt, migrate
from saas_analytics.server import programs
from tests.python.support import ROOT, Database, run
from tests.python.test_migrations import OUR_TABLES, alembic, psql

FIXTURES = ROOT / "tests" / "python" / "fixtures"
SCRIPT = ROOT / "bootstrap" / "adopt_015.sql"
REVISIONS = migrate.revisions()
BASE = REVISIONS[: REVISIONS.index(adopt.SAME_AS) + 1]
FILES = [migrate.FOLDER / f"{revision}.sql" for revision in BASE]

# Of partitions by month, the day decides which there are, and PostgreSQL what their
# indexes are called.
NOT_COMPARED = (*OUR_TABLES, r"_y\d{4}m\d\d")


def load(database: Database, version: str, schema: str = "public") -> None:
    """Restore the dump of one version, into a schema."""
    packed = FIXTURES / f"schema_at_015_pg{version}.sql.gz"
    text = gzip.decompress(packed.read_bytes()).decode()
    if schema != "public":
        quoted = '"' + schema.replace('"', '""') + '"'
        text = f"create schema {quoted};\n" + text.replace("public.", f"{quoted}.")
    options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null")
    subprocess.run(
        [str(programs.binaries() / "psql"), *options, f"--dbname={database.url}"],
        input=text,
        text=True,
        check=True,
    )


def rows(database: Database, *columns: str) -> dict[str, list[str]]:
    """Every row of every table, and system columns of it."""
    tables = database.execute(
        "select oid::regclass::text from pg_class where relkind in ('r', 'p') "
        "and relnamespace = 'public'::regnamespace and not relispartition "
        "and relname <> all (%s) order by 1",
        (list(OUR_TABLES),),
    )
    selected = ", ".join((*columns, "kept"))
    return {
        table: [
            row
            for (row,) in database.execute(
                f"select ({selected})::text from {table} as kept order by 1"
            )
        ]
        for (table,) in tables
    }


def by_command(database: Database) -> subprocess.CompletedProcess[str]:
    return run("migrate", adopt.SAME_AS, env=database.environment())


def by_alembic(database: Database) -> subprocess.CompletedProcess[str]:
    return alembic("upgrade", adopt.SAME_AS, env=database.environment())


def by_psql(database: Database) -> subprocess.CompletedProcess[str]:
    return psql(SCRIPT, url=database.url)


Way = Callable[[Database], subprocess.CompletedProcess[str]]
each_way = pytest.mark.parametrize("way", [by_command, by_alembic, by_psql])
