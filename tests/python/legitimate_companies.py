"""Made-up companies in which nothing is wrong, however odd they look.

Customers pay in one go, by instalments or in arrears, get partial refunds, move to
another plan within a period or get a lower price; affiliates bring them long before
they pay, are paid in batches, and clawbacks are netted in a later payout.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.python.rows import Rows

RATE = 20


@dataclass
class Commission:
    """A share of a payment, to be written when its payout is known."""

    referral: str
    payment: str
    cents: int
    kind: str
    created_at: dt.datetime
    status: str = "approved"
    payout: str | None = None


class LegitimateCompany:
    """Up to four customers of one affiliate, whose currency all of them pay in."""

    def __init__(self, rows: Rows, luck: random.Random) -> None:
        self.rows = rows
        self.luck = luck
        self.currency = luck.choice(("USD", "EUR", "JPY", "IDR"))
        self.commissions: list[Commission] = []
        self.invoices = 0
        rows.cursor.execute("select now()")
        self.now: dt.datetime = rows.cursor.fetchall()[0][0]

    def ago(self, days: float) -> dt.datetime:
        return self.now - dt.timedelta(seconds=round(days * 86400))

    def write(self) -> None:
        """Write all rows in the cursor's transaction."""
        at = self.ago(400)
        self.affiliate = self.rows.an_affiliate(
            user_id=self.rows.a_user(created_at=at), status="active", created_at=at
        )
        for _ in range(self.luck.randint(1, 4)):
            self.customer()
        self.pay_out()

    def customer(self) -> None:
        """A customer with a license, one or two subscriptions, and a referral."""
        luck = self.luck
        periods = luck.randint(1, 5)
        # The last period is under way.
        age = periods * 30 - luck.randint(5, 20)
        signed_up = self.ago(age + luck.choice((0, 1, 45)))
        price = luck.choice((900, 5_001, 290_000, 150_000_000))
        moves_up = luck.random() < 0.3
        owner = self.rows.a_user(created_at=signed_up)
        license_id = self.rows.a_license(
            user_id=owner,
            plan_type="pro" if moves_up else "starter",
            started_at=self.ago(age),
            created_at=self.ago(age),
        )
        referral = self.rows.a_referral(
            affiliate_id=self.affiliate,
            referred_user_id=owner,
            license_id=license_id,
            status="converted",
            created_at=signed_up,
            qualified_at=self.ago(age),
            converted_at=self.ago(age),
        )
        moved = age - (periods - 1) * 30 - 4 if moves_up else 0
        first = self.subscription(license_id, "starter", price, age, moved, periods)
        self.pay_periods(referral, first, price, age, periods)
        if moves_up:
            second = self.subscription(license_id, "pro", price * 3, moved, 0, 1)
            # What was paid ahead counts towards the new price.
            self.pay(referral, second, price * 2, moved, self.invoice())
        elif luck.random() < 0.3:
            self.rows.cursor.execute(
                "update subscriptions set amount_cents = %s where id = %s",
                (price // 2, first),
            )

    def subscription(
        self,
        license_id: str,
        plan: str,
        price: int,
        age: float,
        ended: float,
        periods: int,
    ) -> str:
        """A monthly subscription of `age` days, canceled `ended` days ago unless 0."""
        starts = age - (periods - 1) * 30
        made = self.rows.a_subscription(
            license_id=license_id,
            status="canceled" if ended else "active",
            plan_type=plan,
            billing_cycle="monthly",
            amount_cents=price,
            currency=self.currency,
            created_at=self.ago(age),
            current_period_start=self.ago(starts),
            current_period_end=self.ago(starts - 30),
            canceled_at=self.ago(ended) if ended else None,
        )
        self.rows.cursor.execute(
            "insert into analytics_snapshots.subscriptions_history"
            " (subscription_id, currency, amount_cents) values (%s, %s, %s)",
            (made, self.currency, price),
        )
        return made

    def invoice(self) -> str:
        self.invoices += 1
        return f"legitimate {self.invoices}"

    def pay_periods(
        self, referral: str, subscription: str, price: int, age: float, periods: int
    ) -> None:
        """Pay each period at once, by instalments, or with the next one."""
        luck = self.luck
        for period in range(periods):
            due = age - period * 30
            way = luck.choice(("once", "once", "instalments", "arrears", "fee"))
            invoice = self.invoice()
            if way == "instalments":
                parts = luck.randint(2, 3)
                for part, cents in enumerate(shares(price, parts)):
                    later = min(part * luck.randint(1, 2), due - 0.1)
                    self.pay(referral, subscription, cents, due - later, invoice)
            elif way == "arrears" and period < periods - 1:
                self.pay(referral, subscription, price, due - 30, invoice)
            else:
                cents = price * 3 // 2 if way == "fee" and period == 0 else price
                self.pay(referral, subscription, cents, due, invoice)

    def pay(
        self, referral: str, subscription: str, cents: int, age: float, invoice: str
    ) -> None:
        """A payment, refunded in part or not, with the affiliate's share of it."""
        luck = self.luck
        refunded = luck.choice((0, 0, 0, cents // 10))
        payment = self.rows.a_payment(
            subscription_id=subscription,
            status=luck.choice(("succeeded", "refunded")) if refunded else "succeeded",
            amount_cents=cents,
            currency=luck.choice((self.currency,) * 4 + (self.currency.lower(),)),
            refunded_amount_cents=refunded,
            stripe_invoice_id=invoice,
            created_at=self.ago(age),
            processed_at=self.ago(age - 0.001),
        )
        share = round((cents - luck.choice((0, refunded))) * RATE / 100)
        is_first = not any(each.referral == referral for each in self.commissions)
        kind = "initial" if is_first else "recurring"
        for part in shares(share, luck.choice((1, 1, 2))):
            at = self.ago(age - 0.002)
            self.commissions.append(Commission(referral, payment, part, kind, at))

    def pay_out(self) -> None:
        """Pay the commissions in batches; each may net what was clawed back before."""
        luck = self.luck
        self.commissions.sort(key=lambda commission: commission.created_at)
        owed_back = 0
        paid: list[Commission] = []
        for batch in batches(self.commissions, luck):
            due = sum(commission.cents for commission in batch)
            if due - owed_back <= 0:
                # They wait: there is nothing to send.
                continue
            status = luck.choice(("completed", "completed", "completed", "processing"))
            netted = owed_back if luck.random() < 0.7 else owed_back // 2
            owed_back -= netted
            payout = self.rows.a_payout(
                affiliate_id=self.affiliate,
                amount_cents=due - netted,
                currency=self.currency,
                status=status,
                commission_count=luck.choice((0, len(batch))),
            )
            for commission in batch:
                commission.payout = payout
                if status == "completed":
                    commission.status = "paid"
                    paid.append(commission)
            if paid and luck.random() < 0.5:
                clawed_back = paid.pop(luck.randrange(len(paid)))
                clawed_back.status = "cancelled"
                owed_back += clawed_back.cents
        for each in self.commissions:
            self.rows.a_commission(**self.as_row(each))

    def as_row(self, commission: Commission) -> dict[str, Any]:
        return {
            "affiliate_id": self.affiliate,
            "referral_id": commission.referral,
            "payment_transaction_id": commission.payment,
            "payout_id": commission.payout,
            "commission_type": commission.kind,
            "status": commission.status,
            "amount_cents": commission.cents,
            "commission_rate": RATE,
            "currency": self.currency,
            "created_at": commission.created_at,
        }


def shares(cents: int, parts: int) -> list[int]:
    """An amount in parts; the first has what does not divide."""
    return [cents // parts + cents % parts, *[cents // parts] * (parts - 1)]


def batches(
    commissions: Sequence[Commission], luck: random.Random
) -> Iterator[Sequence[Commission]]:
    """Split the commissions into batches of one to six."""
    position = 0
    while position < len(commissions):
        size = luck.randint(1, 6)
        yield commissions[position : position + size]
        position += size
