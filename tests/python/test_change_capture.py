"""Whatever is written to a source table can be found by what was written when."""

import random
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from io import StringIO
from typing import Any

import psycopg2.extras
import pytest
from psycopg2 import errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from tests.python.concurrency import PATIENCE, Session, at_once, errors_of
from tests.python.contract import column, columns_of, constraints_of
from tests.python.rows import Rows
from tests.python.support import Database, new_database, run, with_login

# What a tombstone keeps of a row: the columns that marts group or join by.
KEPT = {
    "users": "id created_at",
    "licenses": "id user_id plan_type status started_at expires_at cancelled_at",
    "teams": "id license_id",
    "team_members": "id team_id user_id",
    "affiliates": "id user_id status",
    "subscriptions": "id license_id status plan_type currency",
    "payment_transactions": (
        "id subscription_id currency status processed_at created_at"
    ),
    "affiliate_referrals": (
        "id affiliate_id status utm_campaign qualified_at converted_at created_at"
    ),
    "affiliate_commissions": (
        "id affiliate_id commission_type status currency created_at"
    ),
    "affiliate_payouts": "id affiliate_id status currency created_at",
    "affiliate_clicks": "id affiliate_id utm_campaign clicked_at",
    "usage_events": (
        "occurred_at user_id license_id team_id event_type event_category event_name "
        "created_at"
    ),
    "api_usage": "occurred_at user_id license_id endpoint method created_at",
    "error_logs": (
        "occurred_at user_id license_id error_type severity source created_at"
    ),
    "audit_logs": "occurred_at user_id team_id action resource_type status created_at",
}
EVENT_TABLES = ("usage_events", "api_usage", "error_logs", "audit_logs")
UNINDEXED = ("users", "licenses", "teams", "team_members", "affiliates")

# The transaction of something long ago.
LONG_AGO = "3"

each_table = pytest.mark.parametrize("table", KEPT)
each_event_table = pytest.mark.parametrize("table", EVENT_TABLES)

Tombstone = tuple[str, dict[str, Any]]


@pytest.fixture
def rows(module_database_on_each: Database) -> Iterator[Rows]:
    """Makes rows, and whatever else, that are gone after the test."""
    with closing(module_database_on_each.connect()) as connection:
        with connection.cursor() as cursor:
            yield Rows(cursor)
        connection.rollback()


def one(cursor: Cursor, query: str, parameters: Any = None) -> Any:
    """The one value that a query gives."""
    cursor.execute(query, parameters)
    ((value,),) = cursor.fetchall()
    return value


def this_transaction(cursor: Cursor) -> str:
    """The transaction's own id."""
    return str(one(cursor, "select pg_current_xact_id()::text"))


def whole_row(cursor: Cursor, table: str, row: str) -> dict[str, Any]:
    """A row as JSON has it."""
    found: dict[str, Any] = one(
        cursor, f"select to_jsonb({table}) from {table} where id = %s", (row,)
    )
    return found


def kept(table: str, row: dict[str, Any]) -> Tombstone:
    """The tombstone that a row leaves."""
    return table, {name: row[name] for name in KEPT[table].split()}


def tombstones(cursor: Cursor) -> list[Tombstone]:
    """All there are, which must be of this transaction."""
    cursor.execute(
        "select table_name, old_row, change_xid = pg_current_xact_id() "
        "from change_tombstones order by table_name, old_row::text"
    )
    found = cursor.fetchall()
    assert all(is_ours for *_, is_ours in found)
    return [(table, row) for table, row, _ in found]


def make_old(rows: Rows, table: str, **values: Any) -> str:
    """A row that another transaction seems to have written; no tombstone is left."""
    row: str = rows.make(table, **values, change_xid=LONG_AGO)["id"]
    rows.cursor.execute("delete from change_tombstones")
    return row


def other_value(rows: Rows, table: str, name: str, current: Any) -> Any:
    """Another value that a column may have."""
    if name == "id":
        return str(uuid.uuid4())
    if name == "currency":
        return "EUR"
    for rule in constraints_of(table):
        if rule.columns == (name,) and rule.choices:
            return next(choice for choice in rule.choices if choice != current)
    return rows.value(column(table, name))


