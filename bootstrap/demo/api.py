"""The API calls: keys, traffic, latency with a long tail, and one incident."""

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
    integers,
    nullable,
    time_ordered_ids,
    timestamps,
)
from bootstrap.demo.catalogue import (
    ADDRESSES,
    API_CLIENTS,
    API_FAULTS,
    ENDPOINTS,
    USER_AGENTS,
)
from bootstrap.demo.customers import Customer
from bootstrap.demo.feed import (
    Backlog,
    Directory,
    Frame,
    Load,
    Window,
    loads,
)
from bootstrap.demo.odds import Odds
from bootstrap.demo.rhythm import (
    DAY,
    HOUR,
    SECOND,
    Codes,
    Floats,
    day_factors,
    expected_days,
    local_times,
)
from bootstrap.demo.rows import User

INCIDENT_DAYS_AGO = 17
INCIDENT_START = dt.timedelta(hours=13, minutes=7)
INCIDENT_LENGTH = dt.timedelta(hours=2, minutes=16)
INCIDENT_FAILURES = 0.4
"""Share of the calls that fail in the incident; clients retry each call."""

CLIENT_ERRORS = ((400, 0.010), (403, 0.004), (404, 0.012), (422, 0.008), (429, 0.010))
SERVER_ERRORS = ((500, 0.0025), (502, 0.0008), (503, 0.0007))
UNAUTHORIZED = 401
UNAUTHORIZED_SHARE = 0.008
"""Calls with a bad key, from unknown callers."""

TAIL_SHARE = 0.012
"""Share of calls that take about ten times as long as others: the long tail."""

UNTIMED_SHARE = 0.003
ON_THE_HOUR_SHARE = 0.3
"""Share of calls that jobs make just after each full hour."""

API_FRESH_MINUTES = (48, 31, 17, 9, 3)

_MESSAGES = {status: fault.message for status, fault in API_FAULTS.items()} | {
    UNAUTHORIZED: "The key is unknown or revoked"
}


def incident(arguments: Arguments) -> tuple[dt.datetime, dt.datetime]:
    """Return the time of the query engine's outage: a working day of the last weeks."""
    day = start_of_day(arguments.until) - dt.timedelta(days=INCIDENT_DAYS_AGO)
    while day.weekday() not in (1, 2, 3):
        day -= dt.timedelta(days=1)
    return day + INCIDENT_START, day + INCIDENT_START + INCIDENT_LENGTH


@dataclass(frozen=True, slots=True)
class ApiClients:
    """One line per API key and plan: the caller, the period and the rate."""

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


def api_clients(
    customers: Sequence[Customer], users: Sequence[User], arguments: Arguments
) -> ApiClients:
    """Return the API keys of licenses on the higher plans, two in five a service's.

    An owner's key identifies the owner, a service's key no user.
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
    """Makes the API calls, one window of days after the other."""

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
        """Return the calls of a window, and the rows that arrive in it."""
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
        """Return callers and times: jobs on the hour, and people's tools all day."""
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
        endpoint = _ENDPOINT_ODDS.draw(self._generator, len(occurred))
        day = (occurred - self._begin) // DAY
        endpoint[day < _LAUNCH_DAY[endpoint]] = 0
        return endpoint

    def _break_down(
        self,
        window: Window,
        client: Codes,
        endpoint: npt.NDArray[np.int16],
        occurred: Micros,
    ) -> tuple[Codes, npt.NDArray[np.int16], Micros, Mask]:
        """Apply the incident to its endpoints; clients retry failed calls."""
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


_ENDPOINT_ODDS = Odds([endpoint.weight for endpoint in ENDPOINTS])
_LAUNCH_DAY = np.array([endpoint.launch_day for endpoint in ENDPOINTS])
_MEDIAN_MS = np.array([endpoint.median_ms for endpoint in ENDPOINTS])
_SPREAD = np.array([endpoint.spread for endpoint in ENDPOINTS])
_SUCCESS = np.array([endpoint.success for endpoint in ENDPOINTS], dtype=np.int16)
_SUFFERS = np.array([endpoint.suffers for endpoint in ENDPOINTS], dtype=np.bool_)
