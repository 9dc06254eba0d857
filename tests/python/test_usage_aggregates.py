"""The usage aggregates equal their events, however often and by whom they are made."""

import datetime
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg2 import errors
from psycopg2.extras import execute_values

from tests.python.company import EVENT_DATA
from tests.python.concurrency import (
    PATIENCE,
    Session,
    at_once,
    errors_of,
    wait_until_waiting,
)
from tests.python.references import reference
from tests.python.rows import Rows
from tests.python.support import Database

CONNECTIONS = 8
ONE_DAY = datetime.timedelta(days=1)
DAY = datetime.date(2026, 3, 10)
NOON = "2026-03-10 12:00+00"
BOTH = (
    "select aggregate_daily_usage('2026-03-10')",
    "select aggregate_monthly_usage(2026, 3)",
)


class Owner(NamedTuple):
    """The user, license and team of an event; each may be None."""

    user: str | None = None
    license: str | None = None
    team: str | None = None


NOBODY = Owner()


class Usage:
    """Events and their aggregates in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection = database.connect()
        self.connection.autocommit = True
        self.rows = Rows(self.connection.cursor())

    def close(self) -> None:
        self.connection.close()

    def run(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def clear(self) -> None:
        """Delete everything: quicker than to truncate so many small tables."""
        for table in (
            "usage_events",
            "licenses",
            "users",
            "usage_aggregates_daily",
            "usage_aggregates_monthly",
            "usage_aggregate_stale_periods",
            "usage_aggregate_runs",
        ):
            self.run(f"delete from {table}")

    def owner(self) -> Owner:
        """A new user with a license and a team."""
        user = self.rows.a_user()
        license_id = self.rows.a_license(user_id=user)
        team = self.rows.a_team(license_id=license_id, owner_id=self.rows.a_user())
        return Owner(user, license_id, team)

    def add(
        self,
        owner: Owner = NOBODY,
        at: str = NOON,
        event_type: str = "click",
        session: str | None = "session",
        data: str | None = None,
    ) -> str:
        """Insert an event; its id."""
        return self.add_all([(*owner, event_type, "feature", "x", session, data, at)])[
            0
        ]

    def add_all(self, events: Iterable[tuple[Any, ...]]) -> list[str]:
        """Insert events; their ids."""
        with self.connection.cursor() as cursor:
            rows = execute_values(
                cursor,
                "insert into usage_events (user_id, license_id, team_id, event_type, "
                "event_category, event_name, session_id, event_data, occurred_at) "
                "values %s returning id",
                list(events),
                template="(%s::uuid, %s::uuid, %s::uuid, %s, %s, %s, %s, %s::jsonb, "
                "%s::timestamptz)",
                fetch=True,
            )
        return [made for (made,) in rows]

    def aggregate_day(self, day: datetime.date = DAY, zone: str = "UTC") -> None:
        self.run("select set_config('timezone', %s, false)", (zone,))
        self.run("select aggregate_daily_usage(%s)", (day,))
        self.run("reset timezone")

    def aggregate_month(
        self, year: int = 2026, month: int = 3, zone: str = "UTC"
    ) -> None:
        self.run("select set_config('timezone', %s, false)", (zone,))
        self.run("select aggregate_monthly_usage(%s, %s)", (year, month))
        self.run("reset timezone")

    def aggregate(self, period: Any, zone: str) -> None:
        """Aggregate a day, or the month that a pair names."""
        if isinstance(period, datetime.date):
            self.aggregate_day(period, zone)
        else:
            year, month = period
            self.aggregate_month(year, month, zone)

    def check_day(self, day: datetime.date = DAY) -> None:
        """Fail where the aggregates of a day differ from its events."""
        self._check("daily", "date as usage_date", "usage_date", day)

    def check_month(self, year: int = 2026, month: int = 3) -> None:
        """Fail where the aggregates of a month differ from its events."""
        first = "make_date(year, month, 1) as usage_month, unique_days_active"
        self._check("monthly", first, "usage_month", datetime.date(year, month, 1))

    def _check(self, period: str, first: str, key: str, start: datetime.date) -> None:
        wrong = self.run(
            f"""
            with found as (
                select {first}, user_id, license_id, team_id, event_type::text,
                    event_count, unique_sessions, total_duration_seconds
                from usage_aggregates_{period}
            ),
            expected as ({reference(f"fct_usage_{period}")}),
            both_sides as (
                select {key} as start, to_jsonb(found) as row, 1 as sign from found
                union all
                select {key}, to_jsonb(expected), -1 from expected
            )
            select row::text, sum(sign) from both_sides where start = %s
            group by row having sum(sign) <> 0
            """,
            (start,),
        )
        assert wrong == []

    def check(self) -> None:
        """Fail where the aggregates of the day or its month differ from the events."""
        self.check_day()
        self.check_month()


@pytest.fixture
def usage(module_database: Database) -> Iterator[Usage]:
    """No event and no aggregate."""
    with closing(Usage(module_database)) as made:
        made.clear()
        yield made


@pytest.fixture
def usage_on_each(module_database_on_each: Database) -> Iterator[Usage]:
    """As `usage`, once on each server."""
    with closing(Usage(module_database_on_each)) as made:
        made.clear()
        yield made


# --- Run again ------------------------------------------------------------------------


def test_a_rerun_leaves_unchanged_rows_as_they_are(usage: Usage) -> None:
    usage.add(usage.owner())
    select = (
        "select id, created_at, updated_at from usage_aggregates_daily "
        "union all select id, created_at, updated_at from usage_aggregates_monthly"
    )
    seen = []
    for _ in range(2):
        usage.aggregate_day()
        usage.aggregate_month()
        seen.append(usage.run(select))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 2


def test_doubles_of_an_earlier_run_are_healed(usage: Usage) -> None:
    usage.add()
    usage.run(
        "insert into usage_aggregates_daily (date, event_type, event_count) "
        "select '2026-03-10', 'click', 7 from generate_series(1, 3); "
        "insert into usage_aggregates_monthly (year, month, event_type, event_count) "
        "select 2026, 3, 'click', 7 from generate_series(1, 3)"
    )
    usage.aggregate_day()
    usage.aggregate_month()
    usage.check()


def test_durations_pass_four_bytes(usage: Usage) -> None:
    owner = usage.owner()
    for at in (NOON, "2026-03-10 13:00+00"):
        usage.add(owner, at, data='{"duration_seconds": 2000000000}')
    usage.aggregate_day()
    usage.aggregate_month()
    usage.check()


def test_counters_of_a_group_pass_four_bytes(usage: Usage) -> None:
    # An enormous day that was counted before; the month holds one more.
    usage.run(
        "insert into usage_aggregates_daily (date, event_type, event_count, "
        "unique_sessions) values (%s, 'click', 2147483648, 2147483648)",
        (DAY,),
    )
    usage.add(at="2026-03-11 12:00+00")
    usage.aggregate_day(DAY + ONE_DAY)
    usage.aggregate_month()
    usage.check_month()


@pytest.mark.parametrize("statement", BOTH)
def test_a_period_reads_only_its_own_partition(usage: Usage, statement: str) -> None:
    usage.run("select create_event_partitions('2026-02-01', '2026-04-01')")
    usage.add()
    count = (
        "select relname, seq_scan + coalesce(idx_scan, 0) "
        "from pg_stat_xact_user_tables where relname like 'usage\\_events\\_%'"
    )
    usage.run("begin")
    before = dict(usage.run(count))
    usage.run(statement)
    after = dict(usage.run(count))
    usage.run("rollback")
    read = {name for name, scans in after.items() if scans > before.get(name, 0)}
    assert read == {"usage_events_y2026m03"}


# --- Arguments ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        *(
            (f"aggregate_daily_usage({day})", "is not a day")
            for day in ("null", "'infinity'", "'-infinity'")
        ),
        *(
            (f"aggregate_monthly_usage({year}, {month})", "is not a month")
            for year, month in (
                *((1969, 12), (2101, 1), (2026, 0), (2026, 13), (2026, -1)),
                *(("null", 1), (2026, "null")),
            )
        ),
    ],
)
def test_what_is_no_period_is_refused(usage: Usage, call: str, message: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=message):
        usage.run(f"select {call}")


def test_months_from_1970_to_2099_are_aggregated(usage: Usage) -> None:
    usage.add(at="1970-01-01 00:00+00")
    usage.add(at="2099-12-31 23:59:59.999999+00")
    usage.add(at="2100-01-01 00:00+00")
    usage.add(at="infinity")
    # Each event was written when it happened.
    usage.run("update usage_events set created_at = occurred_at")
    for year, month, day in ((1970, 1, 1), (2099, 12, 31)):
        usage.aggregate_day(datetime.date(year, month, day))
        usage.aggregate_month(year, month)
        assert usage.run(
            "select month, event_count from usage_aggregates_monthly where year = %s",
            (year,),
        ) == [(month, 1)]
    assert usage.run("select count(*) from usage_aggregates_daily") == [(2,)]


# --- Erasing --------------------------------------------------------------------------


def test_stale_periods_are_aggregated_once(usage: Usage) -> None:
    owner = usage.owner()
    usage.add(owner)
    usage.add(owner, "2026-04-01 00:00+00")
    usage.aggregate_day()
    usage.aggregate_day(datetime.date(2026, 4, 1))
    usage.aggregate_month()
    usage.run("delete from users where id = %s", (owner.user,))
    assert usage.run("select aggregate_stale_usage()") == [(3,)]
    assert usage.run("select aggregate_stale_usage()") == [(0,)]
    usage.check()


def test_an_erasure_that_is_rolled_back_marks_nothing(usage: Usage) -> None:
    owner = usage.owner()
    usage.add(owner)
    usage.aggregate_day()
    usage.run("begin")
    usage.run("delete from users where id = %s", (owner.user,))
    usage.run("rollback")
    assert usage.run("select aggregate_stale_usage()") == [(0,)]
    usage.check_day()


def test_the_aggregation_marks_nothing_itself(usage: Usage) -> None:
    usage.add()
    usage.aggregate_day()
    usage.aggregate_month()
    usage.run("delete from usage_events")
    usage.aggregate_day()
    usage.aggregate_month()
    assert usage.run("select count(*) from usage_aggregate_stale_periods") == [(0,)]


def test_aggregates_that_somebody_deletes_come_back(usage: Usage) -> None:
    usage.add()
    usage.aggregate_day()
    usage.aggregate_month()
    usage.run("delete from usage_aggregates_daily")
    usage.run("delete from usage_aggregates_monthly")
    assert usage.run("select aggregate_stale_usage()") == [(2,)]
    usage.check()


# --- Many connections -----------------------------------------------------------------


@pytest.mark.parametrize("statement", BOTH)
def test_runs_of_a_period_at_once_count_once(usage: Usage, statement: str) -> None:
    usage.add()
    usage.add(usage.owner())
    usage.aggregate_day()
    usage.run("delete from usage_aggregates_daily")
    sessions = [Session(usage.database, autocommit=True) for _ in range(CONNECTIONS)]
    try:
        assert (
            errors_of(at_once([partial(each.run, statement) for each in sessions]))
            == []
        )
    finally:
        for session in sessions:
            session.close()
    for other in BOTH:
        if other != statement:
            usage.run(other)
    usage.check()


def test_a_run_on_an_old_snapshot_never_doubles(usage: Usage) -> None:
    usage.add()
    with Session(usage.database) as old:
        old.connection.set_session(isolation_level="REPEATABLE READ")
        old.run("select count(*) from usage_aggregates_daily")
        usage.aggregate_day()
        usage.aggregate_month()
        for statement in BOTH:
            with suppress(errors.SerializationFailure):
                old.run(statement)
            old.connection.commit()
            old.run("select count(*) from usage_aggregates_daily")
    usage.check()


def test_an_old_snapshot_is_told_so(usage: Usage) -> None:
    usage.add()
    with Session(usage.database) as old:
        old.connection.set_session(isolation_level="REPEATABLE READ")
        old.run("select count(*) from usage_aggregates_daily")
        usage.aggregate_day()
        with pytest.raises(errors.SerializationFailure):
            old.run("select aggregate_daily_usage('2026-03-10')")


def test_an_old_snapshot_with_a_user_erased_since_is_told_so(usage: Usage) -> None:
    owner = usage.owner()
    usage.add(owner)
    with Session(usage.database) as old:
        old.connection.set_session(isolation_level="REPEATABLE READ")
        old.run("select count(*) from usage_events")
        usage.run("delete from users where id = %s", (owner.user,))
        with pytest.raises(errors.SerializationFailure):
            old.run("select aggregate_daily_usage('2026-03-10')")


def test_an_erasure_of_several_users_never_waits_for_an_aggregation(
    usage: Usage,
) -> None:
    """It steps back from users who are being erased, and so from a deadlock."""
    first, second = usage.owner(), usage.owner()
    usage.add(first)
    usage.aggregate_day()
    # Now the first has a row that must change, and the second one that must be added.
    usage.add(first, session="late")
    usage.add(second)
    with (
        Session(usage.database) as erasing,
        Session(usage.database, autocommit=True) as aggregating,
    ):
        erasing.run("delete from users where id = %s", (first.user,))
        waiting = aggregating.start("select aggregate_daily_usage(%s)", (DAY,))
        time.sleep(0.3)
        erasing.run("set local lock_timeout = '500ms'")
        erasing.run("delete from users where id = %s", (second.user,))
        assert not waiting.done()
        erasing.connection.commit()
        waiting.result(PATIENCE)
    usage.run("select aggregate_stale_usage()")
    usage.check_day()


def test_an_aggregation_waits_for_a_long_erasure(usage: Usage) -> None:
    owner = usage.owner()
    usage.add(owner)
    with (
        Session(usage.database) as erasing,
        Session(usage.database, autocommit=True) as aggregating,
    ):
        erasing.run("delete from users where id = %s", (owner.user,))
        waiting = aggregating.start("select aggregate_daily_usage(%s)", (DAY,))
        # Its last try waits for the table, and holds nothing that erasing needs.
        wait_until_waiting([(aggregating, waiting)])
        assert not waiting.done()
        erasing.run("delete from licenses")
        erasing.run("delete from users")
        erasing.connection.commit()
        waiting.result(PATIENCE)
    usage.check_day()


def wait_until_pausing(session: Session) -> None:
    """Return when a session sleeps."""
    deadline = time.monotonic() + PATIENCE
    pid = session.connection.info.backend_pid
    event = "select wait_event from pg_stat_activity where pid = %s"
    while session.database.execute(event, (pid,)) != [("PgSleep",)]:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_aggregating_several_periods_lets_go_of_what_an_erasure_waits_for(
    usage: Usage,
) -> None:
    """It doesn't hold rows of a period while it waits in the next: a deadlock."""
    next_day = DAY + datetime.timedelta(days=1)
    changed, added = usage.owner(), usage.owner()
    usage.add(changed)
    usage.aggregate_day()
    usage.add(changed, session="late")
    usage.add(added, at=f"{next_day} 12:00Z")
    usage.run(
        "insert into usage_aggregate_stale_periods (period_type, period_start) "
        "values ('day', %s), ('day', %s)",
        (DAY, next_day),
    )
    erase = "delete from users where id = %s"
    with (
        Session(usage.database) as long_erasure,
        Session(usage.database) as aggregating,
        Session(usage.database, autocommit=True) as erasing,
    ):
        long_erasure.run(erase, (added.user,))
        aggregating.run("set lock_timeout = '77s'")
        aggregated = aggregating.start("select aggregate_stale_usage()")
        wait_until_pausing(aggregating)

        erasing.start(erase, (changed.user,)).result(PATIENCE)
        assert not aggregated.done()

        long_erasure.connection.commit()
        assert aggregated.result(PATIENCE) == [(2,)]
        assert aggregating.run("show lock_timeout") == [("77s",)]
        aggregating.connection.commit()
    usage.check_day()
    usage.check_day(next_day)


