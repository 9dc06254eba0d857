"""A run follows a changed project, and loses nothing that others built on a mart."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
import yaml
from psycopg2.errors import RaiseException

from saas_analytics.refresh import engine
from tests.python.concurrency import Session
from tests.python.support import ROOT, Database, DbtProject, new_database
from tests.python.workload import SCHEMA

MART = "fct_errors_daily"
SELECT = f"models/marts/operations/{MART}.sql"
CONTRACT = f"models/marts/operations/{MART}.yml"

NAME = f"saas_definitions_{os.getpid()}"

# A model of a test's own, as small as can be.
OWN = "models/marts/operations/fct_severities.sql"
OWN_SELECT = """
select severity, count(*) as errors
from {{ ref("stg_saas__error_logs") }}
group by severity
"""
PLANS = "analytics_seeds.plans"
NO_CONTRACT = '{{ config(contract={"enforced": false}, access="private") }}'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project, parsed once."""
    folder = tmp_path_factory.mktemp("definitions")
    return DbtProject.copy(folder, domains=("operations", "usage"))


# Of one name in all tests: with another one dbt would parse the whole project again.
@pytest.fixture
def company(server_url: str, marts_template: str) -> Iterator[Database]:
    """A company with its marts, all of it this test's own."""
    with new_database(server_url, template=marts_template, name=NAME) as made:
        yield made


@pytest.fixture
def company_without_marts(
    server_url: str, template_database: str
) -> Iterator[Database]:
    """A company of which nothing but the source tables is there, and they are empty."""
    with new_database(server_url, template=template_database, name=NAME) as made:
        yield made


def run(
    project: DbtProject, company: Database, model: str, *options: str, **more: str
) -> str:
    """Run a model, and compare it with its select. Returns how it was refreshed."""
    command = ("run", "--select", model, *options)
    assert project.dbt(*command, database=company, **more) == ""
    assert company.execute(f"select {SCHEMA}.verify(%s)", (model,)) == [(0,)]
    return method(company, model)


def run_own(project: DbtProject, company: Database, text: str, *options: str) -> str:
    """Run the test's own model with this text: what dbt complained of."""
    command = ("run", "--select", "fct_severities", *options)
    with project.added(OWN, text):
        return project.dbt(*command, database=company)


def made(project: DbtProject, company: Database, select: str = OWN_SELECT) -> str:
    """Run the test's own model, and compare it. Returns how it was refreshed."""
    assert run_own(project, company, NO_CONTRACT + select) == ""
    assert company.execute(f"select {SCHEMA}.verify('fct_severities')") == [(0,)]
    return method(company, "fct_severities")


def in_background(
    project: DbtProject, company: Database, outcome: list[str], text: str
) -> threading.Thread:
    """Start a run of the test's own model; what dbt complains of is in `outcome`."""
    running = threading.Thread(
        target=lambda: outcome.append(run_own(project, company, text))
    )
    running.start()
    return running


def refresh(company: Database, *models: str) -> dict[str, engine.Run]:
    """Refresh models without dbt, and compare them with their select."""
    with closing(company.connect()) as connection:
        runs = engine.refresh(
            connection,
            SCHEMA,
            models=models,
            inspect=lambda each: engine.verify(each, SCHEMA, models),
        )
    return {run.model: run for run in runs}


def method(company: Database, model: str) -> str:
    """How a model was refreshed the last time."""
    ((found,),) = company.execute(
        f"select method from {SCHEMA}.models where model = %s", (model,)
    )
    return str(found)


def oid(company: Database, relation: str) -> int | None:
    ((found,),) = company.execute("select to_regclass(%s)::oid::int", (relation,))
    return found  # type: ignore[no-any-return]


def columns(company: Database, relation: str) -> dict[str, tuple[str, bool]]:
    """Type of each column, and whether it refuses null."""
    return {
        name: (kind, is_never_null)
        for name, kind, is_never_null in company.execute(
            "select attname, format_type(atttypid, atttypmod), attnotnull "
            "from pg_attribute where attnum > 0 and not attisdropped "
            "and attrelid = %s::regclass order by attnum",
            (relation,),
        )
    }


