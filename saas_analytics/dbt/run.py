"""Run dbt in this process. Ctrl-C ends it with one line, not with a stack trace."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from saas_analytics import errors, project
from saas_analytics.dbt import environment


def run(*arguments: str) -> int:
    """Run dbt. Returns its exit code.

    Raises:
        Interrupted: Ctrl-C; dbt has cancelled its queries.
        UserError: a setting that can't be used.
    """
    prepare(*arguments)
    # dbt takes seconds to import.
    import dbt.cli.requires
    from dbt.cli.main import cli

    requires: Any = dbt.cli.requires
    fire_event = requires.fire_event
    was_interrupted = False

    def fire_unless_interrupted(*event: Any, **options: Any) -> None:
        nonlocal was_interrupted
        if isinstance(sys.exc_info()[1], KeyboardInterrupt):
            was_interrupted = True
        else:
            fire_event(*event, **options)

    # dbt's outermost handler reports every foreign exception by this function.
    requires.fire_event = fire_unless_interrupted
    try:
        cli(arguments, prog_name="dbt")
    except SystemExit as leave:
        if was_interrupted:
            raise interrupted() from None
        return leave.code if isinstance(leave.code, int) else errors.FAILED
    return errors.DONE


def prepare(*arguments: str) -> None:
    """Set dbt's settings, and its folders if the working folder is another one.

    Raises:
        UserError: a setting that can't be used.
    """
    here = Path.cwd()
    if not any((folder / project.FILE).is_file() for folder in (here, *here.parents)):
        os.environ.setdefault("DBT_PROJECT_DIR", str(project.root()))
    if not (here / "profiles.yml").is_file():
        os.environ.setdefault("DBT_PROFILES_DIR", str(project.root()))
    # A log file must not contain colors.
    if not sys.stdout.isatty():
        os.environ.setdefault("DBT_USE_COLORS", "false")
    environment.prepare(arguments)


def interrupted() -> errors.Interrupted:
    """The error of a build that Ctrl-C ended."""
    return errors.Interrupted(
        "interrupted, finished models are kept: run the same command again"
    )
