"""Where capture can't see a change, a refresh notices all the same, and rebuilds."""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
from psycopg2 import errors, sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn, parse_dsn

from saas_analytics.refresh import engine
from saas_analytics.server import programs
from tests.python import torture
from tests.python.support import Database, new_database
from tests.python.torture import SCHEMA, refresh

STAGING_VIEW = "analytics_staging.stg_saas__affiliate_clicks"

NEW_ERROR = """
    insert into error_logs (error_type, error_message, severity, occurred_at)
    values ('new', 'new', 'critical', '2026-01-05')
"""


@pytest.fixture(scope="module")
def company(server_url: str, marts_template: str) -> Iterator[Database]:
    """A company with its marts, for all tests that leave it sound."""
    with new_database(server_url, template=marts_template) as made:
        refresh(made)
        yield made


# --- Another place --------------------------------------------------------------------


def methods(runs: dict[str, engine.Run]) -> set[str]:
    return {runs[mart].method for mart in ("fct_usage_daily", "fct_errors_daily")}


def test_a_copy_of_the_database_is_rebuilt(server_url: str, company: Database) -> None:
    name = psycopg2.extensions.parse_dsn(company.url)["dbname"]
    with new_database(server_url, template=name) as copy:
        assert methods(refresh(copy)) == {"full"}
        assert methods(refresh(copy)) == {"unchanged"}


def test_another_cluster_is_noticed(company: Database) -> None:
    company.execute(
        f"update {SCHEMA}.inputs set identity = "
        "jsonb_set(identity, '{cluster}', '\"another\"')"
    )
    assert methods(refresh(company)) == {"full"}


