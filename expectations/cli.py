"""The command line: judges, tells, and turns what came out into an exit code."""

import os
import sys
from collections import Counter

import click
import psycopg2

from bootstrap import database, marts_owner, settings, visibility
from bootstrap.errors import UserError
from bootstrap.output import plain

BROKEN = 1
NOT_JUDGED = 2
INTERRUPTED = 130


@click.command()
@click.option(
    "--select", "names", multiple=True, help="Judge this suite only (repeatable)."
)
def cli(names: tuple[str, ...]) -> None:
    """Judge what is expected of the marts and of their source.

    The suites stand beside the models, as *_expectations.py; docs/quality.md tells of
    them. Exit codes: 0 nothing worse than a warning, 1 a promise of severity error is
    broken, 2 they could not be judged, 130 Ctrl-C.
    """
    configuration = settings.load()
    with marts_owner.connected(configuration) as connection, database.interruptible():
        # A transaction of its own: the judge takes a snapshot for all it reads.
        with connection:
            for schema in (configuration.source_schema, *configuration.dbt_schemas()):
                visibility.refuse_hidden_rows(connection, schema)
        # Great Expectations takes seconds to import.
        from expectations import judge, page, suites

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
    sys.exit(0 if is_sound else BROKEN)


def main() -> None:
    """Run the command and exit with its code."""
    try:
        cli(standalone_mode=False, prog_name="python -m expectations")
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted: nothing was judged", INTERRUPTED)
    except click.UsageError as error:
        _fail(f"{error.format_message()} (see --help)", NOT_JUDGED)
    except UserError as error:
        _fail(str(error), NOT_JUDGED)
    except psycopg2.Error as error:
        _fail(" ".join(database.explain(error).split()), NOT_JUDGED)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {plain(message)}", err=True)
    sys.exit(code)
