"""Through a pooler that gives each transaction another session, among busy clients.

A command works there, or is refused in one line; none leaves anything in a session that
another client gets next.
"""

import os
import pwd
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from bootstrap import migrate
from saas_analytics.server import programs
from saas_analytics.urls import build_url
from tests.python.servers import server_folder
from tests.python.support import Database, dbt, refresh, refusal, run

PROGRAM = "/usr/sbin/pgbouncer"
SESSIONS = 4

# What a session has that its transactions did not bring, except what a pooler sets.
LEFT = """
    select name || ' = ' || setting from pg_settings
    where source = 'session' and name not in (
        'application_name', 'client_encoding', 'DateStyle', 'TimeZone',
        'standard_conforming_strings'
    )
    union all
    select 'an advisory lock' from pg_locks
    where locktype = 'advisory' and pid = pg_backend_pid()
    union all
    select 'temporary ' || relname from pg_class where relpersistence = 't'
    union all
    select 'prepared ' || name from pg_prepared_statements
    union all
    select 'channel ' || name from pg_listening_channels() as name
"""


@dataclass
class Pool:
    """A pooler before a database."""

    database: Database
    folder: Path

    def environment(self, **variables: str) -> dict[str, str]:
        """The environment of a program that goes through the pooler."""
        return Database(self.url).environment(**variables)

    @property
    def url(self) -> str:
        return build_url(
            host=str(self.folder),
            port=6432,
            database=parse_dsn(self.database.url)["dbname"],
            user="any_user",
        )


@dataclass
class Clients:
    """Other clients of the pooler, each with one short transaction after another."""

    found: set[str] = field(default_factory=set)
    transactions: int = 0


@contextmanager
def pool(database: Database, mode: str, ignored: str = "") -> Iterator[Pool]:
    """A pooler of four sessions in front of a database."""
    if not Path(PROGRAM).exists():
        if "CI" in os.environ:
            pytest.fail("CI must have Debian's pgbouncer (apt install pgbouncer)")
        pytest.skip("needs Debian's pgbouncer (apt install pgbouncer)")
    owner = programs.server_user() or pwd.getpwuid(os.geteuid())
    parameters = parse_dsn(database.url)
    target = " ".join(
        f"{name}='{parameters[name]}'"
        for name in ("host", "port", "dbname", "user", "password")
        if name in parameters
    )
    with server_folder() as folder:
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n{parameters['dbname']} = {target}\n"
            "[pgbouncer]\nlisten_port = 6432\nauth_type = any\n"
            f"unix_socket_dir = {folder}\npool_mode = {mode}\n"
            f"default_pool_size = {SESSIONS}\nmax_client_conn = 50\n"
            f"logfile = {folder}/log\nignore_startup_parameters = {ignored}\n"
        )
        if os.geteuid() == 0:
            shutil.chown(folder, owner.pw_uid, owner.pw_gid)
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        with subprocess.Popen(
            [PROGRAM, "--quiet", str(folder / "pgbouncer.ini")], cwd="/", **identity
        ) as process:
            try:
                made = Pool(database, folder)
                deadline = time.monotonic() + 300
                while not (folder / ".s.PGSQL.6432").exists():
                    assert process.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                yield made
            finally:
                process.terminate()
                process.wait(30)


