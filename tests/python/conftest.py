"""Fixtures: a real PostgreSQL, and a fresh database for each test that asks.

The server is the one in DATABASE_URL, else an embedded one of the tests' own, shared by
all workers and gone afterwards: never the one that `make demo` runs.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from saas_analytics import settings
from saas_analytics.server.embedded import EmbeddedServer
from tests.python.servers import fast_server, server_folder
from tests.python.support import (
    Database,
    copy_of_marts,
    dbt,
    new_database,
    run,
    with_database,
)

FOLDER_VARIABLE = "SAAS_ANALYTICS_TEST_FOLDER"
# A long file that begins last leaves the other workers idle.
LONGEST = (
    "test_refresh_exact.py",
    "test_whole_build.py",
    "test_mart_definitions.py",
    "test_marts.py",
    "test_faults.py",
    "test_demo.py",
    "test_mutation.py",
    "test_settings.py",
    "test_integrity.py",
    "test_expectations.py",
)

DEBIAN_PROGRAMS = Path("/usr/lib/postgresql/15/bin")


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the run's servers, once for all workers."""
    # A shell has its background jobs ignore Ctrl-C, and so would the programs tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="saas-analytics-tests-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    order = {name: position for position, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the run's servers and forget their data."""
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(FOLDER_VARIABLE))
        for server in folder.iterdir():
            EmbeddedServer(server, programs=_programs_of(server.name)).stop()
        shutil.rmtree(folder)


def _programs_of(server_name: str) -> Path | None:
    return DEBIAN_PROGRAMS if server_name == "15" else None


@pytest.fixture(scope="session")
def server_url() -> str:
    """URL of the maintenance database of the server that the tests run on."""
    configured = settings.load().database_url
    if configured is not None:
        return configured
    server = fast_server(Path(os.environ[FOLDER_VARIABLE], "18"))
    server.start()
    return server.url("postgres")


@pytest.fixture(scope="session")
def second_server_url() -> str:
    """URL of a PostgreSQL 15, as Debian packages it."""
    if not DEBIAN_PROGRAMS.exists():
        if "CI" in os.environ:
            pytest.fail("CI must have Debian's PostgreSQL 15 (apt install postgresql)")
        pytest.skip("needs Debian's PostgreSQL 15 (apt install postgresql)")
    server = fast_server(
        Path(os.environ[FOLDER_VARIABLE], "15"),
        programs=DEBIAN_PROGRAMS,
        locale=("--locale=C.UTF-8",),
    )
    server.start()
    return server.url("postgres")


@pytest.fixture(scope="session")
def template_database(server_url: str) -> str:
    """Name of a migrated database on the server, which others are cloned from."""
    return _make_template(server_url)


@pytest.fixture
def database(server_url: str, template_database: str) -> Iterator[Database]:
    """A fresh database with the OLTP schema, and nothing in it."""
    with new_database(server_url, template=template_database) as made:
        yield made


@pytest.fixture(scope="session")
def marts_template(
    server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Name of a database with a small company and all its marts, to be cloned.

    Shared by all workers: the first that needs it makes it.
    """
    folder = Path(os.environ[FOLDER_VARIABLE])
    name = f"saas_marts_{folder.name.rpartition('-')[2]}"
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_there(with_database(server_url, name)):
            unfinished = f"{name}_unfinished"
            with new_database(
                server_url, template=template_database, name=unfinished
            ) as made:
                _make_marts(made, tmp_path_factory.mktemp("target"))
                with new_database(
                    server_url, template=unfinished, name=name, keep=True
                ):
                    pass
    finally:
        os.close(lock)
    return name


@pytest.fixture
def marts(server_url: str, marts_template: str) -> Iterator[Database]:
    """A company with its marts, all of it this test's own.

    Its name is the same for all tests of a worker: dbt need not parse a project again.
    """
    name = f"saas_marts_of_{os.getpid()}"
    with copy_of_marts(server_url, marts_template, name=name) as made:
        yield made


@pytest.fixture
def empty_database(server_url: str) -> Iterator[Database]:
    """A fresh database without any table."""
    with new_database(server_url) as made:
        yield made


@pytest.fixture
def empty_database_15(second_server_url: str) -> Iterator[Database]:
    """A fresh database without any table, on PostgreSQL 15."""
    with new_database(second_server_url) as made:
        yield made


@pytest.fixture(scope="module")
def module_database(server_url: str, template_database: str) -> Iterator[Database]:
    """Like `database`, but shared by the tests of a module."""
    with new_database(server_url, template=template_database) as made:
        yield made


@pytest.fixture(scope="session")
def template_database_15(second_server_url: str) -> str:
    """Like `template_database`, on PostgreSQL 15."""
    return _make_template(second_server_url)


@pytest.fixture
def database_15(
    second_server_url: str, template_database_15: str
) -> Iterator[Database]:
    """Like `database`, on PostgreSQL 15."""
    with new_database(second_server_url, template=template_database_15) as made:
        yield made


@pytest.fixture(scope="module", params=["", "_15"], ids=["default", "15"])
def module_database_on_each(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Like `module_database`, once on the default server and once on PostgreSQL 15."""
    prefix = "second_server" if request.param else "server"
    server_url = request.getfixturevalue(f"{prefix}_url")
    template = request.getfixturevalue(f"template_database{request.param}")
    with new_database(server_url, template=template) as made:
        yield made


@pytest.fixture(
    params=[("server_url", "18"), ("second_server_url", "15")], ids=["18", "15"]
)
def former(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database at the last migration before 0.1.0, with rows.

    The parameter is a server, and the one that the rows come from.
    """
    # Alembic takes long to import.
    from tests.python.former import load

    server, version = request.param
    with new_database(request.getfixturevalue(server)) as made:
        load(made, version)
        yield made


@pytest.fixture(scope="module")
def doomed_server() -> Iterator[EmbeddedServer]:
    """A server of its own, for root on a small disk of its own."""
    with server_folder() as folder:
        mounted = (
            os.geteuid() == 0
            and shutil.which("mount") is not None
            and subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=384m", "tmpfs", str(folder)],
                capture_output=True,
            ).returncode
            == 0
        )
        server = EmbeddedServer(folder / "server")
        try:
            server.start()
            yield server
            server.stop()
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def doomed_database(doomed_server: EmbeddedServer) -> Iterator[Database]:
    with new_database(doomed_server.url("postgres")) as made:
        yield made


def _make_template(server_url: str) -> str:
    name = f"saas_template_{os.getpid()}"
    with new_database(server_url, name=name, keep=True) as made:
        run("migrate", env=made.environment()).check_returncode()
    return name


def _is_there(url: str) -> bool:
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def _make_marts(database: Database, target: Path) -> None:
    options = ("--scale", "0.02", "--until", "2026-03-20")
    run("demo", *options, env=database.environment()).check_returncode()
    # Enough rows of every kind, and few enough to compare everything often.
    database.execute("delete from usage_events where random() > 0.15")
    database.execute("delete from api_usage where random() > 0.1")
    database.execute("delete from audit_logs where random() > 0.3")
    result = dbt(
        "build",
        *("--resource-type", "seed", "--resource-type", "model"),
        database=database,
        target=target,
    )
    assert result.returncode == 0, result.stdout[-3000:]