# A row and its stamp ----------------------------------------------------------------


INSERT = "insert into {} (event_type, event_category, event_name) values "
EVENT = "('x', 'system', 'x')"


def test_rows_of_any_way_to_insert_bear_their_top_level_transaction(rows: Rows) -> None:
    cursor = rows.cursor
    month = one(cursor, "select to_char(now() at time zone 'UTC', '\"y\"YYYY\"m\"MM')")
    insert = INSERT.format("usage_events")
    cursor.execute(insert + ", ".join([EVENT] * 3))
    cursor.execute(
        "insert into usage_events (event_type, event_category, event_name) "
        "select 'x', 'system', 'x' from generate_series(1, 3)"
    )
    cursor.copy_expert(
        "copy usage_events (event_type, event_category, event_name) from stdin",
        StringIO("x\tsystem\tx\n" * 3),
    )
    cursor.execute(INSERT.format(f"usage_events_{month}") + EVENT)
    cursor.execute("savepoint outer_one")
    cursor.execute(insert + EVENT)
    cursor.execute("savepoint inner_one")
    cursor.execute(insert + EVENT)
    cursor.execute("release savepoint outer_one")
    cursor.execute("savepoint undone")
    cursor.execute(insert + EVENT)
    cursor.execute("rollback to savepoint undone")
    cursor.execute(insert + EVENT)
    # A block that may catch an error is a savepoint too.
    cursor.execute(
        f"do $$ begin {insert} {EVENT}; begin {insert} {EVENT}; perform 1 / 0; "
        "exception when division_by_zero then null; end; end; $$"
    )
    cursor.execute("select change_xid::text, count(*) from usage_events group by 1")
    assert cursor.fetchall() == [(this_transaction(cursor), 14)]
    assert tombstones(cursor) == []


@each_table
def test_a_write_that_moves_a_row_between_groups_leaves_it_as_it_was_and_no_other_does(
    rows: Rows, table: str
) -> None:
    """Every write stamps the row with its transaction, whatever the statement says."""
    cursor = rows.cursor
    assert rows.make(table)["change_xid"] == this_transaction(cursor)
    assert tombstones(cursor) == []

    row = make_old(rows, table)
    other = "role = 'admin'" if table == "team_members" else "metadata = '{\"a\": 1}'"
    for assignments in (other, "id = id", f"change_xid = '{LONG_AGO}'"):
        cursor.execute(f"update {table} set {assignments} where id = %s", (row,))
        after = whole_row(cursor, table, row)
        assert after["change_xid"] == this_transaction(cursor)
    assert tombstones(cursor) == []

    for name in KEPT[table].split():
        row = make_old(rows, table)
        now = whole_row(cursor, table, row)[name]
        values = [other_value(rows, table, name, now)]
        if columns_of(table)[name].is_nullable:
            values += [None, rows.value(column(table, name))]
        for value in values:
            before = whole_row(cursor, table, row)
            cursor.execute("delete from change_tombstones")
            cursor.execute(
                f"update {table} set {name} = %s where id = %s", (value, row)
            )
            assert tombstones(cursor) == [kept(table, before)], name
            row = str(value) if name == "id" else row
            after = whole_row(cursor, table, row)
            assert after["change_xid"] == this_transaction(cursor)

    before = whole_row(cursor, table, row)
    cursor.execute("delete from change_tombstones")
    cursor.execute(f"delete from {table} where id = %s", (row,))
    assert tombstones(cursor) == [kept(table, before)]


@each_event_table
def test_a_move_to_another_month_leaves_the_old_one_and_stamps_the_row(
    rows: Rows, table: str
) -> None:
    rows.cursor.execute("select create_event_partitions('2031-05-01', '2031-06-01')")
    times = ("2031-05-10", "2031-06-10", "1999-01-01", "2031-05-11")
    row = make_old(rows, table, occurred_at=times[0])
    for at in times[1:]:
        before = whole_row(rows.cursor, table, row)
        rows.cursor.execute("delete from change_tombstones")
        rows.cursor.execute(
            f"update {table} set occurred_at = %s where id = %s", (at, row)
        )
        assert tombstones(rows.cursor) == [kept(table, before)]
        after = whole_row(rows.cursor, table, row)
        assert after["change_xid"] == this_transaction(rows.cursor)


