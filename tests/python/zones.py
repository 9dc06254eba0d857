"""Companies that live around a change of a zone's clocks, and what their marts are.

Shared by test_zones.py and benchmarks/workload. The zones are those that the server and
Python both know; an instant that their versions of the IANA database show differently
is not used.
"""

from __future__ import annotations

import datetime as dt
import random
import re
import zoneinfo
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache

from saas_analytics.refresh import engine
from tests.python import mrr_reference
from tests.python.company import TABLES, Company, Row
from tests.python.references import REFERENCES, mismatch, reference
from tests.python.support import Database
from tests.python.workload import SCHEMA

UTC = dt.timezone.utc
PLACE = re.compile(
    "(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)/"
)
# Midnight that comes twice or never, a day that never came, one that is no one span,
# and clocks that change by less than an hour or are far from UTC.
HARD_ZONES = (
    *("America/Havana", "America/Asuncion", "Asia/Beirut", "Africa/Cairo"),
    *("America/Goose_Bay", "America/St_Johns", "America/Scoresbysund", "Asia/Amman"),
    *("Pacific/Apia", "Pacific/Kwajalein", "Pacific/Kiritimati", "Asia/Kathmandu"),
    *("Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca", "Asia/Gaza"),
    *("America/Caracas", "America/Sao_Paulo", "Asia/Pyongyang", "Europe/Lisbon"),
)
FIRST_YEAR, LAST_YEAR = 1970, 2037

MICROSECOND = dt.timedelta(microseconds=1)
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)

# Columns that decide about a day or month, and rows that go by themselves.
TIMES = {
    "usage_events": ("occurred_at",),
    "api_usage": ("occurred_at",),
    "error_logs": ("occurred_at",),
    "audit_logs": ("occurred_at",),
    "affiliate_clicks": ("clicked_at",),
    "affiliate_referrals": ("created_at", "qualified_at", "converted_at"),
    "affiliate_commissions": ("created_at",),
    "payment_transactions": ("created_at", "processed_at"),
    "subscriptions": ("created_at", "trial_end", "canceled_at", "current_period_end"),
    "users": ("created_at",),
    "licenses": ("started_at", "cancelled_at", "expires_at"),
}
LOGGED: dict[str, Row] = {
    "api_usage": {"endpoint": "/", "method": "GET", "status_code": 200},
    "error_logs": {"error_type": "timeout", "severity": "error"},
    "audit_logs": {
        "action": "login",
        "resource_type": "session",
        "status": "success",
    },
}
LATE = ("usage_events", "api_usage", "error_logs", "audit_logs")
STAYING = ("users", "licenses", "affiliate_referrals")


@dataclass(frozen=True)
class Change:
    """A moment at which a zone's clocks change, to the minute."""

    zone: zoneinfo.ZoneInfo
    moment: dt.datetime

    @property
    def offsets(self) -> tuple[dt.timedelta, dt.timedelta]:
        """The offset from UTC just before it, and from then on."""
        found = []
        for moment in (self.moment - MINUTE, self.moment):
            offset = moment.astimezone(self.zone).utcoffset()
            assert offset is not None
            found.append(offset)
        return found[0], found[1]

    @property
    def goes_back_over_midnight(self) -> bool:
        """Whether a midnight is among the times that come twice."""
        before, after = (self.moment + offset for offset in self.offsets)
        midnight = dt.datetime.combine(after.date(), dt.time(), UTC)
        return (midnight if midnight == after else midnight + DAY) < before

    def instants(self) -> list[dt.datetime]:
        """The times that come twice or never, midnights around, and some far away."""
        before, after = self.offsets
        stretch = abs(after - before) / 4
        midnight = dt.datetime.combine((self.moment + before).date(), dt.time(), UTC)
        days = [midnight + number * DAY for number in range(-3, 4)]
        edges = [self.moment + number * stretch for number in range(-5, 6)]
        for day in days:
            if abs(day - midnight) <= DAY or day.day == 1:
                edges += [day - before, day - after]
        near = [
            edge + nudge
            for edge in edges
            for nudge in (dt.timedelta(0), -MICROSECOND, MINUTE)
        ]
        far = [self.moment + number * DAY for number in (-62, -40, -8, 8, 31, 70)]
        return near + far


