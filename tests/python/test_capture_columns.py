"""Before-images keep the columns that their owner names, whatever they are called."""

from __future__ import annotations

import re

import pytest

from tests.python.support import Database, refusal, run

SIGN_UP = """
    insert into users (id, email, password_hash, role)
    values ('00000000-0000-0000-0000-000000000001', 'ada@example.com', 'x', 'user')
"""


def capture(database: Database, *arguments: str) -> str:
    result = run("capture", *arguments, env=database.environment())
    assert result.returncode == 0, result.stderr
    return result.stdout


def before_images(database: Database, table: str = "users") -> list[dict[str, object]]:
    """What was kept of the rows of a table that changed, in order, and clear it."""
    return [
        row
        for (row,) in database.execute(
            "with former as (delete from change_tombstones where table_name = %s "
            "returning old_row, change_xid) "
            "select old_row from former order by change_xid",
            (table,),
        )
    ]


def test_a_column_that_is_captured_is_kept_of_a_row_that_changes_or_goes(
    database: Database,
) -> None:
    database.execute(SIGN_UP)
    database.execute("update users set role = 'admin'")
    assert before_images(database) == []

    assert "have id, role, created_at." in capture(database, "users", "role")

    for statement in ("update users set role = 'user'", "delete from users"):
        database.execute(statement)
        (kept,) = before_images(database)
        assert set(kept) == {"id", "role", "created_at"}
        assert kept["role"] == ("admin" if "update" in statement else "user")


def test_capture_follows_a_table_and_a_column_that_got_other_names(
    database: Database,
) -> None:
    database.execute("alter table users rename to accounts")
    database.execute("alter table accounts rename created_at to signed_up_at")
    database.execute("alter table accounts add created_at timestamptz")

    assert "have id, signed_up_at." in capture(database, "accounts")

    database.execute(SIGN_UP.replace("users", "accounts"))
    database.execute("delete from accounts")
    (kept,) = before_images(database, "accounts")
    assert set(kept) == {"id", "signed_up_at"}
    assert kept["signed_up_at"] is not None


def test_capture_reaches_partitions_and_fires_where_replication_writes(
    database: Database,
) -> None:
    capture(database, "usage_events", "created_at")

    assert database.execute(
        "select count(*), count(distinct tgrelid), bool_and(tgenabled = 'A') "
        "from pg_trigger where tgparentid = any (array("
        "select oid from pg_trigger where tgrelid = 'usage_events'::regclass "
        "and tgname ~ 'stamped|moved|deleted|copied'))"
    ) == database.execute(
        "select 4 * count(*), count(*), true "
        "from pg_inherits where inhparent = 'usage_events'::regclass"
    )


def test_a_table_of_ones_own_can_be_captured(database: Database) -> None:
    database.execute("create table tickets (id bigint primary key, queue text)")
    database.execute("insert into tickets values (1, 'billing')")

    assert "have id, queue." in capture(database, "tickets", "id", "queue")

    database.execute("update tickets set queue = 'other'")
    assert before_images(database, "tickets") == [{"id": 1, "queue": "billing"}]
    assert database.execute("select change_xid > 0::text::xid8 from tickets") == [
        (True,)
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("users", "email"), r"users.email may hold personal data"),
        (("usage_events", "event_data"), r"event_data may hold personal data"),
        (("users", "nickname"), r"users has no stored column nickname"),
        (("accounts",), r"there is no table accounts in schema public"),
        (("usage_events_default",), r"usage_events_default is not a table of its own"),
        (("alembic_version",), r"no column of .*alembic_version is captured"),
    ],
)
def test_what_can_t_be_captured_is_refused_and_nothing_is_changed(
    database: Database, arguments: tuple[str, ...], message: str
) -> None:
    triggers = "select pg_get_triggerdef(oid) from pg_trigger order by oid"
    before = database.execute(triggers)

    result = run("capture", *arguments, env=database.environment())

    assert re.search(message, refusal(result))
    assert database.execute(triggers) == before


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (
            "alter table users rename full_name to display_name",
            ("users", "display_name"),
            r"column users\.full_name may hold personal data and is missing",
        ),
        (
            "alter table users rename to accounts",
            ("accounts", "email"),
            r"table users may hold personal data and is missing",
        ),
        (
            "alter table users add phone text",
            ("users", "phone"),
            r"users\.phone is not classified.*OPEN_COLUMNS in bootstrap/columns\.py",
        ),
    ],
)
def test_a_column_that_is_on_no_list_may_be_personal_and_is_not_captured(
    database: Database, change: str, arguments: tuple[str, ...], message: str
) -> None:
    database.execute(change)

    result = run("capture", *arguments, env=database.environment())

    assert re.search(message, refusal(result))


def test_deletes_go_on_where_a_publication_includes_all_tables(
    database: Database,
) -> None:
    database.execute("create publication everything for all tables")
    database.execute(SIGN_UP)
    database.execute("delete from users")
    database.execute("delete from change_tombstones")
    assert database.execute("select count(*) from change_tombstones") == [(0,)]