@each_table
def test_a_row_copied_with_another_transactions_stamp_leaves_a_tombstone(
    rows: Rows, table: str
) -> None:
    """As from a backup: no run would find it by its stamp."""
    row = rows.make(table)["id"]
    rows.cursor.execute(
        f"create temporary table backup as select * from {table} where id = %s", (row,)
    )
    rows.cursor.execute("update backup set change_xid = %s", (LONG_AGO,))
    rows.cursor.execute(f"delete from {table} where id = %s", (row,))
    rows.cursor.execute("delete from change_tombstones")
    rows.cursor.execute(f"insert into {table} select * from backup")
    restored = whole_row(rows.cursor, table, row)
    assert restored["change_xid"] == LONG_AGO
    assert tombstones(rows.cursor) == [kept(table, restored)]


def test_waiting_events_that_get_their_month_keep_their_stamp(rows: Rows) -> None:
    event = rows.make("usage_events", occurred_at="2031-05-10", change_xid=LONG_AGO)
    before = whole_row(rows.cursor, "usage_events", event["id"])
    rows.cursor.execute("select create_event_partitions('2031-05-01', '2031-05-01')")
    assert whole_row(rows.cursor, "usage_events", event["id"]) == before


@each_table
def test_what_another_trigger_does_to_an_update_is_seen(rows: Rows, table: str) -> None:
    name = KEPT[table].split()[1]
    row = make_old(rows, table)
    before = whole_row(rows.cursor, table, row)
    value = other_value(rows, table, name, before[name])
    rows.cursor.execute("delete from change_tombstones")
    literal = rows.cursor.mogrify("%s", (value,)).decode()
    rows.cursor.execute(
        "create function zz_last() returns trigger language plpgsql as $$ begin "
        f"new.{name} := {literal}; new.change_xid := '{LONG_AGO}'; return new; "
        "end; $$"
    )
    rows.cursor.execute(
        f"create trigger aa_first before update on {table} "
        "for each row execute function zz_last()"
    )
    rows.cursor.execute(f"update {table} set id = id where id = %s", (row,))
    assert tombstones(rows.cursor) == [kept(table, before)]
    after = whole_row(rows.cursor, table, row)
    assert after["change_xid"] == this_transaction(rows.cursor)

    # A trigger that comes later may still change what marts group by.
    rows.cursor.execute(
        f"drop trigger aa_first on {table}; create trigger zz_last before update "
        f"on {table} for each row execute function zz_last()"
    )
    rows.cursor.execute("delete from change_tombstones")
    original = rows.cursor.mogrify("%s", (before[name],)).decode()
    rows.cursor.execute(
        "create or replace function zz_last() returns trigger language plpgsql as $$ "
        f"begin new.{name} := {original}; return new; end; $$"
    )
    rows.cursor.execute(f"update {table} set id = id where id = %s", (row,))
    assert tombstones(rows.cursor) == [kept(table, after)]


# Cascades ---------------------------------------------------------------------------


