"""The usage and adoption marts against a second implementation of their meaning.

The rows are awkward on purpose: missing ids, sessions over midnight, durations that are
none, licences that end before they begin, the days on which clocks change.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

import pytest

from tests.python.support import Database, DbtProject
from tests.python.usage_company import Company, draw
from tests.python.usage_reference import Reference

MODELS = "+path:models/marts/core +path:models/marts/usage +path:models/marts/adoption"

# The key's columns, the figures' columns.
MARTS = {
    "fct_usage_daily": (
        "usage_date, user_id, license_id, team_id, event_type",
        "event_count, unique_sessions, total_duration_seconds",
    ),
    "fct_usage_monthly": (
        "usage_month, user_id, license_id, team_id, event_type",
        "event_count, unique_sessions, unique_days_active, total_duration_seconds",
    ),
    "fct_active_users_daily": (
        "activity_date, plan_type",
        "daily_active_users, weekly_active_users, monthly_active_users, stickiness",
    ),
    "fct_user_retention_monthly": (
        "cohort_month, months_since_signup",
        "cohort_users, retained_users, retention_rate",
    ),
    "fct_user_growth_monthly": (
        "activity_month",
        "active_users, new_users, returning_users, resurrected_users, churned_users",
    ),
    "fct_feature_usage": (
        "user_id, license_id, feature_name",
        "first_used_at, last_used_at, total_uses",
    ),
    "fct_feature_adoption_monthly": (
        "adoption_month, feature_name, plan_type",
        "eligible_licenses, active_licenses, new_licenses, adopted_licenses,"
        " active_users, total_uses, adoption_rate",
    ),
}

# Seed, reporting time zone, TimeZone of dbt's sessions.
IN_UTC = (1, "UTC", "Pacific/Auckland")
IN_AUCKLAND = (2, "Pacific/Auckland", "America/New_York")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project, as far as these marts go."""
    folder = tmp_path_factory.mktemp("usage")
    return DbtProject.copy(folder, domains=("usage", "adoption"))


@pytest.fixture(scope="module", params=[IN_UTC, IN_AUCKLAND], ids=lambda case: case[1])
def built(
    request: pytest.FixtureRequest, module_database: Database, project: DbtProject
) -> tuple[Database, Company, str]:
    """A company whose marts were built, tests included, and its reporting zone."""
    seed, zone, session_zone = request.param
    company = draw(seed)
    module_database.execute("truncate users, licenses, usage_events cascade")
    company.store(module_database)
    aggregate(module_database)
    options = f"-c TimeZone={session_zone}"
    assert build(project, module_database, zone, PGOPTIONS=options) == ""
    return module_database, company, zone


def build(
    project: DbtProject, database: Database, zone: str, **environment: str
) -> str:
    """Build the usage and adoption marts with their data tests: what fails."""
    return project.dbt(
        *("build", "--select", MODELS, "--vars", variables(zone)),
        # Tests of these marts alone: no unit tests, none that read other marts as well.
        *("--exclude-resource-type", "unit_test"),
        *("--indirect-selection", "cautious"),
        database=database,
        **environment,
    )


def variables(zone: str) -> str:
    return f"{{reporting_timezone: {zone}}}"


def aggregate(database: Database) -> None:
    """Fill the application's own aggregates of all days and months with an event."""
    database.execute(
        "select aggregate_daily_usage(day) from (select distinct"
        " (occurred_at at time zone 'UTC')::date as day from usage_events) as days"
    )
    database.execute(
        "select aggregate_monthly_usage(year, month) from (select distinct"
        " extract(year from occurred_at at time zone 'UTC')::integer as year,"
        " extract(month from occurred_at at time zone 'UTC')::integer as month"
        " from usage_events) as months"
    )


