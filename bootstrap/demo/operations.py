"""How the product runs: API calls with one incident, errors and the audit trail."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bootstrap.demo.arguments import Arguments, micros, start_of_day
from bootstrap.demo.binary_copy import (
    Bytes,
    Dictionary,
    Field,
    Mask,
    Micros,
    fixed,
    hexadecimal,
    integers,
    nullable,
    time_ordered_ids,
    timestamps,
)
from bootstrap.demo.catalogue import (
    ADDRESSES,
    API_CLIENTS,
    API_FAULTS,
    CLIENT_FAULTS,
    DEEDS,
    ENDPOINTS,
    LOGGED_SHARE,
    USER_AGENTS,
    WORKER_FAULTS,
)
from bootstrap.demo.customers import Customer
from bootstrap.demo.feed import (
    Backlog,
    Directory,
    Frame,
    Load,
    Window,
    join,
    loads,
    take,
)
from bootstrap.demo.rhythm import (
    DAY,
    HOUR,
    SECOND,
    Codes,
    Floats,
    Kind,
    Presences,
    Sessions,
    day_factors,
    expected_days,
    local_times,
)
from bootstrap.demo.rows import User

INCIDENT_DAYS_AGO = 17
INCIDENT_START = dt.timedelta(hours=13, minutes=7)
INCIDENT_LENGTH = dt.timedelta(hours=2, minutes=16)
INCIDENT_FAILURES = 0.4
"""Part of the calls that the incident makes fail; clients try each call again."""

CLIENT_ERRORS = ((400, 0.010), (403, 0.004), (404, 0.012), (422, 0.008), (429, 0.010))
SERVER_ERRORS = ((500, 0.0025), (502, 0.0008), (503, 0.0007))
UNAUTHORIZED = 401
UNAUTHORIZED_SHARE = 0.008
"""Calls with a bad key, made by nobody that is known."""

TAIL_SHARE = 0.012
"""Part of calls that take about ten times as long as others: the long tail."""

UNTIMED_SHARE = 0.003
ON_THE_HOUR_SHARE = 0.3
"""Part of calls that jobs make just after each full hour."""

CLIENT_FAULTS_PER_SESSION = 0.3
WORKER_FAULTS_EXPECTED = 5_000
DEEDS_PER_SESSION = 0.95
API_FRESH_MINUTES = (48, 31, 17, 9, 3)

_MESSAGES = {status: fault.message for status, fault in API_FAULTS.items()} | {
    UNAUTHORIZED: "The key is unknown or revoked"
}


def incident(arguments: Arguments) -> tuple[dt.datetime, dt.datetime]:
    """Return when the query engine was down: on a working day of the last weeks."""
    day = start_of_day(arguments.until) - dt.timedelta(days=INCIDENT_DAYS_AGO)
    while day.weekday() not in (1, 2, 3):
        day -= dt.timedelta(days=1)
    return day + INCIDENT_START, day + INCIDENT_START + INCIDENT_LENGTH


@dataclass(frozen=True, slots=True)
class ApiClients:
    """One line per API key and plan: who calls, from when to when, and how much."""

    user: Codes
    license: Codes
    key: Bytes
    start: Micros
    end: Micros
    weight: Floats
    address: Codes
    agent: Codes


@dataclass(frozen=True, slots=True)
class ApiCalls(Frame):
    """One line per API call; `took` in milliseconds."""

    client: Codes
    endpoint: npt.NDArray[np.int16]
    status: npt.NDArray[np.int16]
    took: Codes
    untimed: Mask
    request: Codes
    response: Codes


@dataclass(frozen=True, slots=True)
class Errors(Frame):
    """One line per logged error; -1 where a code is unknown."""

    fault: npt.NDArray[np.int16]
    user: Codes
    license: Codes
    endpoint: npt.NDArray[np.int16]
    address: Codes
    agent: Codes


@dataclass(frozen=True, slots=True)
class Audits(Frame):
    """One line per action in the audit trail."""

    deed: npt.NDArray[np.int16]
    presence: Codes
    resource: Bytes


def api_clients(
    customers: Sequence[Customer], users: Sequence[User], arguments: Arguments
) -> ApiClients:
    """Return the API keys of licences on the higher plans, two in five a service's.

    An owner's key stands for the owner, a service's for nobody.
    """
    stream = arguments.stream("api clients")
    user_codes = {user.id: code for code, user in enumerate(users)}
    until = micros(arguments.until)
    lines: list[tuple[int, int, bytes, int, int, float, int, int]] = []
    for code, customer in enumerate(customers):
        if stream.random() > 0.8:
            continue
        key = stream.randbytes(16)
        user = -1 if stream.random() < 0.4 else user_codes[customer.owner_id]
        weight = stream.lognormvariate(0, 1.2)
        delay = int(stream.expovariate(1 / (5 * DAY)))
        address = stream.randrange(ADDRESSES)
        agent = len(USER_AGENTS) + stream.randrange(len(API_CLIENTS))
        for tenure in customer.tenures:
            if tenure.plan not in ("pro", "enterprise"):
                continue
            start = micros(tenure.start) + delay
            end = until if tenure.end is None else micros(tenure.end)
            if start < end:
                heavy = weight * (2.0 if tenure.plan == "enterprise" else 1.0)
                lines.append((user, code, key, start, end, heavy, address, agent))
    return ApiClients(
        user=np.array([line[0] for line in lines], dtype=np.int32),
        license=np.array([line[1] for line in lines], dtype=np.int32),
        key=np.frombuffer(b"".join(line[2] for line in lines), np.uint8).reshape(
            -1, 16
        ),
        start=np.array([line[3] for line in lines], dtype=np.int64),
        end=np.array([line[4] for line in lines], dtype=np.int64),
        weight=np.array([line[5] for line in lines], dtype=np.float64),
        address=np.array([line[6] for line in lines], dtype=np.int32),
        agent=np.array([line[7] for line in lines], dtype=np.int32),
    )


class ApiFeed:
    """Makes the API calls of one window of days after the other."""

    table = "api_usage"
    columns: tuple[str, ...] = (
        "id",
        "user_id",
        "license_id",
        "api_key_id",
        "endpoint",
        "method",
        "status_code",
        "response_time_ms",
        "request_size_bytes",
        "response_size_bytes",
        "ip_address",
        "user_agent",
        "error_message",
        "occurred_at",
        "created_at",
    )

    def __init__(
        self,
        clients: ApiClients,
        directory: Directory,
        widths: Mapping[str, int],
        arguments: Arguments,
    ) -> None:
        self.clients = clients
        self._directory = directory
        self._widths = widths
        self._generator = arguments.generator("api")
        self._until = micros(arguments.until)
        self._backlog: Backlog[ApiCalls] = Backlog()
        self._begin, self._factors = day_factors(arguments, weekend=3.0)
        busy = expected_days(clients.start, clients.end, self._begin, self._factors)
        total = float(np.sum(busy * clients.weight))
        self._rate = clients.weight * (arguments.api_calls() / max(total, 1e-9))
        start, end = incident(arguments)
        self._incident = (micros(start), micros(end))
        self._paths = Dictionary.of_text([each.path for each in ENDPOINTS])
        self._methods = Dictionary.of_text([each.method for each in ENDPOINTS])
        self._messages = Dictionary.of_text(list(_MESSAGES.values()))
        self._message_codes = np.full(600, -1, dtype=np.int16)
        self._message_codes[list(_MESSAGES)] = np.arange(len(_MESSAGES))

    def window(self, window: Window) -> tuple[ApiCalls, Iterator[Load]]:
        """Return the calls of a window, and what arrives in it."""
        calls = self._happen(window)
        arrived = self._backlog.arrive(calls, window.end)
        return calls, loads(self, arrived, window.last)

    def _happen(self, window: Window) -> ApiCalls:
        generator = self._generator
        client, occurred = self._traffic(window)
        endpoint = self._endpoints(occurred)
        client, endpoint, occurred, broken = self._break_down(
            window, client, endpoint, occurred
        )
        size = len(client)
        status = self._statuses(endpoint, broken)
        failed = status >= 500
        median = _MEDIAN_MS[endpoint] * np.exp(
            _SPREAD[endpoint] * generator.standard_normal(size)
        )
        tail = generator.random(size) < TAIL_SHARE
        median *= np.where(tail, 4.0 + generator.pareto(1.6, size) * 6.0, 1.0)
        median *= np.where(broken, generator.uniform(6.0, 30.0, size), 1.0)
        median *= np.where(failed & ~broken, 3.0, 1.0)
        refused = (status == UNAUTHORIZED) | (status == 429)
        took = np.where(refused, generator.uniform(1.0, 6.0, size), median)
        answered = status < 300
        response = generator.lognormal(7.2, 1.2, size)
        return ApiCalls(
            client=client,
            endpoint=endpoint,
            status=status,
            took=np.clip(took, 1.0, 60_000.0).astype(np.int32),
            untimed=generator.random(size) < UNTIMED_SHARE,
            request=generator.lognormal(5.4, 0.9, size).astype(np.int32),
            response=np.where(answered, response, 180.0).astype(np.int32),
            occurred=occurred,
            created=occurred + generator.integers(1_000, SECOND, size),
        )

    def _traffic(self, window: Window) -> tuple[Codes, Micros]:
        """Return who calls when: jobs on the hour, and people's tools all day."""
        generator = self._generator
        clients = self.clients
        who: list[Codes] = []
        when: list[Micros] = []
        for day in range(window.first, window.last):
            midnight = self._begin + day * DAY
            there = np.flatnonzero(
                (clients.start < midnight + DAY) & (clients.end > midnight)
            ).astype(np.int32)
            counts = generator.poisson(self._rate[there] * self._factors[day])
            callers = np.repeat(there, counts)
            size = len(callers)
            time = np.where(
                generator.random(size) < 0.5,
                generator.integers(0, DAY, size=size),
                local_times(generator, size),
            )
            on_the_hour = time // HOUR * HOUR + generator.exponential(
                8.0 * SECOND, size
            ).astype(np.int64)
            job = generator.random(size) < ON_THE_HOUR_SHARE
            who.append(callers)
            when.append(midnight + np.where(job, on_the_hour, time))
        if window.end > self._until:
            there = np.flatnonzero(clients.end == self._until).astype(np.int32)
            fresh = np.array(API_FRESH_MINUTES, dtype=np.int64) * 60 * SECOND
            who.append(np.resize(there, len(fresh) if len(there) else 0))
            when.append(self._until - fresh[: len(who[-1])])
        client, occurred = np.concatenate(who), np.concatenate(when)
        valid = (occurred >= clients.start[client]) & (occurred < clients.end[client])
        return client[valid], occurred[valid]

    def _endpoints(self, occurred: Micros) -> npt.NDArray[np.int16]:
        luck = self._generator.random(len(occurred))
        endpoint = np.searchsorted(_ENDPOINT_BOUNDS, luck, side="right")
        day = (occurred - self._begin) // DAY
        endpoint[day < _LAUNCH_DAY[endpoint]] = 0
        return endpoint.astype(np.int16)

    def _break_down(
        self,
        window: Window,
        client: Codes,
        endpoint: npt.NDArray[np.int16],
        occurred: Micros,
    ) -> tuple[Codes, npt.NDArray[np.int16], Micros, Mask]:
        """Let the incident hit its endpoints; impatient clients call again."""
        start, end = self._incident
        if not window.start <= start < window.end:
            return client, endpoint, occurred, np.zeros(len(client), dtype=np.bool_)
        generator = self._generator
        there = np.flatnonzero(
            (self.clients.start < start) & (self.clients.end > end)
        ).astype(np.int32)
        size = max(90, int(np.sum((occurred >= start) & (occurred < end))))
        size = size if len(there) else 0
        client = np.concatenate((client, generator.choice(there, size)))
        suffering = np.flatnonzero(_SUFFERS).astype(np.int16)
        endpoint = np.concatenate((endpoint, generator.choice(suffering, size)))
        occurred = np.concatenate((occurred, generator.integers(start, end, size)))
        broken = (occurred >= start) & (occurred < end) & _SUFFERS[endpoint]
        return client, endpoint, occurred, broken

    def _statuses(
        self, endpoint: npt.NDArray[np.int16], broken: Mask
    ) -> npt.NDArray[np.int16]:
        generator = self._generator
        status = _SUCCESS[endpoint].copy()
        luck = generator.random(len(status))
        bound = 0.0
        shares = (*CLIENT_ERRORS, *SERVER_ERRORS, (UNAUTHORIZED, UNAUTHORIZED_SHARE))
        for code, share in shares:
            status[(luck >= bound) & (luck < bound + share)] = code
            bound += share
        fails = broken & (generator.random(len(status)) < INCIDENT_FAILURES)
        status[fails] = generator.choice(
            np.array((503, 504, 504, 500), dtype=np.int16), int(fails.sum())
        )
        return status

    def fields(self, frame: ApiCalls) -> list[Field]:
        """Return the columns of some calls."""
        clients, client = self.clients, frame.client
        unknown = frame.status == UNAUTHORIZED
        width = self._widths
        return [
            fixed(time_ordered_ids(self._generator, frame.created)),
            self._directory.users.field(np.where(unknown, -1, clients.user[client])),
            self._directory.licenses.field(
                np.where(unknown, -1, clients.license[client])
            ),
            nullable(clients.key[client], unknown),
            self._paths.field(frame.endpoint),
            self._methods.field(frame.endpoint),
            integers(frame.status, width["status_code"]),
            integers(frame.took, width["response_time_ms"], frame.untimed),
            integers(frame.request, width["request_size_bytes"]),
            integers(frame.response, width["response_size_bytes"]),
            self._directory.addresses.field(clients.address[client]),
            self._directory.agents.field(clients.agent[client]),
            self._messages.field(self._message_codes[frame.status]),
            timestamps(frame.occurred),
            timestamps(frame.created),
        ]


