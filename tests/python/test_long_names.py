"""An application may widen a name to text: one of any length stops no mart."""

from __future__ import annotations

import random
import re
import shutil
from contextlib import closing

import pytest

from bootstrap.retype import retype
from saas_analytics import database, settings
from tests.python.support import (
    ROOT,
    Database,
    DbtProject,
    copy_of_marts,
    refresh,
)

# Of these a mart counts how many differ, and none is keyed by them.
NO_NAMES = {("usage_events", "session_id")}
# A payment of an unknown status has nothing to count, which a test of a mart refuses.
KNOWN_VALUES = {("payment_transactions", "status")}
# What a b-tree holds of one row, less what ids, days and lengths take.
BYTES_OF_A_KEY = 2704 - 100


def long_name(generator: random.Random) -> str:
    """10,000 characters of four bytes each, such as no compression makes shorter."""
    return "".join(chr(generator.randrange(0x10000, 0x1FFFF)) for _ in range(10000))


def widen(
    company: Database, *columns: tuple[str, str], data_type: str = "text"
) -> None:
    """Make columns text, as an application's migration does, or of another type."""
    configuration = settings.load({"DATABASE_URL": company.url})
    with database.connected(configuration) as connection:
        for table, column in columns:
            retype(connection, configuration, table, column, data_type)


def staged_names(company: Database) -> list[tuple[str, str]]:
    """Table and column of each name that a staging view reads."""
    found = company.execute(
        "select distinct pg_class.relname::text, attname::text "
        "from pg_depend join pg_rewrite on objid = pg_rewrite.oid "
        "join pg_class on refobjid = pg_class.oid "
        "join pg_attribute on attrelid = refobjid and attnum = refobjsubid "
        "where ev_class::regclass::text like 'analytics_staging.%%' "
        "and relnamespace = 'public'::regnamespace "
        "and atttypid in ('varchar'::regtype, 'text'::regtype) order by 1, 2",
        (),
    )
    return [each for each in found if each not in NO_NAMES]


def free_of_rules(company: Database, columns: list[tuple[str, str]]) -> None:
    """Drop the rules of these columns, and indexes that hold them whole.

    An application that widens them does so: docs/how-to/change-a-column-type.md.
    """
    for table, column in columns:
        for kind, name in company.execute(
            "select 'constraint', quote_ident(conname) from pg_constraint "
            "join pg_attribute on attrelid = conrelid and attnum = any (conkey) "
            "where conrelid = %(table)s::regclass and attname = %(column)s "
            "and contype in ('c', 'u') union all "
            "select 'index', indexrelid::regclass::text from pg_index "
            "join pg_attribute on attrelid = indrelid and attnum = any (indkey) "
            "join pg_class on pg_class.oid = indexrelid "
            "join pg_am on relam = pg_am.oid "
            "where indrelid = %(table)s::regclass and attname = %(column)s "
            "and amname = 'btree' and not exists (select from pg_constraint "
            "where conindid = indexrelid)",
            {"table": table, "column": column},
        ):
            company.execute(
                f"alter table {table} drop constraint {name}"
                if kind == "constraint"
                else f"drop index {name}"
            )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project, parsed once, with the finding."""
    domains = ("operations", "usage", "adoption", "revenue", "affiliates")
    project = DbtProject.copy(tmp_path_factory.mktemp("names"), domains=domains)
    finding = "tests/integrity/operations/names_cut_off.sql"
    (project.root / finding).parent.mkdir(parents=True)
    shutil.copy(ROOT / finding, project.root / finding)
    return project


@pytest.fixture
def company(marts: Database) -> Database:
    """A company with its marts, all of it this test's own."""
    return marts


def lengthen(
    company: Database, columns: list[tuple[str, str]], generator: random.Random
) -> set[tuple[str, str, str]]:
    """Give some rows of each table a long name in all of these columns at once.

    Two of them have names that begin alike. Returns table, column and id of each.
    """
    made = set()
    for table in sorted({table for table, _ in columns}):
        names = [column for other, column in columns if other == table]
        ids = company.execute(f"select id::text from {table} order by id limit 3")
        alike = {name: long_name(generator) for name in names}
        for position, (row_id,) in enumerate(ids):
            values = [
                alike[name] + str(position) if position else long_name(generator)
                for name in names
            ]
            company.execute(
                f"update {table} set {', '.join(f'{name} = %s' for name in names)} "
                "where id::text = %s",
                (*values, row_id),
            )
            made |= {(table, name, row_id) for name in names}
    return made


