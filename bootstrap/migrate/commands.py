"""The commands: apply migrations, take them back, note that they ran."""

import contextlib
from collections.abc import Iterator

from alembic import command
from alembic.util import CommandError

from bootstrap.migrate.files import config, existing
from bootstrap.migrate.way_back import plan_way_back
from saas_analytics.database import locks
from saas_analytics.errors import UserError


def upgrade(
    revision: str = "head", *, wait_seconds: float = locks.WAIT_SECONDS
) -> None:
    """Apply what is missing up to a revision.

    Raises:
        UserError: the server, the database or a file doesn't allow it.
    """
    with _alembic_errors():
        command.upgrade(config(wait_seconds), existing(revision))


def downgrade(revision: str = "-1") -> None:
    """Take back one step, or down to a revision (`base`: everything), or nothing.

    Raises:
        UserError: the server, the database or a file doesn't allow it.
    """
    target = plan_way_back(revision).target
    with _alembic_errors():
        command.downgrade(config(), target)


def stamp(revision: str = "head") -> None:
    """Note that the database is at a revision, and the files as they are now.

    Raises:
        UserError: the server doesn't allow it, or the database lacks its tables.
    """
    with _alembic_errors():
        # Purged first, so that the checksums are noted anew at the same revision too.
        command.stamp(config(), existing(revision), purge=True)


@contextlib.contextmanager
def _alembic_errors() -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        raise UserError(str(error)) from None
