"""Charges of a customer: subscriptions, payments and the state of the license.

`Billing` advances one license in time. It renews, retries and refunds as the payment
provider does, and stops at the end of the demo. `stories.py` decides what a customer
does. Rules for every license:

- there is one live subscription at any time: a change of plan or seats cancels the old
  row at the start of the new one;
- a cancellation for the period's end keeps the time of the request in `canceled_at`;
  the subscription ends at `current_period_end`;
- an immediate cancellation ends the current period;
- a free subscription has the price 0 and no payments.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from uuid import UUID

from bootstrap.demo.arguments import Arguments
from bootstrap.demo.catalogue import TRIAL, price
from bootstrap.demo.customers import Customer, Tenure, add_months
from bootstrap.demo.rows import Payment, Subscription, new_id, stripe_id

FAILURE_RATE = 0.035
"""Share of card payments that are declined at first."""

RETRY_DAYS = (1, 3, 5)
"""Days after the first attempt at which a declined card is tried again."""

CONFIRMATION_HOURS = 23
"""An unconfirmed first payment expires after this time."""

DECLINES = ("card_declined", "insufficient_funds", "expired_card", "processing_error")
CARD_METHODS = {"USD": "card", "EUR": "sepa_debit", "JPY": "card"}


@dataclass(slots=True)
class Books:
    """All subscriptions and payments of the company."""

    subscriptions: list[Subscription] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)


class Billing:
    """The billing of one customer. It ignores everything after the demo's end."""

    def __init__(
        self,
        customer: Customer,
        books: Books,
        arguments: Arguments,
        stream: random.Random,
    ) -> None:
        self.customer = customer
        self.now = customer.signed_up_at
        self.current: Subscription | None = None
        self.payments: list[Payment] = []
        self.card_works = True
        self.method = CARD_METHODS[customer.currency]
        self._books = books
        self.until = arguments.until
        self._stream = stream
        self._stripe_customer = stripe_id(stream, "cus")
        self._anchor = customer.signed_up_at
        self._periods = 0

    # Actions of a customer -----------------------------------------------------------

    def subscribe(
        self,
        at: dt.datetime,
        plan: str,
        *,
        seats: int,
        cycle: str = "monthly",
        trial: bool = False,
    ) -> bool:
        """Start a subscription, with its first payment unless it is free or a trial."""
        if at > self.until:
            return False
        self.now = at
        first_charge = at + TRIAL if trial else at
        subscription = self._open(at, plan, seats, cycle)
        if trial:
            subscription.status = "trialing"
            subscription.trial_start = at
            subscription.trial_end = first_charge
            subscription.current_period_end = first_charge
        self._give_access(at, plan, seats)
        self._anchor, self._periods = first_charge, 0
        if not trial:
            self._renew(at)
        return True

    def subscribe_unconfirmed(self, at: dt.datetime, plan: str, seats: int) -> bool:
        """Start a subscription whose first payment is never confirmed: no access."""
        if at > self.until:
            return False
        subscription = self._open(at, plan, seats, "monthly")
        subscription.status = "incomplete"
        payment = self._payment(subscription, at, subscription.amount_cents)
        expires = at + dt.timedelta(hours=CONFIRMATION_HOURS)
        if expires <= self.until:
            subscription.status = "incomplete_expired"
            subscription.updated_at = expires
            payment.status = "canceled"
            payment.updated_at = expires
        self.current = None
        return True

    def switch(self, at: dt.datetime, plan: str, seats: int) -> bool:
        """Change plan or seats at once, and credit the unused part of the period."""
        old = self.advance(at)
        if old is None:
            return False
        at = self.now
        left = (old.current_period_end - at) / (
            old.current_period_end - old.current_period_start
        )
        in_trial = old.status == "trialing"
        paid_ahead = 0 if in_trial else int(old.amount_cents * max(left, 0.0))
        old.status = "canceled"
        old.canceled_at = at
        old.updated_at = at
        self._end_access(at)
        self._open(at, plan, seats, old.billing_cycle)
        self._give_access(at, plan, seats)
        self._anchor, self._periods = at, 0
        self._renew(at, less=paid_ahead)
        return True

    def switch_at_period_end(self, at: dt.datetime, plan: str, seats: int) -> bool:
        """Change plan or seats at the end of the period that contains the moment."""
        running = self.advance(at)
        if running is None or running.current_period_end > self.until:
            return False
        # At that instant the new subscription renews.
        return self.switch(running.current_period_end, plan, seats)

    def cancel(self, at: dt.datetime) -> bool:
        """End the subscription and the access at once."""
        subscription = self.advance(at)
        if subscription is None:
            return False
        at = self.now
        subscription.status = "canceled"
        subscription.canceled_at = at
        subscription.updated_at = at
        # The license loses its end when the customer returns. The period keeps it.
        if at > subscription.current_period_start:
            subscription.current_period_end = at
        self._end_access(at)
        self.current = None
        return True

    def cancel_at_period_end(self, at: dt.datetime) -> bool:
        """Request the end; subscription and access last until the period's end."""
        subscription = self.advance(at)
        if subscription is None:
            return False
        subscription.cancel_at_period_end = True
        subscription.canceled_at = self.now
        subscription.updated_at = self.now
        ends = subscription.current_period_end
        if ends <= self.until:
            subscription.status = "canceled"
            subscription.updated_at = ends
            self._end_access(ends)
            self.now = ends
        self.current = None
        return True

    def refund(self, payment: Payment, at: dt.datetime, amount: int) -> bool:
        """Refund a payment: `refunded` if in full, else still `succeeded`."""
        if at > self.until or payment.status != "succeeded":
            return False
        payment.refunded_amount_cents = amount
        if amount == payment.amount_cents:
            payment.status = "refunded"
        payment.updated_at = at
        return True

    def finish(self) -> None:
        """Advance the license to the end of the demo."""
        self.advance(self.until)

    # Time ----------------------------------------------------------------------------

    def advance(self, at: dt.datetime) -> Subscription | None:
        """Renew up to the moment. None if it is after the end or nothing is live.

        A retried payment may end some days later. The next action is then at
        `self.now`.
        """
        moment = min(at, self.until)
        while (
            self.current is not None
            and self.current.status in ("active", "trialing")
            and self.current.current_period_end < moment
        ):
            self._renew(self.current.current_period_end)
        self.now = max(self.now, moment)
        if self.current is None or self.current.status not in ("active", "trialing"):
            return None
        return None if at > self.until else self.current

    def _renew(self, at: dt.datetime, less: int = 0) -> None:
        """Begin the next period and charge its price minus credit."""
        subscription = self.current
        assert subscription is not None
        months = 12 if subscription.billing_cycle == "yearly" else 1
        subscription.current_period_start = at
        self._periods += 1
        # From the anchor, so the 31st remains the 31st after a shorter month.
        subscription.current_period_end = add_months(
            self._anchor, months * self._periods
        )
        subscription.updated_at = max(subscription.updated_at, at)
        if subscription.status == "trialing":
            subscription.status = "active"
        due = max(subscription.amount_cents - less, 0)
        if due:
            self._collect(subscription, at, due)

    def _collect(self, subscription: Subscription, at: dt.datetime, due: int) -> None:
        """Take a payment, and retry a declined one until access ends."""
        invoice = stripe_id(self._stream, "in")
        declined = not self.card_works or (
            self.method != "bank_transfer" and self._stream.random() < FAILURE_RATE
        )
        payment = self._payment(subscription, at, due, invoice)
        if not declined:
            self._settle(payment)
            return
        self._decline(payment)
        for attempt, days in enumerate(RETRY_DAYS, start=1):
            retry_at = at + dt.timedelta(days=days)
            if retry_at > self.until:
                subscription.status = "past_due"
                subscription.updated_at = payment.updated_at
                return
            payment = self._payment(subscription, retry_at, due, invoice)
            last = attempt == len(RETRY_DAYS)
            if self.card_works and (last or self._stream.random() < 0.6):
                self._settle(payment)
                subscription.updated_at = payment.updated_at
                self.now = max(self.now, payment.updated_at)
                return
            self._decline(payment)
        self._lock_out(subscription, payment.updated_at)

    def _lock_out(self, subscription: Subscription, at: dt.datetime) -> None:
        """End access after the last retry. In the demo no customer pays later."""
        subscription.status = "unpaid"
        subscription.updated_at = at
        self._end_access(at)
        self.now = max(self.now, at)

    def give_up(self, after: dt.timedelta) -> bool:
        """Cancel an unpaid subscription so long after the last retry."""
        subscription = self.current
        if subscription is None or subscription.status != "unpaid":
            return False
        at = subscription.updated_at + after
        if at > self.until:
            return False
        subscription.status = "canceled"
        subscription.canceled_at = at
        subscription.updated_at = at
        self.current = None
        return True

    # Rows ----------------------------------------------------------------------------

    def _open(self, at: dt.datetime, plan: str, seats: int, cycle: str) -> Subscription:
        subscription = Subscription(
            id=new_id(self._stream, at),
            license_id=self.customer.license_id,
            stripe_subscription_id=stripe_id(self._stream, "sub"),
            stripe_customer_id=self._stripe_customer,
            status="active",
            plan_type=plan,
            billing_cycle=cycle,
            amount_cents=price(plan, cycle, seats, self.customer.currency),
            currency=self.customer.currency,
            current_period_start=at,
            current_period_end=add_months(at, 12 if cycle == "yearly" else 1),
            created_at=at,
            updated_at=at,
            metadata={"seats": seats},
        )
        self.current = subscription
        self.customer.subscriptions.append(subscription)
        self._books.subscriptions.append(subscription)
        return subscription

    def _payment(
        self,
        subscription: Subscription,
        at: dt.datetime,
        amount: int,
        invoice: str | None = None,
    ) -> Payment:
        payment = Payment(
            id=new_id(self._stream, at),
            subscription_id=subscription.id,
            stripe_payment_intent_id=stripe_id(self._stream, "pi"),
            stripe_invoice_id=invoice or stripe_id(self._stream, "in"),
            amount_cents=amount,
            currency=subscription.currency,
            status="pending",
            payment_method=self.method,
            created_at=at,
            updated_at=at,
        )
        self.payments.append(payment)
        self._books.payments.append(payment)
        return payment

    def _settle(self, payment: Payment) -> None:
        """A card takes seconds, a bank transfer days; until then it is pending."""
        if self.method == "bank_transfer":
            taken = dt.timedelta(days=self._stream.uniform(0.8, 2.5))
        else:
            taken = dt.timedelta(seconds=self._stream.uniform(1.0, 40.0))
        settled = payment.created_at + taken
        if settled <= self.until:
            payment.status = "succeeded"
            payment.processed_at = settled
            payment.updated_at = settled

    def _decline(self, payment: Payment) -> None:
        payment.status = "failed"
        payment.failure_reason = self._stream.choice(DECLINES)
        declined = payment.created_at + dt.timedelta(
            seconds=self._stream.uniform(1.0, 8.0)
        )
        payment.updated_at = min(declined, self.until)

    def _give_access(self, at: dt.datetime, plan: str, seats: int) -> None:
        self.customer.tenures.append(Tenure(plan=plan, seats=seats, start=at))

    def _end_access(self, at: dt.datetime) -> None:
        self.customer.tenures[-1].end = at


def sell_once(
    books: Books, arguments: Arguments, stream: random.Random, currency: str
) -> None:
    """Add a payment without a subscription: an hour of consulting."""
    span = arguments.until - arguments.begin
    at = arguments.begin + span * (0.3 + 0.65 * stream.random())
    settled = at + dt.timedelta(seconds=stream.uniform(1.0, 40.0))
    identifier: UUID = new_id(stream, at)
    books.payments.append(
        Payment(
            id=identifier,
            subscription_id=None,
            stripe_payment_intent_id=stripe_id(stream, "pi"),
            stripe_invoice_id=stripe_id(stream, "in"),
            amount_cents={"USD": 25_000, "EUR": 23_000, "JPY": 36_000}[currency],
            currency=currency,
            status="succeeded",
            payment_method=CARD_METHODS[currency],
            processed_at=settled,
            created_at=at,
            updated_at=settled,
        )
    )
