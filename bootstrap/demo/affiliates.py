"""The affiliate programme: clicks, referrals, commissions and payouts.

The ledger is healthy by construction: a commission is a rate of one payment, in its
currency; it is approved once the payment can no longer be refunded, and cancelled if it
was (the clawback, always before any payout); each payout run takes all approved
commissions of one affiliate in one currency, and those of a payout that failed wait for
the next run.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

from bootstrap.demo.accounts import Accounts, new_user
from bootstrap.demo.arguments import Arguments, start_of_day
from bootstrap.demo.billing import Books
from bootstrap.demo.catalogue import (
    CAMPAIGNS,
    COMMISSION_HOLD,
    REFUND_WINDOW,
    USER_AGENTS,
    address,
)
from bootstrap.demo.customers import DAY, HOURS, WEEKDAYS, Customer, Story, add_months
from bootstrap.demo.rows import (
    Affiliate,
    Click,
    Commission,
    Payment,
    Payout,
    Referral,
    User,
    new_id,
)

REFERRED_SHARE = 0.22
LEAST_REFERRED = 24
"""Part of customers that an affiliate brought, and how many where that is few."""

CLICKS_PER_REFERRAL = 40
COMMISSION_MONTHS = 12
RATES = tuple(Decimal(rate) for rate in ("20.00", "20.00", "25.00", "15.00", "12.50"))
METHODS = ("stripe", "paypal", "bank_transfer", "crypto")

PAYOUT_EVERY = 28 * DAY
LAST_PAYOUT_BEFORE_END = 2 * DAY
"""Payouts of the last run are under way at the end; those of earlier ones are over."""

LEAST_PAYOUT = {"USD": 1_000, "EUR": 1_000, "JPY": 1_000}
BONUS = {"USD": 5_000, "EUR": 5_000, "JPY": 7_500}
BONUS_EVERY = 5
"""Each fifth conversion of an affiliate earns a bonus."""


@dataclass(slots=True)
class Programme:
    """The rows of the affiliates' tables; clicks are drawn on the way to COPY."""

    users: list[User] = field(default_factory=list)
    affiliates: list[Affiliate] = field(default_factory=list)
    referrals: list[Referral] = field(default_factory=list)
    commissions: list[Commission] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)


def run_programme(
    customers: list[Customer],
    accounts: Accounts,
    books: Books,
    arguments: Arguments,
) -> Programme:
    """Return the affiliates and what they brought and earned."""
    stream = arguments.stream("affiliates")
    programme = Programme()
    _enrol(programme, customers, accounts, arguments, stream)
    _refer(programme, customers, books, arguments, stream)
    _hold_back(programme, stream)
    _pay_out(programme, arguments, stream)
    return programme


def draw_clicks(programme: Programme, arguments: Arguments) -> Iterator[Click]:
    """Yield all clicks: the one that led to each referral, and the many in vain."""
    stream = arguments.stream("clicks")
    for referral in programme.referrals:
        before = dt.timedelta(minutes=stream.expovariate(1 / 900) + 3)
        at = max(referral.created_at - before, arguments.begin)
        yield _click(stream, referral.affiliate_id, at, referral)
    weights = [stream.lognormvariate(0, 0.8) for _ in programme.affiliates]
    wanted = len(programme.referrals) * CLICKS_PER_REFERRAL
    active = [each.approved_at is not None for each in programme.affiliates]
    odds = [weight * on for weight, on in zip(weights, active, strict=True)]
    for affiliate in stream.choices(programme.affiliates, odds, k=wanted):
        click_at = _click_time(affiliate, arguments, stream)
        if click_at is not None:
            yield _click(stream, affiliate.id, click_at, None)


def _click_time(
    affiliate: Affiliate, arguments: Arguments, stream: random.Random
) -> dt.datetime | None:
    """Return a busy moment of the affiliate's active time."""
    start = affiliate.approved_at
    assert start is not None
    end = affiliate.suspended_at or arguments.until
    for _ in range(8):
        moment = start + (end - start) * stream.random() ** 0.7
        if stream.random() < 0.25 + 0.75 * WEEKDAYS[moment.weekday()]:
            moment = start_of_day(moment) + dt.timedelta(
                hours=stream.choices(range(24), HOURS)[0],
                seconds=stream.uniform(0, 3600),
            )
            if start <= moment <= end:
                return moment
    return None


