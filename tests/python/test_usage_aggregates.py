"""The usage aggregates equal their events, however often and by whom they are made.

What an earlier design got wrong is tried on that design too: each check finds it.
"""

import datetime
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from decimal import Context, Decimal, localcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2 import errors
from psycopg2.extras import execute_values

from tests.python.concurrency import (
    PATIENCE,
    Session,
    at_once,
    errors_of,
    wait_until_waiting,
)
from tests.python.support import EARLIER_DESIGN, Database, dbt, new_database

CONNECTIONS = 8
ONE_DAY = datetime.timedelta(days=1)
DAY = datetime.date(2026, 3, 10)
NOON = "2026-03-10 12:00+00"


class Owner(NamedTuple):
    """To whom an event belongs; None for nobody."""

    user: str | None = None
    license: str | None = None
    team: str | None = None


NOBODY = Owner()


class Event(NamedTuple):
    """An event as the reference reads it."""

    owner: Owner
    event_type: str
    session_id: str | None
    event_data: str | None
    at: datetime.datetime


class Usage:
    """Events and their aggregates in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection = database.connect()
        self.connection.autocommit = True

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
        """A new user with a licence and a team."""
        ((owner,),) = self.run(
            "with account as (insert into users (email, password_hash) "
            "values (gen_random_uuid(), '') returning id), "
            "license as (insert into licenses (user_id, license_key, plan_type) "
            "select id, id, 'pro' from account returning id), "
            "boss as (insert into users (email, password_hash) "
            "values (gen_random_uuid(), '') returning id), "
            "team as (insert into teams (license_id, name, slug, owner_id) "
            "select license.id, 'team', license.id, boss.id from license, boss "
            "returning id) "
            "select array[account.id, license.id, team.id]::text[] "
            "from account, license, team"
        )
        return Owner(*owner)

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

    def events(self) -> list[Event]:
        """All events, with their time in UTC."""
        return [
            Event(Owner(user, license_, team), event_type, session, data, at)
            for user, license_, team, event_type, session, data, at in self.run(
                "select user_id, license_id, team_id, event_type, session_id, "
                "event_data::text, occurred_at at time zone 'UTC' from usage_events"
            )
        ]

    def check_day(self, day: datetime.date = DAY) -> None:
        """Fail where the aggregates of a day differ from its events."""
        found = self.run(
            "select user_id, license_id, team_id, event_type, "
            "event_count, unique_sessions, total_duration_seconds "
            "from usage_aggregates_daily where date = %s",
            (day,),
        )
        events = [event for event in self.events() if event.at.date() == day]
        assert by_group(found) == {
            group: [(len(members), len(sessions(members)), duration(members))]
            for group, members in grouped(events).items()
        }

    def check_month(self, year: int = 2026, month: int = 3) -> None:
        """Fail where the aggregates of a month differ from its events."""
        found = self.run(
            "select user_id, license_id, team_id, event_type, event_count, "
            "unique_sessions, unique_days_active, total_duration_seconds "
            "from usage_aggregates_monthly where year = %s and month = %s",
            (year, month),
        )
        events = [
            event
            for event in self.events()
            if (event.at.year, event.at.month) == (year, month)
        ]
        assert by_group(found) == {
            group: [
                (
                    len(members),
                    len(sessions(members)),
                    len({event.at.date() for event in members}),
                    duration(members),
                )
            ]
            for group, members in grouped(events).items()
        }

    def check(self) -> None:
        """Fail where the aggregates of the day or its month differ from the events."""
        self.check_day()
        self.check_month()


# The reference: what aggregates mean, in plain Python -------------------------------


Group = tuple[str | None, str | None, str | None, str]


def by_group(rows: Iterable[tuple[Any, ...]]) -> dict[Group, list[tuple[Any, ...]]]:
    """The values of aggregate rows by group: one row each, unless one is doubled."""
    groups = defaultdict(list)
    for user, license_, team, event_type, *values in rows:
        groups[user, license_, team, event_type].append(tuple(values))
    return groups


def grouped(events: Iterable[Event]) -> dict[Group, list[Event]]:
    """The events by group."""
    groups = defaultdict(list)
    for event in events:
        groups[(*event.owner, event.event_type)].append(event)
    return groups


def sessions(events: Iterable[Event]) -> set[str]:
    """The sessions that are known."""
    return {event.session_id for event in events if event.session_id is not None}


def duration(events: Iterable[Event]) -> Decimal:
    """The seconds that the events tell together."""
    with localcontext(Context(prec=500)):
        return sum((seconds(event.event_data) for event in events), Decimal(0))


def seconds(event_data: str | None) -> Decimal:
    """What one event tells, 0 where that is no number of at least 0."""
    if event_data is None:
        return Decimal(0)
    data = json.loads(event_data, parse_float=Decimal, parse_int=Decimal)
    told = data.get("duration_seconds") if isinstance(data, dict) else None
    return told if isinstance(told, Decimal) and told >= 0 else Decimal(0)


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


@pytest.fixture(scope="module")
def earlier_database(server_url: str, template_database: str) -> Iterator[Database]:
    """A database of the earlier design."""
    with new_database(server_url, template=template_database) as made:
        made.execute(EARLIER_DESIGN.read_text(encoding="utf-8"))
        yield made


@pytest.fixture
def earlier_usage(earlier_database: Database) -> Iterator[Usage]:
    """As `usage`, on the earlier design."""
    with closing(Usage(earlier_database)) as made:
        made.clear()
        yield made


# What the earlier design got wrong --------------------------------------------------
#
# Each check tries one thing, and fails where the aggregates are wrong afterwards.


def a_rerun_of_a_day_with_null_ids_adds_nothing(usage: Usage) -> None:
    owner = usage.owner()
    for each in (NOBODY, owner, owner._replace(team=None), owner._replace(user=None)):
        usage.add(each)
    for _ in range(3):
        usage.aggregate_day()
    usage.check_day()


def a_rerun_of_a_month_with_null_ids_adds_nothing(usage: Usage) -> None:
    owner = usage.owner()
    usage.add(owner._replace(license=None))
    for _ in range(3):
        usage.aggregate_day()
        usage.aggregate_month()
    usage.check_month()


def a_rerun_leaves_unchanged_rows_as_they_are(usage: Usage) -> None:
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


def doubles_of_an_earlier_run_are_healed(usage: Usage) -> None:
    usage.add()
    for _ in range(3):
        usage.run(
            "insert into usage_aggregates_daily (date, event_type, event_count) "
            "values (%s, 'click', 7)",
            (DAY,),
        )
        usage.run(
            "insert into usage_aggregates_monthly (year, month, event_type, "
            "event_count) values (2026, 3, 'click', 7)"
        )
    usage.aggregate_day()
    usage.aggregate_month()
    usage.check()


def a_day_is_utc_in_a_session_of_los_angeles(usage: Usage) -> None:
    add_around_midnight(usage)
    usage.aggregate_day(zone="America/Los_Angeles")
    usage.check_day()


def a_day_is_utc_in_a_session_of_auckland(usage: Usage) -> None:
    add_around_midnight(usage)
    usage.aggregate_day(zone="Pacific/Auckland")
    usage.check_day()


def sessions_of_two_time_zones_agree_on_a_day(usage: Usage) -> None:
    add_around_midnight(usage)
    for zone in ("America/Los_Angeles", "Pacific/Auckland"):
        for day in (DAY - ONE_DAY, DAY, DAY + ONE_DAY):
            usage.aggregate_day(day, zone=zone)
    for day in (DAY - ONE_DAY, DAY, DAY + ONE_DAY):
        usage.check_day(day)


def a_month_is_utc_in_a_session_of_los_angeles(usage: Usage) -> None:
    add_around_month(usage)
    for day in (datetime.date(2026, 2, 28), datetime.date(2026, 3, 1)):
        usage.aggregate_day(day, zone="America/Los_Angeles")
    usage.aggregate_month(zone="America/Los_Angeles")
    usage.check_month()


def a_month_is_utc_in_a_session_of_auckland(usage: Usage) -> None:
    add_around_month(usage)
    for day in (datetime.date(2026, 3, 31), datetime.date(2026, 4, 1)):
        usage.aggregate_day(day, zone="Pacific/Auckland")
    usage.aggregate_month(zone="Pacific/Auckland")
    usage.check_month()


def add_around_midnight(usage: Usage) -> None:
    """Events at both ends of the day, and just outside."""
    owner = usage.owner()
    for position, at in enumerate(
        (
            "2026-03-09 23:59:59.999999+00",
            "2026-03-10 00:00+00",
            "2026-03-10 23:59:59.999999+00",
            "2026-03-11 00:00+00",
        )
    ):
        usage.add(owner, at, event_type=f"type {position}")


def add_around_month(usage: Usage) -> None:
    """Events at both ends of the month, and just outside."""
    owner = usage.owner()
    for position, at in enumerate(
        (
            "2026-02-28 23:59:59.999999+00",
            "2026-03-01 00:00+00",
            "2026-03-31 23:59:59.999999+00",
            "2026-04-01 00:00+00",
        )
    ):
        usage.add(owner, at, event_type=f"type {position}")


def a_session_over_midnight_counts_once_in_the_month(usage: Usage) -> None:
    owner = usage.owner()
    usage.add(owner, "2026-03-10 23:59+00")
    usage.add(owner, "2026-03-11 00:01+00")
    for day in (DAY, DAY + ONE_DAY):
        usage.aggregate_day(day)
    usage.aggregate_month()
    usage.check_month()


def a_month_counts_days_that_were_never_aggregated(usage: Usage) -> None:
    owner = usage.owner()
    usage.add(owner)
    usage.add(owner, "2026-03-20 12:00+00")
    usage.aggregate_day()
    usage.aggregate_month()
    usage.check_month()


def a_month_counts_events_that_came_after_their_day_was_aggregated(
    usage: Usage,
) -> None:
    owner = usage.owner()
    usage.add(owner)
    usage.aggregate_day()
    usage.add(owner, session="late")
    usage.aggregate_month()
    usage.check_month()


def groups_of_deleted_events_leave_the_day(usage: Usage) -> None:
    usage.add(usage.owner())
    usage.add(event_type="view")
    usage.aggregate_day()
    usage.run("delete from usage_events")
    usage.aggregate_day()
    usage.check_day()


def groups_of_deleted_events_leave_the_month(usage: Usage) -> None:
    usage.add(usage.owner())
    usage.aggregate_day()
    usage.aggregate_month()
    usage.run("delete from usage_events")
    usage.aggregate_day()
    usage.aggregate_month()
    usage.check_month()


def groups_of_corrected_events_leave_the_day(usage: Usage) -> None:
    usage.add(usage.owner())
    usage.aggregate_day()
    usage.run("update usage_events set event_type = 'view'")
    usage.aggregate_day()
    usage.check_day()


def groups_of_events_moved_to_another_month_leave_the_month(usage: Usage) -> None:
    usage.add(usage.owner())
    usage.aggregate_day()
    usage.aggregate_month()
    usage.run("update usage_events set occurred_at = '2026-05-01 00:00+00'")
    usage.aggregate_day()
    usage.aggregate_month()
    usage.check_month()


def an_erased_users_events_are_counted_as_nobodys(usage: Usage) -> None:
    erase(usage, "users", "user")


def an_erased_licenses_events_are_counted_as_nobodys(usage: Usage) -> None:
    erase(usage, "licenses", "license")


def an_erased_teams_events_are_counted_as_nobodys(usage: Usage) -> None:
    erase(usage, "teams", "team")


def erase(usage: Usage, table: str, part: str) -> None:
    """Delete an account whose events, and nobody's, were aggregated."""
    owner = usage.owner()
    usage.add(owner)
    usage.add(owner._replace(**{part: None}), session="other")
    usage.aggregate_day()
    usage.aggregate_month()
    usage.run(f"delete from {table} where id = %s", (getattr(owner, part),))
    usage.run("select aggregate_stale_usage()")
    usage.check()


