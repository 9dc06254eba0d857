"""Whatever breaks a run: marts stay whole, and the next run repairs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import psycopg2
import pytest

from saas_analytics.server.embedded import EmbeddedServer
from tests.python.servers import kill_9
from tests.python.support import (
    DBT,
    ROOT,
    Database,
    DbtProject,
    new_database,
    refresh,
    refusal,
    run,
)
from tests.python.workload import SCHEMA

MART = "fct_errors_daily"
SELECT = f"models/marts/operations/{MART}.sql"

# As the server says it, libpq, or dbt, which by then asks the next thing of it.
LOST = (
    "terminating connection due to administrator command"
    "|server closed the connection unexpectedly|Connection refused"
)

ADD_ERRORS = """
insert into error_logs (error_type, error_message, severity, occurred_at)
select 'type ' || number % {types}, 'x', 'error',
    timestamptz '2026-03-01 00:00+00' + number * interval '1 minute'
from generate_series(1, {count}) as number
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project, parsed once."""
    folder = tmp_path_factory.mktemp("faults")
    return DbtProject.copy(folder, domains=("operations", "usage"))


# One name in all tests: with another one dbt would parse the whole project again.
NAME = "saas_faults"


@pytest.fixture(scope="module")
def template(doomed_server: EmbeddedServer, project: DbtProject) -> str:
    """Name of a database of a company that has errors, and one mart."""
    url = doomed_server.url("postgres")
    with new_database(url, name=NAME) as made:
        run("migrate", env=made.environment()).check_returncode()
        made.execute(ADD_ERRORS.format(types=3, count=500))
        assert project.dbt("run", "--select", f"+{MART}", database=made) == ""
        with new_database(url, template=NAME, name=f"{NAME}_template", keep=True):
            return f"{NAME}_template"


@pytest.fixture
def company(doomed_server: EmbeddedServer, template: str) -> Iterator[Database]:
    """The company, on a server that no other test needs."""
    doomed_server.start()
    url = doomed_server.url("postgres")
    with new_database(url, template=template, name=NAME) as made:
        yield made


def contents(company: Database) -> list[tuple[object, ...]]:
    return company.execute(f"select * from analytics.{MART} order by 1, 2, 3, 4")


def is_exact(company: Database) -> bool:
    return company.execute(f"select {SCHEMA}.verify(%s)", (MART,)) == [(0,)]


# --- In the middle of a run -----------------------------------------------------------


def dbt_run(project: DbtProject, company: Database) -> str:
    """What dbt complains of when it runs the mart."""
    return project.dbt("run", "--select", MART, database=company)


def refresh_run(_: DbtProject, company: Database) -> str:
    """What a refresh complains of."""
    result = refresh(company)
    return "" if result.returncode == 0 else refusal(result)


Runner = Callable[[DbtProject, Database], str]

RUNNERS = pytest.mark.parametrize("runner", [dbt_run, refresh_run])


@contextmanager
def mart_held(company: Database) -> Iterator[None]:
    """Runs come to where they write to the mart, and no further."""
    with closing(company.connect()) as holding:
        holding.cursor().execute(f"lock table analytics.{MART} in share mode")
        yield


def wait_for_run(company: Database, is_alive: Callable[[], bool]) -> int:
    """Return when a run is about to write; its server process."""
    waiting = (
        "select pid from pg_locks where not granted "
        f"and relation = 'analytics.{MART}'::regclass"
    )
    deadline = time.monotonic() + 300
    while not (found := company.execute(waiting)):
        assert is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(found[0][0])


def broken_off(
    runner: Runner,
    project: DbtProject,
    company: Database,
    break_off: Callable[[int], object],
) -> str:
    """What a run complains of that is broken off as it is about to write."""
    said: list[str] = []
    with suppress(psycopg2.Error), mart_held(company):
        running = threading.Thread(target=lambda: said.append(runner(project, company)))
        running.start()
        break_off(wait_for_run(company, running.is_alive))
        running.join()
    return said[0]


def mend(runner: Runner, project: DbtProject, company: Database) -> None:
    """Run again, which must apply what the broken run could not."""
    before = contents(company)
    assert runner(project, company) == ""
    assert contents(company) != before
    assert is_exact(company)


@RUNNERS
def test_a_run_whose_connection_is_cut_changes_nothing_and_says_so(
    project: DbtProject, company: Database, runner: Runner
) -> None:
    before = contents(company)
    company.execute(ADD_ERRORS.format(types=5, count=100))

    said = broken_off(
        runner,
        project,
        company,
        lambda pid: company.execute("select pg_terminate_backend(%s)", (pid,)),
    )

    assert re.search(LOST, said)
    assert contents(company) == before
    mend(runner, project, company)


@RUNNERS
def test_a_run_whose_server_is_killed_changes_nothing_and_says_so(
    doomed_server: EmbeddedServer,
    project: DbtProject,
    company: Database,
    runner: Runner,
) -> None:
    before = contents(company)
    company.execute(ADD_ERRORS.format(types=5, count=100))

    said = broken_off(runner, project, company, lambda _: kill_9(doomed_server))

    assert re.search(LOST, said)
    doomed_server.start()
    assert contents(company) == before
    mend(runner, project, company)


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "refresh"],
        [str(DBT), "run", "--select", MART],
    ],
    ids=["refresh", "dbt"],
)
def test_a_run_that_is_killed_changes_nothing_and_leaves_nothing_running(
    project: DbtProject, company: Database, command: list[str]
) -> None:
    before = contents(company)
    company.execute(ADD_ERRORS.format(types=5, count=100))

    with (
        mart_held(company),
        subprocess.Popen(
            command,
            cwd=project.root,
            env=company.environment(PYTHONPATH=str(ROOT)),
            stdout=subprocess.DEVNULL,
        ) as process,
    ):
        pid = wait_for_run(company, lambda: process.poll() is None)
        process.kill()

    deadline = time.monotonic() + 300
    alive = "select from pg_stat_activity where pid = %s"
    while company.execute(alive, (pid,)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert contents(company) == before
    mend(refresh_run, project, company)


@pytest.mark.parametrize(
    ("runner", "setting"),
    # How long a refresh waits for a lock is its own setting: test_refresh_exact.py.
    [(refresh_run, "statement_timeout"), (dbt_run, "lock_timeout")],
)
def test_a_run_that_waits_longer_than_it_may_says_so(
    project: DbtProject, company: Database, runner: Runner, setting: str
) -> None:
    before = contents(company)
    company.execute(ADD_ERRORS.format(types=5, count=100))
    company.execute(f"alter database {NAME} set {setting} = '1s'")

    said = broken_off(runner, project, company, lambda _: None)

    assert f"canceling statement due to {setting.replace('_', ' ')}" in said
    assert contents(company) == before
    company.execute(f"alter database {NAME} reset {setting}")
    mend(runner, project, company)


def test_a_run_that_fills_the_disk_changes_nothing_and_says_so(
    doomed_server: EmbeddedServer, project: DbtProject, company: Database
) -> None:
    disk = doomed_server.folder.parent
    if not os.path.ismount(disk):
        pytest.skip("only root, where it may mount, has a disk to fill")
    before = contents(company)
    company.execute(ADD_ERRORS.format(types=20_000, count=20_000))
    company.execute("checkpoint")
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - 300_000))
    try:
        said = refresh_run(project, company)
    finally:
        filler.unlink()

    assert "No space left on device" in said
    assert contents(company) == before
    mend(refresh_run, project, company)


def test_dbt_and_a_refresh_at_once_queue_up(
    project: DbtProject, company: Database
) -> None:
    company.execute(ADD_ERRORS.format(types=5, count=100))
    said: list[str] = []

    def start(runner: Runner) -> threading.Thread:
        thread = threading.Thread(target=lambda: said.append(runner(project, company)))
        thread.start()
        return thread

    with mart_held(company):
        threads = [start(runner) for runner in (dbt_run, refresh_run)]
        wait_for_run(company, threads[0].is_alive)
    for thread in threads:
        thread.join()
    assert said == ["", ""]
    assert is_exact(company)


def test_a_clock_that_was_set_back_leaves_marts_exact(
    project: DbtProject, company: Database
) -> None:
    """What a run noted of a later time than now misleads no other run."""
    company.execute(
        f"update {SCHEMA}.models set day = day + 3; "
        f"update {SCHEMA}.runs set refreshed_at = refreshed_at + interval '3 days'"
    )
    company.execute(ADD_ERRORS.format(types=5, count=100))
    mend(refresh_run, project, company)


# --- The source changes its shape -----------------------------------------------------


def test_a_new_column_of_the_source_changes_nothing(
    project: DbtProject, company: Database
) -> None:
    company.execute("alter table error_logs add column region text default 'eu'")
    company.execute(ADD_ERRORS.format(types=5, count=100))
    mend(refresh_run, project, company)


def test_a_renamed_column_is_named_and_the_marts_stay(
    project: DbtProject, company: Database
) -> None:
    before = contents(company)
    company.execute("alter table error_logs rename column severity to gravity")

    said = project.dbt("run", "--select", f"+{MART}", database=company)

    assert 'column "severity" does not exist' in said
    assert contents(company) == before
    # Views follow the column: a refresh goes on until the project has caught up.
    company.execute(
        ADD_ERRORS.format(types=5, count=100).replace("severity", "gravity"),
    )
    mend(refresh_run, project, company)
    company.execute("alter table error_logs rename column gravity to severity")
    assert project.dbt("run", "--select", f"+{MART}", database=company) == ""


def test_a_column_that_marts_read_keeps_its_type(
    project: DbtProject, company: Database
) -> None:
    """Unless the trigger and the staging view that read it are made again."""
    retype = "alter table error_logs alter column severity type text"
    with pytest.raises(
        psycopg2.errors.FeatureNotSupported, match=r"trigger definition|view or rule"
    ):
        company.execute(retype)

    trigger = "error_logs_moved"
    ((definition,),) = company.execute(
        "select pg_get_triggerdef(oid) from pg_trigger where tgname = %s "
        "and tgrelid = 'error_logs'::regclass",
        (trigger,),
    )
    company.execute(
        "drop view analytics_staging.stg_saas__error_logs; "
        f"drop trigger {trigger} on error_logs; {retype}; {definition}; "
        f"alter table error_logs enable always trigger {trigger}"
    )
    assert company.execute(
        "select bool_and(tgenabled = 'A') from pg_trigger "
        "where tgrelid = 'error_logs'::regclass and not tgisinternal"
    ) == [(True,)]
    company.execute(ADD_ERRORS.format(types=5, count=100))
    assert "`make build`" in refusal(refresh(company))

    assert project.dbt("run", "--select", f"+{MART}", database=company) == ""
    assert is_exact(company)


def test_a_missing_table_is_named_and_the_marts_stay(
    project: DbtProject, company: Database
) -> None:
    before = contents(company)
    company.execute("drop table error_logs cascade")

    said = project.dbt("run", "--select", f"+{MART}", database=company)

    assert "The source tables are not there (public.error_logs)" in said
    assert '"public"."error_logs" is not there: ' in refusal(refresh(company))
    assert contents(company) == before


# --- A model fails --------------------------------------------------------------------


def test_a_model_that_fails_keeps_its_rows_and_holds_up_what_reads_it_alone(
    project: DbtProject, company: Database
) -> None:
    before = contents(company)
    company.execute(ADD_ERRORS.format(types=5, count=100))
    folder = "models/marts/operations"
    own = '{{ config(contract={"enforced": false}, access="private") }}'
    with (
        project.altered(SELECT, {"count(*) as errors": "count(*) / 0 as errors"}),
        project.added(
            f"{folder}/fct_reader.sql", f"{own} select * from {{{{ ref('{MART}') }}}}"
        ),
        project.added(f"{folder}/fct_other.sql", f"{own} select 1 as one"),
    ):
        said = project.dbt(
            *("run", "--select", f"{MART}+", "fct_other"), database=company
        )
        assert "division by zero" in said
        assert company.execute(
            "select to_regclass('analytics.fct_reader') is null, "
            "to_regclass('analytics.fct_other') is null"
        ) == [(True, False)]
        assert contents(company) == before
    mend(dbt_run, project, company)
