"""The customers that affiliates referred, and the commissions for them."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from bootstrap.demo.arguments import Arguments
from bootstrap.demo.billing import Books
from bootstrap.demo.catalogue import (
    CAMPAIGNS,
    COMMISSION_HOLD,
    REFUND_WINDOW,
    USER_AGENTS,
    address,
)
from bootstrap.demo.customers import DAY, Customer, Story, add_months
from bootstrap.demo.programme import PAYOUT_EVERY, Programme
from bootstrap.demo.rows import Affiliate, Commission, Payment, Referral, new_id

REFERRED_SHARE = 0.22
LEAST_REFERRED = 24
"""Share of customers that an affiliate referred, and their least number."""

COMMISSION_MONTHS = 12

BONUS = {"USD": 5_000, "EUR": 5_000, "JPY": 7_500}
BONUS_EVERY = 5
"""Each fifth conversion of an affiliate earns a bonus."""


def refer(
    programme: Programme,
    customers: list[Customer],
    books: Books,
    arguments: Arguments,
    stream: random.Random,
) -> None:
    """Assign customers to affiliates, with the commissions for them.

    One partner in three refers customers of one currency only. A goodwill refund causes
    no clawback, so customers with one have no affiliate.
    """
    payments: dict[UUID | None, list[Payment]] = defaultdict(list)
    for payment in books.payments:
        payments[payment.subscription_id].append(payment)
    own = {affiliate.user_id for affiliate in programme.affiliates}
    currencies = ("USD", "EUR", "JPY")
    share = max(REFERRED_SHARE, LEAST_REFERRED / len(customers))
    conversions: dict[UUID, int] = defaultdict(int)
    # Each outcome of a referral occurs at least once.
    untold = {
        Story.REFUNDED,
        Story.TRIAL_CANCELLED,
        Story.TRIALING,
        Story.FREE,
        Story.TRIAL_CONVERTS,
    }
    for customer in customers:
        if customer.story not in untold and stream.random() > share:
            continue
        if customer.story is Story.GOODWILL_REFUND or customer.owner_id in own:
            continue
        open_to = [
            affiliate
            for index, affiliate in enumerate(programme.affiliates)
            if affiliate.approved_at is not None
            and affiliate.approved_at < customer.signed_up_at - 2 * DAY
            and (
                affiliate.suspended_at is None
                or affiliate.suspended_at > customer.signed_up_at
            )
            and (index % 3 != 0 or customer.currency == currencies[index // 3 % 3])
        ]
        if not open_to:
            continue
        # An affiliate refers more customers, the longer they are an affiliate.
        affiliate = open_to[int(len(open_to) * stream.random() ** 1.6)]
        made = [
            payment
            for subscription in customer.subscriptions
            for payment in payments[subscription.id]
            if payment.processed_at is not None
        ]
        referral = _referral(stream, affiliate, customer, made)
        programme.referrals.append(referral)
        untold.discard(customer.story)
        earned = _earn(stream, affiliate, referral, made, arguments)
        programme.commissions += earned
        if referral.status == "converted":
            conversions[affiliate.id] += 1
            if earned and conversions[affiliate.id] % BONUS_EVERY == 0:
                programme.commissions.append(
                    _bonus(stream, affiliate, referral, earned[0], arguments)
                )


def _referral(
    stream: random.Random,
    affiliate: Affiliate,
    customer: Customer,
    made: list[Payment],
) -> Referral:
    signed_up = customer.signed_up_at
    status, qualified, converted = "pending", None, None
    last = signed_up
    if customer.tenures and customer.story is not Story.FREE:
        status = "qualified"
        last = qualified = customer.tenures[0].start
    if made and made[0].processed_at is not None:
        status = "converted"
        last = converted = made[0].processed_at
        if made[0].status == "refunded":
            status = "refunded"
            last = made[0].updated_at
    elif customer.tenures and customer.tenures[-1].end is not None:
        status = "cancelled"
        last = customer.tenures[-1].end
    campaign = stream.choice(CAMPAIGNS)
    paid_for = made[0].subscription_id if made else None
    return Referral(
        id=new_id(stream, signed_up),
        affiliate_id=affiliate.id,
        referred_user_id=customer.owner_id,
        license_id=customer.license_id,
        subscription_id=paid_for,
        referral_source="link",
        ip_address=address(customer.number * 7),
        user_agent=stream.choice(USER_AGENTS),
        utm_source="affiliate" if campaign else None,
        utm_medium="link" if campaign else None,
        utm_campaign=campaign,
        status=status,
        qualified_at=qualified,
        converted_at=converted,
        created_at=signed_up,
        updated_at=last,
    )


def _earn(
    stream: random.Random,
    affiliate: Affiliate,
    referral: Referral,
    made: list[Payment],
    arguments: Arguments,
) -> list[Commission]:
    """Return a commission for each payment of the first year, until a suspension."""
    if not made:
        return []
    ends = add_months(made[0].created_at, COMMISSION_MONTHS)
    if affiliate.suspended_at is not None:
        ends = min(ends, affiliate.suspended_at)
    earned: list[Commission] = []
    for payment in made:
        paid_at = payment.processed_at
        if paid_at is None or payment.created_at >= ends:
            continue
        at = min(paid_at + dt.timedelta(seconds=2), arguments.until)
        commission = Commission(
            id=new_id(stream, at),
            affiliate_id=affiliate.id,
            referral_id=referral.id,
            payment_transaction_id=payment.id,
            commission_type="recurring" if earned else "initial",
            amount_cents=_part(payment.amount_cents, affiliate.commission_rate),
            commission_rate=affiliate.commission_rate,
            currency=payment.currency,
            created_at=at,
            updated_at=at,
        )
        earned.append(commission)
        if payment.status == "refunded":
            commission.status = "cancelled"
            commission.updated_at = max(payment.updated_at, at)
            commission.notes = "payment refunded"
        else:
            _approve_after(commission, COMMISSION_HOLD, arguments)
    return earned


def _part(amount: int, percent: Decimal) -> int:
    """Return a percentage of an amount in whole minor units, half rounded up."""
    return int((amount * percent / 100).quantize(Decimal(1), ROUND_HALF_UP))


def _bonus(
    stream: random.Random,
    affiliate: Affiliate,
    referral: Referral,
    first: Commission,
    arguments: Arguments,
) -> Commission:
    """Return a fixed amount: a bonus or, sometimes, an adjustment."""
    at = min(first.created_at + dt.timedelta(hours=1), arguments.until)
    corrects = stream.random() < 0.3
    commission = Commission(
        id=new_id(stream, at),
        affiliate_id=affiliate.id,
        referral_id=referral.id,
        payment_transaction_id=None,
        commission_type="adjustment" if corrects else "bonus",
        amount_cents=BONUS[first.currency] // (2 if corrects else 1),
        commission_rate=Decimal("0.00"),
        currency=first.currency,
        notes="missed campaign bonus" if corrects else "conversion milestone",
        created_at=at,
        updated_at=at,
    )
    _approve_after(commission, COMMISSION_HOLD, arguments)
    return commission


def _approve_after(
    commission: Commission, hold: dt.timedelta, arguments: Arguments
) -> None:
    assert hold > REFUND_WINDOW
    approved = commission.created_at + hold
    if approved <= arguments.until:
        commission.status = "approved"
        commission.approved_at = approved
        commission.updated_at = approved


def hold_back(programme: Programme, stream: random.Random) -> None:
    """Freeze unpaid commissions of a suspended or banned affiliate."""
    stopped = {
        affiliate.id: affiliate
        for affiliate in programme.affiliates
        if affiliate.suspended_at is not None
    }
    for commission in programme.commissions:
        affiliate = stopped.get(commission.affiliate_id)
        if affiliate is None or commission.status == "cancelled":
            continue
        assert affiliate.suspended_at is not None
        # The previous payout run has paid commissions approved by then.
        last_run = affiliate.suspended_at - PAYOUT_EVERY - 5 * DAY
        if commission.approved_at is not None and commission.approved_at < last_run:
            continue
        banned = affiliate.status == "banned"
        commission.status = "cancelled" if banned else "disputed"
        commission.approved_at = None
        commission.notes = f"affiliate {affiliate.status}"
        commission.updated_at = max(affiliate.suspended_at, commission.created_at)
