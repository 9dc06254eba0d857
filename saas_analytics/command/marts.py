"""Commands that build, show and describe the marts."""

import click

from saas_analytics import marts_owner, settings
from saas_analytics.command.server import start

DBT = {"ignore_unknown_options": True}


@click.command(context_settings=DBT)
@click.option("--verbose", is_flag=True, help="Show dbt's log, not a summary.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def build(verbose: bool, arguments: tuple[str, ...]) -> int:
    """Build and test every mart; ARGUMENTS go to `dbt build`."""
    from saas_analytics.dbt import run, summary

    start(migrated=True, build=True)
    return run.run("build", *arguments) if verbose else summary.run(arguments)


@click.command(context_settings=DBT)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def freshness(arguments: tuple[str, ...]) -> int:
    """Fail if a source table has had no new rows for too long."""
    from saas_analytics.dbt import run

    start(migrated=True)
    return run.run("source", "freshness", *arguments)


@click.command(context_settings=DBT)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def docs(arguments: tuple[str, ...]) -> int:
    """Write the catalog of models to target/static_index.html."""
    from saas_analytics.dbt import run

    start()
    code = run.run("docs", "generate", "--static", *arguments)
    if code == 0:
        click.echo("Open target/static_index.html in a browser.")
    return code


@click.command(context_settings={**DBT, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt(arguments: tuple[str, ...]) -> int:
    """Run dbt ARGUMENTS with the connection of the settings."""
    from saas_analytics.dbt import run

    return run.run(*arguments)


@click.command("tour")
def tour() -> None:
    """Show figures of the marts, and further commands."""
    from rich.console import Console

    from saas_analytics import tour

    configuration = settings.load()
    with marts_owner.connected(configuration) as connection:
        tour.show(connection, configuration, Console(highlight=False))
