"""The sessions during a run, each a separate process until a signal stops it.

It is a separate module, so that new processes can import it.
"""

import contextlib
import random
import time
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier, Event

import psycopg2

from benchmarks import server

# In seconds: the pause of a reader between reads.
PAUSE = 0.01
# In seconds: how long an idle session keeps a transaction open.
IDLE_SECONDS = 5.0
EVENTS_A_WRITE = 25
WRITES_A_SECOND = 4

USERS = 10_000

# By a key, over a day, over a month, and over all rows.
READS = (
    "select * from {schema}.fct_usage_daily where usage_date = current_date - %(day)s "
    "and user_id = md5('user' || %(user)s)::uuid",
    "select * from {schema}.fct_active_users_daily "
    "where activity_date = current_date - %(day)s",
    "select event_type, sum(event_count) from {schema}.fct_usage_daily "
    "where usage_date = current_date - %(day)s group by event_type",
    "select feature_name, sum(active_licenses) "
    "from {schema}.fct_feature_adoption_monthly group by feature_name",
    "select currency, sum(net_cents) from {schema}.fct_revenue_monthly "
    "group by currency",
    "select endpoint, sum(requests) from {schema}.fct_api_usage_daily "
    "where usage_date > current_date - 7 group by endpoint",
    "select affiliate_id, sum(earned_cents) "
    "from {schema}.fct_affiliate_earnings_monthly group by affiliate_id",
)
# Nothing is ever deleted here, so it never becomes less.
TOTAL = "select coalesce(sum(events), 0) from {schema}.fct_audit_daily"

_stopped: Event
_all_started: Barrier


def prepare(stopped: Event, all_started: Barrier) -> None:
    """The events by which the processes start and stop."""
    global _stopped, _all_started
    _stopped, _all_started = stopped, all_started


def meet() -> None:
    """Wait until every process has started, which takes them a while."""
    _all_started.wait()


@dataclass
class Reading:
    """The figures of one reader."""

    seconds: list[float] = field(default_factory=list)
    """Of each read, from its start to its last row."""
    errors: list[str] = field(default_factory=list)


def read(dsn: str, schema: str, seed: int) -> Reading:
    """Read marts again and again, one statement a transaction."""
    generator = random.Random(seed)
    reads = [statement.format(schema=schema) for statement in (*READS, TOTAL)]
    reading = Reading()
    last_total = 0
    with (
        contextlib.closing(server.connect(dsn)) as connection,
        connection.cursor() as cursor,
    ):
        while not _stopped.is_set():
            parameters = {
                "day": generator.randint(0, 20),
                "user": generator.randrange(USERS),
            }
            statement = generator.choice(reads)
            began = time.perf_counter()
            try:
                cursor.execute(statement, parameters)
                rows = cursor.fetchall()
            except psycopg2.Error as error:
                reading.errors.append(str(error).strip())
                continue
            reading.seconds.append(time.perf_counter() - began)
            if statement == reads[-1]:
                if rows[0][0] < last_total:
                    reading.errors.append(f"{last_total} became {rows[0][0]}")
                last_total = rows[0][0]
            time.sleep(PAUSE)
    return reading


def write(dsn: str, first_event: int, writer: int, writers: int) -> int:
    """Add events, some of them late; returns how many rounds of them."""
    written = 0
    with (
        contextlib.closing(server.connect(dsn)) as connection,
        connection.cursor() as cursor,
    ):
        while not _stopped.is_set():
            start = first_event + (written * writers + writer) * EVENTS_A_WRITE
            for part in ("usage_events", "other_events", "ledger"):
                cursor.execute(
                    f"call made_up.add_{part}(%s, %s, 0.1)",
                    (start, start + EVENTS_A_WRITE),
                )
            written += 1
            time.sleep(1 / WRITES_A_SECOND)
    return written


def idle(dsn: str, schema: str) -> int:
    """Read every mart and leave the transaction open, again and again."""
    opened = 0
    with contextlib.closing(psycopg2.connect(dsn)) as connection:
        while not _stopped.is_set():
            # A table may be swapped meanwhile; the readers count that error.
            with contextlib.suppress(psycopg2.Error), connection.cursor() as cursor:
                for statement in (*READS, TOTAL):
                    cursor.execute(
                        statement.format(schema=schema), {"day": 1, "user": 1}
                    )
                opened += 1
            _stopped.wait(IDLE_SECONDS)
            connection.rollback()
    return opened


def compute(dsn: str, engine: str, number: int, computing: int) -> int:
    """One of several sessions that compute marts as a run does, and write nothing."""
    computed = 0
    with (
        contextlib.closing(server.connect(dsn)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"select definition from {engine}.models order by model")
        definitions = [definition for (definition,) in cursor][number::computing]
        while not _stopped.is_set():
            cursor.execute(
                f"select count(*) from ({definitions[computed % len(definitions)]}) "
                "as made"
            )
            computed += 1
    return computed
