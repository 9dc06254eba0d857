"""Ctrl-C and SIGTERM while a statement runs.

By default psycopg2 handles a signal only after the server's answer. Here a callback of
psycopg2 waits for statements. A thread waits for COPY, which does not work with a
callback. `psycopg2.extras.wait_select` is not enough: it replaces the KeyboardInterrupt
by the error of a cancelled statement.
"""

from __future__ import annotations

import contextlib
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

import psycopg2
from psycopg2 import extensions
from psycopg2.extensions import connection as Connection

T = TypeVar("T")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Make Ctrl-C and SIGTERM cancel the running statement of any connection.

    COPY fails inside this block, except inside copying().
    """
    extensions.set_wait_callback(_wait)
    former = signal.getsignal(signal.SIGTERM)
    is_main = threading.current_thread() is threading.main_thread()
    if is_main:
        # Schedulers and containers end a process with SIGTERM.
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, former)
        extensions.set_wait_callback(None)


def _terminate(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _wait(connection: Connection) -> None:
    try:
        while (state := connection.poll()) != extensions.POLL_OK:
            if state == extensions.POLL_READ:
                select.select([connection.fileno()], [], [])
            else:
                select.select([], [connection.fileno()], [])
    except KeyboardInterrupt:
        # psycopg2 closes the connection now, which does not end the server's work.
        connection.cancel()
        raise


@contextlib.contextmanager
def copying() -> Iterator[None]:
    """Allow COPY inside interruptible(), by removing the callback for a while."""
    callback = extensions.get_wait_callback()
    extensions.set_wait_callback(None)
    try:
        yield
    finally:
        extensions.set_wait_callback(callback)


def run_interruptibly(
    work: Callable[[], T], connection: Connection, stop: threading.Event
) -> T:
    """Run the work in a thread, so that Ctrl-C need not wait for the server.

    Ctrl-C cancels the server's statement, and the work ends with an error.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            stop.set()
            _cancel(future, connection)
        if future.exception() is None:
            # The work had finished before the signal.
            return future.result()
        raise KeyboardInterrupt


def _cancel(future: Future[T], connection: Connection) -> None:
    """Cancel statements until the work has ended, and ignore further Ctrl-C."""
    while not future.done():
        try:
            if not connection.closed:
                connection.cancel()
            wait([future], timeout=0.2)
        except (KeyboardInterrupt, psycopg2.Error):
            continue


@contextlib.contextmanager
def lost_connection_named() -> Iterator[None]:
    """Raise the error that ended the connection during a COPY.

    psycopg2 prints that error with a SystemError, and raises a later, useless one.
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
