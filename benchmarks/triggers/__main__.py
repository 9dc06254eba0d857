"""python -m benchmarks.triggers: cost per commission, by length of history."""

import contextlib
import multiprocessing
import operator
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from psycopg2.extensions import connection as Connection

from benchmarks import report, server
from benchmarks.triggers.client import INSERT, insert_commissions

FOLDER = Path(__file__).resolve().parent

HISTORIES = (1_000, 10_000, 100_000, 300_000)
BULK_ROWS = 2_000
CLIENTS = 8

# The statements of each database after the migrations.
DESIGNS = {
    "ours": (),
    "re-summing": ("without_trigger.sql", "resumming.sql"),
    "no trigger": ("without_trigger.sql",),
}

# Back and forth, so that any number of rounds finds the same work.
UPDATE = """
update affiliate_commissions
set status = case when status = 'paid' then 'approved' else 'paid' end
where id = md5('commission' || %(history)s || '-' || %(number)s)::uuid
"""

DRIFT = """
select abs(
    affiliates.total_earnings_cents - coalesce(sum(commission.amount_cents), 0)
)::bigint
from affiliates
left join affiliate_commissions as commission
    on affiliates.id = commission.affiliate_id
    and commission.status in ('approved', 'paid')
where affiliates.id = md5('affiliate' || %s)::uuid
group by affiliates.id
"""


@dataclass(frozen=True)
class Design:
    """One way to keep the counters, in its own database."""

    name: str
    dsn: str
    connection: Connection


@click.command()
@click.option(
    "--rounds", default=40, show_default=True, help="Statements of each kind and size."
)
@click.option(
    "--seconds", default=8.0, show_default=True, help="Length of a round of clients."
)
def main(rounds: int, seconds: float) -> None:
    """Compare triggers that update counters with summing again and with no trigger.

    Commits don't wait for the disk (synchronous_commit = off), which would hide the
    difference. Uses DATABASE_URL if it is set, else a private embedded server.
    """
    with server.scratch_server() as scratch, _build(scratch) as designs:
        click.echo(f"{scratch.describe()}, but off in this benchmark\n")
        for title, statement in (("Insert", INSERT), ("Update of the status", UPDATE)):
            _report_growth(title, designs, _time_single(designs, statement, rounds))
        _report_bulk(designs, max(3, rounds // 10))
        _report_concurrency(designs, seconds)


@contextlib.contextmanager
def _build(scratch: server.Server) -> Iterator[list[Design]]:
    with contextlib.ExitStack() as stack:
        designs = []
        for number, (name, files) in enumerate(DESIGNS.items()):
            dsn = scratch.create_database(f"triggers_{number}")
            server.apply_migrations(dsn)
            connection = stack.enter_context(contextlib.closing(server.connect(dsn)))
            server.run_file(connection, FOLDER / "accounts.sql")
            with connection.cursor() as cursor:
                cursor.execute("set synchronous_commit = off")
                cursor.execute("alter table affiliate_commissions disable trigger user")
                for history in (0, *HISTORIES):
                    cursor.execute("select make_affiliate(%s)", (history,))
                cursor.execute("alter table affiliate_commissions enable trigger user")
            for file in files:
                server.run_file(connection, FOLDER / file)
            with connection.cursor() as cursor:
                cursor.execute("vacuum analyze")
            designs.append(Design(name, dsn, connection))
        yield designs


def _time_single(
    designs: Sequence[Design], statement: str, rounds: int
) -> dict[tuple[str, int], list[float]]:
    """Seconds of a statement on one row by design and history, in turns."""
    times: dict[tuple[str, int], list[float]] = {}
    for number in range(rounds):
        for history in HISTORIES:
            parameters = {"history": history, "number": number, "count": 1}
            for design in designs:
                with design.connection.cursor() as cursor:
                    # The second is measured: others used the caches in between.
                    for _ in range(2):
                        began = time.perf_counter()
                        cursor.execute(statement, parameters)
                        elapsed = time.perf_counter() - began
                times.setdefault((design.name, history), []).append(elapsed)
    return times


def _report_growth(
    title: str, designs: Sequence[Design], times: dict[tuple[str, int], list[float]]
) -> None:
    """Medians, and the median of how many times the same round's shortest history."""
    click.echo(f"{title} of one commission, ms (and how many times its own 1k)\n")
    lines = []
    for history in HISTORIES:
        cells = []
        for design in designs:
            own = times[design.name, history]
            shortest = times[design.name, HISTORIES[0]]
            growth = statistics.median(map(operator.truediv, own, shortest))
            value = report.milliseconds(statistics.median(own))
            cells.append(f"{value} ({growth:.2f}×)")
        lines.append([f"{history:,}", *cells])
    headers = ["commissions before", *(design.name for design in designs)]
    click.echo(report.table(headers, lines) + "\n")


def _report_bulk(designs: Sequence[Design], rounds: int) -> None:
    """One statement with many rows onto the shortest history, rolled back."""
    times: dict[str, list[float]] = {design.name: [] for design in designs}
    for _ in range(rounds):
        for design in designs:
            with design.connection.cursor() as cursor:
                cursor.execute("begin")
                began = time.perf_counter()
                cursor.execute(INSERT, {"history": HISTORIES[0], "count": BULK_ROWS})
                times[design.name].append(time.perf_counter() - began)
                cursor.execute("rollback")
    click.echo(f"One statement with {BULK_ROWS:,} commissions onto {HISTORIES[0]:,}\n")
    medians = [statistics.median(times[design.name]) for design in designs]
    headers = ["", *(design.name for design in designs)]
    click.echo(report.table(headers, [["ms", *map(report.milliseconds, medians)]]))
    click.echo("")


def _report_concurrency(designs: Sequence[Design], seconds: float) -> None:
    """Many clients on one affiliate that has no history yet."""
    click.echo(
        f"{CLIENTS} clients that insert commissions of one affiliate, {seconds:g} s\n"
    )
    rates: dict[str, list[float]] = {design.name: [] for design in designs}
    drifts = {design.name: 0 for design in designs}
    with multiprocessing.get_context("spawn").Pool(CLIENTS) as pool:
        for _ in range(3):
            for design in designs:
                counts = pool.starmap(
                    insert_commissions, [(design.dsn, seconds)] * CLIENTS, chunksize=1
                )
                rates[design.name].append(sum(counts) / seconds)
                drifts[design.name] = max(drifts[design.name], _drift(design))
    names = [design.name for design in designs]
    lines = [
        ["commits/s", *(report.rate(statistics.median(rates[name])) for name in names)],
        [
            "drift of the counter, cents",
            *("–" if name == "no trigger" else f"{drifts[name]:,}" for name in names),
        ],
    ]
    click.echo(report.table(["", *names], lines))


def _drift(design: Design) -> int:
    """The difference of the counter from its commissions."""
    with design.connection.cursor() as cursor:
        cursor.execute(DRIFT, (0,))
        (drift,) = cursor.fetchone() or (0,)
        return int(drift)


if __name__ == "__main__":
    sys.exit(main())
