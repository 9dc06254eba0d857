"""The command line: parses, calls, and turns errors into one line and an exit code."""

import datetime
import logging
import sys

import click
import psycopg2
from alembic.util import CommandError
from rich.console import Console

from bootstrap import database, embedded, migrate, partitions, roles, settings, tour
from bootstrap.errors import UserError

INTERRUPTED = 130


@click.group()
def cli() -> None:
    """The database before dbt: server, schema, roles and a demo company.

    The server is the one in DATABASE_URL (or DB_HOST, DB_PORT, DB_NAME, DB_USER,
    DB_PASSWORD), from the environment or .env; without them the embedded one.
    """


@cli.command()
def up() -> None:
    """Start the embedded server, or check the configured one."""
    configuration = settings.load()
    if configuration.database_url is None:
        started = embedded.default_server().start()
        click.echo(
            "The embedded PostgreSQL " + ("is up." if started else "was up already.")
        )
    else:
        with database.connected(configuration) as connection:
            click.echo(f"PostgreSQL {connection.server_version // 10000} answers.")


@cli.command()
def down() -> None:
    """Stop the embedded server; its data stays."""
    stopped = embedded.default_server().stop()
    click.echo(
        "The embedded PostgreSQL " + ("is stopped." if stopped else "was not running.")
    )


@cli.command()
def url() -> None:
    """Print the URL in use: psql "$(python -m bootstrap url)"."""
    click.echo(database.url_in_use(settings.load()))


@cli.command("migrate")
@click.argument("revision", default="head")
def migrate_command(revision: str) -> None:
    """Apply the migrations, all or up to REVISION, and make partitions ahead."""
    configuration = settings.load()
    before = {
        state.revision for state in migrate.states(configuration) if state.is_applied
    }
    migrate.upgrade(revision)
    with database.connected(configuration) as connection:
        partitions.create_ahead(connection)
    applied = [
        state.revision
        for state in migrate.states(configuration)
        if state.is_applied and state.revision not in before
    ]
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("The schema is up to date.")


@cli.command()
@click.argument("revision", default="-1")
def rollback(revision: str) -> None:
    """Take back one migration, or all after REVISION (base: every one)."""
    configuration = settings.load()
    before = [
        state.revision for state in migrate.states(configuration) if state.is_applied
    ]
    if not before:
        raise UserError("there is no migration to take back")
    migrate.downgrade(revision)
    after = {
        state.revision for state in migrate.states(configuration) if state.is_applied
    }
    for name in reversed(before):
        if name not in after:
            click.echo(f"took back {name}")


@cli.command()
@click.argument("revision", default="head")
def stamp(revision: str) -> None:
    """Note that the database has the migrations up to REVISION, running none."""
    migrate.stamp(revision)
    click.echo(f"The database is noted as being at {revision}.")


@cli.command()
def status() -> None:
    """Show which migrations the database has; exit 1 if one is missing or edited."""
    states = migrate.states(settings.load())
    for state in states:
        word = (
            "edited"
            if state.is_edited
            else "applied"
            if state.is_applied
            else "missing"
        )
        click.echo(f"{word:8} {state.revision}")
    if not all(state.is_applied and not state.is_edited for state in states):
        sys.exit(1)


@cli.command("partitions")
@click.option(
    "--ahead",
    default=partitions.MONTHS_AHEAD,
    show_default=True,
    type=click.IntRange(0, 120),
    help="How many months after this one.",
)
def partitions_command(ahead: int) -> None:
    """Make the event tables' monthly partitions ahead of time; run it daily."""
    with database.connected(settings.load()) as connection:
        created = partitions.create_ahead(connection, ahead)
    click.echo(f"{created} partitions made.")


@cli.command("roles")
def roles_command() -> None:
    """Make the roles of dbt and of the analysts, with no more than they need."""
    configuration = settings.load()
    with database.connected(configuration) as connection:
        roles.create(connection, configuration)
    click.echo(
        f"{configuration.transformer_role} may read the source and write the marts; "
        f"{configuration.analyst_role} may read the marts."
    )


@cli.command()
@click.option(
    "--scale",
    default=1.0,
    show_default=True,
    type=float,
    help="Size of the company; 1 is about 1,500 users.",
)
@click.option("--seed", default=1, show_default=True, type=int)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Last day of its history (UTC). [default: now]",
)
@click.option(
    "--if-empty", is_flag=True, help="Do nothing where there is a company already."
)
def demo(
    scale: float, seed: int, until: datetime.datetime | None, if_empty: bool
) -> None:
    """Fill an empty schema with a made-up company: same options, same data."""
    # Its generators need numpy, whose import no other command should wait for.
    from bootstrap.demo import load_demo

    configuration = settings.load()
    with database.connected(configuration) as connection:
        if if_empty:
            with connection.cursor() as cursor:
                cursor.execute("select exists (select from users)")
                if (cursor.fetchone() or (False,))[0]:
                    click.echo("There is a company already; it stays as it is.")
                    return
            connection.rollback()
        load_demo(
            connection,
            scale=scale,
            seed=seed,
            until=until.date() if until else None,
            console=Console(stderr=False),
        )


@cli.command("tour")
def tour_command() -> None:
    """Show what the marts say, and where to look next."""
    configuration = settings.load()
    with database.connected(configuration) as connection:
        tour.show(connection, configuration, Console())


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 ^C."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        cli(standalone_mode=False, prog_name="python -m bootstrap")
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted: what was not finished was undone", INTERRUPTED)
    except click.UsageError as error:
        _fail(f"{error.format_message()} (see --help)", 2)
    except click.ClickException as error:
        _fail(error.format_message(), 1)
    except (UserError, CommandError) as error:
        _fail(str(error), 1)
    except psycopg2.Error as error:
        _fail(database.explain(error), 1)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
