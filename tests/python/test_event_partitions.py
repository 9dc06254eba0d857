"""The event tables take an event of any time, and sort it into months at leisure."""

import datetime
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors
from psycopg2.extensions import cursor as Cursor

from saas_analytics.server.embedded import EmbeddedServer
from tests.python.concurrency import (
    PATIENCE,
    Session,
    at_once,
    errors_of,
    wait_until_waiting,
)
from tests.python.contract import columns_of
from tests.python.rows import Rows, sample
from tests.python.servers import kill_9
from tests.python.support import Database, run

TABLES = ("usage_events", "api_usage", "error_logs", "audit_logs")

each_table = pytest.mark.parametrize("table", TABLES)


@pytest.fixture
def rows(module_database_on_each: Database) -> Iterator[Rows]:
    """Makes rows, and partitions, that are gone after the test."""
    connection = module_database_on_each.connect()
    with connection.cursor() as cursor:
        yield Rows(cursor)
    connection.rollback()
    connection.close()


def create(cursor: Cursor, first: str | None, last: str | None = None) -> int:
    """Make the partitions of these months; how many that were."""
    cursor.execute("select create_event_partitions(%s, %s)", (first, last or first))
    ((made,),) = cursor.fetchall()
    return int(made)


def partition_of(cursor: Cursor, table: str, event: Any) -> str:
    """Where an event is."""
    cursor.execute(
        f"select tableoid::regclass::text from {table} where id = %s", (event,)
    )
    ((name,),) = cursor.fetchall()
    return str(name)


# One event --------------------------------------------------------------------------


@each_table
@pytest.mark.parametrize(
    "at",
    [
        "-infinity",
        "4714-11-24 00:00+00 BC",
        "1970-01-01 00:00+00",
        "2000-02-29 12:00+00",
        "2099-12-31 23:59:59.999999+00",
        "12026-01-01 00:00+00",
        "infinity",
    ],
)
def test_an_event_of_any_time_is_taken_without_a_partition(
    rows: Rows, table: str, at: str
) -> None:
    required = rows.required(table)
    rows.cursor.execute(
        f"insert into {table} ({', '.join(required)}, occurred_at) "
        f"values ({', '.join(['%s'] * len(required))}, %s) "
        "returning id, occurred_at = %s",
        (*required.values(), at, at),
    )
    ((event, is_kept),) = rows.cursor.fetchall()
    assert is_kept
    assert partition_of(rows.cursor, table, event) == f"{table}_default"


@each_table
def test_an_event_goes_into_its_month(rows: Rows, table: str) -> None:
    create(rows.cursor, "2031-05-01")
    for at, partition in (
        ("2031-04-30 23:59:59.999999+00", f"{table}_default"),
        ("2031-05-01 00:00+00", f"{table}_y2031m05"),
        ("2031-05-31 23:59:59.999999+00", f"{table}_y2031m05"),
        ("2031-06-01 00:00+00", f"{table}_default"),
    ):
        event = rows.make(table, occurred_at=at)["id"]
        assert partition_of(rows.cursor, table, event) == partition


@each_table
def test_an_event_whose_time_is_corrected_changes_its_month(
    rows: Rows, table: str
) -> None:
    rows.cursor.execute(f"delete from {table}")
    create(rows.cursor, "2031-05-01", "2031-06-01")
    event = rows.make(table, occurred_at="2031-05-10 00:00+00")
    for at, partition in (
        ("2031-06-10 00:00+00", f"{table}_y2031m06"),
        ("1999-01-01 00:00+00", f"{table}_default"),
        ("2031-05-10 00:00+00", f"{table}_y2031m05"),
    ):
        rows.cursor.execute(f"update {table} set occurred_at = %s", (at,))
        assert rows.cursor.rowcount == 1
        assert partition_of(rows.cursor, table, event["id"]) == partition
    rows.cursor.execute(f"select to_jsonb({table}) from {table}")
    ((after,),) = rows.cursor.fetchall()
    assert {name: after[name] for name in ("id", "metadata")} == {
        name: event[name] for name in ("id", "metadata")
    }


@each_table
def test_ids_are_ordered_by_time_where_the_server_can(rows: Rows, table: str) -> None:
    ids = []
    for _ in range(20):
        ids.append(uuid.UUID(rows.make(table)["id"]))
        time.sleep(0.002)
    assert len(set(ids)) == len(ids)
    if rows.cursor.connection.server_version >= 180000:
        assert {each.version for each in ids} == {7}
        assert ids == sorted(ids)
    else:
        assert {each.version for each in ids} == {4}


# Making partitions ------------------------------------------------------------------


