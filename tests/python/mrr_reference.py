"""Recurring revenue in plain Python, one subscription at a time.

Nothing here is shared with the models: an error would have to be made twice.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from psycopg2 import sql
from psycopg2.extras import NamedTupleCursor

from tests.python.company import PLANS
from tests.python.support import Database

MOVEMENTS = ("new", "expansion", "contraction", "churn", "reactivation")

Row = Any
"""A row of a source table, its columns as attributes."""
Mrr = dict[tuple[str, str, str], int]
"""Minor units per month by license, currency and plan."""


def month_of(moment: datetime, zone: ZoneInfo) -> date:
    """The first day of a time's month in a zone."""
    return moment.astimezone(zone).date().replace(day=1)


def next_month(month: date) -> date:
    """The first day of the month after a month."""
    return (month + timedelta(days=31)).replace(day=1)


def months_later(moment: datetime, months: int) -> datetime:
    """The same time of UTC some months later, or on the last day of a shorter month."""
    moment = moment.astimezone(timezone.utc)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    last = (next_month(date(year, month + 1, 1)) - timedelta(days=1)).day
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def months_apart(first: datetime, second: datetime) -> int:
    """Months of UTC from the month of one time to that of another."""
    first, second = first.astimezone(timezone.utc), second.astimezone(timezone.utc)
    return (second.year - first.year) * 12 + second.month - first.month


def monthly_amount(subscription: Row) -> int:
    """What a subscription brings per month in minor units, a half rounded up."""
    amount: int = subscription.amount_cents
    return (amount + 6) // 12 if subscription.billing_cycle == "yearly" else amount


@dataclass(frozen=True)
class Span:
    """What a subscription brings per month, and from when until before when."""

    subscription: Row
    start: datetime
    end: datetime | None


