"""Random source rows that are awkward on purpose, and their way into the database.

Times lie on, one microsecond before and after the days' and months' ends of the zone;
currencies come in upper and lower case; references are missing; amounts are 0, odd or
as large as they may be.
"""

import random
import uuid
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2.extras
from psycopg2.extensions import connection as Connection

PLANS = ("free", "starter", "pro", "enterprise")
CURRENCIES = ("USD", "usd", "EUR", "Eur", "JPY")
AMOUNTS = (0, 1, 5, 6, 11, 12, 18, 100, 999, 1200, 29900, 2**31 - 1)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class User:
    """A row of users; the address is made up from the id."""

    id: str
    email: str
    password_hash: str = "-"


@dataclass(frozen=True)
class License:
    """A row of licenses."""

    id: str
    user_id: str
    license_key: str
    plan_type: str
    status: str
    seats_total: int
    seats_used: int
    expires_at: datetime | None = None
    cancelled_at: datetime | None = None


@dataclass(frozen=True)
class Team:
    """A row of teams."""

    id: str
    license_id: str
    name: str
    slug: str
    owner_id: str


@dataclass(frozen=True)
class TeamMember:
    """A row of team_members."""

    id: str
    team_id: str
    user_id: str


@dataclass(frozen=True)
class Subscription:
    """A row of subscriptions."""

    id: str
    license_id: str
    status: str
    plan_type: str
    billing_cycle: str
    amount_cents: int
    currency: str
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    canceled_at: datetime | None
    trial_start: datetime | None
    trial_end: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Payment:
    """A row of payment_transactions."""

    id: str
    subscription_id: str | None
    amount_cents: int
    currency: str
    status: str
    refunded_amount_cents: int | None
    processed_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class Affiliate:
    """A row of affiliates."""

    id: str
    user_id: str
    affiliate_code: str
    status: str


@dataclass(frozen=True)
class Referral:
    """A row of affiliate_referrals."""

    id: str
    affiliate_id: str
    referred_user_id: str
    utm_campaign: str | None
    status: str
    qualified_at: datetime | None
    converted_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class Commission:
    """A row of affiliate_commissions."""

    id: str
    affiliate_id: str
    referral_id: str
    commission_type: str
    amount_cents: int
    commission_rate: int
    currency: str
    status: str
    created_at: datetime


@dataclass(frozen=True)
class Payout:
    """A row of affiliate_payouts."""

    id: str
    affiliate_id: str
    amount_cents: int
    currency: str
    payment_method: str
    status: str
    created_at: datetime


@dataclass(frozen=True)
class Click:
    """A row of affiliate_clicks."""

    id: str
    affiliate_id: str
    utm_campaign: str | None
    converted: bool
    clicked_at: datetime


@dataclass(frozen=True)
class ApiCall:
    """A row of api_usage."""

    id: str
    user_id: str | None
    endpoint: str
    method: str
    status_code: int
    response_time_ms: int | None
    occurred_at: datetime


@dataclass(frozen=True)
class ErrorLog:
    """A row of error_logs."""

    id: str
    user_id: str | None
    error_type: str
    error_message: str
    severity: str
    source: str | None
    occurred_at: datetime


@dataclass(frozen=True)
class AuditLog:
    """A row of audit_logs."""

    id: str
    user_id: str | None
    action: str
    resource_type: str
    status: str
    occurred_at: datetime


@dataclass(frozen=True)
class UsageEvent:
    """A row of usage_events."""

    id: str
    user_id: str | None
    license_id: str | None
    event_type: str
    event_category: str
    event_name: str
    occurred_at: datetime


TABLES: dict[type[Any], str] = {
    User: "users",
    License: "licenses",
    Team: "teams",
    TeamMember: "team_members",
    Subscription: "subscriptions",
    Payment: "payment_transactions",
    Affiliate: "affiliates",
    Referral: "affiliate_referrals",
    Commission: "affiliate_commissions",
    Payout: "affiliate_payouts",
    Click: "affiliate_clicks",
    ApiCall: "api_usage",
    ErrorLog: "error_logs",
    AuditLog: "audit_logs",
    UsageEvent: "usage_events",
}


