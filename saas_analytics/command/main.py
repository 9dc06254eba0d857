"""The entry point of every command; it turns errors into one line and an exit code.

Alembic, dbt, numpy and rich are slow to import, so only the commands that use them do.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click
import psycopg2
from psycopg2 import errors as database_errors

from saas_analytics import __version__, database, errors
from saas_analytics.command.map import Map
from saas_analytics.database import waiting
from saas_analytics.errors import UserError
from saas_analytics.output import plain

_CODES = ", ".join(f"{code} {meaning}" for code, meaning in errors.EXIT_CODES.items())


@click.group(
    cls=Map,
    epilog=f"Exit codes: {_CODES}. Development (tests, linters, benchmarks): `make`.",
)
@click.version_option(__version__, prog_name="saas")
def saas() -> None:
    """Analytics for a SaaS product on PostgreSQL.

    The commands connect to DATABASE_URL (or DB_HOST, DB_PORT, DB_NAME, DB_USER and
    DB_PASSWORD), from the environment or .env. Without these they use the embedded
    server. Commands that change the source tables connect to OWNER_DATABASE_URL if it
    is set.
    """


def main(arguments: Sequence[str] | None = None, prog_name: str = "saas") -> NoReturn:
    """Run a command, and exit with its code.

    Args:
        arguments: the command line; that of this process by default.
        prog_name: the name of the command in its help.
    """
    # Without these variables dbt and its libraries send usage statistics.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    try:
        sys.exit(saas.main(arguments, prog_name, standalone_mode=False))
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted: unfinished changes were rolled back", errors.INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(errors.NOT_RUN)
    except click.UsageError as error:
        _fail(f"{error.format_message()} (see --help)", errors.NOT_RUN)
    except click.ClickException as error:
        _fail(error.format_message(), errors.FAILED)
    except UserError as error:
        who = waiting.in_the_way(error) if error.exit_code == errors.FAILED else ""
        _fail(f"{error}{who}", error.exit_code)
    except (database_errors.UndefinedTable, database_errors.InvalidSchemaName) as error:
        _fail(f"{database.explain(error)}: run `saas migrate` first", errors.FAILED)
    except psycopg2.Error as error:
        message = database.explain(error) + waiting.in_the_way(error)
        _fail(message, errors.FAILED)
    except OSError as error:
        _fail(str(error), errors.FAILED)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {plain(' '.join(message.split()))}", err=True)
    sys.exit(code)
