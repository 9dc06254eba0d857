"""After every refresh each mart equals a full rebuild from the current rows."""

from __future__ import annotations

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg2 import errors

from bootstrap import erase
from saas_analytics.errors import Busy, UserError
from saas_analytics.refresh import engine
from tests.python import support, workload
from tests.python.concurrency import PATIENCE, Session, wait_until_waiting
from tests.python.support import Database, copy_of_marts, refusal, run
from tests.python.workload import SCHEMA, refresh


def administrate(database: Database, generator: random.Random) -> None:
    with (
        closing(database.connect()) as connection,
        suppress(psycopg2.OperationalError),  # a lock in its way
        connection,
        connection.cursor() as cursor,
    ):
        workload.administrate(cursor, generator)


# --- Under load -----------------------------------------------------------------------


def test_marts_equal_a_rebuild_whatever_is_written_meanwhile(
    marts: Database,
) -> None:
    agree = """
        select
            (select sum(event_count) from analytics.fct_usage_daily)
            = (select sum(event_count) from analytics.fct_usage_monthly),
            (select sum(daily_active_users) from analytics.fct_active_users_daily
                where plan_type = 'all')
            = (select count(distinct (usage_date, user_id))
                from analytics.fct_usage_daily where user_id is not null)
    """
    generator = random.Random(1)
    with workload.Writers(marts, seed=1) as writers:
        for _ in range(5):
            refresh(marts)
            assert marts.execute(agree) == [(True, True)]
            if generator.random() < 0.7:
                administrate(marts, generator)
            time.sleep(generator.random() / 2)
    refresh(marts)

    assert writers.failures == []
    assert len(writers.written) > 30


def test_a_refresh_killed_at_any_point_leaves_marts_that_the_next_one_mends(
    marts: Database,
) -> None:
    generator = random.Random(3)
    killed = 0
    with workload.Writers(marts, seed=3, count=3):
        for _ in range(4):
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
            for _ in range(2):
                refresh(marts)
        except BaseException as error:
            failures.append(error)

    with workload.Writers(marts, seed=4, count=3):
        threads = [threading.Thread(target=again_and_again) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


# --- People are erased ----------------------------------------------------------------

ABOUT_MONEY = (
    *("fct_revenue_monthly", "fct_mrr_monthly", "fct_mrr_movements_monthly"),
    *("fct_affiliate_earnings", "fct_affiliate_earnings_monthly"),
    "fct_affiliate_funnel_daily",
)


def erase_user(database: Database, user_id: str) -> erase.Erasure:
    with closing(database.connect()) as connection:
        return erase.erase(connection, uuid.UUID(user_id), dry_run=False)


def test_marts_follow_an_erasure_and_money_stays(marts: Database) -> None:
    def money() -> dict[str, Any]:
        return {
            mart: marts.execute(
                f"select md5(string_agg(row::text, '' order by row)) "
                f"from analytics.{mart} as row"
            )
            for mart in ABOUT_MONEY
        }

    def events() -> list[tuple[Any, ...]]:
        return marts.execute(
            "select sum(event_count), sum(total_duration_seconds) "
            "from analytics.fct_usage_daily"
        )

    # Who did most of those who pay, who are paid, and who were brought.
    people = {
        user_id
        for table, column in (
            ("licenses", "user_id"),
            ("affiliates", "user_id"),
            ("affiliate_referrals", "referred_user_id"),
        )
        for (user_id,) in marts.execute(
            f"select users.id::text from users "
            f"inner join {table} on users.id = {table}.{column} "
            "left join usage_events on users.id = usage_events.user_id "
            "group by users.id order by count(usage_events.id) desc, users.id limit 1"
        )
    }
    before = money(), events()

    rows = [erase_user(marts, person).rows for person in people]
    assert sum(row["usage_events"] for row in rows) > 0
    assert sum(row["affiliates"] for row in rows) > 0
    refresh(marts)

    assert (money(), events()) == before
    for mart in ("fct_usage_daily", "fct_usage_monthly", "fct_feature_usage"):
        assert marts.execute(
            f"select count(*) from analytics.{mart} where user_id = any (%s::uuid[])",
            (list(people),),
        ) == [(0,)]


def test_people_can_be_erased_while_others_write(marts: Database) -> None:
    people = [
        person
        for (person,) in marts.execute(
            "select user_id::text from usage_events where user_id is not null "
            "group by user_id order by count(*) desc, user_id limit 3"
        )
    ]
    with workload.Writers(marts, seed=6) as writers:
        for person in people:
            # A writer may have deleted them by now.
            with suppress(UserError):
                erase_user(marts, person)
            refresh(marts)
    assert writers.failures == []
    for person in people:
        with suppress(UserError):
            erase_user(marts, person)
            assert sum(erase_user(marts, person).rows.values()) == 0
    refresh(marts)

    assert marts.execute(
        "select (select count(*) from usage_events where user_id = any (%s::uuid[])), "
        "(select count(*) from affiliates where total_earnings_cents <> coalesce(("
        "select sum(amount_cents) from affiliate_commissions "
        "where affiliate_id = affiliates.id and status in ('approved', 'paid')), 0))",
        (people,),
    ) == [(0, 0)]


# --- Any sequence ---------------------------------------------------------------------


@settings(
    max_examples=8,
    deadline=None,
    # Each example is a database: a failing one is short enough as it is.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(
        st.sampled_from([*workload.WRITES, *workload.ADMINISTRATION, "refresh"]),
        min_size=2,
        max_size=12,
    ),
    seed=st.integers(0, 1_000_000),
)
def test_any_sequence_of_writes_and_refreshes_ends_in_equal_marts(
    server_url: str, marts_template: str, steps: list[str], seed: int
) -> None:
    generator = random.Random(seed)
    with copy_of_marts(server_url, marts_template) as database:
        with closing(database.connect()) as connection:
            for step in steps:
                if step == "refresh":
                    refresh(database)
                    continue
                with connection, connection.cursor() as cursor:
                    if step in workload.WRITES:
                        cursor.execute(workload.WRITES[step].format(n=5))
                    else:
                        workload.administrate(cursor, generator, step)
        refresh(database)


