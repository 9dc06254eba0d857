"""Run `dbt build` behind one progress bar, for a person who watches.

A scheduler wants dbt's own log, line by line (`make build`); the first look at the
project wants to know how far it is, and what failed. The whole log is in logs/dbt.log
either way.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

from dbt.artifacts.schemas.results import TestStatus
from dbt.cli.main import dbtRunner, dbtRunnerResult
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from bootstrap import dbt_environment
from bootstrap.errors import UserError

KINDS = {
    "model": "models",
    "seed": "seeds",
    "snapshot": "snapshots",
    "test": "tests",
    "unit_test": "unit tests",
}


class BuildProgress:
    """Moves the bar along with dbt's events."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("Reading the models", total=None)

    def __call__(self, event: Any) -> None:
        """Take one event; only those about a step's start and end matter."""
        if event.info.name == "LogStartLine":
            name = event.data.node_info.node_name
            self.progress.update(
                self.task, total=event.data.total, description=f"Building {name:.45}"
            )
        elif event.info.name == "NodeFinished":
            self.progress.advance(self.task)


def build(console: Console) -> dbtRunnerResult:
    """Build and test everything, the bar vanishing at the end."""
    columns = (
        TextColumn("{task.description:<54}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        return dbtRunner(callbacks=[BuildProgress(progress)]).invoke(
            ["--quiet", "build", *sys.argv[1:]]
        )


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
        if result.status == TestStatus.Warn
    ]


def main() -> int:
    console = Console(highlight=False)
    try:
        os.environ.update(dbt_environment.variables())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    outcome = build(console)
    results = getattr(outcome.result, "results", [])
    if not outcome.success:
        # dbt has said by now what went wrong.
        console.print("The build failed: logs/dbt.log holds the whole story.")
        return 1 if results else 2
    console.print(f"Built and passed: {summary(results)}.", soft_wrap=True)
    found = warnings(results)
    if found:
        console.print("Wrong rows of the source, which docs/quality.md explains:")
        console.print("\n".join(found), soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
