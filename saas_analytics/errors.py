"""Errors that a user can resolve, and the exit codes of every command."""

DONE, FAILED, NOT_RUN, BUSY, INTERRUPTED = 0, 1, 2, 75, 130

EXIT_CODES = {
    DONE: "done",
    FAILED: "refused, failed, or found errors in the data",
    NOT_RUN: "wrong usage, or a check could not run",
    BUSY: "another process holds a lock",
    INTERRUPTED: "Ctrl-C",
}


class UserError(Exception):
    """Ends a command with one line: "object state: command that fixes it"."""

    exit_code = FAILED

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


class NotRun(UserError):
    """A check that could not run, unlike one that ran and found errors."""

    exit_code = NOT_RUN


class Busy(UserError):
    """Another process holds a lock for longer than the command waits."""

    exit_code = BUSY


class Interrupted(UserError):
    """Ctrl-C; the message says what the command leaves in the database."""

    exit_code = INTERRUPTED