def indexes(company: Database, relation: str) -> list[str]:
    """Each index from its method on: btree (error_date)."""
    return [
        definition.partition(" USING ")[2]
        for (definition,) in company.execute(
            "select pg_get_indexdef(indexrelid) from pg_index "
            "where indrelid = %s::regclass order by indexrelid",
            (relation,),
        )
    ]


def wait_until_locked_out(
    company: Database, relation: str, running: threading.Thread
) -> None:
    """Return when what runs waits for a relation."""
    waits = (
        "select exists (select from pg_locks "
        "where relation = %s::regclass and not granted)"
    )
    while company.execute(waits, (relation,)) == [(False,)]:
        assert running.is_alive()


# --- Views that analysts built --------------------------------------------------------


def test_views_survive_a_run_a_rebuild_and_a_changed_select(
    project: DbtProject, company: Database
) -> None:
    company.execute(f"create view worst as select * from analytics.{MART}")
    table = oid(company, f"analytics.{MART}")
    ((before,),) = company.execute("select sum(errors) from worst")

    # A copy of a database is rebuilt.
    assert run(project, company, MART) == "full"
    assert run(project, company, MART) == "unchanged"
    assert run(project, company, MART, "--full-refresh") == "full"
    with project.altered(SELECT, {"count(*) as": "2 * count(*) as"}):
        assert run(project, company, MART) == "full"

    assert oid(company, f"analytics.{MART}") == table
    assert company.execute("select sum(errors) from worst") == [(2 * before,)]


def test_changed_columns_are_refused_while_a_view_is_built_on_them(
    project: DbtProject, company: Database
) -> None:
    refresh(company, MART)
    company.execute(f"create view worst as select errors from analytics.{MART}")
    table = oid(company, f"analytics.{MART}")
    contents = f"select * from analytics.{MART} as mart order by mart"
    before = company.execute(contents)

    with (
        project.altered(SELECT, {"count(*) as": "cast(count(*) as numeric) as"}),
        project.altered(
            CONTRACT,
            {"errors\n        data_type: bigint": "errors\n        data_type: numeric"},
        ),
    ):
        message = project.dbt("run", "--select", MART, database=company)
        assert "worst is built on it: drop that first" in message
        assert oid(company, f"analytics.{MART}") == table
        assert company.execute(contents) == before
        assert refresh(company, MART)[MART].method == "unchanged"

        company.execute("drop view worst")
        assert run(project, company, MART) == "created"
    assert columns(company, f"analytics.{MART}")["errors"] == ("numeric", True)


# --- What changes in a model ----------------------------------------------------------


def test_a_column_added_retyped_or_removed_makes_the_table_anew(
    project: DbtProject, company: Database
) -> None:
    for select, expected in (
        ("severity, count(*) as errors", ["errors bigint"]),
        (
            "severity, count(*) as errors, max(source) as source",
            ["errors bigint", "source text"],
        ),
        (
            "severity, cast(count(*) as integer) as errors, max(source) as source",
            ["errors integer", "source text"],
        ),
        ("severity, max(source) as source", ["source text"]),
    ):
        text = NO_CONTRACT + OWN_SELECT.replace("severity, count(*) as errors", select)
        with project.added(OWN, text):
            assert run(project, company, "fct_severities") == "created"
            found = columns(company, "analytics.fct_severities")
            assert [
                f"{name} {kind}"
                for name, (kind, _) in found.items()
                if name != "severity"
            ] == expected
            (refreshed,) = refresh(company, "fct_severities").values()
            assert refreshed.method == "unchanged"


def test_a_mart_that_lost_a_column_is_refused_by_a_refresh_and_made_anew_by_dbt(
    project: DbtProject, company: Database
) -> None:
    company.execute(f"alter table analytics.{MART} drop column affected_users")
    with pytest.raises(psycopg2.Error, match=r"has lost a column(?s:.*)dbt run"):
        refresh(company, MART)
    assert run(project, company, MART) == "created"
    assert "affected_users" in columns(company, f"analytics.{MART}")


def test_a_mart_that_moves_to_another_schema_is_made_there(
    project: DbtProject, company: Database
) -> None:
    moved = {"{{ config(": '{{ config(schema="elsewhere",'}
    with project.altered(SELECT, moved):
        assert run(project, company, MART) == "created"
    assert oid(company, f"analytics_elsewhere.{MART}")


