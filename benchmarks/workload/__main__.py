"""python -m benchmarks.workload: compares marts with a rebuild under random writes.

The seed of a round determines its writers. They run transactions of every shape, late
rows, erasures of users, changes of partitions, and they kill runs. Every refresh is
compared in its own snapshot: with each model's select, and with independent queries
over the source tables.
"""

import contextlib
import random
import subprocess
import sys
import tempfile
import threading
import time

import click
import psycopg2

from benchmarks import server
from saas_analytics import project
from saas_analytics.refresh import engine
from tests.python import workload
from tests.python import zones as every_zone
from tests.python.support import DBT, Database, environment

SCHEMA = "analytics_refresh"
REFRESHES = 2


@click.command()
@click.option("--rounds", default=200, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=1, show_default=True, type=int)
@click.option("--writers", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--zones", is_flag=True, help="Test one time zone per round.")
def main(rounds: int, seed: int, writers: int, zones: bool) -> None:
    """Refresh under random writes; exit 1 if a mart ever differs from a rebuild."""
    with server.scratch_server() as scratch:
        click.echo(scratch.describe())
        dsn = scratch.create_database("workload")
        database = Database(dsn)
        _build(database)
        if zones:
            sys.exit(1 if _run_zones(database, range(seed, seed + rounds)) else 0)
        wrong = refreshed = killed = written = 0
        for number in range(seed, seed + rounds):
            generator = random.Random(number)
            with workload.Writers(database, number, writers) as working:
                for _ in range(REFRESHES):
                    time.sleep(generator.random())
                    if generator.random() < 0.5:
                        _administrate(database, generator)
                    if generator.random() < 0.2:
                        killed += _kill_one(database, generator)
                    found = _refresh(database)
                    refreshed += 1
                    wrong += bool(found)
                    if found:
                        click.echo(f"round {number}: {found}")
            written += len(working.written)
            for failure in working.failures[:1]:
                click.echo(f"round {number}: {failure.strip()}")
        click.echo(
            f"{rounds} rounds from seed {seed}: {written:,} writes, {killed} runs "
            f"killed, {refreshed} refreshes, {wrong} of them wrong"
        )
    sys.exit(1 if wrong else 0)


def _run_zones(database: Database, seeds: range) -> int:
    """Test a company around a clock change for each seed. Returns the failed rounds."""
    names = every_zone.all_zones(database)
    wrong = 0
    drawn = set()
    for seed in seeds:
        generator = random.Random(seed)
        # Every other round draws from the zones with unusual rules.
        name = generator.choice(every_zone.HARD_ZONES if seed % 2 else names)
        drawn.add(name)
        found = every_zone.disagreements(database, name, generator)
        wrong += bool(found)
        for line in found[:3]:
            click.echo(f"round {seed}: {line}")
    click.echo(
        f"{len(seeds)} rounds from seed {seeds.start} in {len(drawn)} zones, "
        f"{wrong} of them wrong"
    )
    return wrong


def _build(database: Database) -> None:
    env = environment(DATABASE_URL=server.url_of(database.url))
    python = sys.executable
    with tempfile.TemporaryDirectory() as target:
        folders = ("--target-path", target, "--log-path", target)
        for command in (
            (python, "-m", "bootstrap", "migrate"),
            (python, "-m", "bootstrap", "demo", "--scale", "0.02"),
            (str(DBT), "seed", *folders),
            (str(DBT), "run", *folders),
        ):
            subprocess.run(
                command, cwd=project.root(), env=env, check=True, stdout=sys.stderr
            )


def _refresh(database: Database) -> dict[str, int]:
    found: dict[str, int] = {}

    def compare(connection: psycopg2.extensions.connection) -> None:
        with connection.cursor() as cursor:
            found.update(workload.disagreements(cursor))

    with contextlib.closing(database.connect()) as connection:
        engine.refresh(connection, SCHEMA, inspect=compare)
    return found


def _administrate(database: Database, generator: random.Random) -> None:
    # A lock can block the statement, and its table can be empty.
    with (
        contextlib.closing(database.connect()) as connection,
        contextlib.suppress(psycopg2.Error, IndexError),
        connection,
        connection.cursor() as cursor,
    ):
        workload.administrate(cursor, generator)


def _kill_one(database: Database, generator: random.Random) -> int:
    with contextlib.closing(database.connect()) as connection:
        kill = "select pg_terminate_backend(%s)"
        timer = threading.Timer(
            generator.random(), database.execute, (kill, [connection.info.backend_pid])
        )
        timer.start()
        try:
            engine.refresh(connection, SCHEMA)
            return 0
        except psycopg2.Error:
            return 1
        finally:
            timer.join()


if __name__ == "__main__":
    main()
