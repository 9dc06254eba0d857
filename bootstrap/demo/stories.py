"""The stories of customers, as steps that `Billing` executes up to the end."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable

from bootstrap.demo.arguments import Arguments
from bootstrap.demo.billing import Billing, Books, sell_once
from bootstrap.demo.catalogue import PLANS, REFUND_WINDOW, TRIAL, UNIT_PRICES
from bootstrap.demo.customers import DAY, Customer, Story, add_months

PlotStep = Callable[[Billing, random.Random], None]


def live(customers: list[Customer], arguments: Arguments) -> Books:
    """Run every customer's story; return all subscriptions and payments."""
    stream = arguments.stream("billing")
    books = Books()
    for customer in customers:
        billing = Billing(customer, books, arguments, stream)
        if customer.cycle == "yearly" and stream.random() < 0.3:
            billing.method = "bank_transfer"
        _PLOTS.get(customer.story, _steady)(billing, stream)
        billing.finish()
    for number in range(max(3, round(len(customers) * 0.01))):
        sell_once(books, arguments, stream, sorted(UNIT_PRICES["free"])[number % 3])
    return books


def _wait(stream: random.Random, least: float, mean: float) -> dt.timedelta:
    """Return a number of days: at least so many, plus `mean` on average."""
    return (least + stream.expovariate(1 / mean)) * DAY


def _within(stream: random.Random, billing: Billing, share: float) -> dt.datetime:
    """Return a moment within that share of the remaining demo."""
    left = billing.until - billing.now
    return billing.now + left * share * (0.35 + 0.65 * stream.random())


def _start(billing: Billing, *, trial: bool = False, wait: float = 0.0) -> None:
    customer = billing.customer
    billing.subscribe(
        customer.signed_up_at + dt.timedelta(minutes=4, days=wait),
        customer.plan,
        seats=customer.seats,
        cycle=customer.cycle,
        trial=trial,
    )


def _start_free(billing: Billing) -> None:
    at = billing.customer.signed_up_at + dt.timedelta(seconds=2)
    billing.subscribe(at, "free", seats=1)


def _steady(billing: Billing, stream: random.Random) -> None:
    _start(billing, trial=billing.customer.story is Story.TRIAL_CONVERTS)


def _free(billing: Billing, stream: random.Random) -> None:
    _start_free(billing)


def _trialing(billing: Billing, stream: random.Random) -> None:
    _start(billing, trial=True)


def _trial_cancelled(billing: Billing, stream: random.Random) -> None:
    _start(billing, trial=True)
    billing.cancel(billing.now + TRIAL * stream.uniform(0.2, 0.95))


def _upgrade(billing: Billing, stream: random.Random) -> None:
    _start(billing, trial=stream.random() < 0.4)
    customer = billing.customer
    higher = PLANS[PLANS.index(customer.plan) + 1]
    seats = customer.seats + stream.randint(1, 4)
    if not billing.switch(_within(stream, billing, 0.6), higher, seats):
        return
    if higher != "enterprise" and stream.random() < 0.3:
        seats += stream.randint(4, 12)
        billing.switch(_within(stream, billing, 1.2), "enterprise", seats)


def _free_to_paid(billing: Billing, stream: random.Random) -> None:
    _start_free(billing)
    customer = billing.customer
    at = _within(stream, billing, 0.7)
    billing.switch(at, customer.plan, customer.seats)