# --- What it costs --------------------------------------------------------------------


def test_with_nothing_changed_nothing_is_written(marts: Database) -> None:
    # A new day may have begun since they were built.
    refresh(marts)

    runs = refresh(marts)

    assert {run.model for run in runs.values() if not run.is_unchanged} == set()
    assert {run.method for run in runs.values()} == {"unchanged"}

    # Nor by a rebuild.
    runs = refresh(marts, rebuild=True)

    assert {run.method for run in runs.values()} == {"full"}
    assert all(run.is_unchanged for run in runs.values())


def test_a_payment_alone_moves_the_span_of_its_subscription(marts: Database) -> None:
    ((subscription,),) = marts.execute(
        "update subscriptions set status = 'unpaid', amount_cents = 5000,"
        " billing_cycle = 'monthly', created_at = '2026-01-05', trial_start = null,"
        " trial_end = null, current_period_start = '2026-08-05' where id = ("
        " select subscription_id from payment_transactions"
        " where subscription_id is not null limit 1)"
        " returning id::text"
    )
    marts.execute(
        "update payment_transactions set subscription_id = null"
        " where subscription_id = %s returning 1",
        (subscription,),
    )
    refresh(marts)

    for month, ends in (("02", "2026-03-05"), ("04", "2026-05-05")):
        marts.execute(
            "insert into payment_transactions (subscription_id, amount_cents, currency,"
            " status, processed_at, created_at) select id, amount_cents, currency,"
            " 'succeeded', %s, %s from subscriptions where id = %s returning 1",
            (f"2026-{month}-05", f"2026-{month}-05", subscription),
        )

        runs = refresh(marts)

        for model in ("paid_through", "mrr_span", "mrr"):
            assert runs[f"int_{model}__by_subscription"].method == "partial"
            assert runs[f"int_{model}__by_subscription"].key_count == 1
        assert runs["int_access_end__by_subscription"].method == "unchanged"
        assert marts.execute(
            "select mrr_ends_at::date::text"
            " from analytics_intermediate.int_mrr__by_subscription"
            " where subscription_id = %s",
            (subscription,),
        ) == [(ends,)]


