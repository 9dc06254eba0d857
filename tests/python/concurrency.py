"""Statements that run at the same time, by luck or in a chosen order."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection

from tests.python.support import Database

Result = TypeVar("Result")

PATIENCE = 300.0


def at_once(actions: Sequence[Callable[[], Result]]) -> list[Future[Result]]:
    """Start all actions at the same moment, each in a thread; wait for their ends."""
    barrier = threading.Barrier(len(actions))

    def start(action: Callable[[], Result]) -> Result:
        barrier.wait(PATIENCE)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return [pool.submit(start, action) for action in actions]


def errors_of(futures: Sequence[Future[Any]]) -> list[str]:
    """The SQLSTATEs of what failed; anything but a database error is raised."""
    codes = []
    for future in futures:
        error = future.exception()
        if isinstance(error, psycopg2.Error):
            codes.append(error.pgcode or str(error))
        elif error is not None:
            raise error
    return codes


class Session:
    """A connection whose statements run at the same time as the test."""

    def __init__(self, database: Database, *, autocommit: bool = False) -> None:
        self.database = database
        self.connection: Connection = database.connect()
        self.connection.autocommit = autocommit
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and whatever it still waits for."""
        self.connection.cancel()
        self._pool.shutdown()
        self.connection.close()

    def run(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement and wait for its end."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def start(
        self, statement: str, parameters: Any = None
    ) -> Future[list[tuple[Any, ...]]]:
        """Start a statement; it may have to wait for another session."""
        return self._pool.submit(self.run, statement, parameters)


def wait_until_waiting(waiting: Sequence[tuple[Session, Future[Any]]]) -> None:
    """Return when each session waits for a lock, or is through with its statement."""
    deadline = time.monotonic() + PATIENCE
    monitor = waiting[0][0].database.connect()
    monitor.autocommit = True
    try:
        while True:
            pids = [
                session.connection.info.backend_pid
                for session, future in waiting
                if not future.done()
            ]
            with monitor.cursor() as cursor:
                cursor.execute(
                    "select count(*) from pg_stat_activity "
                    "where pid = any (%s) and wait_event_type = 'Lock'",
                    (pids,),
                )
                if cursor.fetchall() == [(len(pids),)]:
                    return
            assert time.monotonic() < deadline, "neither done nor waiting for a lock"
            time.sleep(0.005)
    finally:
        monitor.close()


def burst(database: Database, statements: Sequence[tuple[str, Any]]) -> list[str]:
    """Statements that all start before the first of them is committed.

    Returns:
        The SQLSTATEs of those that failed.
    """
    sessions = [
        Session(database, autocommit=position > 0)
        for position in range(len(statements))
    ]
    try:
        first, *others = sessions
        first.run(*statements[0])
        futures = [
            session.start(*statement)
            for session, statement in zip(others, statements[1:], strict=True)
        ]
        wait_until_waiting(list(zip(others, futures, strict=True)))
        first.connection.commit()
        for future in futures:
            future.exception(PATIENCE)
        return errors_of(futures)
    finally:
        for session in sessions:
            session.close()
