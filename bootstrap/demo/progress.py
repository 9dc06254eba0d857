"""Progress of the load: a bar on a terminal, one line per step in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)


@dataclass(slots=True)
class Step:
    """A running step, with the rows written so far, by table."""

    _progress: Progress | None
    _task: TaskID | None
    rows: dict[str, int] = field(default_factory=dict)

    def wrote(self, table: str, rows: int) -> None:
        """Count rows."""
        self.rows[table] = self.rows.get(table, 0) + rows
        if self._progress is not None and self._task is not None:
            total = sum(self.rows.values())
            self._progress.update(self._task, rows=f"{total:,} rows")

    def reached(self, position: int) -> None:
        """Move the bar to a position between 0 and the step's total."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=position)


class Steps:
    """The steps of the load, one after the other."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = (
            Progress(
                TextColumn("{task.description:<18}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rows]:>16}"),
                TimeElapsedColumn(),
                console=console,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Steps:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    @contextmanager
    def step(self, name: str, total: int) -> Iterator[Step]:
        """Show a step; `total` is what its `reached` counts up to."""
        task = (
            self._progress.add_task(name, total=total, rows="")
            if self._progress is not None
            else None
        )
        step = Step(self._progress, task)
        started = time.monotonic()
        yield step
        step.reached(total)
        if self._progress is None:
            seconds = time.monotonic() - started
            rows = ", ".join(f"{table} {n:,}" for table, n in step.rows.items())
            note = f" ({rows})" if rows else ""
            self._console.print(
                f"{name}: {seconds:.1f} s{note}", highlight=False, soft_wrap=True
            )
