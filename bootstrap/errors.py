"""The error that a user can act on."""


class UserError(Exception):
    """What is wrong and what to do, in one line; ends a command with exit 1."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())