class ErrorFeed:
    """Makes the errors: of API calls, of people's browsers and of background jobs."""

    table = "error_logs"
    columns: tuple[str, ...] = (
        "id",
        "user_id",
        "license_id",
        "error_type",
        "error_message",
        "error_stack",
        "severity",
        "source",
        "endpoint",
        "method",
        "ip_address",
        "user_agent",
        "occurred_at",
        "created_at",
    )

    def __init__(
        self,
        clients: ApiClients,
        presences: Presences,
        sessions: Sessions,
        directory: Directory,
        arguments: Arguments,
    ) -> None:
        self._clients = clients
        self._presences = presences
        self._sessions = sessions
        self._directory = directory
        self._generator = arguments.generator("errors")
        self._until = micros(arguments.until)
        self._backlog: Backlog[Errors] = Backlog()
        self._begin, factors = day_factors(arguments, weekend=3.0)
        # The more customers, the more jobs: the rate grows from a tenth to the full.
        growing = factors * np.linspace(0.1, 1.0, len(factors))
        expected = WORKER_FAULTS_EXPECTED * arguments.scale
        self._worker_rate = growing * (expected / float(growing.sum()))
        self._types = Dictionary.of_text([each.error_type for each in _FAULTS])
        self._texts = Dictionary.of_text([each.message for each in _FAULTS])
        self._stacks = Dictionary.of_text([each.stack or "" for each in _FAULTS])
        self._severities = Dictionary.of_text([each.severity for each in _FAULTS])
        self._sources = Dictionary.of_text([each.source for each in _FAULTS])
        self._paths = Dictionary.of_text([each.path for each in ENDPOINTS])
        self._methods = Dictionary.of_text([each.method for each in ENDPOINTS])

    def window(self, window: Window, calls: ApiCalls) -> Iterator[Load]:
        """Yield the errors that arrive in a window, of its API calls and others."""
        errors = join(
            [self._of_calls(calls), self._of_sessions(window), self._of_jobs(window)]
        )
        errors = take(errors, errors.occurred <= self._until)
        yield from loads(self, self._backlog.arrive(errors, window.end), window.last)

    def _of_calls(self, calls: ApiCalls) -> Errors:
        """Log all calls that the server failed and some that the client got wrong."""
        logged = self._generator.random(len(calls.status)) < _LOGGED[calls.status]
        calls = take(calls, logged)
        return Errors(
            fault=_API_FAULT[calls.status],
            user=self._clients.user[calls.client],
            license=self._clients.license[calls.client],
            endpoint=calls.endpoint,
            address=self._clients.address[calls.client],
            agent=self._clients.agent[calls.client],
            occurred=calls.occurred,
            created=calls.created,
        )

    def _of_sessions(self, window: Window) -> Errors:
        generator = self._generator
        presence = self._sessions.presence[window.sessions]
        people = self._presences.kind[presence] == Kind.PERSON
        count = generator.poisson(np.where(people, CLIENT_FAULTS_PER_SESSION, 0.0))
        which = np.repeat(np.arange(len(presence)), count)
        presence = presence[which]
        size = len(which)
        occurred = self._sessions.start[window.sessions][which]
        occurred += generator.integers(0, HOUR // 3, size)
        return Errors(
            fault=_FIRST_CLIENT_FAULT + _pick(generator, _CLIENT_BOUNDS, size),
            user=self._presences.user[presence],
            license=self._presences.license[presence],
            endpoint=np.full(size, -1, dtype=np.int16),
            address=self._presences.address[presence],
            agent=self._presences.agent[presence],
            occurred=occurred,
            created=occurred + generator.integers(1_000, 20 * SECOND, size),
        )

    def _of_jobs(self, window: Window) -> Errors:
        generator = self._generator
        days = np.arange(window.first, window.last)
        day = np.repeat(days, generator.poisson(self._worker_rate[days]))
        occurred = self._begin + day * DAY + generator.integers(0, DAY, len(day))
        if window.end > self._until:
            # Jobs never rest: one went wrong just now.
            occurred = np.append(occurred, self._until - 9 * 60 * SECOND)
        size = len(occurred)
        nobody = np.full(size, -1, dtype=np.int32)
        return Errors(
            fault=_FIRST_WORKER_FAULT + _pick(generator, _WORKER_BOUNDS, size),
            user=nobody,
            license=nobody,
            endpoint=nobody.astype(np.int16),
            address=nobody,
            agent=nobody,
            occurred=occurred,
            created=occurred + generator.integers(1_000, SECOND, size),
        )

    def fields(self, frame: Errors) -> list[Field]:
        """Return the columns of some errors."""
        stack = np.where(_HAS_STACK[frame.fault], frame.fault, -1)
        return [
            fixed(time_ordered_ids(self._generator, frame.created)),
            self._directory.users.field(frame.user),
            self._directory.licenses.field(frame.license),
            self._types.field(frame.fault),
            self._texts.field(frame.fault),
            self._stacks.field(stack),
            self._severities.field(frame.fault),
            self._sources.field(frame.fault),
            self._paths.field(frame.endpoint),
            self._methods.field(frame.endpoint),
            self._directory.addresses.field(frame.address),
            self._directory.agents.field(frame.agent),
            timestamps(frame.occurred),
            timestamps(frame.created),
        ]


class AuditFeed:
    """Makes the audit trail of what people do in their sessions."""

    table = "audit_logs"
    columns: tuple[str, ...] = (
        "id",
        "user_id",
        "team_id",
        "action",
        "resource_type",
        "resource_id",
        "changes",
        "ip_address",
        "user_agent",
        "status",
        "failure_reason",
        "occurred_at",
        "created_at",
    )

    def __init__(
        self,
        presences: Presences,
        sessions: Sessions,
        directory: Directory,
        arguments: Arguments,
    ) -> None:
        self._presences = presences
        self._sessions = sessions
        self._directory = directory
        self._generator = arguments.generator("audits")
        self._until = micros(arguments.until)
        self._backlog: Backlog[Audits] = Backlog()
        self._actions = Dictionary.of_text([deed.action for deed in DEEDS])
        self._resources = Dictionary.of_text([deed.resource_type for deed in DEEDS])
        self._changes = Dictionary.of_json([deed.changes for deed in DEEDS])
        self._statuses = Dictionary.of_text([deed.status for deed in DEEDS])
        self._reasons = Dictionary.of_text([d.failure_reason or "" for d in DEEDS])

    def window(self, window: Window) -> Iterator[Load]:
        """Yield what arrives in a window."""
        generator = self._generator
        presence = self._sessions.presence[window.sessions]
        start = self._sessions.start[window.sessions]
        people = self._presences.kind[presence] == Kind.PERSON
        count = generator.poisson(np.where(people, DEEDS_PER_SESSION, 0.0))
        fresh = people & (start > self._until - HOUR)
        count[fresh] = np.maximum(count[fresh], 1)
        which = np.repeat(np.arange(len(presence)), count)
        size = len(which)
        occurred = start[which] + generator.integers(0, HOUR // 4, size)
        # What a session of the last minutes would do later happens at its start.
        occurred = np.where(occurred > self._until, start[which], occurred)
        audits = Audits(
            deed=_pick(generator, _DEED_BOUNDS, size),
            presence=presence[which],
            resource=hexadecimal(generator.integers(0, 256, (size, 6), dtype=np.uint8)),
            occurred=occurred,
            created=occurred + generator.integers(1_000, SECOND, size),
        )
        yield from loads(self, self._backlog.arrive(audits, window.end), window.last)

    def fields(self, frame: Audits) -> list[Field]:
        """Return the columns of some entries."""
        presences = self._presences
        reason = np.where(_HAS_REASON[frame.deed], frame.deed, -1)
        return [
            fixed(time_ordered_ids(self._generator, frame.created)),
            self._directory.users.field(presences.user[frame.presence]),
            self._directory.teams.field(presences.team[frame.presence]),
            self._actions.field(frame.deed),
            self._resources.field(frame.deed),
            fixed(frame.resource),
            self._changes.field(frame.deed),
            self._directory.addresses.field(presences.address[frame.presence]),
            self._directory.agents.field(presences.agent[frame.presence]),
            self._statuses.field(frame.deed),
            self._reasons.field(reason),
            timestamps(frame.occurred),
            timestamps(frame.created),
        ]


def _bounds(weights: Sequence[float]) -> Floats:
    cumulated = np.cumsum(np.array(weights, dtype=np.float64))
    return np.asarray(cumulated / cumulated[-1], dtype=np.float64)


def _pick(
    generator: np.random.Generator, bounds: Floats, size: int
) -> npt.NDArray[np.int16]:
    codes = np.searchsorted(bounds, generator.random(size), side="right")
    return codes.astype(np.int16)


_ENDPOINT_BOUNDS = _bounds([endpoint.weight for endpoint in ENDPOINTS])
_LAUNCH_DAY = np.array([endpoint.launch_day for endpoint in ENDPOINTS])
_MEDIAN_MS = np.array([endpoint.median_ms for endpoint in ENDPOINTS])
_SPREAD = np.array([endpoint.spread for endpoint in ENDPOINTS])
_SUCCESS = np.array([endpoint.success for endpoint in ENDPOINTS], dtype=np.int16)
_SUFFERS = np.array([endpoint.suffers for endpoint in ENDPOINTS], dtype=np.bool_)

_FAULTS = (*API_FAULTS.values(), *CLIENT_FAULTS, *WORKER_FAULTS)
_FIRST_CLIENT_FAULT = np.int16(len(API_FAULTS))
_FIRST_WORKER_FAULT = np.int16(len(API_FAULTS) + len(CLIENT_FAULTS))
_HAS_STACK = np.array([fault.stack is not None for fault in _FAULTS])
_CLIENT_BOUNDS = _bounds([fault.weight for fault in CLIENT_FAULTS])
_WORKER_BOUNDS = _bounds([fault.weight for fault in WORKER_FAULTS])
_API_FAULT = np.full(600, -1, dtype=np.int16)
_API_FAULT[list(API_FAULTS)] = np.arange(len(API_FAULTS))
_LOGGED = np.zeros(600)
_LOGGED[list(LOGGED_SHARE)] = list(LOGGED_SHARE.values())
_LOGGED[500:] = 1.0

_DEED_BOUNDS = _bounds([deed.weight for deed in DEEDS])
_HAS_REASON = np.array([deed.failure_reason is not None for deed in DEEDS])