def test_a_changed_key_rebuilds_the_table_in_place(
    project: DbtProject, company: Database
) -> None:
    def scoped(keys: str, **by: str) -> str:
        return f"""{{{{ config(
            contract={{"enforced": false}}, access="private",
            meta={{"exact": {{
                "keys": {keys.split()},
                "inputs": {{"stg_saas__error_logs": {{"keys": {by}}}}},
            }}}},
        ) }}}}
        select severity, source, count(*) as errors
        from {{{{ ref("stg_saas__error_logs") }}}}
        group by severity, source
        """

    with project.added(OWN, scoped("severity", severity="severity")):
        assert run(project, company, "fct_severities") == "created"
        table = oid(company, "analytics.fct_severities")
    wider = scoped("severity source", severity="severity", source="source")
    with project.added(OWN, wider):
        assert run(project, company, "fct_severities") == "full"
    assert oid(company, "analytics.fct_severities") == table
    assert indexes(company, "analytics.fct_severities") == [
        "btree (severity)",
        "btree (severity, source)",
    ]

    company.execute(
        "insert into error_logs (error_type, error_message, severity, source, "
        "occurred_at) values ('new', 'new', 'critical', 'new', '2026-01-05')"
    )
    found = refresh(company, "fct_severities")["fct_severities"]
    assert (found.method, found.key_count, found.rows_added) == ("partial", 1, 1)


def test_a_column_follows_its_contract_to_null_and_back(
    project: DbtProject, company: Database
) -> None:
    table = oid(company, f"analytics.{MART}")
    unknown = "nullif(error_type, error_type)"
    with (
        project.altered(
            SELECT,
            {
                '"severity", "error_type", "source"': '"severity", "source"',
                "    error_type,\n": f"    {unknown} as error_type,\n",
            },
        ),
        project.altered(
            CONTRACT,
            {
                "description: Kind of error.\n        constraints:\n"
                "          - type: not_null\n": "description: Kind of error.\n"
            },
        ),
    ):
        assert run(project, company, MART) == "full"
        assert columns(company, f"analytics.{MART}")["error_type"] == ("text", False)
    assert run(project, company, MART) == "full"
    assert columns(company, f"analytics.{MART}")["error_type"] == ("text", True)
    assert oid(company, f"analytics.{MART}") == table


def test_a_changed_text_test_or_index_rebuilds_nothing(
    project: DbtProject, company: Database
) -> None:
    run(project, company, MART)
    with (
        project.altered(
            CONTRACT,
            {
                "description: Kind of error.": "description: The kind of the error.",
                "errors > 0 and affected_users": "errors > 1000 and affected_users",
            },
        ),
        project.altered(
            SELECT, {"\n) }}": '\n    indexes=[{"columns": ["errors"]}],\n) }}'}
        ),
    ):
        assert run(project, company, MART) == "unchanged"
        assert "btree (errors)" in indexes(company, f"analytics.{MART}")

        # The test that changed is applied to what is written from now on.
        company.execute("update error_logs set error_type = 'other'")
        assert refresh(company, MART)[MART].failed_checks == [
            f"{MART}_no_more_users_than_errors"
        ]


def comment(company: Database, relation: str, column: str = "") -> str | None:
    """The comment of a relation, or of one of its columns."""
    ((found,),) = company.execute(
        "select description from pg_class left join pg_attribute "
        "on attrelid = pg_class.oid and attname = %s left join pg_description "
        "on classoid = 'pg_class'::regclass and objoid = pg_class.oid "
        "and objsubid = coalesce(attnum, 0) where pg_class.oid = %s::regclass",
        (column, relation),
    )
    return found  # type: ignore[no-any-return]


def test_every_relation_and_column_of_a_build_has_its_description_as_comment(
    marts: Database,
) -> None:
    assert comment(marts, f"analytics.{MART}", "error_type") == "Kind of error."
    assert (
        marts.execute(
            "select pg_class.oid::regclass::text, attname from pg_class "
            "left join pg_attribute on attrelid = pg_class.oid and attnum >= 0 "
            "and not attisdropped where relkind in ('r', 'v') and relnamespace = any ("
            "array['analytics', 'analytics_intermediate', 'analytics_staging', "
            "'analytics_seeds']::regnamespace[]) and (coalesce(attnum, 0) != 0 "
            "and col_description(pg_class.oid, attnum) is null "
            "or obj_description(pg_class.oid, 'pg_class') is null)"
        )
        == []
    )