@dataclass
class Rows:
    """All source rows of one company, in the order in which they can be inserted."""

    users: list[User] = field(default_factory=list)
    licenses: list[License] = field(default_factory=list)
    teams: list[Team] = field(default_factory=list)
    team_members: list[TeamMember] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    affiliates: list[Affiliate] = field(default_factory=list)
    referrals: list[Referral] = field(default_factory=list)
    commissions: list[Commission] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)
    clicks: list[Click] = field(default_factory=list)
    api_calls: list[ApiCall] = field(default_factory=list)
    errors: list[ErrorLog] = field(default_factory=list)
    audits: list[AuditLog] = field(default_factory=list)
    usage_events: list[UsageEvent] = field(default_factory=list)

    def insert(self, connection: Connection) -> None:
        """Insert all of them in one transaction."""
        with connection, connection.cursor() as cursor:
            for part in fields(self):
                _insert(cursor, getattr(self, part.name))


def _insert(cursor: Any, rows: Sequence[Any]) -> None:
    if rows:
        columns = ", ".join(column.name for column in fields(rows[0]))
        psycopg2.extras.execute_values(
            cursor,
            f"insert into {TABLES[type(rows[0])]} ({columns}) values %s",
            [astuple(row) for row in rows],
        )


def random_rows(seed: int, zone: ZoneInfo, months: Sequence[date]) -> Rows:
    """A company whose times lie around the days and months of a zone."""
    maker = _Maker(random.Random(seed), zone, months)
    rows = Rows()
    maker.accounts(rows)
    maker.billing(rows)
    maker.affiliates(rows)
    maker.logs(rows)
    return rows


