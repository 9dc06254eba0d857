"""Commands that make, show and take back the source tables."""

import sys

import click

from bootstrap import partitions
from saas_analytics import database, errors, settings
from saas_analytics.database import locks, trust
from saas_analytics.errors import UserError


@click.command("migrate")
@click.argument("revision", default="head")
@click.option(
    "--wait",
    default=locks.WAIT_SECONDS,
    show_default=True,
    type=click.FloatRange(min=0.001),
    help="Seconds to wait for another migration to end.",
)
def migrate(revision: str, wait: float) -> None:
    """Apply the migrations, all or up to REVISION.

    It also makes the partitions of the months ahead.
    """
    from bootstrap import migrate as migrations

    migrations.upgrade(revision, wait_seconds=wait)
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        partitions.create_ahead(connection, configuration.source_schema)
    _echo_place()


# A revision may be written -1, like an option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("revision", default="-1")
@click.option("--yes", is_flag=True, help="Delete the rows without asking.")
def rollback(revision: str, yes: bool) -> None:
    """Take back one migration, or all after REVISION.

    It is one transaction. Where tables with rows would go, it says how many rows and
    asks; with DBT_PRODUCTION=1 it refuses.
    """
    from bootstrap import migrate as migrations

    plan = migrations.plan_way_back(revision)
    if plan.rows:
        _confirm_loss(revision, plan.rows, yes)
    migrations.downgrade(revision)
    _echo_place()


def _confirm_loss(revision: str, rows: dict[str, int], is_confirmed: bool) -> None:
    """Ask whether rows may be deleted.

    Raises:
        UserError: they may not.
    """
    tables = ", ".join(f"{table} {count:,}" for table, count in rows.items())
    loss = f"rollback {revision} deletes {sum(rows.values()):,} rows ({tables})"
    if settings.load().is_production:
        raise UserError(
            f"{loss}, and DBT_PRODUCTION is set: nothing was taken back; if you mean "
            "it, run it with DBT_PRODUCTION set to nothing"
        )
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise UserError(f"{loss}: nothing was taken back; add --yes if you mean it")
    if not click.confirm(f"{loss[0].upper()}{loss[1:]}. Delete them?"):
        raise UserError("not confirmed: nothing was taken back")


@click.command()
@click.argument("revision", default="head")
def stamp(revision: str) -> None:
    """Note that psql ran the migrations up to REVISION."""
    from bootstrap import migrate as migrations

    migrations.stamp(revision)
    _echo_place()


@click.command()
def status() -> int:
    """Show which migrations the database has.

    The exit code is 1 if one is missing or edited, or a schema is not safe.
    """
    from bootstrap import migrate as migrations

    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        states = migrations.states(connection, configuration.source_schema)
        unnoted = migrations.unnoted(connection, configuration.source_schema)
        name = database.name_of(connection, configuration)
        misplaced = database.misplaced_source(connection, configuration)
        with connection.cursor() as cursor:
            complaints = trust.complaints(cursor, configuration)
    click.echo(f"The schema of {name}:")
    for state in states:
        applied = "edited" if state.is_edited else "applied"
        click.echo(f"{applied if state.is_applied else 'missing':8} {state.revision}")
    if misplaced:
        click.echo(f"error: {misplaced}", err=True)
    if unnoted:
        click.echo(
            f"What {', '.join(unnoted)} would make is there all the same: if psql made "
            f"it from these files, run `saas stamp {unnoted[-1]}`."
        )
    for complaint in complaints:
        click.echo(f"Not safe: {complaint}.")
    is_whole = all(state.is_applied and not state.is_edited for state in states)
    return errors.DONE if is_whole and not complaints else errors.FAILED


def _echo_place() -> None:
    from bootstrap import migrate as migrations

    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        states = migrations.states(connection, configuration.source_schema)
        name = database.name_of(connection, configuration)
    applied = [state.revision for state in states if state.is_applied]
    place = applied[-1] if applied else "base, without its tables"
    click.echo(f"The schema of {name} is at {place}.")
