"""The revenue marts."""

from collections import defaultdict
from datetime import date, datetime
from zoneinfo import ZoneInfo

from tests.python.reference.affiliates import Mart
from tests.python.reference.calendar import month_of, months_through
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


def life(subscription: Subscription) -> tuple[datetime, datetime | None] | None:
    """From when until before when a subscription counts; None when it never does."""
    if subscription.status in {"trialing", "incomplete", "incomplete_expired"}:
        return None
    start = subscription.created_at
    if subscription.trial_end is not None:
        start = max(start, subscription.trial_end)
    candidates: tuple[datetime | None, ...]
    if subscription.status == "canceled":
        if (
            subscription.trial_end is not None
            and subscription.canceled_at is not None
            and subscription.canceled_at < subscription.trial_end
        ):
            return None
        candidates = (
            subscription.canceled_at,
            subscription.current_period_end,
            subscription.updated_at,
        )
        if subscription.cancel_at_period_end:
            candidates = (subscription.current_period_end, *candidates)
    elif subscription.status == "unpaid":
        candidates = (
            subscription.current_period_start,
            subscription.canceled_at,
            subscription.updated_at,
        )
    elif subscription.cancel_at_period_end:
        candidates = (subscription.current_period_end,)
    else:
        candidates = ()
    return start, next((moment for moment in candidates if moment is not None), None)


def mrr_at_end(
    rows: Rows, month: date, zone: ZoneInfo
) -> dict[tuple[str, str, str], int]:
    """MRR per licence, currency and plan at a month's end, by looking at every one."""
    totals: dict[tuple[str, str, str], int] = defaultdict(int)
    for subscription in rows.subscriptions:
        span = life(subscription)
        amount = monthly_amount(subscription)
        if span is None or amount == 0:
            continue
        start, end = span
        if end is not None and end <= start:
            continue
        if month_of(start, zone) <= month and (
            end is None or month_of(end, zone) > month
        ):
            key = (
                subscription.license_id,
                subscription.currency.upper(),
                subscription.plan_type,
            )
            totals[key] += amount
    return totals


def mrr(rows: Rows, zone: ZoneInfo, now: datetime) -> tuple[Mart, Mart]:
    """fct_mrr_movements_monthly and fct_mrr_monthly."""
    first = min(month_of(entry.created_at, zone) for entry in rows.subscriptions)
    movements: Mart = {}
    monthly: Mart = {}
    before: dict[tuple[str, str, str], int] = {}
    known: set[tuple[str, str]] = set()
    for month in months_through(first, month_of(now, zone)):
        after = mrr_at_end(rows, month, zone)
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
