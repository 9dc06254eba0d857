"""The payouts of affiliates' earnings."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from uuid import UUID

from bootstrap.demo.arguments import Arguments
from bootstrap.demo.customers import DAY
from bootstrap.demo.programme import PAYOUT_EVERY, Programme
from bootstrap.demo.rows import Affiliate, Commission, Payout, new_id

LAST_PAYOUT_BEFORE_END = 2 * DAY
"""Payouts of the last run are in progress at the end; earlier ones have ended."""

LEAST_PAYOUT = {"USD": 1_000, "EUR": 1_000, "JPY": 1_000}


def pay_out(programme: Programme, arguments: Arguments, stream: random.Random) -> None:
    """Run the payouts every four weeks, up to two days before the end."""
    affiliates = {affiliate.id: affiliate for affiliate in programme.affiliates}
    waiting: dict[tuple[UUID, str], list[Commission]] = defaultdict(list)
    approved = sorted(
        (each for each in programme.commissions if each.status == "approved"),
        key=lambda commission: (commission.approved_at, commission.id),
    )
    last_run = arguments.until - LAST_PAYOUT_BEFORE_END
    runs = int((last_run - arguments.begin) / PAYOUT_EVERY)
    position = 0
    for number in range(runs, -1, -1):
        run_at = last_run - number * PAYOUT_EVERY
        while position < len(approved):
            commission = approved[position]
            assert commission.approved_at is not None
            if commission.approved_at > run_at:
                break
            waiting[commission.affiliate_id, commission.currency].append(commission)
            position += 1
        for (affiliate_id, currency), commissions in waiting.items():
            amount = sum(commission.amount_cents for commission in commissions)
            if not commissions or amount < LEAST_PAYOUT[currency]:
                continue
            payout = _payout(
                stream,
                affiliates[affiliate_id],
                commissions,
                run_at,
            )
            programme.payouts.append(payout)
            _process(payout, len(programme.payouts), stream, under_way=number == 0)
            if payout.status in ("failed", "cancelled"):
                continue
            for commission in commissions:
                commission.payout_id = payout.id
                commission.updated_at = run_at
                if payout.completed_at is not None:
                    commission.status = "paid"
                    commission.paid_at = payout.completed_at
                    commission.updated_at = payout.completed_at
            commissions.clear()


def _payout(
    stream: random.Random,
    affiliate: Affiliate,
    commissions: list[Commission],
    at: dt.datetime,
) -> Payout:
    return Payout(
        id=new_id(stream, at),
        affiliate_id=affiliate.id,
        amount_cents=sum(commission.amount_cents for commission in commissions),
        currency=commissions[0].currency,
        payment_method=affiliate.payment_method,
        payment_reference=None,
        status="pending",
        commission_count=len(commissions),
        created_at=at,
        updated_at=at,
    )


def _process(
    payout: Payout, number: int, stream: random.Random, *, under_way: bool
) -> None:
    """Process a payout; the second one fails and the fourth is canceled."""
    processed = payout.created_at + dt.timedelta(hours=stream.uniform(1, 12))
    if under_way:
        if number % 3:
            payout.status = "processing"
            payout.processed_at = payout.updated_at = processed
        return
    luck = stream.random()
    if number == 4 or luck < 0.02:
        payout.status = "cancelled"
        payout.updated_at = processed
        return
    payout.processed_at = processed
    completed = processed + dt.timedelta(hours=stream.uniform(5, 70))
    payout.updated_at = completed
    if number == 2 or luck > 0.95:
        payout.status = "failed"
        payout.failed_reason = "the receiving account is closed"
        return
    payout.status = "completed"
    payout.completed_at = completed
    payout.payment_reference = f"REF-{stream.getrandbits(48):012X}"
