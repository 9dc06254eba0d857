"""The revenue marts."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.python.reference.affiliates import Mart
from tests.python.reference.calendar import (
    month_of,
    months_apart,
    months_later,
    months_through,
)
from tests.python.reference.rows import PLANS, Rows, Subscription

MOVEMENTS = ("new", "expansion", "contraction", "churn", "reactivation")


def revenue_monthly(rows: Rows, zone: ZoneInfo) -> Mart:
    """fct_revenue_monthly."""
    plans = {entry.id: entry.plan_type for entry in rows.subscriptions}
    mart: Mart = {}
    for payment in rows.payments:
        key = (
            month_of(payment.processed_at or payment.created_at, zone),
            payment.currency.upper(),
            plans[payment.subscription_id] if payment.subscription_id else "none",
        )
        row = mart.setdefault(
            key,
            dict.fromkeys(
                (
                    "payments",
                    "failed_payments",
                    "pending_payments",
                    "canceled_payments",
                    "gross_cents",
                    "refunded_cents",
                    "net_cents",
                ),
                0,
            ),
        )
        if payment.status in {"succeeded", "refunded"}:
            refunded = payment.refunded_amount_cents or 0
            row["payments"] += 1
            row["gross_cents"] += payment.amount_cents
            row["refunded_cents"] += refunded
            row["net_cents"] += payment.amount_cents - refunded
        else:
            row[f"{payment.status}_payments"] += 1
    return mart


def monthly_amount(subscription: Subscription) -> int:
    """What a subscription brings per month in minor units, a half rounded up."""
    if subscription.billing_cycle == "yearly":
        return (subscription.amount_cents + 6) // 12
    return subscription.amount_cents


@dataclass(frozen=True)
class Span:
    """What a subscription brings per month, and from when until before when."""

    subscription: Subscription
    start: datetime
    end: datetime | None


class Ledger:
    """The subscriptions of a company with what was paid for them."""

    def __init__(self, rows: Rows) -> None:
        self.licenses = {entry.id: entry for entry in rows.licenses}
        self.of_license: dict[str, list[Subscription]] = defaultdict(list)
        for entry in rows.subscriptions:
            self.of_license[entry.license_id].append(entry)
        self.kept: dict[str, list[datetime]] = defaultdict(list)
        self.returned: dict[str, list[datetime]] = defaultdict(list)
        for payment in rows.payments:
            if payment.subscription_id is None or payment.amount_cents == 0:
                continue
            if payment.status in {"succeeded", "refunded"}:
                times = [payment.created_at, payment.processed_at]
                moment = min(time for time in times if time is not None)
                is_kept = payment.amount_cents > (payment.refunded_amount_cents or 0)
                side = self.kept if is_kept else self.returned
                side[payment.subscription_id].append(moment)

    def is_trial_of_payer(self, entry: Subscription) -> bool:
        """Whether its trial was given to it when it had been paid for already."""
        return (
            entry.trial_start is not None
            and entry.trial_start - entry.created_at > timedelta(days=1)
            and any(time < entry.trial_start for time in self.kept[entry.id])
        )

    def start(self, entry: Subscription) -> datetime:
        """When it begins to cost something."""
        if entry.trial_end is None or self.is_trial_of_payer(entry):
            return entry.created_at
        return max(entry.created_at, entry.trial_end)

    def paid_through(self, entry: Subscription) -> datetime | None:
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

    def access_end(self, entry: Subscription) -> datetime | None:
        """When the licence ended or another subscription took its place."""
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

    def end(self, entry: Subscription) -> datetime | None:
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
            end = entry.current_period_end or entry.canceled_at
            # The last write says when it ended only where nothing else does.
            end = end or paid_through or returned or entry.updated_at
            if entry.cancel_at_period_end and returned:
                given_up = entry.canceled_at or returned
                end = min(end, max(given_up, paid_through or given_up))
            return end
        if paid_through is None:
            return entry.canceled_at
        ends = (entry.current_period_end, paid_through, self.access_end(entry))
        return max(entry.canceled_at, min(end for end in ends if end is not None))

    def span(self, entry: Subscription) -> Span | None:
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


def mrr_at_end(
    spans: list[Span], month: date, zone: ZoneInfo
) -> dict[tuple[str, str, str], int]:
    """MRR per licence, currency and plan at a month's end, by looking at every one."""
    totals: dict[tuple[str, str, str], int] = defaultdict(int)
    for span in spans:
        entry = span.subscription
        if month_of(span.start, zone) <= month and (
            span.end is None or month_of(span.end, zone) > month
        ):
            key = (entry.license_id, entry.currency.upper(), entry.plan_type)
            totals[key] += monthly_amount(entry)
    return totals


