"""Companies that live around a change of a zone's clocks, and what their marts are.

Shared by test_zones.py and benchmarks/workload. The zones are those that the server and
Python both know; an instant that their versions of the IANA database show differently
is not used.
"""

from __future__ import annotations

import datetime as dt
import random
import re
import uuid
import zoneinfo
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from psycopg2 import sql

from saas_analytics.refresh import engine
from tests.python import test_marts_money as money_marts
from tests.python import test_marts_usage as usage_marts
from tests.python.contract import EVENT_TABLES
from tests.python.reference import affiliates, operations, revenue
from tests.python.reference import rows as source_rows
from tests.python.support import Database
from tests.python.torture import SCHEMA
from tests.python.usage_company import Company, Event, License, User
from tests.python.usage_reference import Reference

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
HOUR = dt.timedelta(hours=1)
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


class Live:
    """A company that lives around a change of the clocks of its reporting zone."""

    def __init__(
        self,
        database: Database,
        zone: zoneinfo.ZoneInfo,
        instants: Sequence[dt.datetime],
        generator: random.Random,
    ) -> None:
        self.database = database
        self.zone = zone
        self.instants = instants
        self.random = generator

    def begin(self) -> None:
        """Empty the company, report in the zone, and store the first rows."""
        self.database.execute(
            "truncate users, usage_events, api_usage, error_logs, audit_logs, "
            "affiliate_clicks, subscriptions, payment_transactions cascade"
        )
        report_in(self.database, self.zone.key)
        company = Company(users=[User(self._id(), self._moment()) for _ in range(4)])
        company.licenses = [self._license(company) for _ in range(6)]
        company.events = [self._event(company) for _ in range(40)]
        company.store(self.database)
        with closing(self.database.connect()) as connection:
            self._others(company).insert(connection)
        for table in EVENT_TABLES:
            self._arrive(table)

    def live_on(self, writes: int) -> None:
        """Insert, move and delete a few rows, in transactions of their own."""
        for _ in range(writes):
            table = self.random.choice([*TIMES, *["usage_events"] * 5])
            kind = self.random.random()
            if kind < 0.2 and table not in STAYING:
                self._write(table, "delete from {table}", ())
            elif kind < 0.5 and table == "usage_events":
                present = read_company(self.database)
                Company(events=[self._event(present)]).store(self.database)
            else:
                column = self.random.choice(TIMES[table])
                self._write(
                    table, "update {table} set {column} = %s", (self._moment(),), column
                )
            if table in EVENT_TABLES:
                self._arrive(table)

    def _write(
        self, table: str, statement: str, values: tuple[Any, ...], column: str = "id"
    ) -> None:
        query = sql.SQL(
            statement + " where id in (select id from {table} "
            "order by md5(id::text || %s) limit %s)"
        ).format(table=sql.Identifier(table), column=sql.Identifier(column))
        number = self.random.choice((1, 1, 2, 4))
        self.database.execute(query, (*values, str(self.random.random()), number))

    def _arrive(self, table: str) -> None:
        """No event is later than its arrival: its time would not be plausible."""
        self.database.execute(
            f"update {table} set created_at = occurred_at "
            "where created_at < occurred_at"
        )

    def _id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def _moment(self) -> dt.datetime:
        return self.random.choice(self.instants)

    def _maybe(self) -> dt.datetime | None:
        return self.random.choice((None, self._moment()))

    def _license(self, company: Company) -> License:
        return License(
            self._id(),
            self.random.choice(company.users).user_id,
            self.random.choice(("starter", "pro")),
            self._moment(),
            self._maybe(),
            self._maybe(),
        )

    def _event(self, company: Company) -> Event:
        users = [user.user_id for user in company.users]
        licenses = [row.license_id for row in company.licenses]
        return Event(
            user_id=self.random.choice([*users, None]),
            license_id=self.random.choice([*licenses, None]),
            team_id=None,
            event_type=self.random.choice(("view", "click")),
            event_category=self.random.choice(("feature", "feature", "api")),
            event_name=self.random.choice(("search", "export")),
            event_data=None,
            session_id=self.random.choice((None, "s1", "s2")),
            occurred_at=self._moment(),
        )

    def _others(self, company: Company) -> source_rows.Rows:
        """Rows of the other domains: few, each with a time near the change."""
        users = [user.user_id for user in company.users]
        rows = source_rows.Rows()
        rows.affiliates = [
            source_rows.Affiliate(self._id(), user, self._id(), "active")
            for user in users[:2]
        ]
        for user in users:
            affiliate = self.random.choice(rows.affiliates).id
            rows.referrals.append(
                source_rows.Referral(
                    *(self._id(), affiliate, user, None, "converted"),
                    *(self._maybe(), self._maybe(), self._moment()),
                )
            )
        for number in range(8):
            referral = self.random.choice(rows.referrals)
            user = self.random.choice(users)
            rows.commissions.append(
                source_rows.Commission(
                    *(self._id(), referral.affiliate_id, referral.id, "bonus", 100, 20),
                    *("USD", self.random.choice(("pending", "paid")), self._moment()),
                )
            )
            rows.clicks.append(
                source_rows.Click(
                    *(self._id(), referral.affiliate_id, None, number % 2 == 0),
                    self._moment(),
                )
            )
            rows.api_calls.append(
                source_rows.ApiCall(
                    *(self._id(), user, "/v1/users", "GET", 200, number, self._moment())
                )
            )
            rows.errors.append(
                source_rows.ErrorLog(
                    *(self._id(), user, "timeout", "-", "error", None, self._moment())
                )
            )
            rows.audits.append(
                source_rows.AuditLog(
                    *(self._id(), user, "login", "session", "success", self._moment())
                )
            )
            rows.subscriptions.append(self._subscription(company))
            rows.payments.append(
                source_rows.Payment(
                    *(self._id(), rows.subscriptions[-1].id, 1200, "USD", "succeeded"),
                    *(None, self._maybe(), self._moment()),
                )
            )
        return rows

    def _subscription(self, company: Company) -> source_rows.Subscription:
        return source_rows.Subscription(
            id=self._id(),
            license_id=self.random.choice(company.licenses).license_id,
            status=self.random.choice(("active", "canceled", "canceled")),
            plan_type=self.random.choice(("starter", "pro")),
            billing_cycle="monthly",
            amount_cents=self.random.choice((1000, 2500)),
            currency="USD",
            current_period_start=None,
            current_period_end=self._maybe(),
            cancel_at_period_end=False,
            canceled_at=self._moment(),
            trial_start=None,
            trial_end=self._maybe(),
            created_at=self._moment(),
            updated_at=self._moment(),
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


def read_company(database: Database) -> Company:
    """The users, licences and events that there are."""
    return Company(
        users=[
            User(*row)
            for row in database.execute("select id, created_at from users order by id")
        ],
        licenses=[
            License(*row)
            for row in database.execute(
                "select id, user_id, plan_type, started_at, cancelled_at, expires_at "
                "from licenses order by id"
            )
        ],
        events=[
            Event(*row)
            for row in database.execute(
                "select user_id, license_id, team_id, event_type, event_category, "
                "event_name, event_data::text, session_id, occurred_at "
                "from usage_events"
            )
        ],
    )


def read_rows(database: Database) -> source_rows.Rows:
    """The source rows that there are, but for addresses and the like."""
    rows = source_rows.Rows()
    for part, (kind, table) in zip(
        fields(rows), source_rows.TABLES.items(), strict=True
    ):
        columns = ", ".join(column.name for column in fields(kind))
        found = database.execute(f"select {columns} from {table}")
        setattr(rows, part.name, [kind(*row) for row in found])
    return rows


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
    """Marts that are not what the references say; those of usage, then the others."""
    wrong: dict[str, str] = {}
    usage = Reference(read_company(database), zone.key)
    for mart in usage_marts.MARTS:
        expected = getattr(usage, mart)()
        found = usage_marts.rows_of(database, mart)
        if found.keys() != expected.keys() or not all(
            all(map(usage_marts.alike, found[key], figures))
            for key, figures in expected.items()
        ):
            wrong[mart] = _first_difference(found, expected)
    rows = read_rows(database)
    movements, monthly = revenue.mrr(rows, zone, dt.datetime.now(UTC))
    for mart, other in {
        "fct_affiliate_earnings_monthly": affiliates.earnings_monthly(rows, zone),
        "fct_affiliate_funnel_daily": affiliates.funnel_daily(rows, zone),
        "fct_revenue_monthly": revenue.revenue_monthly(rows, zone),
        "fct_mrr_movements_monthly": movements,
        "fct_mrr_monthly": monthly,
        "fct_api_usage_daily": operations.api_usage_daily(rows, zone),
        "fct_errors_daily": operations.errors_daily(rows, zone),
        "fct_audit_daily": operations.audit_daily(rows, zone),
        "fct_license_seats": operations.license_seats(rows, zone),
    }.items():
        have = money_marts.Built(rows, zone, database).mart(mart)
        if have.keys() != other.keys() or any(
            money_marts.rounded(have[key]) != money_marts.rounded(row)
            for key, row in other.items()
        ):
            wrong[mart] = _first_difference(have, other)
    return wrong


def _first_difference(found: Any, expected: Any) -> str:
    key = min(
        (
            key
            for key in found.keys() | expected.keys()
            if found.get(key) != expected.get(key)
        ),
        key=str,
    )
    return f"has {found.get(key)} and not {expected.get(key)} at {key}"


def disagreements(
    database: Database, name: str, generator: random.Random, rounds: int = 2
) -> list[str]:
    """What is wrong with the marts of a company around a change of a zone: nothing.

    Each refresh is compared with a rebuild, and the marts with other programs that read
    the source rows and know the zone by Python's database.
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