def test_aggregating_while_events_come_and_users_go(usage_on_each: Usage) -> None:
    """No error on any side, no double meanwhile, and exact in the end.

    Writers keep their user first, as an erasure does: a partition checks the license
    before the user, by which the two could meet in a deadlock without any aggregating.
    """
    usage = usage_on_each
    owners = [usage.owner() for _ in range(60)]
    for owner in owners:
        usage.add(owner)
    ends = time.monotonic() + 3

    def insert(worker: int) -> None:
        choose = random.Random(worker)
        with closing(Usage(usage.database)) as own:
            while time.monotonic() < ends:
                owner = choose.choice(owners)
                own.run("begin")
                if own.run(
                    "select 1 from users where id = %s for key share", (owner.user,)
                ):
                    own.add(owner, session=str(choose.randrange(9)))
                own.run("commit")

    def erase(worker: int) -> None:
        with closing(Usage(usage.database)) as own:
            for owner in owners[worker : 40 + worker : 2]:
                own.run("delete from users where id = %s", (owner.user,))
                time.sleep(0.05)

    def aggregate(statement: str) -> None:
        with closing(Usage(usage.database)) as own:
            while time.monotonic() < ends:
                own.run(statement)
                doubles = own.run(
                    "select from usage_aggregates_daily group by date, user_id, "
                    "license_id, team_id, event_type having count(*) > 1"
                )
                assert doubles == []

    workers: list[Callable[[], None]] = [
        partial(insert, 0),
        partial(insert, 1),
        partial(erase, 0),
        partial(erase, 1),
        partial(aggregate, "select aggregate_daily_usage('2026-03-10')"),
        partial(aggregate, "select aggregate_daily_usage('2026-03-10')"),
        partial(aggregate, "select aggregate_monthly_usage(2026, 3)"),
        partial(aggregate, "select aggregate_stale_usage()"),
    ]
    assert errors_of(at_once(workers)) == []
    usage.aggregate_day()
    usage.aggregate_month()
    usage.check()