def _downgrade(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    customer = billing.customer
    lower = PLANS[PLANS.index(customer.plan) - 1]
    seats = max(1, customer.seats * 2 // 3)
    billing.switch_at_period_end(_within(stream, billing, 0.6), lower, seats)


def _back_to_free(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    billing.switch_at_period_end(_within(stream, billing, 0.6), "free", 1)


def _seats_grow(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    customer = billing.customer
    seats = customer.seats
    for _ in range(stream.randint(1, 3)):
        seats += stream.randint(1, 2 + seats // 3)
        if not billing.switch(_within(stream, billing, 0.6), customer.plan, seats):
            return


def _churn(billing: Billing, stream: random.Random) -> None:
    _start(billing, trial=stream.random() < 0.3)
    billing.cancel(_within(stream, billing, 0.9))


def _churn_at_period_end(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    billing.cancel_at_period_end(_within(stream, billing, 0.6))


def _cancelling(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    renewed = billing.customer.subscriptions[-1].current_period_start
    periods = 0
    while add_months(renewed, periods + 1) < billing.until:
        periods += 1
    running = billing.until - add_months(renewed, periods)
    billing.cancel_at_period_end(billing.until - running * stream.uniform(0.1, 0.9))


def _churn_and_return(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    at_once = stream.random() < 0.5
    leave = billing.cancel if at_once else billing.cancel_at_period_end
    if not leave(_within(stream, billing, 0.35)):
        return
    customer = billing.customer
    plan = "starter" if stream.random() < 0.3 else customer.plan
    back = billing.now + (billing.until - billing.now) * stream.uniform(0.25, 0.7)
    billing.card_works = True
    billing.subscribe(back, plan, seats=customer.seats)


def _refunded(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    first = billing.payments[-1]
    at = first.updated_at + REFUND_WINDOW * stream.uniform(0.1, 0.6)
    if first.status == "succeeded" and billing.cancel(at):
        billing.refund(first, billing.now, first.amount_cents)


def _goodwill_refund(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    billing.finish()
    later = [
        payment
        for payment in billing.payments[1:]
        if payment.status == "succeeded"
        and payment.updated_at + REFUND_WINDOW < billing.until
    ]
    for payment in later[:1] + later[2:3]:
        share = 1.0 if payment is later[0] else 0.4
        at = payment.updated_at + REFUND_WINDOW * stream.uniform(0.1, 0.9)
        billing.refund(payment, at, int(payment.amount_cents * share))


def _past_due(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    billing.advance(billing.until - 4 * DAY)
    billing.card_works = False


def _unpaid(billing: Billing, stream: random.Random) -> None:
    _start(billing)
    billing.advance(_within(stream, billing, 0.5))
    billing.card_works = False


def _payment_churn(billing: Billing, stream: random.Random) -> None:
    _unpaid(billing, stream)
    billing.finish()
    billing.give_up(_wait(stream, 5, 10))


def _incomplete(billing: Billing, stream: random.Random) -> None:
    customer = billing.customer
    at = customer.signed_up_at + dt.timedelta(minutes=4)
    billing.subscribe_unconfirmed(at, customer.plan, customer.seats)


def _second_try(billing: Billing, stream: random.Random) -> None:
    _incomplete(billing, stream)
    _start(billing, wait=stream.uniform(1.1, 2.5))


def _pending_payment(billing: Billing, stream: random.Random) -> None:
    billing.method = "bank_transfer"
    _start(billing)


_PLOTS: dict[Story, PlotStep] = {
    Story.FREE: _free,
    Story.TRIALING: _trialing,
    Story.TRIAL_CANCELLED: _trial_cancelled,
    Story.UPGRADE: _upgrade,
    Story.FREE_TO_PAID: _free_to_paid,
    Story.DOWNGRADE: _downgrade,
    Story.BACK_TO_FREE: _back_to_free,
    Story.SEATS_GROW: _seats_grow,
    Story.CHURN: _churn,
    Story.CHURN_AT_PERIOD_END: _churn_at_period_end,
    Story.CANCELLING: _cancelling,
    Story.CHURN_AND_RETURN: _churn_and_return,
    Story.REFUNDED: _refunded,
    Story.GOODWILL_REFUND: _goodwill_refund,
    Story.PAST_DUE: _past_due,
    Story.UNPAID: _unpaid,
    Story.PAYMENT_CHURN: _payment_churn,
    Story.INCOMPLETE: _incomplete,
    Story.INCOMPLETE_EXPIRED: _incomplete,
    Story.SECOND_TRY: _second_try,
    Story.PENDING_PAYMENT: _pending_payment,
}
"""The steps of each story; the others have those of `_steady`."""
