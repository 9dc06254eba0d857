"""python -m benchmarks.far_future: does one event of the year 2999 slow every refresh?

It uses two copies of the demo company. One has an event, a call, an error and an
audited action at each of some distant times. Both refresh in turns after one ordinary
event, and every model is compared with a rebuild at the end.
"""

import contextlib
import statistics
import sys

import click

from benchmarks import server
from benchmarks.features import __main__ as features
from tests.python.support import Database
from tests.python.test_odd_values import NEW_EVENT, ODD_TIMES

MOST = 1.5
"""Times as long as without the far-off rows, at most."""

# Not an hour after a distant one, which PostgreSQL can't represent.
ONE_EVENT = features.ONE_EVENT.replace("order by", "and event_type <> 'odd' order by")


@click.command()
@click.option("--scale", default=1.0, show_default=True, help="Of the demo company.")
@click.option("--runs", default=15, show_default=True, type=click.IntRange(min=1))
def main(scale: float, runs: int) -> None:
    """Measure a refresh after one event; exit 1 if far-off rows make it cost more."""
    with server.scratch_server() as scratch:
        click.echo(scratch.describe())
        own = Database(scratch.create_database("own"))
        features._build(own, scale)
        far = Database(scratch.create_database("far", template="own"))
        for statement in NEW_EVENT.values():
            for at in ODD_TIMES:
                far.execute(statement, (at, "infinity"))
        companies = {"without": own, "with": far}
        for database in companies.values():
            features._refresh(database)
            with contextlib.closing(server.connect(database.url)) as connection:
                connection.cursor().execute("vacuum analyze")
        times: dict[str, list[float]] = {name: [] for name in companies}
        for run in range(runs + 1):
            for name, database in companies.items():
                database.execute(ONE_EVENT, (str(run),))
                took = features._refresh(database)["all"]
                # The first refresh finds no rows in memory.
                if run:
                    times[name].append(took)
        wrong = sum(features._wrong_rows(database) for database in companies.values())
    medians = {name: statistics.median(each) for name, each in times.items()}
    for name, median in medians.items():
        click.echo(f"{name} far-off rows: {median:.0f} ms, median of {runs}")
    ratio = medians["with"] / medians["without"]
    click.echo(f"{ratio:.2f} times as long; rows that differ from a rebuild: {wrong}")
    sys.exit(1 if wrong or ratio > MOST else 0)


if __name__ == "__main__":
    main()