@cache
def changes(name: str) -> tuple[Change, ...]:
    """All changes of a zone's clocks; found by its offset a day and a day later."""
    zone = zoneinfo.ZoneInfo(name)
    found = []
    day = dt.datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
    while day.year <= LAST_YEAR:
        first, last = day, day + DAY
        if first.astimezone(zone).utcoffset() != last.astimezone(zone).utcoffset():
            while last - first > MINUTE:
                middle = first + (last - first) // MINUTE // 2 * MINUTE
                if (
                    middle.astimezone(zone).utcoffset()
                    == first.astimezone(zone).utcoffset()
                ):
                    first = middle
                else:
                    last = middle
            found.append(Change(zone, last))
        day += DAY
    return tuple(found)


def all_zones(database: Database) -> list[str]:
    """Names of the zones that the project takes and that have changes."""
    known = {name for (name,) in database.execute("select name from pg_timezone_names")}
    return sorted(filter(PLACE.match, known & zoneinfo.available_timezones()))


def draw_change(
    database: Database, name: str, generator: random.Random
) -> tuple[Change, list[dt.datetime]] | None:
    """A change of a zone, mostly one back over midnight, and its instants, if any.

    Server and Python show the same time at each of them.
    """
    of_zone = changes(name)
    back = [change for change in of_zone if change.goes_back_over_midnight]
    for _ in range(20):
        pool = back if back and generator.random() < 0.7 else of_zone
        if not pool:
            return None
        change = generator.choice(pool)
        instants = change.instants()
        shown = [
            moment.astimezone(change.zone).replace(tzinfo=None) for moment in instants
        ]
        found = database.execute(
            "select array_agg(moment at time zone %s order by position) "
            "from unnest(%s::timestamptz[]) with ordinality as each (moment, position)",
            (name, instants),
        )
        if found == [(shown,)]:
            return change, instants
    return None


# --- The company ----------------------------------------------------------------------


class Live(Company):
    """A company that lives around a change of the clocks of its reporting zone."""

    def __init__(
        self,
        database: Database,
        zone: zoneinfo.ZoneInfo,
        instants: Sequence[dt.datetime],
        generator: random.Random,
    ) -> None:
        super().__init__(generator)
        self.database = database
        self.zone = zone
        self.instants = instants

    def begin(self) -> None:
        """Empty the company, report in the zone, and store the first rows."""
        self.database.execute(f"truncate {', '.join(TABLES)} cascade")
        report_in(self.database, self.zone.key)
        for _ in range(4):
            self.add("users", created_at=self._moment())
        for _ in range(6):
            self.add(
                "licenses",
                user_id=self.of("users"),
                plan_type=self.some("starter", "pro"),
                started_at=self._moment(),
                cancelled_at=self._sometimes(),
                expires_at=self._sometimes(),
            )
        for _ in range(40):
            self.event()
        self._draw_others()
        self.insert(self.database)

    def event(self) -> Row:
        """An event of usage, drawn at one of the instants."""
        return self.add(
            "usage_events",
            user_id=self.maybe(self.of("users"), 0.8),
            license_id=self.maybe(self.of("licenses"), 0.8),
            event_type=self.some("view", "click"),
            event_category=self.some("feature", "feature", "api"),
            event_name=self.some("search", "export"),
            session_id=self.some(None, "s1", "s2"),
            occurred_at=self._moment(),
        )

    def live_on(self, writes: int) -> None:
        """Insert, move and delete a few rows, in transactions of their own."""
        for _ in range(writes):
            table = self.some(*TIMES, *["usage_events"] * 5)
            kind = self.random.random()
            some = (
                f"id in (select id from {table} order by md5(id::text || %s) limit %s)"
            )
            chosen = (str(self.random.random()), self.some(1, 1, 2, 4))
            if kind < 0.2 and table not in STAYING:
                self.database.execute(f"delete from {table} where {some}", chosen)
            elif kind < 0.5 and table == "usage_events":
                more = Company(self.random)
                more.rows[table].append(self.event())
                more.insert(self.database)
            else:
                column = self.some(*TIMES[table])
                statement = f"update {table} set {column} = %s where {some}"
                self.database.execute(statement, (self._moment(), *chosen))
            if table in LATE:
                # No event is later than its arrival: its time would not be plausible.
                self.database.execute(
                    f"update {table} set created_at = occurred_at "
                    "where created_at < occurred_at"
                )

    def _moment(self) -> dt.datetime:
        return self.random.choice(self.instants)

    def _sometimes(self) -> dt.datetime | None:
        return self.random.choice((None, self._moment()))

    def _draw_others(self) -> None:
        """Rows of the other domains: few, each with a time near the change."""
        for user in self.rows["users"][:2]:
            self.add("affiliates", user_id=user["id"])
        for user in self.rows["users"]:
            self.add(
                "affiliate_referrals",
                affiliate_id=self.of("affiliates"),
                referred_user_id=user["id"],
                status="converted",
                qualified_at=self._sometimes(),
                converted_at=self._sometimes(),
                created_at=self._moment(),
            )
        for number in range(8):
            referral = self.some(*self.rows["affiliate_referrals"])
            affiliate = referral["affiliate_id"]
            member = self.of("users")
            self.add(
                "affiliate_commissions",
                affiliate_id=affiliate,
                referral_id=referral["id"],
                commission_type="bonus",
                amount_cents=100,
                status=self.some("pending", "paid"),
                created_at=self._moment(),
            )
            self.add(
                "affiliate_clicks",
                affiliate_id=affiliate,
                converted=number % 2 == 0,
                clicked_at=self._moment(),
            )
            for table, values in LOGGED.items():
                self.add(table, user_id=member, occurred_at=self._moment(), **values)
            paid = self.add(
                "subscriptions",
                license_id=self.of("licenses"),
                status=self.some("active", "canceled", "canceled"),
                plan_type=self.some("starter", "pro"),
                billing_cycle="monthly",
                amount_cents=self.some(1000, 2500),
                current_period_end=self._sometimes(),
                canceled_at=self._moment(),
                trial_end=self._sometimes(),
                created_at=self._moment(),
                updated_at=self._moment(),
            )
            self.add(
                "payment_transactions",
                subscription_id=paid["id"],
                amount_cents=1200,
                status="succeeded",
                processed_at=self._sometimes(),
                created_at=self._moment(),
            )


