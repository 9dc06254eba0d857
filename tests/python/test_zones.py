"""Days and months are the reporting zone's, however its clocks change."""

from __future__ import annotations

import random
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.python import zones
from tests.python.support import Database, copy_of_marts


@pytest.fixture(scope="module")
def company(server_url: str, marts_template: str) -> Iterator[Database]:
    """A database with marts that each example fills by itself."""
    with copy_of_marts(server_url, marts_template) as made:
        yield made


def add_event(database: Database, moment: str) -> None:
    """An event of no user, known at its time."""
    database.execute(
        "insert into usage_events (event_type, event_category, event_name, "
        "occurred_at, created_at) values ('view', 'feature', 'search', %s, %s)",
        (moment, moment),
    )


def test_an_event_in_an_hour_that_comes_twice_is_of_the_day_that_the_clocks_showed(
    company: Database,
) -> None:
    """Havana, 1 November 2026: at 01:00 clocks go back to midnight, at 05:00 UTC."""
    zone = ZoneInfo("America/Havana")
    company.execute("truncate users, usage_events cascade")
    zones.report_in(company, zone.key)
    add_event(company, "2026-10-30 12:00+00")
    add_event(company, "2026-11-02 12:00+00")
    assert zones.refresh(company) == {}

    for moment in ("04:30", "05:30", "03:30", "04:00", "05:00"):
        add_event(company, f"2026-11-01 {moment}+00")
        assert zones.refresh(company) == {}

    assert company.execute(
        "select usage_date::text, sum(event_count) from analytics.fct_usage_daily "
        "group by 1 order by 1"
    ) == [("2026-10-30", 1), ("2026-10-31", 1), ("2026-11-01", 4), ("2026-11-02", 1)]
    assert company.execute(
        "select usage_month::text, sum(event_count), count(*) "
        "from analytics.fct_usage_monthly group by 1 order by 1"
    ) == [("2026-10-01", 2, 1), ("2026-11-01", 5, 1)]


@pytest.mark.parametrize("name", zones.HARD_ZONES)
def test_bounds_hold_every_instant_of_a_day_and_no_more_than_the_clocks_changed(
    company: Database, name: str
) -> None:
    """Minute by minute around some changes; the span of other days is exact."""
    of_zone = zones.changes(name)
    # An odd step: clocks go forward and back by turns.
    for change in of_zone[:: len(of_zone) // 5 | 1]:
        ((wrong, longest),) = company.execute(
            """
            with days as (
                select (moment at time zone %(zone)s)::date as day
                from generate_series(
                    %(moment)s - interval '2 days', %(moment)s + interval '2 days',
                    interval '1 minute'
                ) as minutes (moment)
                group by 1 having count(*) > 1
            ),

            bounds as (
                select day, starts, ends, is_exact
                from days
                cross join analytics_refresh._local_bounds(day, day + 1, %(zone)s)
            )

            select
                count(*) filter (where not coalesce(is_inside, false) and is_of_day
                    or is_exact and is_inside and not is_of_day),
                max(ends - starts - interval '1 day')
            from generate_series(
                %(moment)s - interval '2 days', %(moment)s + interval '2 days',
                interval '1 minute'
            ) as minutes (moment)
            cross join bounds
            cross join lateral (
                select moment >= starts and moment < ends as is_inside,
                    (moment at time zone %(zone)s)::date = day as is_of_day
            ) as compared
            """,
            {"zone": name, "moment": change.moment},
        )
        before, after = change.offsets
        assert wrong == 0, change.moment
        assert longest <= abs(after - before), change.moment


@settings(
    max_examples=4,
    deadline=None,
    # Each example is a company: a failing one is short enough as it is.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# The midnight that begins November comes twice in Havana.
@example(hard=True, seed=165)
@example(hard=True, seed=4)
# A month of billing after 1986, when the clocks of Kathmandu went on by 15 minutes.
@example(hard=True, seed=18054)
@given(hard=st.booleans(), seed=st.integers(0, 1_000_000))
def test_marts_are_those_of_the_zones_calendar_around_every_change_of_its_clocks(
    company: Database, hard: bool, seed: int
) -> None:
    generator = random.Random(seed)
    names = zones.HARD_ZONES if hard else zones.all_zones(company)
    name = generator.choice(names)
    assert zones.disagreements(company, name, generator) == []