def test_an_erased_user_leaves_a_tombstone_of_every_row_that_goes_or_changes(
    rows: Rows,
) -> None:
    user, owner, other = (rows.a_user() for _ in range(3))
    own = rows.a_license(user_id=user)
    team = rows.a_team(license_id=own, owner_id=owner)
    affiliate = rows.an_affiliate(user_id=user)
    subscription = rows.a_subscription(license_id=own)
    referral = rows.a_referral(affiliate_id=affiliate, referred_user_id=other)
    gone = [("users", user), ("licenses", own), ("teams", team)]
    gone += [("affiliates", affiliate), ("subscriptions", subscription)]
    gone.append(("affiliate_referrals", referral))
    for table, values in (
        ("team_members", {"team_id": team, "user_id": other}),
        (
            "affiliate_commissions",
            {"affiliate_id": affiliate, "referral_id": referral, "amount_cents": 0},
        ),
        ("affiliate_payouts", {"affiliate_id": affiliate, "status": "pending"}),
        ("affiliate_clicks", {"affiliate_id": affiliate}),
        ("api_usage", {"user_id": user, "occurred_at": "2031-05-10"}),
    ):
        gone.append((table, rows.make(table, **values)["id"]))
    # On delete set null.
    changed = [
        ("payment_transactions", rows.a_payment(subscription_id=subscription)),
        ("usage_events", rows.an_event(user_id=user)),
        ("usage_events", rows.an_event(team_id=team)),
        ("error_logs", rows.make("error_logs", license_id=own)["id"]),
        ("audit_logs", rows.make("audit_logs", team_id=team)["id"]),
    ]
    untouched = ("usage_events", rows.an_event(occurred_at="1999-01-01"))
    before = {
        (table, row): kept(table, whole_row(rows.cursor, table, row))
        for table, row in (*gone, *changed)
    }
    rows.cursor.execute("delete from change_tombstones")

    rows.cursor.execute("delete from users where id = %s", (user,))

    left = tombstones(rows.cursor)
    for wanted in before.values():
        assert wanted in left
    for table, row in gone:
        rows.cursor.execute(f"select from {table} where id = %s", (row,))
        assert rows.cursor.rowcount == 0
    assert kept(*_of(rows.cursor, untouched)) not in left
    assert {table for table, _ in left} == {table for table, _ in before}


def _of(cursor: Cursor, place: tuple[str, str]) -> tuple[str, dict[str, Any]]:
    table, row = place
    return table, whole_row(cursor, table, row)


# Partitions -------------------------------------------------------------------------


@each_event_table
@pytest.mark.parametrize("partition", ["default", "y2031m05", "this month"])
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_statements_on_a_partition_are_seen_under_replication_too(
    rows: Rows, table: str, partition: str, role: str
) -> None:
    """The default partition is from before capture, the month is made afterwards."""
    cursor = rows.cursor
    at = {"default": "1999-01-01", "y2031m05": "2031-05-10"}.get(partition, "now()")
    cursor.execute("select create_event_partitions('2031-05-01', '2031-05-01')")
    row = make_old(rows, table, occurred_at=one(cursor, f"select timestamptz '{at}'"))
    place = one(
        cursor, f"select tableoid::regclass::text from {table} where id = %s", (row,)
    )
    if partition != "this month":
        assert place == f"{table}_{partition}"
    before = whole_row(cursor, table, row)
    name = KEPT[table].split()[-1]
    value = other_value(rows, table, name, before[name])
    cursor.execute("select set_config('session_replication_role', %s, true)", (role,))

    cursor.execute(f"update {place} set {name} = %s where id = %s", (value, row))
    after = whole_row(cursor, table, row)
    assert after["change_xid"] == this_transaction(cursor)
    cursor.execute(f"delete from {place} where id = %s", (row,))
    left = tombstones(cursor)
    assert len(left) == 2
    assert kept(table, before) in left
    assert kept(table, after) in left

    # A subscriber writes the stamp that the publisher sent.
    cursor.execute("delete from change_tombstones")
    cursor.execute(
        f"insert into {place} select * from jsonb_populate_record(null::{place}, "
        "to_jsonb(%s::json))",
        (psycopg2.extras.Json({**after, "change_xid": LONG_AGO}),),
    )
    assert tombstones(cursor) == [kept(table, after)]


# What a run finds -------------------------------------------------------------------

UNSEEN = (
    "change_xid >= pg_snapshot_xmin({seen}) "
    "and not pg_visible_in_snapshot(change_xid, {seen}) "
    "and change_xid < pg_snapshot_xmax(pg_current_snapshot())"
)