def durations_are_summed_by_day(usage: Usage) -> None:
    owner = usage.owner()
    for told in (0, 1, 90, 3600):
        usage.add(owner, data=json.dumps({"duration_seconds": told}))
    usage.aggregate_day()
    usage.check_day()


def durations_are_summed_by_month(usage: Usage) -> None:
    owner = usage.owner()
    usage.add(owner, data='{"duration_seconds": 5}')
    usage.add(owner, "2026-03-31 12:00+00", data='{"duration_seconds": 7}')
    for day in (DAY, datetime.date(2026, 3, 31)):
        usage.aggregate_day(day)
    usage.aggregate_month()
    usage.check_month()


def fractions_of_seconds_are_kept(usage: Usage) -> None:
    owner = usage.owner()
    for told in ("0.1", "0.2", "1e-9"):
        usage.add(owner, data=f'{{"duration_seconds": {told}}}')
    usage.aggregate_day()
    usage.check_day()


def durations_that_are_no_number_count_nothing(usage: Usage) -> None:
    owner = usage.owner()
    for data in ODD_DATA:
        usage.add(owner, data=data)
    usage.aggregate_day()
    usage.check_day()


ODD_DATA = [
    None,
    "null",
    "[]",
    "7",
    '"duration_seconds"',
    '[{"duration_seconds": 5}]',
    "{}",
    '{"duration_seconds": null}',
    '{"duration_seconds": true}',
    '{"duration_seconds": "12"}',
    '{"duration_seconds": "soon"}',
    '{"duration_seconds": [3]}',
    '{"duration_seconds": {"value": 3}}',
    '{"duration_seconds": -1}',
    '{"duration_seconds": -0.5}',
    '{"duration_seconds": -0}',
    '{"duration_seconds": 0}',
    '{"duration_seconds": 12.5}',
    '{"duration_seconds": 1e3}',
    '{"duration_seconds": 2147483648}',
    '{"duration_seconds": 12345678901234567890.123456789}',
]