def program(name: str, *arguments: str, standard_input: str | None = None) -> str:
    """Run one of PostgreSQL's own programs. Returns its output."""
    return subprocess.run(
        [str(programs.binaries() / name), *arguments],
        input=standard_input,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_restore_into_another_database_is_rebuilt(
    server_url: str, company: Database
) -> None:
    dump = program("pg_dump", company.url)
    with new_database(server_url) as restored:
        program("psql", "-q", restored.url, standard_input=dump)
        restored.execute(NEW_ERROR)
        assert methods(refresh(restored)) == {"full"}
        assert methods(refresh(restored)) == {"unchanged"}


@pytest.mark.parametrize("how", ["with their triggers", "without triggers"])
def test_rows_restored_from_a_backup_are_found(marts: Database, how: str) -> None:
    refresh(marts)
    options = ("--data-only", "--table=error_logs*")
    without = ("--disable-triggers",) if how == "without triggers" else ()
    backup = program("pg_dump", marts.url, *options, *without)
    marts.execute("delete from error_logs")
    assert refresh(marts)["fct_errors_daily"].rows_removed > 0

    program("psql", "-q", marts.url, standard_input=backup)

    assert refresh(marts)["fct_errors_daily"].rows_added > 0


# --- Triggers and tombstones ----------------------------------------------------------


def test_tombstones_that_somebody_empties_make_it_rebuild(marts: Database) -> None:
    refresh(marts)
    marts.execute("delete from usage_events where random() < 0.1")
    marts.execute("truncate change_tombstones")

    assert methods(refresh(marts)) == {"full"}
    assert methods(refresh(marts)) == {"unchanged"}


def test_tombstones_cleared_before_a_run_saw_them_make_it_rebuild(
    marts: Database,
) -> None:
    marts.execute("delete from usage_events where random() < 0.1")
    marts.execute("delete from error_logs where random() < 0.1")
    # It keeps those that an open transaction, of whatever test, may not see yet.
    deadline = time.monotonic() + 300
    while marts.execute("select exists (select from change_tombstones)") == [(True,)]:
        assert time.monotonic() < deadline
        marts.execute("select clear_change_tombstones(interval '0')")

    assert methods(refresh(marts)) == {"full"}


def capturing_triggers(database: Database, table: str) -> list[str]:
    """Names of the triggers by which a table's changes are captured."""
    return [
        trigger
        for (trigger,) in database.execute(
            "select tgname from pg_trigger where tgrelid = %s::regclass "
            "and tgfoid in ('stamp_change'::regproc, 'record_change'::regproc)",
            (table,),
        )
    ]


def enable_always(database: Database, table: str) -> None:
    """As the migration made them."""
    for trigger in capturing_triggers(database, table):
        database.execute(f"alter table {table} enable always trigger {trigger}")


def test_a_disabled_trigger_makes_every_run_look_at_everything(
    company: Database,
) -> None:
    triggers = capturing_triggers(company, "error_logs")
    for trigger in triggers:
        company.execute(f"alter table error_logs disable trigger {trigger}")
    company.execute("delete from error_logs where random() < 0.1")
    assert refresh(company)["fct_errors_daily"].method == "full"

    company.execute("delete from error_logs where random() < 0.1")
    assert refresh(company)["fct_errors_daily"].method == "full"

    # The delete before it was enabled left no trace.
    company.execute("delete from error_logs where random() < 0.1")
    enable_always(company, "error_logs")
    assert refresh(company)["fct_errors_daily"].method == "full"
    assert refresh(company)["fct_errors_daily"].method == "unchanged"


@pytest.mark.parametrize(
    ("table", "method"), [("error_logs", "full"), ("error_logs_y2026m01", "partial")]
)
def test_a_trigger_that_was_disabled_between_two_runs_is_noticed(
    marts: Database, table: str, method: str
) -> None:
    refresh(marts)
    marts.execute(f"alter table {table} disable trigger user")
    marts.execute(f"delete from {table} where random() < 0.2")
    # Not "enable always", as it was: nothing is replicated here.
    marts.execute(f"alter table {table} enable trigger user")

    run = refresh(marts)["fct_errors_daily"]
    assert run.method == method
    assert run.rows_removed > 0
    assert refresh(marts)["fct_errors_daily"].method == "unchanged"


def test_without_one_of_the_triggers_every_run_looks_at_everything(
    marts: Database,
) -> None:
    marts.execute("drop trigger error_logs_deleted on error_logs")
    for _ in range(2):
        marts.execute("delete from error_logs where random() < 0.1")
        assert refresh(marts)["fct_errors_daily"].method == "full"


@pytest.mark.parametrize(
    ("trigger", "condition"),
    [
        ("moved", "({}) and new.severity != 'critical'"),
        ("moved", "({}) and pg_trigger_depth() < 2"),
        ("moved", "({}) is not true"),
        ("moved", "({0}) and new.severity = 'x' or ({0}) and new.severity = 'y'"),
        ("moved", "lower(old.severity) is distinct from lower(new.severity)"),
        ("copied", "({}) and new.severity != 'critical'"),
        ("copied", "new.change_xid is distinct from pg_current_xact_id_if_assigned()"),
    ],
)
def test_a_trigger_with_another_condition_captures_nothing_for_sure(
    company: Database, trigger: str, condition: str
) -> None:
    name = f"error_logs_{trigger}"
    ((definition,),) = company.execute(
        "select pg_get_triggerdef(oid) from pg_trigger "
        "where tgrelid = 'error_logs'::regclass and tgname = %s",
        (name,),
    )
    before, rest = definition.split(" WHEN (", 1)
    former, after = rest.rsplit(") EXECUTE ", 1)
    company.execute(f"drop trigger {name} on error_logs")
    company.execute(f"{before} WHEN ({condition.format(former)}) EXECUTE {after}")
    enable_always(company, "error_logs")

    for _ in range(2):
        company.execute(
            "update error_logs set severity = 'critical' "
            "where id in (select id from error_logs order by random() limit 3)"
        )
        run = refresh(company)["fct_errors_daily"]
        assert run.method == "full"
        (advice,) = run.advice
        assert "one of its four triggers is missing, changed or disabled" in advice

    # Some of the columns are known by the condition alone.
    company.execute(
        "select capture_changes('error_logs', array['occurred_at', 'user_id', "
        "'license_id', 'error_type', 'severity', 'source', 'created_at'])"
    )
    refresh(company)
    quiet = refresh(company)["fct_errors_daily"]
    assert (quiet.method, quiet.advice) == ("unchanged", [])


def test_a_table_that_a_crash_empties_is_computed_whole(company: Database) -> None:
    # A crash leaves the file of an unlogged table its number, and no trigger fires.
    company.execute("alter table error_logs_default set unlogged")
    for _ in range(2):
        run = refresh(company)["fct_errors_daily"]
        assert run.method == "full"
        (advice,) = run.advice
        assert "it is unlogged, or a part of it" in advice
        assert "`alter table … set logged` repairs that" in advice

    company.execute("alter table error_logs_default set logged")
    refresh(company)
    quiet = refresh(company)["fct_errors_daily"]
    assert (quiet.method, quiet.advice) == ("unchanged", [])


# --- Staging views --------------------------------------------------------------------


@contextmanager
def loud_severities(company: Database, call: str) -> Iterator[None]:
    """A staging view that calls a function of the application's own."""
    view = "analytics_staging.stg_saas__error_logs"
    ((former,),) = company.execute("select pg_get_viewdef(%s::regclass)", (view,))
    company.execute(
        "create function loud(text) returns text language sql immutable as 'select $1'"
    )
    company.execute("create operator !+ (rightarg = text, function = loud)")
    try:
        altered, found = re.subn(
            r".* as severity,", f"{call} as severity,", former, flags=re.I
        )
        assert found == 1
        company.execute(f"create or replace view {view} as {altered}")
        yield
    finally:
        company.execute(f"create or replace view {view} as {former}")
        company.execute("drop operator !+ (none, text)")
        company.execute("drop function loud")
        refresh(company)


@pytest.mark.parametrize("call", ["loud(severity)", "(!+ severity::text)"])
def test_another_body_of_a_function_that_a_view_calls_is_noticed(
    company: Database, call: str
) -> None:
    with loud_severities(company, call):
        assert refresh(company)["fct_errors_daily"].method == "full"
        assert refresh(company)["fct_errors_daily"].method == "unchanged"
        company.execute(
            "create or replace function loud(text) returns text language sql "
            "immutable as 'select upper($1)'"
        )

        assert refresh(company)["fct_errors_daily"].method == "full"

        assert company.execute(
            "select bool_and(severity = upper(severity)) "
            "from analytics.fct_errors_daily"
        ) == [(True,)]


def test_another_expression_of_a_column_that_is_computed_when_read_is_noticed(
    marts: Database,
) -> None:
    # PostgreSQL changes it only where no constraint might read it.
    ((checks,),) = marts.execute(
        "select string_agg(format('drop constraint %I', conname), ', ') "
        "from pg_constraint where conrelid = 'error_logs'::regclass and contype = 'c'"
    )
    if checks:
        marts.execute(f"alter table error_logs {checks}")
    marts.execute(
        "alter table error_logs add column loud text "
        "generated always as (lower(severity)) virtual"
    )
    with loud_severities(marts, "loud"):
        assert refresh(marts)["fct_errors_daily"].method == "full"
        assert refresh(marts)["fct_errors_daily"].method == "unchanged"
        marts.execute(
            "alter table error_logs alter column loud set expression "
            "as (upper(severity))"
        )

        assert refresh(marts)["fct_errors_daily"].method == "full"

        assert marts.execute(
            "select bool_and(severity = upper(severity)) "
            "from analytics.fct_errors_daily"
        ) == [(True,)]


def test_a_view_that_is_known_is_not_parsed_again(company: Database) -> None:
    refresh(company)
    called: set[str] = set()

    def note(connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select funcname from pg_stat_xact_user_functions")
            called.update(name for (name,) in cursor)

    with closing(company.connect()) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("set track_functions = 'all'")
        engine.refresh(connection, SCHEMA, inspect=note)

    assert "_source_identity" in called
    assert not called & {"_view_problem", "_view_columns", "_read_triggers"}


@pytest.mark.parametrize(
    ("trigger", "condition"),
    [
        ("moved", "({}) and new.severity != 'critical'"),
        ("moved", "({}) and pg_trigger_depth() < 2"),
        ("moved", "({}) is not true"),
        ("moved", "({0}) and new.severity = 'x' or ({0}) and new.severity = 'y'"),
        ("moved", "lower(old.severity) is distinct from lower(new.severity)"),
        ("copied", "({}) and new.severity != 'critical'"),
        ("copied", "new.change_xid is distinct from pg_current_xact_id_if_assigned()"),
    ],
)
def test_a_trigger_with_another_condition_captures_nothing_for_sure(
    company: Database, trigger: str, condition: str
) -> None:
    name = f"error_logs_{trigger}"
    ((definition,),) = company.execute(
        "select pg_get_triggerdef(oid) from pg_trigger "
        "where tgrelid = 'error_logs'::regclass and tgname = %s",
        (name,),
    )
    before, rest = definition.split(" WHEN (", 1)
    former, after = rest.rsplit(") EXECUTE ", 1)
    company.execute(f"drop trigger {name} on error_logs")
    company.execute(f"{before} WHEN ({condition.format(former)}) EXECUTE {after}")
    enable_always(company, "error_logs")

    for _ in range(2):
        company.execute(
            "update error_logs set severity = 'critical' "
            "where id in (select id from error_logs order by random() limit 3)"
        )
        run = refresh(company)["fct_errors_daily"]
        assert run.method == "whole"
        (advice,) = run.advice
        assert "one of its four triggers is missing, changed or disabled" in advice

    company.execute("select capture_changes('error_logs')")
    refresh(company)
    assert refresh(company)["fct_errors_daily"].method == "quiet"


# --- Tables and partitions ------------------------------------------------------------


@pytest.mark.parametrize(
    ("accident", "mart", "method"),
    [
        ("a table is emptied", "fct_affiliate_funnel_daily", "full"),
        ("a table is rewritten", "fct_errors_daily", "full"),
        ("a partition is emptied", "fct_usage_daily", "partial"),
        ("a partition changes while it is away", "fct_usage_daily", "partial"),
        ("rows are written to the partition itself", "fct_usage_daily", "partial"),
    ],
)
def test_what_administrators_do_to_tables_is_noticed(
    company: Database, accident: str, mart: str, method: str
) -> None:
    with closing(company.connect()) as connection, connection.cursor() as cursor:
        torture.administrate(cursor, random.Random(1), accident)
        connection.commit()
    assert refresh(company)[mart].method == method


def test_a_table_that_was_replaced_is_noticed(marts: Database) -> None:
    with closing(marts.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("alter table affiliate_clicks rename to former_clicks")
        cursor.execute(
            "create table affiliate_clicks "
            "(like former_clicks including defaults including indexes)"
        )
        cursor.execute(
            "insert into affiliate_clicks select * from former_clicks limit 10"
        )
        # As dbt does with the staging view.
        cursor.execute(
            "select replace(pg_get_viewdef(%s::regclass), 'former_', 'affiliate_')",
            (STAGING_VIEW,),
        )
        ((select,),) = cursor.fetchall()
        cursor.execute(f"create or replace view {STAGING_VIEW} as {select}")
        connection.commit()
    # Nobody gave the new one its triggers.
    for _ in range(2):
        marts.execute(
            "delete from affiliate_clicks where id = "
            "(select id from affiliate_clicks limit 1)"
        )
        assert refresh(marts)["fct_affiliate_funnel_daily"].method == "full"


def test_a_staging_view_that_reads_another_table_stops_every_run(
    marts: Database,
) -> None:
    with closing(marts.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "create table other_clicks (like affiliate_clicks including all)"
        )
        cursor.execute(
            "select replace(pg_get_viewdef(%s::regclass), "
            "'affiliate_clicks', 'other_clicks')",
            (STAGING_VIEW,),
        )
        ((select,),) = cursor.fetchall()
        cursor.execute(f"create or replace view {STAGING_VIEW} as {select}")
        connection.commit()

    with pytest.raises(errors.RaiseException, match=r"must read .+affiliate_clicks"):
        refresh(marts)


def test_a_dropped_partition_takes_its_time_out_of_the_marts(company: Database) -> None:
    company.execute("drop table usage_events_y2026m01")

    runs = refresh(company)

    assert runs["fct_usage_daily"].method == "partial"
    assert runs["fct_usage_daily"].rows_removed > 0
    left = company.execute(
        "select count(*) from analytics.fct_usage_daily "
        "where usage_date between '2026-01-01' and '2026-01-31'"
    )
    assert left == [(0,)]


# --- Much, and time -------------------------------------------------------------------


def test_where_most_has_changed_everything_is_computed(company: Database) -> None:
    company.execute("update usage_events set event_type = 'all_of_them'")
    assert refresh(company)["fct_usage_daily"].method == "full"


def test_where_most_of_some_days_has_changed_these_days_are_computed(
    company: Database,
) -> None:
    company.execute(
        "insert into api_usage (endpoint, method, status_code, occurred_at) "
        "select 'endpoint ' || number, 'GET', 200, "
        "timestamptz '2026-02-10 12:00+00' + number % 2 * interval '1 day' "
        "from generate_series(1, 3000) as number"
    )
    run = refresh(company)["fct_api_usage_daily"]
    assert (run.method, run.key_count, run.rows_added) == ("partial", 2, 3000)


def test_a_new_day_recomputes_what_depends_on_the_day(company: Database) -> None:
    by_day = f"select model from {SCHEMA}.models where clock = 'day'"
    models = {model for (model,) in company.execute(by_day)}
    assert len(models) > 1
    steps = ((False, "unchanged"), (True, "full"), (False, "unchanged"))
    for is_next_day, method in steps:
        if is_next_day:
            # As if the last run had been yesterday.
            company.execute(f"update {SCHEMA}.models set day = day - 1")
        runs = refresh(company)
        assert {runs[model].method for model in models} == {method}


# --- Other ways to commit -------------------------------------------------------------


def need(database: Database, setting: str, minimum: str) -> None:
    """Skip where the developer's own server can't do it; the tests' own server can."""
    ((value,),) = database.execute("select current_setting(%s)", (setting,))
    if value != minimum:
        pytest.skip(f"needs a server with {setting} = {minimum}")


def test_a_prepared_transaction_is_seen_when_it_is_committed(company: Database) -> None:
    need(company, "max_prepared_transactions", "10")
    refresh(company)
    with closing(company.connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            name = f"late_{connection.info.backend_pid}"
            cursor.execute("begin")
            cursor.execute(NEW_ERROR)
            cursor.execute("delete from api_usage where random() < 0.01")
            cursor.execute("prepare transaction %s", (name,))
            for _ in range(2):
                assert methods(refresh(company)) == {"unchanged"}
            cursor.execute("commit prepared %s", (name,))

    runs = refresh(company)
    assert runs["fct_errors_daily"].key_count == 1
    assert runs["fct_errors_daily"].rows_added == 1
    assert runs["fct_api_usage_daily"].method == "partial"


@contextmanager
def subscription(publisher: Database, subscriber: Database) -> Iterator[None]:
    """The subscriber gets what is in the publisher's tables, and all that comes."""
    name = f"saas_{parse_dsn(publisher.url)['dbname']}"
    publisher.execute(
        "create publication everything for table users, licenses, usage_events, "
        "error_logs with (publish_via_partition_root = true)"
    )
    # In one cluster a subscription would wait for itself to make the slot.
    publisher.execute(
        "select pg_create_logical_replication_slot(%s, 'pgoutput')", (name,)
    )
    administrator = subscriber.connect()
    administrator.autocommit = True
    try:
        with administrator.cursor() as cursor:
            cursor.execute(
                sql.SQL(
                    "create subscription {} connection {} publication everything "
                    "with (create_slot = false, slot_name = {})"
                ).format(
                    sql.Identifier(name),
                    sql.Literal(make_dsn(publisher.url)),
                    sql.Identifier(name),
                )
            )
            try:
                yield
            finally:
                cursor.execute(
                    sql.SQL("drop subscription {}").format(sql.Identifier(name))
                )
    finally:
        administrator.close()


def wait_for(database: Database, query: str) -> None:
    """Return when the query says true."""
    deadline = time.monotonic() + 300
    while database.execute(query) != [(True,)]:
        assert time.monotonic() < deadline, query
        time.sleep(0.05)


def test_rows_that_logical_replication_applies_are_found(
    server_url: str, template_database: str, company: Database
) -> None:
    need(company, "wal_level", "logical")
    with new_database(server_url, template=template_database) as publisher:
        publisher.execute("""
            insert into users (id, email, password_hash)
            values (md5('1')::uuid, 'replicated@example.com', 'x');
            insert into licenses (id, user_id, license_key, plan_type, started_at)
            values (md5('1')::uuid, md5('1')::uuid, 'replicated', 'pro', '2026-01-01');
            insert into usage_events (user_id, license_id, event_type, event_category,
                event_name, occurred_at)
            select md5('1')::uuid, md5('1')::uuid, 'replicated', 'feature', 'sharing',
                timestamptz '2026-01-01' + day * interval '1 day'
            from generate_series(1, 20) as day
        """)
        with subscription(publisher, company):
            wait_for(
                company,
                "select count(*) = 20 from usage_events "
                "where event_type = 'replicated'",
            )
            wait_for(
                company,
                "select count(*) = 1 from licenses where license_key = 'replicated'",
            )
            refresh(company)

            publisher.execute(
                "update usage_events set event_type = 'moved' "
                "where occurred_at < '2026-01-05'"
            )
            publisher.execute(
                "delete from usage_events where occurred_at > '2026-01-15'"
            )
            publisher.execute(NEW_ERROR.replace("new", "replicated"))
            wait_for(
                company,
                "select count(*) = 1 from error_logs where error_type = 'replicated'",
            )
            runs = refresh(company)
            assert runs["fct_usage_daily"].method == "partial"
            assert runs["fct_errors_daily"].key_count == 1

            publisher.execute("truncate error_logs")
            wait_for(company, "select count(*) = 0 from error_logs")
            assert refresh(company)["fct_errors_daily"].method == "full"

            # As `enable trigger` leaves it, it no longer fires for a subscription.
            company.execute("alter table error_logs enable trigger user")
            for rows in (1, 2):
                publisher.execute(NEW_ERROR.replace("new", "replicated"))
                wait_for(company, f"select count(*) = {rows} from error_logs")
                assert refresh(company)["fct_errors_daily"].method == "full"


@pytest.mark.parametrize(("change_xid", "digit"), [("default", "a"), ("'3'", "b")])
def test_what_replication_applies_after_the_rows_that_name_it_is_found(
    company: Database, change_xid: str, digit: str
) -> None:
    """Tables are copied side by side, and foreign keys are not checked meanwhile.

    Where the publisher doesn't capture, `change_xid` is that of who applies the row.
    """
    late = f"'00000000-0000-0000-0000-00000000000{digit}'"
    with closing(company.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.execute(f"""
            insert into usage_events (user_id, license_id, event_type, event_category,
                event_name, occurred_at)
            values ({late}, {late}, 'early', 'feature', 'sharing', '2026-01-05');
            insert into payment_transactions (subscription_id, amount_cents, status,
                processed_at)
            values ({late}, 100, 'succeeded', '2026-01-05')
        """)
        connection.commit()
        refresh(company)
        cursor.execute(f"""
            insert into users (id, email, password_hash, created_at, change_xid)
            values ({late}, '{digit}@example.com', 'x', '2025-12-01', {change_xid});
            insert into licenses (id, user_id, license_key, plan_type, started_at,
                change_xid)
            values ({late}, {late}, '{digit}', 'enterprise', '2026-01-01',
                {change_xid});
            insert into subscriptions (id, license_id, plan_type, billing_cycle,
                amount_cents, status, change_xid)
            values ({late}, {late}, 'enterprise', 'monthly', 100, 'active',
                {change_xid})
        """)
        connection.commit()
    refresh(company)
