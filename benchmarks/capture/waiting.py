"""Writers during refreshes: does one ever wait for a lock?"""

import contextlib
import itertools
import multiprocessing
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import psycopg2
import psycopg2.errors
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import make_dsn

from benchmarks.ingest.designs import Design, Rows
from saas_analytics.refresh import engine

ENGINE = "analytics_refresh"

# Much shorter than a refresh, and longer than a process waits for a CPU.
LOCK_TIMEOUT = "50ms"
SAMPLE_SECONDS = 0.005

# Locks for which a writer waits, or which a writer holds while others wait.
WRITER = "benchmark writer"
WAITS = """
select locks.locktype from pg_locks as locks
inner join pg_stat_activity as waiting using (pid)
where not locks.granted and (
    waiting.application_name = %s or pg_blocking_pids(pid) && array(
        select pid from pg_stat_activity where application_name = %s
    )
)
"""

UPDATE = """
update usage_events set event_name = 'Renamed' where occurred_at = %s and id = %s
"""
DELETE = "delete from usage_events where occurred_at = %s and id = %s"


@dataclass
class Writing:
    """The writes of one client."""

    writes: int = 0
    timeouts: int = 0
    """Writes that waited for a lock for longer than LOCK_TIMEOUT."""
    longest: float = 0
    """Seconds of the longest statement."""


@dataclass
class Together:
    """The writes of clients in some seconds, with the observed waits."""

    seconds: float
    writing: Writing
    refreshes: list[float] = field(default_factory=list)
    """Seconds of each refresh."""
    samples: int = 0
    waits: Counter[str] = field(default_factory=Counter)
    """The number of observed waits of or for a writer, by type of lock."""


def write_during_refreshes(
    design: Design, rows: Rows, *, clients: int, seconds: float, with_refreshes: bool
) -> Together:
    """Let clients insert, update and delete while all marts are refreshed in a loop."""
    columns, prepared = rows.for_single_inserts(clients * 1_000)
    dsn = make_dsn(
        design.dsn,
        application_name=WRITER,
        options=f"-c lock_timeout={LOCK_TIMEOUT}",
    )
    together = Together(seconds, Writing())
    ends = threading.Event()
    refreshing = threading.Thread(target=_refresh, args=(design, together, ends))
    with multiprocessing.get_context("spawn").Pool(clients) as pool:
        if with_refreshes:
            refreshing.start()
        try:
            done = pool.starmap_async(
                write,
                [
                    (dsn, columns, prepared[client::clients], seconds)
                    for client in range(clients)
                ],
                chunksize=1,
            )
            while not done.ready():
                _look_for_waits(design, together)
                time.sleep(SAMPLE_SECONDS)
            for each in done.get():
                together.writing.writes += each.writes
                together.writing.timeouts += each.timeouts
                together.writing.longest = max(together.writing.longest, each.longest)
        finally:
            ends.set()
            if with_refreshes:
                refreshing.join()
    return together


def _refresh(design: Design, together: Together, ends: threading.Event) -> None:
    with contextlib.closing(psycopg2.connect(design.dsn)) as connection:
        while not ends.is_set():
            began = time.perf_counter()
            engine.refresh(connection, ENGINE)
            together.refreshes.append(time.perf_counter() - began)


def _look_for_waits(design: Design, together: Together) -> None:
    with design.connection.cursor() as cursor:
        cursor.execute(WAITS, (WRITER, WRITER))
        together.samples += 1
        together.waits.update(locktype for (locktype,) in cursor)


def write(
    dsn: str, columns: list[str], prepared: list[tuple[object, ...]], seconds: float
) -> Writing:
    """One client: transactions of an insert, an update and at times a delete."""
    draw = random.Random(0)
    writing = Writing()
    insert = (
        f"insert into usage_events ({', '.join(columns)}, occurred_at) "
        f"values ({', '.join(['%s'] * len(columns))}, now() - %s * interval '1 day') "
        "returning occurred_at, id::text"
    )
    with (
        contextlib.closing(psycopg2.connect(dsn)) as connection,
        connection.cursor() as cursor,
    ):
        ends = time.perf_counter() + seconds
        for event in itertools.cycle(prepared):
            if time.perf_counter() > ends:
                break
            days = 30 * draw.random() if draw.random() < 0.1 else 0
            try:
                with connection:
                    _run(cursor, insert, (*event, days), writing)
                    key = cursor.fetchone() or ()
                    # Some are open while a refresh begins or ends.
                    if draw.random() < 0.01:
                        time.sleep(0.5 * draw.random())
                with connection:
                    _run(cursor, UPDATE, key, writing)
                    if draw.random() < 0.2:
                        _run(cursor, DELETE, key, writing)
            except psycopg2.errors.LockNotAvailable:
                writing.timeouts += 1
    return writing


def _run(
    cursor: Cursor,
    statement: str,
    parameters: tuple[object, ...],
    writing: Writing,
) -> None:
    began = time.perf_counter()
    cursor.execute(statement, parameters)
    writing.longest = max(writing.longest, time.perf_counter() - began)
    writing.writes += 1