def durations_pass_four_bytes(usage: Usage) -> None:
    owner = usage.owner()
    for at in (NOON, "2026-03-10 13:00+00"):
        usage.add(owner, at, data='{"duration_seconds": 2000000000}')
    usage.aggregate_day()
    usage.aggregate_month()
    usage.check()


def counters_of_a_group_pass_four_bytes(usage: Usage) -> None:
    # An enormous day that was counted before; the month holds one more.
    usage.run(
        "insert into usage_aggregates_daily (date, event_type, event_count, "
        "unique_sessions) values (%s, 'click', 2147483647, 2147483647)",
        (DAY,),
    )
    usage.add(at="2026-03-11 12:00+00")
    usage.aggregate_day(DAY + ONE_DAY)
    usage.aggregate_month()
    usage.check_month()


def a_day_reads_only_its_own_partition(usage: Usage) -> None:
    usage.run("select create_event_partitions('2026-02-01', '2026-04-01')")
    usage.add()
    assert partitions_read(usage, "select aggregate_daily_usage('2026-03-10')") == {
        "usage_events_y2026m03"
    }


def a_month_reads_only_its_own_partition(usage: Usage) -> None:
    usage.run("select create_event_partitions('2026-02-01', '2026-04-01')")
    usage.add()
    assert partitions_read(usage, "select aggregate_monthly_usage(2026, 3)") == {
        "usage_events_y2026m03"
    }