@pytest.mark.parametrize("table", [name for name in KEPT if name not in UNINDEXED])
def test_a_run_finds_what_was_written_by_an_index(rows: Rows, table: str) -> None:
    rows.cursor.execute("set local enable_seqscan = off")
    for searched in (table, "change_tombstones"):
        unseen = UNSEEN.format(seen="'800:900:850'::pg_snapshot")
        rows.cursor.execute(
            f"explain (costs off) select * from {searched} where {unseen} "
            + ("and table_name = 'users'" if searched != table else "")
        )
        plan = "\n".join(line for (line,) in rows.cursor.fetchall())
        assert "Index Cond: " in plan
        assert "(change_xid >= '800'::xid8)" in plan
        assert "Seq Scan" not in plan


WRITERS = 6
TRANSACTIONS = 30
USERS = 5


def write_at_random(database: Database, seed: int, writer: int) -> None:
    """Transactions of all kinds, short and long, committed or not."""
    draw = random.Random(f"{seed}/{writer}")
    with closing(database.connect()) as connection:
        for _ in range(TRANSACTIONS):
            try:
                with connection.cursor() as cursor:
                    # Ours begins before those that end during the wait.
                    cursor.execute("select pg_current_xact_id()")
                    if draw.random() < 0.3:
                        time.sleep(draw.expovariate(1 / 0.05))
                    for _ in range(draw.choice([1, 1, 2, 5])):
                        write_one(cursor, draw)
                    if draw.random() < 0.2:
                        time.sleep(draw.expovariate(1 / 0.03))
                if draw.random() < 0.8:
                    connection.commit()
                else:
                    connection.rollback()
            except (
                errors.DeadlockDetected,
                errors.ForeignKeyViolation,
                errors.SerializationFailure,
            ):
                connection.rollback()


def write_one(cursor: Cursor, draw: random.Random) -> None:
    """One change, perhaps in a savepoint that is undone."""
    fate = draw.choice([None, None, None, "release savepoint x", "rollback to x"])
    if fate:
        cursor.execute("savepoint x")
    at = "timestamptz '2031-04-15 00:00+00' + interval '1 day' * %(days)s"
    statement = draw.choice(
        [
            *[
                "insert into usage_events (user_id, event_type, event_category, "
                "event_name, occurred_at) "
                f"select %(user)s, %(type)s, 'auth', 'x', {at} "
                "from generate_series(1, %(number)s)"
            ]
            * 3,
            "update usage_events set client_version = %(type)s "
            "where get_byte(uuid_send(id), 15) % 20 = %(number)s",
            "update usage_events set user_id = %(user)s "
            "where get_byte(uuid_send(id), 15) % 20 = %(number)s",
            f"update usage_events set occurred_at = {at} "
            "where get_byte(uuid_send(id), 15) % 20 = %(number)s",
            "update usage_events_y2031m05 set event_type = %(type)s "
            "where get_byte(uuid_send(id), 15) % 20 = %(number)s",
            "delete from usage_events "
            "where get_byte(uuid_send(id), 15) % 40 = %(number)s",
            "delete from users where email = %(type)s",
            "insert into users (email, password_hash) values (%(type)s, '') "
            "on conflict do nothing",
        ]
    )
    cursor.execute(
        statement.replace(" % ", " %% "),
        {
            "user": str(uuid.UUID(int=draw.randrange(USERS))),
            "type": f"type {draw.randrange(4)}",
            "days": draw.randrange(60),
            "number": draw.randrange(1, 20),
        },
    )
    if fate:
        cursor.execute(fate)


Seen = tuple[str, dict[str, dict[str, Any]]]


