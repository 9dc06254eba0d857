"""python -m benchmarks.capture: the event table with and without change capture."""

import operator
import os
import statistics
import sys
from collections import Counter
from collections.abc import Sequence

import click

from benchmarks import report, server
from benchmarks.capture import designs, finding, waiting, writing
from benchmarks.incremental import company
from benchmarks.ingest import writing as ingest
from benchmarks.ingest.designs import SHARES, Design, Rows

TABLE = "usage_events"
OTHERS = [table for table in SHARES if table != TABLE]

# Of one client, for each kind of write.
ROUNDS = 30
ROWS = 200


@click.command()
@click.option(
    "--history", default=1_000_000, show_default=True, help="Events to begin with."
)
@click.option(
    "--rows", default=500_000, show_default=True, help="Events to add by COPY."
)
@click.option(
    "--batch", default=50_000, show_default=True, help="Events per COPY statement."
)
@click.option(
    "--clients", default=4, show_default=True, help="Clients that write single rows."
)
@click.option(
    "--rounds", default=10, show_default=True, help="Rounds of single rows per design."
)
@click.option(
    "--seconds", default=3.0, show_default=True, help="Length of such a round."
)
@click.option(
    "--table",
    type=click.Choice(OTHERS),
    help="Another event table: COPY alone, with the index of its groups and without.",
)
def main(
    history: int,
    rows: int,
    batch: int,
    clients: int,
    rounds: int,
    seconds: float,
    table: str | None,
) -> None:
    """Measure the cost of change capture for writers, and its benefit for a refresh.

    Databases on one server hold the same table and get the same rows in turns: without
    capture (none); with only the column and its triggers (column); with a BRIN index on
    it (brin); with a b-tree (btree); with the migrations' indexes (ours); with one more
    index, of day and user as one number (key).

    Uses DATABASE_URL if it is set, else a private embedded server.
    """
    if table is not None:
        _measure_other(table, history, rows, batch)
        return
    with (
        server.scratch_server() as scratch,
        designs.build(scratch, history + rows) as (every, source),
    ):
        click.echo(f"{scratch.describe()}\n")
        _say_load("loading")
        for _ in ingest.load_history(every, source, TABLE, history):
            pass
        ingest.vacuum(every, [TABLE])
        _say_load("copying")
        copies = writing.copy_in_turns(every, source, TABLE, history, batch)
        costs = {"COPY": list(copies)}
        ingest.vacuum(every, [TABLE])
        _report_size(every, TABLE, history + rows)
        _say_load("inserting")
        _report_rates(
            every,
            clients,
            list(
                ingest.single_rows_in_turns(
                    every, source, clients=clients, rounds=rounds, seconds=seconds
                )
            ),
        )
        turns = {"rounds": ROUNDS, "count": ROWS}
        costs["insert"] = list(writing.insert_in_turns(every, source, **turns))
        _say_load("changing")
        for change in writing.CHANGES:
            costs[change] = list(writing.change_in_turns(every, change, **turns))
        _report_costs(every, costs)
        ingest.vacuum(every, [TABLE])
        _say_load("finding what changed")
        ours = next(design for design in every if design.name == "ours")
        found = finding.time_changes(every[1:])
        _say_load("building marts")
        for command in ("seed", "run"):
            company.run_project(
                company.Company(ours.dsn, ours.connection), "dbt", command
            )
        _say_load("writing during refreshes")
        _report_waits(ours, source, clients, 10 * seconds)
        _say_load("finding events of scopes")
        _report_finding(found, finding.time_scopes(ours))
        _say_load("done")


def _measure_other(table: str, history: int, rows: int, batch: int) -> None:
    with (
        server.scratch_server() as scratch,
        designs.build_with_groups(scratch, table, history + rows) as (every, source),
    ):
        click.echo(f"{scratch.describe()}, {table}\n")
        _say_load("loading")
        for _ in ingest.load_history(every, source, table, history):
            pass
        ingest.vacuum(every, [table])
        _say_load("copying")
        copies = writing.copy_in_turns(every, source, table, history, batch)
        costs = {"COPY": list(copies)}
        ingest.vacuum(every, [table])
        _report_size(every, table, history + rows)
        _report_costs(every, costs)
        _say_load("done")


def _report_size(every: Sequence[Design], table: str, row_count: int) -> None:
    sizes = {design.name: ingest.size(design, row_count, table) for design in every}
    click.echo("Bytes per row\n")
    totals = {name: sum(size.indexes.values()) for name, size in sizes.items()}
    lines = [
        [
            name,
            f"{size.heap:.1f}",
            f"{totals[name]:.1f}",
            f"{totals[name] - totals['none']:.1f}",
        ]
        for name, size in sizes.items()
    ]
    headers = ["", "heap", "indexes", "more than without capture"]
    click.echo(report.table(headers, lines) + "\n")


