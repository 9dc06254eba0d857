"""The affiliate program: clicks, referrals, commissions and payouts.

The ledger is consistent by construction. A commission is a rate of one payment, in its
currency. It is approved when the payment can no longer be refunded, and canceled after
a refund (the clawback, always before any payout). Each payout run pays all approved
commissions of one affiliate in one currency. Those of a failed payout wait for the next
run.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

from bootstrap.demo.accounts import Accounts, new_user
from bootstrap.demo.arguments import Arguments, start_of_day
from bootstrap.demo.billing import Books
from bootstrap.demo.catalogue import CAMPAIGNS, USER_AGENTS, address
from bootstrap.demo.customers import DAY, HOURS, WEEKDAYS, Customer, Story
from bootstrap.demo.payouts import pay_out
from bootstrap.demo.programme import Programme
from bootstrap.demo.referrals import hold_back, refer
from bootstrap.demo.rows import Affiliate, Click, Referral, User, new_id

CLICKS_PER_REFERRAL = 40
RATES = tuple(Decimal(rate) for rate in ("20.00", "20.00", "25.00", "15.00", "12.50"))
METHODS = ("stripe", "paypal", "bank_transfer", "crypto")


def run_programme(
    customers: list[Customer],
    accounts: Accounts,
    books: Books,
    arguments: Arguments,
) -> Programme:
    """Return the affiliates with their referrals and earnings."""
    stream = arguments.stream("affiliates")
    programme = Programme()
    _enrol(programme, customers, accounts, arguments, stream)
    refer(programme, customers, books, arguments, stream)
    hold_back(programme, stream)
    pay_out(programme, arguments, stream)
    return programme


def draw_clicks(programme: Programme, arguments: Arguments) -> Iterator[Click]:
    """Yield all clicks: one for each referral, and many without a result."""
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
    """Enroll affiliates: a quarter are customers themselves, the rest partners."""
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
            # Partners join at the start or soon after it.
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
