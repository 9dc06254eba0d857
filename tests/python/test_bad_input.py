"""Bad input and bad luck: one line that names what is wrong, and nothing half done."""

import contextlib
import os
import re
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg2 import sql
from psycopg2.extensions import parse_dsn

from bootstrap import migrate
from saas_analytics.errors import UserError
from saas_analytics.server import programs
from saas_analytics.server.embedded import EmbeddedServer
from tests.python.servers import kill_9
from tests.python.support import (
    ROOT,
    Database,
    DbtProject,
    command,
    copy_project,
    environment,
    refusal,
    run,
    with_database,
    with_login,
)

NOWHERE = environment(DATABASE_URL="postgresql://ada:s3cret@localhost:1/saas")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, to be spoilt."""
    return copy_project(tmp_path)


def put(project: Path, revision: str, statement: str, *, before: str) -> None:
    """Put a statement into a copied migration."""
    path = project / "bootstrap" / "migrations" / f"{revision}.sql"
    content = path.read_text()
    assert before in content
    path.write_text(content.replace(before, f"{statement}\n{before}", 1))


def relations(database: Database) -> set[str]:
    rows = database.execute(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
    )
    return {name for (name,) in rows}


def applied(database: Database) -> list[str]:
    with contextlib.closing(database.connect()) as connection:
        states = migrate.states(connection, "public")
    return [state.revision for state in states if state.is_applied]


# --- The command line -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["migrat"], "'migrat'"),
        (["up", "--fast"], "--fast"),
        (["migrate", "head", "head"], "unexpected extra argument"),
        (["partitions", "--ahead", "many"], "'many'"),
        (["partitions", "--ahead", "-1"], "-1"),
        (["partitions", "--keep-tombstones", "-1"], "-1"),
        (["demo", "--until", "yesterday"], "'yesterday'"),
    ],
)
def test_a_command_line_that_makes_no_sense_exits_2(
    arguments: list[str], named: str
) -> None:
    message = refusal(run(*arguments, env=NOWHERE), code=2)

    assert named in message
    assert "--help" in message


# --- Settings -------------------------------------------------------------------------


def test_a_malformed_url_is_refused_before_anything_is_done() -> None:
    env = environment(DATABASE_URL="postgresql://ada:s3cret@host:port/saas")

    for subcommand in ("url", "migrate", "roles"):
        message = refusal(run(subcommand, env=env))
        assert "DATABASE_URL has no usable port" in message
        assert "s3cret" not in message


def test_make_demo_says_it_in_one_line_too() -> None:
    stamp = ".venv/.installed-runtime"
    if subprocess.run(["make", "--question", stamp], cwd=ROOT).returncode:
        pytest.skip(f"{stamp} is not up to date: `make test` sees to that")

    result = subprocess.run(
        ["make", "demo"],
        cwd=ROOT,
        env=environment(DATABASE_URL="nonsense"),
        capture_output=True,
        text=True,
    )

    assert result.returncode != 0
    first, *others = result.stderr.splitlines()
    assert first.startswith("error: DATABASE_URL is not a PostgreSQL URL")
    # Below `make test` it calls itself make[1].
    assert all(re.match(r"make(\[\d+\])?: \*\*\*", line) for line in others)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"DB_NAME=saas\n\nhello, world s3cret\n", "line 3"),
        (b"DATABASE_URL\n", "line 1"),
        (b"DB_PASSWORD='s3cret\n", "line 1"),
        (b"DB_PASSWORD=\xff\xfes3cret\n", "not UTF-8"),
        (None, "Is a directory"),
    ],
)
def test_an_env_file_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, named: str
) -> None:
    monkeypatch.setattr("saas_analytics.project.root", lambda: tmp_path)
    if content is None:
        (tmp_path / ".env").mkdir()
    else:
        (tmp_path / ".env").write_bytes(content)
        (tmp_path / ".env").chmod(0o600)

    message = refusal(run("url", env=environment()))

    assert message.startswith(".env ")
    assert named in message
    assert "s3cret" not in message


# --- Servers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql://ada:s3cret@localhost:1/saas", "localhost:1 (Connection refused"),
        ("postgresql://ada:s3cret@no-such-host.invalid/saas", "no-such-host.invalid"),
        ("postgresql://ada:s3cret@/saas?host=/no/such", "/no/such/.s.PGSQL.5432"),
    ],
)
def test_a_server_that_does_not_answer_is_named(url: str, named: str) -> None:
    message = refusal(run("migrate", env=environment(DATABASE_URL=url)))

    assert message.startswith("no PostgreSQL server answers at ")
    assert named in message
    assert "s3cret" not in message


class _OldServer(socketserver.StreamRequestHandler):
    """Greets like PostgreSQL 13, and that is all it does."""

    def handle(self) -> None:
        while True:
            (length,) = struct.unpack(">I", self.rfile.read(4))
            (code,) = struct.unpack(">I", self.rfile.read(length - 4)[:4])
            if code >> 16 == 3:
                break
            # A request for encryption.
            self.wfile.write(b"N")
        self._send(b"R", struct.pack(">I", 0))
        for name, value in {
            "server_version": "13.4",
            "server_encoding": "UTF8",
            "client_encoding": "UTF8",
            "DateStyle": "ISO, MDY",
            "standard_conforming_strings": "on",
        }.items():
            self._send(b"S", f"{name}\0{value}\0".encode())
        self._send(b"Z", b"I")
        self.rfile.read()

    def _send(self, kind: bytes, content: bytes) -> None:
        self.wfile.write(kind + struct.pack(">I", len(content) + 4) + content)


def test_a_server_that_is_too_old_is_refused() -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), _OldServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"postgresql://ada@127.0.0.1:{server.server_address[1]}/saas"

        message = refusal(run("migrate", env=environment(DATABASE_URL=url)))
        server.shutdown()

    assert message == (
        "the server is PostgreSQL 13: name a server of version 14 or later in "
        "DATABASE_URL"
    )


def test_something_else_that_listens_there_is_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"postgresql://ada@127.0.0.1:{listener.getsockname()[1]}/saas"

        def hang_up() -> None:
            for _ in range(5):
                with contextlib.suppress(OSError):
                    listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        message = refusal(run("up", env=environment(DATABASE_URL=url)))

    assert message.startswith("no PostgreSQL server answers at 127.0.0.1:")


def test_a_database_or_a_user_that_is_not_there_is_named(server_url: str) -> None:
    for url, named in (
        (with_database(server_url, "no_such_database"), "createdb no_such_database"),
        (with_login(server_url, "no_such_user", "x"), "no_such_user"),
    ):
        message = refusal(run("migrate", env=environment(DATABASE_URL=url)))
        assert named in message
        assert re.search("there is no database|DB_USER|DB_PASSWORD", message)


# --- Privileges -----------------------------------------------------------------------


@pytest.fixture
def guest(server_url: str) -> Iterator[str]:
    """A user who may do nothing but log in."""
    name = f"guest_{uuid.uuid4().hex[:8]}"
    server = Database(server_url)
    server.execute(f"create role {name} login password 'x'")
    yield name
    server.execute(f"drop role {name}")


@dataclass(frozen=True)
class Unusable:
    """A database that a command can't use, and what it says; {} is the guest."""

    setup: str
    command: str
    named: tuple[str, ...]
    schema: str = ""


