"""python -m benchmarks.load: an application's traffic while marts are built."""

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from psycopg2.extensions import parse_dsn

from benchmarks import report, server
from benchmarks.incremental import company as companies
from benchmarks.incremental.company import Company
from saas_analytics.server import programs

FOLDER = Path(__file__).resolve().parent
ENGINE = "analytics_refresh"

CLIENTS = 16
ANALYSTS = 2
# The weights of the application's transactions, by file.
TRAFFIC = {"event": 80, "commission": 10, "subscription": 10}

REFRESH = ("python", "-m", "refresh")
BUILD = ("dbt", "run", "--quiet")


@dataclass(frozen=True)
class Way:
    """The work that runs at the same time as the traffic."""

    name: str
    with_analysts: bool = False
    command: tuple[str, ...] = ()
    """Run again and again."""
    pause: float = 0.0
    """Seconds between two runs."""


WAYS = (
    Way("traffic alone"),
    Way("and analysts", with_analysts=True),
    Way("and a refresh every 5 s", with_analysts=True, command=REFRESH, pause=5),
    Way("and refreshes without a pause", with_analysts=True, command=REFRESH),
    Way("and dbt runs without a pause", with_analysts=True, command=BUILD),
)


@dataclass
class Figures:
    """Figures of the traffic during one way, round by round."""

    throughput: list[float] = field(default_factory=list)
    """Transactions a second."""
    milliseconds: list[float] = field(default_factory=list)
    """Of every transaction."""
    p99: list[float] = field(default_factory=list)
    """Milliseconds, of each round."""
    reads: int = 0
    failed: int = 0
    """Transactions of the application and of analysts."""
    runs: int = 0
    complaints: list[str] = field(default_factory=list)
    """Of failed runs."""


@click.command()
@click.option(
    "--rows", default=300_000, show_default=True, help="Usage events to begin with."
)
@click.option("--rounds", default=3, show_default=True, help="To take medians of.")
@click.option("--seconds", default=60, show_default=True, help="Length of a round.")
@click.option(
    "--rate",
    default=0,
    help="Transactions that come a second. [default: as fast as 16 clients can]",
)
def main(rows: int, rounds: int, seconds: int, rate: int) -> None:
    """Throughput and latency of an application's traffic, with and without builds.

    16 clients insert events, calls and errors, pay, earn commissions and change plans
    (pgbench, one connection each). They run in turns alone, with analysts, and during
    runs in a loop. With --rate, transactions start at fixed times, and waiting counts.
    Uses DATABASE_URL if it is set, else a private embedded server. The exit code is 1
    if a transaction or a run fails, or if counters or marts differ from their rows.
    """
    with server.scratch_server() as scratch:
        click.echo(f"{scratch.describe()}\n")
        company = companies.build(scratch, rows)
        companies.run_project(company, "dbt", "seed", "--quiet")
        companies.run_project(company, *BUILD)
        _count(company)
        company.settle()
        figures: dict[str, Figures] = defaultdict(Figures)
        # The first one fills the caches.
        _round(company, WAYS[1], Figures(), seconds, rate)
        for _ in range(rounds):
            for way in WAYS:
                click.echo(way.name, err=True)
                _round(company, way, figures[way.name], seconds, rate)
        _report(figures, rate)
        companies.run_project(company, *REFRESH)
        drift = _drift(company)
        company.connection.close()
    differing = ", ".join(f"{count:,} {what}" for what, count in drift.items())
    click.echo(f"\nDifferent from their rows afterwards: {differing}")
    failed = any(each.failed or each.complaints for each in figures.values())
    sys.exit(1 if failed or any(drift.values()) else 0)


def _round(
    company: Company, way: Way, figures: Figures, seconds: int, rate: int
) -> None:
    with tempfile.TemporaryDirectory(prefix="saas-benchmark-") as name:
        folder = Path(name)
        scripts = [f"--file={FOLDER / script}.sql@{n}" for script, n in TRAFFIC.items()]
        pace = (f"--rate={rate}",) if rate else ()
        clients = (f"--client={CLIENTS}", "--jobs=2", *pace, *scripts)
        with contextlib.ExitStack() as stack:
            application = stack.enter_context(
                _pgbench(company, folder / "application", seconds, *clients)
            )
            if way.with_analysts:
                looking = (f"--client={ANALYSTS}", f"--file={FOLDER / 'analyst.sql'}")
                analysts = stack.enter_context(
                    _pgbench(company, folder / "analysts", seconds, *looking)
                )
            if way.command:
                stack.enter_context(_in_a_loop(company, way, figures))
            summary, _ = application.communicate()
            figures.failed += _failed(application, summary)
            figures.throughput.append(_number(r"tps = ([\d.]+)", summary))
            if way.with_analysts:
                looked, _ = analysts.communicate()
                figures.failed += _failed(analysts, looked)
                figures.reads += int(_number(r"processed: (\d+)", looked))
        # client, transaction, microseconds (with --rate from when it was due), …
        latencies = [
            int(line.split()[2]) / 1000
            for log in (folder / "application").glob("pgbench_log.*")
            for line in log.read_text().splitlines()
        ]
    figures.milliseconds += latencies
    figures.p99.append(statistics.quantiles(latencies, n=100)[98])


