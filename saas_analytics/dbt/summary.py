"""Run `dbt build` with a summary: a line per group of steps, each finding in full.

dbt's own log has a line or two for each of some 700 steps. It is in the log file in
both cases.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saas_analytics import errors
from saas_analytics.dbt import run as dbt_run
from saas_analytics.output import plain

# dbt takes seconds to import. It is imported where Ctrl-C ends with one line.
if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from rich.console import Console
    from rich.progress import Progress

# Seconds between two lines of progress where no bar is shown.
INTERVAL = 30.0

# The groups of steps in their order; models are in the group of their folder.
GROUPS = ("seeds", "staging", "intermediate", "marts", "snapshots", "unit tests")
TESTS = "data tests"
KINDS = {"seed": "seeds", "snapshot": "snapshots", "unit_test": "unit tests"}

# dbt's events about results: the summary has its own lines for these.
_OF_RESULTS = ("LogTestResult", "RunResult", "CheckNodeTestFailure")


class Listener:
    """Handles dbt's events: moves the bar, collects errors and prints messages."""

    def __init__(self, progress: Progress) -> None:
        """Add the bar.

        Args:
            progress: where it moves.
        """
        self.progress = progress
        self.task = progress.add_task("Reading the models", total=None)
        self.failures: list[str] = []
        self.started = self.printed = time.monotonic()

    def __call__(self, event: Any) -> None:
        """Handle one event: a step's start, its end, a message or a failure."""
        name, level = event.info.name, event.info.level
        if level == "error":
            self.failures.append(event.info.msg)
        elif level == "warn" and not name.startswith(_OF_RESULTS):
            self._print(f"warning: {event.info.msg}")
        elif name == "JinjaLogInfo":
            self._print(event.info.msg)
        elif name == "LogStartLine":
            step = event.data.node_info.node_name
            self.progress.update(
                self.task, total=event.data.total, description=f"Building {step:.45}"
            )
        elif name == "NodeFinished":
            self.progress.advance(self.task)
            self._print_progress()

    def _print(self, message: str) -> None:
        self.progress.console.print(_readable(message), soft_wrap=True, markup=False)

    def _print_progress(self) -> None:
        """In a log file, print a line every half minute."""
        now = time.monotonic()
        if self.progress.console.is_terminal or now - self.printed < INTERVAL:
            return
        self.printed = now
        task = self.progress.tasks[self.task]
        self._print(
            f"{task.completed:.0f} of {task.total or 0:.0f} steps, "
            f"{now - self.started:.0f} s"
        )


def build(
    console: Console, arguments: Sequence[str]
) -> tuple[dbtRunnerResult, list[str]]:
    """Run dbt with a bar, which disappears at the end.

    Args:
        console: where the bar moves, if it is a terminal.
        arguments: those of `dbt build`.

    Returns:
        dbt's result, and the messages of what failed.

    Raises:
        Interrupted: Ctrl-C; dbt has cancelled its queries.
    """
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
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        listener = Listener(progress)
        outcome = dbtRunner(callbacks=[listener]).invoke(
            ["--log-level", "none", "build", *arguments]
        )
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise dbt_run.interrupted() from None
    return outcome, listener.failures


def group_of(node: Any) -> str | None:
    """The group of a step: its kind, or for a model the folder below models/."""
    kind = str(node.resource_type)
    if kind == "model":
        return str(node.fqn[1])
    return TESTS if kind == "test" else KINDS.get(kind)


def groups(results: Iterable[Any]) -> list[str]:
    """A line per group: the seconds, and the number of steps of each status."""
    ended: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seconds: Counter[str] = Counter()
    for result in results:
        if group := group_of(result.node):
            ended[group][str(result.status)] += 1
            seconds[group] += result.execution_time
    others = [name for name in ended if name not in (*GROUPS, TESTS)]
    return [
        f"{name:<14}{seconds[name]:>8.1f} s  "
        + ", ".join(f"{number} {status}" for status, number in ended[name].items())
        for name in (*GROUPS, *others, TESTS)
        if name in ended
    ]


def findings(results: Iterable[Any], status: str) -> list[str]:
    """A line per test of a status: its name, its rows, and the command for them."""
    return [
        f"    {result.node.name}: {result.failures:,} "
        f"row{'' if result.failures == 1 else 's'}, `{_rows_of(result.node)}`"
        for result in results
        if result.status == status and str(result.node.resource_type) == "test"
    ]


def _rows_of(node: Any) -> str:
    """The command that shows the rows of a test."""
    if node.config.store_failures:
        return f"select * from {node.schema}.{node.alias}"  # noqa: S608
    return f"saas dbt show --select {node.name}"


def log_file() -> Path:
    """The file that dbt writes its log to."""
    from dbt.flags import get_flags

    flags = get_flags()  # type: ignore[no-untyped-call]
    return Path(getattr(flags, "LOG_PATH", None) or "logs", "dbt.log")


def _readable(message: str) -> str:
    """A message without colors, and without control characters of the database."""
    uncolored = re.sub(r"\x1b\[[0-9;]*m", "", message)
    return "\n".join(plain(line) for line in uncolored.splitlines())


def run(arguments: Sequence[str]) -> int:
    """Build, and print the summary. Returns dbt's exit code.

    Raises:
        Interrupted: Ctrl-C; dbt has cancelled its queries.
        UserError: a setting that can't be used.
    """
    from rich.console import Console

    dbt_run.prepare("build", *arguments)
    console = Console(highlight=False)
    started = time.monotonic()
    outcome, failures = build(console, arguments)
    results: list[Any] = list(getattr(outcome.result, "results", []))
    for line in groups(results):
        console.print(line, soft_wrap=True)
    warned = findings(results, "warn")
    if warned:
        console.print("Data-quality findings (see docs/reference/findings.md):")
        console.print("\n".join(warned), soft_wrap=True, markup=False)
    if outcome.success:
        console.print(
            f"Built and passed in {time.monotonic() - started:.0f} s. "
            f"Log: {log_file()}",
            soft_wrap=True,
        )
        return errors.DONE
    for message in failures or [str(outcome.exception or "")]:
        print(_readable(message), file=sys.stderr)
    if failed := findings(results, "fail"):
        print("\n".join(["Rows that fail:", *failed]), file=sys.stderr)
    print(f"The build failed. Log: {log_file()}", file=sys.stderr)
    return errors.NOT_RUN if outcome.exception else errors.FAILED