def mrr(rows: Rows, zone: ZoneInfo, now: datetime) -> tuple[Mart, Mart]:
    """fct_mrr_movements_monthly and fct_mrr_monthly."""
    first = min(month_of(entry.created_at, zone) for entry in rows.subscriptions)
    spans = Ledger(rows).spans()
    movements: Mart = {}
    monthly: Mart = {}
    before: dict[tuple[str, str, str], int] = {}
    known: set[tuple[str, str]] = set()
    for month in months_through(first, month_of(now, zone)):
        after = mrr_at_end(spans, month, zone)
        changed = {
            key
            for key in before.keys() | after.keys()
            if before.get(key, 0) != after.get(key, 0)
        }
        types = {
            customer: _movement_type(customer, before, after, known)
            for customer in {
                (license_id, currency) for license_id, currency, _ in changed
            }
        }
        known |= {key[:2] for key in after}
        for key in changed:
            license_id, currency, plan_type = key
            opening, closing = before.get(key, 0), after.get(key, 0)
            movements[month, license_id, currency, plan_type] = {
                "movement_type": types[license_id, currency],
                "opening_mrr_cents": opening,
                "mrr_change_cents": closing - opening,
                "closing_mrr_cents": closing,
                "license_opening_mrr_cents": _total(before, license_id, currency),
                "license_closing_mrr_cents": _total(after, license_id, currency),
            }
        series = {(currency, plan_type) for _, currency, plan_type in after}
        series |= {(currency, plan) for _, currency, plan in monthly}
        for currency, plan_type in series:
            row = {
                "opening_mrr_cents": _sum_of(before, currency, plan_type),
                "closing_mrr_cents": _sum_of(after, currency, plan_type),
                "customers": sum(key[1:] == (currency, plan_type) for key in after),
            }
            for movement in MOVEMENTS:
                row[f"{movement}_mrr_cents"] = sum(
                    change["mrr_change_cents"]
                    for key, change in movements.items()
                    if (key[0], key[2], key[3]) == (month, currency, plan_type)
                    and change["movement_type"] == movement
                )
            monthly[month, currency, plan_type] = row
        before = after
    return movements, monthly


def _total(mrr: dict[tuple[str, str, str], int], license_id: str, currency: str) -> int:
    return sum(
        amount for key, amount in mrr.items() if key[:2] == (license_id, currency)
    )


def _sum_of(mrr: dict[tuple[str, str, str], int], currency: str, plan: str) -> int:
    return sum(amount for key, amount in mrr.items() if key[1:] == (currency, plan))


def _movement_type(
    customer: tuple[str, str],
    before: dict[tuple[str, str, str], int],
    after: dict[tuple[str, str, str], int],
    known: set[tuple[str, str]],
) -> str:
    opening, closing = _total(before, *customer), _total(after, *customer)
    if opening == 0:
        return "reactivation" if customer in known else "new"
    if closing == 0:
        return "churn"
    if closing == opening:
        # The mean plan, weighted by the money that goes to it.
        opening = _weight(before, customer)
        closing = _weight(after, customer)
        return "contraction" if closing < opening else "expansion"
    return "expansion" if closing > opening else "contraction"


def _weight(mrr: dict[tuple[str, str, str], int], customer: tuple[str, str]) -> int:
    return sum(
        PLANS.index(key[2]) * amount
        for key, amount in mrr.items()
        if key[:2] == customer
    )