def widest_keys(company: Database) -> dict[str, int]:
    """How many bytes the names in the largest key of each of dbt's indexes have."""
    indexes = company.execute(
        "select indexrelid::regclass::text, indrelid::regclass::text, "
        "string_agg(format('coalesce(octet_length(%%I), 0)', attname), ' + ') "
        "from pg_index join pg_class on pg_class.oid = indrelid "
        "join pg_attribute on attrelid = indrelid and attnum = any (indkey) "
        "where relnamespace::regnamespace::text like 'analytics%%' "
        "and atttypid in ('text'::regtype, 'varchar'::regtype) group by 1, 2",
        (),
    )
    return {
        index: company.execute(f"select coalesce(max({size}), 0) from {table}")[0][0]
        for index, table, size in indexes
    }


def test_marts_go_on_where_names_of_any_length_are_written_and_name_the_rows(
    project: DbtProject, company: Database
) -> None:
    generator = random.Random(15)
    columns = [each for each in staged_names(company) if each not in KNOWN_VALUES]
    assert len(columns) > 30
    widen(company, *columns)
    free_of_rules(company, columns)
    made = lengthen(company, columns, generator)

    result = refresh(company, "--verify")
    assert result.returncode == 0, result.stdout + result.stderr
    keys = widest_keys(company)
    assert len(keys) > 15
    assert {index: size for index, size in keys.items() if size > BYTES_OF_A_KEY} == {}
    assert max(keys.values()) > 1000

    # They change and go, and a build from nothing makes the same marts.
    company.execute("delete from audit_logs where length(action) > 201")
    lengthen(company, [("api_usage", "endpoint")], generator)
    result = refresh(company, "--verify")
    assert result.returncode == 0, result.stdout + result.stderr
    assert project.dbt("run", "--full-refresh", database=company) == ""
    assert refresh(company, "--verify").returncode == 0

    assert project.statuses("test", "-s", "names_cut_off", database=company) == {
        "names_cut_off": "warn"
    }
    listed = company.execute(
        "select source_table, column_name, row_id::text, characters >= 10000 "
        "from analytics_test_failures.names_cut_off"
    )
    expected = {(*each, True) for each in made if each[0] != "audit_logs"}
    assert set(listed) == expected
    assert len(listed) == len(expected)


def test_names_that_begin_alike_are_one_name(company: Database) -> None:
    widen(company, ("audit_logs", "action"))
    alike = "ü" * 201
    company.execute(
        "insert into audit_logs (action, resource_type, status, occurred_at) "
        "select left(%s, 201 - shorter) || tail, 'odd', 'success', "
        "'2026-03-10 12:00+00' "
        "from (values (0, ''), (0, 'x'), (0, repeat('y', 10000)), (1, '')) "
        "as names (shorter, tail)",
        (alike,),
    )
    assert refresh(company).returncode == 0
    assert company.execute(
        "select action, events from analytics.fct_audit_daily "
        "where resource_type = 'odd' order by events"
    ) == [(alike[:-1], 1), (alike, 3)]


@pytest.mark.parametrize("declared", ["varchar(200)", "varchar(256)"])
def test_a_name_of_a_usual_length_is_cut_once_it_is_widened(
    company: Database, declared: str
) -> None:
    """PostgreSQL drops a cast to the very length that a column has."""
    columns = [("audit_logs", "action"), ("api_usage", "endpoint")]
    widen(company, *columns, data_type=declared)
    widen(company, *columns)
    free_of_rules(company, [("audit_logs", "action")])
    for table, column in columns:
        company.execute(
            f"update {table} set {column} = %s "
            f"where id = (select id from {table} order by id limit 1)",
            (long_name(random.Random(9)),),
        )
    assert refresh(company, "--verify").returncode == 0
    assert company.execute(
        "select (select max(length(action)) from analytics.fct_audit_daily), "
        "(select max(length(endpoint)) from analytics.fct_api_usage_daily)"
    ) == [(201, 257)]