class Ledger:
    """The subscriptions of a company with what was paid for them."""

    def __init__(self, database: Database) -> None:
        self.licenses = {row.id: row for row in _rows(database, "licenses")}
        self.of_license: dict[str, list[Row]] = defaultdict(list)
        for entry in _rows(database, "subscriptions"):
            self.of_license[entry.license_id].append(entry)
        self.kept: dict[str, list[datetime]] = defaultdict(list)
        self.returned: dict[str, list[datetime]] = defaultdict(list)
        for payment in _rows(database, "payment_transactions"):
            if payment.subscription_id is None or payment.amount_cents == 0:
                continue
            if payment.status in {"succeeded", "refunded"}:
                times = [payment.created_at, payment.processed_at]
                moment = min(time for time in times if time is not None)
                is_kept = payment.amount_cents > (payment.refunded_amount_cents or 0)
                side = self.kept if is_kept else self.returned
                side[payment.subscription_id].append(moment)

    def is_trial_of_payer(self, entry: Row) -> bool:
        """Whether its trial was given to it when it had been paid for already."""
        return (
            entry.trial_start is not None
            and entry.trial_start - entry.created_at > timedelta(days=1)
            and any(time < entry.trial_start for time in self.kept[entry.id])
        )

    def start(self, entry: Row) -> datetime:
        """When it begins to cost something."""
        created: datetime = entry.created_at
        if entry.trial_end is None or self.is_trial_of_payer(entry):
            return created
        ends: datetime = entry.trial_end
        return max(created, ends)

    def paid_through(self, entry: Row) -> datetime | None:
        """The end of the last period that was paid for and not given back."""
        if not self.kept[entry.id]:
            return None
        cycle = 12 if entry.billing_cycle == "yearly" else 1
        anchor = start = self.start(entry)
        current = entry.current_period_start
        if current is not None:
            expected = months_later(start, months_apart(start, current))
            if abs(expected - current) > timedelta(days=1):
                anchor = current
        moment = max(max(self.kept[entry.id]) + timedelta(days=1), start)
        period = months_apart(anchor, moment) // cycle - 1
        while months_later(anchor, cycle * period) <= moment:
            period += 1
        return months_later(anchor, cycle * period)

    def access_end(self, entry: Row) -> datetime | None:
        """When the license ended or another subscription took its place."""
        license_row = self.licenses[entry.license_id]
        ends = [license_row.cancelled_at, license_row.expires_at]
        if entry.canceled_at is not None:
            ends += [
                other.created_at
                for other in self.of_license[entry.license_id]
                if other is not entry
                and not other.status.startswith("incomplete")
                and other.created_at > entry.canceled_at - timedelta(hours=1)
            ]
        return min((end for end in ends if end is not None), default=None)

    def end(self, entry: Row) -> datetime | None:
        """When it stops to count; None while no end is known."""
        paid_through = self.paid_through(entry)
        if entry.status == "unpaid":
            if paid_through is not None:
                return paid_through
            start = self.start(entry)
            first_payments = [
                min(self.kept[other.id])
                for other in self.of_license[entry.license_id]
                if self.kept[other.id]
            ]
            if first_payments and min(first_payments) < entry.created_at:
                return months_later(start, 12 if entry.billing_cycle == "yearly" else 1)
            return start
        if entry.status != "canceled":
            return entry.current_period_end if entry.cancel_at_period_end else None
        returned = max(self.returned[entry.id], default=None)
        if returned and self.kept[entry.id] and max(self.kept[entry.id]) >= returned:
            returned = None
        if entry.cancel_at_period_end or entry.canceled_at is None:
            end: datetime | None = entry.current_period_end or entry.canceled_at
            # The last write says when it ended only where nothing else does.
            end = end or paid_through or returned or entry.updated_at
            if entry.cancel_at_period_end and returned:
                given_up = entry.canceled_at or returned
                end = min(end, max(given_up, paid_through or given_up))
            return end
        canceled: datetime = entry.canceled_at
        if paid_through is None:
            return canceled
        ends = (entry.current_period_end, paid_through, self.access_end(entry))
        return max(canceled, min(end for end in ends if end is not None))

    def span(self, entry: Row) -> Span | None:
        """Its life, before it is joined to the next one; None if it never counts."""
        trial_of_payer = (
            self.is_trial_of_payer(entry)
            and entry.trial_end is not None
            and entry.trial_end > entry.created_at
        )
        if entry.status.startswith("incomplete") or monthly_amount(entry) == 0:
            return None
        if entry.status == "trialing" and not trial_of_payer:
            return None
        if (
            entry.status == "canceled"
            and not trial_of_payer
            and entry.trial_end is not None
            and entry.canceled_at is not None
            and entry.canceled_at < entry.trial_end
        ):
            return None
        start, end = self.start(entry), self.end(entry)
        if end is not None and end <= start:
            return None
        return Span(entry, start, end)

    def spans(self) -> list[Span]:
        """All lives; a gap of up to an hour to the next one of a customer is none."""
        spans = []
        for entries in self.of_license.values():
            found = [span for span in map(self.span, entries) if span is not None]
            for span in found:
                followers = [
                    other.start
                    for other in found
                    if span.end is not None
                    and other.subscription.currency.upper()
                    == span.subscription.currency.upper()
                    and timedelta() < other.start - span.end <= timedelta(hours=1)
                ]
                end = min(followers, default=span.end)
                spans.append(Span(span.subscription, span.start, end))
        return spans


def mrr_at_end(spans: list[Span], month: date, zone: ZoneInfo) -> Mrr:
    """MRR per license, currency and plan at a month's end, by looking at every one."""
    totals: Mrr = defaultdict(int)
    for span in spans:
        entry = span.subscription
        if month_of(span.start, zone) <= month and (
            span.end is None or month_of(span.end, zone) > month
        ):
            key = (entry.license_id, entry.currency.upper(), entry.plan_type)
            totals[key] += monthly_amount(entry)
    return totals


