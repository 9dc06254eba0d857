"""What the usage and adoption marts mean, in plain Python and one event at a time.

Written from the definitions, not from the models: windows are sets of users, a licence
is looked at in each month. Each function returns the mart's rows by their key.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tests.python.usage_company import Company, Event, License

EXACT = Context(prec=200)
"""Sums of numbers of any size lose no digit, as PostgreSQL's numeric."""

Rows = dict[tuple[Any, ...], tuple[Any, ...]]
Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)


def group(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """The items by their key; None is a key like any other."""
    groups: dict[Key, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)


def share(part: int, whole: int) -> Fraction | None:
    """A rate, or None where there is nothing to have a share of."""
    return Fraction(part, whole) if whole else None


def duration(event: Event) -> Decimal:
    """The seconds that an event tells, 0 when it tells no number of at least 0."""
    if event.event_data is None:
        return Decimal(0)
    data = json.loads(event.event_data, parse_float=Decimal, parse_int=Decimal)
    told = data.get("duration_seconds") if isinstance(data, dict) else None
    return told if isinstance(told, Decimal) and told >= 0 else Decimal(0)


def total_duration(events: Iterable[Event]) -> Decimal:
    """The seconds that events tell together."""
    total = Decimal(0)
    for event in events:
        total = EXACT.add(total, duration(event))
    return total


class Reference:
    """The marts of one company in one reporting time zone."""

    def __init__(self, company: Company, zone: str) -> None:
        self.company = company
        self.zone = ZoneInfo(zone)
        self.plans = {row.license_id: row.plan_type for row in company.licenses}

    def day(self, moment: dt.datetime) -> dt.date:
        """The calendar day of a moment."""
        return moment.astimezone(self.zone).date()

    def month(self, moment: dt.datetime) -> dt.date:
        """The calendar month of a moment, its first day."""
        return self.day(moment).replace(day=1)

    def plan(self, event: Event) -> str:
        """The current plan of an event's licence."""
        return "none" if event.license_id is None else self.plans[event.license_id]

    def fct_usage_daily(self) -> Rows:
        """Events, sessions and time by day, user, licence, team and event type."""
        groups = group(
            self.company.events,
            lambda event: (
                self.day(event.occurred_at),
                event.user_id,
                event.license_id,
                event.team_id,
                event.event_type,
            ),
        )
        return {
            key: (
                len(events),
                len({event.session_id for event in events} - {None}),
                total_duration(events),
            )
            for key, events in groups.items()
        }

    def fct_usage_monthly(self) -> Rows:
        """The same by month, with the distinct days."""
        groups = group(
            self.company.events,
            lambda event: (
                self.month(event.occurred_at),
                event.user_id,
                event.license_id,
                event.team_id,
                event.event_type,
            ),
        )
        return {
            key: (
                len(events),
                len({event.session_id for event in events} - {None}),
                len({self.day(event.occurred_at) for event in events}),
                total_duration(events),
            )
            for key, events in groups.items()
        }

    def fct_active_users_daily(self) -> Rows:
        """Users of the last 1, 7 and 30 days, by day and plan."""
        by_plan = group(self.company.events, self.plan)
        by_plan["all"] = self.company.events
        days = [self.day(event.occurred_at) for event in self.company.events]
        rows: Rows = {}
        for plan, events in by_plan.items():
            for day in days_between(min(days), max(days)):
                active = [
                    len(
                        {
                            event.user_id
                            for event in events
                            if 0 <= (day - self.day(event.occurred_at)).days < window
                        }
                        - {None}
                    )
                    for window in (1, 7, 30)
                ]
                rows[day, plan] = (*active, share(active[0], active[2]))
        return rows

    def fct_user_retention_monthly(self) -> Rows:
        """Users of each month of sign-up who had an event so many months later."""
        cohorts = group(self.company.users, lambda user: self.month(user.created_at))
        active = {
            (event.user_id, self.month(event.occurred_at))
            for event in self.company.events
        }
        last = max(month for _, month in active)
        rows: Rows = {}
        for cohort, users in cohorts.items():
            for number, month in enumerate(months_between(cohort, last)):
                retained = sum((user.user_id, month) in active for user in users)
                rows[cohort, number] = (
                    len(users),
                    retained,
                    share(retained, len(users)),
                )
        return rows

    def fct_user_growth_monthly(self) -> Rows:
        """New, returning, resurrected and churned users by month."""
        months = sorted(
            {self.month(event.occurred_at) for event in self.company.events}
        )
        rows: Rows = {}
        seen: set[str | None] = set()
        before: set[str | None] = set()
        for month in months_between(months[0], months[-1]):
            active = {
                event.user_id
                for event in self.company.events
                if self.month(event.occurred_at) == month
            } - {None}
            rows[(month,)] = (
                len(active),
                len(active - seen),
                len(active & before),
                len((active & seen) - before),
                len(before - active),
            )
            seen |= active
            before = active
        return rows

    def fct_feature_usage(self) -> Rows:
        """First and last use and number of uses by user, licence and feature."""
        groups = group(
            self._feature_events(),
            lambda event: (event.user_id, event.license_id, event.event_name),
        )
        return {
            key: (
                min(event.occurred_at for event in events),
                max(event.occurred_at for event in events),
                len(events),
            )
            for key, events in groups.items()
        }

    def fct_feature_adoption_monthly(self) -> Rows:
        """Adoption of each feature by the licences of each plan, month by month."""
        last = max(self.month(event.occurred_at) for event in self.company.events)
        plans = {*self.plans.values(), "all"}
        by_feature = group(self._feature_events(), lambda event: event.event_name)
        rows: Rows = {}
        for feature, events in by_feature.items():
            first = min(self.month(event.occurred_at) for event in events)
            for month in months_between(first, last):
                for plan in plans:
                    rows[month, feature, plan] = self._adoption(events, month, plan)
        return rows

    def _adoption(
        self, events: list[Event], month: dt.date, plan: str
    ) -> tuple[Any, ...]:
        eligible = {
            row.license_id
            for row in self.company.licenses
            if plan in ("all", row.plan_type) and self._is_live(row, month)
        }
        theirs = [event for event in events if event.license_id in eligible]
        during = [event for event in theirs if self.month(event.occurred_at) == month]
        earlier = {
            event.license_id
            for event in theirs
            if self.month(event.occurred_at) < month
        }
        active = {event.license_id for event in during}
        return (
            len(eligible),
            len(active),
            len(active - earlier),
            len(active | earlier),
            len({event.user_id for event in during} - {None}),
            len(during),
            share(len(active), len(eligible)),
        )

    def _is_live(self, row: License, month: dt.date) -> bool:
        ends = [row.cancelled_at, row.expires_at]
        return self.month(row.started_at) <= month and all(
            end is None or self.month(end) >= month for end in ends
        )

    def _feature_events(self) -> list[Event]:
        return [
            event for event in self.company.events if event.event_category == "feature"
        ]


def following(month: dt.date) -> dt.date:
    """The next month."""
    return (month + dt.timedelta(days=31)).replace(day=1)


def months_between(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Every month from the first to the last, both included."""
    while first <= last:
        yield first
        first = following(first)


def days_between(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """Every day from the first to the last, both included."""
    while first <= last:
        yield first
        first += dt.timedelta(days=1)