# Billing periods are those of UTC, whatever the zone of the reports.
COUNTED_IN_UTC = "int_paid_through__by_subscription"


def report_in(database: Database, zone: str) -> None:
    """Register the models as a build in the zone does, and have them rebuilt.

    A build by dbt takes a minute; `make test-zones` does that.
    """
    ((former,),) = database.execute(f"select distinct zone from {SCHEMA}.models")
    for column in ("definition", "today", "inputs"):
        kind = "jsonb" if column == "inputs" else "text"
        for text in ("time zone '{}'", '"zone": "{}"'):
            database.execute(
                f"update {SCHEMA}.models set {column} = "
                f"replace({column}::text, %s, %s)::{kind} "
                "where model <> %s or %s <> 'definition'",
                (text.format(former), text.format(zone), COUNTED_IN_UTC, column),
            )
    database.execute(f"update {SCHEMA}.models set zone = %s, is_stale = true", (zone,))


# --- What its marts are ---------------------------------------------------------------


def refresh(database: Database) -> dict[str, str]:
    """Refresh all marts; returns those that are not their select."""
    with closing(database.connect()) as connection:
        engine.refresh(connection, SCHEMA)
    different = database.execute(
        f"select model, {SCHEMA}.verify(model) from {SCHEMA}.models"
    )
    return {
        model: f"differs from a rebuild in {rows} rows"
        for model, rows in different
        if rows
    }


def unlike_reference(database: Database, zone: zoneinfo.ZoneInfo) -> dict[str, str]:
    """Marts that are not what the references say."""
    revenue = mrr_reference.mrr(database, zone, dt.datetime.now(UTC))
    queries = {mart: reference(mart, zone.key) for mart in REFERENCES} | {
        mart: mrr_reference.as_query(rows) for mart, rows in revenue.items() if rows
    }
    with closing(database.connect()) as connection:
        found = {
            mart: mismatch(connection.cursor(), mart, query)
            for mart, query in queries.items()
        }
    return {mart: f"differs by {rows}" for mart, rows in found.items() if rows}


def disagreements(
    database: Database, name: str, generator: random.Random, rounds: int = 2
) -> list[str]:
    """What is wrong with the marts of a company around a change of a zone: nothing.

    Each refresh is compared with a rebuild, and the marts with their references.
    """
    drawn = draw_change(database, name, generator)
    if drawn is None:
        return []
    change, instants = drawn
    live = Live(database, change.zone, instants, generator)
    live.begin()
    wrong: list[str] = []
    for number in range(rounds + 1):
        if number:
            live.live_on(generator.randint(4, 10))
        found = {**refresh(database), **unlike_reference(database, change.zone)}
        wrong += [
            f"{name}, clocks changed at {change.moment:%Y-%m-%d %H:%M} UTC, "
            f"round {number}: {mart} {what}"
            for mart, what in found.items()
        ]
    return wrong
