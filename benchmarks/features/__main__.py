"""python -m benchmarks.features: does a refresh cost more where features are many?

It uses two copies of the demo company: one with its own features, and one whose events
have the given number of feature names. Both refresh in turns after one event, and every
refresh is compared with a rebuild at the end.
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time

import click

from benchmarks import report, server
from saas_analytics import project
from saas_analytics.refresh import engine
from tests.python.support import DBT, Database, environment
from tests.python.workload import SCHEMA

MOST = 1.5
"""Times as long as with the company's own features, at most."""

# A user's event of a feature of theirs, an hour after another.
ONE_EVENT = """
insert into usage_events (user_id, license_id, event_type, event_category, event_name,
    session_id, occurred_at, created_at)
select user_id, license_id, event_type, event_category, event_name, session_id,
    occurred_at + interval '1 hour', occurred_at + interval '1 hour'
from usage_events
where event_category = 'feature' and license_id is not null and user_id is not null
order by md5(id::text || %s) limit 1
"""

SPREAD = """
update usage_events
set event_name = 'feature_' || abs(hashtext(id::text)) %% %s
where event_category = 'feature'
"""

Times = dict[str, list[float]]
"""Milliseconds of each refresh, by model and of all."""


@click.command()
@click.option("--features", default=2000, show_default=True, type=click.IntRange(min=1))
@click.option("--scale", default=1.0, show_default=True, help="Of the demo company.")
@click.option("--runs", default=15, show_default=True, type=click.IntRange(min=1))
def main(features: int, scale: float, runs: int) -> None:
    """Measure a refresh after one event; exit 1 if many features cost too much."""
    with server.scratch_server() as scratch:
        click.echo(scratch.describe())
        own = Database(scratch.create_database("own"))
        _build(own, scale)
        many = Database(scratch.create_database("many", template="own"))
        many.execute(SPREAD, (features,))
        companies = {"own": own, "many": many}
        for database in companies.values():
            _refresh(database)
        with contextlib.closing(server.connect(many.url)) as connection:
            connection.cursor().execute("vacuum analyze")
        times: dict[str, Times] = {name: {} for name in companies}
        for run in range(runs + 1):
            for name, database in companies.items():
                database.execute(ONE_EVENT, (str(run),))
                for model, milliseconds in _refresh(database).items():
                    # The first refresh finds no rows in memory.
                    if run:
                        times[name].setdefault(model, []).append(milliseconds)
        counts = [_features(database) for database in companies.values()]
        wrong = sum(_wrong_rows(database) for database in companies.values())
    ratio = _report(times, counts)
    click.echo(f"\n{ratio:.2f} times as long; rows that differ from a rebuild: {wrong}")
    sys.exit(1 if wrong or ratio > MOST else 0)


def _build(database: Database, scale: float) -> None:
    env = environment(DATABASE_URL=server.url_of(database.url))
    python = sys.executable
    with tempfile.TemporaryDirectory() as target:
        folders = ("--target-path", target, "--log-path", target)
        for command in (
            (python, "-m", "bootstrap", "migrate"),
            (python, "-m", "bootstrap", "demo", "--scale", str(scale)),
            (str(DBT), "--quiet", "seed", *folders),
            (str(DBT), "--quiet", "run", *folders),
        ):
            subprocess.run(
                command, cwd=project.root(), env=env, check=True, stdout=sys.stderr
            )


def _refresh(database: Database) -> dict[str, float]:
    with contextlib.closing(database.connect()) as connection:
        started = time.perf_counter()
        runs = engine.refresh(connection, SCHEMA)
        took = (time.perf_counter() - started) * 1000
    return {"all": took, **{run.model: run.milliseconds for run in runs}}


def _features(database: Database) -> int:
    ((count,),) = database.execute(
        "select count(distinct feature_name) from analytics.fct_feature_usage"
    )
    return int(count)


def _wrong_rows(database: Database) -> int:
    ((rows,),) = database.execute(
        f"select sum({SCHEMA}.verify(model))::bigint from {SCHEMA}.models"
    )
    return int(rows)


def _report(times: dict[str, Times], counts: list[int]) -> float:
    """Print the models that take longest; the ratio of all."""
    own, many = (
        {model: statistics.median(each) for model, each in times[name].items()}
        for name in ("own", "many")
    )
    shown = sorted(many, key=lambda model: -many[model])[:8]
    click.echo(
        report.table(
            ["milliseconds, median", *(f"{count:,} features" for count in counts)],
            [[model, f"{own[model]:.1f}", f"{many[model]:.1f}"] for model in shown],
        )
    )
    return many["all"] / own["all"]


if __name__ == "__main__":
    main()
