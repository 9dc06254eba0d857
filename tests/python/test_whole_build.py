"""A whole build, as dbt's own role and with personal data in the source: what it makes,
who may read it, and what it must not show.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from psycopg2 import errors, sql

from saas_analytics import settings
from tests.python.personal_data import (
    marks_in_files,
    marks_in_tables,
    personal_columns,
    plant,
    rows_of_a_person,
)
from tests.python.resolution import walk
from tests.python.roles import PASSWORD, Stage, attempt, set_stage
from tests.python.support import ROOT, Database, dbt, refresh, run
from tests.python.test_properties import MARTS

# What the planted faults have to make fail.
FAILING = {
    "assert_affiliate_earnings_equal_counters",
    "affiliate_counter_mismatch",
}
WARNING = "assert_affiliate_ledger_is_reconciled"


@dataclass
class Build:
    """A database with all that was built in it, and what was left elsewhere."""

    stage: Stage
    transformer: Database
    analyst: Database
    folder: Path
    """dbt's target and logs, and what the commands printed."""
    marks: dict[tuple[str, str], set[str]]
    """The personal values in each table of the source and of dbt, before erasures."""
    command_lines: set[str] = field(default_factory=set)
    """Of every process below this one meanwhile."""

    def files(self) -> list[Path]:
        """All that was written."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def results(self, status: str) -> set[str]:
        """Names of the nodes that ended with a status."""
        results = json.loads((self.folder / "results.json").read_text())
        return {
            result["unique_id"].split(".")[2]
            for result in results["results"]
            if result["status"] == status
        }


@pytest.fixture(scope="module")
def build(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Everything, built by dbt as the transformer, and used as one would."""
    folder = tmp_path_factory.mktemp("build")
    target = folder / "build"
    with set_stage(server_url, "createrole") as stage:
        plant(stage.owner, rows_of_a_person())
        # A counter that was written to: a test fails, and none of them is skipped.
        stage.owner.execute(
            "update affiliates set total_earnings_cents = total_earnings_cents + 7, "
            "updated_at = '2026-03-02'"
        )
        made = stage.make_roles()
        made.check_returncode()
        transformer, analyst = map(stage.login, (stage.transformer, stage.analyst))
        build = Build(stage, transformer, analyst, folder, marks={})
        with watched(build.command_lines):
            printed = {
                "roles": made,
                "dbt build": dbt("build", database=transformer, target=target),
            }
            # Which the next command overwrites.
            (target / "run_results.json").rename(folder / "results.json")
            printed |= {
                "dbt docs": dbt(
                    *("docs", "generate", "--static"),
                    database=transformer,
                    target=target,
                ),
                "refresh": refresh(transformer, "--rebuild"),
                "expectations": judge(transformer, target),
                "tour": run("tour", env=analyst.environment()),
                "status": run("status", env=stage.environment()),
                "up": run("up", env=stage.environment()),
            }
        for name, result in printed.items():
            assert "Traceback" not in result.stderr, result.stderr
            (folder / f"{name}.out").write_text(result.stdout + result.stderr)
        build.marks |= marks_in_tables(
            stage.admin, ["public", *settings.load({}).dbt_schemas()]
        )
        yield build