def look(connection: Connection, before: Seen | None) -> Seen:
    """The state of one moment; fail if it can't be found from that of an earlier one.

    Returns:
        The moment's snapshot, and the rows by id.
    """
    with connection, connection.cursor() as cursor:
        seen = one(cursor, "select pg_current_snapshot()::text")
        cursor.execute("select id::text, to_jsonb(usage_events) from usage_events")
        now: dict[str, dict[str, Any]] = dict(cursor.fetchall())
        if before is None:
            return seen, now
        seen_before, rows_before = before
        unseen = UNSEEN.format(seen="%(seen)s::pg_snapshot")
        cursor.execute(
            f"select id::text, to_jsonb(usage_events) from usage_events where {unseen}",
            {"seen": seen_before},
        )
        found = dict(cursor.fetchall())
        cursor.execute(
            "select old_row from change_tombstones "
            f"where table_name = 'usage_events' and {unseen}",
            {"seen": seen_before},
        )
        left = {str(row) for (row,) in cursor.fetchall()}
    written = {row: now[row] for row in now if rows_before.get(row) != now[row]}
    assert found == written, "what was written since, all of it and nothing else"
    for row, then in rows_before.items():
        group = kept("usage_events", then)
        if row not in now or kept("usage_events", now[row]) != group:
            assert str(_in_order(group[1])) in left
    return seen, now


def _in_order(row: dict[str, Any]) -> dict[str, Any]:
    """As jsonb has it: shorter names first."""
    return {name: row[name] for name in sorted(row, key=lambda key: (len(key), key))}


@pytest.mark.parametrize("server", ["database", "database_15"])
def test_between_two_moments_exactly_what_was_committed_is_found(
    request: pytest.FixtureRequest, server: str
) -> None:
    database: Database = request.getfixturevalue(server)
    database.execute("select create_event_partitions('2031-05-01', '2031-05-01')")
    seed = 1
    for number in range(USERS):
        database.execute(
            "insert into users (id, email, password_hash) values (%s, %s, '')",
            (str(uuid.UUID(int=number)), f"user {number}"),
        )
    with (
        closing(database.connect()) as connection,
        ThreadPoolExecutor(WRITERS) as pool,
    ):
        connection.isolation_level = ISOLATION_LEVEL_REPEATABLE_READ
        moments = [look(connection, None)]
        writers = [
            pool.submit(write_at_random, database, seed, writer)
            for writer in range(WRITERS)
        ]
        draw = random.Random(seed)
        while not all(writer.done() for writer in writers):
            # Not from the last moment alone: a mart may be built less often.
            moments.append(look(connection, draw.choice(moments[-3:])))
            time.sleep(draw.uniform(0, 0.1))
        assert errors_of(writers) == []
        for earlier in moments[-10:]:
            look(connection, earlier)
        with connection.cursor() as cursor:
            assert one(cursor, "select count(*) from change_tombstones") > 20
    assert len(moments) > 10
    assert len({seen for seen, _ in moments}) > 10


# No writer waits --------------------------------------------------------------------


def test_inserts_wait_neither_for_each_other_nor_for_a_run(
    module_database_on_each: Database,
) -> None:
    database = module_database_on_each
    with closing(database.connect()) as connection:
        with connection.cursor() as cursor:
            # Other rows than those of other tests that commit.
            maker = Rows(cursor, first=1_000_000)
            owners = {
                "user_id": maker.make("users")["id"],
                "license_id": maker.make("licenses")["id"],
                "affiliate_id": maker.make("affiliates")["id"],
                "subscription_id": maker.make("subscriptions")["id"],
            }
            required = {
                table: {
                    **maker.required(table, without=owners),
                    **{
                        name: owner
                        for name, owner in owners.items()
                        if name in columns_of(table)
                    },
                }
                for table in (*EVENT_TABLES, "affiliate_clicks", "payment_transactions")
            }
        connection.commit()
    with (
        Session(database) as reader,
        Session(database) as first,
        Session(database) as second,
    ):
        reader.connection.isolation_level = ISOLATION_LEVEL_REPEATABLE_READ
        for session in (first, second):
            # Long before a deadlock is looked for; a wait would be an error.
            session.run("set lock_timeout = '100ms'")
        for table, values in required.items():
            reader.run(
                f"select count(*) from {table} where "
                + UNSEEN.format(seen="pg_current_snapshot()")
            )
            insert = (
                f"insert into {table} ({', '.join(values)}) "
                f"values ({', '.join(['%s'] * len(values))})"
            )
            for session in (first, second, first):
                session.run(insert, tuple(values.values()))
        # So do changes of the session's own rows.
        for session in (first, second):
            session.run(
                "update usage_events set event_name = 'y' where xmin::text = "
                "pg_current_xact_id()::xid::text"
            )
            session.run(
                "delete from api_usage where xmin::text = "
                "pg_current_xact_id()::xid::text"
            )