def test_a_changed_description_changes_its_comment_and_rebuilds_nothing(
    project: DbtProject, company: Database
) -> None:
    run(project, company, MART)
    view = "stg_saas__error_logs"
    for name, file in ((MART, CONTRACT), (view, f"models/staging/{view}.yml")):
        text = (project.root / file).read_text("utf-8")
        described = text.index("columns:")
        changed = text[:described].replace("One row per", "Now one row per", 1)
        assert changed != text[:described]
        with project.altered(file, {text[:described]: changed}):
            assert project.dbt("run", "--select", name, database=company) == ""
        schema = "analytics" if name == MART else "analytics_staging"
        assert "Now one row per" in str(comment(company, f"{schema}.{name}"))
    assert method(company, MART) == "unchanged"

    # A refresh without dbt knows no descriptions, and leaves the comments alone.
    company.execute(f"comment on column analytics.{MART}.errors is 'by hand'")
    refresh(company, MART)
    assert comment(company, f"analytics.{MART}", "errors") == "by hand"
    assert run(project, company, MART) == "unchanged"
    assert comment(company, f"analytics.{MART}", "errors") != "by hand"


def test_an_index_that_the_config_no_longer_names_goes_when_nobody_reads(
    project: DbtProject, company: Database
) -> None:
    mart = f"analytics.{MART}"
    wanted = '\n    indexes=[{"columns": ["errors"]}],\n) }}'
    with project.altered(SELECT, {"\n) }}": wanted}):
        run(project, company, MART)
    company.execute(f"create index by_hand on {mart} (affected_users)")
    with Session(company) as reader:
        reader.run(f"select from {mart}")
        assert run(project, company, MART) == "unchanged"
        assert "btree (errors)" in indexes(company, mart)
    assert run(project, company, MART) == "unchanged"
    assert indexes(company, mart) == [
        "btree (error_date, severity, error_type, source)",
        "btree (affected_users)",
    ]


def test_a_unique_index_that_is_no_longer_named_refuses_no_row(
    project: DbtProject, company: Database
) -> None:
    def model(index: str) -> str:
        return f"""{{{{ config(
            contract={{"enforced": false}}, access="private",
            meta={{"exact": {{
                "keys": ["source"], "inputs": {{"stg_saas__error_logs": {{}}}},
            }}}},
            indexes=[{index}],
        ) }}}}
        select source, count(*) as errors
        from {{{{ ref("stg_saas__error_logs") }}}}
        group by source
        """

    def happen(*sources: str) -> None:
        company.execute(
            "insert into error_logs (error_type, error_message, severity, source, "
            "occurred_at) select 'new', 'new', 'warning', source, '2026-01-05' "
            "from unnest(%s) as source",
            (list(sources),),
        )

    mart = "analytics.fct_severities"
    company.execute("delete from error_logs")
    happen("web", "web", "mobile")
    with project.added(OWN, model('{"columns": ["errors"], "unique": true}')):
        run(project, company, "fct_severities")
        assert run(project, company, "fct_severities") == "unchanged"
        assert sorted(indexes(company, mart)) == ["btree (errors)", "btree (source)"]
    happen("mobile")
    with project.added(OWN, model('{"columns": ["errors"]}')):
        assert run(project, company, "fct_severities") == "partial"
        assert sorted(indexes(company, mart)) == ["btree (errors)", "btree (source)"]


def test_a_changed_staging_view_rebuilds_what_reads_it(
    project: DbtProject, company: Database
) -> None:
    refresh(company, MART, "fct_audit_daily")
    view = "models/staging/stg_saas__error_logs.sql"
    named = '{{ name_of("error_type") }}'
    with project.altered(view, {named: "upper(error_type)"}):
        command = ("run", "--select", "stg_saas__error_logs")
        assert project.dbt(*command, database=company) == ""

    runs = refresh(company, MART, "fct_audit_daily")
    assert runs[MART].method == "full"
    assert not runs[MART].is_unchanged
    assert runs["fct_audit_daily"].method == "unchanged"