ONE = ("partial", 1)
DELTA = ("delta", None)
# What is written, and how it reaches the models: the method, and the number of keys.
SCOPES: dict[str, tuple[str, dict[str, tuple[str, int | None]]]] = {
    "a late event touches its own groups alone": (
        "insert into usage_events (user_id, event_type, event_category, event_name, "
        "occurred_at) select id, 'late', 'feature', 'late', '2026-01-05' "
        "from users order by id limit 1",
        {
            **dict.fromkeys(("fct_usage_daily", "fct_usage_monthly"), ONE),
            "int_feature_uses__by_day_feature_license_user": ONE,
            "int_feature_uses__by_month_feature_license_user": ONE,
            "int_uses_on_plan__by_month_feature_license_user": ONE,
            "int_active_user_changes__by_day_plan": DELTA,
            "int_user_arrivals__by_month": DELTA,
            "int_feature_totals__by_month_feature_plan": DELTA,
            "fct_api_usage_daily": ("unchanged", None),
            "fct_affiliate_earnings": ("unchanged", None),
        },
    ),
    "an update that moves an event touches both its days": (
        "update usage_events set occurred_at = occurred_at - interval '3 days' "
        "where id = (select id from usage_events where user_id is not null "
        "and occurred_at < '2026-03-01' order by id limit 1)",
        {"fct_usage_daily": ("partial", 2)},
    ),
    "a sign-up that is dated back moves its user to another cohort": (
        "update users set created_at = created_at - interval '40 days' "
        "where id = (select user_id from usage_events where user_id is not null "
        "order by id limit 1)",
        {
            "int_user_activity__by_month_user": ("partial", None),
            "int_retained_users__by_cohort_month": DELTA,
            "int_cohort_users__by_cohort": DELTA,
            "fct_usage_monthly": ("unchanged", None),
        },
    ),
    "a license that changes touches no other license": (
        "update licenses set cancelled_at = started_at + interval '3 months' "
        "where id = (select license_id from analytics.fct_feature_usage "
        "where license_id is not null order by user_id, feature_name limit 1)",
        {
            **dict.fromkeys(("dim_licenses", "int_eligible_span__by_license"), ONE),
            "int_eligible_license_changes__by_month_plan": DELTA,
            "int_adopted_license_changes__by_month_feature_plan": DELTA,
        },
    ),
    "a user who joins a team touches its license alone": (
        "insert into team_members (team_id, user_id) select teams.id, users.id "
        "from teams cross join users where users.id not in "
        "(select user_id from team_members) order by 1, 2 limit 1",
        {"fct_license_seats": ONE},
    ),
    "a user who leaves a team touches its license alone": (
        "delete from team_members "
        "where joined_at = (select max(joined_at) from team_members)",
        {"fct_license_seats": ONE},
    ),
}


@pytest.mark.parametrize("name", SCOPES)
def test_a_write_reaches_no_more_than_it_touches(marts: Database, name: str) -> None:
    statement, expected = SCOPES[name]
    refresh(marts)
    marts.execute(statement)

    runs = refresh(marts)

    assert {
        model: (runs[model].method, keys and runs[model].key_count)
        for model, (_, keys) in expected.items()
    } == expected


def test_an_event_of_one_of_many_features_computes_that_feature_alone(
    marts: Database,
) -> None:
    marts.execute(
        "update usage_events set event_name = 'feature_' || "
        "mod(abs(hashtext(id::text)), 300) where event_category = 'feature'"
    )
    refresh(marts)
    marts.execute(
        "insert into usage_events (user_id, license_id, event_type, event_category, "
        "event_name, occurred_at) select user_id, license_id, event_type, "
        "event_category, event_name, occurred_at + interval '1 minute' "
        "from usage_events where event_category = 'feature' "
        "and license_id is not null order by id limit 1"
    )

    runs = refresh(marts)

    for mart in ("fct_feature_adoption_monthly", "dim_features"):
        assert (runs[mart].method, runs[mart].key_count) == ("partial", 1)
    assert runs["int_feature_totals__by_month_feature_plan"].method == "delta"