def test_who_may_write_a_table_needs_no_right_on_tombstones(
    module_database_on_each: Database,
) -> None:
    database = module_database_on_each
    application = f"application_{uuid.uuid4().hex[:8]}"
    database.execute(
        f"create role {application} login password 'x'; "
        f"grant select, insert, update, delete on usage_events to {application}"
    )
    try:
        login = Database(with_login(database.url, application, "x"))
        with closing(login.connect()) as connection, connection.cursor() as cursor:
            made = Rows(cursor).make("usage_events", change_xid=LONG_AGO)
            cursor.execute("update usage_events set event_name = 'y'")
            cursor.execute("delete from usage_events where id = %s", (made["id"],))
            assert cursor.rowcount == 1
            for statement in (
                "insert into change_tombstones (table_name, old_row) values ('', '{}')",
                "delete from change_tombstones",
                "select * from change_tombstones",
                "create temporary table mine (id integer); create trigger mine "
                "after insert on mine for each row execute function record_change()",
            ):
                cursor.execute("savepoint here")
                with pytest.raises(errors.InsufficientPrivilege):
                    cursor.execute(statement)
                cursor.execute("rollback to savepoint here")
            connection.rollback()
    finally:
        database.execute(
            f"revoke all on usage_events from {application}; drop role {application}"
        )


# Clearing ---------------------------------------------------------------------------


def leave(database: Database | Session, name: str, days_ago: int) -> str:
    """A tombstone of some days ago; its transaction."""
    execute = database.run if isinstance(database, Session) else database.execute
    ((transaction,),) = execute(
        "insert into change_tombstones (table_name, old_row, recorded_at) "
        "values (%s, '{}', now() - interval '1 day' * %s) returning change_xid::text",
        (name, days_ago),
    )
    return str(transaction)


