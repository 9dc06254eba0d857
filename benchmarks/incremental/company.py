"""A generated company in a scratch database, with its marts."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from benchmarks import server
from bootstrap import partitions
from saas_analytics import project
from saas_analytics.urls import build_url

FOLDER = Path(__file__).resolve().parent

EVENTS_A_DAY = 13_700
USERS = 10_000

# Of the history and of what is added to it, by up to 30 days.
LATE_HISTORY = 0.01
LATE_CHANGE = 0.1

PARTS = ("usage_events", "other_events", "ledger")
EVENTS_A_CALL = 200_000


@dataclass
class Company:
    """The generated history in the source tables."""

    dsn: str
    connection: Connection
    events: int = 0

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Run statements in one transaction. Returns the rows of the last one."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def live_on(self, events: int) -> None:
        """Add events after the present ones, some of them late."""
        for part in PARTS:
            _add(self.connection, part, self.events, self.events + events, LATE_CHANGE)
        self.events += events

    def settle(self) -> None:
        """Vacuum and analyze, as autovacuum does."""
        self.execute("vacuum (analyze)")
        self.execute("checkpoint")


def build(
    scratch: server.Server, events: int, users: int = USERS, more: int = 0
) -> Company:
    """A company of that many usage events up to now, in a new database.

    It has the partitions for later events and the usual months ahead, because each
    partition adds to the cost of a refresh.
    """
    dsn = scratch.create_database(f"company_{events}")
    server.apply_migrations(dsn)
    connection = server.connect(dsn)
    server.run_file(connection, FOLDER / "company.sql")
    company = Company(dsn, connection)
    days = events / EVENTS_A_DAY
    company.execute(
        "insert into made_up.clock values (date_trunc('day', now()) - %s * interval "
        "'1 day', %s)",
        (days, users),
    )
    # A month before the first event for late rows.
    company.execute(
        "select create_event_partitions("
        "(now() - %s * interval '1 day' - interval '32 days')::date, "
        "(now() + %s * interval '1 day' + %s * interval '1 month')::date)",
        (days, more / EVENTS_A_DAY, partitions.MONTHS_AHEAD),
    )
    _trust(connection)
    company.execute("call made_up.add_accounts()")
    calls = [
        (part, start, min(start + EVENTS_A_CALL, events))
        for start in range(0, events, EVENTS_A_CALL)
        for part in PARTS
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda call: _load(dsn, *call), calls))
    company.events = events
    company.settle()
    return company


def _load(dsn: str, part: str, start: int, stop: int) -> None:
    with contextlib.closing(server.connect(dsn)) as connection:
        _trust(connection)
        _add(connection, part, start, stop, LATE_HISTORY)


def _trust(connection: Connection) -> None:
    """Generate rows without checking each foreign key."""
    with connection.cursor() as cursor:
        cursor.execute("set session_replication_role = replica")
        cursor.execute("set synchronous_commit = off")


def _add(connection: Connection, part: str, start: int, stop: int, late: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"call made_up.add_{part}(%s, %s, %s)", (start, stop, late))


def run_project(
    company: Company, *command: str, root: Path | None = None, **environment: str
) -> float:
    """The seconds of a command of the project on the company's database."""
    parameters = parse_dsn(company.dsn)
    url = build_url(
        host=parameters.get("host", "localhost"),
        port=int(parameters.get("port", 5432)),
        database=parameters["dbname"],
        user=parameters.get("user"),
        password=parameters.get("password"),
    )
    programs = Path(sys.executable).parent
    with tempfile.TemporaryDirectory(prefix="saas-benchmark-") as folder:
        began = time.perf_counter()
        result = subprocess.run(
            [str(programs / command[0]), *command[1:]],
            cwd=root or project.root(),
            env={
                **os.environ,
                "DATABASE_URL": url,
                "DBT_LOG_PATH": folder,
                "PYTHONPATH": str(project.root()),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        elapsed = time.perf_counter() - began
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stdout[-4000:]}")
    return elapsed