NO_TABLES = ('grant create on schema "public" to "{}"',)
NO_SCHEMA = ('schema "elsewhere" does not exist', 'to "{}"')
NO_ENTRY = ("grant connect on database ", ' to "{}"')


@pytest.mark.parametrize(
    "case",
    [
        # As it is by itself from PostgreSQL 15 on.
        Unusable("revoke create on schema public from public", "migrate", NO_TABLES),
        Unusable("", "migrate", NO_SCHEMA, schema="elsewhere"),
        Unusable("revoke connect on database {database} from public", "up", NO_ENTRY),
        Unusable(
            "alter database {database} set default_transaction_read_only = on",
            *("migrate", ("on a standby or read-only server",)),
        ),
        Unusable(
            "create table users (id integer primary key);"
            "create view usage_events as select 1 as one",
            *("migrate", ("001_initial_schema.sql", "(usage_events, users)")),
        ),
        Unusable(
            "create table alembic_version as select '0a1b2c3d' as version_num",
            *("migrate", ("0a1b2c3d", "another program")),
        ),
        Unusable("", "demo", ("saas migrate",)),
        Unusable("", "partitions", ("saas migrate",)),
    ],
    ids=lambda case: f"{case.command}-{case.named[0]}",
)
def test_a_database_that_will_not_do_is_refused_with_what_to_do_and_stays(
    empty_database: Database, guest: str, case: Unusable
) -> None:
    name = sql.Identifier(parse_dsn(empty_database.url)["dbname"])
    if case.setup:
        empty_database.execute(sql.SQL(case.setup).format(database=name))
    before = relations(empty_database)
    is_guests = any("{}" in each for each in case.named)
    url = empty_database.url
    user = Database(with_login(url, guest, "x") if is_guests else url)

    message = refusal(run(case.command, env=user.environment(DB_SCHEMA=case.schema)))

    for each in case.named:
        assert each.format(guest) in message
    assert relations(empty_database) == before


