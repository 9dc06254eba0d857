"""The command `saas refresh`."""

import time

import click
import psycopg2
from psycopg2 import errors
from psycopg2.extensions import connection as Connection

from saas_analytics import database, marts_owner, settings
from saas_analytics.errors import DONE, FAILED, UserError
from saas_analytics.output import plain
from saas_analytics.refresh import engine


@click.command()
@click.argument("models", nargs=-1)
@click.option("--rebuild", is_flag=True, help="Recompute the models from all rows.")
@click.option(
    "--verify",
    is_flag=True,
    help="Compare each model with its select; roll back if one differs.",
)
@click.option(
    "--wait",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0.001),
    help="Seconds to wait for a lock that another process holds.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    help="Seconds that a run may take, 0 for no limit. [default: REFRESH_TIMEOUT]",
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    help="Repeat the run every so many seconds, until Ctrl-C.",
)
def refresh(
    models: tuple[str, ...],
    rebuild: bool,
    verify: bool,
    wait: float,
    timeout: float | None,
    quiet: bool,
    every: float | None,
) -> int:
    """Refresh MODELS without dbt, in one snapshot.

    Without MODELS it refreshes all. `saas build` creates and changes the models; this
    command applies changes of the source to them. Its cost grows with the changes. It
    runs the data tests of single rows and groups on the rows that it writes.
    """
    configuration = settings.load()
    schema = f"{configuration.marts_schema}_refresh"
    if timeout is None:
        timeout = configuration.refresh_timeout

    def compare(connection: Connection) -> None:
        engine.verify(connection, schema, models)

    while True:
        started = time.monotonic()
        try:
            with (
                marts_owner.connected(configuration) as connection,
                database.interruptible(),
            ):
                runs = engine.refresh(
                    connection,
                    schema,
                    models=models,
                    rebuild=rebuild,
                    inspect=compare if verify else None,
                    wait_seconds=wait,
                    run_seconds=timeout,
                )
                engine.forget(connection, schema)
            if not quiet:
                _report(runs, time.monotonic() - started, verify)
            is_sound = _report_failures(runs)
        except (UserError, psycopg2.Error) as error:
            if every is None and isinstance(error, psycopg2.Error):
                raise UserError(_one_line(error)) from error
            if every is None:
                raise
            # The cause can be temporary: a restart of the server, or another run.
            click.echo(f"error: {_one_line(error)}", err=True)
        if every is None:
            return DONE if is_sound else FAILED
        time.sleep(max(0.0, every - (time.monotonic() - started)))


def _report(runs: list[engine.Run], seconds: float, is_verified: bool) -> None:
    """Print one line per changed model, the advice and the totals."""
    changed = [run for run in runs if not run.is_unchanged]
    for run in changed:
        click.echo(
            f"{run.model:34} {run.method:7} -{run.rows_removed:,} +{run.rows_added:,} "
            f"rows, {run.milliseconds:,.0f} ms"
        )
    for sentence, models in _advice(runs).items():
        be = "is" if len(models) == 1 else "are"
        click.echo(f"note: {', '.join(models)} {be} {sentence}")
    verified = ", each equals its select" if is_verified else ""
    click.echo(
        f"{len(changed)} of {len(runs)} models changed{verified}, {seconds:.2f} s."
    )


def _advice(runs: list[engine.Run]) -> dict[str, list[str]]:
    """Each advice with the models that it concerns."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for sentence in run.advice:
            found.setdefault(sentence, []).append(run.model)
    return found


def _report_failures(runs: list[engine.Run]) -> bool:
    """Print failed data tests. Returns whether there are none."""
    failed = [(run.model, name) for run in runs for name in run.failed_checks]
    for model, name in failed:
        click.echo(f"error: {model} fails {name}: see `make build`", err=True)
    return not failed


def _one_line(error: Exception) -> str:
    if isinstance(error, errors.InsufficientPrivilege) and not error.diag.message_hint:
        return (
            f"{error.diag.message_primary}: if another role built the marts, run "
            "`saas roles` as the source's owner, which transfers them"
        )
    text = database.explain(error) if isinstance(error, psycopg2.Error) else str(error)
    if isinstance(error, errors.QueryCanceled) and "timeout" in text:
        text += (
            ", the run was rolled back: raise --timeout or REFRESH_TIMEOUT, or find "
            "out what it waits for or reads"
        )
    if isinstance(error, errors.StringDataRightTruncation):
        text += (
            ", because a column of the source was widened: run `make build`, which "
            "rebuilds the tables that have its former type"
        )
    if isinstance(error, (errors.UndefinedColumn, errors.UndefinedTable)):
        text += ": run `saas migrate`, and `make build` after it"
    return plain(" ".join(text.split()))