def test_changed_content_of_a_seed_rebuilds_what_reads_it(
    project: DbtProject, company: Database
) -> None:
    text = NO_CONTRACT + "select plan_name from {{ ref('plans') }}"
    with project.added(OWN, text):
        assert run(project, company, "fct_severities") == "created"
        with project.altered("seeds/plans.csv", {"pro,": "pro,The "}):
            assert project.dbt("seed", "--select", "plans", database=company) == ""
        assert refresh(company, "fct_severities")["fct_severities"].method == "full"
    names = company.execute("select plan_name from analytics.fct_severities")
    assert ("The Pro",) in names


def test_a_model_that_the_project_no_longer_has_is_forgotten(
    project: DbtProject, company: Database
) -> None:
    made(project, company)
    known = f"select count(*) from {SCHEMA}.models where model = 'fct_severities'"
    assert company.execute(known) == [(1,)]
    run(project, company, MART)

    assert company.execute(known) == [(0,)]
    assert oid(company, f"{SCHEMA}.fct_severities__log") is None
    # As with dbt's own, the table itself is left to its readers.
    assert oid(company, "analytics.fct_severities") is not None


def test_a_model_goes_by_its_alias(project: DbtProject, company: Database) -> None:
    alias = '{{ config(alias="severities", contract={"enforced": false}) }}'
    for _ in range(2):
        assert run_own(project, company, alias + OWN_SELECT) == ""
    company.execute("delete from error_logs where severity = 'critical'")
    assert refresh(company, "severities")["severities"].rows_removed == 1


def test_a_view_becomes_exact_and_a_view_again(
    project: DbtProject, company: Database
) -> None:
    as_view = (
        '{{ config(materialized="view", contract={"enforced": false}) }}' + OWN_SELECT
    )
    rows = "select * from analytics.fct_severities as mart order by mart"
    assert run_own(project, company, as_view) == ""
    expected = company.execute(rows)
    assert made(project, company) == "created"
    assert company.execute(rows) == expected
    assert run_own(project, company, as_view) == ""
    assert company.execute(rows) == expected


# --- dbt's options --------------------------------------------------------------------


def test_a_mart_is_built_and_tested_alone_or_with_what_reads_it(
    project: DbtProject, company: Database
) -> None:
    assert project.dbt("build", "--select", f"{MART}+", database=company) == ""

    chain = (
        "fct_usage_monthly",
        "int_user_activity__by_month_user",
        "fct_user_growth_monthly",
    )
    refresh(company, "fct_usage_daily", *chain)
    company.execute(
        "insert into usage_events (user_id, event_type, event_category, event_name, "
        "occurred_at) select id, 'late', 'feature', 'late', '2025-01-05' "
        "from users order by id limit 1"
    )
    command = ("run", "--select", "fct_usage_monthly+")
    assert project.dbt(*command, database=company) == ""
    assert [method(company, model) for model in chain] == ["partial", "partial", "full"]
    assert method(company, "fct_usage_daily") == "full"
    refresh(company, *chain)


def test_a_full_refresh_in_production_has_to_be_meant(
    project: DbtProject, company: Database
) -> None:
    command = ("run", "--select", MART, "--full-refresh")
    message = project.dbt(*command, database=company, DBT_PRODUCTION="1")
    assert "If you mean it, add --vars 'allow_full_refresh: true'" in message


def test_empty_is_refused_where_it_would_empty_marts(
    project: DbtProject, company: Database
) -> None:
    for command in ("run", "snapshot"):
        message = project.dbt(command, "--empty", database=company)
        assert "--empty would empty the marts in analytics" in message
    assert refresh(company, MART)[MART].is_unchanged


def test_what_empty_made_is_filled_by_the_next_run(
    project: DbtProject, company_without_marts: Database
) -> None:
    company = company_without_marts
    company.execute(
        "insert into error_logs (error_type, error_message, severity, occurred_at) "
        "values ('first', 'first', 'critical', '2026-01-05')"
    )
    command = ("run", "--select", "stg_saas__error_logs", MART)
    for _ in range(2):
        assert project.dbt(*command, "--empty", database=company) == ""
        assert company.execute(f"table analytics.{MART}") == []
    assert project.dbt(*command, database=company) == ""
    assert company.execute(f"select error_type from analytics.{MART}") == [("first",)]


