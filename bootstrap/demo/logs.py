"""Error logs and the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bootstrap.demo.api import ApiCalls, ApiClients
from bootstrap.demo.arguments import Arguments, micros
from bootstrap.demo.binary_copy import (
    Bytes,
    Dictionary,
    Field,
    fixed,
    hexadecimal,
    time_ordered_ids,
    timestamps,
)
from bootstrap.demo.catalogue import (
    API_FAULTS,
    CLIENT_FAULTS,
    DEEDS,
    ENDPOINTS,
    LOGGED_SHARE,
    WORKER_FAULTS,
)
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
from bootstrap.demo.odds import Odds
from bootstrap.demo.rhythm import (
    DAY,
    HOUR,
    SECOND,
    Codes,
    Kind,
    Presences,
    Sessions,
    day_factors,
)

CLIENT_FAULTS_PER_SESSION = 0.3
WORKER_FAULTS_EXPECTED = 5_000
DEEDS_PER_SESSION = 0.95


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
        # The rate of jobs grows with the customers, from a tenth to the full rate.
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
        """Log all calls with a server error, and some with a client error."""
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
            fault=_FIRST_CLIENT_FAULT + _CLIENT_ODDS.draw(generator, size),
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
            # One job failed just before the end.
            occurred = np.append(occurred, self._until - 9 * 60 * SECOND)
        size = len(occurred)
        nobody = np.full(size, -1, dtype=np.int32)
        return Errors(
            fault=_FIRST_WORKER_FAULT + _WORKER_ODDS.draw(generator, size),
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
    """Makes the audit trail of people's actions in their sessions."""

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
        """Yield the entries that arrive in a window."""
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
        # In a session of the last minutes, later actions move to its start.
        occurred = np.where(occurred > self._until, start[which], occurred)
        audits = Audits(
            deed=_DEED_ODDS.draw(generator, size),
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


_FAULTS = (*API_FAULTS.values(), *CLIENT_FAULTS, *WORKER_FAULTS)
_FIRST_CLIENT_FAULT = np.int16(len(API_FAULTS))
_FIRST_WORKER_FAULT = np.int16(len(API_FAULTS) + len(CLIENT_FAULTS))
_HAS_STACK = np.array([fault.stack is not None for fault in _FAULTS])
_CLIENT_ODDS = Odds([fault.weight for fault in CLIENT_FAULTS])
_WORKER_ODDS = Odds([fault.weight for fault in WORKER_FAULTS])
_API_FAULT = np.full(600, -1, dtype=np.int16)
_API_FAULT[list(API_FAULTS)] = np.arange(len(API_FAULTS))
_LOGGED = np.zeros(600)
_LOGGED[list(LOGGED_SHARE)] = list(LOGGED_SHARE.values())
_LOGGED[500:] = 1.0

_DEED_ODDS = Odds([deed.weight for deed in DEEDS])
_HAS_REASON = np.array([deed.failure_reason is not None for deed in DEEDS])