def partitions_read(usage: Usage, statement: str) -> set[str]:
    """The partitions of usage_events that a statement looks into."""
    count = (
        "select relname, seq_scan + coalesce(idx_scan, 0) "
        "from pg_stat_xact_user_tables where relname like 'usage\\_events\\_%'"
    )
    usage.run("begin")
    before = dict(usage.run(count))
    usage.run(statement)
    after = dict(usage.run(count))
    usage.run("rollback")
    return {name for name, scans in after.items() if scans > before.get(name, 0)}


def eight_runs_of_a_day_at_once_count_once(usage: Usage) -> None:
    usage.add()
    usage.add(usage.owner())
    run_at_once(usage, "select aggregate_daily_usage('2026-03-10')")
    usage.check_day()


def eight_runs_of_a_month_at_once_count_once(usage: Usage) -> None:
    usage.add(data=None)
    usage.aggregate_day()
    run_at_once(usage, "select aggregate_monthly_usage(2026, 3)")
    usage.check_month()


def run_at_once(usage: Usage, statement: str) -> None:
    """Run a statement from many connections at the same moment."""
    sessions = [
        Session(usage.database, autocommit=True) for position in range(CONNECTIONS)
    ]
    try:
        futures = at_once([partial(each.run, statement) for each in sessions])
        assert errors_of(futures) == []
    finally:
        for session in sessions:
            session.close()


