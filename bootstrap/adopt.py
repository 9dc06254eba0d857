"""Databases of the fifteen migrations from before 0.1.0.

Nine migrations replaced them before the first release. A database at the last of the
fifteen has the schema of the nine. `migrate` proves that, and moves its version over.
The former release must bring an older database to the last one first.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from psycopg2 import errors, sql
from psycopg2.extensions import cursor as Cursor

from saas_analytics.errors import UserError

# The last migration before 0.1.0, and the one with the same schema now.
LAST = "015_long_names"
SAME_AS = "009_stale_usage"

# The commit has the fifteen migrations.
BRING = (
    f"bring it to {LAST} first, with the former release (`git checkout 4451698`, "
    "`make setup`, `python -m bootstrap migrate`), then migrate with this one"
)

# SHA-256 of the first three, whose names are still in use. Names identify the others.
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
    """The migration before 0.1.0 that a database is at, or None.

    Args:
        heads: the revisions of the database.
        checksums: SHA-256 of each file that ran, by revision.
    """
    for head in heads:
        if head in FORMER_NAMES:
            return head
        if head in SAME_NAMES and checksums.get(head) == SAME_NAMES[head]:
            return head
    return None


def refuse(revision: str) -> None:
    """Refuse a database that is at a migration before 0.1.0.

    Raises:
        UserError: always, with the command that moves the database over.
    """
    if revision == LAST:
        raise UserError(
            f"the database is at {revision}, the last migration before 0.1.0: run "
            f"`saas migrate`, which records it as {SAME_AS}"
        )
    raise UserError(
        f"the database is at migration {revision} from before 0.1.0: {BRING}; "
        "nothing was changed"
    )


def prove(cursor: Cursor, schema: str, files: Mapping[str, str]) -> None:
    """Compare a schema with the one that the migrations make, without a change.

    The migrations run in a scratch schema, which is rolled back. Until the transaction
    ends, no other session can alter the compared tables.

    Args:
        cursor: of the owner, in a transaction.
        schema: the one to compare.
        files: the statements of each migration, in order, by the name of its file.

    Raises:
        UserError: something differs, or the user may not create a schema.
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
            f"{found}; nothing was changed: remove the differences and migrate again, "
            "or, if they are deliberate, run `saas stamp "
            f"{SAME_AS}`"
        )


def _lock(cursor: Cursor, schema: str, statements: str) -> None:
    """Lock the tables against changes of their definition, but not against writes."""
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
    """The first differences of a schema from the expected one; "" for none."""
    cursor.execute(
        "select set_config('search_path', quote_ident(%s), true), "
        "set_config('saas_analytics.expected', %s, true)",
        (schema, SCRATCH),
    )
    cursor.execute(COMPARISON.read_text(encoding="utf-8"))
    (found,) = cursor.fetchone() or ("",)
    return str(found)


def make_expected(cursor: Cursor, files: Collection[str]) -> None:
    """Run migrations in the scratch schema.

    Raises:
        UserError: it exists, or the user may not create a schema.
    """
    scratch = sql.Identifier(SCRATCH)
    try:
        cursor.execute(sql.SQL("create schema {}").format(scratch))
    except errors.DuplicateSchema:
        raise UserError(
            f"schema {SCRATCH}, which migrate creates for a comparison, exists: run "
            f"`drop schema {SCRATCH} cascade`, and migrate again"
        ) from None
    except errors.InsufficientPrivilege:
        raise UserError(
            f"schema {SCRATCH} can't be created for the comparison: "
            "grant the user create on the database until it has migrated"
        ) from None
    for statements in files:
        cursor.execute(sql.SQL("set local search_path to {}").format(scratch))
        cursor.execute(statements)
