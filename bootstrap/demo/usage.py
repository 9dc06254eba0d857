"""The usage events of people, visitors and jobs, by session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bootstrap.demo.arguments import Arguments, micros
from bootstrap.demo.binary_copy import (
    Bytes,
    Dictionary,
    Field,
    Integers,
    Micros,
    fixed,
    hexadecimal,
    nullable,
    time_ordered_ids,
    timestamps,
)
from bootstrap.demo.catalogue import (
    BACKGROUND_ACTIONS,
    FEATURE_SHARE,
    FEATURE_USED,
    FEATURES,
    LOGIN,
    LOGOUT,
    PERSON_ACTIONS,
    VISITOR_ACTIONS,
    Action,
)
from bootstrap.demo.customers import Customer
from bootstrap.demo.feed import Backlog, Directory, Frame, Load, Window, loads
from bootstrap.demo.odds import Odds
from bootstrap.demo.rhythm import (
    DAY,
    EVENTS_PER_SESSION,
    SECOND,
    Kind,
    Presences,
    Sessions,
)

LATE_SHARE = 0.01
LATEST = 30 * DAY
"""One event in a hundred arrives up to this late, most of them within days."""

LOGOUT_SHARE = 0.3
LONGEST_SESSION = 400
RELEASE_EVERY = 14 * DAY
NEVER = np.iinfo(np.int64).max

_ACTIONS: tuple[Action, ...] = (
    LOGIN,
    LOGOUT,
    *(Action("feature", FEATURE_USED, each.name, each.weight) for each in FEATURES),
    *PERSON_ACTIONS,
    *VISITOR_ACTIONS,
    *BACKGROUND_ACTIONS,
)
"""The kinds of events; the code of an event is a position in this list."""

_LOGIN, _LOGOUT, _FIRST_FEATURE = 0, 1, 2
_FIRST_PERSON = _FIRST_FEATURE + len(FEATURES)
_FIRST_VISITOR = _FIRST_PERSON + len(PERSON_ACTIONS)
_FIRST_BACKGROUND = _FIRST_VISITOR + len(VISITOR_ACTIONS)
_TEAM_ACTIONS = [
    code for code, action in enumerate(_ACTIONS) if action.category == "team"
]

LONGEST_DURATION = 3_600
_HALVES = 240
_DATA = (
    "{}",
    *(f'{{"duration_seconds": {n}}}' for n in range(1, LONGEST_DURATION + 1)),
    *(f'{{"duration_seconds": {n}.5}}' for n in range(1, _HALVES + 1)),
    # Values that faulty versions of the application sent.
    '{"duration_seconds": "12"}',
    '{"duration_seconds": -1}',
    '{"duration_seconds": null}',
)
"""The values of event_data; the first is for events without a duration."""

_ODD_DATA = len(_DATA) - 3
ODD_DATA_SHARE = 0.002


@dataclass(frozen=True, slots=True)
class UsageEvents(Frame):
    """One line per event."""

    presence: npt.NDArray[np.int32]
    action: npt.NDArray[np.int16]
    data: npt.NDArray[np.int16]
    session: Bytes
    version: npt.NDArray[np.int16]


class UsageFeed:
    """Makes the usage events, one window of days after the other."""

    table = "usage_events"
    columns: tuple[str, ...] = (
        "id",
        "user_id",
        "license_id",
        "team_id",
        "event_type",
        "event_category",
        "event_name",
        "event_data",
        "session_id",
        "ip_address",
        "user_agent",
        "client_version",
        "occurred_at",
        "created_at",
    )

    def __init__(
        self,
        customers: Sequence[Customer],
        presences: Presences,
        sessions: Sessions,
        directory: Directory,
        arguments: Arguments,
    ) -> None:
        self._presences = presences
        self._sessions = sessions
        self._directory = directory
        self._generator = arguments.generator("usage")
        self._begin = micros(arguments.begin)
        self._until = micros(arguments.until)
        self._adopted = _adoption(customers, arguments)
        self._backlog: Backlog[UsageEvents] = Backlog()
        self._types = Dictionary.of_text([each.event_type for each in _ACTIONS])
        self._categories = Dictionary.of_text([each.category for each in _ACTIONS])
        self._names = Dictionary.of_text([each.name for each in _ACTIONS])
        self._data = Dictionary.of_json(_DATA)
        releases = (self._until - self._begin) // RELEASE_EVERY + 1
        self._versions = Dictionary.of_text([f"2.{n}.0" for n in range(releases)])

    def window(self, window: Window) -> Iterator[Load]:
        """Yield the events that arrive in a window, including late ones."""
        events = self._happen(window)
        yield from loads(self, self._backlog.arrive(events, window.end), window.last)

    def _happen(self, window: Window) -> UsageEvents:
        """Fill the window's sessions with events."""
        generator = self._generator
        presences = self._presences
        session_presence = self._sessions.presence[window.sessions]
        lengths = self._lengths(presences.kind[session_presence])
        total = int(lengths.sum())
        firsts = np.cumsum(lengths) - lengths
        session = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        position = np.arange(total) - firsts[session]

        occurred = self._sessions.start[window.sessions][session]
        occurred += self._elapsed(position, firsts[session])
        presence = session_presence[session]
        happened = (occurred <= self._until) & (occurred < presences.end[presence])
        session, position = session[happened], position[happened]
        occurred, presence = occurred[happened], presence[happened]

        action = self._choose(presence, occurred)
        action[(position == 0) & self._sessions.login[window.sessions][session]] = (
            _LOGIN
        )
        leaves = (position > 0) & (position == lengths[session] - 1)
        leaves &= generator.random(len(session)) < LOGOUT_SHARE
        action[leaves & (presences.kind[presence] == Kind.PERSON)] = _LOGOUT

        identifiers = hexadecimal(
            generator.integers(0, 256, size=(len(lengths), 8), dtype=np.uint8)
        )
        release = (occurred - self._begin) // RELEASE_EVERY - presence % 3
        return UsageEvents(
            presence=presence,
            action=action,
            data=self._durations(action),
            session=identifiers[session],
            version=np.maximum(release, 0).astype(np.int16),
            occurred=occurred,
            created=occurred + self._delays(action, presences.kind[presence]),
        )

    def _lengths(self, kind: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
        """Return the number of events per session: mostly few, sometimes hundreds."""
        generator = self._generator
        size = len(kind)
        person = 1 + generator.lognormal(2.336, 0.9, size=size).astype(np.int64)
        mean = np.where(
            kind == Kind.VISITOR,
            EVENTS_PER_SESSION[Kind.VISITOR],
            EVENTS_PER_SESSION[Kind.BACKGROUND],
        )
        lengths = np.where(kind == Kind.PERSON, person, generator.poisson(mean - 1) + 1)
        return np.minimum(lengths, LONGEST_SESSION)

    def _elapsed(self, position: Integers, first: Integers) -> Micros:
        """Return the time since the session's start, with occasional pauses."""
        generator = self._generator
        gaps = generator.exponential(60.0 * SECOND, size=len(position))
        gaps *= np.where(generator.random(len(position)) < 0.02, 15.0, 1.0)
        gaps[position == 0] = 0.0
        elapsed = np.cumsum(gaps.astype(np.int64))
        return np.asarray(elapsed - elapsed[first], dtype=np.int64)

    def _choose(
        self, presence: npt.NDArray[np.int32], occurred: Micros
    ) -> npt.NDArray[np.int16]:
        """Return the kinds of events; only adopted features of the license occur."""
        presences = self._presences
        luck = self._generator.random(len(presence))
        kind = presences.kind[presence]
        action = _PERSON_ODDS.at(luck)
        action = np.where(kind == Kind.VISITOR, _VISITOR_ODDS.at(luck), action)
        action = np.where(kind == Kind.BACKGROUND, _BACKGROUND_ODDS.at(luck), action)
        no_team = (presences.team[presence] < 0) & np.isin(action, _TEAM_ACTIONS)
        action[no_team] = _FIRST_PERSON

        rows = np.flatnonzero((action >= _FIRST_FEATURE) & (action < _FIRST_PERSON))
        feature = action[rows] - _FIRST_FEATURE
        missing = (
            occurred[rows] < self._adopted[presences.license[presence[rows]], feature]
        ) | (presences.plan[presence[rows]] < _LOWEST_PLAN[feature])
        action[rows[missing]] = _FIRST_FEATURE
        return action

    def _durations(self, action: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Return codes of event_data: mostly seconds, with a few faulty values."""
        generator = self._generator
        size = len(action)
        seconds = np.clip(generator.lognormal(3.4, 1.1, size), 1, LONGEST_DURATION)
        data = seconds.astype(np.int16)
        luck = generator.random(size)
        halves = (luck < 0.04) & (data <= _HALVES)
        data[halves] += LONGEST_DURATION
        odd = luck > 1 - ODD_DATA_SHARE
        data[odd] = _ODD_DATA + generator.integers(0, 3, size=int(odd.sum()))
        timed = generator.random(size) < np.where(action < _FIRST_PERSON, 0.85, 0.4)
        timed &= action >= _FIRST_FEATURE
        return np.where(timed, data, 0).astype(np.int16)

    def _delays(
        self, action: npt.NDArray[np.int16], kind: npt.NDArray[np.int8]
    ) -> Micros:
        """Return the delay until events arrive; a person's events may be late."""
        generator = self._generator
        size = len(action)
        delay = generator.exponential(1.5 * SECOND, size=size)
        late = generator.random(size) < LATE_SHARE / 0.9
        late &= (kind == Kind.PERSON) & (action != _LOGIN)
        offline = 300 * SECOND + (LATEST - 300 * SECOND) * generator.random(size) ** 2
        return np.where(late, offline, delay).astype(np.int64)

    def fields(self, frame: UsageEvents) -> list[Field]:
        """Return the columns of some events."""
        presences = self._presences
        kind = presences.kind[frame.presence]
        nameless = kind == Kind.BACKGROUND
        version = np.where(kind == Kind.PERSON, frame.version, -1)
        return [
            fixed(time_ordered_ids(self._generator, frame.created)),
            self._directory.users.field(presences.user[frame.presence]),
            self._directory.licenses.field(presences.license[frame.presence]),
            self._directory.teams.field(presences.team[frame.presence]),
            self._types.field(frame.action),
            self._categories.field(frame.action),
            self._names.field(frame.action),
            self._data.field(frame.data),
            nullable(frame.session, nameless),
            self._directory.addresses.field(presences.address[frame.presence]),
            self._directory.agents.field(presences.agent[frame.presence]),
            self._versions.field(version),
            timestamps(frame.occurred),
            timestamps(frame.created),
        ]


_FEATURE_WEIGHT = sum(feature.weight for feature in FEATURES)
_PERSON_ODDS = Odds(
    [
        *(FEATURE_SHARE * each.weight / _FEATURE_WEIGHT for each in FEATURES),
        *(each.weight for each in PERSON_ACTIONS),
    ],
    first=_FIRST_FEATURE,
)
_VISITOR_ODDS = Odds([each.weight for each in VISITOR_ACTIONS], first=_FIRST_VISITOR)
_BACKGROUND_ODDS = Odds(
    [each.weight for each in BACKGROUND_ACTIONS], first=_FIRST_BACKGROUND
)
_LOWEST_PLAN = np.array([feature.lowest_plan for feature in FEATURES], dtype=np.int8)


def _adoption(customers: Sequence[Customer], arguments: Arguments) -> Micros:
    """Return the time (microseconds) from which each license uses each feature."""
    generator = arguments.generator("adoption")
    begin = micros(arguments.begin)
    adopted = np.full((len(customers), len(FEATURES)), NEVER, dtype=np.int64)
    started = np.array(
        [micros(customer.signed_up_at) for customer in customers], dtype=np.int64
    )
    for code, feature in enumerate(FEATURES):
        available = np.maximum(started, begin + feature.launch_day * DAY)
        wait = generator.exponential(feature.delay_days * DAY, size=len(customers))
        willing = generator.random(len(customers)) < feature.reach
        when = available + wait.astype(np.int64)
        adopted[willing, code] = when[willing]
    return adopted
