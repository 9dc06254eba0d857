"""The customers: their sign-up, region and story."""

from __future__ import annotations

import calendar
import datetime as dt
import enum
import math
import random
from dataclasses import dataclass, field
from uuid import UUID

from bootstrap.demo.arguments import Arguments, start_of_day
from bootstrap.demo.catalogue import PLANS, REGIONS, TRIAL, Region
from bootstrap.demo.rows import Subscription, new_id

DAY = dt.timedelta(days=1)

GROWTH = 0.6
"""Half of all customers sign up in the last third of the period (0.5 ** 0.6 = 0.66)."""


class Story(enum.Enum):
    """The course of a license, up to the end of the demo."""

    FREE = "stays on the free plan"
    STEADY = "pays from the first day"
    TRIAL_CONVERTS = "pays after a trial"
    TRIAL_CANCELLED = "leaves during the trial"
    TRIALING = "is in the trial now"
    UPGRADE = "moves to a higher plan"
    FREE_TO_PAID = "starts free and pays later"
    DOWNGRADE = "moves to a lower plan at a period's end"
    BACK_TO_FREE = "moves to the free plan at a period's end"
    SEATS_GROW = "buys more seats"
    CHURN = "cancels at once"
    CHURN_AT_PERIOD_END = "cancels for the period's end"
    CANCELLING = "has cancelled for a period's end that lies ahead"
    CHURN_AND_RETURN = "leaves, and comes back months later"
    REFUNDED = "gets the first payment back and leaves"
    GOODWILL_REFUND = "gets a later payment back, wholly or in part, and stays"
    PAST_DUE = "has a payment that failed and is being retried"
    UNPAID = "stopped paying and is locked out"
    PAYMENT_CHURN = "is cancelled because payments fail"
    INCOMPLETE = "has a first payment that waits for confirmation"
    INCOMPLETE_EXPIRED = "never confirmed the first payment"
    SECOND_TRY = "confirmed only the second first payment"
    PENDING_PAYMENT = "has just paid by bank transfer"


@dataclass(frozen=True, slots=True)
class Odds:
    """The weight of a story, and the ages of its customers (in days at the end)."""

    weight: float
    youngest: float = 0.0
    oldest: float = 100_000.0


ODDS: dict[Story, Odds] = {
    Story.FREE: Odds(15),
    Story.STEADY: Odds(22),
    Story.TRIAL_CONVERTS: Odds(17, youngest=TRIAL.days + 1),
    Story.TRIAL_CANCELLED: Odds(6, youngest=TRIAL.days),
    Story.TRIALING: Odds(2, youngest=0.5, oldest=TRIAL.days - 0.5),
    Story.UPGRADE: Odds(8, youngest=60),
    Story.FREE_TO_PAID: Odds(6, youngest=40),
    Story.DOWNGRADE: Odds(3, youngest=95),
    Story.BACK_TO_FREE: Odds(1, youngest=95),
    Story.SEATS_GROW: Odds(5, youngest=60),
    Story.CHURN: Odds(5, youngest=60),
    Story.CHURN_AT_PERIOD_END: Odds(5, youngest=95),
    Story.CANCELLING: Odds(1.5, youngest=45),
    Story.CHURN_AND_RETURN: Odds(3, youngest=200),
    Story.REFUNDED: Odds(2.5, youngest=20),
    Story.GOODWILL_REFUND: Odds(2, youngest=150),
    # Requires that a renewal is due now: see _a_renewal_ago.
    Story.PAST_DUE: Odds(0),
    Story.UNPAID: Odds(0.8, youngest=80),
    Story.PAYMENT_CHURN: Odds(1.5, youngest=80),
    Story.INCOMPLETE: Odds(0.3, youngest=0.02, oldest=0.9),
    Story.INCOMPLETE_EXPIRED: Odds(1.2, youngest=3),
    Story.SECOND_TRY: Odds(0.9, youngest=3),
    Story.PENDING_PAYMENT: Odds(0.5, youngest=0.02, oldest=0.6),
}

PLAN_ODDS = (("starter", 0.52), ("pro", 0.38), ("enterprise", 0.10))

WEEKDAYS = (1.0, 1.06, 1.04, 1.0, 0.86, 0.24, 0.18)
"""How busy each weekday is, Monday first."""

HOURS = (
    *(0.06, 0.04, 0.03, 0.02, 0.03, 0.06, 0.16, 0.42),
    *(0.85, 1.15, 1.25, 1.15, 0.80, 0.95, 1.20, 1.25),
    *(1.10, 0.85, 0.50, 0.36, 0.34, 0.32, 0.24, 0.14),
)
"""How busy each local hour of a working day is."""


@dataclass(slots=True)
class Tenure:
    """A time during which a license gives access on one plan with so many seats."""

    plan: str
    seats: int
    start: dt.datetime
    end: dt.datetime | None = None