# --- Any events -----------------------------------------------------------------------

ZONES = ["UTC", "America/Los_Angeles", "Pacific/Auckland", "Asia/Kathmandu"]
TIMES = [
    f"2026-{day} {time_of_day}+00"
    for day in ("02-28", "03-01", "03-02", "03-31", "04-01")
    for time_of_day in ("00:00", "12:00", "23:59:59.999999")
]
DAYS = [
    datetime.date(2026, month, day)
    for month, day in ((2, 28), (3, 1), (3, 2), (3, 31), (4, 1))
]

part_is_known = st.booleans()
any_events = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.tuples(part_is_known, part_is_known, part_is_known),
        st.sampled_from(["click", "view"]),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from(EVENT_DATA),
        st.sampled_from(TIMES),
    ),
    max_size=12,
)
any_runs = st.lists(
    st.tuples(st.sampled_from([*DAYS, (2026, 3)]), st.sampled_from(ZONES)), max_size=6
)


ERASED = {"users": "user", "licenses": "license", "teams": "team"}
# Of two accounts and, in part, of no user; a session over midnight and over a month.
SOME = [
    (number % 2, (True, True, number % 3 > 0), "click", "a", EVENT_DATA[1], at)
    for number, at in enumerate(TIMES)
]


@settings(
    max_examples=20,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(SOME, [(DAYS[0], ZONES[1])] * 2, 3, (6, TIMES[0]), SOME, ZONES[2], "users")
@example(SOME, [((2026, 3), ZONES[0])], 0, (0, TIMES[-1]), [], ZONES[1], "licenses")
@example(SOME, [], 12, (12, TIMES[3]), SOME, ZONES[3], "teams")
@given(
    first=any_events,
    runs=any_runs,
    deleted=st.integers(0, 12),
    corrected=st.tuples(st.integers(0, 12), st.sampled_from(TIMES)),
    second=any_events,
    zone=st.sampled_from(ZONES),
    erased=st.sampled_from([None, *ERASED]),
)
def test_any_events_are_aggregated_as_the_reference_does(
    usage_on_each: Usage,
    first: list[Any],
    runs: list[Any],
    deleted: int,
    corrected: tuple[int, str],
    second: list[Any],
    zone: str,
    erased: str | None,
) -> None:
    """Whatever was aggregated before, is deleted, moved, comes late or is erased."""
    usage = usage_on_each
    usage.clear()
    owners = [usage.owner(), usage.owner()]
    made = usage.add_all(rows_of(first, owners))
    for period, own_zone in runs:
        usage.aggregate(period, own_zone)
    usage.run("delete from usage_events where id = any (%s::uuid[])", (made[:deleted],))
    kept, moved_to = corrected
    usage.run(
        "update usage_events set event_type = 'view', session_id = 'c', "
        "occurred_at = %s where id = any (%s::uuid[])",
        (moved_to, made[kept:]),
    )
    usage.add_all(rows_of(second, owners))
    for period in (*DAYS, (2026, 3)):
        usage.aggregate(period, zone)
    if erased:
        account = getattr(owners[0], ERASED[erased])
        usage.run(f"delete from {erased} where id = %s", (account,))
        usage.run("select aggregate_stale_usage()")
    for day in DAYS:
        usage.check_day(day)
    usage.check_month()


def rows_of(events: list[Any], owners: list[Owner]) -> list[tuple[Any, ...]]:
    """Drawn events as rows to insert."""
    return [
        (
            *(
                part if is_known else None
                for part, is_known in zip(owners[owner], known, strict=True)
            ),
            event_type,
            "feature",
            "x",
            session,
            data,
            at,
        )
        for owner, known, event_type, session, data, at in events
    ]