@contextmanager
def busy_clients(pool: Pool) -> Iterator[Clients]:
    """Clients that look at what their sessions hold, as long as the block lasts."""
    clients, stop = Clients(), threading.Event()

    def work() -> None:
        with closing(psycopg2.connect(pool.url)) as connection:
            while not stop.is_set():
                with connection, connection.cursor() as cursor:
                    cursor.execute(LEFT)
                    clients.found.update(row for (row,) in cursor)
                clients.transactions += 1
                time.sleep(0.002)

    threads = [threading.Thread(target=work) for _ in range(SESSIONS)]
    for thread in threads:
        thread.start()
    try:
        yield clients
        # Whatever was left is in some session still.
        time.sleep(0.5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def application(empty_database: Database) -> Database:
    """A database whose source tables are in the schema `app`."""
    env = empty_database.environment(DB_SCHEMA="app")
    run("migrate", env=env).check_returncode()
    return empty_database


def test_every_command_works_through_a_pooler_and_leaves_nothing_in_its_sessions(
    application: Database,
) -> None:
    with pool(application, "transaction") as pooled, busy_clients(pooled) as clients:
        env = pooled.environment(DB_SCHEMA="app")
        for line in (
            "demo --scale 0.01",
            "demo --if-empty",
            "status",
            "up --migrated --build",
            "url",
            "erase-user 0f8fad5b-d9cb-469f-a165-70867728950e",
            "capture users role",
        ):
            result = run(*line.split(), env=env)
            expected = 1 if line.startswith("erase-user") else 0
            assert result.returncode == expected, f"{line}: {result.stderr}"
            if expected:
                assert "there is no user" in result.stderr
        ((user,),) = application.execute("select id::text from app.users limit 1")
        run("erase-user", user, env=env).check_returncode()
        for months in range(4, 10):
            result = run("partitions", "--ahead", str(months), env=env)
            assert result.stdout.startswith("4 partitions created."), result.stderr

    assert clients.transactions > 100
    assert clients.found == set()


def test_a_refresh_works_through_a_pooler_and_leaves_nothing_in_its_sessions(
    marts: Database,
) -> None:
    with pool(marts, "transaction") as pooled, busy_clients(pooled) as clients:
        for _ in range(3):
            marts.execute(
                "update usage_events set user_id = null where id in "
                "(select id from usage_events where user_id is not null limit 20)"
            )
            result = refresh(Database(pooled.url), "--verify")
            assert result.returncode == 0, result.stderr
            assert "each equals its select" in result.stdout

    assert clients.found == set()


@pytest.mark.parametrize("ignored", ["", "options"])
def test_dbt_through_a_pooler_refuses_a_search_path_that_others_create_in(
    marts: Database, tmp_path: Path, ignored: str
) -> None:
    marts.execute("create role planter login; grant create on schema public to planter")
    try:
        with pool(marts, "transaction", ignored) as pooled:
            through = Database(pooled.url)
            build = ("build", "--select", "dim_currencies")

            refused = dbt(*build, database=through, target=tmp_path)

            assert refused.returncode == 1
            assert refused.stderr.startswith("error: the pooler drops the option ")
            assert 'role "planter" may create in schema "public"' in refused.stderr
            assert len(refused.stderr.splitlines()) == 1
            marts.execute("revoke create on schema public from planter")
            built = dbt(*build, database=through, target=tmp_path)
            assert built.returncode == 0, built.stdout[-3000:] + built.stderr
    finally:
        marts.execute("drop owned by planter; drop role planter")


@pytest.mark.parametrize("command", ["migrate", "rollback base --yes", "stamp"])
def test_a_migration_through_a_pooler_that_shares_sessions_is_refused(
    database: Database, command: str
) -> None:
    with pool(database, "transaction") as pooled:
        quiet = refusal(run(*command.split(), env=pooled.environment()))
        with busy_clients(pooled) as clients:
            busy = refusal(run(*command.split(), env=pooled.environment()))

    for message in (quiet, busy):
        assert f"{pooled.folder} is a pooler in transaction mode" in message
        assert "OWNER_DATABASE_URL" in message
    assert clients.found == set()
    revisions = database.execute(f"select count(*) from {migrate.CHECKSUM_TABLE}")
    assert revisions == [(len(migrate.revisions()),)]


def test_a_pooler_that_shares_no_session_is_taken_for_the_server(
    empty_database: Database,
) -> None:
    with pool(empty_database, "session") as pooled:
        for command in ("migrate", "partitions", "rollback base", "migrate"):
            result = run(*command.split(), env=pooled.environment(DB_SCHEMA="app"))
            assert result.returncode == 0, f"{command}: {result.stderr}"


def test_an_option_that_a_pooler_refuses_is_one_line(database: Database) -> None:
    with pool(database, "transaction") as pooled:
        options = Database(f"{pooled.url}&options=-c%20jit%3Doff")

        message = refusal(run("status", env=options.environment()))

    assert "the pooler at" in message
    assert "unsupported startup parameter: options" in message
