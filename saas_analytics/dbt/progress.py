"""Run `dbt build` behind one progress bar, for a person who watches.

A scheduler wants dbt's own log, line by line (`make build`); the first look at the
project wants to know how far it is, and what failed. The whole log is in logs/dbt.log
either way.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from saas_analytics import errors
from saas_analytics.dbt import run as dbt_run
from saas_analytics.output import plain

# dbt takes seconds to import: only what Ctrl-C ends with one line does so.
if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from rich.console import Console
    from rich.progress import Progress

KINDS = {
    "model": "models",
    "seed": "seeds",
    "snapshot": "snapshots",
    "test": "tests",
    "unit_test": "unit tests",
}


class BuildProgress:
    """Moves the bar along with dbt's events, and keeps what dbt says of failures."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("Reading the models", total=None)
        self.failures: list[str] = []

    def __call__(self, event: Any) -> None:
        """Take one event: a step's start, its end, or a failure."""
        if event.info.level == "error":
            self.failures.append(event.info.msg)
        elif event.info.name == "LogStartLine":
            name = event.data.node_info.node_name
            self.progress.update(
                self.task, total=event.data.total, description=f"Building {name:.45}"
            )
        elif event.info.name == "NodeFinished":
            self.progress.advance(self.task)


def build(
    console: Console, arguments: Sequence[str]
) -> tuple[dbtRunnerResult, list[str]]:
    """Build and test everything, the bar vanishing at the end; what dbt says failed."""
    from dbt.cli.main import dbtRunner
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        TextColumn("{task.description:<54}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        listener = BuildProgress(progress)
        outcome = dbtRunner(callbacks=[listener]).invoke(
            ["--log-level", "none", "build", *arguments]
        )
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise dbt_run.interrupted() from None
    return outcome, listener.failures


def summary(results: Iterable[Any]) -> str:
    """How many steps of each kind went well."""
    done: Counter[str] = Counter()
    for result in results:
        kind = KINDS.get(str(result.node.resource_type))
        if kind is not None:
            done[kind] += 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(done.items()))


def warnings(results: Iterable[Any]) -> list[str]:
    """A line for each test that warns: how many rows, and which table holds them."""
    return [
        f"{result.failures:>7,} in {result.node.schema}.{result.node.alias}"
        for result in results
        if result.status == "warn"
    ]


def run(arguments: Sequence[str]) -> int:
    """Build, and say how it went. Returns the exit code.

    Raises:
        Interrupted: Ctrl-C; dbt has cancelled its queries.
        UserError: a setting that can't be used.
    """
    from rich.console import Console

    dbt_run.prepare("build", *arguments)
    console = Console(highlight=False)
    outcome, failures = build(console, arguments)
    results = getattr(outcome.result, "results", [])
    if not outcome.success:
        for line in "\n".join(failures).splitlines():
            # dbt colours what it says, and quotes values of the database.
            print(plain(re.sub(r"\x1b\[[0-9;]*m", "", line)), file=sys.stderr)
        print("The build failed: logs/dbt.log holds the whole story.", file=sys.stderr)
        return errors.FAILED if results else errors.NOT_RUN
    console.print(f"Built and passed: {summary(results)}.", soft_wrap=True)
    found = warnings(results)
    if found:
        console.print("Wrong rows of the source, which docs/quality.md explains:")
        console.print("\n".join(found), soft_wrap=True)
    return errors.DONE
