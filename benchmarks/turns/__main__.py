"""python -m benchmarks.turns: what a refresh costs here and in another checkout."""

import statistics
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import click

from benchmarks import report, server
from benchmarks.incremental import company as companies
from benchmarks.incremental import marts, ways
from benchmarks.incremental.company import Company

Times = dict[str, float]

# Of the table's rows.
CHANGES = (0.0, 0.0001, 0.001, 0.01, 0.1)
FORMER, PRESENT = VERSIONS = ("former", "present")

# Milliseconds below which a ratio of two medians says nothing.
NOISE = 2.0


@click.command()
@click.argument("former", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rows", default=5_000_000, show_default=True, help="Usage events.")
@click.option(
    "--turns",
    default=3,
    show_default=True,
    help="Pairs of runs: in each pair, each version is the first once.",
)
def main(former: Path, rows: int, turns: int) -> None:
    """Compare the refresh of this checkout with that of FORMER, another one.

    FORMER has the same source schema. Each version refreshes a copy of one company,
    after the same changes, in turns. The first of a turn finds fewer pages in memory,
    so the first alternates. Changes are cumulative.
    """
    with server.scratch_server() as scratch:
        click.echo(f"{scratch.describe()}\n")
        runs = 2 * turns
        changes = [round(share * rows) for share in CHANGES]
        present = companies.build(scratch, rows, more=runs * sum(changes))
        present.connection.close()
        copy = scratch.create_database("former", template=f"company_{rows}")
        both = {
            FORMER: replace(present, dsn=copy, connection=server.connect(copy)),
            PRESENT: replace(present, connection=server.connect(present.dsn)),
        }
        first = {
            FORMER: _build(both[FORMER], former.resolve()),
            PRESENT: _build(both[PRESENT]),
        }
        _report_builds(first, both, runs)
        models = marts.read_models(both[PRESENT])
        chains = {
            name: marts.chain(models, name)
            for name in sorted(models)
            if name.startswith(("dim_", "fct_"))
        }
        _report(_measure(both, changes, runs), {"all models": ["all"], **chains}, runs)
        wrong = sum(
            ways.wrong_rows(both[PRESENT], models[mart].relation, models[mart])
            for mart in chains
        )
        click.echo(f"\nRows that differ from a recompute afterwards: {wrong:,}")


def _build(company: Company, root: Path | None = None) -> float:
    """Seconds of the first `dbt run` of a checkout, this one by default."""
    companies.run_project(company, "dbt", "seed", "--quiet", root=root)
    seconds = companies.run_project(company, "dbt", "run", "--quiet", root=root)
    company.settle()
    return seconds


def _measure(
    both: dict[str, Company], changes: list[int], runs: int
) -> dict[tuple[str, int], list[Times]]:
    """Seconds of each refresh by model, by version and number of changed rows."""
    times: dict[tuple[str, int], list[Times]] = defaultdict(list)
    for change in changes:
        for run in range(runs):
            click.echo(f"{change:,} changed", err=True)
            for company in both.values():
                company.live_on(change)
            for version in VERSIONS if run % 2 else reversed(VERSIONS):
                times[version, change].append(ways.refresh_all(both[version]))
    return times


def _report_builds(
    first: dict[str, float], both: dict[str, Company], runs: int
) -> None:
    rebuilds: dict[str, list[float]] = defaultdict(list)
    for run in range(runs):
        click.echo("full rebuild", err=True)
        for version in VERSIONS if run % 2 else reversed(VERSIONS):
            rebuilds[version].append(sum(ways.rebuild_all(both[version]).values()))
    lines = [
        [what, f"{values[FORMER]:.1f}", f"{values[PRESENT]:.1f}"]
        for what, values in {
            "first dbt run": first,
            "full rebuild of all models": {
                version: statistics.median(rebuilds[version]) for version in VERSIONS
            },
        }.items()
    ]
    click.echo(report.table(["seconds", *VERSIONS], lines) + "\n")


def _report(
    times: dict[tuple[str, int], list[Times]],
    chains: dict[str, list[str]],
    runs: int,
) -> None:
    """A line per mart, with all that is made for it, and number of changed rows."""
    lines = []
    ratios: list[tuple[float, str]] = []
    for mart, names in chains.items():
        for change in sorted({change for _, change in times}):
            former, present = (
                1000
                * statistics.median(
                    sum(each.get(name, 0.0) for name in names)
                    for each in times[version, change]
                )
                for version in VERSIONS
            )
            is_noise = max(former, present) < NOISE
            ratio = "–" if is_noise else f"{present / former:.2f}"
            if not is_noise:
                ratios.append((present / former, f"{mart}, {change:,} rows"))
            lines.append(
                [f"{mart}, {change:,} rows", f"{former:.1f}", f"{present:.1f}", ratio]
            )
    click.echo(f"Milliseconds of a refresh, medians of {runs}\n")
    click.echo(report.table(["", *VERSIONS, "present / former"], lines))
    worst, where = max(ratios)
    click.echo(f"\nLargest ratio: {worst:.2f} ({where})")


if __name__ == "__main__":
    sys.exit(main())