def test_what_only_reads_the_project_leaves_the_marts_alone(
    project: DbtProject, company: Database
) -> None:
    refresh(company, MART)
    refreshed = f"select model, refreshed_at from {SCHEMA}.models order by 1"
    before = company.execute(refreshed)

    with project.altered(SELECT, {"count(*) as": "2 * count(*) as"}):
        for command in (("compile", "--select", MART), ("docs", "generate")):
            assert project.dbt(*command, database=company) == ""

    assert company.execute(refreshed) == before
    assert refresh(company, MART)[MART].method == "unchanged"


@pytest.mark.parametrize(
    ("select", "table", "expected"),
    [
        # As `dbt seed` does it: an earlier snapshot sees no row.
        (
            "select plan_type from {{ ref('plans') }}",
            "analytics_seeds.plans",
            "plan_type",
        ),
        (OWN_SELECT, "error_logs", "severity"),
    ],
)
def test_a_run_takes_a_table_that_is_being_filled_as_it_will_be(
    project: DbtProject, company: Database, select: str, table: str, expected: str
) -> None:
    outcome: list[str] = []
    made(project, company, select)
    with Session(company) as filling:
        filling.run(f"create temporary table kept as table {table}")
        filling.run(f"truncate {table}")
        running = in_background(project, company, outcome, NO_CONTRACT + select)
        wait_until_locked_out(company, table, running)
        filling.run(f"insert into {table} table kept limit 1")
        filling.connection.commit()
        running.join()
    assert outcome == [""]
    assert company.execute(
        f"select {expected} from analytics.fct_severities"
    ) == company.execute(f"select {expected} from {table}")
    assert company.execute(f"select {SCHEMA}.verify('fct_severities')") == [(0,)]


def test_a_select_that_compares_with_now_follows_the_time(
    project: DbtProject, company: Database
) -> None:
    """Every run computes it, unless its config names the moments it depends on."""
    past = "where occurred_at <= {{ reporting_now() }} group by severity"
    select = OWN_SELECT.replace("group by severity", past)
    with project.added(OWN, NO_CONTRACT + select):
        run(project, company, "fct_severities")
        company.execute(
            "insert into error_logs (error_type, error_message, severity, occurred_at) "
            "values ('ahead', 'x', 'debug', clock_timestamp() + interval '1 second')"
        )
        refresh(company, "fct_severities")
        company.execute("select pg_sleep(1.1)")

        (changed,) = refresh(company, "fct_severities").values()

        assert (changed.method, changed.rows_added) == ("full", 1)


def test_a_model_made_anew_rebuilds_what_reads_it(
    project: DbtProject, company: Database
) -> None:
    reader = "models/marts/operations/fct_severest.sql"
    with (
        project.added(OWN, NO_CONTRACT + OWN_SELECT),
        project.added(
            reader,
            NO_CONTRACT + "select max(errors) as most from {{ ref('fct_severities') }}",
        ),
    ):
        command = ("run", "--select", "fct_severities+")
        assert project.dbt(*command, database=company) == ""
        assert refresh(company, "fct_severest")["fct_severest"].method == "unchanged"
        company.execute("drop table analytics.fct_severities")
        company.execute("delete from error_logs where severity != 'critical'")
        assert run(project, company, "fct_severities") == "created"

        runs = refresh(company, "fct_severest")
        assert runs["fct_severest"].method == "full"
        assert runs["fct_severest"].rows_added == 1


# --- Readers while a table is made again ----------------------------------------------


def test_a_reader_that_idles_keeps_nobody_else_from_reading(
    project: DbtProject, company: Database
) -> None:
    """A table that is made again waits for it, and lets others read meanwhile."""
    outcome: list[str] = []
    made(project, company)
    retyped = OWN_SELECT.replace("count(*)", "cast(count(*) as integer)")
    with Session(company) as idle, Session(company, autocommit=True) as other:
        idle.run("select * from analytics.fct_severities")
        other.run("set statement_timeout = '1s'")
        running = in_background(project, company, outcome, NO_CONTRACT + retyped)
        wait_until_locked_out(company, "analytics.fct_severities", running)
        for _ in range(20):
            other.run("select * from analytics.fct_severities")
        idle.connection.rollback()
        running.join()
    assert outcome == [""]
    assert columns(company, "analytics.fct_severities")["errors"][0] == "integer"