def a_run_on_an_old_snapshot_never_doubles(usage: Usage) -> None:
    usage.add(data=None)
    with Session(usage.database) as old:
        old.connection.set_session(isolation_level="REPEATABLE READ")
        old.run("select count(*) from usage_aggregates_daily")
        usage.aggregate_day()
        usage.aggregate_month()
        for statement in (
            "select aggregate_daily_usage('2026-03-10')",
            "select aggregate_monthly_usage(2026, 3)",
        ):
            with suppress(errors.SerializationFailure):
                old.run(statement)
            old.connection.commit()
            old.run("select count(*) from usage_aggregates_daily")
    usage.check()


FAULTS = [
    a_rerun_of_a_day_with_null_ids_adds_nothing,
    a_rerun_of_a_month_with_null_ids_adds_nothing,
    a_rerun_leaves_unchanged_rows_as_they_are,
    doubles_of_an_earlier_run_are_healed,
    a_day_is_utc_in_a_session_of_los_angeles,
    a_day_is_utc_in_a_session_of_auckland,
    sessions_of_two_time_zones_agree_on_a_day,
    a_month_is_utc_in_a_session_of_los_angeles,
    a_month_is_utc_in_a_session_of_auckland,
    a_session_over_midnight_counts_once_in_the_month,
    a_month_counts_days_that_were_never_aggregated,
    a_month_counts_events_that_came_after_their_day_was_aggregated,
    groups_of_deleted_events_leave_the_day,
    groups_of_deleted_events_leave_the_month,
    groups_of_corrected_events_leave_the_day,
    groups_of_events_moved_to_another_month_leave_the_month,
    an_erased_users_events_are_counted_as_nobodys,
    an_erased_licenses_events_are_counted_as_nobodys,
    an_erased_teams_events_are_counted_as_nobodys,
    durations_are_summed_by_day,
    durations_are_summed_by_month,
    fractions_of_seconds_are_kept,
    durations_that_are_no_number_count_nothing,
    durations_pass_four_bytes,
    counters_of_a_group_pass_four_bytes,
    a_day_reads_only_its_own_partition,
    a_month_reads_only_its_own_partition,
    eight_runs_of_a_day_at_once_count_once,
    eight_runs_of_a_month_at_once_count_once,
    a_run_on_an_old_snapshot_never_doubles,
]
each_fault = pytest.mark.parametrize("check", FAULTS, ids=lambda check: check.__name__)


@each_fault
def test_aggregates_keep_that(usage: Usage, check: Callable[[Usage], None]) -> None:
    check(usage)


@each_fault
def test_the_earlier_design_fails_that(
    earlier_usage: Usage, check: Callable[[Usage], None]
) -> None:
    with pytest.raises((AssertionError, errors.NumericValueOutOfRange)):
        check(earlier_usage)