def test_a_month_that_is_new_is_there_for_every_feature(marts: Database) -> None:
    refresh(marts)
    marts.execute(
        "insert into usage_events (event_type, event_category, event_name, "
        "occurred_at) select 'view', 'auth', 'login', "
        "max(occurred_at) + interval '1 month' from usage_events"
    )

    runs = refresh(marts)

    assert runs["fct_feature_adoption_monthly"].method == "full"
    assert marts.execute(
        "select count(*) from analytics.dim_features as features "
        "where first_used_at is not null and not exists (select "
        "from analytics.fct_feature_adoption_monthly as adoption "
        "where adoption.feature_name = features.feature_name and adoption_month = ("
        "select max(usage_month) from analytics.fct_usage_monthly))"
    ) == [(0,)]


def test_a_license_begins_and_ends_by_the_time_alone(marts: Database) -> None:
    """A run applies the moments that have passed since the last one, no others."""

    def live() -> list[bool]:
        return [
            is_live
            for (is_live,) in marts.execute(
                "select is_live from analytics.dim_licenses order by license_id limit 3"
            )
        ]

    marts.execute(
        "update licenses set cancelled_at = null, expires_at = null "
        "where id in (select id from licenses order by id limit 3)"
    )
    for position, column in enumerate(("expires_at", "cancelled_at", "started_at")):
        marts.execute(
            f"update licenses set {column} = clock_timestamp() + interval '1.5 s' "
            "where id = (select id from licenses order by id offset %s limit 1)",
            (position,),
        )
    refresh(marts)
    assert live() == [True, True, False]
    marts.execute("select pg_sleep(1.6)")

    run = refresh(marts)["dim_licenses"]

    assert (run.method, run.key_count) == ("partial", 3)
    assert (run.rows_removed, run.rows_added) == (3, 3)
    assert live() == [False, False, True]
    assert refresh(marts)["dim_licenses"].method == "unchanged"


def test_a_clock_that_was_set_back_brings_licenses_back(marts: Database) -> None:
    marts.execute(
        "update licenses set cancelled_at = null, "
        "expires_at = now() + interval '1 hour' "
        "where id = (select id from licenses order by id limit 1)"
    )
    refresh(marts)
    # As that run would have left it by a clock that was two hours ahead.
    marts.execute(
        "update analytics.dim_licenses set is_live = false "
        "where expires_at > now() and expires_at < now() + interval '1 hour'; "
        f"update {SCHEMA}.models set refreshed_at = now() + interval '2 hours'"
    )

    run = refresh(marts)["dim_licenses"]

    assert (run.method, run.rows_removed, run.rows_added) == ("partial", 1, 1)


def test_changes_are_found_at_whatever_time_they_happened(marts: Database) -> None:
    def count() -> Any:
        return marts.execute("select sum(errors) from analytics.fct_errors_daily")[0][0]

    def add(*times: str) -> None:
        for at in times:
            marts.execute(
                "insert into error_logs (error_type, error_message, severity, "
                "occurred_at) values ('odd', 'x', 'error', %s)",
                (at,),
            )

    before = count()
    add("1970-01-01", "2025-12-31 23:30-05", "2026-02-28 23:59:59.999999Z")
    refresh(marts)
    assert count() == before + 3

    # The marts leave out what has no day.
    add("infinity", "-infinity")
    assert refresh(marts)["fct_errors_daily"].method == "unchanged"

    marts.execute(
        "update error_logs set occurred_at = '2026-01-31' "
        "where occurred_at = 'infinity'"
    )
    refresh(marts)
    assert count() == before + 4


def test_the_months_that_are_searched_leave_no_change_out(marts: Database) -> None:
    """Not even where a view, unlike ours, keeps events without a day."""
    unseen = "error_type = 'odd'"
    add = (
        "insert into error_logs (error_type, error_message, severity, occurred_at) "
        "values ('odd', 'x', 'error', '2026-01-05'), ('odd', 'x', 'error', %s)"
    )
    for odd, is_bounded in {
        "0044-03-15 BC": False,
        "0001-01-01": True,
        "2026-02-28 23:59:59.999999Z": True,
        "2026-12-31 23:30-05": True,
        "294276-12-31": False,
        "infinity": False,
        "-infinity": False,
    }.items():
        marts.execute("delete from error_logs where error_type = 'odd'")
        marts.execute(add, (odd,))
        ((found,),) = marts.execute(
            f"select condition from {SCHEMA}._unseen_time_sql("
            "jsonb_build_object('source', 'public.error_logs'), %s, 20000)",
            (unseen,),
        )
        assert (found != "true") == is_bounded, odd
        assert marts.execute(
            f"select count(*) from error_logs where {unseen} and ({found})"
        ) == [(2,)], odd


