"""The commands: apply migrations, revert them, record that they ran."""

import contextlib
from collections.abc import Iterator

from alembic import command
from alembic.util import CommandError

from bootstrap.migrate.files import config, existing
from bootstrap.migrate.reversal import plan_reversal
from saas_analytics.database import locks
from saas_analytics.errors import UserError


def upgrade(
    revision: str = "head", *, wait_seconds: float = locks.WAIT_SECONDS
) -> None:
    """Apply the missing migrations up to a revision.

    Raises:
        UserError: the server, the database or a file doesn't allow it.
    """
    with _alembic_errors():
        command.upgrade(config(wait_seconds), existing(revision))


def downgrade(revision: str = "-1") -> None:
    """Revert one migration, or all after a revision (`base`: all), in one transaction.

    Raises:
        UserError: the server, the database or a file doesn't allow it.
    """
    target = plan_reversal(revision).target
    with _alembic_errors():
        command.downgrade(config(), target)


def stamp(revision: str = "head") -> None:
    """Record that the database is at a revision, with the present checksums.

    Raises:
        UserError: the server doesn't allow it, or the database lacks its tables.
    """
    with _alembic_errors():
        # The purge makes Alembic record the checksums again at the same revision.
        command.stamp(config(), existing(revision), purge=True)


@contextlib.contextmanager
def _alembic_errors() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise UserError(str(error)) from None