# Arguments --------------------------------------------------------------------------


@pytest.mark.parametrize("day", [None, "infinity", "-infinity"])
def test_what_is_no_day_is_refused(usage: Usage, day: str | None) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="is not a day"):
        usage.run("select aggregate_daily_usage(%s)", (day,))


@pytest.mark.parametrize(
    ("year", "month"),
    [(1969, 12), (2101, 1), (2026, 0), (2026, 13), (2026, -1), (None, 1), (2026, None)],
)
def test_what_is_no_month_is_refused(
    usage: Usage, year: int | None, month: int | None
) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="is not a month"):
        usage.run("select aggregate_monthly_usage(%s, %s)", (year, month))


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


# Erasing ----------------------------------------------------------------------------


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


# Many connections -------------------------------------------------------------------


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

    Writers keep their user first, as an erasure does: a partition checks the licence
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


# Any events -------------------------------------------------------------------------

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
        st.sampled_from(ODD_DATA),
        st.sampled_from(TIMES),
    ),
    max_size=12,
)
any_runs = st.lists(
    st.tuples(st.sampled_from([*DAYS, (2026, 3)]), st.sampled_from(ZONES)), max_size=6
)


@settings(
    max_examples=20,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    first=any_events,
    runs=any_runs,
    deleted=st.integers(0, 12),
    corrected=st.integers(0, 12),
    second=any_events,
    zone=st.sampled_from(ZONES),
)
def test_any_events_are_aggregated_as_the_reference_does(
    usage_on_each: Usage,
    first: list[Any],
    runs: list[Any],
    deleted: int,
    corrected: int,
    second: list[Any],
    zone: str,
) -> None:
    usage = usage_on_each
    usage.run("begin")
    try:
        owners = [usage.owner(), usage.owner()]
        made = usage.add_all(rows_of(first, owners))
        for period, own_zone in runs:
            aggregate(usage, period, own_zone)
        usage.run(
            "delete from usage_events where id = any (%s::uuid[])", (made[:deleted],)
        )
        usage.run(
            "update usage_events set event_type = 'view', session_id = 'c', "
            "occurred_at = '2026-03-02 10:00+00' where id = any (%s::uuid[])",
            (made[corrected:],),
        )
        usage.add_all(rows_of(second, owners))
        for period in (*DAYS, (2026, 3)):
            aggregate(usage, period, zone)
        for day in DAYS:
            usage.check_day(day)
        usage.check_month()
    finally:
        usage.run("rollback")


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


def aggregate(usage: Usage, period: Any, zone: str) -> None:
    """Aggregate a day, or a month."""
    if isinstance(period, datetime.date):
        usage.aggregate_day(period, zone)
    else:
        year, month = period
        usage.aggregate_month(year, month, zone)


def test_a_failed_comparison_prints_the_statements_that_fix_it(
    marts: Database, tmp_path: Path
) -> None:
    # The events of these marts were thinned out after their aggregation.
    names = [
        f"assert_{period}_usage_equals_application_aggregates"
        for period in ("daily", "monthly")
    ]
    fix = re.compile(r'select "public"\.aggregate_(?:daily|monthly)_usage\(.*?\);')

    failed = dbt("test", "--select", *names, database=marts, target=tmp_path)
    assert failed.returncode == 1
    for name in names:
        assert f"{name} failed. To fix it, run:" in failed.stdout
    assert len(fix.findall(failed.stdout)) == 20

    for _ in range(3):
        result = dbt("test", "--select", *names, database=marts, target=tmp_path)
        statements = fix.findall(result.stdout)
        if not statements:
            break
        all_of_them = re.findall(r"select distinct fix from .*$", result.stdout, re.M)
        for query in all_of_them:
            statements += [f"{statement};" for (statement,) in marts.execute(query)]
        for statement in set(statements):
            marts.execute(statement)
    assert result.returncode == 0, result.stdout