def test_a_user_who_owns_nothing_can_neither_migrate_nor_make_partitions(
    database: Database, guest: str
) -> None:
    as_guest = Database(with_login(database.url, guest, "x"))

    for subcommand in ("migrate", "status", "partitions"):
        message = refusal(run(subcommand, env=as_guest.environment()))
        assert f'"{guest}" may not' in message or "permission denied" in message
        assert "UndefinedTable" not in message


# --- What is in the database or in the files ------------------------------------------


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("create tabel oops ();", 'syntax error at or near "tabel"'),
        ("select größe from users;", 'column "größe" does not exist'),
    ],
)
def test_broken_sql_is_named_with_file_and_line(
    empty_database: Database, project: Path, statement: str, named: str
) -> None:
    put(project, "002_affiliates", statement, before="-- affiliate_payouts -")
    path = project / "bootstrap" / "migrations" / "002_affiliates.sql"
    line = path.read_text().splitlines().index(statement) + 1

    message = refusal(run("migrate", env=empty_database.environment(), root=project))

    assert f"migration 002_affiliates.sql failed at line {line}: {named}" in message
    assert applied(empty_database) == ["001_initial_schema"]
    assert "affiliates" not in relations(empty_database)


def test_a_lock_that_is_not_given_up_is_told(database: Database, project: Path) -> None:
    run("rollback", "001", env=database.environment()).check_returncode()
    put(
        project,
        "002_affiliates",
        "set lock_timeout = '50ms';",
        before="select pg_catalog.set_co",
    )
    with contextlib.closing(database.connect()) as other:
        other.cursor().execute("lock table users in access exclusive mode")
        pid = other.info.backend_pid

        message = refusal(run("migrate", env=database.environment(), root=project))

    assert "002_affiliates.sql failed" in message
    assert "another session uses the table; run it again" in message
    assert f"(in use by process {pid} (" in message
    assert "idle in transaction" in message


def test_what_depends_on_the_tables_keeps_them_from_being_taken_back(
    database: Database,
) -> None:
    database.execute("create schema reports")
    database.execute("create view reports.people as select id from users")

    message = refusal(run("rollback", "base", env=database.environment()))

    assert "view reports.people depends on table public.users" in message
    assert "drop the dependent objects first" in message
    assert applied(database) == migrate.revisions()


# --- In the middle of a migration -----------------------------------------------------


