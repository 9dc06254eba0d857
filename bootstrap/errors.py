"""The error that a user can act on."""

import sys
from collections.abc import Callable

FAILED = 1
INTERRUPTED = 130


class UserError(Exception):
    """What is wrong and what to do, in one line; ends a command with exit 1."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


def exit_code(program: Callable[[], int], *, interrupted: str) -> int:
    """Run a program that dbt is part of; errors and Ctrl-C end it with one line.

    Args:
        program: it returns its exit code.
        interrupted: how to go on after Ctrl-C.
    """
    try:
        return program()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(
            f"error: interrupted: what was built stays, {interrupted}", file=sys.stderr
        )
        return INTERRUPTED
