"""The rows of the affiliate program, and values that its modules share."""

from __future__ import annotations

from dataclasses import dataclass, field

from bootstrap.demo.customers import DAY
from bootstrap.demo.rows import Affiliate, Commission, Payout, Referral, User

PAYOUT_EVERY = 28 * DAY


@dataclass(slots=True)
class Programme:
    """The rows of the affiliates' tables, without clicks, which COPY streams."""

    users: list[User] = field(default_factory=list)
    affiliates: list[Affiliate] = field(default_factory=list)
    referrals: list[Referral] = field(default_factory=list)
    commissions: list[Commission] = field(default_factory=list)
    payouts: list[Payout] = field(default_factory=list)
