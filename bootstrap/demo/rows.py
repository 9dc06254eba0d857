"""Rows of the smaller OLTP tables, one class per table.

A field is a column of the same name. Columns without a field keep their default, such
as the counters on `affiliates`, which triggers update.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from bootstrap.demo.arguments import micros


def new_id(stream: random.Random, moment: dt.datetime) -> UUID:
    """Return a time-ordered UUID (version 7) of that moment."""
    milliseconds = micros(moment) // 1000
    noise = stream.getrandbits(74)
    return UUID(
        int=(milliseconds << 80)
        | (0x7 << 76)
        | ((noise >> 62) << 64)
        | (0b10 << 62)
        | (noise & ((1 << 62) - 1))
    )


def stripe_id(stream: random.Random, prefix: str) -> str:
    """Return an identifier that looks like the payment provider's."""
    return f"{prefix}_{stream.getrandbits(96):024x}"


@dataclass(slots=True, kw_only=True)
class User:
    """One person with an account."""

    TABLE: ClassVar[str] = "users"

    id: UUID
    email: str
    password_hash: str
    full_name: str
    role: str = "user"
    is_active: bool = True
    email_verified: bool = True
    email_verified_at: dt.datetime | None = None
    last_login_at: dt.datetime | None = None
    created_at: dt.datetime
    updated_at: dt.datetime
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class License:
    """One license of one customer, in its state at the end."""

    TABLE: ClassVar[str] = "licenses"

    id: UUID
    user_id: UUID
    license_key: str
    plan_type: str
    status: str
    seats_total: int
    seats_used: int
    trial_ends_at: dt.datetime | None
    started_at: dt.datetime
    expires_at: dt.datetime | None
    cancelled_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Team:
    """One team that works on a license."""

    TABLE: ClassVar[str] = "teams"

    id: UUID
    license_id: UUID
    name: str
    slug: str
    owner_id: UUID
    is_active: bool
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(slots=True, kw_only=True)
class TeamMember:
    """One user in one team."""

    TABLE: ClassVar[str] = "team_members"

    id: UUID
    team_id: UUID
    user_id: UUID
    role: str
    joined_at: dt.datetime
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(slots=True, kw_only=True)
class Subscription:
    """One subscription; amount_cents is the price of one billing cycle."""

    TABLE: ClassVar[str] = "subscriptions"

    id: UUID
    license_id: UUID
    stripe_subscription_id: str
    stripe_customer_id: str
    status: str
    plan_type: str
    billing_cycle: str
    amount_cents: int
    currency: str
    current_period_start: dt.datetime
    current_period_end: dt.datetime
    cancel_at_period_end: bool = False
    canceled_at: dt.datetime | None = None
    trial_start: dt.datetime | None = None
    trial_end: dt.datetime | None = None
    created_at: dt.datetime
    updated_at: dt.datetime
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Payment:
    """One payment attempt, with its refund."""

    TABLE: ClassVar[str] = "payment_transactions"

    id: UUID
    subscription_id: UUID | None
    stripe_payment_intent_id: str
    stripe_invoice_id: str
    amount_cents: int
    currency: str
    status: str
    payment_method: str
    failure_reason: str | None = None
    refunded_amount_cents: int = 0
    processed_at: dt.datetime | None = None
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(slots=True, kw_only=True)
class Affiliate:
    """One affiliate."""

    TABLE: ClassVar[str] = "affiliates"

    id: UUID
    user_id: UUID
    affiliate_code: str
    status: str
    commission_rate: Decimal
    payment_method: str
    payment_details: dict[str, Any]
    approved_at: dt.datetime | None
    suspended_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(slots=True, kw_only=True)
class Referral:
    """One user that an affiliate referred."""

    TABLE: ClassVar[str] = "affiliate_referrals"

    id: UUID
    affiliate_id: UUID
    referred_user_id: UUID
    license_id: UUID
    subscription_id: UUID | None
    referral_source: str
    ip_address: str
    user_agent: str
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    status: str
    qualified_at: dt.datetime | None
    converted_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(slots=True, kw_only=True)
class Commission:
    """One commission, in the currency of its payment."""

    TABLE: ClassVar[str] = "affiliate_commissions"

    id: UUID
    affiliate_id: UUID
    referral_id: UUID
    payment_transaction_id: UUID | None
    commission_type: str
    amount_cents: int
    commission_rate: Decimal
    currency: str
    status: str = "pending"
    approved_at: dt.datetime | None = None
    paid_at: dt.datetime | None = None
    payout_id: UUID | None = None
    notes: str | None = None
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(slots=True, kw_only=True)
class Payout:
    """One transfer of money to an affiliate, in one currency."""

    TABLE: ClassVar[str] = "affiliate_payouts"

    id: UUID
    affiliate_id: UUID
    amount_cents: int
    currency: str
    payment_method: str
    payment_reference: str | None
    status: str
    commission_count: int
    processed_at: dt.datetime | None = None
    completed_at: dt.datetime | None = None
    failed_reason: str | None = None
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(slots=True, kw_only=True)
class Click:
    """One click on an affiliate's link."""

    TABLE: ClassVar[str] = "affiliate_clicks"

    id: UUID
    affiliate_id: UUID
    ip_address: str
    user_agent: str
    referrer_url: str | None
    landing_page: str
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    converted: bool
    referral_id: UUID | None
    clicked_at: dt.datetime


@dataclass(slots=True, kw_only=True)
class AuditLog:
    """One audited action."""

    TABLE: ClassVar[str] = "audit_logs"

    id: UUID
    user_id: UUID | None
    team_id: UUID | None
    action: str
    resource_type: str
    resource_id: str
    changes: dict[str, Any]
    status: str
    occurred_at: dt.datetime
    created_at: dt.datetime


Row = (
    User
    | License
    | Team
    | TeamMember
    | Subscription
    | Payment
    | Affiliate
    | Referral
    | Commission
    | Payout
    | Click
    | AuditLog
)