@dataclass(slots=True)
class Customer:
    """One customer: the owner of one license. Billing fills in what happened."""

    number: int
    story: Story
    region: Region
    currency: str
    plan: str
    seats: int
    cycle: str
    signed_up_at: dt.datetime
    owner_id: UUID
    license_id: UUID
    tenures: list[Tenure] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)


def sign_up(arguments: Arguments) -> list[Customer]:
    """Return all customers in the order of their sign-up.

    The first drawn customers have each story twice, in alternating currencies, so that
    the smallest company has every story.
    """
    stream = arguments.stream("customers")
    drawn = []
    for index, story in enumerate(list(Story) * 2):
        region = REGIONS[1 + index % 3]
        drawn.append((_sign_up_for(arguments, stream, story), story, region))
    for _ in range(arguments.customers() - len(drawn)):
        region = stream.choices(REGIONS, [each.weight for each in REGIONS])[0]
        moment = _sign_up_time(arguments, stream, region)
        story = _story(stream, arguments.until - moment)
        drawn.append((moment, story, region))
    drawn.sort(key=lambda one: one[0])

    customers = []
    for index, (moment, story, region) in enumerate(drawn):
        plan = _plan(stream, story)
        customers.append(
            Customer(
                number=index + 1,
                story=story,
                region=region,
                currency=region.currency,
                plan=plan,
                seats=_seats(stream, plan),
                cycle=_cycle(stream, story, plan),
                signed_up_at=moment,
                owner_id=new_id(stream, moment),
                license_id=new_id(stream, moment),
            )
        )
    return customers


def _sign_up_time(
    arguments: Arguments, stream: random.Random, region: Region
) -> dt.datetime:
    """Growth: sign-ups increase with time, and are rare on weekends."""
    span = arguments.until - arguments.begin
    while True:
        moment = arguments.begin + span * math.pow(stream.random(), GROWTH)
        if stream.random() > WEEKDAYS[moment.weekday()]:
            continue
        moment = start_of_day(moment) + dt.timedelta(
            hours=stream.choices(range(24), HOURS)[0] - region.utc_offset,
            seconds=stream.randrange(3600),
            microseconds=stream.randrange(1_000_000),
        )
        if arguments.begin <= moment <= arguments.until:
            return moment


def _story(stream: random.Random, age: dt.timedelta) -> Story:
    """Return a story that suits the customer's age."""
    open_to = [
        story
        for story, odds in ODDS.items()
        if odds.youngest * DAY <= age <= odds.oldest * DAY
    ]
    return stream.choices(open_to, [ODDS[story].weight for story in open_to])[0]


def _sign_up_for(
    arguments: Arguments, stream: random.Random, story: Story
) -> dt.datetime:
    """Return a sign-up that leaves enough time for the story."""
    if story is Story.PAST_DUE:
        return _a_renewal_ago(arguments, stream)
    odds = ODDS[story]
    latest = arguments.until - odds.youngest * DAY
    earliest = max(arguments.begin, arguments.until - odds.oldest * DAY)
    span: dt.timedelta = latest - earliest
    return earliest + span * math.pow(stream.random(), GROWTH)


def _a_renewal_ago(arguments: Arguments, stream: random.Random) -> dt.datetime:
    """A sign-up whose last monthly renewal was due within the last four days."""
    renewed = arguments.until - stream.uniform(0.3, 3.5) * DAY
    return add_months(renewed, -stream.randint(2, 12))


def add_months(moment: dt.datetime, months: int) -> dt.datetime:
    """Return the same day and time so many months on, or the month's last day."""
    index = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(index, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _plan(stream: random.Random, story: Story) -> str:
    """Return the first paid plan, or the only one."""
    if story is Story.FREE:
        return PLANS[0]
    plan = stream.choices(
        [plan for plan, _ in PLAN_ODDS], [odds for _, odds in PLAN_ODDS]
    )[0]
    if story is Story.UPGRADE:
        return "starter" if plan == "enterprise" else plan
    if story is Story.DOWNGRADE:
        return "pro" if plan == "starter" else plan
    return plan


def _seats(stream: random.Random, plan: str) -> int:
    if plan == "free":
        return 1
    if plan == "starter":
        return stream.choices((1, 2, 3, 4, 5), (58, 20, 11, 6, 5))[0]
    if plan == "pro":
        return min(60, 2 + int(stream.lognormvariate(1.15, 0.8)))
    return min(250, 8 + int(stream.lognormvariate(2.3, 0.8)))


def _cycle(stream: random.Random, story: Story, plan: str) -> str:
    """Yearly if the story allows it, more often for large licenses."""
    if story in (Story.STEADY, Story.TRIAL_CONVERTS, Story.TRIALING, Story.UPGRADE):
        yearly = {"starter": 0.22, "pro": 0.32, "enterprise": 0.6}[plan]
        return "yearly" if stream.random() < yearly else "monthly"
    if story is Story.PENDING_PAYMENT:
        return "yearly"
    return "monthly"
