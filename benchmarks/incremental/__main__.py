"""python -m benchmarks.incremental: compares a refresh with other ways to do it."""

import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import click
import duckdb

from benchmarks import report, server
from benchmarks.incremental import company as companies
from benchmarks.incremental import duck, marts, ways
from benchmarks.incremental.company import Company

# Of the table's rows.
CHANGES = (0.0, 0.0001, 0.001, 0.01, 0.1)

Times = dict[str, float]


@dataclass
class Figures:
    """Seconds by model, of each run."""

    full: dict[str, list[Times]] = field(default_factory=lambda: defaultdict(list))
    """Seconds by way, over all rows."""
    changed: dict[tuple[str, int], list[Times]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Seconds by way and number of changed rows."""
    methods: dict[int, dict[str, str]] = field(default_factory=dict)
    wrong: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    def median(self, times: list[Times], names: list[str]) -> float | None:
        """The median of the runs' sums over a mart and its intermediate models."""
        if not times or any(name not in each for each in times for name in names):
            return None
        return statistics.median(sum(each[name] for name in names) for each in times)


@click.command()
@click.option(
    "--rows",
    multiple=True,
    default=(5_000_000,),
    show_default=True,
    help="Usage events to begin with; give it twice for the growth.",
)
@click.option(
    "--users",
    type=click.IntRange(min=1_000),
    default=companies.USERS,
    show_default=True,
    help="Users of the company; each five share two licenses.",
)
@click.option("--runs", default=3, show_default=True, help="Runs to take medians of.")
@click.option(
    "--peers/--no-peers",
    default=True,
    show_default=True,
    help="Whether to measure the other ways too, or refresh and rebuild alone.",
)
def main(rows: tuple[int, ...], users: int, runs: int, peers: bool) -> None:
    """Measure a refresh after a change, and the usual ways to update marts.

    Changes are cumulative: each run adds its rows and then refreshes the same tables in
    every way. After the largest change the full rebuild has to write that change; after
    the others it finds nothing to write. The times exclude dbt's start. Uses
    DATABASE_URL, as a superuser, if it is set, else a private embedded server.
    """
    with server.scratch_server() as scratch:
        click.echo(f"{scratch.describe()}, DuckDB {duckdb.__version__}\n")
        growth: dict[int, Figures] = {}
        for count in sorted(rows):
            figures, chains = _measure(scratch, count, min(rows), users, runs, peers)
            growth[count] = figures
            if peers:
                _report(count, figures, chains)
            scratch.drop_databases()
        if len(growth) > 1 or not peers:
            _report_growth(growth, min(rows), chains)


def _measure(
    scratch: server.Server,
    count: int,
    shortest: int,
    users: int,
    runs: int,
    peers: bool,
) -> tuple[Figures, dict[str, list[str]]]:
    figures = Figures()
    own_changes = {round(share * count) for share in CHANGES} if peers else set()
    changes = sorted({round(share * shortest) for share in CHANGES} | own_changes)
    _say(f"{count:,} events: loading")
    company = companies.build(scratch, count, users, more=runs * sum(changes))
    _say("first dbt run")
    companies.run_project(company, "dbt", "seed", "--quiet")
    first = companies.run_project(company, "dbt", "run", "--quiet")
    company.settle()
    models = marts.read_models(company)
    chains = {mart: marts.chain(models, mart) for mart in marts.MARTS}
    # Each model once, after those that it reads.
    order = dict.fromkeys(name for names in chains.values() for name in names)
    every = [models[name] for name in order]
    recomputes = {"rebuild": ways.rebuild}
    if peers:
        recomputes = {
            "read": ways.read_inputs,
            "compute": ways.compute,
            "table": ways.create_table,
            **recomputes,
        }
    _measure_recomputes(company, every, figures, runs, recomputes)
    if peers:
        _measure_duckdb(company, every, figures, runs)
        ways.prepare_windows(company, models)
    company.settle()
    _report_start(company, first, runs)
    for change in changes:
        for run in range(runs):
            _say(f"{change:,} changed")
            company.live_on(change)
            if peers and change == max(own_changes):
                _say("and a full rebuild of it")
                figures.changed["rebuild", change].append(ways.rebuild_all(company))
            measures = {
                "refresh": lambda: ways.refresh_all(company),
                "lookback": lambda: _windows(company, models, ways.lookback),
                "microbatch": lambda: _windows(company, models, ways.microbatch),
            }
            # In turns, because later ways find the rows in memory.
            turns = [*measures][run % 3 :] + [*measures][: run % 3]
            for way in turns if change in own_changes else ("refresh",):
                figures.changed[way, change].append(measures[way]())
            figures.methods[change] = ways.methods(company)
    _say("comparing with a recompute")
    for mart in marts.MARTS:
        model = models[mart]
        figures.wrong["refresh"][mart] = ways.wrong_rows(company, model.relation, model)
    for schema in ("lookback", "microbatch") if peers else ():
        for mart in marts.WINDOWS:
            figures.wrong[schema][mart] = ways.wrong_rows(
                company, f"{schema}.{mart}", models[mart]
            )
    company.connection.close()
    return figures, chains


def _windows(
    company: Company,
    models: dict[str, marts.Model],
    way: Callable[[Company, marts.Model], float],
) -> Times:
    return {mart: way(company, models[mart]) for mart in marts.WINDOWS}


def _measure_recomputes(
    company: Company,
    models: list[marts.Model],
    figures: Figures,
    runs: int,
    recomputes: Mapping[str, Callable[[Company, marts.Model], float]],
) -> None:
    """Ways to compute all models from all rows, taking turns."""
    company.execute("create schema plain")
    for _ in range(runs):
        for way, measure in recomputes.items():
            _say(f"full recomputes: {way}")
            figures.full[way].append(
                {model.name: measure(company, model) for model in models}
            )


def _measure_duckdb(
    company: Company, models: list[marts.Model], figures: Figures, runs: int
) -> None:
    _say("full recomputes: DuckDB")
    other = duck.Duck(company, models)
    for _ in range(runs):
        times: Times = {}
        for model in models:
            try:
                times[model.name] = other.create_table(model)
            except duckdb.Error as error:
                _say(f"DuckDB can't make {model.name}: {error}")
        figures.full["duckdb"].append(times)
    other.close()


def _report_start(company: Company, first: float, runs: int) -> None:
    """Print the cost of a run without changes, from the command line."""
    dbt = [companies.run_project(company, "dbt", "run", "--quiet") for _ in range(runs)]
    ours = [
        companies.run_project(company, "python", "-m", "refresh") for _ in range(runs)
    ]
    database = [ways.refresh_all(company)["all"] for _ in range(runs)]
    click.echo(
        f"The first dbt run took {first:.0f} s. With nothing changed, medians: dbt run "
        f"{statistics.median(dbt):.2f} s, python -m refresh "
        f"{statistics.median(ours):.2f} s, of it in the database "
        f"{statistics.median(database):.2f} s\n"
    )


def _report(count: int, figures: Figures, chains: dict[str, list[str]]) -> None:
    changes = [round(share * count) for share in CHANGES]
    click.echo(f"{count:,} events, seconds, every way to recompute all\n")
    lines = []
    for mart, names in chains.items():
        read, compute, table, rebuild, other = (
            figures.median(figures.full[way], names)
            for way in ("read", "compute", "table", "rebuild", "duckdb")
        )
        lines.append(
            [
                mart,
                *map(_seconds, (read, compute, table, rebuild, other)),
                _times(table, other),
                _times(rebuild, other),
            ]
        )
    headers = [
        "",
        *("rows read", "and computed", "and written: dbt table", "full rebuild"),
        *("DuckDB", "table / DuckDB", "rebuild / DuckDB"),
    ]
    click.echo(report.table(headers, lines) + "\n")

    click.echo(f"{count:,} events, seconds by the rows that changed\n")
    totals = [
        _seconds(figures.median(figures.changed["refresh", change], ["all"]))
        for change in changes
    ]
    lines = [["all models, refresh", *totals, ""]]
    for mart, names in chains.items():
        for way in ("refresh", "lookback", "microbatch"):
            if way == "refresh" or mart in marts.WINDOWS:
                cells = []
                for change in changes:
                    value = figures.median(
                        figures.changed[way, change],
                        names if way == "refresh" else [mart],
                    )
                    how = figures.methods[change][mart] if way == "refresh" else ""
                    cells.append(f"{_seconds(value)} {how}".strip())
                wrong = f"{figures.wrong[way].get(mart, 0):,}"
                lines.append([f"{mart}, {way}", *cells, wrong])
    shares = [f"{share:.2%}" for share in CHANGES]
    click.echo(report.table(["", *shares, "wrong rows after"], lines) + "\n")

    click.echo(f"{count:,} events, how many times faster the refresh is\n")
    lines = []
    for mart, names in chains.items():
        fulls = {
            way: figures.median(figures.full[way], names)
            for way in ("rebuild", "table", "duckdb")
        }
        for way in ("rebuild", "table", "duckdb", "lookback", "microbatch"):
            if way in fulls or mart in marts.WINDOWS:
                cells = []
                for change in changes:
                    mine = figures.median(figures.changed["refresh", change], names)
                    other = figures.median(
                        figures.changed[way, change],
                        names if way in fulls else [mart],
                    ) or fulls.get(way)
                    cells.append(_times(other, mine))
                lines.append([f"{mart}, {way}", *cells])
    click.echo(report.table(["than", *shares], lines) + "\n")


def _report_growth(
    growth: dict[int, Figures], shortest: int, chains: dict[str, list[str]]
) -> None:
    """The same changes onto a longer history, compared with a rebuild of it."""
    click.echo("The same change onto a longer history: seconds of a refresh\n")
    lines = []
    for mart, names in {"all models": ["all"], **chains}.items():
        for share in CHANGES:
            change = round(share * shortest)
            values = [
                figures.median(figures.changed["refresh", change], names)
                for figures in growth.values()
            ]
            lines.append(
                [
                    f"{mart}, {change:,} rows",
                    *map(_seconds, values),
                    _times(values[-1], values[0]),
                ]
            )
    sizes = [f"{count:,}" for count in growth]
    click.echo(report.table(["", *sizes, "longest / shortest"], lines) + "\n")

    click.echo("How many times faster that is than a full rebuild\n")
    lines = []
    for mart, names in chains.items():
        for share in CHANGES:
            change = round(share * shortest)
            cells = [
                _times(
                    figures.median(figures.full["rebuild"], names),
                    figures.median(figures.changed["refresh", change], names),
                )
                for figures in growth.values()
            ]
            lines.append([f"{mart}, {change:,} rows", *cells])
    click.echo(report.table(["", *sizes], lines))
    wrong = sum(sum(figures.wrong["refresh"].values()) for figures in growth.values())
    click.echo(f"\nWrong rows afterwards: {wrong:,}")


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def _times(value: float | None, other: float | None) -> str:
    if value is None or not other:
        return "–"
    ratio = value / other
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.3g}×"


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    sys.exit(main())
