"""python -m benchmarks.ingest: compares the event tables with plain tables."""

import statistics
import sys

import click

from benchmarks import report, server
from benchmarks.ingest import designs, reading, writing


@click.command()
@click.option(
    "--history", default=5_000_000, show_default=True, help="Events to begin with."
)
@click.option(
    "--rows", default=1_000_000, show_default=True, help="Events to add by COPY."
)
@click.option(
    "--batch", default=50_000, show_default=True, help="Events per COPY statement."
)
@click.option(
    "--clients", default=4, show_default=True, help="Clients that insert single rows."
)
@click.option(
    "--rounds", default=10, show_default=True, help="Rounds of single rows per design."
)
@click.option(
    "--seconds", default=5.0, show_default=True, help="Length of such a round."
)
@click.option("--lookups/--no-lookups", default=True, help="Time look-ups as well.")
def main(
    history: int,
    rows: int,
    batch: int,
    clients: int,
    rounds: int,
    seconds: float,
    *,
    lookups: bool,
) -> None:
    """Compare writes and reads of the event tables with those of plain tables.

    Both designs are on one server with the same settings and get the same rows in
    turns. Uses DATABASE_URL if it is set, else a private embedded server.
    """
    checked = history + rows
    total = checked + rows // 4
    with (
        server.scratch_server() as scratch,
        designs.build(scratch, total) as (plain, ours, source),
    ):
        both = (plain, ours)
        click.echo(f"{scratch.describe()}\n")
        _load(both, source, "usage_events", history)
        writing.vacuum(both, ["usage_events"])
        batches = [*range(history, checked, batch), checked]
        rates = list(writing.copy_in_turns(both, source, batches))
        _report_rates(
            f"COPY of {rows:,} rows onto {history:,}, every foreign key in place, "
            f"medians of {len(rates)} batches",
            rates,
        )
        batches = [*range(checked, total, batch), total]
        with writing.unchecked(both):
            rates = list(writing.copy_in_turns(both, source, batches))
        _report_rates(
            "The same without the checks of foreign keys, as far as the user may, "
            f"medians of {len(rates)} batches",
            rates,
        )
        writing.vacuum(both, ["usage_events"])
        _report_size(*(writing.size(design, total) for design in both))
        _report_rates(
            f"Single rows, {clients} clients, medians of {rounds} rounds",
            list(
                writing.single_rows_in_turns(
                    both, source, clients=clients, rounds=rounds, seconds=seconds
                )
            ),
        )
        if lookups:
            _report_reading(both, source)


def _report_reading(
    both: tuple[designs.Design, designs.Design], source: designs.Rows
) -> None:
    for table in designs.SHARES:
        if table != "usage_events":
            _load(both, source, table, source.count(table))
    writing.vacuum(both, designs.SHARES)
    _report_lookups(list(reading.time_lookups(both, source)))
    _report_timings("Other look-ups", list(reading.time_other_lookups(both, source)))
    _report_timings("Erasing an account", list(reading.time_erasing(both)))


def _load(
    both: tuple[designs.Design, designs.Design],
    source: designs.Rows,
    table: str,
    stop: int,
) -> None:
    with click.progressbar(length=stop, label=table, file=sys.stderr) as bar:
        for count in writing.load_history(both, source, table, stop):
            bar.update(count)


def _report_rates(title: str, rates: list[dict[str, float]]) -> None:
    """Medians, and the median of the ratios within a pair."""
    plain, ours = (
        statistics.median(pair[name] for pair in rates) for name in ("plain", "ours")
    )
    pairs = statistics.median(pair["ours"] / pair["plain"] for pair in rates)
    click.echo(f"{title}\n")
    click.echo(
        report.table(
            ["", "plain", "ours", "ours / plain", "median of pairs"],
            [
                [
                    "rows/s",
                    report.rate(plain),
                    report.rate(ours),
                    report.ratio(ours, plain),
                    f"{pairs:.2f}×",
                ]
            ],
        )
        + "\n"
    )


def _report_size(plain: writing.Size, ours: writing.Size) -> None:
    click.echo("Bytes per row of usage_events\n")
    lines = [["heap", f"{plain.heap:.1f}", f"{ours.heap:.1f}"]]
    for name in sorted(plain.indexes.keys() | ours.indexes.keys()):
        lines.append(
            [
                name,
                *(
                    f"{size.indexes[name]:.1f}" if name in size.indexes else ""
                    for size in (plain, ours)
                ),
            ]
        )
    totals = [sum(size.indexes.values()) for size in (plain, ours)]
    lines.append(["**all indexes**", *(f"**{total:.1f}**" for total in totals)])
    click.echo(report.table(["", "plain", "ours"], lines))
    click.echo(f"\nindexes, ours / plain: {report.ratio(totals[1], totals[0])}\n")


def _report_lookups(timings: list[reading.Timing]) -> None:
    click.echo(
        "Look-ups by a column's value, ms, plain / ours, medians, planning included\n"
    )
    shapes = [shape.name for shape in reading.SHAPES]
    lines = [
        [timing.name, *map(_pair, map(timing.seconds.get, shapes))]
        for timing in timings
    ]
    click.echo(report.table(["", *shapes], lines) + "\n")


def _report_timings(title: str, timings: list[reading.Timing]) -> None:
    click.echo(f"{title}, ms, medians\n")
    lines = [[timing.name, _pair(timing.seconds[""])] for timing in timings]
    click.echo(report.table(["", "plain / ours"], lines) + "\n")


def _pair(seconds: dict[str, float] | None) -> str:
    assert seconds is not None
    return " / ".join(report.milliseconds(seconds[name]) for name in ("plain", "ours"))


if __name__ == "__main__":
    sys.exit(main())