def test_more_changes_than_are_kept_at_hand_are_taken_in(marts: Database) -> None:
    marts.execute(
        "insert into usage_events (event_type, event_category, event_name, session_id, "
        "occurred_at) select 'many', 'feature', 'sharing', 'many', "
        "timestamptz '2026-01-05' + n * interval '1 min' "
        "from generate_series(1, 20001) as n"
    )
    # The 5th of January and the 13 days that follow.
    assert refresh(marts)["fct_usage_daily"].rows_added == 14

    # Their tombstones are more than the rows there are.
    marts.execute("delete from usage_events where event_type = 'many'")
    assert refresh(marts)["fct_usage_daily"].rows_removed == 14


def test_what_a_transaction_writes_is_found_after_its_refresh_and_refused_before(
    marts: Database,
) -> None:
    event = workload.WRITES["events arrive years late"].format(n=20)

    def write(connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(event)

    with closing(marts.connect()) as connection:
        engine.refresh(connection, SCHEMA, inspect=write)
        assert refresh(marts)["fct_active_users_daily"].method != "unchanged"

        connection.set_session(isolation_level="repeatable read")
        for call in ("refresh_all()", "refresh('fct_usage_daily', true)"):
            write(connection)
            with (
                pytest.raises(
                    errors.RaiseException, match=r"written to public\.usage_events"
                ),
                connection.cursor() as cursor,
            ):
                cursor.execute(f"select from {SCHEMA}.{call}")
            connection.rollback()


def test_a_transaction_that_began_before_its_snapshot_loses_nothing_either(
    marts: Database,
) -> None:
    """Its own number is below the snapshot's end then, and held visible in it."""
    with closing(marts.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "begin isolation level repeatable read; "
            "lock table audit_logs in access exclusive mode"
        )
        marts.execute("update users set updated_at = now()")
        cursor.execute(f"select from {SCHEMA}.refresh_all()")
        cursor.execute(workload.WRITES["events arrive years late"].format(n=20))
        connection.commit()
    assert refresh(marts)["fct_usage_daily"].method == "partial"


def test_a_mart_is_not_refreshed_after_what_reads_it_within_a_transaction(
    marts: Database,
) -> None:
    marts.execute(workload.WRITES["events arrive years late"].format(n=20))
    with closing(marts.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("begin isolation level repeatable read")
        cursor.execute(
            f"select from {SCHEMA}.refresh('int_user_activity__by_day_user_plan')"
        )
        with pytest.raises(
            errors.RaiseException, match="reads fct_usage_daily was refreshed"
        ):
            cursor.execute(f"select from {SCHEMA}.refresh('fct_usage_daily')")
        connection.rollback()
    refresh(marts)


# --- Rebuilds, tests, waiting ---------------------------------------------------------


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


def test_what_cant_be_refreshed_is_one_line_that_says_what_to_do(
    marts: Database,
) -> None:
    message = refusal(support.refresh(marts, "fct_usage_day"))
    assert "did you mean fct_usage_daily" in message

    marts.execute("drop table analytics.fct_usage_daily")
    message = refusal(support.refresh(marts, "fct_usage_daily"))
    assert "fct_usage_daily" in message
    assert "`make build`" in message

    run("rollback", "003", "--yes", env=marts.environment()).check_returncode()
    assert "`saas migrate`" in refusal(support.refresh(marts))


def test_somebody_elses_marts_are_refused_with_the_command_that_hands_them_over(
    marts: Database,
) -> None:
    stranger = f"stranger_{uuid.uuid4().hex[:12]}"
    marts.execute(f"create role {stranger} login password 'strange'")
    try:
        theirs = Database(support.with_login(marts.url, stranger, "strange"))
        message = refusal(support.refresh(theirs))
    finally:
        marts.execute(f"drop role {stranger}")
    assert f'"{stranger}" is not a member of it' in message
    assert "`saas roles` as the source's owner" in message


def test_a_quiet_refresh_says_nothing_when_all_is_well(marts: Database) -> None:
    marts.execute(workload.WRITES["events arrive"].format(n=3))
    result = support.refresh(marts, "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_refresh_waits_its_turn_and_says_when_it_waited_in_vain(
    marts: Database,
) -> None:
    with closing(marts.connect()) as other, other.cursor() as cursor:
        cursor.execute(f"lock table {SCHEMA}.fct_usage_daily__log in share mode")
        with (
            closing(marts.connect()) as connection,
            pytest.raises(
                Busy,
                match=rf"have been held for 0.2 s by process {other.info.backend_pid} ",
            ),
        ):
            engine.refresh(connection, SCHEMA, wait_seconds=0.2)
        other.rollback()
    refresh(marts)


def test_what_a_refresh_reads_is_not_emptied_or_replaced_meanwhile(
    marts: Database,
) -> None:
    """Its snapshot would see a table as empty that was filled again after it."""

    def empty_and_replace(_: Any) -> None:
        with closing(marts.connect()) as other, other.cursor() as cursor:
            cursor.execute("set lock_timeout = '50ms'")
            other.commit()
            for statement in (
                "truncate analytics_seeds.plans",
                "truncate usage_events_y2026m01",
                "drop view analytics_staging.stg_saas__users",
                "drop table analytics.fct_usage_daily",
            ):
                with pytest.raises(errors.LockNotAvailable):
                    cursor.execute(statement)
                other.rollback()

    with closing(marts.connect()) as connection:
        engine.refresh(connection, SCHEMA, inspect=empty_and_replace)


@pytest.mark.parametrize("change", ["emptied", "replaced"])
def test_what_was_emptied_or_replaced_just_before_is_read_as_it_became(
    marts: Database, change: str
) -> None:
    view = "analytics_staging.stg_saas__users"
    with (
        Session(marts) as other,
        Session(marts) as refreshing,
        ThreadPoolExecutor(1) as pool,
    ):
        if change == "emptied":
            other.run("create temporary table kept as select * from error_logs")
            other.run("truncate error_logs")
            other.run("insert into error_logs select * from kept")
        else:
            ((select,),) = other.run(f"select pg_get_viewdef('{view}'::regclass)")
            other.run(f"drop view {view}")
            other.run(f"create view {view} as {select}")
        running = pool.submit(engine.refresh, refreshing.connection, SCHEMA)
        wait_until_waiting([(refreshing, running)])
        other.connection.commit()
        running.result(PATIENCE)

    with closing(marts.connect()) as connection:
        engine.verify(connection, SCHEMA)


def test_writers_never_wait_for_a_refresh(marts: Database) -> None:
    with closing(marts.connect()) as connection:

        def write(_: Any) -> None:
            with closing(marts.connect()) as writer, writer.cursor() as cursor:
                cursor.execute("set lock_timeout = '50ms'")
                for statement in workload.WRITES.values():
                    cursor.execute(statement.format(n=2))
                    writer.commit()

        engine.refresh(connection, SCHEMA, inspect=write)
    refresh(marts)


def test_readers_never_wait_for_a_refresh_and_see_all_of_it_or_nothing(
    marts: Database,
) -> None:
    with closing(marts.connect()) as connection:
        marts.execute(workload.WRITES["events arrive"].format(n=20))
        total = "select sum(event_count) from analytics.fct_usage_daily"
        before = marts.execute(total)

        def read(_: Any) -> None:
            with closing(marts.connect()) as reader, reader.cursor() as cursor:
                cursor.execute("set lock_timeout = '50ms'")
                cursor.execute(total)
                assert cursor.fetchall() == before

        # One that has read, and idles in its transaction, blocks no other session.
        with closing(marts.connect()) as idle, idle.cursor() as cursor:
            cursor.execute(total)
            engine.refresh(connection, SCHEMA, rebuild=True, inspect=read)
    assert marts.execute(total) != before
