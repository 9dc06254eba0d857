"""Passes rows of the event tables from generators to COPY, in windows of days.

A window is generated, merged with late rows of earlier windows, sorted by arrival
(`created_at`), encoded and yielded. Then its memory is released.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import numpy as np

from bootstrap.demo.arguments import Arguments, micros
from bootstrap.demo.binary_copy import (
    Dictionary,
    Field,
    Integers,
    Mask,
    Micros,
    batch,
)
from bootstrap.demo.catalogue import ADDRESSES, API_CLIENTS, USER_AGENTS, address
from bootstrap.demo.rhythm import DAY, Sessions

SESSIONS_PER_WINDOW = 4_000
ROWS_PER_COPY = 32_768

_INET_V4 = bytes((2, 32, 0, 4))
_INET_V6 = bytes((3, 128, 0, 16))
"""Family, bits of the mask, is it a network, length: the head of a binary inet."""


@dataclass(frozen=True, slots=True)
class Load:
    """The input of one COPY; `day` is its last day, from the company's first."""

    table: str
    columns: tuple[str, ...]
    payload: bytes
    rows: int
    day: int


@dataclass(frozen=True, slots=True)
class Window:
    """Days `first` to `last` (not included) with their slice of the sessions.

    `start` and `end` are microseconds since 1970; the last window ends after `until`.
    """

    first: int
    last: int
    start: int
    end: int
    sessions: slice


def windows(sessions: Sessions, arguments: Arguments) -> Iterator[Window]:
    """Yield windows of whole days with at least some thousand sessions each."""
    begin = micros(arguments.begin)
    until = micros(arguments.until)
    days = (until - begin) // DAY + 1
    bounds = begin + np.arange(days + 1, dtype=np.int64) * DAY
    positions = np.searchsorted(sessions.start, bounds)
    positions[0], positions[-1] = 0, len(sessions.start)
    first = 0
    for day in range(1, days + 1):
        size = positions[day] - positions[first]
        if size >= SESSIONS_PER_WINDOW or day == days:
            yield Window(
                first=first,
                last=day,
                start=int(bounds[first]),
                end=until + 1 if day == days else int(bounds[day]),
                sessions=slice(int(positions[first]), int(positions[day])),
            )
            first = day


@dataclass(frozen=True, slots=True)
class Frame:
    """Columns of equal length; times in microseconds since 1970."""

    occurred: Micros
    created: Micros


FrameT = TypeVar("FrameT", bound=Frame)
EncodedT = TypeVar("EncodedT", bound=Frame, contravariant=True)


def take(frame: FrameT, rows: Mask | Integers | slice) -> FrameT:
    """Return some rows of a frame."""
    columns = {each.name: getattr(frame, each.name)[rows] for each in fields(frame)}
    return type(frame)(**columns)


def join(frames: Sequence[FrameT]) -> FrameT:
    """Return the rows of all frames, in turn."""
    columns = {
        each.name: np.concatenate([getattr(frame, each.name) for frame in frames])
        for each in fields(frames[0])
    }
    return type(frames[0])(**columns)


class Backlog(Generic[FrameT]):
    """Rows that have happened but not arrived; some arrive after the demo's end."""

    def __init__(self) -> None:
        self._waiting: list[FrameT] = []

    def arrive(self, frame: FrameT, end: int) -> FrameT:
        """Add rows; return all that arrive before `end`, in order of arrival."""
        merged = join([*self._waiting, frame])
        arrived = merged.created < end
        self._waiting = [take(merged, ~arrived)]
        frame = take(merged, arrived)
        return take(frame, np.argsort(frame.created, kind="stable"))


class Encoder(Protocol[EncodedT]):
    """Turns rows of a frame into the fields of a COPY."""

    table: str
    columns: tuple[str, ...]

    def fields(self, frame: EncodedT) -> list[Field]:
        """Return a field for each of the columns."""


def loads(encoder: Encoder[FrameT], frame: FrameT, day: int) -> Iterator[Load]:
    """Yield the rows in pieces of a bounded size."""
    for start in range(0, len(frame.created), ROWS_PER_COPY):
        piece = take(frame, slice(start, start + ROWS_PER_COPY))
        yield Load(
            table=encoder.table,
            columns=encoder.columns,
            payload=batch(encoder.fields(piece)),
            rows=len(piece.created),
            day=day,
        )


class Directory:
    """The values of codes, encoded once for all tables."""

    def __init__(
        self, users: Sequence[UUID], licenses: Sequence[UUID], teams: Sequence[UUID]
    ) -> None:
        self.users = Dictionary([identifier.bytes for identifier in users])
        self.licenses = Dictionary([identifier.bytes for identifier in licenses])
        self.teams = Dictionary([identifier.bytes for identifier in teams])
        self.addresses = Dictionary([_inet(number) for number in range(ADDRESSES)])
        self.agents = Dictionary.of_text([*USER_AGENTS, *API_CLIENTS])


def _inet(number: int) -> bytes:
    """Return a binary inet of `catalogue.address`."""
    text = address(number)
    if ":" in text:
        groups = bytes.fromhex("20010db8") + bytes(10)
        return _INET_V6 + groups + int(text.rpartition(":")[2], 16).to_bytes(2, "big")
    return _INET_V4 + bytes(map(int, text.split(".")))
