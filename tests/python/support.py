"""What the tests share beside fixtures: a database's handle, the commands."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from bootstrap import settings
from bootstrap.embedded import CONFIGURATION, LOCALE, EmbeddedServer

ROOT = settings.ROOT
DBT = Path(sys.executable).with_name("dbt")

# A test's server may lose its data: nothing is waited for on its way to the disk.
FAST = {
    **CONFIGURATION,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
}

# The tests decide which server is meant, not the developer's own settings.
SETTING_NAMES = (
    "DATABASE_URL",
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
        connection: Connection = psycopg2.connect(self.url, **options)
        return connection

    def execute(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
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


def run(
    *arguments: str, env: dict[str, str], **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run `python -m bootstrap ARGUMENTS`."""
    return subprocess.run(
        [sys.executable, "-m", "bootstrap", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        **{"timeout": 240, **options},
    )


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
        timeout=600,
        check=False,
    )


def fast_server(
    folder: Path, programs: Path | None = None, locale: tuple[str, ...] = LOCALE
) -> EmbeddedServer:
    """A server for tests in a folder."""
    return EmbeddedServer(
        folder,
        configuration=tuple(FAST.items()),
        programs=programs,
        locale=locale,
    )
