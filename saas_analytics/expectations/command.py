"""The command `saas expectations`."""

import os
from collections import Counter

import click
import psycopg2

from saas_analytics import database, marts_owner, settings
from saas_analytics.database import visibility
from saas_analytics.errors import DONE, FAILED, NotRun, UserError
from saas_analytics.output import plain


@click.command()
@click.option(
    "--select", "names", multiple=True, help="Judge this suite only (repeatable)."
)
def expectations(names: tuple[str, ...]) -> int:
    """Check volumes, distributions and drift, after a build.

    The suites are next to the models, as *_expectations.py.
    docs/how-to/check-expectations.md describes them. The exit code is 1 where a
    promise of severity error is broken.
    """
    try:
        return _judge(names)
    except UserError as error:
        raise NotRun(str(error)) from None
    except psycopg2.Error as error:
        raise NotRun(database.explain(error)) from None


def _judge(names: tuple[str, ...]) -> int:
    """Judge the suites, all or those that are named. Returns the exit code."""
    configuration = settings.load()
    with marts_owner.connected(configuration) as connection, database.interruptible():
        # A transaction of its own: the judge takes a snapshot for all it reads.
        with connection:
            for schema in (configuration.source_schema, *configuration.dbt_schemas()):
                visibility.refuse_hidden_rows(connection, schema)
        # Great Expectations takes seconds to import.
        try:
            from saas_analytics.expectations import judge, page, suites
        except ModuleNotFoundError as missing:
            raise UserError(
                f"{missing.name} is not installed: run `make expectations`, or install "
                "saas-analytics[expectations]"
            ) from None

        selected = suites.load(names)
        verdicts = judge.run(connection, configuration, selected)
    is_sound = True
    for name, suite in selected.items():
        counts = Counter(verdict.state for verdict in verdicts[name])
        told = ", ".join(f"{counts[state]} {state}" for state in sorted(counts))
        click.echo(f"{name}: {told}")
        for verdict in verdicts[name]:
            if verdict.state == "broken":
                severity = verdict.promise.severity
                is_sound &= severity != "error"
                line = plain(verdict.line())
                click.echo(f"  {severity}: {line} ({suite.owner})")
    path = page.write(selected, verdicts)
    click.echo(f"Open {os.path.relpath(path)} in a browser.")
    return DONE if is_sound else FAILED