def _report_rates(
    every: Sequence[Design], clients: int, rates: Sequence[dict[str, float]]
) -> None:
    none, *_ = every
    click.echo(f"Single rows, {clients} clients, medians of {len(rates)} rounds\n")
    lines = [
        [
            design.name,
            report.rate(statistics.median(turn[design.name] for turn in rates)),
            _times(
                [turn[none.name] for turn in rates],
                [turn[design.name] for turn in rates],
            ),
        ]
        for design in every
    ]
    click.echo(report.table(["", "rows/s", "cost, median of pairs"], lines) + "\n")


def _report_costs(
    every: Sequence[Design], costs: dict[str, list[dict[str, writing.Cost]]]
) -> None:
    """Each cost, and the median over the turns of its multiple of no capture's."""
    none, *_ = every
    for title, part in (
        ("Elapsed", "elapsed"),
        ("Work of the server's process", "processor"),
    ):
        lines = []
        for design in every:
            cells = []
            for turns in costs.values():
                own, other = (
                    [getattr(turn[name], part) for turn in turns]
                    for name in (design.name, none.name)
                )
                if None in own:
                    cells.append("–")
                else:
                    cells.append(
                        f"{statistics.median(own) * 1e6:,.0f} ({_times(own, other)})"
                    )
            lines.append([design.name, *cells])
        click.echo(f"{title}, µs a row, medians (and medians of pairs)\n")
        click.echo(report.table(["", *costs], lines) + "\n")


def _times(values: Sequence[float], others: Sequence[float]) -> str:
    """The median of the ratios within a pair."""
    return f"{statistics.median(map(operator.truediv, values, others)):.2f}×"


def _report_waits(
    ours: Design, source: Rows, clients: int, seconds: float, rounds: int = 3
) -> None:
    """Clients alone and during refreshes, in turns."""
    click.echo(
        f"{clients} clients that insert, update and delete for {rounds} rounds of "
        f"{seconds:g} s\n"
    )
    turns: dict[bool, list[waiting.Together]] = {False: [], True: []}
    for _ in range(rounds):
        for with_refreshes, measured in turns.items():
            measured.append(
                waiting.write_during_refreshes(
                    ours,
                    source,
                    clients=clients,
                    seconds=seconds,
                    with_refreshes=with_refreshes,
                )
            )
    lines = []
    for with_refreshes, measured in turns.items():
        refreshes = [each for run in measured for each in run.refreshes]
        waits = sum((run.waits for run in measured), Counter())
        lines.append(
            [
                "during refreshes" if with_refreshes else "alone",
                str(len(refreshes)),
                f"{statistics.median(refreshes):.2f}" if refreshes else "",
                report.rate(
                    statistics.median(run.writing.writes / seconds for run in measured)
                ),
                report.milliseconds(
                    statistics.median(run.writing.longest for run in measured)
                ),
                str(sum(run.writing.timeouts for run in measured)),
                ", ".join(f"{count} {name}" for name, count in waits.items()) or "0",
                f"{sum(run.samples for run in measured):,}",
            ]
        )
    headers = [
        "",
        "refreshes",
        "median s",
        "writes/s",
        "longest write, ms",
        f"waits over {waiting.LOCK_TIMEOUT}",
        "waits seen",
        "looks",
    ]
    click.echo(report.table(headers, lines) + "\n")


def _report_finding(
    changes: dict[str, tuple[float, float]], scopes: dict[str, dict[str, float]]
) -> None:
    click.echo(
        f"What it buys: ms to find the rows that changed, medians of {finding.TRIES}\n"
    )
    lines = [
        [name, *map(report.milliseconds, times)] for name, times in changes.items()
    ]
    headers = ["", "nothing changed", f"{finding.CHANGED:,} rows changed"]
    click.echo(report.table(headers, lines) + "\n")
    click.echo(f"ms to find the events of {finding.SCOPES:,} days and users\n")
    ways = list(next(iter(scopes.values())))
    lines = [
        [way, *(report.milliseconds(times[way]) for times in scopes.values())]
        for way in ways
    ]
    click.echo(report.table(["", *scopes], lines) + "\n")


def _say_load(stage: str) -> None:
    """Print the machine's load, which affects the figures."""
    load, *_ = os.getloadavg()
    click.echo(f"{stage}, load average {load:.1f}", err=True)


if __name__ == "__main__":
    sys.exit(main())
