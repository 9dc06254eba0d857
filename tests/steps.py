"""The steps of a trial on a whole company, each a program as users run it."""

import signal
import subprocess
import sys
from pathlib import Path

from saas_analytics.errors import UserError
from tests.python.support import DBT, ROOT, Database

# A step that takes longer hangs.
SECONDS = 1800


def leave_no_server() -> None:
    """End by an exception at SIGTERM, so that servers are stopped."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def bootstrap(database: Database, *arguments: str) -> None:
    """Run `python -m bootstrap ARGUMENTS`."""
    run(database, sys.executable, "-m", "bootstrap", *arguments)


def build(database: Database, variables: str, target: Path) -> None:
    """Build and test every mart; dbt's results go into a folder."""
    folders = ("--target-path", str(target), "--log-path", str(target))
    run(database, str(DBT), "--quiet", "build", "--vars", variables, *folders)


def refresh(database: Database) -> None:
    """Refresh every mart, and compare each with its select."""
    run(database, sys.executable, "-m", "refresh", "--verify")


def run(database: Database, *command: str) -> None:
    """Run a program on a database.

    Raises:
        UserError: it failed.
    """
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=database.environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if result.returncode != 0:
        shown = " ".join(Path(word).name for word in command[:4])
        raise UserError(f"{shown} failed: {result.stdout}{result.stderr}")
