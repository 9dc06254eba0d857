"""Sessions of the product's users.

A presence is one user on one plan of one license for some time. Sessions (about 30
bytes each) are drawn for all days at once. Their events are drawn later, in windows of
days, so that memory does not grow with the number of events.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from bootstrap.demo.accounts import Accounts, Person
from bootstrap.demo.arguments import Arguments, micros, moment_at
from bootstrap.demo.binary_copy import Mask, Micros
from bootstrap.demo.catalogue import ADDRESSES, PLANS, USER_AGENTS
from bootstrap.demo.customers import HOURS, WEEKDAYS, Customer
from bootstrap.demo.rows import User

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

DAY = 86_400_000_000
HOUR = 3_600_000_000
SECOND = 1_000_000

HOLIDAYS = {(12, day) for day in range(24, 32)} | {(1, 1)}
HOLIDAY_FACTOR = 0.4
LOGIN_SHARE = 0.6
"""Share of sessions that begin with a login; in the others the user is logged in."""

PLAN_ACTIVITY = (0.35, 0.7, 1.0, 1.15)
FRESH_MINUTES = (52, 41, 33, 24, 13, 7, 4)
"""Minutes before the end with sessions, so that data is recent even at night."""


class Kind(IntEnum):
    """The cause of an event."""

    PERSON = 0
    VISITOR = 1
    BACKGROUND = 2


EVENTS_PER_SESSION = {Kind.PERSON: 16.0, Kind.VISITOR: 3.0, Kind.BACKGROUND: 6.0}
EVENT_SHARE = {Kind.PERSON: 0.94, Kind.VISITOR: 0.025, Kind.BACKGROUND: 0.035}


@dataclass(frozen=True, slots=True)
class Presences:
    """One line per presence. Codes index users, licenses and teams; -1 is null."""

    kind: npt.NDArray[np.int8]
    user: Codes
    license: Codes
    team: Codes
    plan: npt.NDArray[np.int8]
    start: Micros
    end: Micros
    weight: Floats
    offset: Micros
    address: Codes
    agent: Codes


@dataclass(frozen=True, slots=True)
class Sessions:
    """One line per session, in the order of their start (microseconds since 1970)."""

    presence: Codes
    start: Micros
    login: Mask


@dataclass(slots=True)
class _Line:
    kind: Kind
    user: int
    license: int
    team: int
    plan: int
    start: int
    end: int
    weight: float
    offset: int
    address: int
    agent: int


def gather(
    customers: Sequence[Customer],
    accounts: Accounts,
    users: Sequence[User],
    arguments: Arguments,
) -> Presences:
    """Return all presences, including those of erased and anonymous users."""
    stream = arguments.stream("presences")
    user_codes = {user.id: code for code, user in enumerate(users)}
    license_codes = {row.id: code for code, row in enumerate(accounts.licenses)}
    team_codes = {team.id: code for code, team in enumerate(accounts.teams)}
    until = micros(arguments.until)
    lines: list[_Line] = []
    for person in accounts.people:
        user = user_codes[person.user.id] if person.user else -1
        license_code = license_codes[person.customer.license_id]
        team = team_codes[person.team.id] if person.team else -1
        lines += _person(person, user, license_code, team, until, stream)
    for customer in customers:
        license_code = license_codes[customer.license_id]
        lines += _background(customer, license_code, until, stream)
    for _ in range(max(5, round(200 * arguments.scale))):
        lines.append(_visitor(arguments, until, stream))
    return Presences(
        kind=np.array([line.kind for line in lines], dtype=np.int8),
        user=np.array([line.user for line in lines], dtype=np.int32),
        license=np.array([line.license for line in lines], dtype=np.int32),
        team=np.array([line.team for line in lines], dtype=np.int32),
        plan=np.array([line.plan for line in lines], dtype=np.int8),
        start=np.array([line.start for line in lines], dtype=np.int64),
        end=np.array([line.end for line in lines], dtype=np.int64),
        weight=np.array([line.weight for line in lines], dtype=np.float64),
        offset=np.array([line.offset for line in lines], dtype=np.int64),
        address=np.array([line.address for line in lines], dtype=np.int32),
        agent=np.array([line.agent for line in lines], dtype=np.int32),
    )


def _person(
    person: Person,
    user: int,
    license_code: int,
    team: int,
    until: int,
    stream: random.Random,
) -> list[_Line]:
    """The activity of users: a few do most of the work, and many stop after a while."""
    weight = stream.lognormvariate(0, 1.1)
    interest = DAY * (12 + stream.expovariate(1 / 380))
    address = stream.randrange(ADDRESSES)
    agent = stream.randrange(len(USER_AGENTS))
    joined = micros(person.joined_at)
    last = until if person.erased_at is None else micros(person.erased_at)
    lines = []
    for tenure in person.customer.tenures:
        start = max(micros(tenure.start), joined)
        end = last if tenure.end is None else min(micros(tenure.end), last)
        end = min(end, int(start + interest))
        plan = PLANS.index(tenure.plan)
        if start < end:
            lines.append(
                _Line(
                    kind=Kind.PERSON,
                    user=user,
                    license=license_code,
                    team=team,
                    plan=plan,
                    start=start,
                    end=end,
                    weight=weight * PLAN_ACTIVITY[plan],
                    offset=person.customer.region.utc_offset * HOUR,
                    address=address,
                    agent=agent,
                )
            )
    return lines


def _background(
    customer: Customer, license_code: int, until: int, stream: random.Random
) -> list[_Line]:
    """Jobs of a license, without a user; larger plans have more."""
    weight = stream.lognormvariate(0, 0.5)
    return [
        _Line(
            kind=Kind.BACKGROUND,
            user=-1,
            license=license_code,
            team=-1,
            plan=PLANS.index(tenure.plan),
            start=micros(tenure.start),
            end=until if tenure.end is None else micros(tenure.end),
            weight=weight,
            offset=0,
            address=-1,
            agent=-1,
        )
        for tenure in customer.tenures
        if tenure.plan in ("pro", "enterprise")
    ]


def _visitor(arguments: Arguments, until: int, stream: random.Random) -> _Line:
    """Anonymous visitors of the site or of a shared dashboard."""
    begin = micros(arguments.begin)
    return _Line(
        kind=Kind.VISITOR,
        user=-1,
        license=-1,
        team=-1,
        plan=0,
        start=begin + int((until - begin) * 0.8 * stream.random()),
        end=until,
        weight=stream.lognormvariate(0, 0.5),
        offset=stream.choice((-8, -5, 1, 9)) * HOUR,
        address=stream.randrange(ADDRESSES),
        agent=stream.randrange(len(USER_AGENTS)),
    )


def business(day: dt.date, weekend: float = 1.0) -> float:
    """Return the load of a local day; `weekend` raises quiet days towards 1."""
    factor = WEEKDAYS[day.weekday()]
    if day.weekday() > 4:
        factor = factor ** (1 / weekend)
    return factor * (HOLIDAY_FACTOR if (day.month, day.day) in HOLIDAYS else 1.0)


def day_factors(arguments: Arguments, weekend: float = 1.0) -> tuple[int, Floats]:
    """Return the first day's start and the load of each day, including one more."""
    first = arguments.begin.date()
    days = (arguments.until.date() - first).days + 2
    factors = [business(first + dt.timedelta(days=n), weekend) for n in range(days)]
    return micros(arguments.begin), np.array(factors, dtype=np.float64)


