"""A small company with awkward rows, drawn at random: the same for the same seed.

Times lie on, one microsecond before and after the ends of days and months; currencies
come in upper and lower case; ids and durations are missing; amounts are 0, odd or as
large as they may be; licenses end before they begin.
"""

from __future__ import annotations

import random
import uuid
from contextlib import closing
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from psycopg2.extras import execute_values

from tests.python.support import Database

Row = dict[str, Any]

# In an order in which rows can be inserted: what each must have except what is drawn,
# "id" for a text that no other row has.
TABLES: dict[str, Row] = {
    "users": {"email": "id", "password_hash": "-"},
    "licenses": {"license_key": "id"},
    "teams": {"slug": "id", "name": "-"},
    "team_members": {},
    "subscriptions": {},
    "payment_transactions": {},
    "affiliates": {"affiliate_code": "id", "status": "active"},
    "affiliate_referrals": {},
    "affiliate_commissions": {"commission_rate": 20},
    "affiliate_payouts": {"payment_method": "paypal"},
    "affiliate_clicks": {},
    "api_usage": {},
    "error_logs": {"error_message": "-"},
    "audit_logs": {},
    "usage_events": {},
}
PLANS = ("free", "starter", "pro", "enterprise")
CURRENCIES = ("USD", "usd", "EUR", "Eur", "JPY")
AMOUNTS = (0, 1, 5, 6, 11, 12, 18, 100, 999, 1200, 29900, 2**31 - 1)
CAMPAIGNS = (None, None, "spring", "Spring", "")
FEATURES = ("dashboard", "alerts", "beta")
EVENT_TYPES = ("page_view", "click", "Ünïcode ✓")
EVENT_DATA = (
    *(f'{{"duration_seconds": {told}}}' for told in ("12", "0.25", "0", "-3", '"17"')),
    *(f'{{"duration_seconds": {told}}}' for told in ("true", "null", "[5]", "1e40")),
    '{"duration_seconds": 12345678901234567890.123456789}',
    '{"duration": 9, "nested": {"duration_seconds": 9}}',
    '[{"duration_seconds": 9}]',
    *('"duration_seconds"', "7", "null", "{}", None),
)
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)

