"""One row with a value at the edge of its type stops no run and stretches no mart."""

from __future__ import annotations

import json
import random
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from tests.python import zones
from tests.python.rows import Rows
from tests.python.support import Database, dbt
from tests.python.workload import refresh

# Before the rule's first instant, after its last, beyond years of four digits, and so
# far out that the clocks of another zone are out of PostgreSQL's range.
ODD_TIMES = (
    *("-infinity", "4714-11-24 00:00+00 BC", "0044-03-15 BC", "0001-01-01 00:00+00"),
    *("1969-12-31 23:59:59.999999+00", "2100-01-01 00:00+00", "2999-07-01"),
    *("9999-12-31", "294276-12-31 23:59:59.999999+00", "infinity"),
)
EDGE_TIMES = ("1970-01-01 00:00+00", "2099-12-31 23:59:59.999999+00")
DIGITS = "9" * 131072
ZEROS = "0" * 16382
ODD_JSON = (
    *("null", "[]", "{}", "1", '"text"', "true", '[{"duration_seconds": 5}]'),
    *('{"duration_seconds": [5]}', '{"duration_seconds": {"$gt": 0}}'),
    *('{"duration_seconds": "9e99"}', '{"duration_seconds": null}'),
    *('{"duration_seconds": -9e131071}', '{"duration_seconds": 9e131071}'),
    f'{{"duration_seconds": {DIGITS}}}',
    f'{{"duration_seconds": 0.{ZEROS}1}}',
    '{"duration_seconds": 999999999999999.999}',
    "[" * 500 + "]" * 500,
)
ODD_NUMBERS = ("-9223372036854775808", "-2147483648", "-1", "0", "1", "2147483647")
NUMBERS = {"integer", "bigint", "smallint", "numeric"}
EVENT_TABLES = ("usage_events", "api_usage", "error_logs", "audit_logs")
TABLES = (
    *("users", "licenses", "teams", "team_members", "subscriptions"),
    *("payment_transactions", "affiliates", "affiliate_referrals"),
    *("affiliate_commissions", "affiliate_payouts", "affiliate_clicks"),
    *EVENT_TABLES,
)

NEW_EVENT = {
    "usage_events": "insert into usage_events (user_id, license_id, event_type, "
    "event_category, event_name, session_id, occurred_at, created_at) "
    "select user_id, license_id, 'odd', 'feature', 'odd', 'odd', %s, %s "
    "from usage_events where user_id is not null and license_id is not null limit 1",
    "api_usage": "insert into api_usage (endpoint, method, status_code, "
    "response_time_ms, occurred_at, created_at) "
    "values ('/odd', 'GET', 200, 2147483647, %s, %s)",
    "error_logs": "insert into error_logs (error_type, error_message, severity, "
    "occurred_at, created_at) values ('odd', 'odd', 'info', %s, %s)",
    "audit_logs": "insert into audit_logs (action, resource_type, status, "
    "occurred_at, created_at) values ('odd', 'odd', 'success', %s, %s)",
}


def rows_of_marts(database: Database) -> dict[str, int]:
    marts = database.execute(
        "select relname from pg_class where relkind = 'r' "
        "and relnamespace = 'analytics'::regnamespace order by 1"
    )
    return {
        mart: database.execute(f"select count(*) from analytics.{mart}")[0][0]
        for (mart,) in marts
    }


def test_events_at_impossible_times_are_in_no_mart_and_stretch_none(
    marts: Database,
) -> None:
    before = rows_of_marts(marts)
    for table, statement in NEW_EVENT.items():
        for at in ODD_TIMES:
            marts.execute(statement, (at, at))
        # By a clock that runs ahead of the server's by more than a day.
        for written in ("2026-03-01 00:00+00", "-infinity"):
            marts.execute(statement, ("2026-03-02 00:00:00.000001+00", written))
        assert marts.execute(
            f"select count(*) from analytics_staging.stg_saas__{table} as staged "
            "where to_jsonb(staged)::text like '%%odd%%'"
        ) == [(0,)]

    refresh(marts)
    assert rows_of_marts(marts) == before

    for table in EVENT_TABLES:
        marts.execute(
            f"delete from {table} where to_jsonb({table})::text like '%%odd%%'"
        )
    refresh(marts)
    assert rows_of_marts(marts) == before


def test_a_day_ahead_of_the_server_is_plausible(marts: Database) -> None:
    marts.execute(
        NEW_EVENT["audit_logs"], ("2026-03-02 00:00+00", "2026-03-01 00:00+00")
    )
    refresh(marts)
    count = "select sum(events) from analytics.fct_audit_daily where action = 'odd'"
    assert marts.execute(count) == [(1,)]

    # The time of writing alone decides, and is part of what a before-image keeps.
    marts.execute(
        "update audit_logs set created_at = created_at - interval '1 microsecond' "
        "where action = 'odd'"
    )
    refresh(marts)
    assert marts.execute(count) == [(None,)]

    marts.execute("update audit_logs set created_at = now() where action = 'odd'")
    refresh(marts)
    assert marts.execute(count) == [(1,)]