def expected_days(start: Micros, end: Micros, begin: int, factors: Floats) -> Floats:
    """Return the number of full busy days between the moments, for each line."""
    cumulated = np.concatenate(([0.0], np.cumsum(factors)))
    positions = np.arange(len(cumulated), dtype=np.float64)

    def until(moments: Micros) -> Floats:
        return np.interp((moments - begin) / DAY, positions, cumulated)

    return until(end) - until(start)


def draw_sessions(presences: Presences, arguments: Arguments) -> Sessions:
    """Return all sessions, in a number that gives the expected number of events."""
    generator = arguments.generator("sessions")
    begin, factors = day_factors(arguments)
    busy = expected_days(presences.start, presences.end, begin, factors)
    rate = np.zeros(len(presences.kind), dtype=np.float64)
    for kind in Kind:
        of_kind = presences.kind == kind
        wanted = arguments.usage_events() * EVENT_SHARE[kind] / EVENTS_PER_SESSION[kind]
        total = float(np.sum((presences.weight * busy)[of_kind]))
        if total > 0:
            rate[of_kind] = presences.weight[of_kind] * (wanted / total)

    who: list[Codes] = []
    when: list[Micros] = []
    for day, factor in enumerate(factors):
        midnight = begin + day * DAY
        there = np.flatnonzero(
            (presences.start < midnight + 2 * DAY) & (presences.end > midnight - DAY)
        ).astype(np.int32)
        counts = generator.poisson(rate[there] * factor)
        present = np.repeat(there, counts)
        local = local_times(generator, len(present))
        background = presences.kind[present] == Kind.BACKGROUND
        local[background] = generator.integers(0, DAY, size=int(background.sum()))
        who.append(present)
        when.append(midnight + local - presences.offset[present])
    fresh_who, fresh_when = _fresh(presences, arguments)
    presence = np.concatenate([*who, fresh_who])
    start = np.concatenate([*when, fresh_when])
    valid = (start >= presences.start[presence]) & (start < presences.end[presence])
    presence, start = presence[valid], start[valid]
    order = np.argsort(start, kind="stable")
    presence, start = presence[order], start[order]
    login = generator.random(len(start)) < LOGIN_SHARE
    login &= presences.kind[presence] == Kind.PERSON
    return Sessions(presence=presence, start=start, login=login)


def local_times(generator: np.random.Generator, size: int) -> Micros:
    """Return times of a working day in microseconds after local midnight."""
    cumulated = np.cumsum(HOURS)
    hours = np.searchsorted(cumulated, generator.random(size) * cumulated[-1], "right")
    times: Micros = hours.astype(np.int64) * HOUR
    times += generator.integers(0, HOUR, size=size)
    return times


def _fresh(presences: Presences, arguments: Arguments) -> tuple[Codes, Micros]:
    """Return sessions of the last hour, of people who are active at the end."""
    until = micros(arguments.until)
    there = np.flatnonzero((presences.kind == Kind.PERSON) & (presences.end == until))
    who = np.resize(there, len(FRESH_MINUTES) if len(there) else 0).astype(np.int32)
    when = until - np.array(FRESH_MINUTES[: len(who)], dtype=np.int64) * 60 * SECOND
    return who, when


def note_logins(
    users: Sequence[User], presences: Presences, sessions: Sessions
) -> None:
    """Set the last login of each user, as the application does at each login."""
    user = presences.user[sessions.presence[sessions.login]]
    start = sessions.start[sessions.login]
    known = user >= 0
    last = np.full(len(users), -1, dtype=np.int64)
    np.maximum.at(last, user[known], start[known])
    for row, moment in zip(users, last.tolist(), strict=True):
        if moment >= 0:
            row.last_login_at = row.updated_at = moment_at(moment)
