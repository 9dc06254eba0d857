"""python -m benchmarks.readers: the effect of runs on readers of the marts."""

import contextlib
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path

import click

from benchmarks import report, server
from benchmarks.incremental import company as companies
from benchmarks.incremental.company import Company
from benchmarks.readers import clients
from saas_analytics import project

READERS = 4
WRITERS = 2
MARTS = "analytics"
ENGINE = f"{MARTS}_refresh"
# The same models, as tables of dbt.
SWAPPED = "swapped"


@dataclass(frozen=True)
class Way:
    """The repeated work that runs at the same time as the readers."""

    name: str
    command: tuple[str, ...] = ()
    computing: int = 0
    """Sessions that compute marts and write nothing."""
    control: str = ""
    """The way with as many sessions that takes no locks."""
    schema: str = MARTS


ALONE = "readers alone"
ONE = "1 session computes"
FOUR = "4 sessions compute"

REFRESH = ("python", "-m", "refresh")
RUN = ("dbt", "run", "--quiet")

WAYS = (
    Way(ALONE),
    Way(ONE, computing=1),
    Way(FOUR, computing=4),
    Way("refresh", REFRESH, control=ONE),
    Way("refresh --rebuild", (*REFRESH, "--rebuild"), control=ONE),
    Way("dbt run", RUN, control=FOUR),
    Way("dbt run --full-refresh", (*RUN, "--full-refresh"), control=FOUR),
    Way("dbt's table", RUN, control=FOUR, schema=SWAPPED),
)


@dataclass
class Figures:
    """Figures of readers during one way."""

    longest: list[float] = field(default_factory=list)
    """The longest read of each round, in seconds."""
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    runs: int = 0
    failures: list[str] = field(default_factory=list)
    """The output of failed runs."""


@click.command()
@click.option(
    "--rows", default=300_000, show_default=True, help="Usage events to begin with."
)
@click.option("--rounds", default=5, show_default=True, help="To take medians of.")
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    help="Shortest length of a round; it ends with a run.",
)
def main(rows: int, rounds: int, seconds: float) -> None:
    """How long readers wait while marts are refreshed, rebuilt and built by dbt.

    Four readers and two writers run in turns alone, with sessions that compute the same
    selects, and during runs in a loop. Each way also runs with a session that keeps
    transactions open after reading the marts. Uses DATABASE_URL if it is set, else a
    private embedded server. The exit code is 1 if a read or a run fails.
    """
    with server.scratch_server() as scratch, _swapping_project() as swapping:
        click.echo(f"{scratch.describe()}\n")
        company = companies.build(scratch, rows)
        companies.run_project(company, "dbt", "seed", "--quiet")
        companies.run_project(company, *RUN)
        _swap(company, swapping, "dbt", "seed", "--quiet")
        _swap(company, swapping, *RUN)
        company.settle()
        figures: dict[tuple[str, bool], Figures] = defaultdict(Figures)
        with _sessions() as (pool, stopped):
            for _ in range(rounds):
                for way in WAYS:
                    for is_idling in (False, True) if way.command else (False,):
                        click.echo(f"{way.name}, idling: {is_idling}", err=True)
                        stopped.clear()
                        _round(
                            company,
                            pool,
                            stopped,
                            way,
                            is_idling,
                            seconds,
                            swapping,
                            figures[way.name, is_idling],
                        )
        _report(figures)
        company.connection.close()
    sys.exit(1 if any(each.errors + each.failures for each in figures.values()) else 0)


@contextlib.contextmanager
def _swapping_project() -> Iterator[Path]:
    """A copy of the dbt project whose models are tables of dbt."""
    with tempfile.TemporaryDirectory(prefix="saas-benchmark-") as folder:
        root = Path(folder, "project")
        for name in ("models", "macros", "packages", "seeds", "snapshots"):
            shutil.copytree(project.root() / name, root / name)
        for name in (".dbtignore", "profiles.yml"):
            shutil.copy(project.root() / name, root)
        text = (project.root() / "dbt_project.yml").read_text()
        (root / "dbt_project.yml").write_text(
            text.replace("+materialized: exact", "+materialized: table")
        )
        yield root