class _Maker:
    def __init__(
        self, generator: random.Random, zone: ZoneInfo, months: Sequence[date]
    ) -> None:
        self.random = generator
        self.zone = zone
        self.months = months

    def id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def moment(self) -> datetime:
        """A time in the months, half of them at the edge of a day or a month."""
        month = self.random.choice(self.months)
        start = datetime(month.year, month.month, 1, tzinfo=self.zone)
        kind = self.random.random()
        if kind < 0.3:
            edge = start
        elif kind < 0.5:
            edge = start + timedelta(days=self.random.randrange(28))
        else:
            seconds = self.random.randrange(28 * 86400)
            return start.astimezone(timezone.utc) + timedelta(seconds=seconds)
        shift = self.random.choice((-MICROSECOND, timedelta(), MICROSECOND))
        return edge.astimezone(timezone.utc) + shift

    def maybe(self, value: Any, chance: float = 0.7) -> Any:
        return value if self.random.random() < chance else None

    def some(self, values: Sequence[Any]) -> Any:
        return self.random.choice(values)

    def accounts(self, rows: Rows) -> None:
        for _ in range(30):
            user_id = self.id()
            rows.users.append(User(user_id, f"{user_id}@example.com"))
        for _ in range(80):
            seats = self.some((1, 2, 3, 7, 100))
            rows.licenses.append(
                License(
                    id=self.id(),
                    user_id=self.some(rows.users).id,
                    license_key=self.id(),
                    plan_type=self.some(PLANS),
                    status=self.some(("active", "suspended", "cancelled", "expired")),
                    seats_total=seats,
                    seats_used=self.random.randrange(seats + 1),
                    expires_at=self.maybe(self.moment(), 0.2),
                    cancelled_at=self.maybe(self.moment(), 0.2),
                )
            )
        for _ in range(40):
            rows.teams.append(
                Team(
                    id=self.id(),
                    license_id=self.some(rows.licenses[:25]).id,
                    name="-",
                    slug=self.id(),
                    owner_id=self.some(rows.users).id,
                )
            )
        for team in rows.teams:
            for user in self.random.sample(rows.users, self.random.randrange(6)):
                rows.team_members.append(TeamMember(self.id(), team.id, user.id))

    def billing(self, rows: Rows) -> None:
        # Few licences for many subscriptions: they overlap in every way.
        for _ in range(160):
            rows.subscriptions.append(self.subscription(rows))
        for entry in rows.licenses[30:]:
            rows.subscriptions += self.career(entry)
        for _ in range(300):
            rows.payments.append(
                self.payment(
                    self.maybe(self.some(rows.subscriptions).id),
                    self.some(AMOUNTS),
                    self.some(
                        ("pending", "succeeded", "failed", "refunded", "canceled")
                    ),
                    self.moment(),
                )
            )
        # Half of the subscriptions are paid in each period, for a while.
        for paid in self.random.sample(
            rows.subscriptions, len(rows.subscriptions) // 2
        ):
            months = 12 if paid.billing_cycle == "yearly" else 1
            for period in range(self.random.randrange(1, 6)):
                begins = paid.created_at + timedelta(days=30.4 * months * period)
                late = timedelta(days=self.some((-0.9, 0, 0, 0, 2, 5)))
                rows.payments.append(
                    self.payment(
                        paid.id,
                        max(paid.amount_cents, 1),
                        self.some(("succeeded", "succeeded", "succeeded", "refunded")),
                        begins + late,
                    )
                )

    def payment(
        self, subscription_id: str | None, amount: int, status: str, moment: datetime
    ) -> Payment:
        return Payment(
            id=self.id(),
            subscription_id=subscription_id,
            amount_cents=amount,
            currency=self.some(CURRENCIES),
            status=status,
            refunded_amount_cents=self.some((None, 0, amount // 3, amount)),
            processed_at=self.maybe(moment + timedelta(days=self.some((-1, 0, 0, 3)))),
            created_at=moment,
        )

    def subscription(self, rows: Rows) -> Subscription:
        created_at = self.moment()
        lengths = (-1, 0, 0.5, 20, 31, 45, 90, 200)
        later = [created_at + timedelta(days=days) for days in lengths]
        later += [self.moment(), self.moment()]
        return Subscription(
            id=self.id(),
            license_id=self.some(rows.licenses[:30]).id,
            status=self.some(
                (
                    *("active", "past_due", "unpaid", "canceled", "canceled"),
                    *("active", "incomplete", "incomplete_expired", "trialing"),
                )
            ),
            plan_type=self.some(PLANS),
            billing_cycle=self.some(("monthly", "monthly", "yearly")),
            # A small choice of prices, so that moves at an equal price happen.
            amount_cents=self.some((*AMOUNTS, 1000, 1000, 1000, 12000)),
            currency=self.some((*CURRENCIES, "USD", "USD")),
            current_period_start=self.maybe(self.some(later)),
            current_period_end=self.maybe(self.some(later), 0.8),
            cancel_at_period_end=self.random.random() < 0.4,
            canceled_at=self.maybe(self.some(later), 0.6),
            trial_start=self.maybe(self.some(later), 0.4),
            trial_end=self.maybe(self.some(later), 0.4),
            created_at=created_at,
            updated_at=self.some(later),
        )

    def career(self, entry: License) -> list[Subscription]:
        """Subscriptions that follow each other, now and then after a pause."""
        start = self.moment()
        career = []
        for _ in range(self.random.randrange(1, 9)):
            end = start + timedelta(days=self.some((20, 30, 31, 45, 70)))
            cycle = self.some(("monthly", "monthly", "yearly"))
            # A twelfth of each yearly price is one of the monthly prices.
            amount = self.some(
                (1000, 1000, 1000, 2500) if cycle == "monthly" else (12000, 12005)
            )
            career.append(
                Subscription(
                    id=self.id(),
                    license_id=entry.id,
                    status="canceled",
                    plan_type=self.some(PLANS[1:]),
                    billing_cycle=cycle,
                    amount_cents=amount,
                    currency=self.some(("USD", "USD", "usd", "USD", "EUR")),
                    current_period_start=start,
                    current_period_end=end + timedelta(days=9),
                    cancel_at_period_end=False,
                    canceled_at=end,
                    trial_start=None,
                    trial_end=None,
                    created_at=start,
                    # Half of them were written to again, long after their end.
                    updated_at=end + timedelta(days=self.some((0, 400))),
                )
            )
            start = end + self.some(
                (timedelta(), timedelta(), timedelta(seconds=5), timedelta(days=40))
            )
        return career

    def affiliates(self, rows: Rows) -> None:
        campaigns = (None, None, "spring", "Spring", "")
        for _ in range(12):
            rows.affiliates.append(
                Affiliate(self.id(), self.some(rows.users).id, self.id(), "active")
            )
        # The last one has nothing at all, and so no row anywhere.
        busy = rows.affiliates[:-1]
        for affiliate in busy:
            for user in self.random.sample(rows.users, self.random.randrange(1, 12)):
                rows.referrals.append(
                    Referral(
                        id=self.id(),
                        affiliate_id=affiliate.id,
                        referred_user_id=user.id,
                        utm_campaign=self.some(campaigns),
                        status=self.some(
                            (
                                *("pending", "qualified", "converted"),
                                *("cancelled", "refunded"),
                            )
                        ),
                        qualified_at=self.maybe(self.moment()),
                        converted_at=self.maybe(self.moment()),
                        created_at=self.moment(),
                    )
                )
        single_currency = {affiliate.id for affiliate in busy[:5]}
        for _ in range(250):
            referral = self.some(rows.referrals)
            rows.commissions.append(
                Commission(
                    id=self.id(),
                    affiliate_id=referral.affiliate_id,
                    referral_id=referral.id,
                    commission_type=self.some(
                        ("initial", "recurring", "bonus", "adjustment")
                    ),
                    amount_cents=self.some(AMOUNTS),
                    commission_rate=20,
                    currency=self.some(
                        ("USD", "usd")
                        if referral.affiliate_id in single_currency
                        else CURRENCIES
                    ),
                    status=self.some(
                        ("pending", "approved", "paid", "cancelled", "disputed")
                    ),
                    created_at=self.moment(),
                )
            )
        for _ in range(60):
            rows.payouts.append(
                Payout(
                    id=self.id(),
                    affiliate_id=self.some(busy).id,
                    amount_cents=self.some(AMOUNTS[1:]),
                    # No commission is in GBP: a payout alone makes a row, too.
                    currency=self.some((*CURRENCIES, "gbp")),
                    payment_method="paypal",
                    status=self.some(
                        ("pending", "processing", "completed", "failed", "cancelled")
                    ),
                    created_at=self.moment(),
                )
            )
        for _ in range(400):
            rows.clicks.append(
                Click(
                    id=self.id(),
                    affiliate_id=self.some(busy).id,
                    utm_campaign=self.some(campaigns),
                    converted=self.random.random() < 0.3,
                    clicked_at=self.moment(),
                )
            )

    def logs(self, rows: Rows) -> None:
        for _ in range(600):
            rows.api_calls.append(
                ApiCall(
                    id=self.id(),
                    user_id=self.maybe(self.some(rows.users).id),
                    endpoint=self.some(("/v1/reports", "/v1/users")),
                    method=self.some(("GET", "POST", "DELETE")),
                    status_code=self.some(
                        (100, 200, 204, 302, 399, 400, 404, 429, 499, 500, 503, 599)
                    ),
                    response_time_ms=self.maybe(self.random.randrange(30000), 0.8),
                    occurred_at=self.moment(),
                )
            )
        for _ in range(400):
            rows.errors.append(
                ErrorLog(
                    id=self.id(),
                    user_id=self.maybe(self.some(rows.users[:5]).id),
                    error_type=self.some(("timeout", "validation")),
                    error_message="-",
                    severity=self.some(("info", "error", "critical")),
                    source=self.some((None, "web", "worker")),
                    occurred_at=self.moment(),
                )
            )
        for _ in range(400):
            rows.audits.append(
                AuditLog(
                    id=self.id(),
                    user_id=self.maybe(self.some(rows.users[:5]).id),
                    action=self.some(("login", "delete")),
                    resource_type=self.some(("session", "report")),
                    status=self.some(("success", "failure", "pending")),
                    occurred_at=self.moment(),
                )
            )
        last = max(self.months)
        end = datetime(last.year, last.month, 28, tzinfo=self.zone)
        for _ in range(300):
            days = self.some((0, 1, 5, 29, 30, 31, 60))
            shift = self.some((-MICROSECOND, timedelta(), timedelta(hours=7)))
            moment = end - timedelta(days=days)
            rows.usage_events.append(
                UsageEvent(
                    id=self.id(),
                    user_id=self.maybe(self.some(rows.users).id, 0.8),
                    license_id=self.maybe(self.some(rows.licenses[:20]).id, 0.8),
                    event_type="view",
                    event_category="feature",
                    event_name="search_used",
                    occurred_at=moment.astimezone(timezone.utc) + shift,
                )
            )
