"""The errors that a user can act on, and the exit codes of every command."""

DONE, FAILED, NOT_RUN, BUSY, INTERRUPTED = 0, 1, 2, 75, 130

EXIT_CODES = {
    DONE: "done",
    FAILED: "refused, failed, or found something wrong",
    NOT_RUN: "wrong usage, or nothing could be run",
    BUSY: "another run holds what is needed",
    INTERRUPTED: "Ctrl-C",
}


class UserError(Exception):
    """What is wrong and what to do, in one line; ends a command."""

    exit_code = FAILED

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


class NotRun(UserError):
    """A judgement that could not begin: exit code 1 says that it found something."""

    exit_code = NOT_RUN


class Busy(UserError):
    """Others hold what is needed for longer than the command would wait."""

    exit_code = BUSY


class Interrupted(UserError):
    """Ctrl-C, and what it means for what was begun."""

    exit_code = INTERRUPTED
