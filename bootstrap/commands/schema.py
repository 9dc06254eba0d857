"""Commands that create, show and remove the source tables."""

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

    It also creates the partitions of the next months.
    """
    from bootstrap import migrate as migrations

    migrations.upgrade(revision, wait_seconds=wait)
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        partitions.create_ahead(connection, configuration.source_schema)
    _echo_place()


# The revision -1 looks like an option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("revision", default="-1")
@click.option("--yes", is_flag=True, help="Delete the rows without asking.")
def rollback(revision: str, yes: bool) -> None:
    """Revert one migration, or all after REVISION.

    It is one transaction. If it would drop tables with rows, it shows their number and
    asks for confirmation. With DBT_PRODUCTION=1 it refuses.
    """
    from bootstrap import migrate as migrations

    plan = migrations.plan_reversal(revision)
    if plan.rows:
        _confirm_loss(revision, plan.rows, yes)
    migrations.downgrade(revision)
    if plan.rows:
        click.echo(f"Deleted {_summary(plan.rows)}.")
    _echo_place()


def _confirm_loss(revision: str, rows: dict[str, int], is_confirmed: bool) -> None:
    """Ask whether the rows may be deleted.

    Raises:
        UserError: the answer is no, or DBT_PRODUCTION or a missing terminal forbids it.
    """
    loss = f"rollback {revision} deletes {_summary(rows)}"
    if settings.load().is_production:
        raise UserError(
            f"{loss}, and DBT_PRODUCTION is set: nothing was changed; to delete them, "
            "run it with an empty DBT_PRODUCTION"
        )
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise UserError(f"{loss}: nothing was changed; to delete them, add --yes")
    if not click.confirm(f"{loss[0].upper()}{loss[1:]}. Delete them?"):
        raise UserError("not confirmed: nothing was changed")


def _summary(rows: dict[str, int]) -> str:
    """Numbers of rows by table, as text: "3 rows (users 2, teams 1)"."""
    tables = ", ".join(f"{table} {count:,}" for table, count in rows.items())
    return f"{sum(rows.values()):,} rows ({tables})"


@click.command()
@click.argument("revision", default="head")
def stamp(revision: str) -> None:
    """Record that psql ran the migrations up to REVISION."""
    from bootstrap import migrate as migrations

    migrations.stamp(revision)
    _echo_place()


@click.command()
def status() -> int:
    """Show which migrations the database has.

    The exit code is 1 if one is missing or edited, or a schema is unsafe.
    """
    from bootstrap import migrate as migrations

    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        states = migrations.states(connection, configuration.source_schema)
        unrecorded = migrations.unrecorded(connection, configuration.source_schema)
        name = database.name_of(connection, configuration)
        misplaced = database.misplaced_source(connection, configuration)
        with connection.cursor() as cursor:
            complaints = trust.complaints(cursor, configuration)
    click.echo(f'Schema "{configuration.source_schema}" of {name}:')
    for state in states:
        applied = "edited" if state.is_edited else "applied"
        click.echo(f"{applied if state.is_applied else 'missing':8} {state.revision}")
    if misplaced:
        click.echo(f"error: {misplaced}", err=True)
    if unrecorded:
        click.echo(
            f"The tables of {', '.join(unrecorded)} exist, but are not recorded: if "
            f"psql made them from these files, run `saas stamp {unrecorded[-1]}`."
        )
    for complaint in complaints:
        click.echo(f"Unsafe: {complaint}.")
    is_whole = all(state.is_applied and not state.is_edited for state in states)
    return errors.DONE if is_whole and not complaints else errors.FAILED


def _echo_place() -> None:
    from bootstrap import migrate as migrations

    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        states = migrations.states(connection, configuration.source_schema)
        name = database.name_of(connection, configuration)
    applied = [state.revision for state in states if state.is_applied]
    place = applied[-1] if applied else "base, without source tables"
    click.echo(f'Schema "{configuration.source_schema}" of {name} is at {place}.')
