"""The affiliates' marts."""

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.python.reference.calendar import day_of, month_of
from tests.python.reference.rows import Rows

Mart = dict[tuple[Any, ...], dict[str, Any]]


def earnings(rows: Rows) -> Mart:
    """fct_affiliate_earnings."""
    mart: Mart = {}
    keys = {(entry.affiliate_id, entry.currency.upper()) for entry in rows.commissions}
    keys |= {(entry.affiliate_id, entry.currency.upper()) for entry in rows.payouts}
    for key in keys:
        commissions = [
            entry
            for entry in rows.commissions
            if (entry.affiliate_id, entry.currency.upper()) == key
        ]
        payouts = [
            entry
            for entry in rows.payouts
            if (entry.affiliate_id, entry.currency.upper()) == key
        ]
        by_status: dict[str, int] = defaultdict(int)
        for commission in commissions:
            by_status[commission.status] += commission.amount_cents
        completed = sum(
            payout.amount_cents for payout in payouts if payout.status == "completed"
        )
        mart[key] = {
            "commissions": len(commissions),
            "pending_cents": by_status["pending"],
            "approved_cents": by_status["approved"],
            "paid_cents": by_status["paid"],
            "cancelled_cents": by_status["cancelled"],
            "disputed_cents": by_status["disputed"],
            "total_earnings_cents": by_status["approved"] + by_status["paid"],
            "payouts_completed_cents": completed,
            "payouts_in_flight_cents": sum(
                payout.amount_cents
                for payout in payouts
                if payout.status in {"pending", "processing"}
            ),
            "unreconciled_cents": by_status["paid"] - completed,
        }
    return mart


def earnings_monthly(rows: Rows, zone: ZoneInfo) -> Mart:
    """fct_affiliate_earnings_monthly."""
    amounts = {
        "approved": "earned_cents",
        "paid": "earned_cents",
        "pending": "pending_cents",
        "cancelled": "cancelled_cents",
        "disputed": "disputed_cents",
    }
    mart: Mart = {}
    for commission in rows.commissions:
        key = (
            month_of(commission.created_at, zone),
            commission.affiliate_id,
            commission.currency.upper(),
            commission.commission_type,
        )
        row = mart.setdefault(
            key, {"commissions": 0, **dict.fromkeys(amounts.values(), 0)}
        )
        row["commissions"] += 1
        row[amounts[commission.status]] += commission.amount_cents
    return mart


def funnel_daily(rows: Rows, zone: ZoneInfo) -> Mart:
    """fct_affiliate_funnel_daily."""
    counts: dict[tuple[date, str, str | None], dict[str, int]] = {}

    def count(day: date, entry: Any, step: str) -> None:
        row = counts.setdefault(
            (day, entry.affiliate_id, entry.utm_campaign),
            dict.fromkeys(
                (
                    "clicks",
                    "converted_clicks",
                    "referrals",
                    "qualified_referrals",
                    "converted_referrals",
                ),
                0,
            ),
        )
        row[step] += 1

    for click in rows.clicks:
        count(day_of(click.clicked_at, zone), click, "clicks")
        if click.converted:
            count(day_of(click.clicked_at, zone), click, "converted_clicks")
    for referral in rows.referrals:
        count(day_of(referral.created_at, zone), referral, "referrals")
        if referral.status in {"cancelled", "refunded"}:
            continue
        if referral.qualified_at:
            day = day_of(referral.qualified_at, zone)
            count(day, referral, "qualified_referrals")
        if referral.converted_at:
            day = day_of(referral.converted_at, zone)
            count(day, referral, "converted_referrals")
    return {
        key: {
            **row,
            "conversion_rate": (
                Decimal(row["converted_referrals"]) / row["clicks"]
                if row["clicks"]
                else None
            ),
        }
        for key, row in counts.items()
    }