@each_table
def test_waiting_events_move_into_their_month_with_every_value(
    rows: Rows, table: str
) -> None:
    rows.cursor.execute(f"delete from {table}")
    full = {
        column.name: sample(column, 1)
        for column in columns_of(table).values()
        if column.is_nullable and column.type != "uuid"
    }
    owners = {
        name: rows.make(referred)["id"]
        for name, referred in (
            ("user_id", "users"),
            ("license_id", "licenses"),
            ("team_id", "teams"),
        )
        if name in columns_of(table)
    }
    inside = ("2031-05-01 00:00+00", "2031-05-31 23:59:59.999999+00")
    outside = ("2031-04-30 23:59:59.999999+00", "2031-06-01 00:00+00", "infinity")
    for at in (*inside, *outside):
        required = {**rows.required(table), **full, **owners, "occurred_at": at}
        rows.cursor.execute(
            f"insert into {table} ({', '.join(required)}) "
            f"values ({', '.join(['%s'] * len(required))})",
            tuple(required.values()),
        )
    before = contents(rows.cursor, table)
    assert set(before.values()) == {f"{table}_default"}

    assert create(rows.cursor, "2031-05-01") == len(TABLES)
    after = contents(rows.cursor, table)
    assert list(after) == list(before)
    assert (
        sorted(after.values()) == [f"{table}_default"] * 3 + [f"{table}_y2031m05"] * 2
    )


def contents(cursor: Cursor, table: str) -> dict[str, str]:
    """Each row as text, and the partition that it is in."""
    cursor.execute(
        f"select to_jsonb({table})::text, tableoid::regclass::text "
        f"from {table} order by 1"
    )
    return dict(cursor.fetchall())


@each_table
def test_references_hold_in_new_partitions_for_moved_events_too(
    rows: Rows, table: str
) -> None:
    at = "2031-05-10 00:00+00"
    user = rows.make("users")["id"]
    moved = rows.make(table, user_id=user, occurred_at=at)["id"]
    create(rows.cursor, "2031-05-01")
    added = rows.make(table, user_id=user, occurred_at=at)["id"]
    other = rows.make(table, occurred_at=at)["id"]
    assert partition_of(rows.cursor, table, moved) == f"{table}_y2031m05"

    rows.cursor.execute("savepoint here")
    with pytest.raises(errors.ForeignKeyViolation):
        rows.make(table, user_id=str(uuid.uuid4()), occurred_at=at)
    rows.cursor.execute("rollback to savepoint here")

    rows.cursor.execute("delete from users where id = %s", (user,))
    rows.cursor.execute(
        f"select id, user_id from {table} where id = any (%s::uuid[])",
        ([moved, added, other],),
    )
    left = dict(rows.cursor.fetchall())
    if table == "api_usage":
        assert left == {other: None}
    else:
        assert left == {moved: None, added: None, other: None}


def test_each_month_is_made_once(rows: Rows) -> None:
    assert create(rows.cursor, "2031-05-17", "2031-07-02") == 3 * len(TABLES)
    assert create(rows.cursor, "2031-05-01", "2031-07-31") == 0
    assert create(rows.cursor, "2031-07-31", "2031-08-01") == len(TABLES)
    assert {"usage_events_y2031m05", "usage_events_y2031m08"} < bounds(
        rows.cursor
    ).keys()


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Auckland"])
def test_months_are_utc_whatever_the_session_says(rows: Rows, zone: str) -> None:
    rows.cursor.execute("select set_config('timezone', %s, true)", (zone,))
    rows.cursor.execute("set local datestyle = 'SQL, DMY'")
    create(rows.cursor, "2031-05-01")
    rows.cursor.execute("set local timezone = 'UTC'")
    rows.cursor.execute("set local datestyle = 'ISO'")
    assert bounds(rows.cursor)["usage_events_y2031m05"] == (
        "FOR VALUES FROM ('2031-05-01 00:00:00+00') TO ('2031-06-01 00:00:00+00')"
    )


def bounds(cursor: Cursor) -> dict[str, str]:
    """The partitions of usage_events with their bounds."""
    cursor.execute(
        "select relname, pg_get_expr(relpartbound, oid) from pg_class "
        "where oid in (select inhrelid from pg_inherits "
        "where inhparent = 'usage_events'::regclass)"
    )
    return dict(cursor.fetchall())


