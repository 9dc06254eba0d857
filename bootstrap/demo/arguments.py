"""The arguments of a demo company: scale, seed and end."""

from __future__ import annotations

import datetime as dt
import math
import random
import zlib
from dataclasses import dataclass

import numpy as np

from saas_analytics.errors import UserError

HISTORY_DAYS = 548
"""Days from the first sign-up to the end: eighteen months."""

EARLIEST_UNTIL = dt.date(2000, 1, 1)
LARGEST_SCALE = 1000.0

MICROSECOND = dt.timedelta(microseconds=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


@dataclass(frozen=True, slots=True)
class Arguments:
    """Equal arguments give equal rows. Moments are aware and in UTC."""

    scale: float
    seed: int
    begin: dt.datetime
    until: dt.datetime

    def stream(self, name: str) -> random.Random:
        """Return the random numbers of one part of the company.

        Each part has its own stream, so that a change of one part keeps the others.
        """
        return random.Random(f"{self.seed}/{name}")

    def generator(self, name: str) -> np.random.Generator:
        """Return the random arrays of one part of the company."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def customers(self) -> int:
        """Return how many licenses are ever sold or given."""
        return round(440 * self.scale)

    def usage_events(self) -> float:
        """Return how many usage events to expect."""
        return 275_000 * self.scale

    def api_calls(self) -> float:
        """Return how many API calls to expect."""
        return 120_000 * self.scale


def check_arguments(
    scale: float, seed: int, until: dt.date | None, now: dt.datetime
) -> Arguments:
    """Return the arguments, or raise a UserError that names the bad one.

    Without `until` the data ends at the last full quarter of an hour before `now`. With
    it, the data ends at the last microsecond of that day in UTC.
    """
    if not math.isfinite(scale) or not 0 < scale <= LARGEST_SCALE:
        raise UserError(
            f"--scale must be above 0 and at most {LARGEST_SCALE:g}, not {scale:g}"
        )
    if seed < 0:
        raise UserError(f"--seed must be 0 or more, not {seed}")
    now = now.astimezone(dt.timezone.utc)
    if until is None:
        moment = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    else:
        moment = end_of_day(until)
        if until < EARLIEST_UNTIL:
            raise UserError(f"--until must be {EARLIEST_UNTIL} or later, not {until}")
        if moment > now:
            raise UserError(
                f"--until must be a complete day in UTC, not {until}; "
                "without it the demo ends now"
            )
    begin = start_of_day(moment) - dt.timedelta(days=HISTORY_DAYS)
    return Arguments(scale=float(scale), seed=seed, begin=begin, until=moment)


def start_of_day(moment: dt.datetime) -> dt.datetime:
    """Return the first instant of the moment's day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def end_of_day(day: dt.date) -> dt.datetime:
    """Return the last microsecond of a day in UTC."""
    midnight = dt.datetime(day.year, day.month, day.day, tzinfo=dt.timezone.utc)
    return midnight + (dt.timedelta(days=1) - MICROSECOND)


def micros(moment: dt.datetime) -> int:
    """Return microseconds since 1970, exactly."""
    return (moment - EPOCH) // MICROSECOND


def moment_at(microseconds: int) -> dt.datetime:
    """Return the moment so many microseconds after 1970."""
    return EPOCH + dt.timedelta(microseconds=microseconds)