# --- The reporting zone: last, for dbt reads the whole project again ------------------


ZONE = "Pacific/Auckland"
IN_ZONE = ("--vars", f"reporting_timezone: {ZONE}")


def test_another_reporting_zone_rebuilds(
    project: DbtProject, company: Database
) -> None:
    assert project.dbt("run", *IN_ZONE, database=company) == ""

    assert method(company, MART) == "full"
    assert company.execute(
        f"select error_date, sum(errors)::bigint from analytics.{MART} "
        "group by 1 order by 1"
    ) == company.execute(
        "select (occurred_at at time zone %s)::date, count(*) "
        "from error_logs group by 1 order by 1",
        (ZONE,),
    )
    ((differences,),) = company.execute(
        f"select sum({SCHEMA}.verify(model)) from {SCHEMA}.models"
    )
    assert differences == 0


def test_a_run_that_would_leave_marts_of_two_zones_is_refused(
    project: DbtProject, company: Database
) -> None:
    refused = project.dbt("run", "--select", MART, *IN_ZONE, database=company)

    assert f"The marts are in UTC, and this run in {ZONE} leaves " in refused
    assert "build all models in one zone, as `make build` does" in refused
    assert "or set reporting_timezone to UTC" in refused
    refused = project.dbt("test", "--select", MART, *IN_ZONE, database=company)
    assert f"The marts are in UTC, and this run in {ZONE} would test them" in refused
    assert company.execute(f"select distinct zone from {SCHEMA}.models") == [("UTC",)]


def test_marts_that_a_build_left_in_two_zones_are_refreshed_by_a_whole_build_alone(
    project: DbtProject, company: Database
) -> None:
    company.execute(
        f"update {SCHEMA}.models set zone = %s, definition_hash = 'in that zone' "
        "where model = %s",
        (ZONE, MART),
    )
    both = f"he marts are in {ZONE} and UTC"

    with pytest.raises(RaiseException, match=both) as late:
        refresh(company)
    assert "`make build`" in str(late.value)
    refused = project.dbt("run", "--select", "fct_audit_daily", database=company)
    assert f"{both}, and this run in UTC leaves 1 of" in refused
    assert project.dbt("run", database=company) == ""
    assert company.execute(f"select distinct zone from {SCHEMA}.models") == [("UTC",)]


@pytest.mark.parametrize(
    "name",
    [
        *("UTC+3", "EST", "posix/Europe/Berlin", "Etc/GMT+3", "EST5EDT", ""),
        *("europe/berlin", "<+03>-3", "US/Eastern", "Europe/"),
        "Europe/Berlin'; drop table users; --",
    ],
)
def test_a_zone_that_is_not_utc_or_a_place_is_refused_before_anything_is_read(
    project: DbtProject, company: Database, name: str
) -> None:
    variables = json.dumps({"reporting_timezone": name})
    refused = project.dbt("parse", "--vars", variables, database=company)

    assert (
        "The variable reporting_timezone must be UTC or the IANA name of a place, "
        f"such as Europe/Berlin, not '{name}'." in refused
    )


def test_a_zone_that_the_server_does_not_know_is_refused(
    project: DbtProject, company: Database
) -> None:
    variables = "reporting_timezone: Europe/Nowhere"
    refused = project.dbt("run", "--vars", variables, database=company)

    assert "names Europe/Nowhere, which this server does not know" in refused


def test_every_unit_test_of_days_or_months_names_its_zone() -> None:
    """Else it fails in another zone, and with it what is built after its model."""
    unnamed = []
    for file in sorted((ROOT / "models").rglob("*.yml")):
        for test in (yaml.safe_load(file.read_text()) or {}).get("unit_tests", ()):
            (model,) = (ROOT / "models").rglob(f"{test['model']}.sql")
            variables = test.get("overrides", {}).get("vars", {})
            if re.search(r"reporting_(date|month|time|now)\(", model.read_text()) and (
                "reporting_timezone" not in variables
            ):
                unnamed.append(test["name"])
    assert unnamed == []