def _pgbench(
    company: Company, folder: Path, seconds: int, *options: str
) -> subprocess.Popen[str]:
    folder.mkdir()
    parameters = parse_dsn(company.dsn)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER"}
    names |= {"password": "PGPASSWORD", "dbname": "PGDATABASE"}
    program = shutil.which("pgbench") or str(programs.binaries() / "pgbench")
    return subprocess.Popen(
        [
            program,
            *("--no-vacuum", "--log", f"--time={seconds}", "--protocol=prepared"),
            *options,
        ],
        cwd=folder,
        env={
            **os.environ,
            **{names[k]: v for k, v in parameters.items() if k in names},
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def _in_a_loop(company: Company, way: Way, figures: Figures) -> Iterator[None]:
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            try:
                companies.run_project(company, *way.command)
            except RuntimeError as error:
                figures.complaints.append(str(error))
            figures.runs += 1
            stopped.wait(way.pause)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _failed(process: subprocess.Popen[str], summary: str) -> int:
    """Transactions that failed; a client that gave up raises."""
    if process.returncode != 0:
        raise RuntimeError(f"pgbench failed:\n{summary[-4000:]}")
    return int(_number(r"failed transactions: (\d+)", summary))


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"pgbench did not say {pattern}:\n{text[-4000:]}")
    return float(found[1])


def _count(company: Company) -> None:
    """Set the counters to their rows, which were loaded without triggers."""
    company.execute(
        """
        update affiliates set
            total_earnings_cents = paid + approved,
            paid_out_cents = paid,
            pending_payout_cents = approved
        from (
            select
                affiliate_id,
                coalesce(sum(amount_cents) filter (where status = 'paid'), 0) as paid,
                coalesce(sum(amount_cents) filter (where status = 'approved'), 0)
                    as approved
            from affiliate_commissions
            group by affiliate_id
        ) as ledger
        where affiliates.id = ledger.affiliate_id
        """
    )


def _drift(company: Company) -> dict[str, int]:
    """The differences of marts and counters from their rows at the end."""
    ((marts,),) = company.execute(
        "begin isolation level repeatable read; "
        f"select sum({ENGINE}.verify(model)) from {ENGINE}.models"
    )
    company.execute("commit")
    ((cents,),) = company.execute(
        """
        select coalesce(sum(
            abs(paid_out_cents - coalesce(paid, 0))
            + abs(pending_payout_cents - coalesce(approved, 0))
            + abs(total_earnings_cents - coalesce(paid, 0) - coalesce(approved, 0))
        ), 0)
        from affiliates
        left join (
            select
                affiliate_id,
                sum(amount_cents) filter (where status = 'paid') as paid,
                sum(amount_cents) filter (where status = 'approved') as approved
            from affiliate_commissions
            group by affiliate_id
        ) as ledger on affiliates.id = ledger.affiliate_id
        """
    )
    return {"rows of marts": int(marts), "cents of counters": int(cents)}


def _report(figures: dict[str, Figures], rate: int) -> None:
    arriving = f"{rate} transactions a second come" if rate else "as fast as they can"
    click.echo(
        f"{CLIENTS} clients, {arriving}, {ANALYSTS} analysts; medians of rounds\n"
    )
    alone = figures[WAYS[0].name]
    lines: list[Sequence[str]] = []
    for way in WAYS:
        mine = figures[way.name]
        lines.append(
            [
                way.name,
                f"{mine.runs:,}" if way.command else "",
                f"{mine.reads:,}" if way.with_analysts else "",
                f"{mine.failed + len(mine.complaints):,}",
                f"{statistics.median(mine.throughput):,.0f}",
                _ratio(mine.throughput, alone.throughput),
                f"{statistics.median(mine.milliseconds):.1f}",
                f"{statistics.median(mine.p99):.1f}",
                _ratio(mine.p99, alone.p99),
            ]
        )
    headers = [
        *("", "runs", "reads", "failed", "transactions/s", "of alone"),
        *("median ms", "p99 ms", "of alone"),
    ]
    click.echo(report.table(headers, lines))
    for name, each in figures.items():
        for complaint in each.complaints:
            click.echo(f"\n{name}: {complaint}")


def _ratio(values: list[float], others: list[float]) -> str:
    """The median of pairs of the same round."""
    pairs = zip(values, others, strict=True)
    return f"{statistics.median(value / other for value, other in pairs):.2f}×"


if __name__ == "__main__":
    main()