def test_before_images_of_impossible_times_are_read_in_every_session_zone(
    marts: Database,
) -> None:
    ((name,),) = marts.execute("select current_database()")
    for zone in ("Pacific/Kiritimati", "America/Anchorage"):
        marts.execute(f"alter database {name} set timezone = '{zone}'")
        add_odd_events(marts)
        for table in EVENT_TABLES:
            marts.execute(f"delete from {table} where created_at = 'infinity'")
        refresh(marts)


def test_durations_that_overflow_a_sum_count_nothing(marts: Database) -> None:
    day = "2026-03-10"
    for document in ODD_JSON:
        marts.execute(
            "insert into usage_events (event_type, event_category, event_name, "
            "event_data, occurred_at) values ('odd', 'system', 'odd', %s, %s)",
            (document, f"{day} 12:00+00"),
        )
    refresh(marts)
    total = (
        "select event_count, total_duration_seconds from {} "
        "where event_type = 'odd' and user_id is null"
    )
    ((events, seconds),) = marts.execute(total.format("analytics.fct_usage_daily"))
    assert events == len(ODD_JSON)
    assert float(seconds) == 999999999999999.999

    marts.execute("select aggregate_daily_usage(%s)", (day,))
    marts.execute("select aggregate_monthly_usage(2026, 3)")
    for table in ("usage_aggregates_daily", "usage_aggregates_monthly"):
        assert marts.execute(total.format(table)) == [(events, seconds)]


def test_the_application_aggregates_what_the_marts_count(marts: Database) -> None:
    day = "2026-03-02"
    written = ("2026-03-01 00:00+00", "2026-02-28 23:59:59.999999+00", "infinity")
    for at in written:
        marts.execute(NEW_EVENT["usage_events"], (f"{day} 00:00+00", at))
    refresh(marts)
    marts.execute("select aggregate_daily_usage(%s)", (day,))
    marts.execute("select aggregate_monthly_usage(2026, 3)")
    marts.execute("select aggregate_daily_usage('2999-07-01')")
    for name, table, period in (
        ("daily", "usage_aggregates_daily", f"usage_date = '{day}'"),
        ("monthly", "usage_aggregates_monthly", "usage_month = '2026-03-01'"),
    ):
        columns = (
            "user_id, license_id, team_id, event_type, event_count, unique_sessions, "
            "total_duration_seconds"
        )
        assert (
            marts.execute(
                f"select {columns} from analytics.fct_usage_{name} where {period} "
                f"except select {columns} from {table}"
            )
            == []
        )
    assert marts.execute(
        "select sum(event_count) from usage_aggregates_daily where event_type = 'odd'"
    ) == [(2,)]


@pytest.mark.parametrize("at", ["0001-01-01 00:00+00", "2999-07-01", "infinity"])
def test_an_impossible_time_of_money_counts_as_missing(
    marts: Database, at: str
) -> None:
    before = rows_of_marts(marts)
    totals = {
        mart: f"select sum({amount}) from analytics.{mart}"
        for mart, amount in (
            ("fct_revenue_monthly", "gross_cents"),
            ("fct_affiliate_earnings", "pending_cents + total_earnings_cents"),
        )
    }
    sums = {mart: marts.execute(query) for mart, query in totals.items()}
    with (
        closing(marts.connect()) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "update payment_transactions set processed_at = %s where id in ("
            "select id from payment_transactions where status = 'succeeded' "
            "and processed_at < now() order by id limit 5)",
            (at,),
        )
        assert cursor.rowcount == 5
        cursor.execute(
            "update affiliate_commissions set created_at = %s where id in ("
            "select id from affiliate_commissions where status in "
            "('approved', 'paid') order by id limit 3)",
            (at,),
        )
        cursor.execute(
            "update subscriptions set created_at = %s, trial_end = %s "
            "where id in (select id from subscriptions order by id limit 5)",
            (at, at),
        )
    refresh(marts)
    assert {mart: marts.execute(query) for mart, query in totals.items()} == sums
    after = rows_of_marts(marts)
    assert after["fct_mrr_monthly"] <= before["fct_mrr_monthly"]
    assert marts.execute(
        "select count(*) from analytics.fct_mrr_movements_monthly "
        "where movement_month < '2000-01-01' or movement_month > '2099-01-01'"
    ) == [(0,)]


# --- Whatever is written, anywhere ----------------------------------------------------


def odd_value(kind: str, length: int | None, generator: random.Random) -> Any:
    """A value at the edge of a type."""
    if kind == "timestamp with time zone":
        return generator.choice(ODD_TIMES + EDGE_TIMES)
    if kind in NUMBERS:
        return generator.choice(ODD_NUMBERS)
    if kind == "jsonb":
        return generator.choice(ODD_JSON)
    if kind in ("text", "character varying"):
        # Of four bytes each, and such as no compression makes shorter.
        letters = [
            chr(generator.randrange(0x10000, 0x1FFFF)) for _ in range(length or 10000)
        ]
        return "".join(letters)
    return None