@contextlib.contextmanager
def in_the_middle_of_migrate(
    database: Database, project: Path
) -> Iterator[subprocess.Popen[str]]:
    """A `migrate` that sleeps in the middle of 002."""
    put(
        project,
        "002_affiliates",
        "select pg_sleep(300);",
        before="-- affiliate_payouts -",
    )
    with subprocess.Popen(
        command("migrate"),
        cwd=project,
        env=database.environment(PYTHONPATH=str(project)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 300
            while not sleepers(database):
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def sleepers(database: Database) -> int:
    ((count,),) = database.execute(
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and wait_event = 'PgSleep'"
    )
    assert isinstance(count, int)
    return count


def outcome(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    output, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess("", process.returncode, output, errors)


def whole_again(database: Database) -> None:
    """Whatever happened, nothing of 002 is there, and it can be run again."""
    assert applied(database) == ["001_initial_schema"]
    assert "affiliates" not in relations(database)
    result = run("migrate", env=database.environment())
    assert result.returncode == 0, result.stderr
    assert applied(database) == migrate.revisions()


def test_ctrl_c_undoes_the_migration_under_way_and_stops_it_on_the_server(
    empty_database: Database, project: Path
) -> None:
    with in_the_middle_of_migrate(empty_database, project) as process:
        process.send_signal(signal.SIGINT)
        message = refusal(outcome(process), code=130)

    assert message == "interrupted: unfinished changes were rolled back"
    deadline = time.monotonic() + 300
    while sleepers(empty_database):
        assert time.monotonic() < deadline
    whole_again(empty_database)


def test_ctrl_c_ends_the_wait_for_another_migration(database: Database) -> None:
    with contextlib.closing(database.connect()) as other:
        other.cursor().execute("select pg_advisory_lock(%s)", (migrate.LOCK_NUMBER,))
        with subprocess.Popen(
            command("migrate"),
            cwd=ROOT,
            env=database.environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("waiting")
            process.send_signal(signal.SIGINT)
            refusal(outcome(process), code=130)


def test_ctrl_c_ends_a_build_with_one_line(database: Database, tmp_path: Path) -> None:
    root = DbtProject.copy(tmp_path, domains=()).root
    waiting = (
        "select count(*) from pg_locks where not granted "
        "and relation = 'users'::regclass"
    )
    with contextlib.closing(database.connect()) as other:
        other.cursor().execute("lock table users")
        with subprocess.Popen(
            [
                *(sys.executable, "-m", "saas_analytics"),
                *("build", "--select", "stg_saas__users"),
            ],
            cwd=root,
            env=database.environment(PYTHONPATH=str(ROOT)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            deadline = time.monotonic() + 300
            while database.execute(waiting) == [(0,)]:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            message = refusal(outcome(process), code=130)
    assert message.startswith("interrupted, finished models are kept")
    assert database.execute(waiting) == [(0,)]


def test_a_connection_that_is_cut_is_told_and_nothing_is_half_done(
    empty_database: Database, project: Path
) -> None:
    with in_the_middle_of_migrate(empty_database, project) as process:
        empty_database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and wait_event = 'PgSleep'"
        )
        message = refusal(outcome(process))

    assert "002_affiliates.sql failed: the connection to the server was lost" in message
    assert "run it again" in message
    whole_again(empty_database)


def test_kill_9_of_the_server_is_told_and_nothing_is_half_done(
    doomed_server: EmbeddedServer, doomed_database: Database, project: Path
) -> None:
    with in_the_middle_of_migrate(doomed_database, project) as process:
        kill_9(doomed_server)
        message = refusal(outcome(process))

    assert "002_affiliates.sql failed: the connection to the server was lost" in message
    assert "run it again" in message
    assert "start it" in refusal(run("status", env=doomed_database.environment()))
    doomed_server.start()
    whole_again(doomed_database)


def test_a_full_disk_is_told_and_nothing_is_half_done(
    doomed_server: EmbeddedServer, doomed_database: Database
) -> None:
    if not os.path.ismount(doomed_server.folder.parent):
        pytest.skip("only root, where it may mount, has a disk to fill")
    env = doomed_database.environment()
    run("migrate", "001", env=env).check_returncode()
    filler = doomed_server.folder.parent / "filler"
    # Room for a few tables, not for all.
    free = shutil.disk_usage(filler.parent).free
    filler.write_bytes(bytes(free - 100_000))
    try:
        message = refusal(run("migrate", env=env))
    finally:
        filler.unlink()

    assert "002_affiliates.sql failed" in message
    assert "the server's disk is full" in message
    assert "No space left on device" in message
    whole_again(doomed_database)


def test_without_an_embedded_server_for_the_machine_a_url_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(UserError, match="set DATABASE_URL to a server"):
        programs.binaries()
