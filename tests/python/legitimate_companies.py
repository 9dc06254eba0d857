"""Made-up companies in which nothing is wrong, however odd they look.

Customers pay in one go, by instalments or in arrears, get partial refunds, move to
another plan within a period or get a lower price; affiliates bring them long before
they pay, are paid in batches, and clawbacks are netted in a later payout.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

CURRENCIES = ("USD", "EUR", "JPY", "IDR")
RATE = 20


@dataclass
class Commission:
    """A share of a payment; `payout` is the position of its payout, if any."""

    referral: str
    payment: str
    cents: int
    currency: str
    kind: str
    age: float
    status: str = "approved"
    payout: str | None = None


@dataclass
class Company:
    """SQL that writes a company, statement by statement."""

    luck: random.Random
    statements: list[str] = field(default_factory=list)
    commissions: list[Commission] = field(default_factory=list)
    number: int = 0

    def new_id(self) -> str:
        """An id as an SQL literal."""
        self.number += 1
        return f"'{uuid.uuid5(uuid.NAMESPACE_OID, f'legitimate {self.number}')}'"

    def write(self, table: str, **values: object) -> str:
        """Add a row; text is written as it is. Returns its id."""
        identifier = self.new_id()
        row = {"id": identifier, **values}
        columns, literals = ", ".join(row), ", ".join(map(str, row.values()))
        self.statements.append(f"insert into {table} ({columns}) values ({literals})")
        return identifier

    def user(self, age: float) -> str:
        """A user who signed up so many days ago."""
        return self.write(
            "users",
            email=f"'customer-{self.number}@example.org'",
            password_hash="'-'",
            created_at=ago(age),
        )


def ago(days: float) -> str:
    """A moment so many days ago, as SQL."""
    return f"now() - interval '{round(days * 86400)} seconds'"


def legitimate_company(luck: random.Random) -> str:
    """The statements that write up to four customers of one affiliate."""
    company = Company(luck)
    currency = luck.choice(CURRENCIES)
    affiliate = company.write(
        "affiliates",
        user_id=company.user(400),
        affiliate_code=f"'code-{company.number}'",
        status="'active'",
        created_at=ago(400),
    )
    for _ in range(luck.randint(1, 4)):
        _customer(company, affiliate, currency)
    _pay_out(company, affiliate, currency)
    return ";\n".join(company.statements)


def _customer(company: Company, affiliate: str, currency: str) -> None:
    """A customer with a license, one or two subscriptions, and a referral."""
    luck = company.luck
    periods = luck.randint(1, 5)
    # The last period is under way.
    age = periods * 30 - luck.randint(5, 20)
    signed_up = age + luck.choice((0, 1, 45))
    owner = company.user(signed_up)
    price = luck.choice((900, 5_001, 290_000, 150_000_000))
    moves_up = luck.random() < 0.3
    plan = "pro" if moves_up else "starter"
    license_id = company.write(
        "licenses",
        user_id=owner,
        license_key=f"'key-{company.number}'",
        plan_type=f"'{plan}'",
        started_at=ago(age),
        created_at=ago(age),
    )
    referral = company.write(
        "affiliate_referrals",
        affiliate_id=affiliate,
        referred_user_id=owner,
        license_id=license_id,
        status="'converted'",
        created_at=ago(signed_up),
        qualified_at=ago(age),
        converted_at=ago(age),
    )
    moved = age - (periods - 1) * 30 - 4 if moves_up else 0
    first = _subscription(company, license_id, currency, price, age, moved, periods)
    _periods(company, referral, first, currency, price, age, periods)
    if moves_up:
        second = _subscription(
            company, license_id, currency, price * 3, moved, 0, 1, plan="pro"
        )
        # What was paid ahead counts towards the new price.
        _payment(
            company, referral, second, currency, price * 2, moved, company.new_id()
        )
    elif luck.random() < 0.3:
        company.statements.append(
            f"update subscriptions set amount_cents = {price // 2} where id = {first}"
        )


def _subscription(
    company: Company,
    license_id: str,
    currency: str,
    price: int,
    age: float,
    ended: float,
    periods: int,
    plan: str = "starter",
) -> str:
    """A monthly subscription of `age` days, canceled `ended` days ago unless 0."""
    starts = age - (periods - 1) * 30
    identifier = company.write(
        "subscriptions",
        license_id=license_id,
        status="'canceled'" if ended else "'active'",
        plan_type=f"'{plan}'",
        billing_cycle="'monthly'",
        amount_cents=price,
        currency=f"'{currency}'",
        created_at=ago(age),
        current_period_start=ago(starts),
        current_period_end=ago(starts - 30),
        canceled_at=ago(ended) if ended else "null",
    )
    company.statements.append(
        "insert into analytics_snapshots.subscriptions_history (subscription_id,"
        f" currency, amount_cents) values ({identifier}, '{currency}', {price})"
    )
    return identifier


def _periods(
    company: Company,
    referral: str,
    subscription: str,
    currency: str,
    price: int,
    age: float,
    periods: int,
) -> None:
    """The payments of each period: at once, by instalments, or with the next one."""
    luck = company.luck
    for period in range(periods):
        due = age - period * 30
        is_last = period == periods - 1
        way = luck.choice(("once", "once", "instalments", "arrears", "fee"))
        invoice = company.new_id()
        if way == "instalments":
            parts = luck.randint(2, 3)
            for part in range(parts):
                cents = price // parts + (price % parts if part == 0 else 0)
                later = min(part * luck.randint(1, 2), due - 0.1)
                _payment(
                    company,
                    referral,
                    subscription,
                    currency,
                    cents,
                    due - later,
                    invoice,
                )
        elif way == "arrears" and not is_last:
            _payment(
                company, referral, subscription, currency, price, due - 30, invoice
            )
        else:
            cents = price * 3 // 2 if way == "fee" and period == 0 else price
            _payment(company, referral, subscription, currency, cents, due, invoice)


def _payment(
    company: Company,
    referral: str,
    subscription: str,
    currency: str,
    cents: int,
    age: float,
    invoice: str,
) -> None:
    """A payment, refunded in part or not, with the affiliate's share of it."""
    luck = company.luck
    refunded = luck.choice((0, 0, 0, cents // 10))
    payment = company.write(
        "payment_transactions",
        subscription_id=subscription,
        status=luck.choice(("'succeeded'", "'refunded'"))
        if refunded
        else "'succeeded'",
        amount_cents=cents,
        currency=f"'{currency}'" if luck.random() < 0.8 else f"'{currency.lower()}'",
        refunded_amount_cents=refunded,
        stripe_invoice_id=invoice,
        created_at=ago(age),
        processed_at=ago(age - 0.001),
    )
    share = round((cents - luck.choice((0, refunded))) * RATE / 100)
    is_first = not any(each.referral == referral for each in company.commissions)
    parts = luck.choice((1, 1, 2))
    for part in range(parts):
        company.commissions.append(
            Commission(
                referral=referral,
                payment=payment,
                cents=share // parts + (share % parts if part == 0 else 0),
                currency=currency,
                kind="initial" if is_first else "recurring",
                age=age - 0.002,
            )
        )


def _pay_out(company: Company, affiliate: str, currency: str) -> None:
    """Pay the commissions in batches; each may net what was clawed back before."""
    luck = company.luck
    company.commissions.sort(key=lambda commission: -commission.age)
    owed_back = 0
    paid: list[Commission] = []
    for batch in _batches(company.commissions, luck):
        due = sum(commission.cents for commission in batch)
        if due - owed_back <= 0:
            # They wait: there is nothing to send.
            continue
        status = luck.choice(("completed", "completed", "completed", "processing"))
        netted = owed_back if luck.random() < 0.7 else owed_back // 2
        owed_back -= netted
        payout = company.write(
            "affiliate_payouts",
            affiliate_id=affiliate,
            amount_cents=due - netted,
            currency=f"'{currency}'",
            payment_method="'paypal'",
            status=f"'{status}'",
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
    for commission in company.commissions:
        company.write(
            "affiliate_commissions",
            affiliate_id=affiliate,
            referral_id=commission.referral,
            payment_transaction_id=commission.payment,
            payout_id=commission.payout or "null",
            commission_type=f"'{commission.kind}'",
            status=f"'{commission.status}'",
            amount_cents=commission.cents,
            commission_rate=RATE,
            currency=f"'{commission.currency}'",
            created_at=ago(commission.age),
        )


def _batches(
    commissions: list[Commission], luck: random.Random
) -> Iterator[list[Commission]]:
    """Split the commissions into batches of one to six."""
    position = 0
    while position < len(commissions):
        size = luck.randint(1, 6)
        yield commissions[position : position + size]
        position += size
