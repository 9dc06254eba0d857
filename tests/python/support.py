"""What the tests share apart from fixtures: databases, the commands, dbt."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from saas_analytics import hook, project
from saas_analytics.command.main import main
from saas_analytics.dbt import environment as dbt_environment
from saas_analytics.urls import build_url

ROOT = project.root()

# Within the tests' own process, the tests give dbt its variables.
hook.remove()
DBT = Path(sys.executable).with_name("dbt")

# The tests decide which server is meant, not the developer's own settings.
SETTING_NAMES = (
    "DATABASE_URL",
    "OWNER_DATABASE_URL",
    "DB_HOST",
    "DB_PORT",
    "DB_NAME",
    "DB_USER",
    "DB_PASSWORD",
    "DB_SCHEMA",
    "DBT_SCHEMA",
)


@dataclass(frozen=True)
class Database:
    """One database of a test."""

    url: str

    def connect(self, **options: Any) -> Connection:
        """A connection of its own; close it, or let the fixture's drop do so."""
        # dbt within this process may have its own PGOPTIONS meanwhile.
        if "options=" not in self.url:
            options.setdefault("options", "")
        connection: Connection = psycopg2.connect(self.url, **options)
        return connection

    def execute(
        self, statement: str | sql.Composable, parameters: Any = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own; its rows, if it gives any."""
        connection = self.connect()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a program that is to use this database."""
        return environment(DATABASE_URL=self.url, **more)


def environment(**more: str) -> dict[str, str]:
    """This process's environment, without its connection settings, and some more.

    Empty values count as not set, and keep a developer's `.env` out.
    """
    return {**os.environ, **dict.fromkeys(SETTING_NAMES, ""), **more}


@contextlib.contextmanager
def new_database(
    server_url: str,
    *,
    template: str = "template0",
    name: str | None = None,
    owner: str | None = None,
    keep: bool = False,
) -> Iterator[Database]:
    """A database on a server, dropped at the end unless it is to be kept."""
    name = name or f"saas_test_{uuid.uuid4().hex[:12]}"
    identifiers = {
        "name": sql.Identifier(name),
        "template": sql.Identifier(template),
        "owner": sql.SQL("default") if owner is None else sql.Identifier(owner),
    }
    create = "create database {name} template {template} owner {owner}"
    with contextlib.closing(psycopg2.connect(server_url)) as admin:
        if admin.server_version >= 150_000:
            # Three times as fast as through the write-ahead log.
            create += " strategy file_copy"
    _administer(server_url, sql.SQL(create).format(**identifiers))
    try:
        yield Database(with_database(server_url, name))
    finally:
        if not keep:
            drop = "drop database {name} with (force)"
            _administer(server_url, sql.SQL(drop).format(**identifiers))


@contextlib.contextmanager
def copy_of_marts(
    server_url: str, template: str, name: str | None = None
) -> Iterator[Database]:
    """A copy of a database with marts, which the engine takes for the one it knows.

    Else its first refresh would rebuild everything.
    """
    with new_database(server_url, template=template, name=name) as made:
        made.execute(
            "update analytics_refresh.inputs set identity = identity || "
            "(select jsonb_build_object('database', oid::text) from pg_database "
            "where datname = current_database())"
        )
        yield made


def _administer(server_url: str, statement: sql.Composed) -> None:
    """Run a statement that is allowed in no transaction."""
    admin = psycopg2.connect(server_url)
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(statement)
    admin.close()


def with_database(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return _with(url, dbname=name)


def with_login(url: str, user: str, password: str) -> str:
    """The URL of the same database for another user."""
    return _with(url, user=user, password=password)


def _with(url: str, **changes: str) -> str:
    parameters = {**parse_dsn(url), **changes}
    return build_url(
        host=parameters.get("host", "localhost"),
        port=int(parameters.get("port", 5432)),
        database=parameters["dbname"],
        user=parameters.get("user"),
        password=parameters.get("password"),
    )


# They neither start programs nor give their process away to one.
WITHIN_PROCESS = (
    *("migrate", "rollback", "stamp", "status", "roles", "partitions"),
    *("capture", "retype", "erase-user", "demo", "url", "refresh"),
)


def run(
    *arguments: str, env: dict[str, str], root: Path = ROOT, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run `python -m bootstrap ARGUMENTS`, in the project or in a copy of it.

    In this process, where that makes no difference: a new one takes half a second.
    """
    if root == ROOT and not options and arguments[0] in WITHIN_PROCESS:
        return _run_here(arguments, env)
    return subprocess.run(
        command(*arguments),
        cwd=root,
        env={**env, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        **{"timeout": 900, **options},
    )


def _run_here(
    arguments: Sequence[str], env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    if threading.current_thread() is not threading.main_thread():
        # Ctrl-C and the environment are the main thread's.
        return run(*arguments, env=env, timeout=900)
    output, errors = StringIO(), StringIO()
    code: Any = 0
    with (
        mock.patch.dict(os.environ, env, clear=True),
        mock.patch.object(sys, "stdin", StringIO()),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main(arguments, "python -m bootstrap")
        except SystemExit as leave:
            code = leave.code or 0
        except Exception:
            code = 1
            traceback.print_exc()
    return subprocess.CompletedProcess(
        command(*arguments), code, output.getvalue(), errors.getvalue()
    )


def command(*arguments: str) -> list[str]:
    """The command line of `python -m bootstrap ARGUMENTS`."""
    return [sys.executable, "-m", "bootstrap", *arguments]


def refusal(result: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """What a command said when it refused: one line, and the exit code."""
    assert result.returncode == code, result.stdout + result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: "), result.stderr
    return lines[0].removeprefix("error: ")


def copy_project(folder: Path) -> Path:
    """A copy of what the commands need, to be altered by a test."""
    root = folder / "project"
    root.mkdir()
    copy_packages(root)
    for name in ("alembic.ini", "dbt_project.yml"):
        shutil.copy(ROOT / name, root)
    return root


def copy_packages(root: Path) -> None:
    """Copy the Python packages, which then serve the project in that folder."""
    for name in ("bootstrap", "saas_analytics"):
        ignored = shutil.ignore_patterns("__py*")
        shutil.copytree(ROOT / name, root / name, ignore=ignored)


def dbt(
    *arguments: str, database: Database, target: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run dbt on a database, its artefacts in a folder of the test's own."""
    return subprocess.run(
        [str(DBT), *arguments],
        cwd=ROOT,
        env=database.environment(
            DBT_TARGET_PATH=str(target), DBT_LOG_PATH=str(target), **more
        ),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


# The domain whose intermediate models a dimension reads; others read staging and seeds.
DOMAIN_READ = {"dim_dates": "usage", "dim_users": "usage", "dim_features": "adoption"}


@dataclass(frozen=True)
class DbtProject:
    """A copy of the dbt project that a test may alter, and dbt within this process.

    Parsed once, dbt then reads only what was altered: as long as it is used with
    databases of one name.
    """

    root: Path

    @classmethod
    def copy(cls, folder: Path, domains: Sequence[str]) -> "DbtProject":
        """Copy the project, of its models those of some domains, and staging.

        With any domain, the dimensions that need no other one are copied too.
        """
        root = folder / "project"
        names = [
            "macros",
            "packages",
            "models/staging",
            "seeds",
            "snapshots",
            "tests/generic",
        ]
        for layer in ("models/intermediate", "models/marts", "tests/singular"):
            names += [f"{layer}/{domain}" for domain in domains]
        for name in names:
            if (ROOT / name).exists():
                shutil.copytree(ROOT / name, root / name)
        for file in sorted((ROOT / "models/marts/core").iterdir()):
            if domains and DOMAIN_READ.get(file.stem, domains[0]) in domains:
                copied = root / "models/marts/core" / file.name
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copied)
        files = (".dbtignore", "dbt_project.yml", "profiles.yml")
        for name in (*files, "models/_groups.yml", "models/docs.md"):
            shutil.copy(ROOT / name, root / name)
        return cls(root)

    @contextlib.contextmanager
    def altered(self, file: str, replacements: dict[str, str]) -> Iterator[None]:
        """The project with texts of a file replaced."""
        path = self.root / file
        former = text = path.read_text()
        for old, new in replacements.items():
            assert text.count(old) == 1, f"{old} in {file}"
            text = text.replace(old, new)
        path.write_text(text)
        try:
            yield
        finally:
            path.write_text(former)

    @contextlib.contextmanager
    def added(self, file: str, text: str) -> Iterator[None]:
        """The project with one more file."""
        path = self.root / file
        path.write_text(text)
        try:
            yield
        finally:
            path.unlink()

    def dbt(self, *arguments: str, database: Database, **more: str) -> str:
        """Run dbt on a database. Returns what it complained of: nothing, mostly."""
        outcome = self._invoke(*arguments, database=database, **more)
        if outcome.exception is not None:
            return str(outcome.exception)
        results = getattr(outcome.result, "results", [])
        complaints = "\n".join(
            str(each.message)
            for each in results
            if each.status in ("error", "fail", "skipped", "partial success")
        )
        return complaints or (
            "" if outcome.success else "dbt failed, and didn't say why"
        )

    def statuses(
        self, *arguments: str, database: Database, **more: str
    ) -> dict[str, str]:
        """Run dbt on a database. Returns the status of each node by its name."""
        outcome = self._invoke(*arguments, database=database, **more)
        return {
            each.node.name: str(each.status)
            for each in outcome.result.results
            if each.node.resource_type != "operation"
        }

    def _invoke(self, *arguments: str, database: Database, **more: str) -> Any:
        target = str(self.root / "target")
        variables = database.environment(
            DBT_TARGET_PATH=target, DBT_LOG_PATH=target, **more
        )
        with mock.patch.dict(os.environ, variables):
            os.environ.update(dbt_environment.variables())
            # Writing files that no test reads takes most of the time.
            sparing = ("--quiet", "--no-write-json", "--log-level-file=none")
            return invoke_dbt(self.root, *arguments, *sparing)


def invoke_dbt(root: Path, *arguments: str, said: Callable[[str], object] = str) -> Any:
    """Run dbt on a project, in a thread of this process; what dbt returns.

    Args:
        said: takes each message of it.
    """
    # Takes seconds to import.
    from dbt.cli.main import dbtRunner

    folders = (f"--project-dir={root}", f"--profiles-dir={root}")
    outcome: list[Any] = []

    def hear(event: Any) -> None:
        said(event.info.msg)

    def invoke() -> None:
        outcome.append(dbtRunner(callbacks=[hear]).invoke([*arguments, *folders]))

    # dbt looks up the module of each frame that called it: pytest's are many.
    thread = threading.Thread(target=invoke, daemon=True)
    thread.start()
    thread.join()
    return outcome[0]


def refresh(database: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `saas refresh ARGUMENTS` on a database."""
    return run("refresh", *arguments, env=database.environment())
