"""Makes batches of the load in advance, in a second thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

BATCHES_AHEAD = 4
"""The number of batches that wait for the server, of about 8 MB each."""


class Interrupted(Exception):
    """Ctrl-C."""


def check(stop: threading.Event) -> None:
    """Raise Interrupted after Ctrl-C."""
    if stop.is_set():
        raise Interrupted


def ahead(batches: Iterator[T], stop: threading.Event) -> Iterator[T]:
    """Yield the batches, while a second thread makes the next ones."""
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