@each_table
def test_a_new_partition_has_all_indexes_and_rules(rows: Rows, table: str) -> None:
    create(rows.cursor, "2031-05-01")
    partition = f"{table}_y2031m05"
    rows.cursor.execute(
        "select count(*) from pg_index as parent where indrelid = %s::regclass "
        "and not exists (select from pg_inherits join pg_index as child "
        "on child.indexrelid = inhrelid where inhparent = parent.indexrelid "
        "and child.indrelid = %s::regclass and child.indisvalid)",
        (table, partition),
    )
    assert rows.cursor.fetchall() == [(0,)]
    rows.cursor.execute(
        "select count(*) from pg_constraint as parent where conrelid = %s::regclass "
        "and not exists (select from pg_constraint as child "
        "where child.conrelid = %s::regclass and child.contype = parent.contype "
        "and child.conkey = parent.conkey)",
        (table, partition),
    )
    assert rows.cursor.fetchall() == [(0,)]
    rows.cursor.execute(
        "select array_agg((attname, atttypid, attnotnull, pg_get_expr(adbin, adrelid)) "
        "::text order by attnum) from pg_attribute left join pg_attrdef "
        "on adrelid = attrelid and adnum = attnum where attnum > 0 "
        "and attrelid in (%s::regclass, %s::regclass) group by attrelid",
        (table, partition),
    )
    ((parents,), (childs,)) = rows.cursor.fetchall()
    assert parents == childs


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (None, "2031-05-01"),
        ("2031-05-01", None),
        ("2031-05-01", "2031-04-30"),
        ("0001-01-01 BC", "2031-05-01"),
        ("2031-05-01", "10000-01-01"),
        ("2031-05-01", "infinity"),
        ("-infinity", "2031-05-01"),
    ],
)
def test_what_is_no_range_of_months_is_refused(
    rows: Rows, first: str | None, last: str | None
) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="is not a range of months"):
        rows.cursor.execute("select create_event_partitions(%s, %s)", (first, last))


def test_a_month_that_was_detached_stays_so(rows: Rows) -> None:
    create(rows.cursor, "2031-05-01")
    rows.cursor.execute(
        "alter table usage_events detach partition usage_events_y2031m05"
    )
    assert create(rows.cursor, "2031-05-01") == 0
    event = rows.make("usage_events", occurred_at="2031-05-10 00:00+00")["id"]
    assert partition_of(rows.cursor, "usage_events", event) == "usage_events_default"


def test_a_range_of_time_reads_only_its_months(rows: Rows) -> None:
    create(rows.cursor, "2031-04-01", "2031-07-01")
    rows.cursor.execute(
        "explain (costs off) select * from usage_events "
        "where occurred_at >= '2031-05-10 00:00+00' "
        "and occurred_at < '2031-06-10 00:00+00'"
    )
    plan = "\n".join(line for (line,) in rows.cursor.fetchall())
    assert "usage_events_y2031m05" in plan
    assert "usage_events_y2031m06" in plan
    for other in ("default", "y2031m04", "y2031m07"):
        assert f"usage_events_{other}" not in plan


def test_the_migrations_make_this_month_and_some_ahead(rows: Rows) -> None:
    rows.cursor.execute("select (now() at time zone 'UTC')::date")
    ((today,),) = rows.cursor.fetchall()
    for ahead in range(4):
        year, month = divmod(today.year * 12 + today.month - 1 + ahead, 12)
        assert f"usage_events_y{year}m{month + 1:02}" in bounds(rows.cursor)


# Many connections -------------------------------------------------------------------


def test_callers_at_once_queue_up(module_database_on_each: Database) -> None:
    database = module_database_on_each
    sessions = [Session(database, autocommit=True) for _ in range(4)]
    statement = "select create_event_partitions('2041-01-01', '2041-03-01')"
    try:
        futures = at_once([partial(each.run, statement) for each in sessions])
        assert errors_of(futures) == []
        assert sum(future.result()[0][0] for future in futures) == 3 * len(TABLES)
    finally:
        for session in sessions:
            session.close()


def test_nobody_waits_for_partitions_that_cannot_be_made_yet(
    module_database_on_each: Database,
) -> None:
    """While a long query holds the default partition, the application goes on."""
    database = module_database_on_each
    database.execute("delete from users where email = 'writer'")
    user = database.execute(
        "insert into users (email, password_hash) values ('writer', '') returning id"
    )[0][0]
    with (
        Session(database) as reading,
        Session(database, autocommit=True) as creating,
        Session(database, autocommit=True) as writing,
    ):
        writing.run("set lock_timeout = '5s'")
        reading.run("select count(*) from usage_events")
        waiting = creating.start("select create_event_partitions(%s, %s)", [MAY] * 2)
        slowest = 0.0
        for _ in range(10):
            wait_until_waiting([(creating, waiting)])
            begins = time.monotonic()
            writing.run("update users set last_login_at = now() where id = %s", (user,))
            writing.run(
                "insert into usage_events (user_id, event_type, event_category, "
                "event_name) values (%s, 'x', 'auth', 'x')",
                (user,),
            )
            slowest = max(slowest, time.monotonic() - begins)
        assert not waiting.done()
        reading.connection.commit()
        assert waiting.result(PATIENCE) == [(len(TABLES),)]
    # A deadlock would take the second after which the server looks for one.
    assert slowest < 0.9