def judge(database: Database, target: Path) -> subprocess.CompletedProcess[str]:
    """Run `saas expectations`, its page in a folder of the test's own."""
    return subprocess.run(
        [sys.executable, "-m", "saas_analytics", "expectations"],
        cwd=ROOT,
        env=database.environment(DBT_TARGET_PATH=str(target)),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@contextmanager
def watched(command_lines: set[str]) -> Iterator[None]:
    """Note the command lines of all processes below this one."""
    stopped = threading.Event()

    def watch() -> None:
        this = psutil.Process()
        while not stopped.wait(0.5):
            for child in this.children(recursive=True):
                try:
                    command_lines.add(" ".join(child.cmdline()))
                except psutil.Error:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


# --- The build, and who may do what ---------------------------------------------------


def test_dbt_builds_and_tests_everything_as_the_transformer(build: Build) -> None:
    assert build.results("error") == build.results("skipped") == set()
    # The faults that are planted, and no other.
    assert build.results("fail") == FAILING
    assert WARNING in build.results("warn")

    # The rows that are planted are few, and odd ones.
    judged = (build.folder / "expectations.out").read_text()
    assert "Open " in judged, judged

    filled = {schema for schema, _ in build.stage.relations("analytics%")}
    # Seeds, snapshots, every layer, failures of tests, and what runs remember.
    assert filled == set(settings.load({}).dbt_schemas())


def test_an_analyst_can_run_the_example_of_every_mart(build: Build) -> None:
    for name, mart in MARTS.items():
        _, example, _ = re.split("```(?:sql)?\n?", mart["description"])
        assert attempt(build.analyst, example) is None, name


def test_the_transformer_can_neither_write_the_source_nor_see_all_of_it_nor_grow(
    build: Build,
) -> None:
    refused = {
        statement: attempt(build.transformer, statement)
        for statement in (
            "insert into public.users (email, password_hash) values ('a', 'b')",
            "update public.users set email = ''",
            "delete from public.users",
            "truncate public.users",
            "drop table public.users",
            "create table public.mine ()",
            "create schema mine",
            "create role mine",
            "select email from public.users",
            "select * from public.users",
            "select whole from public.users as whole",
            "table public.usage_events",
            "select from public.usage_events_default",
        )
    }

    assert set(refused.values()) == {errors.InsufficientPrivilege}, refused


def test_an_analyst_reads_every_mart_and_nothing_else(
    build: Build,
) -> None:
    stage = build.stage
    marts = stage.relations("analytics")
    assert len(marts) > 10

    assert stage.allowed(stage.analyst, "select") == marts
    assert stage.allowed(stage.analyst, "insert, update, delete, truncate") == set()
    created = stage.admin.execute(
        "select nspname from pg_namespace where nspname not like 'pg\\_temp%%' "
        "and has_schema_privilege(%s, oid, 'create')",
        (stage.analyst,),
    )
    assert created == []

    # And so it is for one who logs in.
    for schema, name in marts:
        assert attempt(build.analyst, f"select count(*) from {schema}.{name}") is None
    for statement in (
        "select from public.users",
        "select from public.usage_events_default",
        "select from analytics_staging.stg_saas__users",
        "select from analytics_seeds.currencies",
        "create table analytics_refresh.mine ()",
        "select from public.change_tombstones",
        "select public.clear_change_tombstones()",
        "create table analytics.mine ()",
        "create table public.mine ()",
        "create schema mine",
        "select public.aggregate_daily_usage(date '2026-01-01')",
        "select public.create_event_partitions(date '2031-01-01', date '2031-01-01')",
    ):
        assert attempt(build.analyst, statement) is errors.InsufficientPrivilege, (
            statement
        )


def test_no_lesser_role_can_change_what_a_build_runs(build: Build) -> None:
    stage = build.stage
    ((owner,),) = stage.owner.execute("select current_user::text")
    marts = dict.fromkeys(settings.load({}).dbt_schemas(), stage.transformer)
    with closing(stage.admin.connect()) as connection, connection.cursor() as cursor:
        assert walk(cursor, {"public": owner, **marts}) == []


def test_what_runs_as_its_owner_is_called_by_triggers_or_by_erasures(
    build: Build,
) -> None:
    definers = build.stage.admin.execute(
        "select pg_proc.oid::regprocedure::text, prorettype = 'trigger'::regtype, "
        "has_function_privilege('public', pg_proc.oid, 'execute') from pg_proc "
        "inner join pg_namespace on pronamespace = pg_namespace.oid "
        "where prosecdef and nspname <> 'information_schema' "
        "and nspname not like 'pg\\_%%'"
    )
    assert sorted(definers) == [
        ("forget_erasures(xid8)", False, False),
        ("note_erasure(uuid[])", False, False),
        ("record_change()", True, False),
    ]


# --- What is not shown ----------------------------------------------------------------


def test_no_personal_data_is_in_any_table_of_a_build(build: Build) -> None:
    """Rows of failed tests included."""
    filled = {
        name
        for _, name in build.stage.relations("analytics_test_failures")
        if build.stage.admin.execute(
            sql.SQL("select exists (select from {})").format(
                sql.Identifier("analytics_test_failures", name)
            )
        )
        == [(True,)]
    }
    # Data-quality findings alone keep their rows.
    assert {"affiliate_counter_mismatch", WARNING} <= filled

    assert ("public", "users") in build.marks
    assert {schema for schema, _ in build.marks} == {"public"}


def test_no_table_of_a_build_has_a_column_for_personal_data(build: Build) -> None:
    """Also those of tests that have never failed."""
    names = {
        column
        for columns in personal_columns(build.stage.admin).values()
        for column in columns
    }
    # So a team's is called, and many a harmless thing.
    names.remove("name")
    assert {"email", "ip_address", "metadata", "error_message"} <= names

    found = build.stage.admin.execute(
        "select attrelid::regclass::text, attname::text from pg_attribute "
        "inner join pg_class on attrelid = pg_class.oid "
        "inner join pg_namespace on relnamespace = pg_namespace.oid "
        "where nspname = any (%s) and relkind in ('r', 'p', 'v', 'm') "
        "and attname = any (%s)",
        (settings.load({}).dbt_schemas(), list(names)),
    )
    assert found == []


def test_no_personal_data_is_in_anything_that_is_written(build: Build) -> None:
    names = {path.name for path in build.files()}
    assert {"dbt.log", "manifest.json", "results.json", "catalog.json"} <= names
    assert {"static_index.html", "dbt build.out", "tour.out", "refresh.out"} <= names
    assert {"expectations.html", "expectations.out"} <= names

    assert marks_in_files(build.files()) == {}


def test_no_password_is_in_anything_that_is_written_or_run(build: Build) -> None:
    telling = [
        path.name for path in build.files() if PASSWORD.encode() in path.read_bytes()
    ]

    assert telling == []
    assert any("dbt" in line for line in build.command_lines)
    assert any("bootstrap" in line for line in build.command_lines)
    assert any("expectations" in line for line in build.command_lines)
    assert [line for line in build.command_lines if PASSWORD in line] == []
    assert build.stage.admin.execute(
        "select count(*) from pg_stat_activity where query like %s and pid <> "
        "pg_backend_pid()",
        (f"%{PASSWORD}%",),
    ) == [(0,)]


def test_no_personal_data_is_in_the_traces_of_what_is_gone(build: Build) -> None:
    for statement in (
        "update usage_events set occurred_at = occurred_at - interval '1 day'",
        "delete from teams",
        "delete from users",
    ):
        build.stage.owner.execute(statement)
    verified = refresh(build.transformer, "--verify")
    verified.check_returncode()
    assert ", each equals its select, " in verified.stdout

    traces = build.stage.admin.execute(
        "select distinct table_name from change_tombstones"
    )
    assert {("usage_events",), ("users",), ("subscriptions",)} <= set(traces)
    found = marks_in_tables(build.stage.admin, ["public", "analytics_refresh"])
    assert ("public", "usage_events") in found
    assert {table for _, table in found if table.startswith("change_")} == set()
    assert {table for schema, table in found if schema != "public"} == set()