def test_a_name_that_is_an_enum_is_counted_and_is_never_too_long(
    project: DbtProject, company: Database
) -> None:
    columns = {
        "users": "role",
        "licenses": "status",
        "api_usage": "method",
        "audit_logs": "status",
    }
    before = {}
    for number, (table, column) in enumerate(columns.items()):
        staged = f"select {column}, count(*) from analytics_staging.stg_saas__{table} "
        before[table] = company.execute(staged + "group by 1 order by 1")
        labels = ", ".join(f"'{label}'" for label, _ in before[table])
        company.execute(f"create type kind_{number} as enum ({labels})")
        for index in company.execute(
            "select indexrelid::regclass::text from pg_index "
            "where indrelid = %s::regclass and indpred is not null "
            "and pg_get_expr(indpred, indrelid) like '%%::text%%'",
            (table,),
        ):
            company.execute(f"drop index {index[0]}")
        company.execute(f"alter table {table} alter {column} drop default")
        widen(company, (table, column), data_type=f"kind_{number}")
        assert company.execute(staged + "group by 1 order by 1") == before[table]
    widen(company, ("audit_logs", "action"))
    assert refresh(company, "--verify").returncode == 0
    for is_found in (False, True):
        if is_found:
            company.execute("update audit_logs set action = repeat('x', 202)")
        assert project.statuses("test", "-s", "names_cut_off", database=company) == {
            "names_cut_off": "warn" if is_found else "pass"
        }


def test_no_name_that_fits_the_contract_is_cut(company: Database) -> None:
    """Each column of a name holds what it did, up to its last character."""
    columns = company.execute(
        "select table_name::text, column_name::text, character_maximum_length::integer "
        "from information_schema.columns where table_schema = 'public'"
    )
    widths = {(table, column): width for table, column, width in columns}
    views = dict(
        company.execute(
            "select viewname::text, definition::text from pg_views "
            "where schemaname = 'analytics_staging'"
        )
    )
    for table, column in staged_names(company):
        cast = re.search(
            rf"\b{column}\)[^,]*?::character varying\((\d+)\)",
            views[f"stg_saas__{table}"],
        )
        assert cast, (table, column)
        counted = int(cast[1])
        assert counted >= widths[table, column], (table, column)


def test_a_long_name_is_accepted_and_found_by_the_indexes_of_groups(
    company: Database,
) -> None:
    """The application's inserts succeed, and a run reads no whole month for them."""
    groups = {
        "api_usage": ("endpoint", "method"),
        "error_logs": ("error_type", "severity", "source"),
        "audit_logs": ("action", "resource_type", "status"),
    }
    for is_wide in (False, True):
        for table, names in groups.items():
            if is_wide:
                widen(company, *((table, name) for name in names))
                free_of_rules(company, [(table, name) for name in names])
                company.execute(
                    f"update {table} set "
                    + ", ".join(f"{name} = %(name)s" for name in names)
                    + " where id = (select id from "
                    f"{table} order by id limit 1)",
                    {"name": long_name(random.Random(7))},
                )
            conditions = " and ".join(
                f"{name} = (select cast('x' as text))" for name in names
            )
            with (
                closing(company.connect()) as connection,
                connection,
                connection.cursor() as cursor,
            ):
                cursor.execute("set local enable_seqscan = off")
                cursor.execute("set local enable_bitmapscan = off")
                cursor.execute(
                    "explain (costs off) select "
                    f"from analytics_staging.stg_saas__{table} where {conditions}"
                )
                plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Index Cond" in plan, plan
            for name in names:
                assert name in plan.partition("Index Cond")[2].partition("\n")[0]


def test_the_application_aggregates_the_names_that_the_marts_count(
    server_url: str, marts_template: str
) -> None:
    generator = random.Random(3)
    with copy_of_marts(server_url, marts_template) as company:
        widen(
            company,
            ("usage_events", "event_type"),
            ("usage_aggregates_daily", "event_type"),
            ("usage_aggregates_monthly", "event_type"),
        )
        alike = long_name(generator)
        for name in (long_name(generator), alike, alike + "x"):
            company.execute(
                "insert into usage_events (event_type, event_category, event_name, "
                "occurred_at) values (%s, 'system', 'x', '2026-03-10 12:00+00')",
                (name,),
            )
        assert refresh(company).returncode == 0
        company.execute("select aggregate_daily_usage('2026-03-10')")
        company.execute("select aggregate_monthly_usage(2026, 3)")
        count = (
            "select event_count, event_type from {} where length(event_type) >= 201 "
            "order by 1"
        )
        counted = company.execute(count.format("usage_aggregates_daily"))
        assert [events for events, _ in counted] == [1, 2]
        for table in ("usage_aggregates_monthly", "analytics.fct_usage_daily"):
            assert company.execute(count.format(table)) == counted