def rows_of(database: Database, mart: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """A mart's rows by their key."""
    keys, figures = MARTS[mart]
    width = len(keys.split(","))
    found = database.execute(f"select {keys}, {figures} from analytics.{mart}")
    rows = {row[:width]: row[width:] for row in found}
    assert len(rows) == len(found), f"{mart} has two rows of one key"
    return rows


def alike(found: Any, expected: Any) -> bool:
    """Whether two figures are the same, rates to 15 digits."""
    if isinstance(expected, Fraction):
        return found is not None and abs(Fraction(found) - expected) < Fraction(
            1, 10**15
        )
    return bool(found == expected)


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_means_what_it_says(
    built: tuple[Database, Company, str], mart: str
) -> None:
    database, company, zone = built
    expected = getattr(Reference(company, zone), mart)()

    found = rows_of(database, mart)

    assert found.keys() == expected.keys()
    wrong = {
        key: (found[key], figures)
        for key, figures in expected.items()
        if not all(map(alike, found[key], figures))
    }
    assert not wrong


def test_the_awkward_rows_are_there(built: tuple[Database, Company, str]) -> None:
    """What the comparison is worth: each mart has rows of each interesting kind."""
    database, *_ = built
    assert database.execute(
        """
        select
            (select bool_or(user_id is null) and bool_or(license_id is null)
                and bool_or(team_id is null) from analytics.fct_usage_daily),
            (select bool_or(unique_sessions < days.sessions) from (
                select user_id, license_id, team_id, event_type,
                    date_trunc('month', usage_date::timestamp) as usage_month,
                    sum(unique_sessions) as sessions
                from analytics.fct_usage_daily group by 1, 2, 3, 4, 5
            ) as days join analytics.fct_usage_monthly as months
                on months.usage_month = days.usage_month
                and months.user_id is not distinct from days.user_id
                and months.license_id is not distinct from days.license_id
                and months.team_id is not distinct from days.team_id
                and months.event_type = days.event_type),
            (select bool_or(stickiness is null) or min(daily_active_users) = 0
                from analytics.fct_active_users_daily),
            (select min(active_users) = 0 and sum(resurrected_users) > 0
                and sum(churned_users) > 0 from analytics.fct_user_growth_monthly),
            (select bool_or(adopted_licenses > active_licenses)
                and bool_or(eligible_licenses > adopted_licenses)
                from analytics.fct_feature_adoption_monthly)
        """
    ) == [(True,) * 5]


def test_dates_know_their_week(built: tuple[Database, Company, str]) -> None:
    database, *_ = built
    dates = database.execute(
        "select date_day, week_start, day_of_week, day_name, is_weekend, month_start,"
        " quarter_number from analytics.dim_dates"
    )
    assert len(dates) >= 365
    for (
        day,
        week_start,
        day_of_week,
        day_name,
        is_weekend,
        month_start,
        quarter,
    ) in dates:
        assert day_of_week == day.isoweekday()
        assert day_name == day.strftime("%A")
        assert is_weekend == (day.isoweekday() > 5)
        assert week_start == day - dt.timedelta(days=day.weekday())
        assert month_start == day.replace(day=1)
        assert quarter == (day.month + 2) // 3


def test_marts_of_an_empty_database_are_empty(
    database: Database, project: DbtProject
) -> None:
    assert build(project, database, "UTC") == ""
    for mart in MARTS:
        assert rows_of(database, mart) == {}


DAILY, MONTHLY = (
    f"assert_{period}_usage_equals_application_aggregates"
    for period in ("daily", "monthly")
)


@pytest.mark.parametrize("built", [IN_UTC], ids=["UTC"], indirect=True)
def test_a_wrong_aggregate_of_the_application_is_found(
    built: tuple[Database, Company, str], project: DbtProject
) -> None:
    """The build compared all of them; now some are put wrong, and some out of date."""
    database, company, zone = built
    days = sorted({event.occurred_at.date() for event in company.events})
    wrong, lost, late = days[0], days[1], days[-1]
    groups = database.execute(
        "update usage_aggregates_daily set event_count = event_count + 1"
        " where date = %s returning 1",
        (wrong,),
    )
    database.execute(
        "insert into usage_aggregates_monthly (year, month, event_type, event_count)"
        " select %(year)s, %(month)s, 'doubled', 0 from generate_series(1, 2)",
        {"year": wrong.year, "month": wrong.month},
    )
    # What is known to be out of date isn't held against anybody: rows that an erasure
    # took along, and an event from after the aggregation.
    database.execute("delete from usage_aggregates_daily where date = %s", (lost,))
    database.execute(
        "insert into usage_events (event_type, event_category, event_name, occurred_at)"
        " values ('late', 'system', 'late', %s)",
        (dt.datetime.combine(late, dt.time(12), dt.timezone.utc),),
    )

    command = ("test", "--select", DAILY, MONTHLY, "--vars", variables(zone))
    assert project.dbt(*command, database=database) != ""

    assert database.execute(
        f"select (select count(*) from analytics_test_failures.{DAILY}),"
        f" (select count(*) from analytics_test_failures.{MONTHLY})"
    ) == [(len(groups), 1)]
