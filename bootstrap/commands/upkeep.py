"""Commands that maintain the source tables: roles, partitions, columns, erasures."""

import uuid

import click

from bootstrap import capture as change_capture
from bootstrap import changes, erase
from bootstrap import partitions as event_partitions
from bootstrap import retype as column_types
from bootstrap import roles as access
from saas_analytics import database, settings
from saas_analytics.database import visibility
from saas_analytics.errors import UserError


@click.command("roles")
def roles() -> None:
    """Create the roles of dbt, the analysts and the application.

    Each role gets only the rights that it needs.
    """
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        closed = access.create(connection, configuration)
        has_source = database.has_source(connection, configuration)
    click.echo(
        f"{configuration.transformer_role} may read the source except its private "
        "columns, and write the marts; "
        f"{configuration.analyst_role} may read the marts; "
        f"{configuration.application_role} may write the source."
    )
    if closed:
        click.echo(
            f"dbt may not read these unclassified columns: {', '.join(closed)}. Add "
            "those without personal data to OPEN_COLUMNS in bootstrap/columns.py, then "
            "run this again."
        )
    if not has_source:
        click.echo("There are no source tables yet: run `saas migrate`, then this.")


@click.command("partitions")
@click.option(
    "--ahead",
    default=event_partitions.MONTHS_AHEAD,
    show_default=True,
    type=click.IntRange(0, 120),
    help="Number of months after this one.",
)
@click.option(
    "--keep-tombstones",
    default=changes.DAYS_KEPT,
    show_default=True,
    type=click.IntRange(0, 3650),
    help="In days; a mart that was not refreshed for longer is rebuilt.",
)
def partitions(ahead: int, keep_tombstones: int) -> None:
    """Create partitions and delete old before-images, daily.

    Tombstones are the before-images of changed and deleted rows.
    """
    configuration = settings.load().for_owner()
    schema = configuration.source_schema
    with database.connected(configuration) as connection, database.interruptible():
        database.require_source(connection, configuration)
        visibility.refuse_hidden_rows(connection, configuration.source_schema)
        database.require_owner(connection, configuration)
        created = event_partitions.create_ahead(connection, schema, ahead)
        cleared = changes.clear_tombstones(connection, schema, keep_tombstones)
    if created is None:
        raise UserError("there are no event tables yet: run `saas migrate` first")
    click.echo(f"{created} partitions created.")
    if cleared is not None:
        click.echo(f"{cleared} old tombstones deleted.")


@click.command("capture")
@click.argument("table")
@click.argument("columns", nargs=-1)
def capture(table: str, columns: tuple[str, ...]) -> None:
    """Capture changes of TABLE, with more of its COLUMNS.

    A mart is refreshed cheaply if before-images have the columns that it groups or
    filters by. The command also repairs capture after a table or column was renamed. It
    blocks writes to the table for a moment. The next run rebuilds the marts that read
    the table.
    """
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        database.require_source(connection, configuration)
        database.require_owner(connection, configuration)
        kept = change_capture.keep(connection, configuration, table, columns)
    click.echo(f"Before-images of {table} have {', '.join(kept)}.")


@click.command("retype")
@click.argument("table")
@click.argument("column")
@click.argument("data_type", metavar="TYPE")
def retype(table: str, column: str, data_type: str) -> None:
    """Change the type of a COLUMN of TABLE.

    The command recreates the triggers, views and indexes that read the column.
    """
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        database.require_source(connection, configuration)
        database.require_owner(connection, configuration)
        made = column_types.retype(connection, configuration, table, column, data_type)
    recreated = made.triggers + made.views + made.indexes
    click.echo(f"{table}.{column} is {data_type} now; recreated: {len(recreated)}.")
    for name in recreated:
        click.echo(f"  {name}")
    click.echo("Run `make build`, which rebuilds the marts that depend on the type.")


@click.command("erase-user")
@click.argument("user_id", metavar="ID", type=click.UUID)
@click.option(
    "--dry-run", is_flag=True, help="Show what would change, and change nothing."
)
def erase_user(user_id: uuid.UUID, dry_run: bool) -> None:
    """Erase the person with this ID of users.

    Payments stay, without the person.
    """
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        database.require_source(connection, configuration)
        visibility.refuse_hidden_rows(connection, configuration.source_schema)
        connection.commit()
        erasure = erase.erase(
            connection, user_id, dry_run=dry_run, schema=configuration.source_schema
        )
    for table, count in erasure.rows.items():
        if count:
            click.echo(f"{table:26} {count:>9,}")
    total = sum(erasure.rows.values())
    if dry_run:
        click.echo(f"{total:,} rows would change.")
    else:
        click.echo(f"{total:,} rows changed; the next run updates the marts.")
    if erasure.live_subscriptions:
        click.echo(f"{erasure.live_subscriptions} subscriptions are not canceled yet.")
    if erasure.open_payouts:
        click.echo(
            f"{erasure.open_payouts} approved commissions and payouts are not paid yet."
        )
