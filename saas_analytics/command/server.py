"""Commands for the server and the connection to it."""

import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping

import click
from psycopg2.extensions import make_dsn, parse_dsn

from saas_analytics import database, settings
from saas_analytics.dbt import environment
from saas_analytics.server import embedded
from saas_analytics.server.programs import binaries

# The entry of psql's service file.
SERVICE = "saas_analytics"

_SECRET = re.compile("PASSWORD|SECRET|TOKEN").search


@click.command()
@click.option("--migrated", is_flag=True, help="Fail if the source tables are missing.")
@click.option("--build", is_flag=True, help="Fail if the user can't build the marts.")
def up(migrated: bool, build: bool) -> None:
    """Start the embedded server, or check the configured one."""
    start(migrated=migrated, build=build)


def start(*, migrated: bool = False, build: bool = False) -> None:
    """Start the embedded server, or check the configured one.

    Args:
        migrated: whether the source tables must exist.
        build: whether the user must be able to build the marts.

    Raises:
        UserError: the server does not answer, or a requirement is not met.
    """
    configuration = settings.load()
    if configuration.database_url is None:
        server = embedded.default_server()
        started = server.start()
        state = "is up" if started else "was up already"
        click.echo(f"The embedded PostgreSQL {state}; `make down` stops it.")
        if started:
            click.echo("Connect with: .venv/bin/saas psql")
    else:
        with database.connected(configuration) as connection:
            click.echo(f"PostgreSQL {connection.server_version // 10000} answers.")
    if migrated or build:
        with database.connected(configuration) as connection:
            database.require_unicode(connection)
            database.require_source(connection, configuration)
            if build:
                database.require_builder(connection, configuration)


@click.command()
def down() -> None:
    """Stop the embedded server; its data stays."""
    stopped = embedded.default_server().stop()
    click.echo(
        "The embedded PostgreSQL " + ("is stopped." if stopped else "was not running.")
    )


@click.command()
@click.option("--owner", is_flag=True, help="Print OWNER_DATABASE_URL.")
def url(owner: bool) -> None:
    """Print the URL in use, with its password."""
    configuration = settings.load()
    click.echo(
        database.url_in_use(configuration.for_owner() if owner else configuration)
    )


@click.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Run psql ARGUMENTS on the database in use."""
    parameters = parse_dsn(database.url_in_use(settings.load()))
    # Every user of the machine can read a command line.
    password = parameters.pop("password", None)
    variables = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    if key_password := parameters.pop("sslpassword", None):
        # libpq has no variable for it, so psql reads it from a nameless file.
        parameters["service"] = SERVICE
        variables["PGSERVICEFILE"] = _nameless_file(
            f"[{SERVICE}]\nsslpassword={key_password}\n"
        )
    program = shutil.which("psql") or str(binaries() / "psql")
    target = make_dsn(**parameters)
    sys.stdout.flush()
    os.execve(program, ["psql", "--dbname", target, *arguments], variables)


def _nameless_file(content: str) -> str:
    """A path from which this process, also after exec, reads a text."""
    with tempfile.TemporaryFile() as file:
        file.write(content.encode())
        file.flush()
        copy = os.dup(file.fileno())
    os.set_inheritable(copy, True)
    return f"/dev/fd/{copy}"


@click.command()
def env() -> None:
    """Print dbt's connection for a shell: eval "$(saas env)".

    For programs outside of the virtual environment. Inside it, every program that runs
    dbt in this project already has the connection.
    """
    variables = environment.connection()
    secret = [name for name, value in variables.items() if value and _SECRET(name)]
    if secret:
        click.echo(f"note: this output holds secrets: {', '.join(secret)}", err=True)
    click.echo(exports(variables), nl=False)


def exports(variables: Mapping[str, str]) -> str:
    """POSIX shell statements that export variables."""
    return "".join(
        f"export {name}={shlex.quote(value)}\n"
        for name, value in sorted(variables.items())
    )
