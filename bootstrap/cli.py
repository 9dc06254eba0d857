"""The command line: parses, calls, and turns errors into one line and an exit code.

Alembic, numpy and rich take long to import: only the commands that use them do so.
"""

import datetime
import os
import shutil
import sys
import tempfile
import uuid

import click
import psycopg2
from psycopg2 import errors
from psycopg2.extensions import make_dsn, parse_dsn

from bootstrap import (
    capture,
    changes,
    database,
    embedded,
    erase,
    locks,
    marts_owner,
    partitions,
    retype,
    roles,
    settings,
    trust,
    visibility,
    waiting,
)
from bootstrap.errors import UserError
from bootstrap.output import plain

INTERRUPTED = 130

# The entry of the service file that psql is given.
SERVICE = "saas_analytics"


class _Commands(click.Group):
    """Commands that Ctrl-C ends with one line: click would print a blank one first."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None


@click.group(cls=_Commands)
def cli() -> None:
    """The database before dbt: server, schema, roles and a demo company.

    The server is the one in DATABASE_URL (or DB_HOST, DB_PORT, DB_NAME, DB_USER,
    DB_PASSWORD), from the environment or .env; without them the embedded one. What
    changes the source tables connects by OWNER_DATABASE_URL, where that is set.
    """


@cli.command()
@click.option("--migrated", is_flag=True, help="Fail if the source tables are missing.")
@click.option("--build", is_flag=True, help="Fail if the user can't build the marts.")
def up(migrated: bool, build: bool) -> None:
    """Start the embedded server, or check the configured one."""
    configuration = settings.load()
    if configuration.database_url is None:
        server = embedded.default_server()
        started = server.start()
        state = "is up" if started else "was up already"
        click.echo(f"The embedded PostgreSQL {state}; `make down` stops it.")
        if started:
            click.echo("Connect with: .venv/bin/python -m bootstrap psql")
    else:
        with database.connected(configuration) as connection:
            click.echo(f"PostgreSQL {connection.server_version // 10000} answers.")
    if migrated or build:
        with database.connected(configuration) as connection:
            database.require_unicode(connection)
            database.require_source(connection, configuration)
            if build:
                database.require_builder(connection, configuration)


@cli.command()
def down() -> None:
    """Stop the embedded server; its data stays."""
    stopped = embedded.default_server().stop()
    click.echo(
        "The embedded PostgreSQL " + ("is stopped." if stopped else "was not running.")
    )


@cli.command()
@click.option("--owner", is_flag=True, help="That of OWNER_DATABASE_URL.")
def url(owner: bool) -> None:
    """Print the URL in use, with its password; for psql there is `psql`."""
    configuration = settings.load()
    click.echo(
        database.url_in_use(configuration.for_owner() if owner else configuration)
    )


@cli.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql_command(arguments: tuple[str, ...]) -> None:
    """Run psql ARGUMENTS on the database in use."""
    parameters = parse_dsn(database.url_in_use(settings.load()))
    # Everybody on the machine can read a command line.
    password = parameters.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    if key_password := parameters.pop("sslpassword", None):
        # No variable is for it: a file that has no name.
        parameters["service"] = SERVICE
        environment["PGSERVICEFILE"] = _nameless_file(
            f"[{SERVICE}]\nsslpassword={key_password}\n"
        )
    program = shutil.which("psql") or str(embedded.binaries() / "psql")
    target = make_dsn(**parameters)
    sys.stdout.flush()
    os.execve(program, ["psql", "--dbname", target, *arguments], environment)


def _nameless_file(content: str) -> str:
    """A path under which this process, and what takes its place, reads a text."""
    with tempfile.TemporaryFile() as file:
        file.write(content.encode())
        file.flush()
        copy = os.dup(file.fileno())
    os.set_inheritable(copy, True)
    return f"/dev/fd/{copy}"


@cli.command("migrate")
@click.argument("revision", default="head")
@click.option(
    "--wait",
    default=locks.WAIT_SECONDS,
    show_default=True,
    type=click.FloatRange(min=0.001),
    help="Seconds to wait for another migration to end.",
)
def migrate_command(revision: str, wait: float) -> None:
    """Apply the migrations, all or up to REVISION, and make partitions ahead."""
    from bootstrap import migrate

    migrate.upgrade(revision, wait_seconds=wait)
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        partitions.create_ahead(connection, configuration.source_schema)
    _echo_place()


# A revision may be written -1, like an option.
@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("revision", default="-1")
@click.option("--yes", is_flag=True, help="Delete the rows without asking.")
def rollback(revision: str, yes: bool) -> None:
    """Take back one migration, or all after REVISION (base: every one).

    It is one transaction. Where tables with rows would go, it says how many rows and
    asks; with DBT_PRODUCTION=1 it refuses.
    """
    from bootstrap import migrate

    plan = migrate.plan_way_back(revision)
    if plan.rows:
        _confirm_loss(revision, plan.rows, yes)
    migrate.downgrade(revision)
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


@cli.command()
@click.argument("revision", default="head")
def stamp(revision: str) -> None:
    """Note that the database has the migrations up to REVISION, running none."""
    from bootstrap import migrate

    migrate.stamp(revision)
    _echo_place()


@cli.command()
def status() -> None:
    """Show which migrations the database has; exit 1 if one is missing or edited."""
    from bootstrap import migrate

    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        states = migrate.states(connection, configuration.source_schema)
        unnoted = migrate.unnoted(connection, configuration.source_schema)
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
            f"it from these files, run `python -m bootstrap stamp {unnoted[-1]}`."
        )
    for complaint in complaints:
        click.echo(f"Not safe: {complaint}.")
    if complaints or not all(
        state.is_applied and not state.is_edited for state in states
    ):
        sys.exit(1)


def _echo_place() -> None:
    from bootstrap import migrate

    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        states = migrate.states(connection, configuration.source_schema)
        name = database.name_of(connection, configuration)
    applied = [state.revision for state in states if state.is_applied]
    place = applied[-1] if applied else "base, without its tables"
    click.echo(f"The schema of {name} is at {place}.")


@cli.command("partitions")
@click.option(
    "--ahead",
    default=partitions.MONTHS_AHEAD,
    show_default=True,
    type=click.IntRange(0, 120),
    help="How many months after this one.",
)
@click.option(
    "--keep-tombstones",
    default=changes.DAYS_KEPT,
    show_default=True,
    type=click.IntRange(0, 3650),
    help="For how many days; a mart not built for so long is rebuilt.",
)
def partitions_command(ahead: int, keep_tombstones: int) -> None:
    """Make monthly partitions ahead, clear old tombstones of changes; run it daily."""
    configuration = settings.load().for_owner()
    schema = configuration.source_schema
    with database.connected(configuration) as connection, database.interruptible():
        database.require_source(connection, configuration)
        visibility.refuse_hidden_rows(connection, configuration.source_schema)
        database.require_owner(connection, configuration)
        created = partitions.create_ahead(connection, schema, ahead)
        cleared = changes.clear_tombstones(connection, schema, keep_tombstones)
    if created is None:
        raise UserError(
            "the event tables aren't there yet: run `python -m bootstrap migrate` first"
        )
    click.echo(f"{created} partitions made.")
    if cleared is not None:
        click.echo(f"{cleared} tombstones of old changes cleared.")


@cli.command("capture")
@click.argument("table")
@click.argument("columns", nargs=-1)
def capture_command(table: str, columns: tuple[str, ...]) -> None:
    """Capture changes of a source TABLE, and keep COLUMNS of changed rows as well.

    Marts are cheap where before-images keep what they group or filter by. It also
    repairs capture after a table or column got another name. Writers of the table wait
    for a moment; marts that read it are rebuilt by the next run.
    """
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        database.require_source(connection, configuration)
        database.require_owner(connection, configuration)
        kept = capture.keep(connection, configuration, table, columns)
    click.echo(f"Before-images of {table} keep {', '.join(kept)}.")


@cli.command("retype")
@click.argument("table")
@click.argument("column")
@click.argument("data_type", metavar="TYPE")
def retype_command(table: str, column: str, data_type: str) -> None:
    """Give COLUMN of TABLE another TYPE, with the triggers, views and indexes of it."""
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        database.require_source(connection, configuration)
        database.require_owner(connection, configuration)
        made = retype.retype(connection, configuration, table, column, data_type)
    again = made.triggers + made.views + made.indexes
    click.echo(f"{table}.{column} is {data_type} now; made again: {len(again)}.")
    for name in again:
        click.echo(f"  {name}")
    click.echo("Run `make build`: it makes the marts again that depend on the type.")


@cli.command("erase-user")
@click.argument("user_id", metavar="ID", type=click.UUID)
@click.option(
    "--dry-run", is_flag=True, help="Say what would change, and change nothing."
)
def erase_user(user_id: uuid.UUID, dry_run: bool) -> None:
    """Erase the person with this ID of users: who they were, not what was paid."""
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
        click.echo(f"{total:,} rows changed; the next run takes it into the marts.")
    if erasure.live_subscriptions:
        click.echo(f"{erasure.live_subscriptions} subscriptions are not cancelled yet.")
    if erasure.open_payouts:
        click.echo(
            f"{erasure.open_payouts} approved commissions and payouts are not paid yet."
        )


@cli.command("roles")
def roles_command() -> None:
    """Make the roles of dbt, analysts and application, with no more than they need."""
    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection, database.interruptible():
        closed = roles.create(connection, configuration)
        has_source = database.has_source(connection, configuration)
    click.echo(
        f"{configuration.transformer_role} may read the source, but for its private "
        "columns, and write the marts; "
        f"{configuration.analyst_role} may read the marts; "
        f"{configuration.application_role} may write the source."
    )
    if closed:
        click.echo(
            f"Closed to dbt, because they are not classified: {', '.join(closed)}. Add "
            "what holds no personal data to OPEN_COLUMNS in bootstrap/columns.py, then "
            "run this again."
        )
    if not has_source:
        click.echo("There is no source table yet: run this again after `migrate`.")


@cli.command()
@click.option(
    "--scale",
    default=1.0,
    show_default=True,
    type=float,
    help="Size of the company: 1 is about 1,500 users; no company has under some 200.",
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
    from rich.console import Console

    from bootstrap.demo import load_demo

    configuration = settings.load().for_owner()
    with database.connected(configuration) as connection:
        database.require_unicode(connection)
        database.require_source(connection, configuration)
        with connection.cursor() as cursor:
            trust.refuse(cursor, configuration.source_schema)
        database.use_source(connection, configuration)
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
    from rich.console import Console

    from bootstrap import tour

    configuration = settings.load()
    with marts_owner.connected(configuration) as connection:
        tour.show(connection, configuration, Console(highlight=False))


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 ^C."""
    try:
        cli(standalone_mode=False, prog_name="python -m bootstrap")
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted: what was not finished was undone", INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        _fail(f"{error.format_message()} (see --help)", 2)
    except click.ClickException as error:
        _fail(error.format_message(), 1)
    except UserError as error:
        _fail(str(error) + waiting.in_the_way(error), 1)
    except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
        _fail(f"{database.explain(error)}: run `python -m bootstrap migrate` first", 1)
    except psycopg2.Error as error:
        _fail(database.explain(error) + waiting.in_the_way(error), 1)
    except OSError as error:
        _fail(str(error), 1)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {plain(' '.join(message.split()))}", err=True)
    sys.exit(code)