def columns_of(database: Database) -> list[tuple[str, str, str, int | None]]:
    return [
        row
        for row in database.execute(
            "select table_name::text, column_name::text, data_type::text, "
            "character_maximum_length::integer from information_schema.columns "
            "where table_schema = 'public' order by 1, ordinal_position"
        )
        if row[0] in TABLES and row[1] not in ("id", "change_xid") and row[2] != "uuid"
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_marts_equal_a_rebuild_whatever_values_are_written(
    marts: Database, seed: int
) -> None:
    generator = random.Random(seed)
    columns = columns_of(marts)
    spine = rows_of_marts(marts)["fct_active_users_daily"]
    written = 0
    refused = suppress(psycopg2.IntegrityError, psycopg2.DataError)
    with closing(marts.connect()) as connection, connection.cursor() as cursor:
        for _ in range(2):
            for table, column, kind, length in columns:
                value = odd_value(kind, length, generator)
                with refused, connection:
                    cursor.execute(
                        f"update {table} set {column} = %s where id in (select id "
                        f"from {table} tablesample system (50) limit 3)",
                        (value,),
                    )
                    written += cursor.rowcount
            with refused, connection:
                table = generator.choice(EVENT_TABLES)
                cursor.execute(
                    f"delete from {table} where occurred_at not between "
                    "'1970-01-01' and '2100-01-01'"
                )
            refresh(marts)
    assert written > 300
    # Of a month at the edge of what is plausible, all months up to it have rows.
    assert rows_of_marts(marts)["fct_active_users_daily"] < max(spine, 1) * 1000


# --- A first build, and what it names -------------------------------------------------


def add_odd_events(database: Database) -> None:
    """Events of every table at each impossible time."""
    for statement in NEW_EVENT.values():
        for at in ODD_TIMES:
            database.execute(statement, (at, "infinity"))


def test_a_first_build_with_impossible_rows_makes_every_mart_and_names_them(
    database: Database, tmp_path: Path
) -> None:
    events = [str(uuid.uuid4()) for _ in ODD_TIMES]
    for event, at in zip(events, ODD_TIMES, strict=True):
        database.execute(
            "insert into usage_events (id, event_type, event_category, event_name, "
            "event_data, occurred_at, created_at) "
            "values (%s, 'x', 'feature', 'x', %s, %s, 'infinity')",
            (event, '{"duration_seconds": 9e131071}', at),
        )
    with (
        closing(database.connect()) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        licence = Rows(cursor).make("licenses")
        cursor.execute(
            "insert into usage_events (user_id, license_id, event_type, "
            "event_category, event_name) values (%s, %s, 'x', 'feature', 'x')",
            (licence["user_id"], licence["id"]),
        )
    chosen = ("--vars", json.dumps({"reporting_timezone": "Pacific/Apia"}))
    # Unit tests don't read the company.
    arguments = ("build", "--exclude-resource-type", "unit_test", *chosen)
    result = dbt(*arguments, database=database, target=tmp_path)
    assert result.returncode == 0, result.stdout[-5000:]
    results = json.loads((tmp_path / "run_results.json").read_text())["results"]
    assert {each["status"] for each in results} <= {"success", "pass", "warn", "no-op"}
    assert database.execute(
        "select sum(event_count)::integer, sum(total_duration_seconds)::integer "
        "from analytics.fct_usage_daily"
    ) == [(1, 0)]
    named = database.execute(
        "select row_id::text from analytics_test_failures.events_at_implausible_times"
    )
    assert sorted(each for (each,) in named) == sorted(events)

    # They arrive once more, and go, between runs by the definitions of this zone.
    before = rows_of_marts(database)
    add_odd_events(database)
    assert zones.refresh(database) == {}
    for table in EVENT_TABLES:
        database.execute(f"delete from {table} where created_at = 'infinity'")
    assert zones.refresh(database) == {}
    assert rows_of_marts(database) == before


# --- Cost -----------------------------------------------------------------------------


def test_an_index_finds_plausible_times(marts: Database) -> None:
    with closing(marts.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("set enable_seqscan = off")
        for view, *expressions in (
            ("payment_transactions", "coalesce(processed_at, created_at)"),
            ("affiliate_referrals", "created_at", "qualified_at", "converted_at"),
            ("licenses", "started_at", "cancelled_at", "expires_at"),
        ):
            for expression in expressions:
                cursor.execute(
                    f"explain select * from analytics_staging.stg_saas__{view} "
                    f"where {expression} >= '2026-03-01 00:00+00' "
                    f"and {expression} < '2026-03-02 00:00+00'"
                )
                plan = "\n".join(line for (line,) in cursor.fetchall())
                assert "Index Cond" in plan, plan