# Usage ends after a change of Auckland's clocks, before `NOW`; money goes on.
USED = datetime(2025, 10, 20, tzinfo=timezone.utc)
DAYS = 175
NOW = datetime(2026, 4, 15, 12, tzinfo=timezone.utc)
MONTHS = [date(2025 + number // 12, number % 12 + 1, 1) for number in range(17)]
# No event is in January of any zone.
QUIET = (USED + 72 * DAY, USED + 105 * DAY)
# Midnight in UTC, New York and Auckland (both halves of the year), and just before it.
EDGE_TIMES = tuple(
    timedelta(hours=hour) - before
    for hour in (0, 4, 5, 11, 12)
    for before in (timedelta(0), MICROSECOND)
)


class Company:
    """Source rows by table."""

    def __init__(self, generator: random.Random) -> None:
        self.random = generator
        self.rows: dict[str, list[Row]] = {table: [] for table in TABLES}

    def add(self, table: str, **values: Any) -> Row:
        """One row more, with an id."""
        row_id = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        given = {
            name: row_id if value == "id" else value
            for name, value in TABLES[table].items()
        }
        self.rows[table].append({"id": row_id, **given, **values})
        return self.rows[table][-1]

    def insert(self, database: Database) -> None:
        """Insert all rows in one transaction; those of a table have the same columns.

        An event is written when it happens.
        """
        with closing(database.connect()) as connection, connection:
            for table, rows in self.rows.items():
                if rows:
                    names = ", ".join(rows[0])
                    execute_values(
                        connection.cursor(),
                        f"insert into {table} ({names}) values %s",
                        [tuple(row.values()) for row in rows],
                    )
            for table in ("usage_events", "api_usage", "error_logs", "audit_logs"):
                connection.cursor().execute(
                    f"update {table} set created_at = occurred_at"
                )

    def some(self, *values: Any) -> Any:
        """One of some values."""
        return self.random.choice(values)

    def maybe(self, value: Any, chance: float = 0.7) -> Any:
        """The value, or sometimes nothing."""
        return value if self.random.random() < chance else None

    def of(self, table: str, first: int | None = None) -> str:
        """The id of one row, of the first ones of a table."""
        return str(self.random.choice(self.rows[table][:first])["id"])


def draw(seed: int, zone: ZoneInfo) -> Company:
    """A company whose times lie around the days and months of a zone."""
    made = Drawn(random.Random(seed), zone)
    made.draw_usage()
    made.draw_accounts()
    made.draw_billing()
    made.draw_affiliates()
    made.draw_logs()
    return made


class Drawn(Company):
    """How the rows of `draw` are drawn."""

    def __init__(self, generator: random.Random, zone: ZoneInfo) -> None:
        super().__init__(generator)
        self.zone = zone

    def moment(self) -> datetime:
        """A time in the months, half of them at the edge of a day or a month."""
        month = self.some(*MONTHS)
        start = datetime(month.year, month.month, 1, tzinfo=self.zone)
        kind = self.random.random()
        if kind > 0.5:
            seconds = self.random.randrange(28 * 86400)
            return start.astimezone(timezone.utc) + timedelta(seconds=seconds)
        edge = start if kind < 0.3 else start + self.random.randrange(28) * DAY
        shift: timedelta = self.some(-MICROSECOND, timedelta(), MICROSECOND)
        return edge.astimezone(timezone.utc) + shift

    def used(self, first: int = 0, last: int = DAYS) -> datetime:
        """A time in the days of usage, many at midnight of some zone."""
        anywhen = timedelta(seconds=self.random.random() * 86_400)
        time: timedelta = self.some(*EDGE_TIMES, anywhen)
        return USED + self.random.randint(first, last) * DAY + time

    def draw_usage(self) -> None:
        """Some use it every day, some hardly ever; some events have no user."""
        # Some sign up before the first event, some after the last one.
        for _ in range(14):
            self.add("users", created_at=self.used(-60, DAYS + 40))
        # Of the first three plans, one is without a live license.
        for plan in PLANS[:3] * 4:
            self.license(
                user_id=self.of("users"),
                plan_type=plan,
                started_at=self.used(-40),
                cancelled_at=self.maybe(self.used(-40, DAYS + 40), 0.4),
                expires_at=self.maybe(self.used(-40, DAYS + 40), 0.4),
            )
        for _ in range(3):
            self.add("teams", license_id=self.of("licenses"), owner_id=self.of("users"))
        users = [row["id"] for row in self.rows["users"]]
        licenses = [row["id"] for row in self.rows["licenses"]]
        teams = [row["id"] for row in self.rows["teams"]]
        events = self.rows["usage_events"]
        while len(events) < 700:
            user = self.some(*users[:11], *users[:2] * 6, None)
            at = self.used()
            if user in users[2:8] and self.random.random() < 0.85:
                continue
            session = self.some(None, "s1", "s2", f"s{self.random.randint(3, 40)}")
            values = {
                "user_id": user,
                "license_id": self.some(*licenses[:10], None, None),
                "team_id": self.some(*teams, None, None),
                "event_type": self.some(*EVENT_TYPES),
                "event_category": self.some("feature", "feature", "api", "auth"),
                "event_name": self.some(*FEATURES[: 3 if len(events) > 100 else 2]),
                "event_data": self.some(*EVENT_DATA),
                "session_id": session,
            }
            # A session may go on past midnight.
            goes_on = session is not None and self.random.random() < 0.3
            later = at + timedelta(hours=self.some(1, 9, 20))
            for moment in (at, later)[: 1 + goes_on]:
                if not QUIET[0] <= moment < QUIET[1]:
                    self.add("usage_events", **values, occurred_at=moment)

    def license(self, **values: Any) -> None:
        """A license with seats."""
        seats = self.some(1, 2, 3, 7, 100)
        self.add(
            "licenses",
            status=self.some("active", "suspended", "cancelled", "expired"),
            seats_total=seats,
            seats_used=self.random.randrange(seats + 1),
            **values,
        )

    def draw_accounts(self) -> None:
        """Users, licenses without use, and teams of any size."""
        for _ in range(16):
            self.add("users", created_at=self.moment())
        for _ in range(80):
            self.license(
                user_id=self.of("users"),
                plan_type=self.some(*PLANS[:3]),
                started_at=NOW + 60 * DAY,
                cancelled_at=self.maybe(self.moment(), 0.2),
                expires_at=self.maybe(self.moment(), 0.2),
            )
        for _ in range(40):
            owner = self.of("users")
            self.add("teams", license_id=self.of("licenses", 37), owner_id=owner)
        users = [row["id"] for row in self.rows["users"]]
        for team in self.rows["teams"]:
            for user in self.random.sample(users, self.random.randrange(6)):
                self.add("team_members", team_id=team["id"], user_id=user)

    def draw_billing(self) -> None:
        """Few licenses for many subscriptions: they overlap in every way."""
        for _ in range(160):
            self.subscription()
        for row in self.rows["licenses"][42:]:
            self.career(row["id"])
        statuses = ("pending", "succeeded", "failed", "refunded", "canceled")
        for _ in range(300):
            subscription = self.maybe(self.of("subscriptions"))
            amount, status = self.some(*AMOUNTS), self.some(*statuses)
            self.payment(subscription, amount, status, self.moment())
        # Half of the subscriptions are paid in each period, for a while.
        paid = self.rows["subscriptions"]
        for row in self.random.sample(paid, len(paid) // 2):
            length = 30.4 * (12 if row["billing_cycle"] == "yearly" else 1)
            for period in range(self.random.randrange(1, 6)):
                late = self.some(-0.9, 0, 0, 0, 2, 5)
                at = row["created_at"] + timedelta(days=length * period + late)
                status = self.some("succeeded", "succeeded", "succeeded", "refunded")
                self.payment(row["id"], max(row["amount_cents"], 1), status, at)

    def payment(
        self, subscription: str | None, amount: int, status: str, at: datetime
    ) -> None:
        """A payment, given back in part or whole at times."""
        self.add(
            "payment_transactions",
            subscription_id=subscription,
            amount_cents=amount,
            currency=self.some(*CURRENCIES),
            status=status,
            refunded_amount_cents=self.some(None, 0, amount // 3, amount),
            processed_at=self.maybe(at + self.some(-1, 0, 0, 3) * DAY),
            created_at=at,
        )

    def subscription(self) -> None:
        """A subscription whose times are in any order."""
        created_at = self.moment()
        lengths = (-1, 0, 0.5, 20, 31, 45, 90, 200)
        later = [created_at + days * DAY for days in lengths]
        later += [self.moment(), self.moment()]
        self.add(
            "subscriptions",
            license_id=self.random.choice(self.rows["licenses"][12:42])["id"],
            status=self.some(
                *("active", "active", "past_due", "unpaid", "canceled", "canceled"),
                *("incomplete", "incomplete_expired", "trialing"),
            ),
            plan_type=self.some(*PLANS),
            billing_cycle=self.some("monthly", "monthly", "yearly"),
            # A small choice of prices, so that moves at an equal price happen.
            amount_cents=self.some(*AMOUNTS, 1000, 1000, 1000, 12000),
            currency=self.some(*CURRENCIES, "USD", "USD"),
            current_period_start=self.maybe(self.some(*later)),
            current_period_end=self.maybe(self.some(*later), 0.8),
            cancel_at_period_end=self.random.random() < 0.4,
            canceled_at=self.maybe(self.some(*later), 0.6),
            trial_start=self.maybe(self.some(*later), 0.4),
            trial_end=self.maybe(self.some(*later), 0.4),
            created_at=created_at,
            updated_at=self.some(*later),
        )

    def career(self, license_id: str) -> None:
        """Subscriptions that follow each other, now and then after a pause."""
        start = self.moment()
        for _ in range(self.random.randrange(1, 9)):
            end = start + self.some(20, 30, 31, 45, 70) * DAY
            cycle = self.some("monthly", "monthly", "yearly")
            # A twelfth of each yearly price is one of the monthly prices.
            prices = (1000, 1000, 1000, 2500) if cycle == "monthly" else (12000, 12005)
            self.add(
                "subscriptions",
                license_id=license_id,
                status="canceled",
                plan_type=self.some(*PLANS[1:]),
                billing_cycle=cycle,
                amount_cents=self.some(*prices),
                currency=self.some("USD", "USD", "usd", "USD", "EUR"),
                current_period_start=start,
                current_period_end=end + 9 * DAY,
                cancel_at_period_end=False,
                canceled_at=end,
                trial_start=None,
                trial_end=None,
                created_at=start,
                # Half of them were written to again, long after their end.
                updated_at=end + self.some(0, 400) * DAY,
            )
            pauses = (timedelta(), timedelta(), timedelta(seconds=5), 40 * DAY)
            start = end + self.some(*pauses)

    def draw_affiliates(self) -> None:
        """The last affiliate has nothing at all, and so no row anywhere."""
        for _ in range(12):
            self.add("affiliates", user_id=self.of("users"))
        busy = self.rows["affiliates"][:-1]
        users = [row["id"] for row in self.rows["users"]]
        statuses = ("pending", "qualified", "converted", "cancelled", "refunded")
        for affiliate in busy:
            for user in self.random.sample(users, self.random.randrange(1, 12)):
                self.add(
                    "affiliate_referrals",
                    affiliate_id=affiliate["id"],
                    referred_user_id=user,
                    utm_campaign=self.some(*CAMPAIGNS),
                    status=self.some(*statuses),
                    qualified_at=self.maybe(self.moment()),
                    converted_at=self.maybe(self.moment()),
                    created_at=self.moment(),
                )
        single_currency = [affiliate["id"] for affiliate in busy[:5]]
        for _ in range(250):
            referral = self.some(*self.rows["affiliate_referrals"])
            is_single = referral["affiliate_id"] in single_currency
            self.add(
                "affiliate_commissions",
                affiliate_id=referral["affiliate_id"],
                referral_id=referral["id"],
                commission_type=self.some(
                    "initial", "recurring", "bonus", "adjustment"
                ),
                amount_cents=self.some(*AMOUNTS),
                currency=self.some(*CURRENCIES[: 2 if is_single else None]),
                status=self.some(
                    "pending", "approved", "paid", "cancelled", "disputed"
                ),
                created_at=self.moment(),
            )
        for _ in range(60):
            self.add(
                "affiliate_payouts",
                affiliate_id=self.of("affiliates", -1),
                amount_cents=self.some(*AMOUNTS[1:]),
                # No commission is in GBP: a payout alone makes a row, too.
                currency=self.some(*CURRENCIES, "gbp"),
                status=self.some(
                    "pending", "processing", "completed", "failed", "cancelled"
                ),
                created_at=self.moment(),
            )
        for _ in range(400):
            self.add(
                "affiliate_clicks",
                affiliate_id=self.of("affiliates", -1),
                utm_campaign=self.some(*CAMPAIGNS),
                converted=self.random.random() < 0.3,
                clicked_at=self.moment(),
            )

    def draw_logs(self) -> None:
        """Calls, errors and audited actions, some of no user."""
        codes = (100, 200, 204, 302, 399, 400, 404, 429, 499, 500, 503, 599)
        for _ in range(600):
            self.add(
                "api_usage",
                user_id=self.maybe(self.of("users")),
                endpoint=self.some("/v1/reports", "/v1/users"),
                method=self.some("GET", "POST", "DELETE"),
                status_code=self.some(*codes),
                response_time_ms=self.maybe(self.random.randrange(30000), 0.8),
                occurred_at=self.moment(),
            )
        for _ in range(400):
            self.add(
                "error_logs",
                user_id=self.maybe(self.of("users", 5)),
                error_type=self.some("timeout", "validation"),
                severity=self.some("info", "error", "critical"),
                source=self.some(None, "web", "worker"),
                occurred_at=self.moment(),
            )
            self.add(
                "audit_logs",
                user_id=self.maybe(self.of("users", 5)),
                action=self.some("login", "delete"),
                resource_type=self.some("session", "report"),
                status=self.some("success", "failure", "pending"),
                occurred_at=self.moment(),
            )
