"""Threads around the load: batches made ahead, Ctrl-C at once, errors by their name."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

import psycopg2
from psycopg2.extensions import connection as Connection

T = TypeVar("T")

BATCHES_AHEAD = 4
"""Batches that wait for the server: some 8 MB each."""


class Interrupted(Exception):
    """The user asked to stop."""


def check(stop: threading.Event) -> None:
    """Raise Interrupted once the user asked to stop."""
    if stop.is_set():
        raise Interrupted


def run_interruptibly(
    work: Callable[[], T], connection: Connection, stop: threading.Event
) -> T:
    """Run the work in a thread of its own, so that Ctrl-C need not wait for the server.

    The server's statement is cancelled, and the work ends in an error of its own.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            stop.set()
            _cancel(future, connection)
        if future.exception() is None:
            # It had been committed before the signal came.
            return future.result()
        raise KeyboardInterrupt


def _cancel(future: Future[T], connection: Connection) -> None:
    """Cancel statements until the work has ended; more Ctrl-C change nothing."""
    while not future.done():
        try:
            if not connection.closed:
                connection.cancel()
            wait([future], timeout=0.2)
        except (KeyboardInterrupt, psycopg2.Error):
            continue


def ahead(batches: Iterator[T], stop: threading.Event) -> Iterator[T]:
    """Yield the batches, which a second thread makes while the caller uses others."""
    waiting: queue.Queue[T | BaseException | None] = queue.Queue(BATCHES_AHEAD)
    done = threading.Event()

    def offer(item: T | BaseException | None) -> bool:
        while not done.is_set() and not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for batch in batches:
                if not offer(batch):
                    return
        except BaseException as error:
            offer(error)
        else:
            offer(None)

    maker = threading.Thread(target=make, name="demo batches", daemon=True)
    maker.start()
    try:
        while True:
            check(stop)
            try:
                item = waiting.get(timeout=0.1)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        done.set()
        maker.join()


@contextmanager
def lost_connection_named() -> Iterator[None]:
    """Raise what ended the connection during a COPY.

    psycopg2 prints that, with a SystemError of its own, and raises what came after.
    """
    usual = sys.excepthook
    causes: list[psycopg2.Error] = []

    def note(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if isinstance(error.__cause__, psycopg2.Error):
            causes.append(error.__cause__)
        else:
            usual(kind, error, trace)

    sys.excepthook = note
    try:
        yield
    except psycopg2.Error as error:
        raise (causes or [error])[0] from None
    finally:
        sys.excepthook = usual
