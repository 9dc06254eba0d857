"""Fixtures: a real PostgreSQL, and a fresh database for each test that asks.

The server is the one in DATABASE_URL, else an embedded one of the tests' own, shared by
all workers and gone afterwards: never the one that `make demo` runs.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap import settings
from bootstrap.embedded import EmbeddedServer
from tests.python.support import Database, fast_server, new_database, run

FOLDER_VARIABLE = "SAAS_ANALYTICS_TEST_FOLDER"
DEBIAN_PROGRAMS = Path("/usr/lib/postgresql/15/bin")


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the run's servers, once for all workers."""
    # A shell has its background jobs ignore Ctrl-C, and so would the programs tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="saas-analytics-tests-")


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


def _make_template(server_url: str) -> str:
    name = f"saas_template_{os.getpid()}"
    with new_database(server_url, name=name, keep=True) as made:
        run("migrate", env=made.environment()).check_returncode()
    return name
