"""The way back says what will be lost and asks; it is gone as a whole or not at all."""

import os
import pty
import subprocess
from contextlib import closing

import pytest

from tests.python.schema_meaning import meaning
from tests.python.support import ROOT, Database, command, refusal, run

PEOPLE = """
    insert into users (email, password_hash)
    select 'user' || n || '@example.com', '' from generate_series(1, 1234) as n
"""


@pytest.fixture
def company(database: Database) -> Database:
    """A migrated database with users, some of whom were changed and deleted."""
    database.execute(PEOPLE)
    database.execute(
        "insert into affiliates (user_id, affiliate_code) "
        "select id, 'code' from users limit 1"
    )
    database.execute("update users set role = 'admin' where email like 'user1%'")
    database.execute("delete from users where email = 'user2@example.com'")
    return database


def counts(database: Database) -> tuple[int, list[str]]:
    """How many users there are, and what else there is in the schema."""
    ((users,),) = database.execute("select count(*) from users")
    return users, meaning(database.url)


def test_a_rollback_says_what_will_be_lost_and_deletes_nothing_unasked(
    company: Database,
) -> None:
    before = counts(company)

    message = refusal(run("rollback", "base", env=company.environment()))

    assert "deletes 1,234 rows (users 1,233, affiliates 1)" in message
    assert "add --yes" in message
    assert counts(company) == before


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_a_person_is_asked(company: Database, answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("rollback", "base"),
        cwd=ROOT,
        env=company.environment(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        os.write(ours, f"{answer}\n".encode())
        output, _ = process.communicate(timeout=240)
    os.close(ours)
    os.close(theirs)

    assert "1,234 rows" in output
    assert process.returncode == code, output
    assert ("nothing was changed" in output) == (code == 1)
    deleted = "Deleted 1,234 rows (users 1,233, affiliates 1)." in output
    assert deleted == (code == 0)
    gone = company.execute("select to_regclass('users') is null")
    assert gone == [(code == 0,)]


def test_production_loses_no_row_by_a_rollback(company: Database) -> None:
    before = counts(company)

    message = refusal(
        run("rollback", "base", "--yes", env=company.environment(DBT_PRODUCTION="1"))
    )

    assert "DBT_PRODUCTION is set" in message
    assert counts(company) == before


def test_what_needs_no_rows_to_be_deleted_is_not_asked(company: Database) -> None:
    env = company.environment(DBT_PRODUCTION="1")

    run("rollback", "002", env=company.environment()).check_returncode()
    run("migrate", env=env).check_returncode()

    assert company.execute("select count(*) from users") == [(1233,)]


@pytest.mark.parametrize(
    "obstacle",
    [
        "create view {schema}.people as select id from users",
        "create materialized view {schema}.events as select id from usage_events",
        "create table {schema}.notes (user_id uuid references users)",
        # No dependency that is looked up, but one that PostgreSQL knows.
        "create function {schema}.people() returns setof users language sql "
        "as 'select null::users'",
    ],
)
def test_a_rollback_that_something_keeps_from_the_tables_takes_nothing_back(
    company: Database, obstacle: str
) -> None:
    company.execute("create schema analytics_staging")
    company.execute(obstacle.format(schema="analytics_staging"))
    before = counts(company)

    message = refusal(run("rollback", "base", "--yes", env=company.environment()))

    assert "drop the dependent objects first" in message
    assert counts(company) == before
    if "function" not in obstacle:
        assert "drop schema analytics_staging cascade" in message


def test_a_rollback_that_has_to_wait_too_long_takes_nothing_back(
    company: Database,
) -> None:
    before = counts(company)
    with closing(company.connect()) as other:
        # Only the last of the ways back drops this table.
        other.cursor().execute("select count(*) from teams")

        message = refusal(run("rollback", "base", "--yes", env=company.environment()))

    assert "another session uses the table" in message
    assert counts(company) == before