def _swap(company: Company, project: Path, *command: str) -> None:
    companies.run_project(company, *command, root=project, DBT_SCHEMA=SWAPPED)


@contextlib.contextmanager
def _sessions() -> Iterator[tuple[ProcessPoolExecutor, Event]]:
    context = multiprocessing.get_context("spawn")
    stopped = context.Event()
    most = READERS + WRITERS + 1 + max(way.computing for way in WAYS)
    with ProcessPoolExecutor(
        most,
        mp_context=context,
        initializer=clients.prepare,
        initargs=(stopped, context.Barrier(most)),
    ) as pool:
        for started in [pool.submit(clients.meet) for _ in range(most)]:
            started.result()
        try:
            yield pool, stopped
        finally:
            stopped.set()


def _round(
    company: Company,
    pool: ProcessPoolExecutor,
    stopped: Event,
    way: Way,
    is_idling: bool,
    seconds: float,
    swapping: Path,
    figures: Figures,
) -> None:
    dsn = company.dsn
    writers = [
        pool.submit(clients.write, dsn, company.events, number, WRITERS)
        for number in range(WRITERS)
    ]
    others: list[Future[int]] = [
        pool.submit(clients.compute, dsn, ENGINE, number, way.computing)
        for number in range(way.computing)
    ]
    if is_idling:
        others.append(pool.submit(clients.idle, dsn, way.schema))
    readers = [
        pool.submit(clients.read, dsn, way.schema, seed) for seed in range(READERS)
    ]
    ends = time.monotonic() + seconds
    try:
        while time.monotonic() < ends:
            if not way.command:
                time.sleep(0.1)
                continue
            figures.runs += 1
            try:
                if way.schema == SWAPPED:
                    _swap(company, swapping, *way.command)
                else:
                    companies.run_project(company, *way.command)
            except RuntimeError as error:
                figures.failures.append(str(error))
    finally:
        stopped.set()
    for other in others:
        other.result()
    written = max(writer.result() for writer in writers)
    company.events += written * WRITERS * clients.EVENTS_A_WRITE
    readings = [reader.result() for reader in readers]
    figures.errors += [error for reading in readings for error in reading.errors]
    times = [value for reading in readings for value in reading.seconds]
    figures.seconds += times
    figures.longest.append(max(times))


def _report(figures: dict[tuple[str, bool], Figures]) -> None:
    def longest(name: str, is_idling: bool = False) -> float:
        return statistics.median(figures[name, is_idling].longest)

    click.echo(
        f"{READERS} readers, {WRITERS} writers; milliseconds of a read. The longest is "
        "the median of the rounds' longest; beyond is its difference from that with "
        "sessions that compute as much and write nothing\n"
    )
    lines = []
    for way in WAYS:
        for is_idling in (False, True) if way.command else (False,):
            mine = figures[way.name, is_idling]
            if not way.control:
                beyond = ""
            else:
                beyond = report.milliseconds(
                    max(0.0, longest(way.name, is_idling) - longest(way.control))
                )
            lines.append(
                [
                    way.name + (", behind an open transaction" if is_idling else ""),
                    f"{mine.runs:,}" if way.command else "",
                    f"{len(mine.failures):,}" if way.command else "",
                    f"{len(mine.seconds):,}",
                    f"{len(mine.errors):,}",
                    report.milliseconds(statistics.median(mine.seconds)),
                    report.milliseconds(statistics.quantiles(mine.seconds, n=100)[98]),
                    report.milliseconds(longest(way.name, is_idling)),
                    beyond,
                ]
            )
    headers = [
        "",
        "runs",
        "failed",
        "reads",
        "errors",
        "median",
        "p99",
        "longest",
        "beyond",
    ]
    click.echo(report.table(headers, lines))
    for (name, _), each in figures.items():
        for error in sorted({*each.errors, *each.failures}):
            click.echo(f"\n{name}: {error}")


if __name__ == "__main__":
    main()
