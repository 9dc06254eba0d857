"""After every refresh each mart equals a full rebuild from the current rows."""

from __future__ import annotations

import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bootstrap.errors import UserError
from refresh import engine
from tests.python import torture
from tests.python.support import DBT, ROOT, Database, new_database, run

SCHEMA = "analytics_refresh"


def dbt(database: Database, *arguments: str, target: Path) -> None:
    result = subprocess.run(
        [DBT, *arguments, "--target-path", str(target), "--log-path", str(target)],
        cwd=ROOT,
        env=database.environment(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.fixture(scope="module")
def built_template(
    server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Name of a database with a small company and all its marts, to be cloned."""
    name = f"saas_marts_{os.getpid()}"
    target = tmp_path_factory.mktemp("target")
    with new_database(
        server_url, template=template_database, name=name, keep=True
    ) as made:
        options = ("--scale", "0.02", "--until", "2026-03-20")
        run("demo", *options, env=made.environment()).check_returncode()
        # Enough rows of every kind, and few enough to compare everything often.
        made.execute("delete from usage_events where random() > 0.15")
        made.execute("delete from api_usage where random() > 0.1")
        made.execute("delete from audit_logs where random() > 0.3")
        dbt(made, "seed", target=target)
        dbt(made, "run", target=target)
    return name


@pytest.fixture
def marts(server_url: str, built_template: str) -> Iterator[Database]:
    """A company with its marts, all of it this test's own."""
    with new_database(server_url, template=built_template) as made:
        refresh(made)
        yield made


def refresh(database: Database, **options: Any) -> dict[str, engine.Run]:
    """Refresh, and compare every mart with its meaning in the same snapshot."""

    def compare(connection: Any) -> None:
        with connection.cursor() as cursor:
            assert torture.disagreements(cursor) == {}

    with closing(database.connect()) as connection:
        runs = engine.refresh(connection, SCHEMA, inspect=compare, **options)
    return {run.model: run for run in runs}


def administrate(database: Database, generator: random.Random) -> None:
    with (
        closing(database.connect()) as connection,
        suppress(psycopg2.OperationalError),  # a lock in its way
        connection,
        connection.cursor() as cursor,
    ):
        torture.administrate(cursor, generator)


# --- Under load -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_marts_equal_a_rebuild_whatever_is_written_meanwhile(
    marts: Database, seed: int
) -> None:
    generator = random.Random(seed)
    with torture.Writers(marts, seed) as writers:
        for _ in range(7):
            refresh(marts)
            if generator.random() < 0.7:
                administrate(marts, generator)
            time.sleep(generator.random())
    refresh(marts)

    assert writers.failures == []
    assert len(writers.written) > 30


def test_a_refresh_killed_at_any_point_leaves_marts_that_the_next_one_mends(
    marts: Database,
) -> None:
    generator = random.Random(3)
    killed = 0
    with torture.Writers(marts, seed=3, count=3):
        for _ in range(6):
            with closing(marts.connect()) as connection:
                pid = connection.info.backend_pid
                timer = threading.Timer(
                    generator.random() * 0.7,
                    marts.execute,
                    ("select pg_terminate_backend(%s)", (pid,)),
                )
                timer.start()
                try:
                    engine.refresh(connection, SCHEMA)
                except psycopg2.Error:
                    killed += 1
                timer.join()
            refresh(marts)
    assert killed > 0


def test_refreshes_at_once_queue_up_and_both_are_right(marts: Database) -> None:
    failures: list[BaseException] = []

    def again_and_again() -> None:
        try:
            for _ in range(4):
                refresh(marts)
        except BaseException as error:
            failures.append(error)

    with torture.Writers(marts, seed=4, count=3):
        threads = [threading.Thread(target=again_and_again) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


# --- Any sequence ---------------------------------------------------------------------


@settings(
    max_examples=12,
    deadline=None,
    # Each example is a database: a failing one is short enough as it is.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(
        st.sampled_from([*torture.WRITES, *torture.ADMINISTRATION, "refresh"]),
        min_size=2,
        max_size=12,
    ),
    seed=st.integers(0, 1_000_000),
)
def test_any_sequence_of_writes_and_refreshes_ends_in_equal_marts(
    server_url: str, built_template: str, steps: list[str], seed: int
) -> None:
    generator = random.Random(seed)
    with new_database(server_url, template=built_template) as database:
        refresh(database)
        with closing(database.connect()) as connection:
            for step in steps:
                if step == "refresh":
                    refresh(database)
                    continue
                with connection, connection.cursor() as cursor:
                    if step in torture.WRITES:
                        cursor.execute(torture.WRITES[step].format(n=5))
                    else:
                        torture.administrate(cursor, generator, step)
        refresh(database)


# --- What it costs --------------------------------------------------------------------


def test_with_nothing_changed_nothing_is_written(marts: Database) -> None:
    runs = refresh(marts)

    assert {run.model for run in runs.values() if not run.is_quiet} == set()
    # Only what says how things are at this moment is looked at anew.
    looked_at = {run.model for run in runs.values() if run.method != "quiet"}
    assert looked_at <= {"dim_licenses"}


def test_a_late_event_touches_its_own_groups_alone(marts: Database) -> None:
    marts.execute(
        "insert into usage_events (user_id, event_type, event_category, event_name, "
        "occurred_at) select id, 'late', 'feature', 'late', '2026-01-05' "
        "from users order by id limit 1"
    )

    runs = refresh(marts)

    for mart in ("fct_usage_daily", "fct_usage_monthly"):
        assert runs[mart].method == "scoped"
        assert runs[mart].scopes == 1
        assert (runs[mart].rows_removed, runs[mart].rows_added) == (0, 1)
    assert runs["int_active_users_changes"].method == "summed"
    assert runs["fct_api_usage_daily"].method == "quiet"
    assert runs["fct_affiliate_earnings"].method == "quiet"


def test_an_update_that_moves_an_event_touches_both_its_days(marts: Database) -> None:
    marts.execute(
        "update usage_events set occurred_at = occurred_at + interval '3 days' "
        "where id = (select id from usage_events where user_id is not null "
        "and occurred_at < '2026-03-01' order by id limit 1)"
    )

    assert refresh(marts)["fct_usage_daily"].scopes == 2


def test_marts_of_one_refresh_agree_with_each_other(marts: Database) -> None:
    agree = """
        select
            (select sum(event_count) from analytics.fct_usage_daily)
            = (select sum(event_count) from analytics.fct_usage_monthly),
            (select sum(daily_active_users) from analytics.fct_active_users_daily
                where plan_type = 'all')
            = (select count(distinct (usage_date, user_id))
                from analytics.fct_usage_daily where user_id is not null),
            (select sum(total_uses) from analytics.fct_feature_usage)
            = (select count(*) from usage_events where event_category = 'feature')
    """
    with torture.Writers(marts, seed=5):
        for _ in range(5):

            def compare(connection: Any) -> None:
                with connection.cursor() as cursor:
                    cursor.execute(agree)
                    assert cursor.fetchone() == (True, True, True)

            with closing(marts.connect()) as connection:
                engine.refresh(connection, SCHEMA, inspect=compare)


# --- Where capture can't see: it notices, and rebuilds --------------------------------


def methods(runs: dict[str, engine.Run]) -> set[str]:
    return {runs[mart].method for mart in ("fct_usage_daily", "fct_errors_daily")}


def test_a_copy_of_the_database_is_rebuilt(server_url: str, marts: Database) -> None:
    name = psycopg2.extensions.parse_dsn(marts.url)["dbname"]
    with new_database(server_url, template=name) as copy:
        assert methods(refresh(copy)) == {"whole"}
        assert methods(refresh(copy)) == {"quiet"}


def test_another_cluster_is_noticed(marts: Database) -> None:
    marts.execute(
        f"update {SCHEMA}.inputs set identity = "
        "jsonb_set(identity, '{cluster}', '\"another\"')"
    )
    assert methods(refresh(marts)) == {"whole"}


def test_tombstones_cleared_before_a_run_saw_them_make_it_rebuild(
    marts: Database,
) -> None:
    marts.execute("delete from usage_events where random() < 0.1")
    marts.execute("delete from error_logs where random() < 0.1")
    # It keeps those that an open transaction, of whatever test, may not see yet.
    deadline = time.monotonic() + 60
    while marts.execute("select exists (select from change_tombstones)") == [(True,)]:
        assert time.monotonic() < deadline
        marts.execute("select clear_change_tombstones(interval '0')")

    assert methods(refresh(marts)) == {"whole"}


def test_a_disabled_trigger_makes_every_run_look_at_everything(marts: Database) -> None:
    triggers = marts.execute(
        "select tgname from pg_trigger where tgrelid = 'error_logs'::regclass "
        "and tgfoid in ('stamp_change'::regproc, 'record_change'::regproc)"
    )
    for (trigger,) in triggers:
        marts.execute(f"alter table error_logs disable trigger {trigger}")
    marts.execute("delete from error_logs where random() < 0.1")
    assert refresh(marts)["fct_errors_daily"].method == "whole"

    marts.execute("delete from error_logs where random() < 0.1")
    assert refresh(marts)["fct_errors_daily"].method == "whole"

    # The delete before it was enabled left no trace.
    marts.execute("delete from error_logs where random() < 0.1")
    for (trigger,) in triggers:
        marts.execute(f"alter table error_logs enable always trigger {trigger}")
    assert refresh(marts)["fct_errors_daily"].method == "whole"
    assert refresh(marts)["fct_errors_daily"].method == "quiet"


def test_a_dropped_partition_takes_its_time_out_of_the_marts(marts: Database) -> None:
    marts.execute("drop table usage_events_y2026m01")

    runs = refresh(marts)

    assert runs["fct_usage_daily"].method == "scoped"
    assert runs["fct_usage_daily"].rows_removed > 0
    left = marts.execute(
        "select count(*) from analytics.fct_usage_daily "
        "where usage_date between '2026-01-01' and '2026-01-31'"
    )
    assert left == [(0,)]


def test_a_rebuild_changes_nothing_where_all_is_right(marts: Database) -> None:
    runs = refresh(marts, rebuild=True)

    assert {run.method for run in runs.values()} == {"whole"}
    assert all(run.is_quiet for run in runs.values())


def test_a_mart_that_was_tampered_with_is_found_and_rebuilt(marts: Database) -> None:
    marts.execute("update analytics.fct_usage_daily set event_count = event_count + 1")

    with (
        closing(marts.connect()) as connection,
        pytest.raises(UserError, match=r"fct_usage_daily in [\d,]+ rows"),
    ):
        engine.refresh(
            connection, SCHEMA, inspect=lambda each: engine.verify(each, SCHEMA)
        )
    refresh(marts, rebuild=True)


def test_a_failing_test_of_what_is_written_is_told(marts: Database) -> None:
    marts.execute(
        f"update {SCHEMA}.models set checks = "
        '\'[{"name": "impossible", "fails": "event_count > 0"}]\' '
        "where model = 'fct_usage_daily'"
    )
    marts.execute(torture.WRITES["events arrive"].format(n=3))

    runs = refresh(marts)

    assert runs["fct_usage_daily"].failed_checks == ["impossible"]
    assert runs["fct_usage_monthly"].failed_checks == []


def test_a_refresh_waits_its_turn_and_says_when_it_waited_in_vain(
    marts: Database,
) -> None:
    with closing(marts.connect()) as other, other.cursor() as cursor:
        cursor.execute(f"lock table {SCHEMA}.fct_usage_daily__log in share mode")
        with (
            closing(marts.connect()) as connection,
            pytest.raises(engine.Busy, match="another run has held the marts"),
        ):
            engine.refresh(connection, SCHEMA, wait_seconds=0.2)
        other.rollback()
    refresh(marts)


def test_writers_never_wait_for_a_refresh(marts: Database) -> None:
    with closing(marts.connect()) as connection:

        def write(_: Any) -> None:
            with closing(marts.connect()) as writer, writer.cursor() as cursor:
                cursor.execute("set lock_timeout = '50ms'")
                for statement in torture.WRITES.values():
                    cursor.execute(statement.format(n=2))
                    writer.commit()

        engine.refresh(connection, SCHEMA, inspect=write)
    refresh(marts)


def test_readers_never_wait_for_a_refresh_and_see_all_of_it_or_nothing(
    marts: Database,
) -> None:
    with closing(marts.connect()) as connection:
        marts.execute(torture.WRITES["events arrive"].format(n=20))
        total = "select sum(event_count) from analytics.fct_usage_daily"
        before = marts.execute(total)

        def read(_: Any) -> None:
            with closing(marts.connect()) as reader, reader.cursor() as cursor:
                cursor.execute("set lock_timeout = '50ms'")
                cursor.execute(total)
                assert cursor.fetchall() == before

        # One that has read, and idles in its transaction, is in nobody's way.
        with closing(marts.connect()) as idle, idle.cursor() as cursor:
            cursor.execute(total)
            engine.refresh(connection, SCHEMA, rebuild=True, inspect=read)
    assert marts.execute(total) != before