def _click(
    stream: random.Random,
    affiliate_id: UUID,
    at: dt.datetime,
    referral: Referral | None,
) -> Click:
    campaign = stream.choice(CAMPAIGNS) if referral is None else referral.utm_campaign
    return Click(
        id=new_id(stream, at),
        affiliate_id=affiliate_id,
        ip_address=(
            referral.ip_address if referral else address(stream.randrange(4096))
        ),
        user_agent=referral.user_agent if referral else stream.choice(USER_AGENTS),
        referrer_url="https://blog.example.org/review" if campaign else None,
        landing_page=stream.choice(("/", "/pricing", "/tour")),
        utm_source="affiliate" if campaign else None,
        utm_medium="link" if campaign else None,
        utm_campaign=campaign,
        converted=referral is not None,
        referral_id=referral.id if referral else None,
        clicked_at=at,
    )


# Affiliates --------------------------------------------------------------------------


def _enrol(
    programme: Programme,
    customers: list[Customer],
    accounts: Accounts,
    arguments: Arguments,
    stream: random.Random,
) -> None:
    """Enrol affiliates: a quarter are customers themselves, the rest partners."""
    number = max(8, round(24 * arguments.scale))
    owners = {user.id: user for user in accounts.users}
    happy = [
        customer
        for customer in customers
        if customer.story in (Story.STEADY, Story.FREE, Story.UPGRADE)
        and customer.signed_up_at < arguments.until - 120 * DAY
    ]
    chosen = stream.sample(happy, min(len(happy), number // 4))
    span = arguments.until - arguments.begin
    for index in range(number):
        if index < number - len(chosen):
            # Partners are there from the start, or soon.
            joined = arguments.begin + span * (
                0.01 if index < 4 else 0.6 * stream.random() ** 1.5
            )
            user = new_user(stream, joined, f"partner-{index + 1}@example.org")
            programme.users.append(user)
        else:
            customer = chosen[index - number + len(chosen)]
            user = owners[customer.owner_id]
            joined = customer.signed_up_at + 60 * DAY
        programme.affiliates.append(
            _affiliate(index, number, user, joined, arguments, stream)
        )


def _affiliate(
    index: int,
    number: int,
    user: User,
    joined: dt.datetime,
    arguments: Arguments,
    stream: random.Random,
) -> Affiliate:
    status = "active"
    approved: dt.datetime | None = joined + DAY * stream.uniform(0.2, 2.0)
    suspended: dt.datetime | None = None
    if index % 12 == 4:
        status, approved = "pending", None
    elif index % 12 in (5, 7) and approved is not None:
        status = "suspended" if index % 12 == 5 else "banned"
        suspended = approved + (arguments.until - approved) * stream.uniform(0.6, 0.9)
    return Affiliate(
        id=new_id(stream, joined),
        user_id=user.id,
        affiliate_code=f"PARTNER{index + 1:04d}",
        status=status,
        commission_rate=RATES[index % len(RATES)],
        payment_method=METHODS[index % len(METHODS)],
        payment_details={"account": f"demo-account-{index + 1}"},
        approved_at=approved,
        suspended_at=suspended,
        created_at=joined,
        updated_at=max(filter(None, (joined, approved, suspended))),
    )


# Referrals and commissions -----------------------------------------------------------


def _refer(
    programme: Programme,
    customers: list[Customer],
    books: Books,
    arguments: Arguments,
    stream: random.Random,
) -> None:
    """Give customers to the affiliates that brought them, with what that earned.

    One partner in three brings customers of one currency only. Refunds in good will are
    no clawbacks, so such customers came by themselves.
    """
    payments: dict[UUID | None, list[Payment]] = defaultdict(list)
    for payment in books.payments:
        payments[payment.subscription_id].append(payment)
    own = {affiliate.user_id for affiliate in programme.affiliates}
    currencies = ("USD", "EUR", "JPY")
    share = max(REFERRED_SHARE, LEAST_REFERRED / len(customers))
    conversions: dict[UUID, int] = defaultdict(int)
    # Whatever a referral can come to is seen at least once.
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
        # The longer somebody is an affiliate, the more they bring.
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
    """Return a fixed amount, as a bonus or, now and then, to set something right."""
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


def _hold_back(programme: Programme, stream: random.Random) -> None:
    """Freeze what was not yet paid when an affiliate was suspended or banned."""
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
        # The last run before it may have paid what was approved by then.
        last_run = affiliate.suspended_at - PAYOUT_EVERY - 5 * DAY
        if commission.approved_at is not None and commission.approved_at < last_run:
            continue
        banned = affiliate.status == "banned"
        commission.status = "cancelled" if banned else "disputed"
        commission.approved_at = None
        commission.notes = f"affiliate {affiliate.status}"
        commission.updated_at = max(affiliate.suspended_at, commission.created_at)


# Payouts -----------------------------------------------------------------------------


def _pay_out(programme: Programme, arguments: Arguments, stream: random.Random) -> None:
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
    """Carry a payout as far as it gets; the second fails and the fourth is stopped."""
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
