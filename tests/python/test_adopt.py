"""Databases of the migrations before 0.1.0 are moved over, row by row as they were."""

from pathlib import Path

import pytest

from scripts.dump_schema import dump
from tests.python.former import (
    BASE,
    FILES,
    NOT_COMPARED,
    REVISIONS,
    Way,
    by_alembic,
    by_command,
    by_psql,
    load,
    rows,
)
from tests.python.schema_meaning import meaning
from tests.python.support import Database, new_database, refusal, run
from tests.python.test_migrations import applied, psql, without


def test_the_migrations_make_the_schema_of_before(
    former: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = without(NOT_COMPARED, meaning(former.url))
    # The functions come before their tables in a dump.
    monkeypatch.setenv("PGOPTIONS", "-c check_function_bodies=off")
    with new_database(former.url) as made, new_database(former.url) as loaded:
        assert psql(*FILES, url=made.url).stderr == ""
        # PostgreSQL words some conditions in another way after a dump was loaded.
        (tmp_path / "made.sql").write_text(dump(made.url))
        assert psql(tmp_path / "made.sql", url=loaded.url).stderr == ""
        found = without(["^privilege"], meaning(loaded.url))
        # The dump leaves privileges out.
        found += [line for line in meaning(made.url) if line.startswith("privilege")]
    assert sorted(without(NOT_COMPARED, found)) == expected


@pytest.mark.parametrize(
    ("former", "way"),
    [
        (("server_url", "18"), by_command),
        (("server_url", "18"), by_alembic),
        (("server_url", "18"), by_psql),
        (("second_server_url", "15"), by_psql),
        # Loaded by an older server's dump.
        (("server_url", "15"), by_command),
    ],
    indirect=["former"],
)
def test_a_database_is_moved_over_without_touching_a_row(
    former: Database, way: Way
) -> None:
    schema = without(NOT_COMPARED, meaning(former.url))
    columns = () if way is by_command else ("tableoid", "ctid", "xmin")
    before = rows(former, *columns)
    assert sum(map(len, before.values())) > 40
    assert before["change_tombstones"] != []

    result = way(former)

    assert result.returncode == 0, result.stdout + result.stderr
    assert applied(former) == BASE
    after = rows(former, *columns)
    if way is by_command:
        # It also makes partitions, and moves events into them.
        assert set(after["change_tombstones"]) > set(before["change_tombstones"])
        del before["change_tombstones"], after["change_tombstones"]
    assert after == before
    assert without(NOT_COMPARED, meaning(former.url)) == schema
    assert run("status", env=former.environment()).returncode == 0


def test_a_moved_database_goes_back_and_forward(former: Database) -> None:
    env = former.environment()
    by_command(former).check_returncode()
    users = rows(former)["users"]
    names = names_in(former)

    run("rollback", env=env).check_returncode()
    assert applied(former) == BASE[:-1]
    assert "erasures_to_forget" in refusal(run("rollback", "003", env=env))
    run("rollback", "003", "--yes", env=env).check_returncode()
    by_command(former).check_returncode()

    # What was made again has other parentheses than what was loaded.
    assert names_in(former) == names
    assert len(rows(former)["users"]) == len(users)
    assert f"users {len(users)}" in refusal(run("rollback", "base", env=env))
    run("rollback", "base", "--yes", env=env).check_returncode()
    assert rows(former) == {}


def names_in(database: Database) -> list[str]:
    """Each object, column and comment of a database."""
    lines = without(NOT_COMPARED, meaning(database.url))
    return [line.split(": ")[0] for line in lines]


def test_what_an_owner_added_is_no_difference(former: Database) -> None:
    for statement in (
        "alter table users add note text",
        "alter table users alter full_name type text",
        "alter table users alter role type varchar(80)",
        "alter table users set (autovacuum_vacuum_scale_factor = 0.1)",
        "alter table users add constraint some_email check (email <> '')",
        "create index users_note_idx on users (note)",
        "create view people as select id from users",
        "create table tickets (id integer primary key, queue text)",
        "select capture_changes('tickets', '{id,queue}')",
        "select capture_changes('users', '{role}')",
        "select capture_changes('affiliate_referrals')",
        "select create_event_partitions('2031-01-01', '2031-02-01')",
        "grant select on users to public",
    ):
        former.execute(statement)

    assert by_command(former).returncode == 0
    assert applied(former) == BASE


@pytest.mark.parametrize("schema", ["my-schema", "$name$ it's %1$I"])
def test_a_database_in_another_schema_is_moved_over(
    empty_database: Database, schema: str
) -> None:
    load(empty_database, "18", schema)
    env = empty_database.environment(DB_SCHEMA=schema)

    assert run("migrate", env=env).returncode == 0

    assert applied(empty_database, schema) == REVISIONS