def clear(database: Database, keep: str = "14 days") -> int:
    """Clear, when every transaction on the server that may be in the way is over."""
    deadline = time.monotonic() + PATIENCE
    while database.execute(
        "select exists (select from change_tombstones "
        "where change_xid >= pg_snapshot_xmin(pg_current_snapshot()))"
    ) == [(True,)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ((cleared,),) = database.execute("select clear_change_tombstones(%s)", (keep,))
    return int(cleared)


def names(database: Database) -> list[str]:
    """Whose tombstones are left."""
    found = database.execute("select table_name from change_tombstones order by 1")
    return [name for (name,) in found]


CLEAR = "select clear_change_tombstones()"
CLEARED = "select up_to_xid::text from change_tombstones_cleared"


def test_old_tombstones_are_cleared_and_it_is_noted_up_to_which(
    database: Database,
) -> None:
    assert clear(database) == 0
    assert database.execute(CLEARED) == []
    leave(database, "a", 20)
    last = leave(database, "b", 15)
    leave(database, "c", 13)
    assert clear(database) == 2
    assert names(database) == ["c"]
    assert database.execute(CLEARED) == [(last,)]
    assert clear(database) == 0
    assert database.execute(CLEARED) == [(last,)]

    last = leave(database, "d", 1)
    assert clear(database, "2 hours") == 2
    assert database.execute(CLEARED) == [(last,)]


def test_tombstones_stay_while_an_earlier_transaction_may_leave_more(
    database: Database,
) -> None:
    with Session(database) as writing:
        leave(writing, "open", 30)
        leave(database, "after", 30)
        assert database.execute(CLEAR) == [(0,)]
        assert database.execute(CLEARED) == []
        assert names(database) == ["after"]
        writing.connection.commit()
    assert clear(database) == 2


def test_a_run_keeps_the_tombstones_of_its_snapshot_and_stops_nobody(
    database: Database,
) -> None:
    leave(database, "a", 30)
    with Session(database) as building:
        building.connection.isolation_level = ISOLATION_LEVEL_REPEATABLE_READ
        assert building.run(CLEARED) == []
        assert clear(database) == 1
        assert building.run(CLEARED) == []
        assert building.run("select table_name from change_tombstones") == [("a",)]
        building.connection.commit()
        assert len(building.run(CLEARED)) == 1
        assert building.run("select table_name from change_tombstones") == []


def test_who_clears_at_once_leaves_one_note_and_it_never_goes_back(
    database: Database,
) -> None:
    for _ in range(5):
        last = leave(database, "a", 30)
        futures = at_once([partial(clear, database)] * 4)
        assert errors_of(futures) == []
        assert sum(future.result() for future in futures) == 1
        assert database.execute(CLEARED) == [(last,)]

    database.execute("update change_tombstones_cleared set up_to_xid = '999999999'")
    leave(database, "a", 30)
    assert clear(database) == 1
    assert database.execute(CLEARED) == [("999999999",)]


def test_writing_and_clearing_do_not_wait_for_each_other(
    database: Database,
) -> None:
    leave(database, "old", 30)
    with Session(database) as clearing, Session(database) as writing:
        for session in (clearing, writing):
            session.run("set lock_timeout = '100ms'")
            session.connection.commit()
        clearing.run(CLEAR)
        writing.run("insert into users (email, password_hash) values ('a', '')")
        writing.run("delete from users")
        clearing.connection.commit()
        leave(database, "old", 30)
        # What is written is not committed yet.
        clearing.run(CLEAR)
        writing.connection.commit()
    assert "users" in names(database)


def test_the_daily_command_clears_old_tombstones_and_says_so(
    database: Database,
) -> None:
    leave(database, "a", 20)
    leave(database, "b", 10)
    # Whatever else is being written on the server would keep them.
    assert clear(database, "30 days") == 0
    env = database.environment()
    result = run("partitions", env=env)
    assert (result.returncode, result.stderr) == (0, "")
    assert "1 old tombstones deleted." in result.stdout.splitlines()
    assert names(database) == ["b"]
    result = run("partitions", "--keep-tombstones", "9", env=env)
    assert "1 old tombstones deleted." in result.stdout.splitlines()
    assert names(database) == []


def test_the_daily_command_works_before_there_is_capture(
    empty_database: Database,
) -> None:
    env = empty_database.environment()
    run("migrate", "003", env=env).check_returncode()
    result = run("partitions", env=env)
    assert (result.returncode, result.stderr) == (0, "")
    assert "tombstones" not in result.stdout


# A database with a history ----------------------------------------------------------

FILES = """
select oid::regclass::text, relfilenode from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace
    and relname !~ '^(change_|alembic|migration)'
order by 1
"""


def test_full_tables_get_capture_without_being_rewritten(server_url: str) -> None:
    with new_database(server_url) as database:
        env = database.environment()
        run("migrate", "003", env=env).check_returncode()
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            maker = Rows(cursor)
            rows = {table: maker.make(table)["id"] for table in KEPT}
            # One for which no month is made.
            late = maker.make("usage_events", occurred_at="1969-12-31")["id"]
            before = {
                table: whole_row(cursor, table, row) for table, row in rows.items()
            }
            connection.commit()
        files = database.execute(FILES)

        run("migrate", env=env).check_returncode()

        assert set(files) <= set(database.execute(FILES))
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            stamps = set()
            for table, row in (*rows.items(), ("usage_events", late)):
                after = whole_row(cursor, table, row)
                stamps.add(after.pop("change_xid"))
                if row != late:
                    assert after == before[table]
            # They count as written by the migration.
            (stamp,) = stamps
            assert int(LONG_AGO) < int(stamp) < int(this_transaction(cursor))
            for table, row in rows.items():
                if table in EVENT_TABLES:
                    was = whole_row(cursor, table, row)
                    cursor.execute(f"delete from {table} where id = %s", (row,))
                    assert kept(table, was) in tombstones(cursor)
            connection.rollback()