MAY = datetime.date(2042, 5, 1)


def test_partitions_are_made_while_the_application_works(
    module_database_on_each: Database,
) -> None:
    """No event is lost, and no writer meets an error."""
    database = module_database_on_each
    ends = time.monotonic() + 2.5
    inserted = [0, 0, 0, 0]

    def insert(worker: int) -> None:
        with Session(database, autocommit=True) as session:
            while time.monotonic() < ends:
                session.run(
                    "with account as (insert into users (email, password_hash) "
                    "values (gen_random_uuid(), 'working') returning id) "
                    "insert into usage_events (user_id, event_type, event_category, "
                    "event_name, occurred_at) select id, 'work', 'system', 'x', "
                    "timestamptz '2043-01-01 00:00+00' + random() * interval '1 year' "
                    "from account",
                )
                inserted[worker] += 1

    def change() -> None:
        with Session(database) as session:
            while time.monotonic() < ends:
                session.run(
                    "update users set last_login_at = now() where id = "
                    "(select id from users where password_hash = 'working' limit 1)"
                )
                session.run("select count(*) from usage_events")
                session.connection.commit()

    def erase() -> None:
        with Session(database, autocommit=True) as session:
            while time.monotonic() < ends:
                session.run(
                    "delete from users where id = (select id from users "
                    "where password_hash = 'working' order by id limit 1)"
                )

    def make() -> None:
        with Session(database, autocommit=True) as session:
            for month in range(1, 13):
                day = datetime.date(2043, month, 1)
                session.run("select create_event_partitions(%s, %s)", (day, day))
                time.sleep(0.05)

    workers: list[Callable[[], None]] = [
        *(partial(insert, worker) for worker in range(len(inserted))),
        change,
        erase,
        make,
    ]
    assert errors_of(at_once(workers)) == []
    assert database.execute(
        "select count(*), count(*) filter (where tableoid = "
        "'usage_events_default'::regclass) from usage_events where event_type = 'work'"
    ) == [(sum(inserted), 0)]


def test_a_server_that_is_killed_meanwhile_has_lost_no_event_and_half_a_month(
    doomed_server: EmbeddedServer, doomed_database: Database
) -> None:
    """One table has its months already, the next one's are awaited."""
    run("migrate", env=doomed_database.environment()).check_returncode()
    doomed_database.execute(
        "insert into usage_events (event_type, event_category, event_name, occurred_at,"
        " created_at) select 'x', 'system', 'x', '2042-05-01 00:00+00',"
        " '2042-05-01 00:00+00' from generate_series(1, 100)"
    )
    names = "select relname from pg_class where relname like '%y2042m05'"
    with suppress(psycopg2.Error), Session(doomed_database) as reading:
        reading.run(f"select count(*) from {TABLES[-1]}")
        with suppress(psycopg2.Error), Session(doomed_database) as creating:
            waiting = creating.start(
                "select create_event_partitions(%s, %s)", [MAY] * 2
            )
            wait_until_waiting([(creating, waiting)])
            assert not waiting.done()
            kill_9(doomed_server)
    doomed_server.start()
    assert doomed_database.execute(names) == []
    waiting_events = "select count(*) from usage_events_default"
    assert doomed_database.execute(waiting_events) == [(100,)]

    result = run("partitions", env=doomed_database.environment())
    assert result.returncode == 0, result.stderr
    assert doomed_database.execute(waiting_events) == [(0,)]
    moved = "select count(*) from usage_events_y2042m05"
    assert doomed_database.execute(moved) == [(100,)]


# The command ------------------------------------------------------------------------


def test_the_command_makes_months_ahead_and_moves_waiting_events(
    database: Database,
) -> None:
    # Written today, those of 2055 and 2100 are of a clock that runs ahead.
    for at in (
        *("2024-02-29", "1969-12-31", "2055-01-01", "2100-01-01", "12026-01-01"),
        *("0044-03-15 BC", "4714-11-24 BC", "294276-12-31", "infinity", "-infinity"),
    ):
        database.execute(
            "insert into usage_events (event_type, event_category, event_name, "
            "occurred_at) values ('x', 'system', 'x', %s)",
            (at,),
        )
    result = run("partitions", env=database.environment())
    assert result.returncode == 0, result.stderr
    assert database.execute(
        "select tableoid::regclass::text, count(*) from usage_events "
        "group by 1 order by 1"
    ) == [("usage_events_default", 9), ("usage_events_y2024m02", 1)]
    again = run("partitions", env=database.environment())
    assert (again.returncode, again.stderr) == (0, "")