def mrr(
    database: Database, zone: ZoneInfo, now: datetime
) -> dict[str, list[dict[str, Any]]]:
    """Rows of fct_mrr_movements_monthly and fct_mrr_monthly, by the mart's name."""
    ledger = Ledger(database)
    spans = ledger.spans()
    created = [
        entry.created_at for entries in ledger.of_license.values() for entry in entries
    ]
    month, last = month_of(min(created), zone), month_of(now, zone)
    movements: list[dict[str, Any]] = []
    monthly: list[dict[str, Any]] = []
    before: Mrr = {}
    known: set[tuple[str, str]] = set()
    series: set[tuple[str, str]] = set()
    while month <= last:
        after = mrr_at_end(spans, month, zone)
        moved = []
        for key in before.keys() | after.keys():
            opening, closing = before.get(key, 0), after.get(key, 0)
            if opening == closing:
                continue
            license_id, currency, plan_type = key
            moved.append(
                {
                    "movement_month": month,
                    "license_id": license_id,
                    "currency": currency,
                    "plan_type": plan_type,
                    "movement_type": _movement_type(key[:2], before, after, known),
                    "opening_mrr_cents": opening,
                    "mrr_change_cents": closing - opening,
                    "closing_mrr_cents": closing,
                    "license_opening_mrr_cents": _total(before, key[:2]),
                    "license_closing_mrr_cents": _total(after, key[:2]),
                }
            )
        movements += moved
        known |= {key[:2] for key in after}
        series |= {key[1:] for key in after}
        for currency, plan_type in series:
            row: dict[str, Any] = {
                "mrr_month": month,
                "currency": currency,
                "plan_type": plan_type,
                "opening_mrr_cents": _sum_of(before, currency, plan_type),
                "closing_mrr_cents": _sum_of(after, currency, plan_type),
                "customers": sum(key[1:] == (currency, plan_type) for key in after),
            }
            for movement in MOVEMENTS:
                row[f"{movement}_mrr_cents"] = sum(
                    change["mrr_change_cents"]
                    for change in moved
                    if (change["currency"], change["plan_type"])
                    == (currency, plan_type)
                    and change["movement_type"] == movement
                )
            monthly.append(row)
        before, month = after, next_month(month)
    return {"fct_mrr_movements_monthly": movements, "fct_mrr_monthly": monthly}


def _total(mrr: Mrr, customer: tuple[str, str]) -> int:
    return sum(amount for key, amount in mrr.items() if key[:2] == customer)


def _sum_of(mrr: Mrr, currency: str, plan: str) -> int:
    return sum(amount for key, amount in mrr.items() if key[1:] == (currency, plan))


def _movement_type(
    customer: tuple[str, str], before: Mrr, after: Mrr, known: set[tuple[str, str]]
) -> str:
    opening, closing = _total(before, customer), _total(after, customer)
    if opening == 0:
        return "reactivation" if customer in known else "new"
    if closing == 0:
        return "churn"
    if closing == opening:
        # The mean plan, weighted by the money that goes to it.
        opening, closing = _weight(before, customer), _weight(after, customer)
        return "contraction" if closing < opening else "expansion"
    return "expansion" if closing > opening else "contraction"


def _weight(mrr: Mrr, customer: tuple[str, str]) -> int:
    return sum(
        PLANS.index(key[2]) * amount
        for key, amount in mrr.items()
        if key[:2] == customer
    )


def as_query(rows: list[dict[str, Any]]) -> sql.Composable:
    """The rows as a query, to be compared with a mart."""
    return sql.SQL(
        "select {} from jsonb_to_recordset({}) as reference (movement_month date,"
        " mrr_month date, license_id uuid, currency text, plan_type text,"
        " movement_type text, {})"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, rows[0])),
        sql.Literal(json.dumps(rows, default=str)),
        sql.SQL(", ").join(
            sql.SQL("{} numeric").format(sql.Identifier(name))
            for name, value in rows[0].items()
            if isinstance(value, int)
        ),
    )


def _rows(database: Database, table: str) -> list[Row]:
    with closing(database.connect(cursor_factory=NamedTupleCursor)) as connection:
        cursor = connection.cursor()
        cursor.execute(f"select * from {table}")
        rows: list[Row] = cursor.fetchall()
        return rows
