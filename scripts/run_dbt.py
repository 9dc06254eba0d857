"""Run dbt with the project's settings; Ctrl-C ends it with one line.

By itself dbt prints a stack trace then.
"""

from __future__ import annotations

import sys
from typing import Any

from bootstrap import dbt_environment, errors


def run() -> int:
    """Run dbt. Returns its exit code.

    Raises:
        KeyboardInterrupt: Ctrl-C; dbt has cancelled its queries.
        UserError: a setting that can't be used.
    """
    dbt_environment.prepare(sys.argv[1:])
    # dbt takes seconds to import.
    import dbt.cli.requires
    from dbt.cli.main import cli

    requires: Any = dbt.cli.requires
    fire_event = requires.fire_event
    was_interrupted = False

    def fire_unless_interrupted(*arguments: Any, **options: Any) -> None:
        nonlocal was_interrupted
        if isinstance(sys.exc_info()[1], KeyboardInterrupt):
            was_interrupted = True
        else:
            fire_event(*arguments, **options)

    # Its outermost handler reports every exception that is not dbt's own by this.
    requires.fire_event = fire_unless_interrupted
    try:
        cli(prog_name="dbt")
    except SystemExit as leave:
        if was_interrupted:
            raise KeyboardInterrupt from None
        return leave.code if isinstance(leave.code, int) else errors.FAILED
    return 0


if __name__ == "__main__":
    sys.exit(errors.exit_code(run, interrupted="run the same command again"))
