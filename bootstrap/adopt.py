"""Databases of the fifteen migrations that there were before 0.1.0.

They were merged into nine before the first release. A database at the last of the
fifteen has the schema of the nine: that is proved, and its version is moved over. An
older one has to be brought to the last one first, by the former release.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from psycopg2 import errors, sql
from psycopg2.extensions import cursor as Cursor

from saas_analytics.errors import UserError

# The last migration before 0.1.0, and the one that makes the same schema now.
LAST = "015_long_names"
SAME_AS = "009_stale_usage"

# The commit is one that has the fifteen.
BRING = (
    f"bring it to {LAST} first, with the former release (`git checkout 4451698`, "
    "`make setup`, `python -m bootstrap migrate`), then migrate with this one"
)

# SHA-256 of the first three, whose names are still in use; the others by their names.
SAME_NAMES = {
    "001_initial_schema": (
        "15c51fe34ddec26e9ee4a55830624db13a0588a7c0be25f8707926ad1dc62dad"
    ),
    "002_affiliates": (
        "09dafd766e23e8198d174229105c632aade80ae060b9635e7d3e41193d8231b1"
    ),
    "003_analytics": (
        "56680fe08cde5e9c242c33f56f7722ede16d4bdf63de1167be5edf2c96aa7225"
    ),
}
FORMER_NAMES = (
    *("004_stale_usage_aggregates", "005_change_capture", "006_group_indexes"),
    *("007_stale_usage_lets_go", "008_payment_time_index"),
    *("009_account_time_indexes", "010_functions_look_up_nothing"),
    *("011_capture_columns", "012_plausible_times", "013_erasures_forgotten"),
    *("014_wide_amounts", LAST),
)

COMPARISON = Path(__file__).resolve().parent / "schema_differences.sql"
SCRATCH = "saas_analytics_expected"


def former_revision(heads: Collection[str], checksums: Mapping[str, str]) -> str | None:
    """The migration before 0.1.0 that a database is at, if it is at one.

    Args:
        heads: the revisions that it is at.
        checksums: SHA-256 of each file that ran, by revision.
    """
    for head in heads:
        if head in FORMER_NAMES:
            return head
        if head in SAME_NAMES and checksums.get(head) == SAME_NAMES[head]:
            return head
    return None


def refuse(revision: str) -> None:
    """Stop at a database that is at a migration before 0.1.0.

    Raises:
        UserError: always; it says what to do.
    """
    if revision == LAST:
        raise UserError(
            f"the database is at {revision}, the last migration before 0.1.0: run "
            f"`saas migrate`, which notes it as {SAME_AS}"
        )
    raise UserError(
        f"the database is at migration {revision} of before 0.1.0: {BRING}; "
        "nothing was changed"
    )


def prove(cursor: Cursor, schema: str, files: Mapping[str, str]) -> None:
    """Compare a schema with what the migrations make now; leave nothing behind.

    They make it in a schema of its own, which is rolled back. Until the transaction
    ends, no table of ours can be altered.

    Args:
        cursor: of the owner, in a transaction.
        schema: the one to judge.
        files: the statements of each migration, in order, by the name of its file.

    Raises:
        UserError: something differs, or the user may not make a schema.
    """
    cursor.execute("set local lock_timeout = '10s'")
    _lock(cursor, schema, "\n".join(files.values()))
    cursor.execute("savepoint before_the_comparison")
    make_expected(cursor, files.values())
    found = differences(cursor, schema)
    cursor.execute("rollback to savepoint before_the_comparison")
    if found:
        raise UserError(
            f"the database is at {LAST}, but its schema is not the one of {SAME_AS}: "
            f"{found}; nothing was changed: make it equal and migrate again, or, "
            "if you changed it on purpose, run `saas stamp "
            f"{SAME_AS}`"
        )


def _lock(cursor: Cursor, schema: str, statements: str) -> None:
    """Keep other sessions from altering the tables; they may go on to write."""
    names = re.findall(r"^create table (\w+)", statements, flags=re.MULTILINE)
    cursor.execute(
        "select relname::text from pg_class where relkind in ('r', 'p') "
        "and relnamespace = to_regnamespace(quote_ident(%s)) and relname = any (%s) "
        "order by relname",
        (schema, names),
    )
    tables = [sql.Identifier(schema, name) for (name,) in cursor.fetchall()]
    if tables:
        cursor.execute(
            sql.SQL("lock table only {} in access share mode").format(
                sql.SQL(", only ").join(tables)
            )
        )


def differences(cursor: Cursor, schema: str) -> str:
    """The first things that a schema lacks of the expected one; "" for none."""
    cursor.execute(
        "select set_config('search_path', quote_ident(%s), true), "
        "set_config('saas_analytics.expected', %s, true)",
        (schema, SCRATCH),
    )
    cursor.execute(COMPARISON.read_text(encoding="utf-8"))
    (found,) = cursor.fetchone() or ("",)
    return str(found)


def make_expected(cursor: Cursor, files: Collection[str]) -> None:
    """Run migrations in a schema of their own.

    Raises:
        UserError: it exists, or the user may not make a schema.
    """
    scratch = sql.Identifier(SCRATCH)
    try:
        cursor.execute(sql.SQL("create schema {}").format(scratch))
    except errors.DuplicateSchema:
        raise UserError(
            f"there is a schema {SCRATCH}, which this compares with: "
            f"`drop schema {SCRATCH} cascade`, and migrate again"
        ) from None
    except errors.InsufficientPrivilege:
        raise UserError(
            f"no schema {SCRATCH} can be made to compare with: "
            "grant the user create on the database until it has migrated"
        ) from None
    for statements in files:
        cursor.execute(sql.SQL("set local search_path to {}").format(scratch))
        cursor.execute(statements)
