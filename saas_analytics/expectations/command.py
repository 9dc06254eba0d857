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
    "--select", "names", multiple=True, help="Evaluate this suite only (repeatable)."
)
def expectations(names: tuple[str, ...]) -> int:
    """Check volumes, distributions and drift, after a build.

    Each suite is a file *_expectations.py in models/. docs/reference/expectations.md
    lists the checks. The exit code is 1 if a check of severity error fails.
    """
    try:
        return _evaluate(names)
    except UserError as error:
        raise NotRun(str(error)) from None
    except psycopg2.Error as error:
        raise NotRun(database.explain(error)) from None


def _evaluate(names: tuple[str, ...]) -> int:
    """Evaluate all suites, or those in `names`. Returns the exit code."""
    configuration = settings.load()
    with marts_owner.connected(configuration) as connection, database.interruptible():
        # A separate transaction: the evaluation takes its own snapshot.
        with connection:
            for schema in (configuration.source_schema, *configuration.dbt_schemas()):
                visibility.refuse_hidden_rows(connection, schema)
        # Great Expectations takes seconds to import.
        try:
            from saas_analytics.expectations import evaluate, page, suites
        except ModuleNotFoundError as missing:
            raise UserError(
                f"{missing.name} is not installed: run `make expectations`, or install "
                "saas-analytics[expectations]"
            ) from None

        selected = suites.load(names)
        results = evaluate.run(connection, configuration, selected)
    passed = True
    for name, suite in selected.items():
        counts = Counter(result.state for result in results[name])
        summary = ", ".join(f"{counts[state]} {state}" for state in sorted(counts))
        click.echo(f"{name}: {summary}")
        for result in results[name]:
            if result.state == "failed":
                severity = result.check.severity
                passed &= severity != "error"
                line = plain(result.line())
                click.echo(f"  {severity}: {line} ({suite.owner})")
    path = page.write(selected, results)
    click.echo(f"Open {os.path.relpath(path)} in a browser.")
    return DONE if passed else FAILED
