"""A run takes no longer than it may, and ends with its client."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saas_analytics.database import limits
from tests.python.support import DBT, ROOT, Database, refresh, refusal
from tests.python.workload import SCHEMA

MART = "fct_errors_daily"
VIEW = "analytics_staging.stg_saas__error_logs"

# The server looks for its client now and then, on a machine that is busy.
PATIENCE = limits.CLIENT_CHECK_SECONDS + 25


@pytest.fixture
def slow(marts: Database) -> Database:
    """Marts whose next run reads a view that takes about a second for each row."""
    ((definition,),) = marts.execute("select pg_get_viewdef(%s::regclass)", (VIEW,))
    assert definition.count("WHERE ") == 1
    # A view that calls pg_sleep() would be refused.
    work = "md5(repeat(md5(error_type), 10000000)) is not null"
    slow = definition.replace("WHERE ", f"WHERE {work} and ")
    marts.execute(f"create or replace view {VIEW} as {slow}")
    return marts


def running(database: Database) -> list[int]:
    """The server processes that have been in one statement for seconds."""
    rows = database.execute(
        "select pid from pg_stat_activity where datname = current_database() "
        "and state = 'active' and backend_type = 'client backend' "
        "and clock_timestamp() - query_start > interval '3 seconds'"
    )
    return [pid for (pid,) in rows]


def wait_for(database: Database, is_running: bool, seconds: float) -> float:
    """Return how long it took until something runs for long, or nothing does."""
    started = time.monotonic()
    while bool(running(database)) != is_running:
        assert time.monotonic() - started < seconds
        time.sleep(0.1)
    return time.monotonic() - started


def start(
    database: Database, command: list[str], target: Path
) -> subprocess.Popen[str]:
    """Start a command that will be busy in the database."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=database.environment(DBT_TARGET_PATH=str(target), DBT_LOG_PATH=str(target)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


REFRESH = [sys.executable, "-m", "refresh", MART]
# A changed view is replaced before a model reads it: the model alone is run.
BUILD = [str(DBT), "run", "--select", MART]


@pytest.mark.parametrize("command", [REFRESH, BUILD], ids=["refresh", "dbt"])
def test_a_statement_ends_with_a_client_that_is_killed(
    slow: Database, command: list[str], tmp_path: Path
) -> None:
    with start(slow, command, tmp_path) as process:
        wait_for(slow, True, 120)
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(slow, False, PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_refresh_that_is_told_to_end_cancels_its_statement(
    slow: Database, number: signal.Signals, tmp_path: Path
) -> None:
    with start(slow, REFRESH, tmp_path) as process:
        wait_for(slow, True, 120)
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said == "error: interrupted: unfinished changes were rolled back\n"
    wait_for(slow, False, limits.CLIENT_CHECK_SECONDS)


def test_a_refresh_that_takes_longer_than_it_may_says_so_in_one_line(
    slow: Database,
) -> None:
    before = slow.execute(f"select * from {SCHEMA}.models order by model")
    said = refusal(refresh(slow, MART, "--timeout", "1"))
    assert "statement timeout" in said
    assert "--timeout or REFRESH_TIMEOUT" in said
    assert slow.execute(f"select * from {SCHEMA}.models order by model") == before


def test_a_build_that_takes_longer_than_it_may_says_so(
    slow: Database, tmp_path: Path
) -> None:
    result = subprocess.run(
        BUILD,
        cwd=ROOT,
        env=slow.environment(
            DBT_TARGET_PATH=str(tmp_path),
            DBT_LOG_PATH=str(tmp_path),
            REFRESH_TIMEOUT="1",
        ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 1
    assert "statement timeout" in result.stdout


@pytest.mark.parametrize("value", ["soon", "99999999999"])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(
    value: str, marts: Database
) -> None:
    result = subprocess.run(
        REFRESH,
        cwd=ROOT,
        env=marts.environment(REFRESH_TIMEOUT=value),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "REFRESH_TIMEOUT is not a number of seconds" in refusal(result)


def test_a_shorter_timeout_of_the_server_stays(marts: Database) -> None:
    name = marts.execute("select current_database()")[0][0]
    marts.execute(f"alter database {name} set statement_timeout = '1234ms'")
    connection = marts.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(limits.statements(connection, 60))
        cursor.execute("show statement_timeout")
        assert cursor.fetchone() == ("1234ms",)
        cursor.execute("show client_connection_check_interval")
        assert cursor.fetchone() == (f"{limits.CLIENT_CHECK_SECONDS}s",)
    connection.close()
